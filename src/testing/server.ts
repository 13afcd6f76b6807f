import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { createTestDatabase, type TestDatabase } from "./database";
import { type FakeProvider, startFakeProvider } from "./fake-provider";

/** `node`: our custom server, `dist/main.mjs`. `route`: the same build under `next start`, as on a host that runs no server of ours. */
export type Adapter = "node" | "route";
export const ADAPTERS: readonly Adapter[] = ["node", "route"];

export type ProductOptions = {
  adapter?: Adapter;
  /** On top of what a start needs; undefined takes a variable away. */
  env?: Readonly<Record<string, string | undefined>>;
  /** An upstream that the caller owns; otherwise a fake provider is started, and closed with the product. */
  fake?: FakeProvider;
  /** A database that the caller owns; otherwise one is made, and dropped with the product. */
  database?: TestDatabase;
  /** How the product reaches the database where that is not directly, e.g. through a chaos proxy. */
  databaseUrl?: string;
};

export type Exit = { code: number | null; signal: NodeJS.Signals | null };

export type LaunchedProduct = {
  adapter: Adapter;
  origin: string;
  port: number;
  pid: number;
  /** Default scopes. */
  apiKey: string;
  /** All scopes. */
  adminKey: string;
  /** Milliseconds from the start of the process to the first 200 of /api/ready. */
  readyAfterMs: number;
  /** Everything the process has written so far. */
  logs(): string;
  exited: Promise<Exit>;
  signal(signal: NodeJS.Signals): void;
  /** Sends the signal and waits; a process that does not end in its time is killed. */
  end(signal: NodeJS.Signals): Promise<Exit>;
};

export type Product = LaunchedProduct & {
  fake: FakeProvider;
  database: TestDatabase;
  /** SIGTERM, then removes what was made for this product. */
  stop(): Promise<Exit>;
  /** SIGKILL; the database and the fake stay until `stop`. */
  kill(): Promise<Exit>;
};

const root = join(import.meta.dirname, "../..");
const READY_MS_MAX = 60_000;
/** Must outlive the product's own drain (CONTRACT §14: 30 s, then settle). */
const STOP_MS_MAX = 55_000;

const newKey = (): string => `ns_live_sk_${randomBytes(16).toString("hex")}`;

/** Starts the built product in production mode as its own process, with a database and a provider, and waits until it is ready. */
export async function startProduct(options: ProductOptions = {}): Promise<Product> {
  const fake = options.fake ?? (await startFakeProvider());
  const database = options.database ?? (await createTestDatabase());
  const removeOwn = async (): Promise<void> => {
    if (!options.fake) await fake.close();
    if (!options.database) await database.drop();
  };
  const env = { DATABASE_URL: options.databaseUrl ?? database.connectionString, ...options.env };
  const launched = await launchProduct({ adapter: options.adapter ?? "node", upstreamUrl: fake.url, env }).catch(async (error: unknown) => {
    await removeOwn();
    throw error;
  });
  return {
    ...launched,
    fake,
    database,
    async stop() {
      const exit = await launched.end("SIGTERM");
      await removeOwn();
      return exit;
    },
    kill: () => launched.end("SIGKILL"),
  };
}

/** Starts the built product on a free port. Without `DATABASE_URL` in `env` it runs on its embedded database, in `DATA_DIR`. */
export async function launchProduct(options: {
  adapter: Adapter;
  upstreamUrl: string;
  env: Readonly<Record<string, string | undefined>>;
}): Promise<LaunchedProduct> {
  const { adapter, upstreamUrl } = options;
  if (!existsSync(join(root, "dist/main.mjs")) || !existsSync(join(root, ".next/BUILD_ID"))) {
    throw new Error("There is no build to test: run `npm run build` first.");
  }
  const port = await freePort();
  const origin = `http://127.0.0.1:${port}`;
  const apiKey = newKey();
  const adminKey = newKey();
  const env = definedOnly({
    PATH: process.env.PATH,
    HOME: process.env.HOME,
    TMPDIR: process.env.TMPDIR,
    NODE_ENV: "production",
    NEXT_TELEMETRY_DISABLED: "1",
    PORT: String(port),
    LOG_LEVEL: "warn",
    NEXTAUTH_URL: origin,
    NEXTAUTH_SECRET: randomBytes(32).toString("base64"),
    ENCRYPTION_KEY: randomBytes(32).toString("hex"),
    OPENAI_UPSTREAM_URL: upstreamUrl,
    ANTHROPIC_UPSTREAM_URL: upstreamUrl,
    NULLSPEND_INIT_USER_EMAIL: "owner@example.com",
    NULLSPEND_INIT_API_KEY: apiKey,
    NULLSPEND_INIT_ADMIN_KEY: adminKey,
    ...options.env,
  });
  const startedAt = performance.now();
  const args =
    adapter === "node"
      ? ["--enable-source-maps", "dist/main.mjs"]
      : ["node_modules/next/dist/bin/next", "start", "--port", String(port), "--hostname", "127.0.0.1"];
  const child = spawn(process.execPath, args, { cwd: root, env, stdio: ["ignore", "pipe", "pipe"] });
  const running = watch(child);
  try {
    await untilReady(origin, running);
  } catch (error) {
    await running.end("SIGKILL");
    throw error;
  }
  return {
    adapter,
    origin,
    port,
    // A process that answered has an id.
    pid: child.pid!,
    apiKey: env.NULLSPEND_INIT_API_KEY!,
    adminKey: env.NULLSPEND_INIT_ADMIN_KEY!,
    readyAfterMs: Math.round(performance.now() - startedAt),
    logs: running.logs,
    exited: running.exited,
    end: (signal) => running.end(signal),
    signal: (signal) => {
      child.kill(signal);
    },
  };
}

type Running = { exited: Promise<Exit>; logs: () => string; hasExited: () => boolean; end(signal: NodeJS.Signals): Promise<Exit> };

function watch(child: ChildProcess): Running {
  let output = "";
  let over = false;
  child.stdout?.on("data", (bytes: Buffer) => (output += bytes.toString()));
  child.stderr?.on("data", (bytes: Buffer) => (output += bytes.toString()));
  // A test run that is stopped in the middle leaves no server behind.
  const killWithUs = (): void => {
    child.kill("SIGKILL");
  };
  process.once("exit", killWithUs);
  const exited = new Promise<Exit>((resolve) => {
    child.once("exit", (code, signal) => {
      over = true;
      process.off("exit", killWithUs);
      resolve({ code, signal });
    });
  });
  return {
    exited,
    logs: () => output,
    hasExited: () => over,
    async end(signal) {
      if (!over) child.kill(signal);
      const late = setTimeout(() => child.kill("SIGKILL"), STOP_MS_MAX);
      const exit = await exited;
      clearTimeout(late);
      return exit;
    },
  };
}

async function untilReady(origin: string, running: Running): Promise<void> {
  const deadline = performance.now() + READY_MS_MAX;
  while (performance.now() < deadline) {
    if (running.hasExited()) throw new Error(`The product ended before it was ready:\n${running.logs()}`);
    const answer = await fetch(`${origin}/api/ready`).catch(() => undefined);
    await answer?.arrayBuffer();
    if (answer?.status === 200) return;
    await sleep(50);
  }
  throw new Error(`The product was not ready within ${READY_MS_MAX / 1000} s:\n${running.logs()}`);
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      // Listening on TCP, so the address is an object.
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}

// Next's types make NODE_ENV a required variable of any environment.
const definedOnly = (env: Record<string, string | undefined>): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined)) as NodeJS.ProcessEnv;
