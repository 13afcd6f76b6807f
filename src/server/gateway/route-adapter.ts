import { Readable } from "node:stream";
import type { ReadableStream as NodeReadableStream } from "node:stream/web";
import { type BodyDecoder, createBodyDecoder } from "./decode-copy";
import type { Exchange } from "./exchange";

/**
 * An exchange out of a web Request, for hosts that run Next's route handlers without the custom server. Slower than the node
 * adapter (every byte passes web streams), and header names arrive in lower case; what reaches provider and caller is the same,
 * except that nothing is compressed: Next strikes `Content-Encoding` off every answer (next/dist/server/send-response.js), so the
 * provider is asked for an identity encoding, and an answer that is encoded all the same is decoded.
 */
export class RouteExchange implements Exchange {
  readonly method: string;
  readonly target: string;
  readonly rawHeaders: readonly string[];
  readonly remoteAddress: string | undefined;
  readonly body: Readable;
  /** Resolves with the answer once its head is known. */
  readonly response: Promise<Response>;

  readonly #headers: Headers;
  readonly #signal: AbortSignal;
  #respond!: (response: Response) => void;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #cancelled = false;
  #ended = false;
  readonly #abortListeners: (() => void)[] = [];
  #drainListener: (() => void) | undefined;
  #decoder: BodyDecoder | undefined;

  constructor(request: Request) {
    const url = new URL(request.url);
    this.method = request.method;
    this.target = url.pathname + url.search;
    this.#headers = request.headers;
    this.rawHeaders = [...request.headers].flatMap(([name, value]) => [name, name === "accept-encoding" ? "identity" : value]);
    this.remoteAddress = undefined;
    this.body = request.body ? Readable.fromWeb(request.body as NodeReadableStream<Uint8Array>) : Readable.from([]);
    this.#signal = request.signal;
    this.#signal.addEventListener("abort", () => this.#onCallerGone());
    this.response = new Promise((resolve) => {
      this.#respond = resolve;
    });
  }

  header(name: string): string | undefined {
    return this.#headers.get(name) ?? undefined;
  }

  get aborted(): boolean {
    return !this.#ended && (this.#cancelled || this.#signal.aborted);
  }

  onAbort(listener: () => void): void {
    if (this.aborted) listener();
    else this.#abortListeners.push(listener);
  }

  #onCallerGone(): void {
    if (this.#ended) return;
    this.#cancelled = true;
    for (const listener of this.#abortListeners.splice(0)) listener();
  }

  writeHead(status: number, rawHeaders: readonly string[], statusMessage?: string): void {
    const headers = new Headers();
    for (let i = 0; i < rawHeaders.length; i += 2) headers.append(rawHeaders[i]!, rawHeaders[i + 1]!);
    const init: ResponseInit = statusMessage ? { status, headers, statusText: statusMessage } : { status, headers };
    if (status === 204 || status === 205 || status === 304) {
      this.#ended = true;
      this.#respond(new Response(null, init));
      return;
    }
    const encoding = headers.get("content-encoding");
    if (encoding !== null && encoding.trim().toLowerCase() !== "identity") {
      headers.delete("content-encoding");
      this.#decoder = createBodyDecoder(encoding, (decoded) => this.#enqueue(decoded));
    }
    const stream = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller;
        },
        pull: () => {
          const listener = this.#drainListener;
          this.#drainListener = undefined;
          listener?.();
        },
        cancel: () => {
          // Bytes may still come out of the decoder; there is nobody to give them to.
          this.#controller = undefined;
          this.#onCallerGone();
        },
      },
      new ByteLengthQueuingStrategy({ highWaterMark: 64 * 1024 }),
    );
    this.#respond(new Response(stream, init));
  }

  write(chunk: Uint8Array): boolean {
    if (this.#ended || this.#cancelled || !this.#controller) return true;
    if (this.#decoder) this.#decoder.push(chunk);
    else this.#controller.enqueue(chunk);
    return (this.#controller.desiredSize ?? 1) > 0;
  }

  #enqueue(chunk: Uint8Array): void {
    this.#controller?.enqueue(chunk);
  }

  onDrain(listener: () => void): void {
    this.#drainListener = listener;
  }

  end(chunk?: Uint8Array): void {
    if (this.#ended || this.#cancelled) return;
    if (chunk) this.write(chunk);
    this.#ended = true;
    if (this.#decoder) void this.#endDecoded(this.#decoder);
    else this.#controller?.close();
  }

  /** What could not be decoded must not be taken for a whole answer. */
  async #endDecoded(decoder: BodyDecoder): Promise<void> {
    await decoder.finish();
    if (decoder.problem === undefined) this.#controller?.close();
    else this.#controller?.error(new Error(`the provider's encoding could not be undone: ${decoder.problem}`));
  }

  destroy(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#controller?.error(new Error("the provider broke off its answer"));
    this.#controller = undefined;
  }
}
