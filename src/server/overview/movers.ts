import { z } from "zod";
import { Prisma } from "@/generated/prisma/client";
import { nanoToMicrodollars, nanoUsd } from "@/lib/money";
import { assertAllowed } from "@/server/access";
import type { Ctx } from "@/server/context";
import { dimensionInput, namesOfValues, parsed, publicValueOf, RANKED_COLUMNS, rollupRows, rowsOfRange } from "@/server/events";

export const MoversInput = z.strictObject({
  dimension: dimensionInput.default("api_key"),
  days: z.int().min(1).max(31).default(7),
  limit: z.int().min(1).max(20).default(5),
});
export type MoversInput = z.input<typeof MoversInput>;

export const Movers = z
  .object({
    dimension: z.string(),
    from: z.string(),
    to: z.string(),
    timezone: z.string().meta({ description: "Whose days `points` counts." }),
    movers: z
      .array(
        z.object({
          key: z.string().meta({ description: "What a person reads." }),
          value: z.string().meta({ description: "What names it in filters." }),
          spendMicrodollars: z.number(),
          previousMicrodollars: z.number(),
          changeMicrodollars: z.number(),
          points: z
            .array(z.number())
            .meta({ description: "Microdollars of each day of both periods, oldest first; the last day is not over." }),
        }),
      )
      .meta({ description: "Where spend changed most, in either direction." }),
  })
  .meta({ id: "Movers" });
export type Movers = z.infer<typeof Movers>;

const HOUR_MS = 3_600_000;
const micros = (nano: bigint | string): number => nanoToMicrodollars(nanoUsd(BigInt(nano)));

type Edges = { timezone: string; days: Date[] };

/** What changed most between the last days and as many before, today included. */
export async function getMovers({ ctx, input }: { ctx: Ctx; input: MoversInput }): Promise<Movers> {
  assertAllowed(ctx.principal, { key: ["read"], user: "viewer" });
  const { dimension, days, limit } = parsed(MoversInput, input);
  const nowMs = ctx.clock.now();
  const to = new Date(Math.ceil((nowMs + 1) / HOUR_MS) * HOUR_MS);
  const edges = await daysBefore(ctx, { now: new Date(nowMs), count: days * 2 });
  const [from, middle] = [floor(edges.days[0]!), floor(edges.days[days]!)];
  const [now, before] = await Promise.all([
    rowsOfRange({ ctx, range: { from: middle, to } }),
    rowsOfRange({ ctx, range: { from, to: middle } }),
  ]);
  const rows = await ctx.prisma.$queryRaw<{ value: string; now: string; before: string }[]>`
    SELECT value, sum(now)::text AS now, sum(before)::text AS before FROM (
      SELECT value, sum(cost_nano) AS now, 0 AS before FROM ${rollupRows({ ctx, rows: now, dimension, columns: RANKED_COLUMNS })} AS rows GROUP BY value
      UNION ALL
      SELECT value, 0, sum(cost_nano) FROM ${rollupRows({ ctx, rows: before, dimension, columns: RANKED_COLUMNS })} AS rows GROUP BY value
    ) AS both_periods
    GROUP BY value HAVING sum(now) <> sum(before)
    ORDER BY abs(sum(now) - sum(before)) DESC, value LIMIT ${limit}`;
  const values = rows.map(({ value }) => value);
  const [points, names] = await Promise.all([
    values.length === 0 ? [] : daily(ctx, { dimension, values, from, timezone: edges.timezone }),
    namesOfValues({ ctx, dimension, values }),
  ]);
  return {
    dimension,
    from: middle.toISOString(),
    to: to.toISOString(),
    timezone: edges.timezone,
    movers: rows.map(({ value, now: spent, before: previous }) => ({
      key: names.get(value) ?? value,
      value: publicValueOf(dimension, value),
      spendMicrodollars: micros(spent),
      previousMicrodollars: micros(previous),
      changeMicrodollars: micros(BigInt(spent) - BigInt(previous)),
      points: edges.days.map((day) =>
        micros(points.find((point) => point.value === value && point.day.getTime() === day.getTime())?.cost_nano ?? "0"),
      ),
    })),
  };
}

const floor = (time: Date): Date => new Date(Math.floor(time.getTime() / HOUR_MS) * HOUR_MS);

/** Midnights in the organisation's time zone, the oldest first, today's last. */
async function daysBefore({ prisma, principal }: Ctx, { now, count }: { now: Date; count: number }): Promise<Edges> {
  const rows = await prisma.$queryRaw<{ timezone: string; day: Date }[]>`
    SELECT timezone, (date_trunc('day', ${now}::timestamptz AT TIME ZONE timezone) - make_interval(days => back)) AT TIME ZONE timezone AS day
    FROM organisation, generate_series(0, ${count - 1}::int) AS back
    WHERE id = ${principal.orgId}::uuid ORDER BY day`;
  return { timezone: rows[0]?.timezone ?? "UTC", days: rows.map(({ day }) => day) };
}

type DailyInput = { dimension: string; values: string[]; from: Date; timezone: string };

function daily(
  { prisma, principal }: Ctx,
  { dimension, values, from, timezone }: DailyInput,
): Promise<{ value: string; day: Date; cost_nano: string }[]> {
  return prisma.$queryRaw(Prisma.sql`
    SELECT value, date_trunc('day', hour, ${timezone}) AS day, sum(cost_nano)::text AS cost_nano
    FROM cost_rollup
    WHERE org_id = ${principal.orgId}::uuid AND dimension = ${dimension} AND value = ANY(${values}) AND hour >= ${from}::timestamptz
    GROUP BY 1, 2`);
}
