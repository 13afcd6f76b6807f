import type { IncomingMessage, ServerResponse } from "node:http";
import type { Readable } from "node:stream";
import type { Exchange } from "./exchange";

export type NodeExchangeLimits = {
  /** A caller that was answered before it had sent everything may go on sending for so long, so that it gets to read the answer. */
  lingerMs: number;
  /** A caller that does not take the last piece of its answer is cut off after this. */
  unreadMs: number;
};

export const DEFAULT_NODE_EXCHANGE_LIMITS: NodeExchangeLimits = { lingerMs: 30_000, unreadMs: 5 * 60_000 };

/** An exchange out of Node's own request and response: the fast way, used by the custom server. */
export class NodeExchange implements Exchange {
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #limits: NodeExchangeLimits;
  /** Kept: a socket that is closed has forgotten it. */
  readonly remoteAddress: string | undefined;

  constructor(request: IncomingMessage, response: ServerResponse, limits: NodeExchangeLimits = DEFAULT_NODE_EXCHANGE_LIMITS) {
    this.#request = request;
    this.#response = response;
    this.#limits = limits;
    this.remoteAddress = request.socket.remoteAddress;
    // A connection that breaks is told by `close`; without a listener the error would end the process.
    response.on("error", () => {});
  }

  get method(): string {
    return this.#request.method ?? "GET";
  }

  get target(): string {
    return this.#request.url ?? "/";
  }

  get rawHeaders(): readonly string[] {
    return this.#request.rawHeaders;
  }

  header(name: string): string | undefined {
    const value = this.#request.headers[name];
    return typeof value === "string" ? value : value?.[0];
  }

  get body(): Readable {
    return this.#request;
  }

  get aborted(): boolean {
    return this.#response.destroyed && !this.#response.writableFinished;
  }

  onAbort(listener: () => void): void {
    if (this.aborted) {
      listener();
      return;
    }
    this.#response.once("close", () => {
      if (!this.#response.writableFinished) listener();
    });
  }

  writeHead(status: number, rawHeaders: readonly string[], statusMessage?: string): void {
    // Node's array form is typed for objects only; flat name-value pairs are documented and keep order, case and repeats.
    const flat = rawHeaders as unknown as string[];
    if (statusMessage) this.#response.writeHead(status, statusMessage, flat);
    else this.#response.writeHead(status, flat);
  }

  write(chunk: Uint8Array): boolean {
    return this.#response.write(chunk);
  }

  onDrain(listener: () => void): void {
    this.#response.once("drain", listener);
  }

  end(chunk?: Uint8Array): void {
    const { socket } = this.#response;
    if (chunk) this.#response.end(chunk);
    else this.#response.end();
    if (socket && socket.writableLength > 0) this.#destroyUnless("finish", this.#response, this.#limits.unreadMs);
    // What the caller still sends after its answer is read away, so that the connection can be used again. Not for ever: a body
    // without an end would keep us reading.
    if (!this.#request.readableEnded && !this.#request.destroyed) {
      this.#request.resume();
      if (!this.#request.complete) this.#destroyUnless("end", this.#request, this.#limits.lingerMs);
    }
  }

  #destroyUnless(event: "finish" | "end", emitter: IncomingMessage | ServerResponse, afterMs: number): void {
    const { socket } = this.#request;
    const timer = setTimeout(() => socket.destroy(), afterMs);
    const stop = (): void => clearTimeout(timer);
    emitter.once(event, stop).once("close", stop);
  }

  destroy(): void {
    this.#response.destroy();
  }
}
