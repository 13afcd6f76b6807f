import { Prisma } from "@/generated/prisma/client";
import type { Ctx } from "@/server/context";

/** `from` is included, `to` is not; both are whole hours. */
export type HourRange = { from: Date; to: Date };

const DAY_MS = 86_400_000;

/** Which rows make up a range: days that were summed up, and the hours around and between them. */
export type RangeRows = { days: Date[]; hours: HourRange[] };

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

/** @param days midnights in UTC that lie wholly in the range, ascending. */
export function splitRange(range: HourRange, days: Date[]): RangeRows {
  const hours: HourRange[] = [];
  let from = range.from;
  for (const day of days) {
    if (from < day) hours.push({ from, to: day });
    from = new Date(day.getTime() + DAY_MS);
  }
  if (from < range.to) hours.push({ from, to: range.to });
  return { days, hours };
}

const COLUMNS = Prisma.sql`dimension, value, calls, denied_calls, failed_calls, unpriced_calls, cost_nano, input_cost_nano,
  cached_cost_nano, cache_write_cost_nano, output_cost_nano, reasoning_cost_nano, tools_cost_nano, input_tokens, output_tokens,
  cached_input_tokens, cache_write_tokens, reasoning_tokens, duration_ms`;

/** The roll-up rows of a range, of `dimension` alone: a table expression with the columns of cost_rollup, without its hour. */
export function rollupRows({ ctx, rows, dimension }: { ctx: Ctx; rows: RangeRows; dimension: string }): Prisma.Sql {
  const own = Prisma.sql`org_id = ${ctx.principal.orgId}::uuid AND dimension = ${dimension}`;
  const parts = rows.hours.map(
    ({ from, to }) =>
      Prisma.sql`SELECT ${COLUMNS} FROM cost_rollup WHERE ${own} AND hour >= ${from}::timestamptz AND hour < ${to}::timestamptz`,
  );
  const days = rows.days.map((day) => day.toISOString().slice(0, 10));
  // A range and the days themselves: the range lets the index be read in one go, also where a day between was not summed up.
  if (days.length > 0) {
    parts.push(Prisma.sql`SELECT ${COLUMNS} FROM cost_rollup_day
      WHERE ${own} AND day >= ${days[0]}::date AND day <= ${days.at(-1)}::date AND day = ANY(${days}::date[])`);
  }
  return Prisma.sql`(${Prisma.join(parts, " UNION ALL ")})`;
}
