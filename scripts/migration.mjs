// `npm run migration -- add_something`: writes prisma/migrations/<timestamp>_add_something/migration.sql with what leads from the
// schema of the last migration to prisma/schema.prisma. The schema is kept beside the SQL, so that the next call has something
// to compare with and no database is needed. `--empty` makes a folder for SQL written by hand (functions, checks, backfills).
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { schemaDiff } from "./schema-diff.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const migrationsDir = join(root, "prisma/migrations");

function refuse(why) {
  console.error(why);
  process.exit(1);
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { empty: { type: "boolean", default: false }, at: { type: "string" } },
});
const [name] = positionals;
if (name === undefined || positionals.length !== 1 || !/^[a-z][a-z0-9_]*$/.test(name)) {
  refuse("usage: npm run migration -- [--empty] [--at YYYYMMDDhhmmss] name_in_snake_case");
}
const timestamp = values.at ?? new Date().toISOString().replace(/\D/g, "").slice(0, 14);
if (!/^\d{14}$/.test(timestamp)) refuse(`--at wants fourteen digits (YYYYMMDDhhmmss), not ${timestamp}`);

await mkdir(migrationsDir, { recursive: true });
const folders = (await readdir(migrationsDir, { withFileTypes: true }))
  .filter((entry) => entry.isDirectory())
  .map((entry) => entry.name)
  .sort();
const folder = `${timestamp}_${name}`;
const last = folders.at(-1);
if (last !== undefined && folder <= last) refuse(`${folder} would run before ${last}, which may be applied already: choose a later --at`);

const lastWithSchema = folders.findLast((each) => existsSync(join(migrationsDir, each, "schema.prisma")));
const from = lastWithSchema && (await readFile(join(migrationsDir, lastWithSchema, "schema.prisma"), "utf8"));
const to = await readFile(join(root, "prisma/schema.prisma"), "utf8");
const sql = values.empty ? `-- ${name.replaceAll("_", " ")}\n` : await schemaDiff({ from, to });
if (sql === "") refuse(`prisma/schema.prisma says what ${lastWithSchema} already says: nothing to write (--empty makes a folder anyway)`);

await mkdir(join(migrationsDir, folder));
await writeFile(join(migrationsDir, folder, "migration.sql"), sql);
// A folder of hand-written SQL carries no copy: the structure is still that of the migration before.
if (!values.empty) await writeFile(join(migrationsDir, folder, "schema.prisma"), to);
const lock = join(migrationsDir, "migration_lock.toml");
if (!existsSync(lock)) await writeFile(lock, '# Read by `prisma migrate`.\nprovider = "postgresql"\n');
console.log(`prisma/migrations/${folder}/migration.sql`);
