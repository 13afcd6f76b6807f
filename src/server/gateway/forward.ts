import type { Readable } from "node:stream";
import type { Dispatcher } from "undici";

/** Time limits of one forwarded call, per phase, in milliseconds. */
export type ForwardTimeouts = {
  /** From the end of the request to the answer's headers. Reasoning models take minutes before the first. */
  headersMs: number;
  /** Between two pieces of the body. */
  bodyMs: number;
};

/** What a forwarded call tells its owner. Exactly one of `onEnd` and `onFailure` is called, once, after everything else. */
export interface ForwardListener {
  /** From here on the provider may have seen the request. */
  onSent(): void;
  onHead(status: number, rawHeaders: readonly Buffer[], statusText: string): void;
  /** False: hold back until `resume`. */
  onData(chunk: Buffer): boolean;
  onEnd(): void;
  onFailure(failure: ForwardFailure): void;
}

export type ForwardFailure = {
  /** `unreachable`: no request byte left; `timeout`: headers or body late; `aborted`: by us; `broken`: the connection failed after sending. */
  kind: "unreachable" | "timeout" | "aborted" | "broken";
  error: Error;
};

export interface Forwarded {
  resume(): void;
  /** Cancels the upstream request and closes its connection. */
  abort(): void;
}

const TIMEOUTS: ReadonlySet<string> = new Set(["UND_ERR_HEADERS_TIMEOUT", "UND_ERR_BODY_TIMEOUT"]);

class Aborted extends Error {
  override readonly name = "Aborted";
}

/**
 * undici's own callback form (onConnect, onHeaders …) instead of its controller form: the latter builds a header object per
 * answer, and the raw list is what has to reach the caller anyway.
 */
class Call implements Dispatcher.DispatchHandler, Forwarded {
  readonly #listener: ForwardListener;
  #abort: ((error?: Error) => void) | undefined;
  #resume: (() => void) | undefined;
  #sent = false;
  #over = false;
  #aborted = false;

  constructor(listener: ForwardListener) {
    this.#listener = listener;
  }

  onConnect(abort: (error?: Error) => void): void {
    if (this.#aborted) {
      abort(new Aborted("cancelled before it was sent"));
      return;
    }
    this.#abort = abort;
    this.#sent = true;
    this.#listener.onSent();
  }

  onHeaders(status: number, rawHeaders: Buffer[], resume: () => void, statusText: string): boolean {
    // 1xx answers are not the answer; the caller's own server speaks for itself there.
    if (status < 200) return true;
    this.#resume = resume;
    this.#listener.onHead(status, rawHeaders, statusText);
    return true;
  }

  onData(chunk: Buffer): boolean {
    return this.#listener.onData(chunk);
  }

  onComplete(): void {
    if (this.#over) return;
    this.#over = true;
    this.#listener.onEnd();
  }

  onError(error: Error): void {
    if (this.#over) return;
    this.#over = true;
    const code = (error as { code?: unknown }).code;
    const kind = this.#aborted
      ? "aborted"
      : !this.#sent
        ? "unreachable"
        : typeof code === "string" && TIMEOUTS.has(code)
          ? "timeout"
          : "broken";
    this.#listener.onFailure({ kind, error });
  }

  resume(): void {
    this.#resume?.();
  }

  abort(): void {
    if (this.#over || this.#aborted) return;
    this.#aborted = true;
    this.#abort?.(new Aborted("cancelled"));
  }
}

/** Sends one request as it is and tells the listener what comes back. Nothing is retried, no redirect is followed, nothing is decoded. */
export function forward(input: {
  dispatcher: Dispatcher;
  method: string;
  path: string;
  rawHeaders: string[];
  body: Buffer | Readable | null;
  timeouts: ForwardTimeouts;
  listener: ForwardListener;
}): Forwarded {
  const call = new Call(input.listener);
  input.dispatcher.dispatch(
    {
      method: input.method as Dispatcher.HttpMethod,
      path: input.path,
      headers: input.rawHeaders,
      body: input.body,
      headersTimeout: input.timeouts.headersMs,
      bodyTimeout: input.timeouts.bodyMs,
    },
    call,
  );
  return call;
}
