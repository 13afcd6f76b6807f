import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { chmod, cp, mkdir, mkdtemp, readdir, realpath, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setImmediate as nextTurn } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Client } from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { DamagedDataError, type EmbeddedPostgres, startEmbeddedPostgres } from "@/lib/db/embedded";
import { bundle, pgliteWorkerUrl } from "@/testing/bundle";

let root: string;
/** An empty database, to copy: making one takes seconds. */
let template: string;
let workerUrl: URL;

beforeAll(async () => {
  root = await realpath(await mkdtemp(join(tmpdir(), "nullspend-embedded-")));
  workerUrl = await pgliteWorkerUrl();
  template = join(root, "template");
  // What a first boot leaves that was killed: it must not be taken for a database, and must not stay.
  await mkdir(`${template}.init-1`);
  await (await startEmbeddedPostgres({ dataDir: template, workerUrl })).stop();
});
afterAll(() => rm(root, { recursive: true, force: true }));

async function newDataDir(): Promise<string> {
  const dataDir = join(await mkdtemp(join(root, "d-")), "postgres");
  await cp(template, dataDir, { recursive: true });
  return dataDir;
}

async function query<Row extends object>({ url }: Pick<EmbeddedPostgres, "url">, sql: string): Promise<Row[]> {
  const client = new Client({ connectionString: url });
  // What breaks a connection is reported by the query under way.
  client.on("error", () => {});
  await client.connect();
  try {
    return (await client.query<Row>(sql)).rows;
  } finally {
    await client.end();
  }
}

/** A process that writes into `dataDir`. `lines` are the url and the acknowledged rows. */
async function startWriter(dataDir: string): Promise<{ child: ChildProcess; lines: AsyncIterator<string> }> {
  const script = fileURLToPath(await bundle("src/testing/embedded-writer.ts"));
  const child = spawn(process.execPath, [script, dataDir, workerUrl.href], { stdio: ["ignore", "pipe", "inherit"] });
  return { child, lines: createInterface({ input: child.stdout! })[Symbol.asyncIterator]() };
}

test("a first boot leaves a database, and nothing of the making of it or of one that was killed", async () => {
  expect((await readdir(root)).filter((name) => name.startsWith("template"))).toEqual(["template", "template.socket"]);
});

test("the data folder lets nobody else in, also one that was copied with other rights", async () => {
  expect((await stat(template)).mode & 0o777).toBe(0o700);
  const dataDir = await newDataDir();
  await chmod(dataDir, 0o755);
  await (await startEmbeddedPostgres({ dataDir, workerUrl })).stop();
  expect((await stat(dataDir)).mode & 0o777).toBe(0o700);
});

test("commits wait for the log to be on the disk", async () => {
  const database = await startEmbeddedPostgres({ dataDir: await newDataDir(), workerUrl });
  const settings =
    "current_setting('fsync') as fsync, current_setting('wal_sync_method') as method, current_setting('synchronous_commit') as commit";
  expect(await query(database, `select ${settings}`)).toEqual([{ fsync: "on", method: "open_datasync", commit: "on" }]);
  await database.stop();
});

test("a first boot that is killed is begun anew", async () => {
  const dataDir = join(await mkdtemp(join(root, "d-")), "postgres");
  const { child } = await startWriter(dataDir);
  const exited = new Promise((resolve) => child.once("exit", resolve));
  const control = join(`${dataDir}.init-${child.pid}`, "global/pg_control");
  while (!existsSync(control) && child.exitCode === null) await nextTurn();
  child.kill("SIGKILL");
  await exited;
  expect(existsSync(dataDir)).toBe(false);

  const database = await startEmbeddedPostgres({ dataDir, workerUrl });
  expect(await query(database, "select 1 as one")).toEqual([{ one: 1 }]);
  await database.stop();
});

test("what was written before a stop is there after the next start", async () => {
  const dataDir = await newDataDir();
  const first = await startEmbeddedPostgres({ dataDir, workerUrl });
  await query(first, "create table kept as select 7 as value");
  await first.stop();
  const second = await startEmbeddedPostgres({ dataDir, workerUrl });
  expect(await query(second, "select value from kept")).toEqual([{ value: 7 }]);
  await second.stop();
});

// A row that was acknowledged and is lost is a call that was answered and never charged.
test("a process killed while it writes loses no acknowledged commit", async () => {
  const dataDir = await newDataDir();
  const { child, lines } = await startWriter(dataDir);
  await lines.next();
  const acknowledged: number[] = [];
  for (let line = await lines.next(); !line.done; line = await lines.next()) {
    acknowledged.push(Number(line.value));
    if (acknowledged.length === 500) child.kill("SIGKILL");
  }

  const database = await startEmbeddedPostgres({ dataDir, workerUrl });
  const written = new Set((await query<{ number: number }>(database, "select number from written")).map(({ number }) => number));
  expect(acknowledged.length).toBeGreaterThanOrEqual(500);
  expect(acknowledged.filter((number) => !written.has(number))).toEqual([]);
  await database.stop();
});

test("a second process is refused by name of the folder, in this process and from another", async () => {
  const dataDir = await newDataDir();
  const { child, lines } = await startWriter(dataDir);
  await lines.next();
  await expect(startEmbeddedPostgres({ dataDir, workerUrl })).rejects.toThrow(`another NullSpend process is using ${dataDir}`);
  const exited = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await exited;

  const own = await startEmbeddedPostgres({ dataDir, workerUrl });
  await expect(startEmbeddedPostgres({ dataDir, workerUrl })).rejects.toThrow("another NullSpend process is using");
  await own.stop();
});

describe("data that cannot be opened is named, left as it is, and not replaced by an empty database", () => {
  test.each([
    ["PG_VERSION is empty", (dataDir: string) => truncate(join(dataDir, "PG_VERSION"), 0), "PG_VERSION is damaged"],
    ["PG_VERSION is missing", (dataDir: string) => rm(join(dataDir, "PG_VERSION")), "PG_VERSION is missing"],
    ["another Postgres made it", (dataDir: string) => writeFile(join(dataDir, "PG_VERSION"), "15\n"), "Postgres 15 made it"],
    ["the control file is missing", (dataDir: string) => rm(join(dataDir, "global/pg_control")), "global/pg_control is missing"],
    ["the control file is cut", (dataDir: string) => truncate(join(dataDir, "global/pg_control"), 100), "global/pg_control is damaged"],
    ["the log is gone", (dataDir: string) => rm(join(dataDir, "pg_wal"), { recursive: true }), "cannot be opened"],
  ])("%s", async (_, damage, message) => {
    const dataDir = await newDataDir();
    await damage(dataDir);
    const before = await readdir(dataDir);
    const start = startEmbeddedPostgres({ dataDir, workerUrl });
    await expect(start).rejects.toThrow(DamagedDataError);
    await expect(start).rejects.toThrow(message);
    await expect(start).rejects.toThrow(dataDir);
    expect(await readdir(dataDir)).toEqual(before);
    // The folder is free again: the next attempt says the same, not that somebody is using it.
    await expect(startEmbeddedPostgres({ dataDir, workerUrl })).rejects.toThrow(DamagedDataError);
  });
});

test("a worker that is not there is no damage to the data", async () => {
  const dataDir = await newDataDir();
  const start = startEmbeddedPostgres({ dataDir, workerUrl: new URL("nowhere.mjs", workerUrl) });
  await expect(start).rejects.toThrow(/cannot find module/i);
  await (await startEmbeddedPostgres({ dataDir, workerUrl })).stop();
});

test("the socket's folder lets nobody else in, and a long path gets a short one elsewhere", async () => {
  const near = await newDataDir();
  const far = join(root, "a-long-name".repeat(12), "postgres");
  await cp(near, far, { recursive: true });
  for (const dataDir of [near, far]) {
    const database = await startEmbeddedPostgres({ dataDir, workerUrl });
    const folder = new URL(database.url).searchParams.get("host") ?? "";
    expect((await stat(folder)).mode & 0o777).toBe(0o700);
    expect(Buffer.byteLength(join(folder, ".s.PGSQL.5432"))).toBeLessThanOrEqual(100);
    expect(await query(database, "select 1 as one")).toEqual([{ one: 1 }]);
    await database.stop();
    expect(existsSync(join(folder, ".s.PGSQL.5432"))).toBe(false);
    if (dataDir === far) await rm(folder, { recursive: true });
  }
});

// The session ends in a state that nobody can use: a product that hangs is worse than one that restarts.
test("a statement that breaks the session is told by `died`, and the data is there at the next start", async () => {
  const dataDir = await newDataDir();
  const database = await startEmbeddedPostgres({ dataDir, workerUrl });
  await query(database, "create table kept as select 7 as value");
  await query(database, "create function endless(n int) returns int language plpgsql as $$ begin return endless(n + 1); end $$");
  await expect(query(database, "select endless(1)")).rejects.toThrow();
  expect((await database.died).message).toContain("session is lost");
  await database.stop();

  const again = await startEmbeddedPostgres({ dataDir, workerUrl });
  expect(await query(again, "select value from kept")).toEqual([{ value: 7 }]);
  await again.stop();
});
