import { createHash, randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { cp, mkdtemp, readdir, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { Client, type Pool } from "pg";
import type { PrismaClient } from "@/generated/prisma/client";
import { createPool, createPrisma } from "@/lib/db";
import { startEmbeddedPostgres } from "@/lib/db/embedded";
import { listMigrations, migrate } from "@/lib/db/migrate";
import { cacheFolder, pgliteWorkerUrl } from "./bundle";

export const migrationsDir = join(import.meta.dirname, "../../prisma/migrations");

export type EmptyDatabase = { connectionString: string; drop: () => Promise<void> };

export type TestDatabase = {
  connectionString: string;
  prisma: PrismaClient;
  pool: Pool;
  /** False on the embedded database, which runs one transaction at a time and so hides every race. */
  isRealPostgres: boolean;
  /** Closes `prisma` and `pool` and deletes the database. */
  drop: () => Promise<void>;
};

/** The reason to give where a test is skipped for want of a real server. */
export const NEEDS_REAL_POSTGRES = "needs a real Postgres (TEST_DATABASE_URL): the embedded one runs one transaction at a time";

/** `embedded` runs everything on the embedded database even where a server answers. */
const GIVEN_URL = process.env.TEST_DATABASE_URL;
const SERVER_URL = GIVEN_URL ?? "postgres://postgres@127.0.0.1:5432/postgres";
/** Databases of runs that were killed are dropped when they are older than this. */
const LEFT_OVER_AFTER_S = 6 * 3600;
/** Held while the template is looked for and made: test files start side by side. */
const TEMPLATE_LOCK = 7_405_118;

/**
 * A database of its own for a test file, with all migrations applied. On a real server it is a clone of a template that is made
 * once per state of the migrations; where no server answers, an embedded one in a temporary folder.
 */
export async function createTestDatabase(): Promise<TestDatabase> {
  const server = await connectToServer();
  return server === undefined ? createEmbedded() : createOnServer(server);
}

/** For `test.skipIf(!(await hasRealPostgres()))`. A TEST_DATABASE_URL that does not answer is an error, never a skip. */
export async function hasRealPostgres(): Promise<boolean> {
  const server = await connectToServer();
  await server?.end();
  return server !== undefined;
}

/** A database with nothing in it, for tests of the migrations themselves. */
export async function createEmptyDatabase(): Promise<EmptyDatabase> {
  const server = await connectToServer();
  if (server === undefined) return createEmbeddedDatabase();
  try {
    const name = newName("test");
    await server.query(`create database ${name} template template0`);
    return { connectionString: urlOf(name), drop: () => dropDatabase(name) };
  } finally {
    await server.end();
  }
}

/** @param template A data folder to start from a copy of; without one the database is empty. */
export async function createEmbeddedDatabase(template?: string): Promise<EmptyDatabase> {
  const folder = await mkdtemp(join(tmpdir(), "nullspend-test-"));
  const dataDir = join(folder, "postgres");
  if (template !== undefined) await cp(template, dataDir, { recursive: true });
  const embedded = await startEmbeddedPostgres({ dataDir, workerUrl: await pgliteWorkerUrl() });
  const drop = async () => {
    await embedded.stop();
    await rm(folder, { recursive: true, force: true });
  };
  return { connectionString: embedded.url, drop };
}

async function connectToServer(): Promise<Client | undefined> {
  if (GIVEN_URL === "embedded") return undefined;
  const client = new Client({ connectionString: SERVER_URL, connectionTimeoutMillis: 5_000 });
  client.on("error", () => {});
  try {
    await client.connect();
    return client;
  } catch (error) {
    if (GIVEN_URL !== undefined) throw new Error("TEST_DATABASE_URL does not answer", { cause: error });
    return undefined;
  }
}

async function createOnServer(server: Client): Promise<TestDatabase> {
  try {
    const template = await ensureTemplate(server);
    const name = newName("test");
    await server.query(`create database ${name} template ${template}`);
    return open({ connectionString: urlOf(name), isRealPostgres: true, remove: () => dropDatabase(name) });
  } finally {
    await server.end();
  }
}

async function createEmbedded(): Promise<TestDatabase> {
  const { connectionString, drop } = await createEmbeddedDatabase(await ensureEmbeddedTemplate());
  return open({ connectionString, isRealPostgres: false, remove: drop });
}

/** @returns the folder of an embedded database with all migrations applied: making one takes seconds, copying it does not. */
async function ensureEmbeddedTemplate(): Promise<string> {
  const template = join(cacheFolder, `pglite-${await hashOfMigrations()}`);
  if (existsSync(template)) return template;

  const unfinished = await mkdtemp(join(tmpdir(), "nullspend-template-"));
  const dataDir = join(unfinished, "postgres");
  const embedded = await startEmbeddedPostgres({ dataDir, workerUrl: await pgliteWorkerUrl() });
  await migrate({ connectionString: embedded.url, migrationsDir });
  await embedded.stop();
  // Copied to its file system first and then renamed, so that the name always stands for a whole one. Test files that start side
  // by side may each make it; the first one stays.
  const copy = `${template}.${basename(unfinished)}`;
  await removeEmbeddedTemplatesBut(basename(template));
  await cp(dataDir, copy, { recursive: true });
  await rename(copy, template).catch(() => rm(copy, { recursive: true, force: true }));
  await rm(unfinished, { recursive: true, force: true });
  return template;
}

/** Those of other states of the migrations: each has some 40 MB. */
async function removeEmbeddedTemplatesBut(kept: string): Promise<void> {
  const names = await readdir(cacheFolder);
  const templates = names.filter((name) => /^pglite-[0-9a-f]{16}$/.test(name) && name !== kept);
  await Promise.all(templates.map((name) => rm(join(cacheFolder, name), { recursive: true, force: true })));
}

function open(database: { connectionString: string; isRealPostgres: boolean; remove: () => Promise<void> }): TestDatabase {
  const { connectionString, isRealPostgres, remove } = database;
  const prisma = createPrisma(connectionString);
  const pool = createPool({ connectionString, connectionsMax: 10 });
  const drop = async () => {
    await Promise.all([prisma.$disconnect(), pool.end()]);
    await remove();
  };
  return { connectionString, prisma, pool, isRealPostgres, drop };
}

/** @returns the name of a database with all migrations applied that nobody is connected to. */
async function ensureTemplate(server: Client): Promise<string> {
  const prefix = `nullspend_template_${await hashOfMigrations()}`;
  await server.query("select pg_advisory_lock($1)", [TEMPLATE_LOCK]);
  try {
    const { rows } = await server.query<{ datname: string }>("select datname from pg_database where starts_with(datname, $1)", [prefix]);
    if (rows[0] !== undefined) return rows[0].datname;

    await dropLeftOvers(server);
    const unfinished = newName("test");
    const template = `${prefix}_${nowSeconds()}`;
    await server.query(`create database ${unfinished} template template0`);
    await migrate({ connectionString: urlOf(unfinished), migrationsDir });
    // Renamed when it is whole, so that a run killed here leaves no template that looks ready.
    await server.query(`alter database ${unfinished} rename to ${template}`);
    // A database that something is connected to cannot be cloned.
    await server.query(`alter database ${template} with allow_connections false`);
    return template;
  } finally {
    await server.query("select pg_advisory_unlock($1)", [TEMPLATE_LOCK]);
  }
}

/** The names end in the second they were made. */
async function dropLeftOvers(server: Client): Promise<void> {
  const { rows } = await server.query<{ datname: string }>(
    `select datname from pg_database
     where datname ~ '^nullspend_(test|template)_.*_[0-9]{10}$' and substring(datname from '[0-9]{10}$')::bigint < $1`,
    [nowSeconds() - LEFT_OVER_AFTER_S],
  );
  for (const { datname } of rows) await server.query(`drop database if exists ${datname} with (force)`);
}

async function dropDatabase(name: string): Promise<void> {
  const server = await connectToServer();
  try {
    await server?.query(`drop database if exists ${name} with (force)`);
  } finally {
    await server?.end();
  }
}

async function hashOfMigrations(): Promise<string> {
  const hash = createHash("sha256");
  for (const { name, sql } of await listMigrations(migrationsDir)) hash.update(name).update("\0").update(sql).update("\0");
  return hash.digest("hex").slice(0, 16);
}

const nowSeconds = (): number => Math.floor(Date.now() / 1000);
const newName = (kind: string): string => `nullspend_${kind}_${randomBytes(6).toString("hex")}_${nowSeconds()}`;

function urlOf(database: string): string {
  const url = new URL(SERVER_URL);
  url.pathname = `/${database}`;
  return url.href;
}
