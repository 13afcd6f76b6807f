import { publicId } from "@/lib/ids";
import { assertAllowed } from "@/server/access";
import { recordChange } from "@/server/audit";
import type { Ctx } from "@/server/context";
import { auditOfBudget } from "./budget-row";
import { getBudgetForChange } from "./update";

/**
 * Ends a budget. It no longer applies to new calls; its balances stay, so that calls in flight still settle into them, and a budget
 * made later for the same entity starts with balances of its own.
 */
export async function deleteBudget({ ctx, budgetId }: { ctx: Ctx; budgetId: string }): Promise<{ id: string; deletedAt: string }> {
  assertAllowed(ctx.principal, { key: ["manage"], user: "admin" });
  const deletedAt = new Date(ctx.clock.now());
  await ctx.prisma.$transaction(async (tx) => {
    const before = await getBudgetForChange(tx, { ctx, budgetId });
    await tx.budget.update({ where: { id: before.id, orgId: ctx.principal.orgId }, data: { deletedAt }, select: { id: true } });
    await recordChange(tx, {
      ctx,
      action: "budget.deleted",
      resourceType: "budget",
      resourceId: publicId("budget", before.id),
      before: auditOfBudget(before),
      after: null,
    });
  });
  return { id: budgetId, deletedAt: deletedAt.toISOString() };
}
