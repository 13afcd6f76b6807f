import type { PicoUsd, NanoUsd } from "@/lib/money";
import type { UsageUnit } from "@/server/metering/usage";

/** One price: picodollars per unit, from a number of input tokens on (the whole call then pays that rate). */
export type Rate = { unit: UsageUnit; pico: PicoUsd; fromInputTokens: number };

/**
 * The price of one model at one time and tier. Rates are explicit: nothing is derived from a rule at run time.
 * A unit with no rate falls back to its parent only where `fallback` says so (org overrides); otherwise it is unpriced.
 */
export type ModelPrice = {
  provider: string;
  /** Canonical name in the book, which may differ from the alias that was asked for. */
  model: string;
  rates: readonly Rate[];
  perCall: NanoUsd;
  /** Stored on the event; names the exact row or data version. */
  version: string;
  /** Where the figures come from. */
  source: string;
};

export type PriceQuery = {
  provider: string;
  model: string;
  serviceTier?: string;
  /** Unix ms of the call's start. */
  atMs: number;
  /** The organisation whose overrides apply. */
  orgId: string;
};

export interface PriceBook {
  /** Undefined: no price for this model (never to be read as free). */
  findPrice(query: PriceQuery): ModelPrice | undefined;
}
