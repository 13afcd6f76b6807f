import type { Prisma } from "@/generated/prisma/client";
import { ServiceError } from "@/lib/errors";
import { parsePublicId, publicId } from "@/lib/ids";
import { assertAllowed } from "@/server/access";
import { recordChange } from "@/server/audit";
import { bumpConfigVersion } from "@/server/config-version";
import type { Ctx } from "@/server/context";
import { assertNotItself } from "./authority";
import { assertAnchorFits, auditOfBudget, BUDGET_SELECT, changesOf, type BudgetChanges, type StoredBudget } from "./budget-row";
import { carryToLedger } from "./carry-to-ledger";
import { asReader, getBudget, noSuchBudget } from "./find";
import { UpdateBudgetInput } from "./input";
import type { BudgetEntityType } from "./matching";
import { parsed } from "./parse-input";
import type { PublicBudget } from "./public-budget";

/**
 * Changes only what is sent. The period that runs keeps what it has counted: a new limit applies to it at once, a new interval, zone
 * or anchor lets it end where the new calendar says.
 */
export async function updateBudget({
  ctx,
  budgetId,
  input,
}: {
  ctx: Ctx;
  budgetId: string;
  input: UpdateBudgetInput;
}): Promise<PublicBudget> {
  assertAllowed(ctx.principal, { key: ["manage"], user: "admin" });
  const changes = changesOf(parsed(UpdateBudgetInput, input));
  await ctx.prisma.$transaction(async (tx) => {
    const before = await getBudgetForChange(tx, { ctx, budgetId });
    await changeBudget(tx, { ctx, before, changes });
  });
  return getBudget({ ctx: asReader(ctx), budgetId });
}

/**
 * The budget of this organisation, read after the organisation was locked: of two changes of one budget, the second sees the first.
 * A budget of another organisation is as absent as one that never was.
 */
export async function getBudgetForChange(
  tx: Prisma.TransactionClient,
  { ctx, budgetId }: { ctx: Ctx; budgetId: string },
): Promise<StoredBudget> {
  const { orgId } = ctx.principal;
  await bumpConfigVersion(tx, orgId);
  const id = parsePublicId("budget", budgetId);
  const row = id === undefined ? null : await tx.budget.findFirst({ where: { id, orgId, deletedAt: null }, select: BUDGET_SELECT });
  if (!row) throw noSuchBudget();
  assertNotItself(ctx.principal, { entityType: row.entityType as BudgetEntityType, entityId: row.entityId });
  return row;
}

/** Expects the organisation to be locked. */
export async function changeBudget(
  tx: Prisma.TransactionClient,
  { ctx, before, changes }: { ctx: Ctx; before: StoredBudget; changes: BudgetChanges },
): Promise<void> {
  const { orgId } = ctx.principal;
  assertAnchorFits({
    resetInterval: changes.resetInterval ?? before.resetInterval,
    anchorDay: changes.anchorDay === undefined ? before.anchorDay : changes.anchorDay,
  });
  await assertScopeIsFree(tx, { orgId, before, resetInterval: changes.resetInterval });
  const row = await tx.budget.update({ where: { id: before.id, orgId }, data: changes, select: BUDGET_SELECT });
  await carryToLedger(tx, { ctx, budget: row, before });
  await recordChange(tx, {
    ctx,
    action: "budget.updated",
    resourceType: "budget",
    resourceId: publicId("budget", before.id),
    before: auditOfBudget(before),
    after: auditOfBudget(row),
  });
}

async function assertScopeIsFree(
  tx: Prisma.TransactionClient,
  { orgId, before, resetInterval }: { orgId: string; before: StoredBudget; resetInterval: string | undefined },
): Promise<void> {
  if (resetInterval === undefined || resetInterval === before.resetInterval) return;
  const { entityType, entityId, models, providers } = before;
  const other = await tx.budget.findFirst({
    where: { orgId, deletedAt: null, entityType, entityId, models: { equals: models }, providers: { equals: providers }, resetInterval },
    select: { id: true },
  });
  if (other) {
    throw new ServiceError("conflict", `There is a ${resetInterval} budget of this entity and these filters already: change that one.`, {
      budgetId: publicId("budget", other.id),
    });
  }
}
