import type { Prisma } from "@/generated/prisma/client";
import { ServiceError } from "@/lib/errors";
import { publicId } from "@/lib/ids";
import { assertAllowed } from "@/server/access";
import { recordChange } from "@/server/audit";
import { bumpConfigVersion } from "@/server/config-version";
import type { Ctx } from "@/server/context";
import { assertNotItself } from "./authority";
import { assertAnchorFits, auditOfBudget, BUDGET_SELECT, changesOf, type StoredBudget } from "./budget-row";
import { carryToLedger } from "./carry-to-ledger";
import { asReader, getBudget } from "./find";
import { bareEntityId, CreateBudgetInput, THRESHOLDS_DEFAULT } from "./input";
import type { BudgetEntityType } from "./matching";
import { invalid, parsed } from "./parse-input";
import type { PublicBudget } from "./public-budget";
import { changeBudget } from "./update";

/** Every process that decides calls of the organisation holds all of them in memory. */
const BUDGETS_MAX = 20_000;

/**
 * Makes a budget, or changes the one of the same entity, filters and interval: then only in the fields that were sent. In force on
 * every process within a second; counting starts now.
 */
export async function createBudget({
  ctx,
  input,
}: {
  ctx: Ctx;
  input: CreateBudgetInput;
}): Promise<{ budget: PublicBudget; created: boolean }> {
  assertAllowed(ctx.principal, { key: ["manage"], user: "admin" });
  const { entityType, entityId: sentId, models = [], providers = [], resetInterval = "none", ...fields } = parsed(CreateBudgetInput, input);
  const scope = {
    entityType,
    entityId: bareEntityId(entityType, sentId)!,
    // Sorted, so that equal filters are equal rows.
    models: models.toSorted(),
    providers: providers.toSorted(),
    resetInterval,
  };
  assertNotItself(ctx.principal, scope);
  const { orgId } = ctx.principal;
  const { id, created } = await ctx.prisma.$transaction(async (tx) => {
    // Locks the organisation: of two at once, the second finds the first's budget and changes it.
    await bumpConfigVersion(tx, orgId);
    const existing = await findByScope(tx, orgId, scope);
    if (existing) {
      await changeBudget(tx, { ctx, before: existing, changes: changesOf(fields) });
      return { id: existing.id, created: false };
    }
    return { id: await insertBudget(tx, { ctx, scope, fields }), created: true };
  });
  return { budget: await getBudget({ ctx: asReader(ctx), budgetId: publicId("budget", id) }), created };
}

type Scope = { entityType: BudgetEntityType; entityId: string; models: string[]; providers: string[]; resetInterval: string };

function findByScope(tx: Prisma.TransactionClient, orgId: string, scope: Scope): Promise<StoredBudget | null> {
  const { models, providers, ...rest } = scope;
  return tx.budget.findFirst({
    where: { orgId, deletedAt: null, ...rest, models: { equals: models }, providers: { equals: providers } },
    select: BUDGET_SELECT,
  });
}

async function insertBudget(
  tx: Prisma.TransactionClient,
  { ctx, scope, fields }: { ctx: Ctx; scope: Scope; fields: Parameters<typeof changesOf>[0] },
): Promise<string> {
  const { orgId } = ctx.principal;
  await assertEntityExists(tx, orgId, scope);
  if ((await tx.budget.count({ where: { orgId, deletedAt: null } })) >= BUDGETS_MAX) {
    throw new ServiceError("limit_exceeded", `An organisation can have ${BUDGETS_MAX} budgets: delete some first.`);
  }
  const { maxNano, thresholds = THRESHOLDS_DEFAULT, ...columns } = changesOf(fields);
  assertAnchorFits({ resetInterval: scope.resetInterval, anchorDay: columns.anchorDay ?? null });
  const row = await tx.budget.create({ data: { orgId, ...columns, ...scope, maxNano: maxNano!, thresholds }, select: BUDGET_SELECT });
  await carryToLedger(tx, { ctx, budget: row });
  await recordChange(tx, {
    ctx,
    action: "budget.created",
    resourceType: "budget",
    resourceId: publicId("budget", row.id),
    before: null,
    after: auditOfBudget(row),
  });
  return row.id;
}

async function assertEntityExists(tx: Prisma.TransactionClient, orgId: string, { entityType, entityId }: Scope): Promise<void> {
  if (
    entityType === "user" &&
    !(await tx.membership.findUnique({ where: { orgId_userId: { orgId, userId: entityId } }, select: { role: true } }))
  ) {
    throw invalid({ path: "entityId", message: "there is no such member in this organisation" });
  }
  if (entityType === "api_key" && !(await tx.apiKey.findFirst({ where: { id: entityId, orgId, revokedAt: null }, select: { id: true } }))) {
    throw invalid({ path: "entityId", message: "there is no such key in this organisation, or it is revoked" });
  }
}
