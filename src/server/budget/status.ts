import { z } from "zod";
import { assertAllowed } from "@/server/access";
import type { Ctx } from "@/server/context";
import { budgetsOfKey, getKeyOfCaller } from "./budgets-of-key";
import { PublicBudget, toPublicBudget } from "./public-budget";

const BudgetStatusEntity = PublicBudget.pick({
  id: true,
  entityType: true,
  entityId: true,
  models: true,
  providers: true,
  policy: true,
  resetInterval: true,
  spendMicrodollars: true,
  reservedMicrodollars: true,
  remainingMicrodollars: true,
  currentPeriodStart: true,
  currentPeriodEnd: true,
  thresholdPercentages: true,
  velocityLimitMicrodollars: true,
  velocityWindowSeconds: true,
  velocityCooldownSeconds: true,
  velocityCurrentMicrodollars: true,
  velocityCoolUntil: true,
  sessionLimitMicrodollars: true,
})
  .extend({ limitMicrodollars: z.number() })
  .meta({ id: "BudgetStatusEntity" });

export const BudgetStatus = z.object({ entities: z.array(BudgetStatusEntity) }).meta({ id: "BudgetStatus" });
export type BudgetStatus = z.infer<typeof BudgetStatus>;

/** What applies to the key that asks. */
export async function budgetStatus({ ctx }: { ctx: Ctx }): Promise<BudgetStatus> {
  assertAllowed(ctx.principal, { key: ["self", "read"], user: "key_only" });
  const rows = await budgetsOfKey(ctx, await getKeyOfCaller(ctx));
  return {
    entities: rows.map((row) => {
      const budget = toPublicBudget(row, []);
      return BudgetStatusEntity.parse({ ...budget, limitMicrodollars: budget.currentLimitMicrodollars });
    }),
  };
}
