import { z } from "zod";
import { nanoUsd, type NanoUsd } from "@/lib/money";
import { applies, readPeriods } from "./package-prices";
import { LIST_PROVIDERS } from "./list-price-book";
import type { Rate } from "./price-book";

/** Where genai-prices publishes its list; the package names the same address (`REMOTE_DATA_JSON_URL`). */
export const GENAI_PRICES_URL = "https://raw.githubusercontent.com/pydantic/genai-prices/main/prices/new_data/v2/data.json";

/** A model's price as the published list has it now. */
export type RemotePrice = {
  provider: string;
  model: string;
  names: string[];
  prefixes: string[];
  rates: Rate[];
  perCall: NanoUsd;
  source: string;
};

const Amount = z.union([
  z.number(),
  z.looseObject({ base: z.number(), tiers: z.array(z.looseObject({ start: z.number(), price: z.number() })) }),
]);
const Prices = z.record(z.string(), Amount);
const Constraint = z.discriminatedUnion("type", [
  z.looseObject({ type: z.literal("start_date"), start_date: z.string() }),
  z.looseObject({ type: z.literal("time_of_date"), start_time: z.string(), end_time: z.string() }),
]);
const ConditionalPrices = z.array(z.strictObject({ constraint: Constraint.nullish(), prices: Prices }));
const Model = z.looseObject({ id: z.string().min(1).max(200), match: z.unknown(), prices: z.union([Prices, ConditionalPrices]) });
const Provider = z.looseObject({
  id: z.string(),
  pricing_urls: z.array(z.string()).nullish(),
  models: z.array(z.unknown()).max(20_000),
});

/**
 * Reads the published list. A model whose price is of a form that we do not know (a condition, a unit, a price that depends on the
 * time of day or is no whole number of picodollars) is left out and named: half a price would be a wrong one.
 *
 * @throws when the text is not such a list at all, or lacks a provider of our own list: then nothing of it is to be believed.
 */
export function readRemotePrices({ text, providers, atMs }: { text: string; providers: readonly string[]; atMs: number }): {
  prices: RemotePrice[];
  unreadable: string[];
  /** Providers of allow-listed upstreams that the list does not have. */
  unlisted: string[];
} {
  const list = z.array(z.unknown()).parse(JSON.parse(text));
  const found = new Map<string, z.infer<typeof Provider>>();
  for (const entry of list) {
    const provider = Provider.safeParse(entry);
    if (provider.success && providers.includes(provider.data.id)) found.set(provider.data.id, provider.data);
  }
  const prices: RemotePrice[] = [];
  const unreadable: string[] = [];
  const unlisted: string[] = [];
  for (const id of providers) {
    const provider = found.get(id);
    if (!provider || provider.models.length === 0) {
      if ((LIST_PROVIDERS as readonly string[]).includes(id)) throw new Error(`the list has no models of ${id}`);
      // An upstream of the allow-list: that nobody publishes its prices must not keep those of the others from being read.
      unlisted.push(id);
      continue;
    }
    const source = provider.pricing_urls?.[0] ?? GENAI_PRICES_URL;
    for (const entry of provider.models) {
      const price = readModel({ entry, provider: id, source, atMs });
      if (typeof price === "string") unreadable.push(`${id}/${price}`);
      else if (price.rates.length > 0 || price.perCall > 0n) prices.push(price);
    }
  }
  return { prices, unreadable, unlisted };
}

/** The name alone when the model's price cannot be read. */
function readModel({ entry, provider, source, atMs }: { entry: unknown; provider: string; source: string; atMs: number }) {
  const model = Model.safeParse(entry);
  if (!model.success) return nameOf(entry);
  const { id, match, prices } = model.data;
  try {
    const conditional = Array.isArray(prices)
      ? prices.map((period) => ({ prices: period.prices, ...(period.constraint != null && { constraint: period.constraint }) }))
      : prices;
    const periods = readPeriods(conditional, provider);
    if (periods.some(({ constraint }) => constraint !== undefined && "timeOfDay" in constraint)) return id;
    const now = periods.findLast(({ constraint }) => applies(constraint, atMs));
    if (!now || now.perCallPico % 1000n !== 0n || hasUnitTwice(now.rates)) return id;
    const names = namesOf(match, "equals");
    return {
      provider,
      model: id,
      names: [...new Set([id.toLowerCase(), ...names])],
      prefixes: namesOf(match, "starts_with"),
      rates: now.rates,
      perCall: nanoUsd(now.perCallPico / 1000n),
      source,
    } satisfies RemotePrice;
  } catch {
    return id;
  }
}

function nameOf(entry: unknown): string {
  const named = z.looseObject({ id: z.string() }).safeParse(entry);
  return named.success ? named.data.id.slice(0, 200) : "?";
}

const hasUnitTwice = (rates: readonly Rate[]): boolean =>
  new Set(rates.map((rate) => `${rate.unit} ${rate.fromInputTokens}`)).size !== rates.length;

const NAMES_MAX = 100;

/** Names that a model's rule of matching spells out; what it says by regular expression is left to the names that are told. */
function namesOf(match: unknown, kind: "equals" | "starts_with", depth = 0): string[] {
  if (typeof match !== "object" || match === null || depth > 5) return [];
  const own = kind in match ? (match as Record<string, unknown>)[kind] : undefined;
  if (typeof own === "string" && own !== "" && own.length <= 200) return [own.toLowerCase()];
  const or = "or" in match ? match.or : undefined;
  return Array.isArray(or) ? or.flatMap((each) => namesOf(each, kind, depth + 1)).slice(0, NAMES_MAX) : [];
}
