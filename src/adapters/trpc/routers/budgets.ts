import { z } from "zod";
import { idParam } from "@/adapters/http/schemas";
import {
  budgetSources,
  createBudget,
  CreateBudgetInput,
  deleteBudget,
  getBudget,
  listBudgets,
  listBudgetsOfKey,
  ListBudgetsInput,
  resetBudget,
  updateBudget,
  UpdateBudgetInput,
} from "@/server/budget";
import { previewBudget, PreviewBudgetInput } from "@/server/overview";
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
  /** What a limit would have stopped in the last thirty days. */
  preview: orgProcedure.input(PreviewBudgetInput).query(({ ctx, input }) => previewBudget({ ctx: ctx.verb, input })),
  /** What calls of a key count against, closest to the wall first. */
  ofKey: orgProcedure
    .input(z.strictObject({ keyId: idParam("key") }))
    .query(({ ctx, input }) => listBudgetsOfKey({ ctx: ctx.verb, keyId: input.keyId })),
  /** Begins a new period now. */
  reset: orgProcedure.input(BudgetId).mutation(({ ctx, input }) => resetBudget({ ctx: ctx.verb, budgetId: input.id })),
  sources: orgProcedure.input(BudgetId).query(({ ctx, input }) => budgetSources({ ctx: ctx.verb, budgetId: input.id })),
});
