import { deleteToolCost, DeleteToolCostInput, listToolCosts, ListToolCostsInput, putToolCost, PutToolCostInput } from "@/server/mcp";
import { orgProcedure, paged, router } from "../init";

export const toolCostsRouter = router({
  list: orgProcedure.input(paged(ListToolCostsInput)).query(({ ctx, input }) => listToolCosts({ ctx: ctx.verb, input })),
  put: orgProcedure.input(PutToolCostInput).mutation(({ ctx, input }) => putToolCost({ ctx: ctx.verb, input })),
  delete: orgProcedure.input(DeleteToolCostInput).mutation(({ ctx, input }) => deleteToolCost({ ctx: ctx.verb, input })),
});
