/**
 * Every query of the dashboard against the database of scripts/seed-events.mjs, as the pages ask them: through the verbs, Prisma
 * included. Cold is the first time in a process of its own connection; warm is the median and the 95th percentile of what follows.
 *
 *   node scripts/bench-dashboard.mjs [--database postgres://…/nullspend_seed] [--rounds 15] [--out bench/results/….md]
 */
import { writeFileSync } from "node:fs";
import os from "node:os";
import { parseArgs } from "node:util";
import { systemClock } from "@/lib/clock";
import { createPrisma } from "@/lib/db";
import { publicId } from "@/lib/ids";
import { listBudgets } from "@/server/budget";
import type { Ctx } from "@/server/context";
import {
  explore,
  getAttribution,
  getCostEvent,
  getCostSummary,
  getSession,
  getSessionTimeline,
  getTrace,
  listCostEvents,
  listSessions,
  listTagKeys,
  listTraces,
  makeDailySums,
} from "@/server/events";
import { getBurnRate, getMovers, getSpendOverview, previewBudget } from "@/server/overview";
import { SEED_ORG_ID, SEED_USER_ID, seedKeyId } from "./seed-names";

const { values } = parseArgs({
  options: {
    database: { type: "string", default: "postgres://postgres@127.0.0.1:5432/nullspend_seed" },
    rounds: { type: "string", default: "15" },
    out: { type: "string" },
  },
});
const ROUNDS = Number(values.rounds);
const LIMIT_MS = 150;

const prisma = createPrisma(values.database);
const [newest] = await prisma.$queryRaw<{ at: Date }[]>`
  SELECT created_at AS at FROM cost_event WHERE org_id = ${SEED_ORG_ID}::uuid ORDER BY id DESC LIMIT 1`;
if (!newest) throw new Error("This database has no events: node scripts/seed-events.mjs makes them.");
// The dashboard is opened a moment after the last event, whenever the seed was made.
const nowMs = newest.at.getTime() + 1_000;
const ctx: Ctx = {
  prisma,
  clock: { ...systemClock, now: () => nowMs },
  principal: { type: "user", orgId: SEED_ORG_ID, userId: SEED_USER_ID, role: "owner" },
  ip: null,
};
console.log(`${await makeDailySums({ prisma })} days summed up`);

const from = (days: number) => new Date(nowMs - days * 86_400_000).toISOString();
const keyId = publicId("key", seedKeyId(7));
const rareKeyId = publicId("key", seedKeyId(39));
const someSession = (await listSessions({ ctx, input: { limit: 50 } })).data.at(-1)!.sessionId;
const someTrace = (await listTraces({ ctx, input: { limit: 50 } })).data.at(-1)!.traceId;
const secondPage = (await listCostEvents({ ctx, input: { limit: 100 } })).cursor!;

const queries: Record<string, () => Promise<unknown>> = {
  "overview: today, month, forecast": () => getSpendOverview({ ctx }),
  "overview: burn rate, budgets closest to the wall": () => getBurnRate({ ctx }),
  "overview: movers by key": () => getMovers({ ctx, input: { dimension: "api_key" } }),
  "overview: movers by customer (2,000)": () => getMovers({ ctx, input: { dimension: "customer" } }),
  "overview: movers by model": () => getMovers({ ctx, input: { dimension: "model" } }),
  "overview: movers by tag": () => getMovers({ ctx, input: { dimension: "tag:feature" } }),
  "explorer: total by hour, 7 days": () => explore({ ctx, input: { period: "7d", bucket: "hour", compare: true } }),
  "explorer: total by day, 90 days, compared": () => explore({ ctx, input: { period: "90d", compare: true } }),
  "explorer: by key, 30 days, compared": () => explore({ ctx, input: { period: "30d", groupBy: "api_key", compare: true } }),
  "explorer: by model, 90 days": () => explore({ ctx, input: { period: "90d", groupBy: "model" } }),
  "explorer: by customer, 7 days by hour": () => explore({ ctx, input: { period: "7d", groupBy: "customer", bucket: "hour" } }),
  "explorer: by customer, 30 days, compared": () => explore({ ctx, input: { period: "30d", groupBy: "customer", compare: true } }),
  "explorer: by customer, 90 days, by week": () => explore({ ctx, input: { period: "90d", groupBy: "customer", bucket: "week" } }),
  "explorer: by customer, 90 days, calls, New York": () =>
    explore({ ctx, input: { period: "90d", groupBy: "customer", metric: "calls", timezone: "America/New_York" } }),
  "explorer: by tag, 90 days, tokens": () => explore({ ctx, input: { period: "90d", groupBy: "tag:feature", metric: "tokens" } }),
  "explorer: by tool, 30 days, denied": () => explore({ ctx, input: { period: "30d", groupBy: "tool", metric: "denied" } }),
  "explorer: by session, 7 days": () => explore({ ctx, input: { period: "7d", groupBy: "session" } }),
  "explorer: by session, 30 days": () => explore({ ctx, input: { period: "30d", groupBy: "session" } }),
  "explorer: one customer, 90 days": () => explore({ ctx, input: { period: "90d", filter: { customerId: "customer-3" } } }),
  "explorer: models of one key, 30 days": () => explore({ ctx, input: { period: "30d", groupBy: "model", filter: { apiKeyId: keyId } } }),
  "explorer: customers of one tag, 7 days": () =>
    explore({ ctx, input: { period: "7d", groupBy: "customer", filter: { tags: { team: "team-3" } } } }),
  "summary, 30 days": () => getCostSummary({ ctx, input: { period: "30d" } }),
  "attribution by customer, 30 days": () => getAttribution({ ctx, input: { groupBy: "customer", period: "30d" } }),
  "tag keys": () => listTagKeys({ ctx }),
  "activity: newest 100": () => listCostEvents({ ctx, input: { limit: 100 } }),
  "activity: second page": () => listCostEvents({ ctx, input: { limit: 100, cursor: secondPage } }),
  "activity: of one key": () => listCostEvents({ ctx, input: { limit: 100, apiKeyId: keyId } }),
  "activity: of a rare key": () => listCostEvents({ ctx, input: { limit: 100, apiKeyId: rareKeyId } }),
  "activity: of a rare customer": () => listCostEvents({ ctx, input: { limit: 100, customerId: "customer-1999" } }),
  "activity: of a model": () => listCostEvents({ ctx, input: { limit: 100, model: "claude-bench-19" } }),
  "activity: denied": () => listCostEvents({ ctx, input: { limit: 100, status: "denied" } }),
  "activity: denied of a rare customer": () =>
    listCostEvents({ ctx, input: { limit: 100, status: "denied", customerId: "customer-1990" } }),
  "activity: of a tag": () => listCostEvents({ ctx, input: { limit: 100, tags: { team: "team-3" } } }),
  "activity: of a rare tag": () => listCostEvents({ ctx, input: { limit: 100, tags: { feature: "feature-59" } } }),
  "activity: dear calls of a week": () => listCostEvents({ ctx, input: { limit: 100, from: from(7), minCostMicrodollars: 70_000 } }),
  "activity: a week, 60 days ago": () => listCostEvents({ ctx, input: { limit: 100, from: from(60), to: from(53) } }),
  event: () => newestEvent().then((id) => getCostEvent({ ctx, input: { id } })),
  sessions: () => listSessions({ ctx, input: { limit: 100 } }),
  session: () => getSession({ ctx, input: { sessionId: someSession } }),
  "session timeline": () => getSessionTimeline({ ctx, input: { sessionId: someSession } }),
  traces: () => listTraces({ ctx, input: { limit: 100 } }),
  trace: () => getTrace({ ctx, input: { traceId: someTrace } }),
  budgets: () => listBudgets({ ctx, input: { sort: "utilization" } }),
  "budget preview: organisation": () =>
    previewBudget({ ctx, input: { entityType: "org", maxBudgetMicrodollars: 50_000_000_000, resetInterval: "monthly" } }),
  "budget preview: customer, daily": () =>
    previewBudget({
      ctx,
      input: { entityType: "customer", entityId: "customer-3", maxBudgetMicrodollars: 1_000_000, resetInterval: "daily" },
    }),
  "budget preview: key, some models": () =>
    previewBudget({ ctx, input: { entityType: "api_key", entityId: keyId, models: ["gpt-*"], maxBudgetMicrodollars: 1_000_000 } }),
};

async function newestEvent(): Promise<string> {
  const { data } = await listCostEvents({ ctx, input: { limit: 1 } });
  return data[0]!.id;
}

const quantile = (sorted: readonly number[], q: number): number => sorted[Math.min(Math.floor(sorted.length * q), sorted.length - 1)]!;
const lines: string[] = [];
let slow = 0;
for (const [name, query] of Object.entries(queries)) {
  const times: number[] = [];
  for (let round = 0; round <= ROUNDS; round += 1) {
    const startedAt = performance.now();
    await query();
    times.push(performance.now() - startedAt);
  }
  const [cold, ...warm] = times as [number, ...number[]];
  const sorted = warm.toSorted((a, b) => a - b);
  const p95 = quantile(sorted, 0.95);
  if (p95 >= LIMIT_MS) slow += 1;
  lines.push(
    `| ${name} | ${cold.toFixed(0)} | ${sorted[0]!.toFixed(0)} | ${quantile(sorted, 0.5).toFixed(0)} | ${p95.toFixed(0)} |${p95 >= LIMIT_MS ? " over" : ""}`,
  );
  console.log(lines.at(-1));
}
const [size] = await prisma.$queryRaw<{ events: bigint; rollups: bigint; days: bigint; size: string }[]>`
  SELECT (SELECT reltuples::bigint FROM pg_class WHERE relname = 'cost_event') AS events,
    (SELECT reltuples::bigint FROM pg_class WHERE relname = 'cost_rollup') AS rollups,
    (SELECT count(*) FROM cost_rollup_day) AS days, pg_size_pretty(pg_database_size(current_database())) AS size`;
await prisma.$disconnect();
const head = [
  "# The dashboard's queries with ten million events",
  "",
  `${os.cpus().length} × ${os.cpus()[0]!.model}, Node ${process.versions.node}, load average ${os.loadavg()[0]!.toFixed(1)} at the end. ` +
    `${Number(size!.events).toLocaleString("en-US")} events, ${Number(size!.rollups).toLocaleString("en-US")} sums by the hour and ` +
    `${Number(size!.days).toLocaleString("en-US")} by day; ${size!.size}. Postgres with its standard settings (128 MB of shared buffers).`,
  "",
  `Milliseconds, through the verbs, Prisma included. Cold: the first time; the others of ${ROUNDS} that follow. Best: the fastest of them. ` +
    `Figures count only where the load average stays below the number of processors: above, they are mostly waiting. ` +
    `${lines.length - slow} of ${lines.length} answer within ${LIMIT_MS} ms in the 95th percentile.`,
  "",
  "| Query | cold | best | p50 | p95 |",
  "|---|--:|--:|--:|--:|",
];
if (values.out) writeFileSync(values.out, `${[...head, ...lines].join("\n")}\n`);
console.log(`${lines.length - slow} of ${lines.length} within ${LIMIT_MS} ms`);
