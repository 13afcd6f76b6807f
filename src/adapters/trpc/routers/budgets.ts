import { z } from "zod";
import {
  budgetSources,
  createBudget,
  CreateBudgetInput,
  deleteBudget,
  getBudget,
  listBudgets,
  ListBudgetsInput,
  resetBudget,
  updateBudget,
  UpdateBudgetInput,
} from "@/server/budget";
import { orgProcedure, paged, router } from "../init";

const BudgetId = z.strictObject({ id: z.string().max(100) });

export const budgetsRouter = router({
  list: orgProcedure.input(paged(ListBudgetsInput)).query(({ ctx, input }) => listBudgets({ ctx: ctx.verb, input })),
  get: orgProcedure.input(BudgetId).query(({ ctx, input }) => getBudget({ ctx: ctx.verb, budgetId: input.id })),
  /** Changes the budget of the same entity, filters and interval where there is one; `created` tells which it was. */
  create: orgProcedure.input(CreateBudgetInput).mutation(({ ctx, input }) => createBudget({ ctx: ctx.verb, input })),
  update: orgProcedure
    .input(BudgetId.extend({ changes: UpdateBudgetInput }))
    .mutation(({ ctx, input }) => updateBudget({ ctx: ctx.verb, budgetId: input.id, input: input.changes })),
  delete: orgProcedure.input(BudgetId).mutation(({ ctx, input }) => deleteBudget({ ctx: ctx.verb, budgetId: input.id })),
  /** Begins a new period now. */
  reset: orgProcedure.input(BudgetId).mutation(({ ctx, input }) => resetBudget({ ctx: ctx.verb, budgetId: input.id })),
  sources: orgProcedure.input(BudgetId).query(({ ctx, input }) => budgetSources({ ctx: ctx.verb, budgetId: input.id })),
});
