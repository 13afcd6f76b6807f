import { z } from "zod";
import { publicId } from "@/lib/ids";
import { deletePriceOverride, listPrices, PriceKey, putPriceOverride, PutPriceBody, type PriceRecord } from "@/server/pricing";
import { queryBoolean, queryInteger } from "../parse-input";
import { ok, route } from "../route";
import { cursorParam, dataOf, idOf, pageOf, timestamp } from "../schemas";

const usd = z.string().nullable().meta({ description: "Dollars per million tokens, exact decimal; null: not given." });

const Price = z
  .object({
    kind: z.enum(["override", "list"]),
    id: idOf("price").nullable().meta({ description: "Null for list prices." }),
    provider: z.string(),
    model: z.string(),
    tier: z.string().nullable().meta({ description: "Null for overrides: they apply to every tier." }),
    inputUsdPerMTok: usd,
    cachedInputUsdPerMTok: usd,
    cacheWrite5mUsdPerMTok: usd,
    cacheWrite1hUsdPerMTok: usd,
    outputUsdPerMTok: usd,
    reasoningUsdPerMTok: usd,
    perCallUsd: z.string(),
    rates: z
      .array(z.object({ unit: z.string(), usdPerMillion: z.string(), fromInputTokens: z.int() }))
      .meta({ description: "All that applies, by unit and from which number of input tokens on." }),
    validFrom: timestamp.nullable().meta({ description: "Null: always." }),
    createdAt: timestamp.nullable(),
    withdrawnAt: timestamp.nullable(),
    version: z.string().meta({ description: "What cost events store that were priced with it." }),
    source: z.string(),
  })
  .meta({ id: "Price" });

const tag = "Prices";

export const priceRoutes = [
  route({
    method: "GET",
    path: "/api/prices",
    operationId: "listPrices",
    tag,
    summary: "The organisation's own prices, and with `list` the providers' list prices",
    access: { key: ["read"], user: "viewer" },
    query: z.strictObject({
      limit: queryInteger({ min: 1, max: 100 }).default(50),
      cursor: cursorParam,
      provider: z.string().max(64).optional(),
      model: z.string().max(200).optional(),
      list: queryBoolean().default(false),
      includeWithdrawn: queryBoolean().default(false),
    }),
    answers: [{ status: 200, description: "A page of prices.", schema: pageOf(Price) }],
    async handle({ ctx, deps, query }) {
      const { data, cursor } = await listPrices({ ctx, input: query, list: deps.listPriceBook });
      return ok({ data: data.map(presentPrice), cursor });
    },
  }),
  route({
    method: "PUT",
    path: "/api/prices/{provider}/{model+}",
    operationId: "putPrice",
    tag,
    summary: "Give the organisation its own price for a model",
    description:
      "It stands alone: no tier, threshold or unit of the list price mixes in. A unit that is not given is priced as its parent. " +
      "It applies to calls from `validFrom` on. The model may be percent-encoded.",
    access: { key: ["manage"], user: "admin" },
    params: PriceKey,
    body: PutPriceBody,
    answers: [{ status: 200, description: "The price.", schema: dataOf(Price) }],
    handle: async ({ ctx, params, body }) => ok({ data: presentPrice(await putPriceOverride({ ctx, input: { ...body, ...params } })) }),
  }),
  route({
    method: "DELETE",
    path: "/api/prices/{provider}/{model+}",
    operationId: "deletePrice",
    tag,
    summary: "Go back to the list price for a model",
    access: { key: ["manage"], user: "admin" },
    params: PriceKey,
    answers: [
      {
        status: 200,
        description: "The price is withdrawn for calls that start from now on.",
        schema: dataOf(z.object({ provider: z.string(), model: z.string(), deleted: z.literal(true) })),
      },
    ],
    async handle({ ctx, params }) {
      await deletePriceOverride({ ctx, input: params });
      return ok({ data: { ...params, deleted: true } });
    },
  }),
];

export function presentPrice({ id, validFrom, createdAt, withdrawnAt, ...rest }: PriceRecord): z.input<typeof Price> {
  return {
    ...rest,
    id: id && publicId("price", id),
    validFrom: validFrom?.toISOString() ?? null,
    createdAt: createdAt?.toISOString() ?? null,
    withdrawnAt: withdrawnAt?.toISOString() ?? null,
  };
}
