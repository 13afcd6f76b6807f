import { publicId } from "@/lib/ids";
import { assertAllowed } from "@/server/access";
import { recordChange } from "@/server/audit";
import type { Ctx } from "@/server/context";
import { resetInLedger } from "./carry-to-ledger";
import { asReader, getBudget } from "./find";
import type { PublicBudget } from "./public-budget";
import { getBudgetForChange } from "./update";

/**
 * Ends the period that runs and begins the next one now, with nothing spent. Calls in flight settle into the period in which they
 * were admitted.
 */
export async function resetBudget({ ctx, budgetId }: { ctx: Ctx; budgetId: string }): Promise<PublicBudget> {
  assertAllowed(ctx.principal, { key: ["manage"], user: "admin" });
  await ctx.prisma.$transaction(async (tx) => {
    const before = await getBudgetForChange(tx, { ctx, budgetId });
    await resetInLedger(tx, { ctx, budget: before });
    await recordChange(tx, {
      ctx,
      action: "budget.reset",
      resourceType: "budget",
      resourceId: publicId("budget", before.id),
      before: null,
      after: null,
    });
  });
  return getBudget({ ctx: asReader(ctx), budgetId });
}
