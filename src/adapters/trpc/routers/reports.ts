import {
  AttributionDetailInput,
  AttributionInput,
  CostSummaryInput,
  explore,
  ExploreInput,
  getAttribution,
  getAttributionDetail,
  getCostSummary,
} from "@/server/events";
import { orgProcedure, router } from "../init";

export const reportsRouter = router({
  /** A metric by group and time, with what the groups shown leave over. */
  explore: orgProcedure.input(ExploreInput).query(({ ctx, input }) => explore({ ctx: ctx.verb, input })),
  summary: orgProcedure.input(CostSummaryInput).query(({ ctx, input }) => getCostSummary({ ctx: ctx.verb, input })),
  attribution: orgProcedure.input(AttributionInput).query(({ ctx, input }) => getAttribution({ ctx: ctx.verb, input })),
  attributionDetail: orgProcedure.input(AttributionDetailInput).query(({ ctx, input }) => getAttributionDetail({ ctx: ctx.verb, input })),
});
