import type { IncomingMessage, ServerResponse } from "node:http";
import type { Readable } from "node:stream";
import type { Exchange } from "./exchange";

/** An exchange out of Node's own request and response: the fast way, used by the custom server. */
export class NodeExchange implements Exchange {
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;

  constructor(request: IncomingMessage, response: ServerResponse) {
    this.#request = request;
    this.#response = response;
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

  get remoteAddress(): string | undefined {
    return this.#request.socket.remoteAddress;
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
    if (chunk) this.#response.end(chunk);
    else this.#response.end();
    // What the caller still sends after its answer is read away, so that the connection can be used again.
    if (!this.#request.readableEnded) this.#request.resume();
  }

  destroy(): void {
    this.#response.destroy();
  }
}
