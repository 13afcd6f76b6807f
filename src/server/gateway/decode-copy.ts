import {
  type BrotliDecompress,
  type Gunzip,
  type Inflate,
  type InflateRaw,
  constants,
  createBrotliDecompress,
  createGunzip,
  createInflate,
  createInflateRaw,
} from "node:zlib";
import * as zlib from "node:zlib";

/** What stopped a copy from being decoded. The answer itself went on as it was; the meter then knows only what came before. */
export type DecodeProblem = "unsupported" | "broken" | "too-large" | "too-slow";

export interface BodyDecoder {
  readonly problem: DecodeProblem | undefined;
  /** A piece of the encoded body. Decoding goes on in the background, in order. */
  push(chunk: Uint8Array): void;
  /** No more bytes will come. Resolves when everything that can be decoded was handed on; never rejects. */
  finish(): Promise<void>;
}

type Decompressor = BrotliDecompress | Gunzip | Inflate | InflateRaw;

// Node has it from 22.15 on; its types are not in those of the oldest version we support.
const createZstdDecompress = (zlib as { createZstdDecompress?: () => Decompressor }).createZstdDecompress;

/** Content codings that can be asked for upstream, because their bytes can be read on the side. */
export const DECODABLE_ENCODINGS: ReadonlySet<string> = new Set(["gzip", "deflate", "br", ...(createZstdDecompress ? ["zstd"] : [])]);

/** An answer cut short must still give what came of it, so the end of the input is no error. */
const ZLIB_OPTIONS = { finishFlush: constants.Z_SYNC_FLUSH };
const BROTLI_OPTIONS = { finishFlush: constants.BROTLI_OPERATION_FLUSH };

/** A bomb of a few kilobytes can hold gigabytes; no answer that is priced does. */
const DECODED_BYTES_MAX = 256 * 1024 * 1024;
/** Encoded bytes that may wait for the decoder. */
const WAITING_BYTES_MAX = 16 * 1024 * 1024;

/**
 * Decodes a copy of an answer for the meter. One coding, not a list of them: a body encoded many times over is a way to burn a
 * server, and no provider sends one.
 *
 * @param contentEncoding the header's value.
 * @param onChunk takes decoded bytes, in order; also after `push` has returned.
 */
export function createBodyDecoder(
  contentEncoding: string,
  onChunk: (chunk: Buffer) => void,
  options: { decodedBytesMax?: number; waitingBytesMax?: number } = {},
): BodyDecoder {
  return new StreamDecoder(
    contentEncoding.trim().toLowerCase(),
    onChunk,
    options.decodedBytesMax ?? DECODED_BYTES_MAX,
    options.waitingBytesMax ?? WAITING_BYTES_MAX,
  );
}

class StreamDecoder implements BodyDecoder {
  readonly #encoding: string;
  readonly #onChunk: (chunk: Buffer) => void;
  readonly #decodedBytesMax: number;
  readonly #waitingBytesMax: number;
  #stream: Decompressor | undefined;
  #closed: Promise<void> | undefined;
  #decodedBytes = 0;
  #problem: DecodeProblem | undefined;

  constructor(encoding: string, onChunk: (chunk: Buffer) => void, decodedBytesMax: number, waitingBytesMax: number) {
    this.#encoding = encoding;
    this.#onChunk = onChunk;
    this.#decodedBytesMax = decodedBytesMax;
    this.#waitingBytesMax = waitingBytesMax;
  }

  get problem(): DecodeProblem | undefined {
    return this.#problem;
  }

  push(chunk: Uint8Array): void {
    if (this.#problem !== undefined || chunk.length === 0) return;
    if (this.#encoding === "" || this.#encoding === "identity") {
      this.#onChunk(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength));
      return;
    }
    this.#stream ??= this.#open(chunk[0]!);
    if (!this.#stream) {
      this.#problem = "unsupported";
      return;
    }
    if (this.#stream.writableLength > this.#waitingBytesMax) this.#stop("too-slow");
    else this.#stream.write(chunk);
  }

  async finish(): Promise<void> {
    if (!this.#stream) return;
    if (!this.#stream.destroyed && !this.#stream.writableEnded) this.#stream.end();
    await this.#closed;
  }

  #open(firstByte: number): Decompressor | undefined {
    const stream = decompressor(this.#encoding, firstByte);
    if (!stream) return undefined;
    this.#closed = new Promise((resolve) => {
      stream.once("close", resolve);
      stream.once("end", resolve);
      stream.once("error", () => {
        this.#problem ??= "broken";
        resolve();
      });
    });
    stream.on("data", (decoded: Buffer) => {
      if (this.#problem !== undefined) return;
      this.#decodedBytes += decoded.length;
      if (this.#decodedBytes > this.#decodedBytesMax) this.#stop("too-large");
      else this.#onChunk(decoded);
    });
    return stream;
  }

  #stop(problem: DecodeProblem): void {
    this.#problem ??= problem;
    this.#stream?.destroy();
  }
}

function decompressor(encoding: string, firstByte: number): Decompressor | undefined {
  switch (encoding) {
    case "gzip":
    case "x-gzip":
      return createGunzip(ZLIB_OPTIONS);
    case "deflate":
      // RFC 9110 §8.4.1.2 means zlib's format; some servers send the bare stream, whose first byte is never of method 8 with a window.
      return (firstByte & 0x0f) === 8 && firstByte >> 4 <= 7 ? createInflate(ZLIB_OPTIONS) : createInflateRaw(ZLIB_OPTIONS);
    case "br":
      return createBrotliDecompress(BROTLI_OPTIONS);
    case "zstd":
      return createZstdDecompress?.();
    default:
      return undefined;
  }
}
