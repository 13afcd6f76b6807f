import { z } from "zod";
import { getDecision } from "@/server/budget";
import { orgProcedure, router } from "../init";

export const decisionsRouter = router({
  get: orgProcedure
    .input(z.strictObject({ id: z.string().max(100) }))
    .query(({ ctx, input }) => getDecision({ ctx: ctx.verb, decisionId: input.id })),
});
