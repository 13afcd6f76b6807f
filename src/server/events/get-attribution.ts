import { z } from "zod";
import { Prisma } from "@/generated/prisma/client";
import { publicId } from "@/lib/ids";
import { assertAllowed } from "@/server/access";
import type { Ctx } from "@/server/context";
import { atOneMoment } from "./at-one-moment";
import { columnOf, namesOfValues, publicValueOf, storedValueOf } from "./dimensions";
import { firstIdFrom } from "./find";
import { DailySums, dayOf, NOTHING, presentDays, presentPeriod, PublicPeriod, splitModel, Sums } from "./get-cost-summary";
import { AttributionDetailInput, AttributionInput, GROUPS } from "./input";
import { parsed } from "./parse-input";
import { resolvePeriod, type Period } from "./period";
import { microdollars } from "./public-cost-event";
import { RANKED_COLUMNS, rollupRows, rowsOfRange } from "./rollup-ranges";
import { micros, presentSums, SUMS, type SumsRow } from "./sums";

export const Attribution = z
  .object({
    period: PublicPeriod,
    groupBy: z.string(),
    groups: z.array(
      z
        .object({
          key: z.string().meta({ description: "What a person reads: the key's or member's name, else the value itself." }),
          value: z.string().nullable().meta({ description: "What names the group in further requests. Null: calls that name none." }),
          keyId: z.string().nullable().meta({ description: "`ns_key_…` where grouped by key." }),
        })
        .extend(Sums.shape),
    ),
    totalGroups: z.int(),
    hasMore: z.boolean(),
    totals: Sums,
  })
  .meta({ id: "Attribution", description: "Dearest first; groups and the calls that name none add up to the totals." });
export type Attribution = z.infer<typeof Attribution>;

export const AttributionDetail = z
  .object({
    period: PublicPeriod,
    groupBy: z.string(),
    value: z.string(),
    key: z.string(),
    totals: Sums,
    daily: z.array(DailySums),
    models: z.array(z.object({ provider: z.string(), model: z.string(), totalCostMicrodollars: microdollars, requestCount: z.int() })),
    modelsComplete: z.boolean().meta({
      description: "False: `models` holds only what lies among the organisation's newest events of the period.",
    }),
  })
  .meta({ id: "AttributionDetail" });
export type AttributionDetail = z.infer<typeof AttributionDetail>;

type GroupRow = SumsRow & { value: string };

/**
 * What was spent in a period by the values of one dimension. Ranked by little, because there may be thousands, and summed up in full for
 * those shown.
 */
export async function getAttribution({ ctx, input }: { ctx: Ctx; input: AttributionInput }): Promise<Attribution> {
  assertAllowed(ctx.principal, { key: ["read"], user: "viewer" });
  return atOneMoment(ctx, (snapshot) => attributionOf({ ctx: snapshot, input }));
}

async function attributionOf({ ctx, input }: { ctx: Ctx; input: AttributionInput }): Promise<Attribution> {
  const { groupBy, limit, ...range } = parsed(AttributionInput, input);
  const dimension = dimensionOf(groupBy);
  const period = await resolvePeriod({ ctx, input: range });
  const rows = await rowsOfRange({ ctx, range: period });
  const [ranked, [total = NOTHING]] = await Promise.all([
    ctx.prisma.$queryRaw<{ value: string; groups: bigint; calls: string }[]>`
      SELECT value, count(*) OVER () AS groups, (sum(sum(calls)) OVER ())::text AS calls
      FROM ${rollupRows({ ctx, rows, dimension, columns: RANKED_COLUMNS })} AS rows
      GROUP BY value ORDER BY sum(cost_nano) DESC, sum(calls) DESC, value LIMIT ${limit}`,
    ctx.prisma.$queryRaw<SumsRow[]>`SELECT ${SUMS} FROM ${rollupRows({ ctx, rows, dimension: "total" })} AS rows`,
  ]);
  // Where every call names a value there is nothing over, and the sums of thousands of groups need not be known.
  const [all = NOTHING] =
    (ranked[0]?.calls ?? "0") === total.calls
      ? [total]
      : await ctx.prisma.$queryRaw<SumsRow[]>`SELECT ${SUMS} FROM ${rollupRows({ ctx, rows, dimension })} AS rows`;
  const values = ranked.map(({ value }) => value);
  const sums = await ctx.prisma.$queryRaw<GroupRow[]>`
    SELECT value, ${SUMS} FROM ${rollupRows({ ctx, rows, dimension, values })} AS rows GROUP BY value`;
  const byValue = new Map(sums.map((row) => [row.value, row]));
  const groups = values.flatMap((value) => byValue.get(value) ?? []);
  const names = await namesOfValues({ ctx, dimension, values: groups.map(({ value }) => value) });
  const totalGroups = Number(ranked[0]?.groups ?? 0);
  const unnamed = difference(total, all);
  return {
    period: presentPeriod(period),
    groupBy,
    groups: [
      ...groups.map((row) => ({
        key: names.get(row.value) ?? row.value,
        value: publicValueOf(dimension, row.value),
        keyId: dimension === "api_key" ? publicId("key", row.value) : null,
        ...presentSums(row),
      })),
      ...(unnamed.calls === "0"
        ? []
        : [{ key: dimension === "api_key" ? "(no key)" : "(none)", value: null, keyId: null, ...presentSums(unnamed) }]),
    ],
    totalGroups,
    hasMore: totalGroups > groups.length,
    totals: presentSums(total),
  };
}

type DetailRow = SumsRow & { kind: "total" | "day" | "model"; value: string };

/** One value of a dimension: its days and its models. */
export async function getAttributionDetail({ ctx, input }: { ctx: Ctx; input: AttributionDetailInput }): Promise<AttributionDetail> {
  assertAllowed(ctx.principal, { key: ["read"], user: "viewer" });
  const { groupBy, value: asked, ...range } = parsed(AttributionDetailInput, input);
  const dimension = dimensionOf(groupBy);
  const value = storedValueOf(dimension, asked);
  const period = await resolvePeriod({ ctx, input: range });
  const own = Prisma.sql`${inPeriodOf(ctx, period)} AND dimension = ${dimension} AND value = ${value}`;
  const rows = await ctx.prisma.$queryRaw<DetailRow[]>`
    SELECT 'total' AS kind, '' AS value, ${SUMS} FROM cost_rollup WHERE ${own}
    UNION ALL
    SELECT 'day', ${dayOf(period)}, ${SUMS} FROM cost_rollup WHERE ${own} GROUP BY 2`;
  const total = rows.find(({ kind }) => kind === "total") ?? NOTHING;
  const models = await modelsOf({ ctx, period, dimension, value });
  const counted = models.reduce((sum, { requestCount }) => sum + requestCount, 0);
  const names = await namesOfValues({ ctx, dimension, values: [value] });
  return {
    period: presentPeriod(period),
    groupBy,
    value: publicValueOf(dimension, value),
    key: names.get(value) ?? value,
    totals: presentSums(total),
    daily: presentDays(
      period,
      rows.filter(({ kind }) => kind === "day"),
    ),
    models,
    modelsComplete: counted >= Number(total.calls),
  };
}

/** Roll-ups do not cross two dimensions: the models of anything but a model or provider are counted among this many newest events. */
const EVENTS_LOOKED_AT_MAX = 50_000;
const MODELS_MAX = 50;

type ModelSums = AttributionDetail["models"][number];

async function modelsOf({
  ctx,
  period,
  dimension,
  value,
}: {
  ctx: Ctx;
  period: Period;
  dimension: string;
  value: string;
}): Promise<ModelSums[]> {
  const rows = await ctx.prisma.$queryRaw<{ model: string; cost_nano: string; calls: string }[]>`
    SELECT model, sum(cost_nano)::text AS cost_nano, sum(calls)::text AS calls
    FROM (${modelRowsOf({ ctx, period, dimension, value })}) AS counted
    GROUP BY model ORDER BY sum(cost_nano) DESC, sum(calls) DESC, model LIMIT ${MODELS_MAX}`;
  return rows.map((row) => ({
    ...splitModel(row.model),
    totalCostMicrodollars: micros(row.cost_nano),
    requestCount: Number(row.calls),
  }));
}

function modelRowsOf({ ctx, period, dimension, value }: { ctx: Ctx; period: Period; dimension: string; value: string }): Prisma.Sql {
  const rolledUp = Prisma.sql`SELECT value AS model, cost_nano, calls FROM cost_rollup WHERE ${inPeriodOf(ctx, period)} AND dimension = 'model'`;
  if (dimension === "model") return Prisma.sql`${rolledUp} AND value = ${value}`;
  if (dimension === "provider") return Prisma.sql`${rolledUp} AND starts_with(value, ${`${value}/`})`;
  return Prisma.sql`
    SELECT provider || '/' || model AS model, coalesce(cost_nano, 0) AS cost_nano, 1 AS calls
    FROM (
      SELECT * FROM cost_event
      WHERE org_id = ${ctx.principal.orgId}::uuid AND id >= ${firstIdFrom(period.from.getTime())}::uuid
        AND created_at >= ${period.from}::timestamptz AND created_at < ${period.to}::timestamptz
      ORDER BY id DESC LIMIT ${EVENTS_LOOKED_AT_MAX}
    ) AS newest
    WHERE ${columnOf(dimension)} = ${value}`;
}

function inPeriodOf({ principal }: Ctx, { from, to }: Period): Prisma.Sql {
  return Prisma.sql`org_id = ${principal.orgId}::uuid AND hour >= ${from}::timestamptz AND hour < ${to}::timestamptz`;
}

function dimensionOf(groupBy: string): string {
  if ((GROUPS as readonly string[]).includes(groupBy) || groupBy.startsWith("tag:")) return groupBy;
  return `tag:${groupBy}`;
}

export function difference(total: SumsRow, part: SumsRow): SumsRow {
  const names = Object.keys(NOTHING) as (keyof SumsRow)[];
  return Object.fromEntries(names.map((name) => [name, (BigInt(total[name]) - BigInt(part[name])).toString()])) as SumsRow;
}
