import type { Readable } from "node:stream";

/**
 * One HTTP request and its answer, as the gateway's core sees it. The core knows neither Node's server nor Next:
 * `node-adapter.ts` and `route-adapter.ts` make exchanges out of theirs.
 */
export interface Exchange {
  readonly method: string;
  /** Path and query exactly as sent. */
  readonly target: string;
  /** Name, value, name, value …, in the order and case received (lower case through Next). */
  readonly rawHeaders: readonly string[];
  /** First value of a header; `name` in lower case. */
  header(name: string): string | undefined;
  /** Address of the connected peer; undefined where the host hides it. */
  readonly remoteAddress: string | undefined;
  /** The request body, unread. */
  readonly body: Readable;

  /** True once the caller is gone. */
  readonly aborted: boolean;
  /** Called once when the caller leaves before `end`; at once if it has left already. */
  onAbort(listener: () => void): void;

  /** Sends status and headers (name, value, name, value …). Exactly once, before any write. */
  writeHead(status: number, rawHeaders: readonly string[], statusMessage?: string): void;
  /** Hands bytes on. False: the caller reads slowly, wait for `onDrain`. */
  write(chunk: Uint8Array): boolean;
  onDrain(listener: () => void): void;
  end(chunk?: Uint8Array): void;
  /** Breaks the connection, so that a truncated answer is not taken for a whole one. */
  destroy(): void;
}
