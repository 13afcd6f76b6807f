import { nanoToUsdString } from "@/lib/money";
import type { UsageUnit } from "@/server/metering/usage";
import { picoToUsdPerMillion } from "./exact-amount";
import type { ListedPrice, ListTier } from "./list-price-book";
import { priceOfOverride, StoredRates, type OverrideRow } from "./override";
import type { ModelPrice } from "./price-book";

/** A price as its verbs give it back. Amounts are exact decimal strings of dollars; ids are bare. */
export type PriceRecord = {
  kind: "override" | "list";
  /** Null for list prices. */
  id: string | null;
  provider: string;
  model: string;
  /** Null for overrides: they apply to every tier. */
  tier: ListTier | null;
  /** Null: not given. What then applies is in `rates`. */
  inputUsdPerMTok: string | null;
  cachedInputUsdPerMTok: string | null;
  cacheWrite5mUsdPerMTok: string | null;
  cacheWrite1hUsdPerMTok: string | null;
  outputUsdPerMTok: string | null;
  reasoningUsdPerMTok: string | null;
  perCallUsd: string;
  /** All that applies: dollars per million units, for calls of at least so many input tokens. */
  rates: { unit: UsageUnit; usdPerMillion: string; fromInputTokens: number }[];
  /** Null: always. */
  validFrom: Date | null;
  /** Null for list prices. */
  createdAt: Date | null;
  withdrawnAt: Date | null;
  /** What events store that were priced with it. */
  version: string;
  source: string;
};

type NamedAmounts = Pick<
  PriceRecord,
  | "inputUsdPerMTok"
  | "cachedInputUsdPerMTok"
  | "cacheWrite5mUsdPerMTok"
  | "cacheWrite1hUsdPerMTok"
  | "outputUsdPerMTok"
  | "reasoningUsdPerMTok"
>;

/** Null when the stored rates cannot be read: such a row prices nothing. */
export function toOverrideRecord(row: OverrideRow): PriceRecord | null {
  const price = priceOfOverride(row);
  const given = StoredRates.safeParse(row.rates);
  if (!price || !given.success) return null;
  const { id, validFrom, createdAt, withdrawnAt } = row;
  return {
    ...describe(price, (unit) => {
      const pico = given.data[unit];
      return pico === undefined ? null : picoToUsdPerMillion(pico);
    }),
    kind: "override",
    id,
    tier: null,
    validFrom,
    createdAt,
    withdrawnAt,
  };
}

export function toListRecord({ price, tier, validFromMs }: ListedPrice): PriceRecord {
  const base = new Map(price.rates.filter((rate) => rate.fromInputTokens === 0).map((rate) => [rate.unit, rate.pico]));
  return {
    ...describe(price, (unit) => {
      const pico = base.get(unit);
      return pico === undefined ? null : picoToUsdPerMillion(pico);
    }),
    kind: "list",
    id: null,
    tier,
    validFrom: validFromMs === null ? null : new Date(validFromMs),
    createdAt: null,
    withdrawnAt: null,
  };
}

function describe(
  price: ModelPrice,
  amountOf: (unit: keyof Omit<StoredRates, "perCall">) => string | null,
): NamedAmounts & Pick<PriceRecord, "provider" | "model" | "perCallUsd" | "rates" | "version" | "source"> {
  const { provider, model, perCall, rates, version, source } = price;
  return {
    provider,
    model,
    inputUsdPerMTok: amountOf("input"),
    cachedInputUsdPerMTok: amountOf("cached_input"),
    cacheWrite5mUsdPerMTok: amountOf("cache_write_5m"),
    cacheWrite1hUsdPerMTok: amountOf("cache_write_1h"),
    outputUsdPerMTok: amountOf("output"),
    reasoningUsdPerMTok: amountOf("reasoning"),
    perCallUsd: nanoToUsdString(perCall),
    rates: rates.map(({ unit, pico, fromInputTokens }) => ({ unit, usdPerMillion: picoToUsdPerMillion(pico), fromInputTokens })),
    version,
    source,
  };
}
