import { presentPrice } from "@/adapters/http/routes/prices";
import { deletePriceOverride, DeletePriceInput, listPrices, ListPricesInput, putPriceOverride, PutPriceInput } from "@/server/pricing";
import { orgProcedure, paged, router } from "../init";

export const pricesRouter = router({
  list: orgProcedure.input(paged(ListPricesInput)).query(async ({ ctx, input }) => {
    const { data, cursor } = await listPrices({ ctx: ctx.verb, input, list: ctx.runtime.listPriceBook });
    return { data: data.map(presentPrice), cursor };
  }),
  put: orgProcedure.input(PutPriceInput).mutation(async ({ ctx, input }) => presentPrice(await putPriceOverride({ ctx: ctx.verb, input }))),
  delete: orgProcedure.input(DeletePriceInput).mutation(async ({ ctx, input }) => {
    await deletePriceOverride({ ctx: ctx.verb, input });
    return input;
  }),
});
