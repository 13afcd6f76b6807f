import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { Client } from "pg";
import { createPrisma, migrate } from "@/lib/db";
import { startEmbeddedPostgres } from "@/lib/db/embedded";
import type { PrismaClient } from "@/generated/prisma/client";

export type DatabaseLocation = {
  url: string;
  via: "DATABASE_URL" | "the running server" | "the embedded database";
  stop: () => Promise<void>;
};
export type OpenDatabase = { prisma: PrismaClient; close: () => Promise<void> };
type Where = { env: Readonly<Record<string, string | undefined>>; root: string };

/** The migrations this version brings. */
export const migrationsDirOf = (root: string): string => join(root, "prisma/migrations");

/**
 * The database the server uses. The embedded one belongs to one process at a time: while a server runs, its database is reached
 * through the address it has left in the data folder, otherwise this process starts it for the length of the command.
 */
export async function locateDatabase({ env, root }: Where): Promise<DatabaseLocation> {
  const given = env.DATABASE_URL?.trim();
  if (given) return { url: given, via: "DATABASE_URL", stop: async () => {} };
  const dataDir = resolve(root, env.DATA_DIR?.trim() || ".data");
  const running = readAddress(dataDir);
  if (running !== undefined && (await answers(running))) return { url: running, via: "the running server", stop: async () => {} };
  const { url, stop } = await startEmbeddedPostgres({ dataDir: join(dataDir, "postgres") });
  return { url, via: "the embedded database", stop };
}

export async function openDatabase(where: Where): Promise<OpenDatabase> {
  const { url, stop } = await locateDatabase(where);
  try {
    await migrate({ connectionString: url, migrationsDir: migrationsDirOf(where.root) });
  } catch (error) {
    await stop();
    throw error;
  }
  const prisma = createPrisma(url, 2);
  const close = async (): Promise<void> => {
    await prisma.$disconnect();
    await stop();
  };
  return { prisma, close };
}

function readAddress(dataDir: string): string | undefined {
  try {
    return readFileSync(join(dataDir, "postgres.url"), "utf8").trim() || undefined;
  } catch {
    return undefined;
  }
}

/** A server that was killed leaves its address behind. */
async function answers(connectionString: string): Promise<boolean> {
  const client = new Client({ connectionString, connectionTimeoutMillis: 2_000, query_timeout: 2_000 });
  client.on("error", () => {});
  try {
    await client.connect();
    await client.query("select 1");
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => {});
  }
}
