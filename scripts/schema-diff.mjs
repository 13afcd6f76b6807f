// SQL that leads from one Prisma schema to another, worked out by Prisma's schema engine compiled to WebAssembly: the native
// engine is a download that offline machines cannot make. Used by scripts/migration.mjs and by the drift test.
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { ColumnTypeEnum, bindMigrationAwareSqlAdapterFactory } from "@prisma/driver-adapter-utils";

const require = createRequire(import.meta.url);

/** Schema files of a database with nothing in it: the engine still wants to know that it is Postgres. */
const NOTHING = 'datasource db {\n  provider = "postgresql"\n}\n';

// Comparing two files reads nothing from a database, but the engine opens one and asks for its version first. It is told Postgres
// 14, the oldest that is supported.
const answer = {
  columnNames: ["exists", "version", "numeric_version"],
  columnTypes: [ColumnTypeEnum.Boolean, ColumnTypeEnum.Text, ColumnTypeEnum.Int32],
  rows: [[true, "PostgreSQL 14.0", 140_000]],
};
async function queryRaw({ sql }) {
  if (!sql.includes("server_version_num")) throw new Error(`comparing schema files asked a database: ${sql}`);
  return answer;
}
const identity = { provider: "postgres", adapterName: "schema-diff" };
const nothing = async () => {};
const connection = { ...identity, queryRaw, executeRaw: nothing, executeScript: nothing, startTransaction: nothing, dispose: nothing };
const connect = async () => connection;
const noDatabase = { ...identity, connect, connectToShadowDb: connect };

async function newEngine(schema) {
  const bindings = await import("@prisma/schema-engine-wasm/schema_engine_bg");
  const bytes = await readFile(require.resolve("@prisma/schema-engine-wasm/schema_engine_bg").replace(/\.js$/, ".wasm"));
  const { instance } = await WebAssembly.instantiate(bytes, { "./schema_engine_bg.js": bindings });
  bindings.__wbg_set_wasm(instance.exports);
  instance.exports.__wbindgen_start();
  const adapter = bindMigrationAwareSqlAdapterFactory(noDatabase);
  return bindings.SchemaEngine.new({ datamodels: [["schema.prisma", schema]] }, () => {}, adapter);
}

/**
 * @param {{ from: string | undefined, to: string }} schemas Texts of schema.prisma; `from` undefined is the empty database.
 * @returns {Promise<string>} A SQL script; the empty string when both say the same.
 */
export async function schemaDiff({ from, to }) {
  const engine = await newEngine(to);
  const side = (content) => ({ tag: "schemaDatamodel", files: [{ path: "schema.prisma", content }] });
  const { stdout } = await engine.diff({
    from: side(from ?? NOTHING),
    to: side(to),
    script: true,
    shadowDatabaseUrl: null,
    exitCode: null,
    filters: { externalTables: [], externalEnums: [] },
  });
  return stdout?.trim() === "-- This is an empty migration." ? "" : (stdout ?? "");
}
