import { getBurnRate, getMovers, getSpendOverview, MoversInput } from "@/server/overview";
import { orgProcedure, router } from "../init";

export const overviewRouter = router({
  /** Today, this month and where it is going, each beside the period before. */
  spend: orgProcedure.query(({ ctx }) => getSpendOverview({ ctx: ctx.verb })),
  /** How fast money goes now, with the budgets closest to the wall and when they are reached. */
  burnRate: orgProcedure.query(({ ctx }) => getBurnRate({ ctx: ctx.verb })),
  movers: orgProcedure.input(MoversInput).query(({ ctx, input }) => getMovers({ ctx: ctx.verb, input })),
});
