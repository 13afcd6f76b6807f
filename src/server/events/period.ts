import { ServiceError } from "@/lib/errors";
import type { Ctx } from "@/server/context";
import type { PeriodInput } from "./input";

/** Roll-ups are by the hour: `from` is included, `to` is not, both are whole hours. */
export type Period = { name: string | null; from: Date; to: Date; timezone: string };

const HOUR_MS = 3_600_000;
const DEFAULT_PERIOD = "30d";

/** Days are the organisation's; in time zones off the hour a day begins at the whole hour (UTC) before its midnight. */
export async function resolvePeriod({ ctx, input }: { ctx: Ctx; input: PeriodInput }): Promise<Period> {
  const nowMs = ctx.clock.now();
  const period = input.from === undefined ? (input.period ?? DEFAULT_PERIOD) : null;
  const days = period === null ? 0 : Number.parseInt(period, 10) - 1;
  const [row] = await ctx.prisma.$queryRaw<{ timezone: string; first_day: Date }[]>`
    SELECT timezone, (date_trunc('day', ${new Date(nowMs)}::timestamptz AT TIME ZONE timezone) - make_interval(days => ${days}))
      AT TIME ZONE timezone AS first_day
    FROM organisation WHERE id = ${ctx.principal.orgId}::uuid`;
  if (row === undefined) throw new ServiceError("not_found", "There is no such organisation.");
  const fromMs = input.from === undefined ? row.first_day.getTime() : Date.parse(input.from);
  const toMs = input.to === undefined ? nowMs + HOUR_MS : Date.parse(input.to);
  return {
    name: period,
    from: new Date(Math.floor(fromMs / HOUR_MS) * HOUR_MS),
    to: new Date(Math.ceil(toMs / HOUR_MS) * HOUR_MS),
    timezone: row.timezone,
  };
}

/** The calendar days that a period touches, `YYYY-MM-DD` in its time zone, so that a chart has no gaps. */
export function daysOf({ from, to, timezone }: Period): string[] {
  // Canadian English writes dates as ISO 8601 does.
  const format = new Intl.DateTimeFormat("en-CA", { timeZone: timezone, year: "numeric", month: "2-digit", day: "2-digit" });
  const days = new Set<string>();
  for (let ms = from.getTime(); ms < to.getTime(); ms += HOUR_MS) days.add(format.format(ms));
  return [...days];
}
