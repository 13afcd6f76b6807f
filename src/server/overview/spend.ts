import { z } from "zod";
import { ServiceError } from "@/lib/errors";
import { nanoToMicrodollars, nanoUsd } from "@/lib/money";
import { assertAllowed } from "@/server/access";
import type { Ctx } from "@/server/context";

const amount = z.number().meta({ description: "Microdollars." });
const span = z.object({
  from: z.string(),
  spendMicrodollars: amount.meta({ description: "Settled, up to now." }),
  calls: z.int(),
  deniedCalls: z.int(),
  notSpentMicrodollars: amount.meta({ description: "Sum of the estimates of the calls that were denied." }),
  comparison: z
    .object({
      from: z.string(),
      to: z.string(),
      spendMicrodollars: amount,
      currentMicrodollars: amount,
      changeRatio: z.number().nullable().meta({ description: "0.25 is a quarter more; null: nothing to compare with." }),
    })
    .meta({
      description: "The same number of whole hours of the period before, beside those of this one: the hour that runs is in neither.",
    }),
});

export const SpendOverview = z
  .object({
    timezone: z.string().meta({ description: "The organisation's, whose day and month these are." }),
    asOf: z.string(),
    today: span,
    month: span,
    reservedMicrodollars: amount.meta({ description: "Held for calls in flight, each counted once." }),
    forecast: z.object({
      monthMicrodollars: amount.nullable().meta({ description: "Null: too little is known yet." }),
      method: z.string().meta({ description: "How it was made, for people." }),
      basisHours: z.int(),
    }),
  })
  .meta({ id: "SpendOverview" });
export type SpendOverview = z.infer<typeof SpendOverview>;

const HOUR_MS = 3_600_000;
/** A week has every hour of every weekday once, so that a forecast made on a Friday does not take the weekend for a Friday. */
const BASIS_HOURS_MAX = 7 * 24;
/** With less than a day behind it, a night would be taken for the whole month. */
const BASIS_HOURS_MIN = 24;

type Edges = {
  timezone: string;
  today: Date;
  month: Date;
  month_end: Date;
  yesterday: Date;
  month_before: Date;
};

/** What was spent today and this month, what was not, and where the month is going. Read from roll-ups; denied estimates from their index. */
export async function getSpendOverview({ ctx }: { ctx: Ctx }): Promise<SpendOverview> {
  assertAllowed(ctx.principal, { key: ["read"], user: "viewer" });
  const nowMs = ctx.clock.now();
  const hour = new Date(Math.floor(nowMs / HOUR_MS) * HOUR_MS);
  const edges = await edgesAt(ctx, new Date(nowMs));
  const basisFrom = new Date(hour.getTime() - BASIS_HOURS_MAX * HOUR_MS);
  const day = comparison({ start: edges.today, before: edges.yesterday, beforeEnd: edges.today, hour });
  const month = comparison({ start: edges.month, before: edges.month_before, beforeEnd: edges.month, hour });
  const [sums, notSpent, reserved] = await Promise.all([
    sumsOf(ctx, { edges, hour, basisFrom, day, month }),
    notSpentSince(ctx, edges),
    reservedNow(ctx),
  ]);
  return {
    timezone: edges.timezone,
    asOf: new Date(nowMs).toISOString(),
    today: {
      from: edges.today.toISOString(),
      spendMicrodollars: micros(sums.today),
      calls: Number(sums.today_calls),
      deniedCalls: Number(sums.today_denied),
      notSpentMicrodollars: micros(notSpent.today),
      comparison: compared(day, sums.today_whole, sums.yesterday),
    },
    month: {
      from: edges.month.toISOString(),
      spendMicrodollars: micros(sums.month),
      calls: Number(sums.month_calls),
      deniedCalls: Number(sums.month_denied),
      notSpentMicrodollars: micros(notSpent.month),
      comparison: compared(month, sums.month_whole, sums.month_before),
    },
    reservedMicrodollars: micros(reserved),
    forecast: forecastOf({ sums, hour, monthEnd: edges.month_end }),
  };
}

const micros = (nano: string): number => nanoToMicrodollars(nanoUsd(BigInt(nano)));

/** Edges in the organisation's time zone, days of 23 and 25 hours included. */
async function edgesAt({ prisma, principal }: Ctx, now: Date): Promise<Edges> {
  const [edges] = await prisma.$queryRaw<Edges[]>`
    SELECT timezone, day AT TIME ZONE timezone AS today, month AT TIME ZONE timezone AS month,
      (month + interval '1 month') AT TIME ZONE timezone AS month_end, (day - interval '1 day') AT TIME ZONE timezone AS yesterday,
      (month - interval '1 month') AT TIME ZONE timezone AS month_before
    FROM organisation, LATERAL (SELECT ${now}::timestamptz AT TIME ZONE timezone AS local) AS clock,
      LATERAL (SELECT date_trunc('day', local) AS day, date_trunc('month', local) AS month) AS calendar
    WHERE id = ${principal.orgId}::uuid`;
  if (!edges) throw new ServiceError("not_found", "There is no such organisation.");
  return edges;
}

type Span = { from: Date; to: Date };

/** As many whole hours as have passed of this period, of the one before; never past its end, where that one was shorter. */
function comparison({ start, before, beforeEnd, hour }: { start: Date; before: Date; beforeEnd: Date; hour: Date }): Span {
  const passed = Math.max(hour.getTime() - start.getTime(), 0);
  return { from: before, to: new Date(Math.min(before.getTime() + passed, beforeEnd.getTime())) };
}

type SumName =
  | "today"
  | "today_whole"
  | "today_calls"
  | "today_denied"
  | "yesterday"
  | "month"
  | "month_whole"
  | "month_calls"
  | "month_denied"
  | "month_before"
  | "basis";
type Sums = Record<SumName, string> & { first_hour: Date | null };

async function sumsOf(
  { prisma, principal }: Ctx,
  { edges, hour, basisFrom, day, month }: { edges: Edges; hour: Date; basisFrom: Date; day: Span; month: Span },
): Promise<Sums> {
  const oldest = new Date(Math.min(edges.month_before.getTime(), basisFrom.getTime()));
  const [sums] = await prisma.$queryRaw<Sums[]>`
    SELECT
      coalesce(sum(cost_nano) FILTER (WHERE hour >= ${edges.today}::timestamptz), 0)::text AS today,
      coalesce(sum(cost_nano) FILTER (WHERE hour >= ${edges.today}::timestamptz AND hour < ${hour}::timestamptz), 0)::text AS today_whole,
      coalesce(sum(calls) FILTER (WHERE hour >= ${edges.today}::timestamptz), 0)::text AS today_calls,
      coalesce(sum(denied_calls) FILTER (WHERE hour >= ${edges.today}::timestamptz), 0)::text AS today_denied,
      coalesce(sum(cost_nano) FILTER (WHERE hour >= ${day.from}::timestamptz AND hour < ${day.to}::timestamptz), 0)::text AS yesterday,
      coalesce(sum(cost_nano) FILTER (WHERE hour >= ${edges.month}::timestamptz), 0)::text AS month,
      coalesce(sum(cost_nano) FILTER (WHERE hour >= ${edges.month}::timestamptz AND hour < ${hour}::timestamptz), 0)::text AS month_whole,
      coalesce(sum(calls) FILTER (WHERE hour >= ${edges.month}::timestamptz), 0)::text AS month_calls,
      coalesce(sum(denied_calls) FILTER (WHERE hour >= ${edges.month}::timestamptz), 0)::text AS month_denied,
      coalesce(sum(cost_nano) FILTER (WHERE hour >= ${month.from}::timestamptz AND hour < ${month.to}::timestamptz), 0)::text AS month_before,
      coalesce(sum(cost_nano) FILTER (WHERE hour >= ${basisFrom}::timestamptz AND hour < ${hour}::timestamptz), 0)::text AS basis,
      min(hour) AS first_hour
    FROM cost_rollup
    WHERE org_id = ${principal.orgId}::uuid AND dimension = 'total' AND hour >= ${oldest}::timestamptz`;
  return sums!;
}

async function notSpentSince({ prisma, principal }: Ctx, { today, month }: Edges): Promise<{ today: string; month: string }> {
  const [row] = await prisma.$queryRaw<{ today: string; month: string }[]>`
    SELECT coalesce(sum(estimated_nano) FILTER (WHERE created_at >= ${today}::timestamptz), 0)::text AS today,
      coalesce(sum(estimated_nano), 0)::text AS month
    FROM cost_event
    WHERE org_id = ${principal.orgId}::uuid AND status = 'denied' AND created_at >= ${month}::timestamptz`;
  return row!;
}

/** The largest hold of each call: a call that several budgets cover is held in each of them in full, and is one call all the same. */
async function reservedNow({ prisma, principal }: Ctx): Promise<string> {
  const [row] = await prisma.$queryRaw<{ reserved: string }[]>`
    SELECT coalesce(sum(held), 0)::text AS reserved
    FROM reservation, LATERAL (
      SELECT max(amount) AS held FROM unnest(amounts[1:cardinality(balance_ids)]) AS amount
    ) AS of_call
    WHERE org_id = ${principal.orgId}::uuid AND state = 'held'`;
  return row!.reserved;
}

function compared({ from, to }: Span, current: string, before: string): SpendOverview["today"]["comparison"] {
  return {
    from: from.toISOString(),
    to: to.toISOString(),
    spendMicrodollars: micros(before),
    currentMicrodollars: micros(current),
    changeRatio: before === "0" ? null : Number(BigInt(current) - BigInt(before)) / Number(before),
  };
}

/** Spent so far, and the last week's average for the hours that are left. */
function forecastOf({ sums, hour, monthEnd }: { sums: Sums; hour: Date; monthEnd: Date }): SpendOverview["forecast"] {
  const known = sums.first_hour === null ? 0 : Math.max((hour.getTime() - sums.first_hour.getTime()) / HOUR_MS, 0);
  const basisHours = Math.min(Math.floor(known), BASIS_HOURS_MAX);
  if (basisHours < BASIS_HOURS_MIN) {
    return { monthMicrodollars: null, method: "A forecast needs a day of spend to go by.", basisHours };
  }
  const hoursLeft = BigInt(Math.max(Math.round((monthEnd.getTime() - hour.getTime()) / HOUR_MS), 0));
  const nano = BigInt(sums.month_whole) + (BigInt(sums.basis) * hoursLeft) / BigInt(basisHours);
  // In a month's last hour it may already have been passed.
  const monthMicrodollars = Math.max(micros(nano.toString()), micros(sums.month));
  const days = basisHours % 24 === 0 ? `${basisHours / 24} days` : `${basisHours} hours`;
  return { monthMicrodollars, method: `Spent so far, and the hourly average of the last ${days} for the rest of the month.`, basisHours };
}
