import type { PicoUsd, NanoUsd } from "@/lib/money";
import type { UsageUnit } from "@/server/metering/usage";

/**
 * One price: picodollars per unit. It applies to calls whose input tokens of all kinds are `fromInputTokens` or more, and then to
 * the whole call. "More than 272K tokens" is therefore 272,001.
 */
export type Rate = { unit: UsageUnit; pico: PicoUsd; fromInputTokens: number };

/**
 * The price of one model at one time and tier. Rates are explicit: nothing is derived from a rule at run time, and a unit with no
 * rate is unpriced.
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
  /** The model that served, as the answer names it; before there is an answer, the requested one. */
  model: string;
  /** The name the caller asked for. An override of this name applies where there is none of the served name. */
  requestedModel?: string;
  /** In the provider's word, as the answer names it. A tier that the book does not know has no price. */
  serviceTier?: string;
  /** Anthropic's `usage.speed` and `usage.inference_geo`, as the answer names them. */
  speed?: string;
  inferenceGeo?: string;
  /** Unix ms of the call's start. */
  atMs: number;
  /** The organisation whose overrides apply. */
  orgId: string;
};

export interface PriceBook {
  /** Synchronous and quick: it is asked once per call. Undefined: no price for this model (never to be read as free). */
  findPrice(query: PriceQuery): ModelPrice | undefined;
}
