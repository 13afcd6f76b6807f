import type { NanoUsd, PicoUsd } from "@/lib/money";
import type { UsageUnit } from "@/server/metering/usage";
import { picoToUsdPerMillion } from "./exact-amount";
import type { Rate } from "./price-book";

type Rates = readonly Rate[];
export type PriceDifference = {
  isChanged: boolean;
  /** What differs, in words with both figures. */
  changes: string[];
  /** Of those what nobody should believe without looking. */
  doubts: string[];
};

/** Prices fall often and by a lot, but not by more than half at once; what does is a slip in the list more often than a sale. */
const FALL_MAX = { numerator: 1n, denominator: 2n };
const RISE_MAX = 3n;
/** Dollars per million: nothing that is billed by the token or the call costs more, and what seems to is in another unit. */
const PICO_MAX = 10_000n * 1_000_000n;

/**
 * What a list's new price changes against the one in force.
 *
 * @param before undefined for a model that has none.
 * @param keptUnits units that come from us, not from the list: that it lacks them says nothing.
 */
export function comparePrices({
  before,
  after,
  perCallBefore,
  perCallAfter,
  keptUnits,
}: {
  before: Rates | undefined;
  after: Rates;
  perCallBefore: NanoUsd;
  perCallAfter: NanoUsd;
  keptUnits: ReadonlySet<UsageUnit>;
}): PriceDifference {
  const changes: string[] = [];
  const doubts: string[] = [];
  const note = (text: string, isDoubtful: boolean): void => {
    changes.push(text);
    if (isDoubtful) doubts.push(text);
  };

  for (const unit of unitsOf(after)) {
    for (const from of thresholdsOf(unit, [...(before ?? []), ...after])) {
      const was = rateAt(before ?? [], unit, from);
      const is = rateAt(after, unit, from);
      if (is === was || is === undefined) continue;
      const where = `${unit}${from > 0 ? ` from ${from} tokens` : ""}`;
      if (was === undefined) note(`${where}: new at $${picoToUsdPerMillion(is)}`, isTooLarge(unit, is));
      else note(`${where}: $${picoToUsdPerMillion(was)} → $${picoToUsdPerMillion(is)}`, isTooLarge(unit, is) || isDoubtful(was, is));
    }
  }
  for (const unit of unitsOf(before ?? [])) {
    if (!keptUnits.has(unit) && rateAt(after, unit, Number.MAX_SAFE_INTEGER) === undefined) note(`${unit}: no price any more`, true);
  }
  if (perCallBefore !== perCallAfter) {
    note(`call: ${perCallBefore} → ${perCallAfter} nanodollars`, before !== undefined && isDoubtful(perCallBefore, perCallAfter));
  }
  // A new model may be free, but a person should say so.
  if (before === undefined && after.every((rate) => rate.pico === 0n) && perCallAfter === 0n) note("every unit costs nothing", true);
  return { isChanged: changes.length > 0, changes, doubts };
}

const isDoubtful = (was: bigint, is: bigint): boolean => is * FALL_MAX.denominator < was * FALL_MAX.numerator || is > was * RISE_MAX;

/** Time and fees by the call are counted in larger units. */
const isTooLarge = (unit: UsageUnit, pico: bigint): boolean => TOKEN_UNIT.test(unit) && pico > PICO_MAX;
const TOKEN_UNIT = /^(?:cached_)?(?:input|output|reasoning|audio_input|audio_output|image_input|image_output)$|^cache_write/;

const unitsOf = (rates: Rates): UsageUnit[] => [...new Set(rates.map((rate) => rate.unit))];
const thresholdsOf = (unit: UsageUnit, rates: Rates): number[] =>
  [...new Set(rates.filter((rate) => rate.unit === unit).map((rate) => rate.fromInputTokens))].toSorted((a, b) => a - b);

function rateAt(rates: Rates, unit: UsageUnit, inputTokens: number): PicoUsd | undefined {
  let best: Rate | undefined;
  for (const rate of rates) {
    if (rate.unit !== unit || rate.fromInputTokens > inputTokens) continue;
    if (best === undefined || rate.fromInputTokens > best.fromInputTokens) best = rate;
  }
  return best?.pico;
}
