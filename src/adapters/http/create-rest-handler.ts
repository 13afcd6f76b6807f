import { createHash, randomUUID } from "node:crypto";
import type { Prisma } from "@/generated/prisma/client";
import { HTTP_STATUS, ServiceError } from "@/lib/errors";
import { assertAllowed } from "@/server/access";
import type { Ctx, Principal } from "@/server/context";
import { API_VERSION, type Exchange, clientAddress } from "@/server/gateway";
import { withIdempotency } from "@/server/idempotency";
import type { RestDeps } from "./deps";
import { parseInput } from "./parse-input";
import { principalOf } from "./principal";
import { CallerGone, readJsonBody, type JsonBody } from "./read-json-body";
import { readQuery } from "./read-query";
import { restErrorOf } from "./rest-error";
import type { PrincipalRoute, RestAnswer } from "./route";
import { createRouteTable, type RouteMatch } from "./route-table";
import { routes } from "./routes";
import { sendAnswer } from "./send-answer";

export type RestHandler = {
  /** Whether a path (without query) is ours to answer. Exact: what is not ours goes on to the gateway and to Next. */
  matches(method: string, path: string): boolean;
  /** Answers one request. Never rejects. */
  handle(exchange: Exchange): Promise<void>;
};

const table = createRouteTable(routes);
const IDEMPOTENCY_KEY = /^[\x21-\x7e]{1,255}$/;

type Answered = { answer: RestAnswer; headers?: readonly string[] };

export function createRestHandler(deps: RestDeps): RestHandler {
  async function handle(exchange: Exchange): Promise<void> {
    const requestId = `req_${randomUUID()}`;
    let started = false;
    try {
      const { answer, headers } = await answerOf(exchange, deps);
      started = true;
      await sendAnswer(answer, { exchange, requestId, headers });
    } catch (error) {
      if (error instanceof CallerGone) return;
      const { status, code, message, details, headers, unexpected } = restErrorOf(error, requestId);
      if (unexpected)
        deps.log.error({ err: error, requestId, method: exchange.method, endpoint: pathOf(exchange.target) }, "REST request failed");
      // After the first byte nothing truthful can be said any more: a broken connection is not taken for a whole answer.
      if (started) return exchange.destroy();
      const body = { error: { code, message, details: plain(details) } };
      await sendAnswer({ kind: "json", status, body }, { exchange, requestId, headers });
    }
  }
  return { matches: (_method, path) => table.owns(path), handle };
}

/** From the request line to the answer: route, caller, rights, input, verb. The caller is known before anything of the input is read. */
async function answerOf(exchange: Exchange, deps: RestDeps): Promise<Answered> {
  const match = table.find(exchange.method, pathOf(exchange.target));
  if ("allow" in match) return methodNotAllowed(match.allow);
  const version = exchange.header("nullspend-version");
  if (version !== undefined && version !== API_VERSION) {
    throw new ServiceError("bad_request", `This version of the API is not known. Send NullSpend-Version: ${API_VERSION}, or leave it out.`);
  }
  if (match.route.access === "public") {
    return { answer: await match.route.handle({ deps, authorization: exchange.header("authorization") }) };
  }
  const principal = await principalOf(exchange, deps);
  assertAllowed(principal, match.route.access);
  const ctx: Ctx = { prisma: deps.prisma, clock: deps.clock, principal, ip: clientAddress(exchange, deps.env.gateway.trustedProxies) };
  const answered = await answerOfVerb({ exchange, deps, ctx, route: match.route, params: match.params });
  if (changesConfiguration(match.route)) deps.authenticator.invalidate(principal.orgId);
  return answered;
}

/** What agents report and ask all day long changes nothing that is held in memory, and must not cost everybody's next call a lookup. */
const changesConfiguration = ({ method, access }: PrincipalRoute): boolean =>
  method !== "GET" && (access.key === "session_only" || access.key.includes("manage"));

type VerbCall = { exchange: Exchange; deps: RestDeps; ctx: Ctx; route: PrincipalRoute; params: RouteMatch["params"] };

async function answerOfVerb({ exchange, deps, ctx, route, params: sentParams }: VerbCall): Promise<Answered> {
  const params = route.params ? parseInput(route.params, sentParams, "path") : {};
  const query = parseQuery(route, exchange.target);
  const idempotencyKey = route.method === "POST" ? idempotencyKeyOf(exchange) : undefined;
  const json = route.body ? await readJsonBody(exchange, { optional: route.bodyOptional ?? false }) : undefined;
  const body = route.body && json ? parseInput(route.body, json.value, "body") : undefined;
  const input = { ctx, deps, params, query, body };
  if (idempotencyKey === undefined) return { answer: await route.handle({ ...input, attemptId: undefined }) };
  return answerOnce({ exchange, deps, ctx, route, json, idempotencyKey, run: (attemptId) => route.handle({ ...input, attemptId }) });
}

type Once = Omit<VerbCall, "params"> & {
  json: JsonBody | undefined;
  idempotencyKey: string;
  run: (attemptId: string) => Promise<RestAnswer>;
};

async function answerOnce({ exchange, deps, ctx, route, json, idempotencyKey, run }: Once): Promise<Answered> {
  const scope = { principal: idempotencyPrincipal(ctx.principal), route: `POST ${pathOf(exchange.target)}`, key: idempotencyKey };
  const bodyHash = sha256(json?.bytes ?? "");
  const attemptId = sha256(JSON.stringify([scope.principal, scope.route, scope.key, bodyHash]));
  const { status, body, replayed } = await withIdempotency({
    prisma: deps.prisma,
    log: deps.log,
    ...scope,
    bodyHash,
    withoutSecrets: route.withoutSecrets,
    run: async () => {
      const answer = await run(attemptId);
      if (answer.kind !== "json") throw new Error(`${route.operationId}: only JSON can be answered twice`);
      return { status: answer.status, body: answer.body };
    },
  });
  return { answer: { kind: "json", status, body }, headers: replayed ? ["x-idempotent-replayed", "true"] : [] };
}

const sha256 = (data: string | Uint8Array): string => createHash("sha256").update(data).digest("hex");

function parseQuery(route: PrincipalRoute, target: string): Record<string, unknown> {
  const sent = readQuery(target);
  const gathered = route.gatherQuery ? route.gatherQuery(sent) : { ...sent };
  if (route.query) return parseInput(route.query, gathered, "query");
  const unknown = Object.keys(gathered)[0];
  if (unknown === undefined) return {};
  throw new ServiceError("bad_request", "This endpoint takes no query parameters.", {
    issues: [{ path: unknown.slice(0, 64), message: "unknown parameter" }],
  });
}

function idempotencyKeyOf(exchange: Exchange): string | undefined {
  const key = exchange.header("idempotency-key");
  if (key === undefined || IDEMPOTENCY_KEY.test(key)) return key;
  throw new ServiceError("bad_request", "An Idempotency-Key is 1 to 255 visible ASCII characters.");
}

function idempotencyPrincipal(principal: Principal): string {
  switch (principal.type) {
    case "api_key":
      return `${principal.orgId}:key:${principal.keyId}`;
    case "user":
      return `${principal.orgId}:user:${principal.userId}`;
    case "system":
      return `${principal.orgId}:system`;
  }
}

function methodNotAllowed(allow: readonly string[]): Answered {
  const code = "method_not_allowed";
  const message = `This path takes ${allow.join(", ")}.`;
  return {
    answer: { kind: "json", status: HTTP_STATUS[code], body: { error: { code, message, details: null } } },
    headers: ["allow", allow.join(", ")],
  };
}

/** Details come from all domains; what JSON cannot say must not turn one error into another. */
function plain(details: Readonly<Record<string, unknown>> | null): Prisma.InputJsonObject | null {
  const text = JSON.stringify(details, (_key, value: unknown) => (typeof value === "bigint" ? value.toString() : value));
  return JSON.parse(text) as Prisma.InputJsonObject | null;
}

function pathOf(target: string): string {
  const query = target.indexOf("?");
  return query === -1 ? target : target.slice(0, query);
}
