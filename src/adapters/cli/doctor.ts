import { Client } from "pg";
import { request } from "undici";
import { createPrisma } from "@/lib/db";
import { listMigrations } from "@/lib/db/migrate";
import { EnvError, readEnv } from "@/lib/env";
import type { PrismaClient } from "@/generated/prisma/client";
import { parseStoredRestrictions } from "@/server/api-key";
import { locateDatabase, migrationsDirOf } from "./open-database";
import { assertKnown } from "./read-options";
import type { CommandInput, CommandResult } from "./run-cli";

type Check = { name: string; status: "ok" | "warning" | "failed"; message: string };

/** Looks at everything between an operator and a first call, and changes nothing. */
export async function doctor({ env, root, options }: CommandInput): Promise<CommandResult> {
  assertKnown(options, []);
  const checks: Check[] = [checkEnvironment(env), ...(await checkDatabase({ env, root })), await checkServer(env)];
  const failed = checks.some(({ status }) => status === "failed");
  const mark = { ok: "✓", warning: "!", failed: "✗" } as const;
  return {
    data: { ok: !failed, checks },
    text: checks.map(({ name, status, message }) => `${mark[status]} ${name}: ${message}`).join("\n"),
    failed,
  };
}

function checkEnvironment(env: CommandInput["env"]): Check {
  try {
    readEnv(env);
    return { name: "environment", status: "ok", message: "can be used" };
  } catch (error) {
    if (!(error instanceof EnvError)) throw error;
    return { name: "environment", status: "failed", message: error.problems.map(({ name, problem }) => `${name} ${problem}`).join("; ") };
  }
}

async function checkDatabase(where: Pick<CommandInput, "env" | "root">): Promise<Check[]> {
  try {
    const { url, via, stop } = await locateDatabase(where);
    try {
      const reachable = await checkReachable(url, via);
      const migrations = await checkMigrations(url, where.root);
      if (migrations.status === "failed") return [reachable, migrations];
      const prisma = createPrisma(url, 1);
      try {
        return [reachable, migrations, ...(await checkStored(prisma))];
      } finally {
        await prisma.$disconnect();
      }
    } finally {
      await stop();
    }
  } catch (error) {
    return [{ name: "database", status: "failed", message: error instanceof Error ? error.message || error.name : String(error) }];
  }
}

async function withClient<T>(connectionString: string, run: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString, connectionTimeoutMillis: 5_000, query_timeout: 10_000 });
  client.on("error", () => {});
  try {
    await client.connect();
    return await run(client);
  } finally {
    await client.end().catch(() => {});
  }
}

function checkReachable(url: string, via: string): Promise<Check> {
  return withClient(url, async (client) => {
    const { rows } = await client.query<{ server_version: string }>("show server_version");
    return { name: "database", status: "ok", message: `Postgres ${rows[0]!.server_version} by ${via}` };
  });
}

async function checkMigrations(url: string, root: string): Promise<Check> {
  const known = await listMigrations(migrationsDirOf(root));
  const applied = await withClient(url, async (client) => {
    const { rows } = await client.query<{ there: boolean }>(`select to_regclass('"_prisma_migrations"') is not null as there`);
    if (!rows[0]!.there) return new Set<string>();
    const history = await client.query<{ migration_name: string }>(
      `select migration_name from "_prisma_migrations" where finished_at is not null and rolled_back_at is null`,
    );
    return new Set(history.rows.map((row) => row.migration_name));
  });
  const pending = known.filter(({ name }) => !applied.has(name)).map(({ name }) => name);
  if (pending.length === 0) return { name: "migrations", status: "ok", message: `${known.length} applied` };
  return { name: "migrations", status: "failed", message: `not applied: ${pending.join(", ")} (npm start or init applies them)` };
}

async function checkStored(prisma: PrismaClient): Promise<Check[]> {
  const organisations = await prisma.organisation.count();
  const keys = await prisma.apiKey.findMany({ where: { revokedAt: null }, select: { id: true, restrictions: true } });
  const unreadable = keys.filter(({ restrictions }) => parseStoredRestrictions(restrictions) === null);
  const [orphans] = await prisma.$queryRaw<[{ count: bigint }]>`
    SELECT count(*) AS count FROM api_key k
     WHERE k.revoked_at IS NULL AND NOT EXISTS (SELECT 1 FROM membership m WHERE m.org_id = k.org_id AND m.user_id = k.user_id)`;
  return [
    organisations === 0
      ? { name: "organisations", status: "warning", message: "none yet: begin with `init`" }
      : { name: "organisations", status: "ok", message: String(organisations) },
    unreadable.length === 0
      ? { name: "keys", status: "ok", message: `${keys.length} live, all restrictions readable` }
      : {
          name: "keys",
          status: "failed",
          message: `restrictions cannot be read, so everything is denied: ${unreadable.map(({ id }) => `ns_key_${id}`).join(", ")}`,
        },
    ...(orphans.count === 0n
      ? []
      : [{ name: "key owners", status: "warning" as const, message: `${orphans.count} keys do nothing because their owner has left` }]),
  ];
}

async function checkServer(env: CommandInput["env"]): Promise<Check> {
  const origin = env.NEXTAUTH_URL?.trim() || `http://localhost:${env.PORT?.trim() || "3000"}`;
  try {
    const { statusCode, body } = await request(`${origin}/api/ready`, { headersTimeout: 3_000, bodyTimeout: 3_000 });
    await body.dump();
    if (statusCode === 200) return { name: "server", status: "ok", message: `${origin} is ready` };
    return { name: "server", status: "failed", message: `${origin}/api/ready answers ${statusCode}` };
  } catch {
    return { name: "server", status: "warning", message: `nothing answers at ${origin}: start it with npm start` };
  }
}
