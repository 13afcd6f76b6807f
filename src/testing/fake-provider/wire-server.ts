import { createHash } from "node:crypto";
import net from "node:net";

/** Larger request bodies are hashed and counted, not kept. */
const BODY_KEPT_BYTES_MAX = 4 * 1024 * 1024;
const HEAD_BYTES_MAX = 1024 * 1024;

/** A request as it came off the socket. */
export type WireRequest = {
  method: string;
  target: string;
  httpVersion: string;
  /** Name, value, name, value …, in the order and case received. */
  rawHeaders: string[];
  /** First value of a header; `name` in lower case. */
  header(name: string): string | undefined;
  /** The head exactly as received, with the empty line. */
  head: Buffer;
  /** Without transfer encoding; empty when it was too large to keep (see `bodyBytes`). */
  body: Buffer;
  bodyBytes: number;
  bodySha256: string;
};

/** One connection's side of an exchange: plain writes, and ways to end it badly. */
export type WireSocket = {
  readonly gone: boolean;
  onGone(listener: () => void): void;
  /** Resolves when the kernel has taken the bytes, or the caller is gone. */
  write(bytes: Uint8Array): Promise<void>;
  /** Sends RST. */
  reset(): void;
  /** Sends FIN. */
  fin(): void;
};

export type WireHandlers = {
  /** The head has arrived; the body may still be on its way. */
  onHead(request: Omit<WireRequest, "body" | "bodyBytes" | "bodySha256">, connection: number): void;
  /** The request is complete. Resolves when the answer is; `close` ends the connection. */
  onRequest(request: WireRequest, socket: WireSocket, connection: number): Promise<"keep-alive" | "close">;
  /** The caller left while its request was still arriving. */
  onTruncated(connection: number, bodyBytes: number): void;
};

/** An HTTP/1.1 server that hides nothing: what arrives is kept as it was, what is sent is what the handler wrote. */
export function createWireServer(handlers: WireHandlers): net.Server {
  let connections = 0;
  return net.createServer({ noDelay: true, allowHalfOpen: false }, (socket) => {
    void serveConnection(socket, ++connections, handlers);
  });
}

async function serveConnection(socket: net.Socket, connection: number, handlers: WireHandlers): Promise<void> {
  let gone = false;
  const goneListeners = new Set<() => void>();
  const leave = (): void => {
    if (gone) return;
    gone = true;
    for (const listener of goneListeners) listener();
    goneListeners.clear();
  };
  socket.on("error", leave);
  socket.on("close", leave);
  socket.on("end", leave);

  const wire: WireSocket = {
    get gone() {
      return gone;
    },
    onGone(listener) {
      if (gone) listener();
      else goneListeners.add(listener);
    },
    write: (bytes) =>
      new Promise((resolve) => {
        if (gone) return resolve();
        const done = (): void => {
          goneListeners.delete(done);
          resolve();
        };
        goneListeners.add(done);
        socket.write(bytes, done);
      }),
    reset: () => {
      socket.resetAndDestroy();
    },
    fin: () => {
      socket.end();
    },
  };

  const reader = new ByteReader(socket);
  try {
    for (;;) {
      const head = await reader.readThrough("\r\n\r\n", HEAD_BYTES_MAX);
      if (head === undefined) break;
      const parsed = parseHead(head);
      handlers.onHead(parsed, connection);
      if (parsed.header("expect")?.toLowerCase() === "100-continue") await wire.write(Buffer.from("HTTP/1.1 100 Continue\r\n\r\n"));
      const body = await readBody(reader, parsed);
      if (!body.complete) {
        handlers.onTruncated(connection, body.bytes);
        break;
      }
      const request: WireRequest = { ...parsed, body: body.kept, bodyBytes: body.bytes, bodySha256: body.sha256 };
      if ((await handlers.onRequest(request, wire, connection)) === "close") {
        socket.end();
        break;
      }
    }
  } catch (error) {
    // Not HTTP: a caller that must be told the truth gets a connection that ends, and the reason in plain text.
    socket.end(`HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n${error instanceof Error ? error.message : String(error)}`);
  }
}

function parseHead(head: Buffer): Omit<WireRequest, "body" | "bodyBytes" | "bodySha256"> {
  const lines = head.toString("latin1").slice(0, -4).split("\r\n");
  const requestLine = /^(\S+) (\S+) HTTP\/(\d\.\d)$/.exec(lines[0] ?? "");
  if (!requestLine) throw new Error(`not a request line: ${lines[0]}`);
  const rawHeaders: string[] = [];
  for (const line of lines.slice(1)) {
    const colon = line.indexOf(":");
    if (colon <= 0) throw new Error(`not a header: ${line}`);
    rawHeaders.push(line.slice(0, colon), line.slice(colon + 1).trim());
  }
  return {
    method: requestLine[1]!,
    target: requestLine[2]!,
    httpVersion: requestLine[3]!,
    rawHeaders,
    header: (name) => headerOf(rawHeaders, name),
    head,
  };
}

/** First value of a header in a raw list; `name` in lower case. */
export function headerOf(rawHeaders: readonly string[], name: string): string | undefined {
  for (let i = 0; i < rawHeaders.length; i += 2) if (rawHeaders[i]!.toLowerCase() === name) return rawHeaders[i + 1];
  return undefined;
}

type ReadBody = { kept: Buffer; bytes: number; sha256: string; complete: boolean };

async function readBody(reader: ByteReader, request: { header(name: string): string | undefined }): Promise<ReadBody> {
  const hash = createHash("sha256");
  const kept: Buffer[] = [];
  let bytes = 0;
  const take = (piece: Buffer): void => {
    bytes += piece.length;
    hash.update(piece);
    if (bytes <= BODY_KEPT_BYTES_MAX) kept.push(piece);
  };
  const done = (complete: boolean): ReadBody => ({
    kept: bytes <= BODY_KEPT_BYTES_MAX ? Buffer.concat(kept) : Buffer.alloc(0),
    bytes,
    sha256: hash.digest("hex"),
    complete,
  });

  if (request.header("transfer-encoding")?.toLowerCase().includes("chunked")) {
    for (;;) {
      const line = await reader.readThrough("\r\n", 1024);
      if (line === undefined) return done(false);
      const size = Number.parseInt(line.toString("latin1"), 16);
      if (!Number.isInteger(size) || size < 0) throw new Error("not a chunk size");
      if (size === 0) break;
      if (!(await reader.readExactly(size, take)) || !(await reader.readExactly(2, () => {}))) return done(false);
    }
    // Trailers, up to the empty line.
    for (;;) {
      const line = await reader.readThrough("\r\n", HEAD_BYTES_MAX);
      if (line === undefined) return done(false);
      if (line.length === 2) return done(true);
    }
  }
  const length = Number(request.header("content-length") ?? 0);
  return done(await reader.readExactly(length, take));
}

/** Pulls bytes off a socket, pausing it while nobody asks. */
class ByteReader {
  #pending: Buffer = Buffer.alloc(0);
  #ended = false;
  #wake: (() => void) | undefined;
  readonly #socket: net.Socket;

  constructor(socket: net.Socket) {
    this.#socket = socket;
    socket.on("data", (bytes: Buffer) => {
      this.#pending = this.#pending.length === 0 ? bytes : Buffer.concat([this.#pending, bytes]);
      if (this.#pending.length > 1024 * 1024) socket.pause();
      this.#wake?.();
    });
    const end = (): void => {
      this.#ended = true;
      this.#wake?.();
    };
    socket.on("end", end);
    socket.on("close", end);
  }

  /** Bytes up to and with `mark`; undefined when the connection ends before it. */
  async readThrough(mark: string, bytesMax: number): Promise<Buffer | undefined> {
    for (;;) {
      const at = this.#pending.indexOf(mark, 0, "latin1");
      if (at >= 0) return this.#take(at + mark.length);
      if (this.#pending.length > bytesMax) throw new Error(`no end within ${bytesMax} bytes`);
      if (!(await this.#more())) return undefined;
    }
  }

  /** Hands over exactly `count` bytes, piece by piece; false when the connection ends before them. */
  async readExactly(count: number, take: (piece: Buffer) => void): Promise<boolean> {
    let left = count;
    while (left > 0) {
      if (this.#pending.length === 0 && !(await this.#more())) return false;
      const piece = this.#take(Math.min(left, this.#pending.length));
      left -= piece.length;
      take(piece);
    }
    return true;
  }

  #take(count: number): Buffer {
    const taken = this.#pending.subarray(0, count);
    this.#pending = this.#pending.subarray(count);
    return taken;
  }

  async #more(): Promise<boolean> {
    if (this.#ended) return false;
    const before = this.#pending.length;
    this.#socket.resume();
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    this.#wake = undefined;
    return this.#pending.length > before || !this.#ended;
  }
}
