import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Client } from "pg";
import { expect, test } from "vitest";
import { migrate } from "@/lib/db";
import { createEmptyDatabase, migrationsDir } from "@/testing/database";
import { schemaDiff } from "../../../scripts/schema-diff.mjs";

// What Prisma reads and writes by: tables, columns, types, defaults, keys, indexes, enums. Functions, checks and
// partial and covering indexes are written by hand; schema.prisma has no words for them, so they are free to be there.
const STRUCTURE = `
select 'column ' || c.relname || '.' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || (case when a.attnotnull then ' not null' else '' end)
  || coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), '') as line
from pg_attribute a
join pg_class c on c.oid = a.attrelid and c.relkind in ('r', 'p') and c.relnamespace = 'public'::regnamespace
left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
where a.attnum > 0 and not a.attisdropped and c.relname <> '_prisma_migrations'
union all
select 'index ' || pg_get_indexdef(i.indexrelid) from pg_index i join pg_class c on c.oid = i.indrelid
where c.relnamespace = 'public'::regnamespace and c.relname <> '_prisma_migrations' and i.indpred is null and i.indexprs is null
  and i.indnatts = i.indnkeyatts
union all
select 'constraint ' || conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid)
from pg_constraint
where connamespace = 'public'::regnamespace and contype in ('p', 'u', 'f') and conrelid <> coalesce(to_regclass('_prisma_migrations'), 0::regclass)
union all
select 'enum ' || t.typname || ' ' || string_agg(e.enumlabel, ',' order by e.enumsortorder)
from pg_enum e join pg_type t on t.oid = e.enumtypid where t.typnamespace = 'public'::regnamespace group by t.typname
order by line`;

async function structureAfter(change: (client: Client, connectionString: string) => Promise<unknown>): Promise<string[]> {
  const { connectionString, drop } = await createEmptyDatabase();
  const client = new Client({ connectionString });
  await client.connect();
  try {
    await change(client, connectionString);
    return (await client.query<{ line: string }>(STRUCTURE)).rows.map(({ line }) => line);
  } finally {
    await client.end();
    await drop();
  }
}

// A column that the client knows and the database does not have fails at a customer, at the first query that names it.
test("the migrations make exactly the structure that schema.prisma says", async () => {
  const schema = await readFile(join(migrationsDir, "../schema.prisma"), "utf8");
  const sql = await schemaDiff({ from: undefined, to: schema });
  const migrated = await structureAfter((_, connectionString) => migrate({ connectionString, migrationsDir }));
  const declared = await structureAfter((client) => client.query(sql));
  expect(migrated).toEqual(declared);
  expect(declared).toContain("column app_user.id uuid not null default gen_random_uuid()");
});
