// The process: environment → runtime → HTTP server (gateway and REST first, then Next) → drain on SIGTERM.
import { EventEmitter } from "node:events";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import next from "next";
import { createLiveSession } from "@/adapters/auth";
import { createNodeServer } from "@/adapters/node-server";
import { setPeerHeader } from "@/adapters/peer-header";
import { createRequestHandler } from "@/adapters/request-handler";
import { setRuntime } from "@/adapters/runtime";
import { createServerCaller, setServerCaller } from "@/adapters/trpc";
import { EnvError, readEnv } from "@/lib/env";
import { createLogger } from "@/lib/logger";
import { startEmbeddedDatabase } from "@/server/embedded-database";
import { type Runtime, startRuntime } from "@/server/runtime";

const startedAt = performance.now();
/** Open streams get so long after SIGTERM (CONTRACT §14). */
const DRAIN_MS = 30_000;

function readEnvOrExit(): ReturnType<typeof readEnv> {
  try {
    return readEnv(process.env);
  } catch (error) {
    if (!(error instanceof EnvError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exit(78);
  }
}

const env = readEnvOrExit();
const log = createLogger({ level: env.logLevel });
const dev = env.nodeEnv === "development";

async function start(): Promise<Runtime> {
  const database = env.database.kind === "embedded" ? await startEmbeddedDatabase(env.database.dataDir) : { url: env.database.url };
  return startRuntime({ env, log, root: process.cwd(), database });
}

const runtime = await start().catch((error: unknown) => {
  process.stderr.write(`NullSpend could not start: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
});
setRuntime(runtime);
void runtime.databaseDied?.then((error) => {
  log.fatal({ err: error }, "the embedded database died");
  process.exit(70);
});

let closingSince: number | undefined;
let app: ReturnType<typeof next> | undefined;
let nextHandler: ((request: IncomingMessage, response: ServerResponse) => Promise<void>) | undefined;

// Next adds its own listener for upgrades to the server it is given: a decoy keeps unmatched upgrades from staying open for ever.
const nextSide = new EventEmitter();
const liveSession = createLiveSession(runtime);
setServerCaller(createServerCaller({ runtime, sessionOf: liveSession }));
const front = createNodeServer({
  handler: createRequestHandler(runtime, liveSession),
  fallback(request, response) {
    setPeerHeader(request, env.gateway.trustedProxies);
    if (nextHandler) void nextHandler(request, response);
    else response.writeHead(503, { "retry-after": "1", "content-type": "text/plain" }).end("NullSpend is starting.\n");
  },
  upgradeFallback(request, socket, head) {
    return dev && request.url!.startsWith("/_next/") && nextSide.emit("upgrade", request, socket, head);
  },
});
const { server } = front;

// Before anything can be asked: a process that answers must also stop in an orderly way.
process.on("SIGTERM", () => void stop("SIGTERM"));
process.on("SIGINT", () => void stop("SIGINT"));

await new Promise<void>((resolve, reject) => {
  server.once("error", reject);
  server.listen(env.port, resolve);
}).catch((error: NodeJS.ErrnoException) => {
  const reason = error.code === "EADDRINUSE" ? `port ${env.port} is in use; set PORT to another one` : error.message;
  process.stderr.write(`NullSpend could not start: ${reason}\n`);
  process.exit(1);
});
const address = server.address();
const port = typeof address === "object" && address ? address.port : env.port;
const origin = env.publicUrl ?? `http://localhost:${port}`;
// next-auth builds its links from these, and reads them from the environment alone.
process.env.NEXTAUTH_URL = origin;
process.env.NEXTAUTH_SECRET = runtime.secrets.nextAuthSecret;

const pages = next({ dev, hostname: "localhost", port, httpServer: nextSide as unknown as Server });
app = pages;
await pages.prepare();
nextHandler = pages.getRequestHandler();
if (dev) (pages as unknown as { setupWebSocketHandler?(server: unknown): void }).setupWebSocketHandler?.(nextSide);

log.info({ durationMs: Math.round(performance.now() - startedAt) }, `listening on ${origin}`);
process.stderr.write(greeting());

function greeting(): string {
  const lines = ["", `  NullSpend is ready at ${origin}`, ""];
  if (runtime.firstRun.organisations === 0) {
    lines.push("  There is no key yet. Make one in another terminal:", "", "    npm run nullspend -- init", "");
    lines.push("  or start with NULLSPEND_INIT_USER_EMAIL and NULLSPEND_INIT_API_KEY set (see .env.example).", "");
  }
  lines.push(`  OpenAI clients:     base URL ${origin}/v1`, `  Anthropic clients:  base URL ${origin}`);
  lines.push("  and the header      X-NullSpend-Key: <your key>", "");
  return `${lines.join("\n")}\n`;
}

async function stop(signal: string): Promise<void> {
  if (closingSince !== undefined) {
    // npm hands on the terminal's Ctrl+C, so one arrives twice; only a later one means "now".
    if (performance.now() - closingSince < 1500) return;
    process.exit(1);
  }
  closingSince = performance.now();
  log.info({}, `${signal}: stopping, ${front.inFlight} requests open`);
  runtime.beginShutdown();
  const closed = new Promise<"drained">((resolve) => server.close(() => resolve("drained")));
  server.closeIdleConnections();
  front.beginShutdown();
  const idle = setInterval(() => server.closeIdleConnections(), 200);
  const deadline = new Promise<"deadline">((resolve) => setTimeout(() => resolve("deadline"), DRAIN_MS).unref());
  const outcome = await Promise.race([closed, deadline]);
  clearInterval(idle);
  if (outcome === "deadline") server.closeAllConnections();
  await app?.close().catch((error: unknown) => log.warn({ err: error }, "Next did not close"));
  const { unsettled } = await runtime.stop();
  if (unsettled > 0) log.error({}, `${unsettled} settlements could not be written`);
  log.info({ durationMs: Math.round(performance.now() - closingSince) }, "stopped");
  process.exit(unsettled > 0 ? 1 : 0);
}

// Next registers listeners of its own for both, after which a thrown error would only be logged.
process.on("uncaughtException", (error) => {
  log.fatal({ err: error }, "uncaught exception");
  void stop("uncaughtException");
});
process.on("unhandledRejection", (error) => {
  log.fatal({ err: error }, "unhandled rejection");
  void stop("unhandledRejection");
});
