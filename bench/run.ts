/** `npm run bench`: what a call costs in time on its way through us, against the bare minimum and against no gateway. See README.md. */
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { Client } from "pg";
import { createTestDatabase } from "@/testing/database";
import { launchProduct, type LaunchedProduct } from "@/testing/server";
import { medianBy, type LoadOrder, type LoadResult } from "./figures";
import { startPortkey } from "./peer-portkey";
import { measureStreams, type StreamFigures } from "./streams";
import { markdown, table, type Cell, type Persistence, type Report } from "./report";

const { values: args } = parseArgs({
  options: {
    seconds: { type: "string", default: "5" },
    rounds: { type: "string", default: "3" },
    connections: { type: "string", default: "1,32,128" },
    only: { type: "string" },
    peer: { type: "string" },
    wrk: { type: "boolean", default: false },
    streams: { type: "boolean", default: false },
    "no-write": { type: "boolean", default: false },
  },
});
const seconds = Number(args.seconds);
const rounds = Number(args.rounds);
// Empty: streams only.
const connectionCounts = args.connections.split(",").filter(Boolean).map(Number);
const here = import.meta.dirname;

/** Something that takes the load. */
type Target = {
  name: string;
  port: number;
  path: string;
  headers: Record<string, string>;
  pid: number;
  /** Set where events are written: how many there are. */
  countEvents?: () => Promise<number>;
  product?: LaunchedProduct;
  /** Somebody else's gateway. */
  isPeer?: true;
  stop(): Promise<void>;
};

const REQUEST = JSON.stringify({ model: "gpt-4o-mini", messages: [{ role: "user", content: "Say hello." }], max_tokens: 16 });
const PROVIDER_KEY = { authorization: "Bearer sk-bench" };

/** Starts a helper of ours that prints its port as JSON. */
async function startHelper(file: string, helperArgs: string[] = []): Promise<{ port: number; pid: number; stop(): Promise<void> }> {
  const child = spawn(process.execPath, [join(here, file), ...helperArgs], { stdio: ["ignore", "pipe", "inherit"] });
  const port = await new Promise<number>((resolve, reject) => {
    child.once("exit", (code) => reject(new Error(`${file} ended with ${code}`)));
    child.stdout.once("data", (bytes: Buffer) => {
      const line: unknown = JSON.parse(bytes.toString());
      resolve(typeof line === "object" && line !== null && "port" in line ? Number(line.port) : 0);
    });
  });
  const stop = (): Promise<void> =>
    new Promise((resolve) => {
      child.removeAllListeners("exit");
      child.once("exit", () => resolve());
      child.kill("SIGKILL");
    });
  // A helper that was started has an id.
  return { port, pid: child.pid!, stop };
}

const upstream = await startHelper("fast-upstream.mjs");
const upstreamUrl = `http://127.0.0.1:${upstream.port}`;

async function startProductTarget(name: string, adapter: "node" | "route", store: "postgres" | "embedded"): Promise<Target> {
  const folder = store === "embedded" ? mkdtempSync(join(os.tmpdir(), "nullspend-bench-")) : undefined;
  const database = store === "postgres" ? await createTestDatabase() : undefined;
  if (database && !database.isRealPostgres)
    throw new Error("no Postgres server answers: set TEST_DATABASE_URL, or leave it out with --only");
  const env = {
    // One key takes the whole load.
    RATE_LIMIT_CALLS_PER_KEY_PER_MINUTE: "100000000",
    ...(database
      ? { DATABASE_URL: database.connectionString }
      : { DATA_DIR: folder, NEXTAUTH_SECRET: undefined, ENCRYPTION_KEY: undefined }),
  };
  const start = (): Promise<LaunchedProduct> => launchProduct({ adapter, upstreamUrl, env });
  // The first start prepares the database; the second is what a restart takes.
  await (await start()).end("SIGTERM");
  const product = await start();
  const connectionString = database?.connectionString ?? readFileSync(join(folder!, "postgres.url"), "utf8").trim();
  return {
    name,
    port: product.port,
    path: "/v1/chat/completions",
    headers: { ...PROVIDER_KEY, "x-nullspend-key": product.apiKey },
    pid: product.pid,
    product,
    countEvents: () => countEvents(connectionString),
    stop: async () => {
      await product.end("SIGTERM");
      await database?.drop();
      if (folder) rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function countEvents(connectionString: string): Promise<number> {
  const client = new Client({ connectionString });
  await client.connect();
  try {
    const { rows } = await client.query<{ count: string }>("select count(*) from cost_event");
    return Number(rows[0]?.count ?? 0);
  } finally {
    await client.end();
  }
}

type Candidate = { id: string; start(): Promise<Target> };
const candidates: Candidate[] = [
  {
    id: "direct",
    start: async () => ({
      name: "no gateway: the fake provider itself",
      port: upstream.port,
      pid: upstream.pid,
      path: "/v1/chat/completions",
      headers: PROVIDER_KEY,
      stop: async () => {},
    }),
  },
  {
    id: "floor",
    start: async () => {
      const floor = await startHelper("floor.mjs", [String(upstream.port)]);
      return { name: "floor: Node http + undici dispatch, nothing else", path: "/v1/chat/completions", headers: PROVIDER_KEY, ...floor };
    },
  },
  { id: "node", start: () => startProductTarget("NullSpend, own server, Postgres", "node", "postgres") },
  { id: "embedded", start: () => startProductTarget("NullSpend, own server, embedded database", "node", "embedded") },
  { id: "route", start: () => startProductTarget("NullSpend, Next route handler, Postgres", "route", "postgres") },
];
if (args.peer === "portkey") {
  candidates.push({
    id: "portkey",
    start: async () => {
      const peer = await startPortkey({ upstreamPort: upstream.port });
      return { name: `Portkey gateway ${peer.version}, nothing recorded`, path: "/v1/chat/completions", isPeer: true, ...peer };
    },
  });
}
const wanted = args.only?.split(",");
const chosen = candidates.filter(({ id }) => !wanted || wanted.includes(id));

async function measure(target: Target, connections: number): Promise<LoadResult> {
  const order: LoadOrder = { port: target.port, path: target.path, headers: target.headers, body: REQUEST, connections, seconds };
  return args.wrk
    ? measureWithWrk(order)
    : runToEnd(process.execPath, [join(here, "load.mjs"), JSON.stringify(order)], (line) => JSON.parse(line) as LoadResult);
}

async function measureWithWrk(order: LoadOrder): Promise<LoadResult> {
  const script = join(mkdtempSync(join(os.tmpdir(), "nullspend-wrk-")), "post.lua");
  const headers = Object.entries({ "content-type": "application/json", ...order.headers });
  writeFileSync(
    script,
    `wrk.method = "POST"\nwrk.body = ${JSON.stringify(order.body)}\n` +
      headers.map(([name, value]) => `wrk.headers[${JSON.stringify(name)}] = ${JSON.stringify(value)}\n`).join("") +
      `done = function(summary, latency) local e = summary.errors\n` +
      `io.write(string.format('\\n{"requests":%d,"errors":%d,"perSecond":%f,"p50Ms":%f,"p99Ms":%f}\\n', summary.requests, ` +
      `e.connect + e.read + e.write + e.status + e.timeout, summary.requests / summary.duration * 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3)) end\n`,
  );
  const threads = Math.min(2, order.connections);
  const wrkArgs = [
    "-t",
    String(threads),
    "-c",
    String(order.connections),
    "-d",
    `${order.seconds}s`,
    "-s",
    script,
    `http://127.0.0.1:${order.port}${order.path}`,
  ];
  return runToEnd("wrk", wrkArgs, (line) => JSON.parse(line) as LoadResult);
}

function runToEnd(command: string, commandArgs: string[], read: (lastLine: string) => LoadResult): Promise<LoadResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, commandArgs, { stdio: ["ignore", "pipe", "inherit"] });
    let output = "";
    child.stdout.on("data", (bytes: Buffer) => (output += bytes.toString()));
    child.once("error", reject);
    child.once("exit", () => resolve(read(output.trim().split("\n").at(-1) ?? "")));
  });
}

/** Processor seconds a process has used; undefined where the system does not say. */
function cpuSeconds(pid: number): number | undefined {
  const stat = `/proc/${pid}/stat`;
  if (!existsSync(stat)) return undefined;
  const fields = readFileSync(stat, "utf8").split(") ")[1]!.split(" ");
  // utime and stime, in ticks of 10 ms.
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

function residentBytes(pid: number): number | undefined {
  const { stdout } = spawnSync("ps", ["-o", "rss=", "-p", String(pid)], { encoding: "utf8" });
  const kibibytes = Number(stdout?.trim());
  return kibibytes > 0 ? kibibytes * 1024 : undefined;
}

function rssMiB(pid: number): number | undefined {
  const bytes = residentBytes(pid);
  return bytes === undefined ? undefined : Math.round(bytes / 2 ** 20);
}

/** Waits until every answered call has its event, and says how long the last ones took. */
async function waitForEvents(target: Target, answered: number): Promise<Persistence> {
  const startedAt = performance.now();
  let events = 0;
  for (let tries = 0; tries < 300; tries++) {
    events = await target.countEvents!();
    if (events >= answered) break;
    await sleep(100);
  }
  return { target: target.name, answered, events, waitedMs: Math.round(performance.now() - startedAt) };
}

const cells: Cell[] = [];
let streams: StreamFigures[] = [];
const persistence: Persistence[] = [];
const idle: Report["idle"] = [];
const targets: Target[] = [];
try {
  for (const candidate of chosen) {
    console.error(`starting ${candidate.id}`);
    const target = await candidate.start();
    targets.push(target);
    await sleep(1000);
    if (target.product) idle.push({ target: target.name, rssMiB: rssMiB(target.pid), readyAfterMs: target.product.readyAfterMs });
  }
  // What every target was asked in all, warm-up included: as many events must there be.
  const answered = new Map<Target, number>();
  const count = (target: Target, result: LoadResult): void => {
    answered.set(target, (answered.get(target) ?? 0) + result.requests);
  };
  if (args.streams) {
    // Others do not hand on the header that asks the provider for a stream.
    const measured = targets
      .filter(({ isPeer }) => !isPeer)
      .map((target) => ({
        ...target,
        residentBytes: () => residentBytes(target.pid),
        onAnswered: () => void answered.set(target, (answered.get(target) ?? 0) + 1),
      }));
    streams = await measureStreams(measured, (what) => console.error(`${what} done`));
  }
  if (connectionCounts.length > 0) for (const target of targets) count(target, await measure(target, 32));
  for (const connections of connectionCounts) {
    const taken = new Map<Target, { result: LoadResult; cpuShare: number | undefined }[]>(targets.map((target) => [target, []]));
    // Target after target within a round, so that a slow minute of the machine hits all of them.
    for (let round = 0; round < rounds; round++) {
      for (const target of targets) {
        const before = cpuSeconds(target.pid);
        const result = await measure(target, connections);
        const after = cpuSeconds(target.pid);
        count(target, result);
        taken.get(target)!.push({ result, cpuShare: before === undefined || after === undefined ? undefined : (after - before) / seconds });
        if (result.firstError !== undefined) console.error(`${target.name}: ${result.errors} errors, first: ${result.firstError}`);
      }
    }
    for (const target of targets) {
      const runs = taken.get(target)!;
      const middle = medianBy(runs, ({ result }) => result.perSecond);
      const errors = runs.reduce((total, { result }) => total + result.errors, 0);
      cells.push({ target: target.name, connections, ...middle.result, errors, cpuShare: middle.cpuShare });
    }
    console.error(`${connections} connections done`);
  }
  for (const target of targets) {
    if (target.countEvents) persistence.push(await waitForEvents(target, answered.get(target) ?? 0));
  }
} finally {
  for (const target of targets) await target.stop();
  await upstream.stop();
}

const commit = spawnSync("git", ["rev-parse", "--short", "HEAD"], { encoding: "utf8" }).stdout?.trim() ?? "";
const report: Report = {
  date: new Date().toISOString().slice(0, 10),
  commit,
  machine: `${os.cpus().length} × ${os.cpus()[0]?.model.trim() ?? "processor"}, ${Math.round(os.totalmem() / 2 ** 30)} GiB, ${os.platform()} ${os.release()}`,
  node: process.version,
  generator: args.wrk ? "wrk" : "bench/load.ts",
  seconds,
  rounds,
  loadAverage: os.loadavg()[0]!,
  cells,
  streams,
  persistence,
  idle,
};
console.log(table(report));
if (!args["no-write"]) {
  const folder = join(process.cwd(), "bench/results");
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `${report.date}-${os.cpus().length}cpu-node${process.versions.node.split(".")[0]}.md`);
  writeFileSync(file, markdown(report));
  console.log(`written to ${file}`);
}
