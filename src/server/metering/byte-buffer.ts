const NOTHING = Buffer.alloc(0);
/** A rare large piece must not stay in memory for the rest of a long stream. */
const IDLE_BYTES_MAX = 64 * 1024;

/** Bytes that arrive in pieces of any size, one after the other in memory: a thousand pieces of one byte cost a thousand bytes. */
export class ByteBuffer {
  #bytes: Buffer = NOTHING;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  append(chunk: Uint8Array, start = 0, end = chunk.length): void {
    const needed = this.#length + end - start;
    if (needed > this.#bytes.length) {
      const grown = Buffer.allocUnsafe(Math.max(256, this.#bytes.length * 2, needed));
      grown.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = grown;
    }
    this.#bytes.set(start === 0 && end === chunk.length ? chunk : chunk.subarray(start, end), this.#length);
    this.#length = needed;
  }

  /** A view of what is held, good until the next append. */
  view(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Hands the bytes over and starts anew. */
  take(): Buffer {
    const taken = this.view();
    this.#bytes = NOTHING;
    this.#length = 0;
    return taken;
  }

  clear(): void {
    this.#length = 0;
    if (this.#bytes.length > IDLE_BYTES_MAX) this.#bytes = NOTHING;
  }
}

/** The same bytes as a Buffer, without copying. */
export function asBuffer(chunk: Uint8Array): Buffer {
  return Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
}
