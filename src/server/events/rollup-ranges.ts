import { Prisma } from "@/generated/prisma/client";
import type { Ctx } from "@/server/context";

/** `from` is included, `to` is not; both are whole hours. */
export type HourRange = { from: Date; to: Date };

const DAY_MS = 86_400_000;

/** Which rows make up a range: runs of days that were summed up, by midnights in UTC, and the hours around and between them. */
export type RangeRows = { days: HourRange[]; hours: HourRange[] };

/** Reads which whole days (UTC) of a range have sums of their own; the rest is read by the hour. */
export async function rowsOfRange({ ctx, range }: { ctx: Ctx; range: HourRange }): Promise<RangeRows> {
  const first = new Date(Math.ceil(range.from.getTime() / DAY_MS) * DAY_MS);
  const end = new Date(Math.floor(range.to.getTime() / DAY_MS) * DAY_MS);
  const made = await ctx.prisma.costRollupDayMade.findMany({
    where: { orgId: ctx.principal.orgId, day: { gte: first, lt: end } },
    orderBy: { day: "asc" },
    select: { day: true },
  });
  return splitRange(
    range,
    made.map(({ day }) => day),
  );
}

/** @param made midnights in UTC of days that lie wholly in the range, ascending. */
export function splitRange(range: HourRange, made: readonly Date[]): RangeRows {
  const days: HourRange[] = [];
  for (const day of made) {
    const to = new Date(day.getTime() + DAY_MS);
    const last = days.at(-1);
    if (last && last.to.getTime() === day.getTime()) last.to = to;
    else days.push({ from: day, to });
  }
  const hours: HourRange[] = [];
  let from = range.from;
  for (const run of days) {
    if (from < run.from) hours.push({ from, to: run.from });
    from = run.to;
  }
  if (from < range.to) hours.push({ from, to: range.to });
  return { days, hours };
}

/** Sums that lists are ordered by: of days they stand in an index, so that the rows themselves are not read. */
export const RANKED_COLUMNS = Prisma.sql`value, cost_nano, calls, denied_calls, input_tokens, output_tokens`;
const COLUMNS = Prisma.sql`dimension, value, calls, denied_calls, failed_calls, unpriced_calls, cost_nano, input_cost_nano,
  cached_cost_nano, cache_write_cost_nano, output_cost_nano, reasoning_cost_nano, tools_cost_nano, input_tokens, output_tokens,
  cached_input_tokens, cache_write_tokens, reasoning_tokens, duration_ms`;

type RollupRows = {
  ctx: Ctx;
  rows: RangeRows;
  /** One or several. */
  dimension: string | readonly string[];
  /** Only these values. */
  values?: readonly string[];
  columns?: Prisma.Sql;
};

/** The roll-up rows of a range: a table expression with the columns of cost_rollup, without its hour. */
export function rollupRows({ ctx, rows, dimension, values, columns = COLUMNS }: RollupRows): Prisma.Sql {
  const of = typeof dimension === "string" ? Prisma.sql`dimension = ${dimension}` : Prisma.sql`dimension = ANY(${dimension})`;
  const only = values === undefined ? Prisma.empty : Prisma.sql`AND value = ANY(${values})`;
  const own = Prisma.sql`org_id = ${ctx.principal.orgId}::uuid AND ${of} ${only}`;
  const parts = rows.hours.map(
    ({ from, to }) =>
      Prisma.sql`SELECT ${columns} FROM cost_rollup WHERE ${own} AND hour >= ${from}::timestamptz AND hour < ${to}::timestamptz`,
  );
  for (const { from, to } of rows.days) {
    parts.push(
      Prisma.sql`SELECT ${columns} FROM cost_rollup_day WHERE ${own} AND day >= ${dateOf(from)}::date AND day < ${dateOf(to)}::date`,
    );
  }
  return Prisma.sql`(${Prisma.join(parts, " UNION ALL ")})`;
}

/** The day (UTC) of a midnight, as the database reads it. */
export const dateOf = (midnight: Date): string => midnight.toISOString().slice(0, 10);
