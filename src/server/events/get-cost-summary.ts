import { z } from "zod";
import { Prisma } from "@/generated/prisma/client";
import { publicId } from "@/lib/ids";
import { assertAllowed } from "@/server/access";
import type { Ctx } from "@/server/context";
import { CostSummaryInput } from "./input";
import { parsed } from "./parse-input";
import { daysOf, resolvePeriod, type Period } from "./period";
import { microdollars } from "./public-cost-event";
import { rollupRows, rowsOfRange } from "./rollup-ranges";
import { micros, presentSums, SUMS, type SumsRow } from "./sums";

const count = z.int().min(0);
const sums = {
  totalCostMicrodollars: microdollars,
  requestCount: count,
  deniedCount: count,
  failedCount: count.meta({ description: "Provider errors, cancelled and interrupted calls." }),
  unpricedCount: count.meta({ description: "Calls without a price: they are not in the cost." }),
  avgCostMicrodollars: microdollars,
  inputTokens: count,
  outputTokens: count,
  cachedInputTokens: count,
  cacheWriteTokens: count,
  reasoningTokens: count,
  avgDurationMs: count,
};
export const Sums = z.object(sums);
export const PublicPeriod = z.object({
  name: z.string().nullable().meta({ description: "7d, 30d or 90d; null for a range of one's own." }),
  from: z.string().meta({ format: "date-time" }),
  to: z.string().meta({ format: "date-time", description: "Not included." }),
  timezone: z.string().meta({ description: "IANA name; whose days `daily` counts." }),
});
export const DailySums = z.object({
  date: z.string().meta({ format: "date" }),
  totalCostMicrodollars: microdollars,
  requestCount: count,
  deniedCount: count,
});

/** How many names of a kind an answer holds, the dearest first. */
const NAMES_MAX = 100;

export const CostSummary = z
  .object({
    period: PublicPeriod,
    totals: z.object({ ...sums, totalRequests: count }),
    costBreakdown: z.object({
      inputCost: microdollars,
      cachedCost: microdollars,
      cacheWriteCost: microdollars,
      outputCost: microdollars,
      reasoningCost: microdollars.meta({ description: "Part of `outputCost`." }),
      toolsCost: microdollars,
    }),
    daily: z.array(DailySums).meta({ description: "Every day of the period, also those without calls." }),
    models: z.array(z.object({ provider: z.string(), model: z.string(), ...sums })),
    providers: z.array(z.object({ provider: z.string(), ...sums })),
    keys: z.array(z.object({ apiKeyId: z.string(), keyName: z.string().nullable(), ...sums })),
    tools: z.array(z.object({ toolName: z.string(), ...sums })),
    sources: z.array(z.object({ source: z.string(), ...sums })),
  })
  .meta({ id: "CostSummary", description: `Of models, providers, keys, tools and sources the ${NAMES_MAX} dearest.` });
export type CostSummary = z.infer<typeof CostSummary>;

const SUMMED = ["total", "model", "provider", "api_key", "tool", "source"];

type Row = SumsRow & { dimension: string; value: string };

/** What was spent in a period, by day and by name. From roll-ups, in one statement, so that the parts agree with the totals. */
export async function getCostSummary({ ctx, input }: { ctx: Ctx; input: CostSummaryInput }): Promise<CostSummary> {
  assertAllowed(ctx.principal, { key: ["read"], user: "viewer" });
  const { orgId } = ctx.principal;
  const period = await resolvePeriod({ ctx, input: parsed(CostSummaryInput, input) });
  const inPeriod = Prisma.sql`org_id = ${orgId}::uuid AND hour >= ${period.from}::timestamptz AND hour < ${period.to}::timestamptz`;
  const rows = await ctx.prisma.$queryRaw<Row[]>`
    SELECT * FROM (
      SELECT dimension, value, ${SUMS},
        row_number() OVER (PARTITION BY dimension ORDER BY sum(cost_nano) DESC, sum(calls) DESC, value) AS place
      FROM ${rollupRows({ ctx, rows: await rowsOfRange({ ctx, range: period }), dimension: SUMMED })} AS rows
      GROUP BY dimension, value
      UNION ALL
      SELECT 'day', ${dayOf(period)}, ${SUMS}, 1 FROM cost_rollup
      WHERE ${inPeriod} AND dimension = 'total'
      GROUP BY 2
    ) AS ranked
    WHERE place <= ${NAMES_MAX}
    ORDER BY dimension, place, value`;
  const of = (dimension: string): Row[] => rows.filter((row) => row.dimension === dimension);
  const keys = of("api_key");
  const names = await namesOfKeys({
    ctx,
    keyIds: keys.map(({ value }) => value),
  });
  const total = of("total")[0] ?? NOTHING;
  return {
    period: presentPeriod(period),
    totals: { ...presentSums(total), totalRequests: Number(total.calls) },
    costBreakdown: {
      inputCost: micros(total.input_cost_nano),
      cachedCost: micros(total.cached_cost_nano),
      cacheWriteCost: micros(total.cache_write_cost_nano),
      outputCost: micros(total.output_cost_nano),
      reasoningCost: micros(total.reasoning_cost_nano),
      toolsCost: micros(total.tools_cost_nano),
    },
    daily: presentDays(period, of("day")),
    models: of("model").map((row) => ({ ...splitModel(row.value), ...presentSums(row) })),
    providers: of("provider").map((row) => ({ provider: row.value, ...presentSums(row) })),
    keys: keys.map((row) => ({ apiKeyId: publicId("key", row.value), keyName: names.get(row.value) ?? null, ...presentSums(row) })),
    tools: of("tool").map((row) => ({ toolName: row.value, ...presentSums(row) })),
    sources: of("source").map((row) => ({ source: row.value, ...presentSums(row) })),
  };
}

export const NOTHING: SumsRow = {
  calls: "0",
  denied_calls: "0",
  failed_calls: "0",
  unpriced_calls: "0",
  cost_nano: "0",
  input_cost_nano: "0",
  cached_cost_nano: "0",
  cache_write_cost_nano: "0",
  output_cost_nano: "0",
  reasoning_cost_nano: "0",
  tools_cost_nano: "0",
  input_tokens: "0",
  output_tokens: "0",
  cached_input_tokens: "0",
  cache_write_tokens: "0",
  reasoning_tokens: "0",
  duration_ms: "0",
};

/** The day of a roll-up row in the organisation's time zone. */
export const dayOf = ({ timezone }: Period): Prisma.Sql => Prisma.sql`to_char(hour AT TIME ZONE ${timezone}, 'YYYY-MM-DD')`;

export function presentPeriod({ name, from, to, timezone }: Period): z.infer<typeof PublicPeriod> {
  return { name, from: from.toISOString(), to: to.toISOString(), timezone };
}

export function presentDays(period: Period, rows: readonly (SumsRow & { value: string })[]): z.infer<typeof DailySums>[] {
  const byDate = new Map(rows.map((row) => [row.value, row]));
  return daysOf(period).map((date) => {
    const { totalCostMicrodollars, requestCount, deniedCount } = presentSums(byDate.get(date) ?? NOTHING);
    return { date, totalCostMicrodollars, requestCount, deniedCount };
  });
}

/** `openai/gpt-4o`: a provider's name has no slash. */
export function splitModel(value: string): { provider: string; model: string } {
  const slash = value.indexOf("/");
  return { provider: value.slice(0, slash), model: value.slice(slash + 1) };
}

/** By bare id. Ids of keys that are not this organisation's have no name. */
export async function namesOfKeys({ ctx, keyIds }: { ctx: Ctx; keyIds: string[] }): Promise<Map<string, string>> {
  if (keyIds.length === 0) return new Map();
  const where = { orgId: ctx.principal.orgId, id: { in: keyIds } };
  const rows = await ctx.prisma.apiKey.findMany({ where, select: { id: true, name: true } });
  return new Map(rows.map(({ id, name }) => [id, name]));
}
