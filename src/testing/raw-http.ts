import net from "node:net";

/**
 * HTTP/1.1 over a bare socket, for tests that are about bytes: any bytes can be sent, what comes back is kept as it came and when it
 * came, and the connection can be ended at a chosen moment, politely (FIN) or not (RST).
 */
export type RawResponse = {
  status: number;
  statusMessage: string;
  /** Name, value, name, value …, in the order and case received. */
  rawHeaders: string[];
  /** First value of a header; `name` in lower case. */
  header(name: string): string | undefined;
  /** Without transfer encoding; content encoding is left as it is. */
  body: Buffer;
  /** The framing was ended as HTTP asks: last chunk, or as many bytes as announced. A body that ends with the connection is not. */
  complete: boolean;
  /** Every byte received, from the status line on. */
  wire: Buffer;
};

export type ReceivedPiece = { atMs: number; bytes: Buffer };

export class RawConnection {
  readonly socket: net.Socket;
  /** Everything received, piece by piece as the kernel gave it. */
  readonly pieces: ReceivedPiece[] = [];
  ended = false;
  error: Error | undefined;
  #received: Buffer = Buffer.alloc(0);
  readonly #watchers = new Set<() => void>();

  private constructor(socket: net.Socket) {
    this.socket = socket;
    socket.on("data", (bytes: Buffer) => {
      this.pieces.push({ atMs: performance.now(), bytes });
      this.#received = Buffer.concat([this.#received, bytes]);
      this.#wake();
    });
    const end = (): void => {
      this.ended = true;
      this.#wake();
    };
    socket.on("end", end);
    socket.on("close", end);
    socket.on("error", (error) => {
      this.error = error;
      end();
    });
  }

  static connect(target: { port: number; host?: string }): Promise<RawConnection> {
    return new Promise((resolve, reject) => {
      const socket = net.connect({ port: target.port, host: target.host ?? "127.0.0.1", noDelay: true });
      socket.once("error", reject);
      socket.once("connect", () => {
        socket.off("error", reject);
        resolve(new RawConnection(socket));
      });
    });
  }

  get received(): Buffer {
    return this.#received;
  }

  /** Resolves when the kernel has taken the bytes. */
  send(bytes: Uint8Array | string): Promise<void> {
    return new Promise((resolve) => {
      this.socket.write(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes, () => resolve());
    });
  }

  /** Resolves true as soon as `isThere` holds for what was received, false when the connection ended without it. */
  async until(isThere: (received: Buffer) => boolean): Promise<boolean> {
    while (!isThere(this.#received)) {
      if (this.ended) return false;
      await new Promise<void>((resolve) => this.#watchers.add(resolve));
    }
    return true;
  }

  /** The next answer on this connection; what follows it stays in `received`. Interim answers (1xx) are skipped. */
  async response(options: { method?: string } = {}): Promise<RawResponse> {
    for (;;) {
      let parsed = parseResponse(this.#received, { ended: this.ended, method: options.method ?? "GET" });
      while (!parsed) {
        if (this.ended)
          throw new Error(`connection ended before an answer (${this.error?.message ?? "FIN"}), had ${this.#received.length} bytes`);
        await new Promise<void>((resolve) => this.#watchers.add(resolve));
        parsed = parseResponse(this.#received, { ended: this.ended, method: options.method ?? "GET" });
      }
      this.#received = this.#received.subarray(parsed.wire.length);
      if (parsed.status >= 200) return parsed;
    }
  }

  /** FIN: the caller is done, and closes. */
  hangUp(): void {
    this.socket.end();
    this.socket.destroySoon();
  }

  /** RST: the caller is gone. */
  reset(): void {
    this.socket.resetAndDestroy();
  }

  /** Stops reading, as a caller does who cannot keep up. */
  stall(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  #wake(): void {
    for (const watcher of this.#watchers) watcher();
    this.#watchers.clear();
  }
}

export type RawRequest = {
  port: number;
  method?: string;
  target: string;
  /** Name, value, name, value …; sent as they are. `Host` and `Content-Length` are added where missing. */
  headers?: readonly string[];
  body?: Uint8Array | string;
  /** Sends the body in these many bytes per chunk, with chunked transfer encoding. */
  chunkBytes?: number;
};

/** `headerList("A: b", "C: d")` → name, value, name, value …, in order and case. */
export const headerList = (...lines: string[]): string[] =>
  lines.flatMap((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1).trim()]);

/** The bytes of a request. */
export function requestBytes(request: RawRequest): Buffer {
  const body = request.body === undefined ? undefined : Buffer.from(request.body);
  const headers = [...(request.headers ?? [])];
  const has = (name: string): boolean => headers.some((value, index) => index % 2 === 0 && value.toLowerCase() === name);
  if (!has("host")) headers.unshift("Host", `127.0.0.1:${request.port}`);
  if (request.chunkBytes !== undefined) headers.push("Transfer-Encoding", "chunked");
  else if (body && !has("content-length")) headers.push("Content-Length", String(body.length));
  let head = `${request.method ?? (body ? "POST" : "GET")} ${request.target} HTTP/1.1\r\n`;
  for (let i = 0; i < headers.length; i += 2) head += `${headers[i]}: ${headers[i + 1]}\r\n`;
  const parts: Uint8Array[] = [Buffer.from(`${head}\r\n`, "latin1")];
  if (body && request.chunkBytes !== undefined) {
    for (let at = 0; at < body.length; at += request.chunkBytes) {
      const piece = body.subarray(at, at + request.chunkBytes);
      parts.push(Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from("\r\n"));
    }
    parts.push(Buffer.from("0\r\n\r\n"));
  } else if (body) parts.push(body);
  return Buffer.concat(parts);
}

/** One request on a connection of its own. */
export async function rawRequest(request: RawRequest): Promise<RawResponse> {
  const connection = await RawConnection.connect({ port: request.port });
  try {
    void connection.send(requestBytes(request));
    return await connection.response({ method: request.method ?? (request.body === undefined ? "GET" : "POST") });
  } finally {
    connection.socket.destroy();
  }
}

/** Undefined: more bytes are needed. */
function parseResponse(bytes: Buffer, options: { ended: boolean; method: string }): RawResponse | undefined {
  const headEnd = bytes.indexOf("\r\n\r\n");
  if (headEnd < 0) return undefined;
  const lines = bytes.toString("latin1", 0, headEnd).split("\r\n");
  const statusLine = /^HTTP\/1\.[01] (\d{3}) ?(.*)$/.exec(lines[0] ?? "");
  if (!statusLine) throw new Error(`not a status line: ${lines[0]}`);
  const rawHeaders: string[] = [];
  for (const line of lines.slice(1)) {
    const colon = line.indexOf(":");
    rawHeaders.push(line.slice(0, colon), line.slice(colon + 1).trim());
  }
  const header = (name: string): string | undefined => {
    for (let i = 0; i < rawHeaders.length; i += 2) if (rawHeaders[i]!.toLowerCase() === name) return rawHeaders[i + 1];
    return undefined;
  };
  const status = Number(statusLine[1]);
  const start = headEnd + 4;
  const response = (body: Buffer, end: number, complete: boolean): RawResponse => ({
    status,
    statusMessage: statusLine[2]!,
    rawHeaders,
    header,
    body,
    complete,
    wire: bytes.subarray(0, end),
  });

  if (options.method === "HEAD" || status < 200 || status === 204 || status === 304) return response(Buffer.alloc(0), start, true);
  if (header("transfer-encoding")?.toLowerCase() === "chunked") {
    const pieces: Buffer[] = [];
    let at = start;
    for (;;) {
      const lineEnd = bytes.indexOf("\r\n", at);
      const size = lineEnd < 0 ? Number.NaN : Number.parseInt(bytes.toString("latin1", at, lineEnd), 16);
      const next = lineEnd + 2 + size + 2;
      if (lineEnd < 0 || bytes.length < next) {
        if (!options.ended) return undefined;
        const rest = lineEnd < 0 ? Buffer.alloc(0) : bytes.subarray(lineEnd + 2);
        return response(Buffer.concat([...pieces, rest]), bytes.length, false);
      }
      if (size === 0) return response(Buffer.concat(pieces), next, true);
      pieces.push(bytes.subarray(lineEnd + 2, next - 2));
      at = next;
    }
  }
  const announced = header("content-length");
  if (announced === undefined) return options.ended ? response(bytes.subarray(start), bytes.length, false) : undefined;
  const end = start + Number(announced);
  if (bytes.length >= end) return response(bytes.subarray(start, end), end, true);
  return options.ended ? response(bytes.subarray(start), bytes.length, false) : undefined;
}
