import { lookup as systemLookup, type LookupAddress } from "node:dns";
import { isIP, type LookupFunction } from "node:net";
import { Agent, buildConnector, request } from "undici";
import { isPublicAddress } from "./public-address";

/** What came of one attempt. `status` null: no answer. */
export type SendOutcome = {
  status: number | null;
  error: string | null;
  /** The first kilobyte of the answer, printable; null: none. */
  responseBody: string | null;
  retryAfter: string | undefined;
};

export interface WebhookSender {
  send(input: { url: string; headers: Readonly<Record<string, string>>; body: string }): Promise<SendOutcome>;
  close(): Promise<void>;
}

type Resolve = (hostname: string, callback: (error: Error | null, addresses: LookupAddress[]) => void) => void;

export type SenderOptions = {
  /** False: private addresses are refused. */
  allowPrivate: boolean;
  timeoutMs?: number;
  /** How names become addresses; a test can rebind one. */
  resolve?: Resolve;
};

/** Of everything: resolving, connecting, sending, waiting (CONTRACT §9). */
const TIMEOUT_MS = 15_000;
const CONNECT_MS = 10_000;
/** Of the answer's body, once its status is known: the status alone decides. */
const BODY_MS = 2_000;
const BODY_READ_MAX = 64 * 1024;
const BODY_KEPT_MAX = 1024;

/** Refused before a byte of HTTP was sent. */
class NotPublicError extends Error {
  override readonly name = "NotPublicError";
}

const resolveAll: Resolve = (hostname, callback) =>
  systemLookup(hostname, { all: true }, (error, addresses) => callback(error, addresses ?? []));

/**
 * Sends to receivers that customers named. Follows no redirect, uses no proxy of the environment, decodes nothing, keeps no
 * connection, and connects to public addresses only: what a name resolves to is checked as a whole before anything connects, the
 * connection goes to exactly those addresses, and the peer of the connected socket is checked again.
 */
export function createWebhookSender({ allowPrivate, timeoutMs = TIMEOUT_MS, resolve = resolveAll }: SenderOptions): WebhookSender {
  const isAllowed = (address: string): boolean => allowPrivate || isPublicAddress(address);

  const lookup: LookupFunction = (hostname, options, callback) => {
    resolve(hostname, (error, addresses) => {
      if (error) return callback(error, []);
      // One private address among public ones is refused too: which of them is taken would be the receiver's choice.
      if (addresses.length === 0 || !addresses.every(({ address }) => isAllowed(address))) {
        return callback(new NotPublicError("the name leads to an address that is not public"), []);
      }
      if (options.all === true) return callback(null, addresses);
      callback(null, addresses[0]!.address, addresses[0]!.family);
    });
  };
  const connectSocket = buildConnector({ timeout: CONNECT_MS, lookup });
  const agent = new Agent({
    pipelining: 0,
    maxHeaderSize: 16 * 1024,
    headersTimeout: timeoutMs,
    bodyTimeout: BODY_MS,
    connect(options, callback) {
      // `lookup` is not asked about literals.
      const host = options.hostname.replace(/^\[|\]$/g, "");
      if (isIP(host) !== 0 && !isAllowed(host)) return callback(new NotPublicError("the address is not public"), null);
      connectSocket(options, (error, socket) => {
        if (error) return callback(error, null);
        if (!isAllowed(socket.remoteAddress ?? "")) {
          socket.destroy();
          return callback(new NotPublicError("the address is not public"), null);
        }
        callback(null, socket);
      });
    },
  });

  return {
    async send({ url, headers, body }) {
      const deadline = new AbortController();
      const timer = setTimeout(() => deadline.abort(), timeoutMs);
      try {
        const answer = await request(url, { method: "POST", headers, body, dispatcher: agent, signal: deadline.signal });
        const retryAfter = answer.headers["retry-after"];
        const responseBody = await readStart(answer.body, { isEncoded: answer.headers["content-encoding"] !== undefined });
        return {
          status: answer.statusCode,
          error: answer.statusCode >= 200 && answer.statusCode < 300 ? null : refusalOf(answer.statusCode),
          responseBody,
          retryAfter: typeof retryAfter === "string" ? retryAfter : undefined,
        };
      } catch (error) {
        const timedOut = deadline.signal.aborted;
        return {
          status: null,
          error: timedOut ? `no answer within ${timeoutMs / 1000} seconds` : wordsFor(error),
          responseBody: null,
          retryAfter: undefined,
        };
      } finally {
        clearTimeout(timer);
      }
    },
    close: () => agent.destroy(),
  };
}

/** The first kilobyte; whatever happens to the rest of the body does not matter any more. */
async function readStart(
  body: AsyncIterable<Buffer> & { destroy(): unknown },
  { isEncoded }: { isEncoded: boolean },
): Promise<string | null> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  const timer = setTimeout(() => body.destroy(), BODY_MS);
  try {
    for await (const chunk of body) {
      if (bytes < BODY_KEPT_MAX) chunks.push(chunk);
      bytes += chunk.length;
      if (bytes >= BODY_READ_MAX) break;
    }
  } catch {
    // A body that breaks off or hangs: its status was already read.
  } finally {
    clearTimeout(timer);
    body.destroy();
  }
  if (bytes === 0) return null;
  return isEncoded ? "(compressed, not shown)" : printable(Buffer.concat(chunks).subarray(0, BODY_KEPT_MAX));
}

/** Text without control characters, bidirectional overrides and halves of characters. */
const printable = (bytes: Buffer): string =>
  new TextDecoder()
    .decode(bytes)
    .replace(/[^\P{C}\n\t]/gu, "�")
    .slice(0, BODY_KEPT_MAX);

function refusalOf(status: number): string {
  if (status >= 300 && status < 400) return `answered ${status}: redirects are not followed`;
  return `answered ${status}`;
}

/** Says no more than what the receiver's owner can see for themselves: never an address that a name resolved to. */
function wordsFor(error: unknown): string {
  const { name, code } = error instanceof Error ? (error as NodeJS.ErrnoException) : { name: "", code: undefined };
  if (name === "NotPublicError") return "the address is not on the public internet";
  switch (code) {
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return "the name could not be resolved";
    case "ECONNREFUSED":
      return "the connection was refused";
    case "ECONNRESET":
    case "EPIPE":
    case "UND_ERR_SOCKET":
      return "the connection was broken off";
    case "UND_ERR_CONNECT_TIMEOUT":
    case "ETIMEDOUT":
      return "the connection timed out";
    case "UND_ERR_HEADERS_OVERFLOW":
      return "the answer's headers are too large";
    case "UND_ERR_HEADERS_TIMEOUT":
      return "no answer in time";
    default:
      return code !== undefined && /CERT|TLS|SSL|SIGNATURE|ALTNAME/.test(code)
        ? "the TLS certificate or handshake is not valid"
        : "the request failed";
  }
}
