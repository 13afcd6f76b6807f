import { z } from "zod";
import { nanoToMicrodollars, nanoUsd, type PicoUsd } from "@/lib/money";
import { assertAllowed } from "@/server/access";
import type { Ctx } from "@/server/context";
import { matchesModelPattern } from "@/server/model-pattern";
import type { ListedPrice, ListPriceBook } from "@/server/pricing";
import { budgetsOfKey, getKeyOfCaller } from "./budgets-of-key";
import { ENTITY_TYPES } from "./input";
import { amountsOf, periodOf, publicEntityId } from "./public-budget";
import type { BudgetRow } from "./read-budgets";

const CheapestModel = z.object({
  model: z.string(),
  provider: z.string(),
  input_per_mtok: z.number().meta({ description: "Dollars per million tokens, at list." }),
  output_per_mtok: z.number(),
});
type CheapestModel = z.infer<typeof CheapestModel>;

/** The words of CONTRACT §8 and the reference, which clients in the field read. */
export const Policy = z
  .object({
    budget: z
      .object({
        remaining_microdollars: z.number(),
        max_microdollars: z.number(),
        spend_microdollars: z.number(),
        reserved_microdollars: z.number(),
        period_end: z.string().nullable(),
        entity_type: z.enum(ENTITY_TYPES),
        entity_id: z.string(),
      })
      .nullable()
      .meta({ description: "The tightest of those that deny and apply to this key; null: none does." }),
    allowed_models: z.array(z.string()).nullable().meta({ description: "Patterns; null: unrestricted; empty: none." }),
    allowed_providers: z.array(z.string()).nullable(),
    cheapest_per_provider: z.record(z.string(), CheapestModel),
    cheapest_overall: CheapestModel.nullable(),
    session_limit_microdollars: z.number().nullable().meta({ description: "The smallest that applies to this key." }),
    restrictions_active: z.boolean(),
  })
  .meta({ id: "Policy" });
export type Policy = z.infer<typeof Policy>;

/** What this key may do and how much it may still spend. Restrictions that cannot be read allow nothing. */
export async function getPolicy({ ctx, list }: { ctx: Ctx; list: Pick<ListPriceBook, "listPrices"> }): Promise<Policy> {
  assertAllowed(ctx.principal, { key: ["self", "read"], user: "key_only" });
  const key = await getKeyOfCaller(ctx);
  const budgets = await budgetsOfKey(ctx, key);
  const allowed = {
    models: key.restrictions === null ? [] : (key.restrictions.allowedModels ?? null),
    providers: key.restrictions === null ? [] : (key.restrictions.allowedProviders ?? null),
  };
  const cheapest = cheapestPerProvider(list.listPrices({ atMs: ctx.clock.now() }), allowed);
  const sessionLimits = budgets.flatMap(({ sessionLimitNano }) =>
    sessionLimitNano === null ? [] : [nanoToMicrodollars(nanoUsd(sessionLimitNano))],
  );
  return {
    budget: tightest(budgets),
    allowed_models: allowed.models,
    allowed_providers: allowed.providers,
    cheapest_per_provider: Object.fromEntries(cheapest.map((model) => [model.provider, model])),
    cheapest_overall: cheapest.toSorted(byPrice)[0] ?? null,
    session_limit_microdollars: sessionLimits.length === 0 ? null : Math.min(...sessionLimits),
    restrictions_active: allowed.models !== null || allowed.providers !== null,
  };
}

function tightest(budgets: readonly BudgetRow[]): Policy["budget"] {
  const [row] = budgets
    .filter(({ policy }) => policy !== "warn")
    .map((budget) => ({ budget, ...amountsOf(budget) }))
    .map((each) => ({ ...each, remaining: each.limit - each.spent - each.reserved }))
    .sort((a, b) => (a.remaining < b.remaining || (a.remaining === b.remaining && a.budget.id < b.budget.id) ? -1 : 1));
  if (!row) return null;
  const { budget, limit, spent, reserved, remaining } = row;
  return {
    remaining_microdollars: nanoToMicrodollars(nanoUsd(remaining > 0n ? remaining : 0n)),
    max_microdollars: nanoToMicrodollars(nanoUsd(limit)),
    spend_microdollars: nanoToMicrodollars(nanoUsd(spent)),
    reserved_microdollars: nanoToMicrodollars(nanoUsd(reserved)),
    period_end: periodOf(budget).end?.toISOString() ?? null,
    entity_type: budget.entityType,
    entity_id: publicEntityId(budget.entityType, budget.entityId),
  };
}

type Allowed = { models: readonly string[] | null; providers: readonly string[] | null };

/** Models that read and write text at the standard tier, by what a token in and a token out cost together. */
export function cheapestPerProvider(prices: readonly ListedPrice[], allowed: Allowed): CheapestModel[] {
  const cheapest = new Map<string, CheapestModel>();
  for (const { price, tier } of prices) {
    if (tier !== "standard" || price.perCall > 0n || !isAllowed(price, allowed)) continue;
    const input = rateOf(price.rates, "input");
    const output = rateOf(price.rates, "output");
    if (input === undefined || output === undefined || input === 0n || output === 0n) continue;
    const model = { model: price.model, provider: price.provider, input_per_mtok: perMillion(input), output_per_mtok: perMillion(output) };
    const known = cheapest.get(price.provider);
    if (!known || byPrice(model, known) < 0) cheapest.set(price.provider, model);
  }
  return [...cheapest.values()];
}

const rateOf = (rates: ListedPrice["price"]["rates"], unit: "input" | "output"): PicoUsd | undefined =>
  rates.find((rate) => rate.unit === unit && rate.fromInputTokens === 0)?.pico;

const perMillion = (pico: PicoUsd): number => Number(pico) / 1_000_000;

const byPrice = (a: CheapestModel, b: CheapestModel): number =>
  a.input_per_mtok + a.output_per_mtok - (b.input_per_mtok + b.output_per_mtok) || (a.model < b.model ? -1 : 1);

function isAllowed({ provider, model }: ListedPrice["price"], { models, providers }: Allowed): boolean {
  if (providers !== null && !providers.includes(provider)) return false;
  return models === null || models.some((pattern) => matchesModelPattern(pattern, model));
}
