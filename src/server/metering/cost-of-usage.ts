import { nanoUsd, picoUsd, type NanoUsd } from "@/lib/money";
import type { ModelPrice } from "@/server/pricing/price-book";
import type { CostBreakdown, Receipt, ReceiptLine } from "./receipt";
import { inputTokensTotal, type UsageQuantities, type UsageUnit } from "./usage";

/**
 * `missingUnits`: what was used and has no price. The call is then unpriced as a whole; it is never charged in part or as zero.
 * `isUpperBound`: the provider bills a unit of it by what answers do not tell, at most at the price on the receipt.
 */
export type CostOfUsage = { priced: true; receipt: Receipt; isUpperBound: boolean } | { priced: false; missingUnits: UsageUnit[] };

type Part = "input" | "cached" | "cacheWrite" | "output" | "tools";

const PART_OF_UNIT = {
  input: "input",
  audio_input: "input",
  image_input: "input",
  input_seconds: "input",
  input_characters: "input",
  cached_input: "cached",
  cached_audio_input: "cached",
  cached_image_input: "cached",
  cache_write_5m: "cacheWrite",
  cache_write_1h: "cacheWrite",
  cache_write_12h: "cacheWrite",
  output: "output",
  reasoning: "output",
  audio_output: "output",
  image_output: "output",
  output_seconds: "output",
  images: "output",
  web_search: "tools",
  web_search_preview: "tools",
  file_search: "tools",
  code_execution: "tools",
  container_1g: "tools",
  container_4g: "tools",
  container_16g: "tools",
  container_64g: "tools",
} as const satisfies Record<UsageUnit, Part>;

/** In this order residuals are given away when two parts are equally large. */
const PARTS: readonly Part[] = ["input", "cached", "cacheWrite", "output", "tools"];
/** Receipts list their lines in this order, whatever order the provider told its usage in. */
const UNITS = Object.keys(PART_OF_UNIT) as readonly UsageUnit[];

export const isUsageUnit = (name: string): name is UsageUnit => Object.hasOwn(PART_OF_UNIT, name);

/** Billed by the minute that nobody tells; the price is that of a whole session. */
const BOUNDED_UNITS: ReadonlySet<ReceiptLine["unit"]> = new Set(["container_1g", "container_4g", "container_16g", "container_64g"]);

/** Amounts are added up in femtodollars (10^-15 $), because a duration is a whole number of thousandths of a second. */
const FEMTO_PER_PICO = 1000n;
const FEMTO_PER_NANO = 1_000_000n;

/** A model's use and its price; the model is named on the receipt where it is not the one that answered. */
export type PricedUsage = { quantities: UsageQuantities; price: ModelPrice };

/**
 * What a call costs, exact: every quantity times its price, added up, and rounded up once to a whole nanodollar.
 *
 * A rate with a threshold applies to the whole call: the highest `fromInputTokens` that the call's input tokens of all kinds
 * (cache reads and writes included) reach decides, for each unit. Durations are billed in whole milliseconds, rounded up.
 *
 * @param others what other models used on behalf of the call, each at its own price and by its own input tokens.
 * @throws when a quantity is negative, not finite, or not a whole number within ±2^53: what reads provider answers must have
 * refused it, and a bill must not be made from it.
 */
export function costOfUsage({
  quantities,
  price,
  others = [],
}: PricedUsage & { others?: readonly (PricedUsage & { model: string })[] }): CostOfUsage {
  const sums: Sums = {
    lines: [],
    missingUnits: new Set(),
    femtoOf: { input: 0n, cached: 0n, cacheWrite: 0n, output: 0n, tools: 0n },
    reasoningFemto: 0n,
  };
  addUsage(sums, { quantities, price });
  if (price.perCall > 0n) {
    const pico = price.perCall * 1000n;
    sums.femtoOf.tools += pico * FEMTO_PER_PICO;
    sums.lines.push({ unit: "call", quantity: 1, unitPricePico: picoUsd(pico), amountPico: picoUsd(pico) });
  }
  for (const other of others) addUsage(sums, other);
  if (sums.missingUnits.size > 0) return { priced: false, missingUnits: [...sums.missingUnits] };

  const { input, cached, cacheWrite, output, tools } = sums.femtoOf;
  const cost = nanoUsd(ceilDivide(input + cached + cacheWrite + output + tools, FEMTO_PER_NANO));
  const breakdown = breakDown(cost, sums.femtoOf, sums.reasoningFemto);
  const priceVersion = [...new Set([price, ...others.map((other) => other.price)].map(({ version }) => version))].join(" ");
  const isUpperBound = sums.lines.some((line) => BOUNDED_UNITS.has(line.unit));
  return { priced: true, receipt: { cost, breakdown, lines: sums.lines, priceVersion }, isUpperBound };
}

type Sums = { lines: ReceiptLine[]; missingUnits: Set<UsageUnit>; femtoOf: Record<Part, bigint>; reasoningFemto: bigint };

function addUsage(sums: Sums, { quantities, price, model }: PricedUsage & { model?: string }): void {
  const inputTokens = inputTokensTotal(quantities);
  for (const unit of UNITS) {
    const quantity = quantities[unit];
    if (quantity === undefined || quantity === 0) continue;
    const thousandths = thousandthsOf(unit, quantity);
    const unitPrice = rateOf(price, unit, inputTokens);
    if (unitPrice === undefined) {
      sums.missingUnits.add(unit);
      continue;
    }
    const femto = thousandths * unitPrice;
    sums.femtoOf[PART_OF_UNIT[unit]] += femto;
    if (unit === "reasoning") sums.reasoningFemto += femto;
    sums.lines.push({
      unit,
      ...(model !== undefined && { model }),
      quantity: Number(thousandths) / 1000,
      unitPricePico: picoUsd(unitPrice),
      amountPico: picoUsd(ceilDivide(femto, FEMTO_PER_PICO)),
    });
  }
}

/** Each part rounded down, and what that loses given to the largest part, so that the parts add up to the cost exactly. */
function breakDown(cost: NanoUsd, femtoOf: Readonly<Record<Part, bigint>>, reasoningFemto: bigint): CostBreakdown {
  let largest: Part = "input";
  let residual: bigint = cost;
  const nano: Record<Part, bigint> = { input: 0n, cached: 0n, cacheWrite: 0n, output: 0n, tools: 0n };
  for (const part of PARTS) {
    if (femtoOf[part] > femtoOf[largest]) largest = part;
    nano[part] = femtoOf[part] / FEMTO_PER_NANO;
    residual -= nano[part];
  }
  nano[largest] += residual;
  return {
    input: nanoUsd(nano.input),
    cached: nanoUsd(nano.cached),
    cacheWrite: nanoUsd(nano.cacheWrite),
    output: nanoUsd(nano.output),
    reasoning: nanoUsd(reasoningFemto / FEMTO_PER_NANO),
    tools: nanoUsd(nano.tools),
  };
}

function rateOf(price: ModelPrice, unit: UsageUnit, inputTokens: number): bigint | undefined {
  let found: bigint | undefined;
  let from = -1;
  for (const rate of price.rates) {
    if (rate.unit !== unit || rate.fromInputTokens > inputTokens || rate.fromInputTokens <= from) continue;
    found = rate.pico;
    from = rate.fromInputTokens;
  }
  return found;
}

/** The quantity in thousandths of its unit, as an integer. */
function thousandthsOf(unit: UsageUnit, quantity: number): bigint {
  if (unit === "input_seconds" || unit === "output_seconds") {
    // Noise of binary fractions (1.005 s is 1004.9999999999999 ms) lies far below a microsecond and must not become a millisecond.
    const milliseconds = Math.ceil(Number((quantity * 1000).toFixed(3)));
    if (!(quantity > 0) || !Number.isSafeInteger(milliseconds)) throw new RangeError(`${unit} cannot be ${quantity}`);
    return BigInt(milliseconds);
  }
  if (!(quantity > 0) || !Number.isSafeInteger(quantity)) throw new RangeError(`${unit} cannot be ${quantity}`);
  return BigInt(quantity) * 1000n;
}

const ceilDivide = (amount: bigint, by: bigint): bigint => (amount + by - 1n) / by;
