import { z } from "zod";
import { createFreeze, CreateFreezeInput, liftFreeze, listFreezes, ListFreezesInput } from "@/server/freeze";
import { orgProcedure, paged, router } from "../init";

export const freezesRouter = router({
  list: orgProcedure.input(paged(ListFreezesInput)).query(({ ctx, input }) => listFreezes({ ctx: ctx.verb, input })),
  create: orgProcedure.input(CreateFreezeInput).mutation(({ ctx, input }) => createFreeze({ ctx: ctx.verb, input })),
  lift: orgProcedure
    .input(z.strictObject({ id: z.string().max(100) }))
    .mutation(({ ctx, input }) => liftFreeze({ ctx: ctx.verb, freezeId: input.id })),
});
