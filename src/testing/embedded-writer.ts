// A process with an embedded database that writes rows until it is killed, for tests of what survives.
// node embedded-writer.mjs <data folder> <url of the worker>; prints the database's url, then each row's number once its commit
// was acknowledged.
import { Pool } from "pg";
import { startEmbeddedPostgres } from "@/lib/db/embedded";

const WRITERS = 8;
const ROWS_MAX = 1_000_000;

const [dataDir, workerUrl] = process.argv.slice(2);
if (dataDir === undefined || workerUrl === undefined) throw new Error("usage: embedded-writer.mjs <data folder> <url of the worker>");
const { url } = await startEmbeddedPostgres({ dataDir, workerUrl: new URL(workerUrl) });
const pool = new Pool({ connectionString: url, max: WRITERS });
await pool.query("create table if not exists written (number int primary key)");
process.stdout.write(`${url}\n`);

let next = 0;
async function write(): Promise<void> {
  while (next < ROWS_MAX) {
    const number = next++;
    await pool.query("insert into written (number) values ($1)", [number]);
    process.stdout.write(`${number}\n`);
  }
}
await Promise.all(Array.from({ length: WRITERS }, write));
