import http, { type IncomingMessage, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { NodeExchange, type NodeExchangeLimits } from "@/server/gateway";
import type { RequestHandler } from "./request-handler";

/** The HTTP server in front of everything: what Node leaves open to hostile or odd callers is closed here, once for all surfaces. */
export type NodeServer = {
  server: http.Server;
  /** Requests being answered. */
  readonly inFlight: number;
  /** From here on every connection is closed after its answer; upgraded ones at once. */
  beginShutdown(): void;
};

export type NodeServerOptions = {
  handler: RequestHandler;
  /** Takes what is neither REST nor the gateway: Next. */
  fallback: (request: IncomingMessage, response: ServerResponse) => void;
  /** True: took over the upgraded socket (Next's own, while developing). */
  upgradeFallback?: (request: IncomingMessage, socket: Duplex, head: Buffer) => boolean;
  exchangeLimits?: NodeExchangeLimits;
};

/** A head that trickles in is dropped after this. */
const HEADERS_MS = 20_000;
/**
 * The last resort for bodies that trickle: long enough for half a gigabyte over a slow line. What is read into memory has
 * tighter limits of its own.
 */
const REQUEST_MS = 60 * 60_000;

export function createNodeServer({ handler, fallback, upgradeFallback, exchangeLimits }: NodeServerOptions): NodeServer {
  const server = http.createServer({
    headersTimeout: HEADERS_MS,
    requestTimeout: REQUEST_MS,
    // How often the two above are looked at.
    connectionsCheckingInterval: 5_000,
    keepAliveTimeout: 65_000,
    maxHeaderSize: 65_536,
  });
  const upgraded = new Set<Duplex>();
  let inFlight = 0;
  let stopping = false;

  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    inFlight += 1;
    response.once("close", () => {
      inFlight -= 1;
    });
    if (stopping) response.setHeader("connection", "close");
    const problem = problemOf(request);
    if (problem !== undefined) {
      response.writeHead(400, { connection: "close", "content-type": "text/plain" }).end(`${problem}\n`);
    } else if (handler.serves(request.method ?? "GET", request.url ?? "/")) {
      void handler.handle(new NodeExchange(request, response, exchangeLimits));
    } else {
      fallback(request, response);
    }
  };

  server.on("request", (request: IncomingMessage, response: ServerResponse) => {
    // A request sent before the one ahead of it was answered waits for its turn. Node would run both, holding the second answer
    // back; and as that answer has no socket yet, nobody would be told that its caller has left.
    if (response.socket) answer(request, response);
    else response.once("socket", () => answer(request, response));
  });

  server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on("error", () => socket.destroy());
    if (request.headers.upgrade?.toLowerCase() !== "websocket") {
      answerWithoutUpgrade(server, request, socket, head);
      return;
    }
    upgraded.add(socket);
    socket.once("close", () => upgraded.delete(socket));
    if (upgradeFallback?.(request, socket, head)) return;
    const refused = handler.refuseUpgrade(request.url ?? "/", (name) => {
      const value = request.headers[name];
      return typeof value === "string" ? value : value?.[0];
    });
    endWith(socket, refused.status, refused.text);
  });

  // Without a listener Node would close the connection without a word.
  server.on("connect", (_request: IncomingMessage, socket: Duplex) => {
    socket.on("error", () => socket.destroy());
    endWith(socket, "405 Method Not Allowed", METHOD_NOT_ALLOWED);
  });

  server.on("clientError", (error: NodeJS.ErrnoException, socket: Duplex) => {
    // Node keeps the answer in progress here; a status line in the middle of it would be taken for its body.
    const { _httpMessage: current } = socket as Duplex & { _httpMessage?: ServerResponse };
    if (socket.writable && !current?.headersSent) {
      socket.end(`HTTP/1.1 ${STATUS_OF_ERROR[error.code ?? ""] ?? "400 Bad Request"}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`);
    } else {
      socket.destroy();
    }
  });

  return {
    server,
    get inFlight() {
      return inFlight;
    },
    beginShutdown() {
      stopping = true;
      for (const socket of upgraded) socket.destroy();
    },
  };
}

const STATUS_OF_ERROR: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: "431 Request Header Fields Too Large",
  HPE_CHUNK_EXTENSIONS_OVERFLOW: "413 Payload Too Large",
  ERR_HTTP_REQUEST_TIMEOUT: "408 Request Timeout",
};

const METHOD_NOT_ALLOWED = JSON.stringify({
  error: { code: "method_not_allowed", message: "NullSpend is no forward proxy: CONNECT is not answered.", details: null },
});

function endWith(socket: Duplex, status: string, text: string): void {
  const length = Buffer.byteLength(text);
  socket.end(`HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: ${length}\r\n\r\n${text}`, () =>
    socket.destroy(),
  );
}

/**
 * What must not reach a handler that might read it in another way than the next one. An absolute target, which a caller behind a
 * proxy sends (RFC 9112 §3.2.2), is cut to its path first: Next would send it on to whatever host it names.
 */
function problemOf(request: IncomingMessage): string | undefined {
  if (hasSeveralHosts(request.rawHeaders)) return "A request has one Host header.";
  const absolute = /^https?:\/\/[^/?#]*/i.exec(request.url ?? "")?.[0];
  if (absolute !== undefined) request.url = request.url!.slice(absolute.length) || "/";
  const target = request.url ?? "";
  if (target.charCodeAt(0) !== 0x2f) return "A target begins with a slash.";
  if (DOT_SEGMENT.test(target)) return "A target has no dot segments.";
  return undefined;
}

/** `.` and `..` between slashes, escaped or not, before the query. Clients take them out themselves (RFC 3986 §5.2.4). */
const DOT_SEGMENT = /^[^?]*?[/\\](?:\.|%2e){1,2}(?:[/\\?]|$)/i;

/** RFC 9112 §3.2. Node takes the first of them without a word. */
function hasSeveralHosts(rawHeaders: readonly string[]): boolean {
  let hosts = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (rawHeaders[i]!.length === 4 && rawHeaders[i]!.toLowerCase() === "host") hosts += 1;
  }
  return hosts > 1;
}

/**
 * An offer to speak another protocol (`h2c`, which Java's client makes on every plain connection) may be passed over (RFC 9110
 * §7.8), but Node hands each of them out as if it had been taken. The request goes back to the server without the offer.
 */
function answerWithoutUpgrade(server: http.Server, request: IncomingMessage, socket: Duplex, head: Buffer): void {
  const { rawHeaders } = request;
  let text = `${request.method} ${request.url} HTTP/${request.httpVersion}\r\n`;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!.toLowerCase();
    if (name === "upgrade" || name === "http2-settings") continue;
    const value = name === "connection" ? withoutUpgrade(rawHeaders[i + 1]!) : rawHeaders[i + 1]!;
    if (value !== "") text += `${rawHeaders[i]}: ${value}\r\n`;
  }
  socket.unshift(Buffer.concat([Buffer.from(`${text}\r\n`, "latin1"), head]));
  server.emit("connection", socket);
}

const withoutUpgrade = (connection: string): string =>
  connection
    .split(",")
    .map((part) => part.trim())
    .filter((part) => !/^(upgrade|http2-settings)$/i.test(part))
    .join(", ");
