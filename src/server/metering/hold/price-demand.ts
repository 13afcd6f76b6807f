import { type NanoUsd, type PicoUsd, nanoUsd, picoUsd } from "@/lib/money";
import type { ModelPrice } from "@/server/pricing/price-book";
import type { UsageQuantities, UsageUnit } from "../usage";
import type { Amount } from "./demand";

/** What a demand costs at most, at one price. */
export type PricedDemand = {
  quantities: UsageQuantities;
  /** All of it but the output tokens. */
  withoutOutputPico: PicoUsd;
  perOutputTokenPico: PicoUsd;
  outputTokens: number;
  totalPico: PicoUsd;
};

export type PriceDemandResult = { ok: true; priced: PricedDemand } | { ok: false; missingUnits: UsageUnit[] };

const INPUT_TOKEN_UNITS: ReadonlySet<UsageUnit> = new Set([
  "input",
  "audio_input",
  "image_input",
  "cached_input",
  "cached_audio_input",
  "cached_image_input",
  "cache_write_5m",
  "cache_write_1h",
]);

/**
 * Every amount at the dearest of the units it may be billed as, and each unit at the dearest rate that its thresholds let apply
 * up to the input bound: a shorter prompt may fall under an earlier threshold, never under a later one.
 *
 * @param isBilledEitherWay amounts without a price are left out as long as one has a price.
 */
export function priceDemand(input: {
  amounts: readonly Amount[];
  output: Amount;
  price: ModelPrice;
  isBilledEitherWay: boolean;
}): PriceDemandResult {
  const { amounts, output, price } = input;
  let inputTokens = 0;
  for (const { units, quantity } of amounts) if (INPUT_TOKEN_UNITS.has(units[0]!)) inputTokens += quantity;

  const missingUnits: UsageUnit[] = [];
  const quantities: UsageQuantities = {};
  let found = 0;
  let withoutOutputPico = BigInt(price.perCall) * 1000n;
  for (const { units, quantity } of amounts) {
    if (quantity === 0) continue;
    const dearest = dearestUnit(price, units, inputTokens);
    if (dearest === undefined) {
      missingUnits.push(units[0]!);
      continue;
    }
    found += 1;
    quantities[dearest.unit] = (quantities[dearest.unit] ?? 0) + quantity;
    withoutOutputPico += BigInt(quantity) * dearest.pico;
  }
  const outputRate = dearestUnit(price, output.units, inputTokens);
  if (outputRate === undefined && output.quantity > 0) missingUnits.push(output.units[0]!);
  if (outputRate !== undefined && output.quantity > 0) {
    found += 1;
    quantities[outputRate.unit] = (quantities[outputRate.unit] ?? 0) + output.quantity;
  }
  if (missingUnits.length > 0 && !(input.isBilledEitherWay && found > 0)) return { ok: false, missingUnits };

  const perOutputTokenPico = outputRate?.pico ?? 0n;
  const totalPico = withoutOutputPico + BigInt(output.quantity) * perOutputTokenPico;
  return {
    ok: true,
    priced: {
      quantities,
      withoutOutputPico: picoUsd(withoutOutputPico),
      perOutputTokenPico: picoUsd(perOutputTokenPico),
      outputTokens: output.quantity,
      totalPico: picoUsd(totalPico),
    },
  };
}

function dearestUnit(price: ModelPrice, units: readonly UsageUnit[], inputTokens: number): { unit: UsageUnit; pico: bigint } | undefined {
  let unit: UsageUnit | undefined;
  let pico: bigint = -1n;
  for (const rate of price.rates) {
    if (rate.pico <= pico || rate.fromInputTokens > inputTokens || !units.includes(rate.unit)) continue;
    unit = rate.unit;
    pico = rate.pico;
  }
  return unit === undefined ? undefined : { unit, pico };
}

/** Picodollars rounded up once to a whole nanodollar, as a receipt is. */
export const ceilToNano = (pico: bigint): NanoUsd => nanoUsd((pico + 999n) / 1000n);
