import { randomBytes } from "node:crypto";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { createNodeServer } from "@/adapters/node-server";
import { createRequestHandler } from "@/adapters/request-handler";
import { readEnv } from "@/lib/env";
import { createLogger } from "@/lib/logger";
import type { GatewayLimits, NodeExchangeLimits } from "@/server/gateway";
import { startRuntime, type Runtime } from "@/server/runtime";
import { createTestDatabase, type TestDatabase } from "../database";
import { startFakeProvider, type FakeProvider } from "../fake-provider";
import { headerList, rawRequest, type RawRequest, type RawResponse } from "../raw-http";

/**
 * The product without its pages, in the test's own process: the real server, runtime, database and provider pools, with limits
 * that a test can wait for, and with its memory in reach. What needs the built product uses `startProduct`.
 */
export type GatewayServer = {
  port: number;
  origin: string;
  runtime: Runtime;
  database: TestDatabase;
  fake: FakeProvider;
  /** Default scopes. */
  apiKey: string;
  adminKey: string;
  /** Everything logged so far. */
  logs(): string;
  /** A request of the default key, with a provider's key. */
  send(request: Omit<RawRequest, "port">): Promise<RawResponse>;
  /** Headers of the default key and of a JSON body. */
  headers(...more: string[]): string[];
  /** Open connections of callers. */
  connections(): Promise<number>;
  close(): Promise<void>;
};

const newKey = (): string => `ns_live_sk_${randomBytes(16).toString("hex")}`;

export async function startGatewayServer(
  options: {
    limits?: Partial<GatewayLimits>;
    exchangeLimits?: NodeExchangeLimits;
    env?: Record<string, string>;
    fake?: FakeProvider;
    /** Where calls go instead of the fake. */
    upstreamUrl?: string;
    databaseUrl?: string;
    database?: TestDatabase;
    logLevel?: "debug" | "warn";
  } = {},
): Promise<GatewayServer> {
  const fake = options.fake ?? (await startFakeProvider());
  const database = options.database ?? (await createTestDatabase());
  const url = options.databaseUrl ?? database.connectionString;
  const upstreamUrl = options.upstreamUrl ?? fake.url;
  const [apiKey, adminKey] = [newKey(), newKey()];
  const env = readEnv({
    NODE_ENV: "test",
    DATABASE_URL: url,
    NEXTAUTH_SECRET: randomBytes(32).toString("base64"),
    ENCRYPTION_KEY: randomBytes(32).toString("hex"),
    OPENAI_UPSTREAM_URL: upstreamUrl,
    ANTHROPIC_UPSTREAM_URL: upstreamUrl,
    NULLSPEND_INIT_USER_EMAIL: "owner@example.com",
    NULLSPEND_INIT_API_KEY: apiKey,
    NULLSPEND_INIT_ADMIN_KEY: adminKey,
    ...options.env,
  });
  let logged = "";
  const log = createLogger({ level: options.logLevel ?? "debug", destination: { write: (line) => void (logged += line) } });
  const runtime = await startRuntime({
    env,
    log,
    root: process.cwd(),
    database: { url },
    ...(options.limits && { limits: options.limits }),
  });
  const { server } = createNodeServer({
    handler: createRequestHandler(runtime),
    // Stands for Next: what nobody else answers.
    fallback: (_request, response) => void response.writeHead(404, { "content-type": "text/plain" }).end("page"),
    ...(options.exchangeLimits && { exchangeLimits: options.exchangeLimits }),
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  // Listening on TCP, so the address is an object.
  const { port } = server.address() as AddressInfo;
  const headers = (...more: string[]): string[] => [
    ...headerList(`X-NullSpend-Key: ${apiKey}`, "Authorization: Bearer sk-provider", "Content-Type: application/json"),
    ...more,
  ];
  return {
    port,
    origin: `http://127.0.0.1:${port}`,
    runtime,
    database,
    fake,
    apiKey,
    adminKey,
    logs: () => logged,
    headers,
    send: (request) => rawRequest({ port, ...request, headers: request.headers ?? headers() }),
    connections: () => new Promise((resolve, reject) => server.getConnections((error, count) => (error ? reject(error) : resolve(count)))),
    async close() {
      runtime.beginShutdown();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await runtime.stop();
      if (!options.fake) await fake.close();
      if (!options.database) await database.drop();
    },
  };
}

/** Waits until a value is what it must become; the last value seen is in the error. */
export async function eventually<T>(read: () => T | Promise<T>, isThere: (value: T) => boolean, withinMs = 10_000): Promise<T> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    const value = await read();
    if (isThere(value)) return value;
    if (performance.now() > deadline) throw new Error(`still ${JSON.stringify(value)} after ${withinMs / 1000} s`);
    await sleep(20);
  }
}
