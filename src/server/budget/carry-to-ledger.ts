import type { Prisma } from "@/generated/prisma/client";
import type { Ctx } from "@/server/context";
import { type StoredBudget, periodEndAt } from "./budget-row";

/**
 * Brings the balances of a budget in line with its row, in the transaction that made or changed it: the ledger is the only writer of
 * balances, so this asks its function. Expects the organisation to be locked.
 */
export async function carryToLedger(
  tx: Prisma.TransactionClient,
  { ctx, budget, before }: { ctx: Ctx; budget: StoredBudget; before?: StoredBudget },
): Promise<void> {
  const endsAt = await periodEndOf(tx, { ctx, budget });
  await tx.$executeRaw`SELECT apply_budget_change(${ctx.principal.orgId}::uuid, ${budget.id}::uuid, ${before?.maxNano ?? null}::bigint, ${endsAt}::timestamptz)`;
}

/** Ends the running period of a budget now and begins the next one, which ends where the calendar says. */
export async function resetInLedger(tx: Prisma.TransactionClient, { ctx, budget }: { ctx: Ctx; budget: StoredBudget }): Promise<void> {
  const endsAt = await periodEndOf(tx, { ctx, budget });
  await tx.$executeRaw`SELECT reset_budget(${ctx.principal.orgId}::uuid, ${budget.id}::uuid, ${endsAt}::timestamptz)`;
}

async function periodEndOf(tx: Prisma.TransactionClient, { ctx, budget }: { ctx: Ctx; budget: StoredBudget }): Promise<Date | null> {
  // The database's clock decides which period it is.
  const [org] = await tx.$queryRaw<{ timezone: string; now: Date }[]>`
    SELECT timezone, clock_timestamp() AS now FROM organisation WHERE id = ${ctx.principal.orgId}::uuid`;
  return periodEndAt(budget, org!.timezone, org!.now);
}
