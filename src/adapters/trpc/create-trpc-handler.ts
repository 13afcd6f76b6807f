import { randomUUID } from "node:crypto";
import { fetchRequestHandler } from "@trpc/server/adapters/fetch";
import { isSameOrigin } from "@/adapters/http/principal";
import { assertHarmless, CallerGone, readJsonBody } from "@/adapters/http/read-json-body";
import { restErrorOf } from "@/adapters/http/rest-error";
import { sendAnswer } from "@/adapters/http/send-answer";
import { ServiceError } from "@/lib/errors";
import { type Exchange, clientAddress } from "@/server/gateway";
import type { Runtime } from "@/server/runtime";
import { ORG_HEADER, TRPC_PATH, type SessionOf, type TrpcContext } from "./context";
import { describeError } from "./errors";
import { appRouter } from "./root-router";

export type TrpcHandler = {
  /** @param path without query. */
  matches(path: string): boolean;
  /** Answers one request, which may hold a batch of calls. Never rejects. */
  handle(exchange: Exchange): Promise<void>;
};

/** Calls in one batch: each is a query, and a page asks for fewer. */
const BATCH_CALLS_MAX = 20;

export function createTrpcHandler({ runtime, sessionOf }: { runtime: Runtime; sessionOf: SessionOf }): TrpcHandler {
  async function handle(exchange: Exchange): Promise<void> {
    const reference = `req_${randomUUID()}`;
    try {
      const request = await requestOf(exchange, runtime);
      const response = await fetchRequestHandler({
        endpoint: TRPC_PATH,
        req: request,
        router: appRouter,
        maxBatchSize: BATCH_CALLS_MAX,
        createContext: () => contextOf(exchange, { runtime, sessionOf, reference }),
        onError({ error, path, type }) {
          if (!describeError(error, reference).unexpected) return;
          runtime.log.error({ err: error.cause ?? error, requestId: reference, endpoint: `${type} ${path ?? ""}` }, "tRPC call failed");
        },
      });
      await sendResponse(response, exchange, reference);
    } catch (error) {
      if (error instanceof CallerGone || exchange.aborted) return;
      const { status, code, message, details, headers, unexpected } = restErrorOf(error, reference);
      if (unexpected) runtime.log.error({ err: error, requestId: reference, method: exchange.method }, "tRPC request failed");
      // Refused before any call was looked at, so the answer is no batch: it has the form of REST's.
      const body = { error: { code, message, details: details === null ? null : JSON.parse(JSON.stringify(details)) } };
      await sendAnswer({ kind: "json", status, body }, { exchange, requestId: reference, headers });
    }
  }
  return { matches: (path) => path.startsWith(`${TRPC_PATH}/`), handle };
}

async function contextOf(
  exchange: Exchange,
  { runtime, sessionOf, reference }: { runtime: Runtime; sessionOf: SessionOf; reference: string },
): Promise<TrpcContext> {
  return {
    runtime,
    user: await sessionOf({ cookieHeader: exchange.header("cookie") }),
    orgId: exchange.header(ORG_HEADER),
    ip: clientAddress(exchange, runtime.env.gateway.trustedProxies),
    reference,
  };
}

/**
 * What may reach tRPC. A browser sends its cookie along with any page's request, so a change has to say that it comes from our own
 * pages, and to be JSON, which no form can send; and nothing that another site's page started is answered at all.
 */
async function requestOf(exchange: Exchange, { env }: Runtime): Promise<Request> {
  const { method, target } = exchange;
  const url = new URL(target, "http://localhost");
  if (method === "GET") {
    const site = exchange.header("sec-fetch-site");
    if (site !== undefined && site !== "same-origin" && site !== "none") throw fromElsewhere();
    assertHarmlessInput(url.searchParams.get("input"));
    return new Request(url, { headers: { "content-type": "application/json" } });
  }
  if (method !== "POST") throw new ServiceError("method_not_allowed", "Use GET for queries and POST for changes.");
  if (!isSameOrigin(exchange, env)) throw fromElsewhere();
  const { bytes } = await readJsonBody(exchange, { optional: false });
  return new Request(url, { method, headers: { "content-type": "application/json" }, body: new Uint8Array(bytes) });
}

const fromElsewhere = (): ServiceError => new ServiceError("forbidden", "A request made in a session must come from our own pages.");

/** The rules of a JSON body, for input that comes in the query. */
function assertHarmlessInput(input: string | null): void {
  if (input === null) return;
  let value: unknown;
  try {
    value = JSON.parse(input);
  } catch {
    throw new ServiceError("bad_request", "The input is not valid JSON.");
  }
  assertHarmless(value);
}

async function sendResponse(response: Response, exchange: Exchange, reference: string): Promise<void> {
  const body = Buffer.from(await response.arrayBuffer());
  if (exchange.aborted) return;
  exchange.writeHead(response.status, [
    "content-type",
    response.headers.get("content-type") ?? "application/json",
    "content-length",
    String(body.length),
    "x-request-id",
    reference,
    "cache-control",
    "private, no-store",
    "x-content-type-options",
    "nosniff",
  ]);
  exchange.end(body);
}
