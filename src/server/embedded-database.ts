import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { startEmbeddedPostgres } from "@/lib/db/embedded";
import type { Database } from "./runtime";

/** Says where the running database is, so that the command line tool can talk to it while the server holds the folder. */
export const databaseUrlFile = (dataDir: string): string => join(dataDir, "postgres.url");

/** Starts the database that lives in this process and its folder. Kept apart from the runtime, which Next bundles too. */
export async function startEmbeddedDatabase(dataDir: string): Promise<Database> {
  const folder = resolve(dataDir);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const database = await startEmbeddedPostgres({ dataDir: join(folder, "postgres") });
  const file = databaseUrlFile(folder);
  writeFileSync(file, `${database.url}\n`, { mode: 0o600 });
  return {
    url: database.url,
    died: database.died,
    async stop() {
      rmSync(file, { force: true });
      await database.stop();
    },
  };
}
