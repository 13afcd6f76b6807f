import { createHash, randomUUID } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { Client } from "pg";

/** A database that cannot be brought to this version's structure. The message tells an operator what is wrong and what to do. */
export class MigrationError extends Error {
  override readonly name = "MigrationError";
}

export type MigrateOptions = {
  connectionString: string;
  /** Holds one folder per migration, `<timestamp>_<name>/migration.sql`, applied in the order of their names. */
  migrationsDir: string;
  log?: (message: string) => void;
};

type Migration = { name: string; sql: string };
type AppliedMigration = { migration_name: string; checksum: string; finished_at: Date | null; logs: string | null };

/** The key that `prisma migrate` locks too, so that the two never run at the same time. */
const MIGRATION_LOCK = 72_707_369;
const SERVER_VERSION_MIN = 140_000;

// As Prisma makes it, so that `prisma migrate deploy` continues on a database that was started here, and the other way round.
const CREATE_HISTORY = `
create table if not exists "_prisma_migrations" (
  "id" varchar(36) primary key not null,
  "checksum" varchar(64) not null,
  "finished_at" timestamptz,
  "migration_name" varchar(255) not null,
  "logs" text,
  "rolled_back_at" timestamptz,
  "started_at" timestamptz not null default now(),
  "applied_steps_count" integer not null default 0
)`;

/**
 * Applies the migrations a database does not have yet, on Postgres 14 or newer and on the embedded one. Any number of processes
 * may start at once: each migration and its record are one transaction, and a transaction takes the lock before it looks at what
 * is applied. A migration that fails leaves nothing behind and is tried again at the next start.
 * Statements that refuse to run in a transaction (`create index concurrently`) cannot be in a migration.
 * @returns the names this call applied, in order.
 * @throws MigrationError
 */
export async function migrate({ connectionString, migrationsDir, log = () => {} }: MigrateOptions): Promise<string[]> {
  const migrations = await listMigrations(migrationsDir);
  const client = new Client({ connectionString });
  // A connection that breaks also fails the query under way, which is where it is reported.
  client.on("error", () => {});
  try {
    await client.connect();
  } catch (cause) {
    throw new MigrationError(`the database cannot be reached: ${reasonOf(cause)}`, { cause });
  }
  try {
    await assertServerVersion(client);
    const applied: string[] = [];
    // Ends, because each round takes one of the listed migrations.
    for (;;) {
      const name = await applyNext(client, migrations);
      if (name === undefined) return applied;
      log(`migration ${name} applied`);
      applied.push(name);
    }
  } finally {
    await client.end().catch(() => {});
  }
}

/** @returns the name of the migration applied; undefined when there was none left. */
async function applyNext(client: Client, migrations: readonly Migration[]): Promise<string | undefined> {
  await client.query("begin");
  try {
    // A database or role may limit statements to seconds; building an index may take longer.
    await client.query("set local statement_timeout = 0");
    await client.query("select pg_advisory_xact_lock($1)", [MIGRATION_LOCK]);
    await client.query(CREATE_HISTORY);
    const { rows } = await client.query<AppliedMigration>(
      `select migration_name, checksum, finished_at, logs from "_prisma_migrations" where rolled_back_at is null order by started_at`,
    );
    const next = nextMigration(migrations, rows);
    if (next !== undefined) await apply(client, next);
    await client.query("commit");
    return next?.name;
  } catch (error) {
    await client.query("rollback").catch(() => {});
    throw error;
  }
}

async function apply(client: Client, { name, sql }: Migration): Promise<void> {
  const { rows } = await client.query<{ now: Date }>("select clock_timestamp() as now");
  try {
    await client.query(sql);
  } catch (cause) {
    throw new MigrationError(`migration ${name} failed and was taken back, the database is as before: ${reasonOf(cause)}`, { cause });
  }
  await client.query(
    `insert into "_prisma_migrations" (id, checksum, migration_name, started_at, finished_at, applied_steps_count)
     values ($1, $2, $3, $4, clock_timestamp(), 1)`,
    [randomUUID(), checksumOf(sql), name, rows[0]?.now],
  );
}

/**
 * The first migration that is not applied.
 * @throws MigrationError when what is applied does not fit to what this version knows.
 */
export function nextMigration(known: readonly Migration[], applied: readonly AppliedMigration[]): Migration | undefined {
  const byName = new Map(known.map((migration) => [migration.name, migration]));
  const newest = known.at(-1)?.name ?? "";
  for (const { migration_name: name, checksum, finished_at, logs } of applied) {
    if (finished_at === null) {
      throw new MigrationError(
        `migration ${name} was begun by another tool and did not finish${logs ? ` (${logs.trim()})` : ""}. ` +
          `Repair what it left, then mark it with \`prisma migrate resolve\`.`,
      );
    }
    const migration = byName.get(name);
    if (migration === undefined && name > newest) {
      throw new MigrationError(`the database was migrated by a newer version (${name}, newest known here: ${newest}). Start that version.`);
    }
    if (migration === undefined) {
      throw new MigrationError(`migration ${name} is applied to the database and unknown here. Start the version that it belongs to.`);
    }
    if (!matchesChecksum(migration.sql, checksum)) {
      throw new MigrationError(
        `migration ${name} was changed after it was applied. Restore its migration.sql and put the change into a new migration.`,
      );
    }
  }
  const done = new Set(applied.map((row) => row.migration_name));
  return known.find((migration) => !done.has(migration.name));
}

/** In the order in which they apply. */
export async function listMigrations(migrationsDir: string): Promise<Migration[]> {
  const entries = await readdir(migrationsDir, { withFileTypes: true }).catch((cause: unknown) => {
    throw new MigrationError(`the migrations cannot be read: ${reasonOf(cause)}`, { cause });
  });
  const names = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  if (names.length === 0) throw new MigrationError(`there are no migrations in ${migrationsDir}`);
  return Promise.all(
    names.sort().map(async (name) => {
      const sql = await readFile(join(migrationsDir, name, "migration.sql"), "utf8").catch((cause: unknown) => {
        throw new MigrationError(`migration ${name} cannot be read: ${reasonOf(cause)}`, { cause });
      });
      return { name, sql };
    }),
  );
}

const checksumOf = (sql: string): string => createHash("sha256").update(sql).digest("hex");

/** Line ends are no change: a checkout on Windows may write them as CRLF. */
function matchesChecksum(sql: string, checksum: string): boolean {
  const unix = sql.replaceAll("\r\n", "\n");
  return [sql, unix, unix.replaceAll("\n", "\r\n")].some((variant) => checksumOf(variant) === checksum);
}

async function assertServerVersion(client: Client): Promise<void> {
  const { rows } = await client.query<{ number: number; name: string }>(
    "select current_setting('server_version_num')::int as number, current_setting('server_version') as name",
  );
  const version = rows[0];
  if (version !== undefined && version.number < SERVER_VERSION_MIN) {
    throw new MigrationError(`Postgres 14 or newer is needed, this is ${version.name}`);
  }
}

/** A refused connection to a name with several addresses has its reasons in a list and no message of its own. */
function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === "") return error.errors.map(reasonOf).join(", ");
  return error instanceof Error ? error.message : String(error);
}
