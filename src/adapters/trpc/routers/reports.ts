import {
  AttributionDetailInput,
  AttributionInput,
  CostSummaryInput,
  getAttribution,
  getAttributionDetail,
  getCostSummary,
} from "@/server/events";
import { orgProcedure, router } from "../init";

export const reportsRouter = router({
  summary: orgProcedure.input(CostSummaryInput).query(({ ctx, input }) => getCostSummary({ ctx: ctx.verb, input })),
  attribution: orgProcedure.input(AttributionInput).query(({ ctx, input }) => getAttribution({ ctx: ctx.verb, input })),
  attributionDetail: orgProcedure.input(AttributionDetailInput).query(({ ctx, input }) => getAttributionDetail({ ctx: ctx.verb, input })),
});
