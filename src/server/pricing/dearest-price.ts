import { nanoUsd, type NanoUsd } from "@/lib/money";
import type { UsageUnit } from "@/server/metering/usage";
import type { ListedPrice } from "./list-price-book";
import type { ModelPrice, Rate } from "./price-book";

/** Models that do one kind of work, and so are priced in comparable units. */
export type DearestPriceKind = "text" | "embeddings" | "images" | "speech" | "transcription";
export type DearestPriceQuery = { provider: string; kind: DearestPriceKind; atMs: number };

export interface DearestPrices {
  /** Undefined: the provider has no list prices for this kind of work, so that nothing can stand in for a price. */
  findDearestPrice(query: DearestPriceQuery): ModelPrice | undefined;
}

/** Prices change at whole hours of UTC at the earliest. */
const REMEMBERED_FOR_MS = 60 * 60 * 1000;

/**
 * A price that no current list price of a provider exceeds, for each unit: of all its models that do the same kind of work, in
 * all tiers and at all prompt lengths. It stands in for a model or a unit that has no price of its own
 * (`unpricedPolicy: ceiling`, CONTRACT §11).
 */
export function createDearestPrices(list: {
  listPrices(query: { provider?: string; atMs: number }): readonly ListedPrice[];
}): DearestPrices {
  const remembered = new Map<string, { hour: number; price: ModelPrice | undefined }>();
  return {
    findDearestPrice({ provider, kind, atMs }) {
      const key = `${kind} ${provider}`;
      const hour = Math.floor(atMs / REMEMBERED_FOR_MS);
      const known = remembered.get(key);
      if (known?.hour === hour) return known.price;
      const listed = list.listPrices({ provider, atMs }).map((entry) => entry.price);
      const price = dearestOf(
        listed.filter((entry) => kindOfPrice(entry) === kind),
        provider,
        kind,
      );
      // Callers choose which allow-listed provider they call, never its name, so this stays as small as the allow-list.
      remembered.set(key, { hour, price });
      return price;
    },
  };
}

function dearestOf(prices: readonly ModelPrice[], provider: string, kind: DearestPriceKind): ModelPrice | undefined {
  if (prices.length === 0) return undefined;
  const dearest = new Map<UsageUnit, Rate>();
  let perCall: NanoUsd = nanoUsd(0n);
  for (const price of prices) {
    if (price.perCall > perCall) perCall = price.perCall;
    for (const { unit, pico } of price.rates) {
      const known = dearest.get(unit);
      if (known === undefined || pico > known.pico) dearest.set(unit, { unit, pico, fromInputTokens: 0 });
    }
  }
  const versions = [...new Set(prices.map((price) => price.version.replace(/\+us$/, "")))].toSorted().join(" ");
  return {
    provider,
    model: `dearest:${kind}`,
    rates: [...dearest.values()],
    perCall,
    version: `dearest:${kind}:${versions}`,
    source: [...new Set(prices.map((price) => price.source))].join(" "),
  };
}

/** What a model does, by what it is billed for and, where that does not tell, by its name. */
function kindOfPrice({ model, rates }: ModelPrice): DearestPriceKind {
  const has = (unit: UsageUnit): boolean => rates.some((rate) => rate.unit === unit);
  if (/embedding/.test(model)) return "embeddings";
  if (has("image_output") || /-image/.test(model)) return "images";
  if (has("input_characters") || /(?:^|-)tts/.test(model)) return "speech";
  if (has("input_seconds") || /transcribe|whisper/.test(model)) return "transcription";
  return "text";
}
