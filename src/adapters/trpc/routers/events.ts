import {
  CostEventFilter,
  countCostEvents,
  getCostEvent,
  GetCostEventInput,
  listCostEvents,
  ListCostEventsInput,
  listTagKeys,
} from "@/server/events";
import { orgProcedure, paged, router } from "../init";

export const eventsRouter = router({
  /** Newest first. */
  list: orgProcedure.input(paged(ListCostEventsInput)).query(({ ctx, input }) => listCostEvents({ ctx: ctx.verb, input })),
  get: orgProcedure.input(GetCostEventInput).query(({ ctx, input }) => getCostEvent({ ctx: ctx.verb, input })),
  /** How many rows an export of this filter has. */
  count: orgProcedure.input(CostEventFilter).query(({ ctx, input }) => countCostEvents({ ctx: ctx.verb, input })),
  tagKeys: orgProcedure.query(({ ctx }) => listTagKeys({ ctx: ctx.verb })),
});
