import type { Prisma } from "@/generated/prisma/client";
import { publicId } from "@/lib/ids";
import { nanoToMicrodollars, nanoUsd, type NanoUsd } from "@/lib/money";
import { recordChange } from "@/server/audit";
import { bumpConfigVersion } from "@/server/config-version";
import type { Ctx } from "@/server/context";
import { BUDGET_SELECT, type StoredBudget } from "./budget-row";
import { noSuchBudget } from "./find";
import { type PeriodRule, type ResetInterval, periodEdgesAt } from "./period-edges";
import { changeBudget } from "./update";

/** How long what was added stays: for the period that runs, until an instant, or for good. */
export type RaiseMode = { mode: "period" } | { mode: "until"; until: Date } | { mode: "permanent" };

export type Raise = {
  budgetId: string;
  /** Nanodollars on top of the limit, more than 0. */
  amountNano: NanoUsd;
  lasts: RaiseMode;
  /** Bare id of the approval it comes from. */
  actionId: string;
};

/**
 * Adds to a limit on somebody's approval, in force for the next call. Locks the organisation: call it first in the transaction.
 * @throws ServiceError `not_found` when the budget has been deleted meanwhile.
 */
export async function raiseBudget(tx: Prisma.TransactionClient, { ctx, raise }: { ctx: Ctx; raise: Raise }): Promise<void> {
  const { orgId } = ctx.principal;
  const { budgetId, amountNano, lasts, actionId } = raise;
  await bumpConfigVersion(tx, orgId);
  const budget = await tx.budget.findFirst({ where: { id: budgetId, orgId, deletedAt: null }, select: BUDGET_SELECT });
  if (!budget) throw noSuchBudget();
  const balanceId = lasts.mode === "period" ? await raisePeriod(tx, { ctx, budget, amountNano }) : null;
  if (lasts.mode !== "period") await changeBudget(tx, { ctx, before: budget, changes: { maxNano: nanoUsd(budget.maxNano + amountNano) } });
  await tx.budgetRaise.create({
    data: { orgId, budgetId, actionId, amountNano, mode: lasts.mode, balanceId, until: lasts.mode === "until" ? lasts.until : null },
    select: { id: true },
  });
}

/** The limit of the period that runs, which is opened where no call has done so yet. */
async function raisePeriod(
  tx: Prisma.TransactionClient,
  { ctx, budget, amountNano }: { ctx: Ctx; budget: StoredBudget; amountNano: NanoUsd },
): Promise<bigint> {
  const { orgId } = ctx.principal;
  await openPeriod(tx, { orgId, budget });
  const [row] = await tx.$queryRaw<{ limit: bigint; balance_id: bigint }[]>`
    SELECT raise_budget(${orgId}::uuid, ${budget.id}::uuid, ${amountNano}::bigint) AS "limit",
      current_balance(${orgId}::uuid, ${budget.id}::uuid) AS balance_id`;
  if (!row) throw new Error("the period of a budget that was opened just now is gone");
  const micros = (nano: bigint): number => nanoToMicrodollars(nanoUsd(nano));
  await recordChange(tx, {
    ctx,
    action: "budget.raised",
    resourceType: "budget",
    resourceId: publicId("budget", budget.id),
    before: { currentLimitMicrodollars: micros(row.limit - amountNano) },
    after: { currentLimitMicrodollars: micros(row.limit) },
  });
  return row.balance_id;
}

async function openPeriod(tx: Prisma.TransactionClient, { orgId, budget }: { orgId: string; budget: StoredBudget }): Promise<void> {
  const [at] = await tx.$queryRaw<{ timezone: string; now: Date }[]>`
    SELECT timezone, clock_timestamp() AS now FROM organisation WHERE id = ${orgId}::uuid`;
  // The CHECK of the input is the only way into this column.
  const interval = budget.resetInterval as ResetInterval;
  const { startsAt, endsAt } =
    interval === "none"
      ? { startsAt: new Date(0), endsAt: null }
      : edgesOf({ interval, timezone: budget.timezone ?? at!.timezone, anchorDay: budget.anchorDay }, at!.now);
  await tx.$queryRaw`
    SELECT place FROM open_balances(
      ARRAY[${budget.id}]::uuid[], ARRAY[NULL]::text[], ARRAY[${startsAt}]::timestamptz[], ARRAY[${endsAt}]::timestamptz[], ARRAY[NULL]::bigint[])`;
}

function edgesOf(rule: PeriodRule & { interval: Exclude<ResetInterval, "none"> }, now: Date): { startsAt: Date; endsAt: Date } {
  const { startsAtMs, endsAtMs } = periodEdgesAt(rule, now.getTime());
  return { startsAt: new Date(startsAtMs), endsAt: new Date(endsAtMs) };
}

/**
 * Takes back what was approved until an instant that has come. Several processes may ask at once: each raise ends once. Of a limit
 * that was lowered meanwhile at least a nanodollar stays.
 * @returns the organisations and budgets whose limits changed.
 */
export async function endRaises(ctx: Omit<Ctx, "principal">, most = 100): Promise<{ orgId: string; budgetId: string }[]> {
  const due = await ctx.prisma.$queryRaw<{ id: string; org_id: string }[]>`
    SELECT id, org_id FROM budget_raise WHERE mode = 'until' AND ended_at IS NULL AND until <= clock_timestamp() ORDER BY until LIMIT ${most}`;
  const ended: { orgId: string; budgetId: string }[] = [];
  for (const { id, org_id: orgId } of due) {
    const system: Ctx = { ...ctx, principal: { type: "system", orgId } };
    const budgetId = await ctx.prisma.$transaction((tx) => endRaise(tx, { ctx: system, raiseId: id }));
    if (budgetId !== undefined) ended.push({ orgId, budgetId });
  }
  return ended;
}

async function endRaise(tx: Prisma.TransactionClient, { ctx, raiseId }: { ctx: Ctx; raiseId: string }): Promise<string | undefined> {
  const { orgId } = ctx.principal;
  await bumpConfigVersion(tx, orgId);
  // Checked again under the lock: another process may have ended it since it was listed.
  const { count } = await tx.budgetRaise.updateMany({
    where: { id: raiseId, orgId, endedAt: null },
    data: { endedAt: new Date(ctx.clock.now()) },
  });
  if (count === 0) return undefined;
  const { budgetId, amountNano } = await tx.budgetRaise.findFirstOrThrow({
    where: { id: raiseId, orgId },
    select: { budgetId: true, amountNano: true },
  });
  const budget = await tx.budget.findFirst({ where: { id: budgetId, orgId, deletedAt: null }, select: BUDGET_SELECT });
  if (!budget) return undefined;
  const lowered = budget.maxNano - amountNano;
  await changeBudget(tx, { ctx, before: budget, changes: { maxNano: nanoUsd(lowered > 0n ? lowered : 1n) } });
  return budgetId;
}
