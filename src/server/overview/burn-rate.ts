import { z } from "zod";
import { publicId } from "@/lib/ids";
import { nanoToMicrodollars, nanoUsd } from "@/lib/money";
import { assertAllowed } from "@/server/access";
import { listBudgets, PublicBudget } from "@/server/budget";
import type { Ctx } from "@/server/context";
import { firstIdAt } from "@/server/events";

export const BurnRate = z
  .object({
    windowSeconds: z.int(),
    perMinuteMicrodollars: z.number().meta({ description: "Settled spend of the window, a minute." }),
    callsPerMinute: z.number(),
    budgets: z
      .array(
        z.object({
          budget: PublicBudget,
          perMinuteMicrodollars: z.number().meta({ description: "Of the calls that this budget was charged for." }),
          secondsToLimit: z.int().nullable().meta({ description: "At this rate; null: nothing is being spent. 0: it is reached." }),
        }),
      )
      .meta({ description: "Closest to the wall first." }),
    nearest: z
      .object({ budgetId: z.string(), secondsToLimit: z.int() })
      .nullable()
      .meta({ description: "The limit that is reached first." }),
  })
  .meta({ id: "BurnRate" });
export type BurnRate = z.infer<typeof BurnRate>;

const WINDOW_SECONDS = 300;
/** Two hundred calls a second for the whole window; of more, the newest stand for all. */
const EVENTS_MAX = 60_000;
const BUDGETS_MAX = 20;

/** An id that was made longer before its event is dated is left out: this is a rate, not a sum. */
const ID_SLACK_MS = 60_000;

type Row = { budget_id: string | null; charged: string; calls: string; oldest: Date | null };

/** How fast money goes now, and which limit it reaches first. From the newest events: what was charged to which balance stands in each. */
export async function getBurnRate({ ctx }: { ctx: Ctx }): Promise<BurnRate> {
  assertAllowed(ctx.principal, { key: ["read"], user: "viewer" });
  const nowMs = ctx.clock.now();
  const from = new Date(nowMs - WINDOW_SECONDS * 1_000);
  const { orgId } = ctx.principal;
  const [budgets, rows] = await Promise.all([
    listBudgets({ ctx, input: { sort: "utilization", limit: BUDGETS_MAX } }),
    ctx.prisma.$queryRaw<Row[]>`
      WITH recent AS MATERIALIZED (
        SELECT charged_nano, cost_nano, balance_ids, created_at FROM cost_event
        WHERE org_id = ${orgId}::uuid AND id >= ${firstIdAt(from.getTime() - ID_SLACK_MS)}::uuid AND created_at >= ${from}::timestamptz
        ORDER BY id DESC LIMIT ${EVENTS_MAX}
      )
      SELECT NULL::uuid AS budget_id, coalesce(sum(cost_nano), 0)::text AS charged, count(*)::text AS calls, min(created_at) AS oldest FROM recent
      UNION ALL
      SELECT balance.budget_id, sum(recent.charged_nano)::text, count(*)::text, NULL
      FROM recent, LATERAL unnest(balance_ids) AS of_balance (id)
      JOIN budget_balance AS balance ON balance.id = of_balance.id AND balance.org_id = ${orgId}::uuid AND balance.session_id IS NULL
      GROUP BY balance.budget_id`,
  ]);
  const total = rows.find(({ budget_id }) => budget_id === null)!;
  // Where there were more events than are looked at, those cover less than the window.
  const isCut = Number(total.calls) >= EVENTS_MAX && total.oldest !== null;
  const windowSeconds = isCut ? Math.max((nowMs - total.oldest!.getTime()) / 1_000, 1) : WINDOW_SECONDS;
  const perMinute = (nano: string): number =>
    nanoToMicrodollars(nanoUsd((BigInt(nano) * 60_000n) / BigInt(Math.round(windowSeconds * 1_000))));
  const charged = new Map(
    rows.flatMap(({ budget_id, charged: nano }) => (budget_id === null ? [] : [[publicId("budget", budget_id), nano]])),
  );
  const shown = budgets.data.map((budget) => {
    const perMinuteMicrodollars = perMinute(charged.get(budget.id) ?? "0");
    return { budget, perMinuteMicrodollars, secondsToLimit: secondsToLimit(budget, perMinuteMicrodollars) };
  });
  const reached = shown.filter(({ secondsToLimit }) => secondsToLimit !== null).toSorted((a, b) => a.secondsToLimit! - b.secondsToLimit!);
  return {
    windowSeconds: Math.round(windowSeconds),
    perMinuteMicrodollars: perMinute(total.charged),
    callsPerMinute: Math.round((Number(total.calls) * 600) / windowSeconds) / 10,
    budgets: shown,
    nearest: reached[0] ? { budgetId: reached[0].budget.id, secondsToLimit: reached[0].secondsToLimit! } : null,
  };
}

function secondsToLimit({ remainingMicrodollars }: PublicBudget, perMinuteMicrodollars: number): number | null {
  if (remainingMicrodollars <= 0) return 0;
  if (perMinuteMicrodollars <= 0) return null;
  return Math.ceil((remainingMicrodollars / perMinuteMicrodollars) * 60);
}
