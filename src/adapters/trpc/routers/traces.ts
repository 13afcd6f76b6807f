import { getTrace, GetTraceInput, listTraces, ListTracesInput } from "@/server/events";
import { orgProcedure, paged, router } from "../init";

export const tracesRouter = router({
  list: orgProcedure.input(paged(ListTracesInput)).query(({ ctx, input }) => listTraces({ ctx: ctx.verb, input })),
  /** The tree in the order it is drawn. */
  get: orgProcedure.input(GetTraceInput).query(({ ctx, input }) => getTrace({ ctx: ctx.verb, input })),
});
