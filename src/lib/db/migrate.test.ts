import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { MigrationError, migrate } from "@/lib/db";
import {
  createEmbeddedDatabase,
  createEmptyDatabase,
  type EmptyDatabase,
  hasRealPostgres,
  migrationsDir as ownMigrationsDir,
  NEEDS_REAL_POSTGRES,
} from "@/testing/database";

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "nullspend-migrate-"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

/** Folder name → SQL. */
async function writeMigrations(migrations: Record<string, string>): Promise<string> {
  const folder = await mkdtemp(join(root, "m-"));
  for (const [name, sql] of Object.entries(migrations)) {
    await mkdir(join(folder, name));
    await writeFile(join(folder, name, "migration.sql"), sql);
  }
  return folder;
}

async function query(connectionString: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new Client({ connectionString });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

const FIRST = { "20260101000000_first": "create table a (id int primary key);\ninsert into a values (1);\n" };
const SECOND = { "20260102000000_second": "alter table a add column b text;\n" };

const servers: [string, boolean, () => Promise<EmptyDatabase>][] = [
  [`real Postgres${(await hasRealPostgres()) ? "" : `: ${NEEDS_REAL_POSTGRES}`}`, await hasRealPostgres(), createEmptyDatabase],
  ["the embedded Postgres", true, createEmbeddedDatabase],
];

describe.each(servers)("on %s", (_, isThere, createDatabase) => {
  let database: EmptyDatabase;
  beforeAll(async () => {
    if (isThere) database = await createDatabase();
  });
  afterAll(async () => {
    if (isThere) await database.drop();
  });
  afterEach(async () => {
    if (isThere) await query(database.connectionString, "drop schema public cascade; create schema public");
  });
  const run = (migrationsDir: string): Promise<string[]> => migrate({ connectionString: database.connectionString, migrationsDir });

  test.runIf(isThere)("applies what is missing, in order, once", async () => {
    const messages: string[] = [];
    const { connectionString } = database;
    const log = (message: string): void => void messages.push(message);
    expect(await migrate({ connectionString, migrationsDir: await writeMigrations(FIRST), log })).toEqual(["20260101000000_first"]);
    const both = await writeMigrations({ ...SECOND, ...FIRST });
    expect(await migrate({ connectionString, migrationsDir: both, log })).toEqual(["20260102000000_second"]);
    expect(await migrate({ connectionString, migrationsDir: both, log })).toEqual([]);
    expect(messages).toEqual(["migration 20260101000000_first applied", "migration 20260102000000_second applied"]);
    expect(await query(connectionString, "select * from a")).toEqual([{ id: 1, b: null }]);
  });

  test.runIf(isThere)("records what it did as Prisma does", async () => {
    await run(await writeMigrations({ "20260101000000_first": "select 1" }));
    const rows = await query(
      database.connectionString,
      `select length(id) as id, checksum, migration_name, logs, rolled_back_at, applied_steps_count, finished_at >= started_at as finished
       from "_prisma_migrations"`,
    );
    expect(rows).toEqual([
      {
        id: 36,
        // sha256 of `select 1`.
        checksum: "822ae07d4783158bc1912bb623e5107cc9002d519e1143a9c200ed6ee18b6d0f",
        migration_name: "20260101000000_first",
        logs: null,
        rolled_back_at: null,
        applied_steps_count: 1,
        finished: true,
      },
    ]);
  });

  // Containers of one deployment start together; a table made twice would keep all but one of them from starting.
  test.runIf(isThere)("four that start at once apply each migration once, and all of them succeed", async () => {
    const migrationsDir = await writeMigrations({ ...FIRST, ...SECOND, "20260103000000_third": "insert into a values (2, 'x');" });
    const applied = await Promise.all(Array.from({ length: 4 }, () => run(migrationsDir)));
    expect(applied.flat().sort()).toEqual(["20260101000000_first", "20260102000000_second", "20260103000000_third"]);
    expect(await query(database.connectionString, "select count(*)::int as count from a")).toEqual([{ count: 2 }]);
  });

  test.runIf(isThere)("a migration that fails leaves nothing, says why, and works once it is repaired", async () => {
    const broken = await writeMigrations({ ...FIRST, "20260102000000_second": "create table half (id int); select 1 / 0;" });
    await expect(run(broken)).rejects.toThrow(
      "migration 20260102000000_second failed and was taken back, the database is as before: division by zero",
    );
    expect(await query(database.connectionString, "select to_regclass('half') as half")).toEqual([{ half: null }]);
    expect(await run(await writeMigrations({ ...FIRST, ...SECOND }))).toEqual(["20260102000000_second"]);
  });

  test.runIf(isThere)("a migration changed after it was applied is refused, other line ends are no change", async () => {
    await run(await writeMigrations(FIRST));
    const sql = FIRST["20260101000000_first"];
    expect(await run(await writeMigrations({ "20260101000000_first": sql.replaceAll("\n", "\r\n") }))).toEqual([]);
    const changed = await writeMigrations({ "20260101000000_first": sql.replace("(1)", "(2)") });
    await expect(run(changed)).rejects.toThrow("migration 20260101000000_first was changed after it was applied");
  });

  test.runIf(isThere)("a database from a newer version is refused by name, and nothing is applied to it", async () => {
    await run(await writeMigrations({ ...FIRST, ...SECOND }));
    await expect(run(await writeMigrations(FIRST))).rejects.toThrow("migrated by a newer version (20260102000000_second");
    const other = await writeMigrations({ ...SECOND, "20260103000000_third": "create table third ()" });
    await expect(run(other)).rejects.toThrow("migration 20260101000000_first is applied to the database and unknown here");
    expect(await query(database.connectionString, "select to_regclass('third') as third")).toEqual([{ third: null }]);
  });

  test.runIf(isThere)("a migration that another tool left unfinished is refused with that tool's words", async () => {
    const migrationsDir = await writeMigrations(FIRST);
    await run(migrationsDir);
    await query(database.connectionString, `update "_prisma_migrations" set finished_at = null, logs = 'syntax error'`);
    await expect(run(migrationsDir)).rejects.toThrow("20260101000000_first was begun by another tool and did not finish (syntax error)");
    await query(database.connectionString, `update "_prisma_migrations" set rolled_back_at = now()`);
    await query(database.connectionString, "drop table a");
    expect(await run(migrationsDir)).toEqual(["20260101000000_first"]);
  });

  test.runIf(isThere)("the product's own migrations apply", async () => {
    expect(await run(ownMigrationsDir)).toContain("20261124000000_initial");
    expect(await run(ownMigrationsDir)).toEqual([]);
  });
});

test("a database that is not there is named as such", async () => {
  const migrationsDir = await writeMigrations(FIRST);
  await expect(migrate({ connectionString: "postgres://postgres@localhost:1/none", migrationsDir })).rejects.toThrow(
    /cannot be reached: .*ECONNREFUSED/,
  );
});

test("a folder without migrations is an error: an empty database would look like a migrated one", async () => {
  const connectionString = "postgres://postgres@localhost:1/none";
  await expect(migrate({ connectionString, migrationsDir: await writeMigrations({}) })).rejects.toThrow(MigrationError);
  await expect(migrate({ connectionString, migrationsDir: join(root, "nowhere") })).rejects.toThrow(MigrationError);
});
