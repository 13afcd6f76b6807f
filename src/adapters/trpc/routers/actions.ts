import { z } from "zod";
import { getBudget } from "@/server/budget";
import {
  approveAction,
  ApproveInput,
  BudgetIncreasePayload,
  cancelAction,
  createAction,
  getAction,
  listActionCosts,
  listActions,
  ListActionsInput,
  rejectAction,
  RejectInput,
} from "@/server/approval";
import { orgProcedure, paged, router } from "../init";

const ActionId = z.strictObject({ id: z.string().max(100) });

export const actionsRouter = router({
  list: orgProcedure
    .input(paged(ListActionsInput))
    .query(({ ctx, input }) => listActions({ ctx: ctx.verb, input, publicUrl: ctx.runtime.approvals.deps.publicUrl })),
  get: orgProcedure
    .input(ActionId)
    .query(({ ctx, input }) => getAction({ ctx: ctx.verb, actionId: input.id, publicUrl: ctx.runtime.approvals.deps.publicUrl })),
  costs: orgProcedure.input(ActionId).query(({ ctx, input }) => listActionCosts({ ctx: ctx.verb, actionId: input.id })),
  approve: orgProcedure
    .input(ActionId.extend({ terms: ApproveInput }))
    .mutation(({ ctx, input }) =>
      approveAction({ ctx: ctx.verb, actionId: input.id, input: input.terms, deps: ctx.runtime.approvals.deps }),
    ),
  reject: orgProcedure
    .input(ActionId.extend({ terms: RejectInput }))
    .mutation(({ ctx, input }) =>
      rejectAction({ ctx: ctx.verb, actionId: input.id, input: input.terms, deps: ctx.runtime.approvals.deps }),
    ),
  /** A person asks for more of a budget that denied a call. */
  requestIncrease: orgProcedure
    .input(
      z.strictObject({
        budgetId: z.string().max(100),
        requestedAmountMicrodollars: BudgetIncreasePayload.shape.requestedAmountMicrodollars,
        reason: z.string().max(500).optional(),
      }),
    )
    .mutation(async ({ ctx, input }) => {
      const { entityType, entityId, id, currentLimitMicrodollars, spendMicrodollars } = await getBudget({
        ctx: ctx.verb,
        budgetId: input.budgetId,
      });
      const payload = {
        ...input,
        entityType,
        entityId,
        budgetId: id,
        currentLimitMicrodollars,
        currentSpendMicrodollars: spendMicrodollars,
      };
      const action = { agentId: ctx.user.email, actionType: "budget_increase", payload };
      return createAction({ ctx: ctx.verb, input: action, deps: ctx.runtime.approvals.deps });
    }),
  cancel: orgProcedure
    .input(ActionId)
    .mutation(({ ctx, input }) => cancelAction({ ctx: ctx.verb, actionId: input.id, deps: ctx.runtime.approvals.deps })),
});
