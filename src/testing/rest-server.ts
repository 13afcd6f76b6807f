import { randomBytes } from "node:crypto";
import { createServer, request, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { Registry } from "prom-client";
import { systemClock } from "@/lib/clock";
import { createEncryption } from "@/lib/encryption";
import { createLogger } from "@/lib/logger";
import { createKeyAuthenticator } from "@/server/api-key";
import { createApprovals } from "@/server/approval";
import { createBus } from "@/server/bus";
import { createOrgDeps } from "@/server/org";
import { createBudgetBook, createDecisionLog } from "@/server/budget";
import { NodeExchange } from "@/server/gateway/node-adapter";
import { createLedger, createSettleDoor } from "@/server/ledger";
import { ListPriceBook } from "@/server/pricing";
import { createWebhooks } from "@/server/webhook";
import type { TestDatabase } from "./database";
import { createRestHandler, type RestDeps } from "@/adapters/http";

export type RestAnswer = { status: number; headers: IncomingHttpHeaders; text: string; json: unknown };
export type RestRequest = {
  key?: string;
  body?: unknown;
  /** Sent as it is, in place of `body`. */
  raw?: string | Buffer;
  headers?: Record<string, string>;
};
export type RestTestServer = {
  deps: RestDeps;
  /** @param method and target in one: `GET /api/keys`. Bytes of the target are sent as they are. */
  send(what: string, request?: RestRequest): Promise<RestAnswer>;
  url: string;
  close(): Promise<void>;
};

/** REST on a real HTTP server and a real database, for tests. What no route matches is answered 418, as the mark of "not ours". */
export async function startRestServer(database: TestDatabase, overrides: Partial<RestDeps> = {}): Promise<RestTestServer> {
  const log = createLogger({ level: "silent" });
  const authenticator = createKeyAuthenticator({ connectionString: database.connectionString, clock: systemClock, log, pollMs: 20 });
  authenticator.start();
  const settleDoor = createSettleDoor({ connectionString: database.connectionString, clock: systemClock, log });
  const ledger = createLedger({ connectionString: database.connectionString, clock: systemClock, log });
  const approvals = createApprovals({
    prisma: database.prisma,
    clock: systemClock,
    log,
    publicUrl: "http://localhost:3000",
    ask: async () => {},
    publish: () => {},
  });
  const webhooks = createWebhooks({
    prisma: database.prisma,
    clock: systemClock,
    log,
    encryption: createEncryption({ current: randomBytes(32) }),
    policy: { allowPrivate: true, isProduction: false, ownOrigin: "http://localhost:3000" },
    publicUrl: "http://localhost:3000",
  });
  const deps: RestDeps = {
    approvals,
    webhooks,
    orgs: createOrgDeps({ publicUrl: "http://localhost:3000", bus: createBus({ log }) }),
    prisma: database.prisma,
    clock: systemClock,
    log,
    authenticator,
    settleDoor,
    ledger,
    budgetBook: createBudgetBook({ prisma: database.prisma }),
    decisionLog: createDecisionLog({ prisma: database.prisma, log }),
    listPriceBook: new ListPriceBook(),
    ready: async () => ({ ready: true, checks: { database: true } }),
    env: { gateway: { trustedProxies: [] } },
    gateway: { metrics: { registry: new Registry() } },
    ...overrides,
  };
  const rest = createRestHandler(deps);
  const server = createServer((incoming, outgoing) => {
    const exchange = new NodeExchange(incoming, outgoing);
    if (rest.matches(exchange.method, exchange.target.split("?")[0]!)) void rest.handle(exchange);
    else outgoing.writeHead(418).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;

  return {
    deps,
    url: `http://127.0.0.1:${port}`,
    send: (what, asked) => send(port, what, asked),
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await authenticator.stop();
      await approvals.stop();
      await webhooks.stop();
      await deps.decisionLog.drain();
      await ledger.stop();
      await settleDoor.stop();
    },
  };
}

function send(port: number, what: string, { key, body, raw, headers = {} }: RestRequest = {}): Promise<RestAnswer> {
  const [method = "GET", target = "/"] = what.split(" ");
  const payload = raw ?? (body === undefined ? undefined : JSON.stringify(body));
  return new Promise((resolve, reject) => {
    const outgoing = request(
      {
        host: "127.0.0.1",
        port,
        method,
        path: target,
        headers: {
          ...(key !== undefined && { "x-nullspend-key": key }),
          ...(payload !== undefined && { "content-type": "application/json", "content-length": Buffer.byteLength(payload) }),
          ...headers,
        },
      },
      (incoming) => {
        const chunks: Buffer[] = [];
        incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
        incoming.on("error", reject);
        incoming.on("end", () => {
          const text = Buffer.concat(chunks).toString();
          const isJson = incoming.headers["content-type"]?.startsWith("application/json") === true && text !== "";
          resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, text, json: isJson ? JSON.parse(text) : undefined });
        });
      },
    );
    outgoing.on("error", reject);
    outgoing.end(payload);
  });
}
