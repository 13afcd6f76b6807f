import { PrismaPg } from "@prisma/adapter-pg";
import { Pool, type PoolConfig } from "pg";
import { PrismaClient } from "@/generated/prisma/client";

export { migrate, MigrationError, type MigrateOptions } from "./migrate";

/** Pages and verbs are short statements: more connections than this would only wait for the database's own cores. */
const PRISMA_CONNECTIONS_MAX = 10;
/** Also bounds the wait for a free connection: a database that does not answer fails a request instead of holding it for ever. */
const CONNECT_TIMEOUT_MS = 5_000;

const poolConfig = (connectionString: string, max: number): PoolConfig => ({
  connectionString,
  max,
  connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
  keepAlive: true,
});

/** One per process; `$disconnect()` closes its connections. */
export function createPrisma(connectionString: string, connectionsMax = PRISMA_CONNECTIONS_MAX): PrismaClient {
  const adapter = new PrismaPg(poolConfig(connectionString, connectionsMax));
  // Other formats quote our source code in the messages of errors.
  return new PrismaClient({ adapter, errorFormat: "minimal" });
}

/** Connections for SQL that Prisma does not speak. `end()` closes them. */
export function createPool({ connectionString, connectionsMax }: { connectionString: string; connectionsMax: number }): Pool {
  const pool = new Pool(poolConfig(connectionString, connectionsMax));
  // An idle connection that breaks is replaced at the next query; without a listener it would end the process.
  pool.on("error", () => {});
  return pool;
}
