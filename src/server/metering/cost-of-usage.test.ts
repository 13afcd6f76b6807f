import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { nanoUsd, picoUsd } from "@/lib/money";
import type { ModelPrice, Rate } from "@/server/pricing/price-book";
import { costOfUsage } from "./cost-of-usage";
import type { Receipt } from "./receipt";
import { inputTokensTotal, type UsageQuantities, type UsageUnit } from "./usage";

const TOKEN_UNITS: UsageUnit[] = [
  "input", "cached_input", "cache_write_5m", "cache_write_1h", "output", "reasoning", "audio_input", "cached_audio_input",
  "audio_output", "image_input", "cached_image_input", "image_output", "web_search", "file_search", "code_execution",
  "input_characters", "images",
]; // prettier-ignore
const TIME_UNITS: UsageUnit[] = ["input_seconds", "output_seconds"];
const ALL_UNITS = [...TOKEN_UNITS, ...TIME_UNITS];

const rate = (unit: UsageUnit, pico: bigint, fromInputTokens = 0): Rate => ({ unit, pico: picoUsd(pico), fromInputTokens });
const priceOf = (rates: Rate[], perCallNano = 0n): ModelPrice => ({
  provider: "openai",
  model: "m",
  rates,
  perCall: nanoUsd(perCallNano),
  version: "v1",
  source: "test",
});

function priced(quantities: UsageQuantities, price: ModelPrice): Receipt {
  const result = costOfUsage({ quantities, price });
  if (!result.priced) throw new Error(`unpriced: ${result.missingUnits.join()}`);
  return result.receipt;
}

const partsSum = ({ breakdown: b }: Receipt): bigint => b.input + b.cached + b.cacheWrite + b.output + b.tools;

// Wrong here means wrong bills for everyone, in every surface that shows a cost.
describe("costOfUsage", () => {
  it("charges nothing and shows no line for an empty usage", () => {
    expect(priced({}, priceOf([rate("input", 1n)]))).toEqual({
      cost: 0n,
      breakdown: { input: 0n, cached: 0n, cacheWrite: 0n, output: 0n, reasoning: 0n, tools: 0n },
      lines: [],
      priceVersion: "v1",
    });
  });

  it("shows no line for a zero, and needs no price for it", () => {
    expect(priced({ input: 3, output: 0, web_search: 0 }, priceOf([rate("input", 1000n)])).lines).toEqual([
      { unit: "input", quantity: 3, unitPricePico: 1000n, amountPico: 3000n },
    ]);
  });

  it("rounds up once, over the whole call", () => {
    // 1 pico + 1 pico = 2 pico: one nanodollar, not two.
    expect(priced({ input: 1, output: 1 }, priceOf([rate("input", 1n), rate("output", 1n)])).cost).toBe(1n);
    expect(priced({ input: 1000 }, priceOf([rate("input", 1n)])).cost).toBe(1n);
    expect(priced({ input: 1001 }, priceOf([rate("input", 1n)])).cost).toBe(2n);
  });

  it("names every unit that has no price and charges nothing in part", () => {
    expect(costOfUsage({ quantities: { input: 5, audio_input: 1, images: 2 }, price: priceOf([rate("input", 1n)]) })).toEqual({
      priced: false,
      missingUnits: ["audio_input", "images"],
    });
  });

  it("tells a price of zero from no price", () => {
    expect(priced({ input: 5 }, priceOf([rate("input", 0n)])).cost).toBe(0n);
  });

  it("applies the rate of a threshold to the whole call from its first token on", () => {
    const price = priceOf([rate("input", 10n), rate("input", 20n, 101), rate("output", 30n), rate("output", 45n, 101)]);
    expect(priced({ input: 100, output: 10 }, price).lines.map((line) => line.amountPico)).toEqual([1000n, 300n]);
    expect(priced({ input: 101, output: 10 }, price).lines.map((line) => line.amountPico)).toEqual([2020n, 450n]);
  });

  it("counts cache reads and writes, audio and images toward a threshold, and output not", () => {
    const price = priceOf([...ALL_UNITS.map((unit) => rate(unit, 1n)), rate("output", 9n, 100)]);
    const outputPico = (quantities: UsageQuantities): bigint =>
      priced({ ...quantities, output: 1000 }, price).lines.find((line) => line.unit === "output")!.unitPricePico;
    expect(outputPico({ cached_input: 50, cache_write_5m: 25, cache_write_1h: 20, audio_input: 2, image_input: 2, input: 1 })).toBe(9n);
    expect(outputPico({ cached_input: 50, cache_write_5m: 25, cache_write_1h: 20, audio_input: 2, image_input: 2 })).toBe(1n);
    expect(outputPico({ reasoning: 5000 })).toBe(1n);
  });

  it("takes the highest of several thresholds that is reached, in any order of rows", () => {
    const price = priceOf([rate("input", 3n, 200), rate("input", 1n), rate("input", 2n, 100)]);
    expect([99, 100, 199, 200, 5000].map((input) => priced({ input }, price).lines[0]!.unitPricePico)).toEqual([1n, 2n, 2n, 3n, 3n]);
  });

  it("is unpriced below the only threshold of a unit", () => {
    expect(costOfUsage({ quantities: { input: 99 }, price: priceOf([rate("input", 1n, 100)]) })).toEqual({
      priced: false,
      missingUnits: ["input"],
    });
  });

  it("keeps reasoning inside output", () => {
    const receipt = priced({ output: 10, reasoning: 90 }, priceOf([rate("output", 10_000n), rate("reasoning", 10_000n)]));
    expect(receipt.breakdown).toMatchObject({ output: 1000n, reasoning: 900n });
    expect(receipt.cost).toBe(1000n);
  });

  it("adds the fee of a call as a line of its own, even when nothing else was used", () => {
    expect(priced({}, priceOf([], 5n))).toMatchObject({
      cost: 5n,
      breakdown: { tools: 5n },
      lines: [{ unit: "call", quantity: 1, unitPricePico: 5000n, amountPico: 5000n }],
    });
  });

  it("bills durations in whole milliseconds, rounded up, without the noise of binary fractions", () => {
    const price = priceOf([rate("input_seconds", 100_000_000n)]); // $0.36 an hour
    expect(priced({ input_seconds: 3600 }, price).cost).toBe(360_000_000n);
    expect(priced({ input_seconds: 1.005 }, price).lines[0]).toMatchObject({ quantity: 1.005, amountPico: 100_500_000n });
    expect(priced({ input_seconds: 0.1 + 0.2 }, price).lines[0]).toMatchObject({ quantity: 0.3, amountPico: 30_000_000n });
    expect(priced({ input_seconds: 0.0001 }, price).lines[0]).toMatchObject({ quantity: 0.001, amountPico: 100_000n });
  });

  it.each([-1, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1.5, 2 ** 53, -0.5])("refuses %s tokens", (quantity) => {
    expect(() => costOfUsage({ quantities: { input: quantity }, price: priceOf([rate("input", 1n)]) })).toThrow(RangeError);
  });

  it.each([-1, Number.NaN, Number.POSITIVE_INFINITY, 1e300])("refuses %s seconds", (quantity) => {
    expect(() => costOfUsage({ quantities: { input_seconds: quantity }, price: priceOf([rate("input_seconds", 1n)]) })).toThrow(RangeError);
  });

  it("refuses a bad quantity even where there is no price for it", () => {
    expect(() => costOfUsage({ quantities: { output: -1 }, price: priceOf([]) })).toThrow(RangeError);
  });
});

/** Written apart from the code under test: fractions of bigint over bigint, and the rule of thresholds spelled out again. */
function exactCost(quantities: UsageQuantities, price: ModelPrice): { numerator: bigint; denominator: bigint } {
  const total = inputTokensTotal(quantities);
  let numerator = price.perCall * 1_000_000n;
  for (const [unit, quantity] of Object.entries(quantities) as [UsageUnit, number][]) {
    const reached = price.rates.filter((row) => row.unit === unit && row.fromInputTokens <= total);
    const pico = reached.toSorted((a, b) => b.fromInputTokens - a.fromInputTokens)[0]!.pico;
    numerator += BigInt(Math.round(quantity * 1000)) * pico;
  }
  return { numerator, denominator: 1_000_000n };
}

const quantitiesArb: fc.Arbitrary<UsageQuantities> = fc
  .record(
    Object.fromEntries([
      ...TOKEN_UNITS.map((unit) => [unit, fc.oneof(fc.nat(50), fc.nat(2_000_000), fc.integer({ min: 0, max: 2 ** 40 }))]),
      ...TIME_UNITS.map((unit) => [unit, fc.nat(10_000_000).map((milliseconds) => milliseconds / 1000)]),
    ]),
    { requiredKeys: [] },
  )
  .map((record) => record as UsageQuantities);

const ratesArb: fc.Arbitrary<Rate[]> = fc
  .tuple(
    ...ALL_UNITS.map((unit) =>
      fc
        .tuple(
          fc.bigInt({ min: 0n, max: 200_000_000n }),
          fc.array(fc.tuple(fc.integer({ min: 1, max: 3_000_000 }), fc.bigInt({ min: 0n, max: 400_000_000n })), { maxLength: 3 }),
        )
        .map(([base, tiers]) => [rate(unit, base), ...[...new Map(tiers)].map(([from, pico]) => rate(unit, pico, from))]),
    ),
  )
  .map((rows) => rows.flat());
const priceArb = fc.tuple(ratesArb, fc.bigInt({ min: 0n, max: 10_000_000n })).map(([rates, perCall]) => priceOf(rates, perCall));

describe("costOfUsage, for any price and usage", () => {
  it("is the exact sum rounded up to a nanodollar", () => {
    fc.assert(
      fc.property(quantitiesArb, priceArb, (quantities, price) => {
        const { numerator, denominator } = exactCost(quantities, price);
        const cost = priced(quantities, price).cost;
        expect(cost * denominator >= numerator).toBe(true);
        expect((cost - 1n) * denominator < numerator).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  it("has parts that add up to the cost, none negative, and reasoning within output", () => {
    fc.assert(
      fc.property(quantitiesArb, priceArb, (quantities, price) => {
        const receipt = priced(quantities, price);
        expect(partsSum(receipt)).toBe(receipt.cost);
        for (const part of Object.values(receipt.breakdown)) expect(part >= 0n).toBe(true);
        expect(receipt.breakdown.reasoning <= receipt.breakdown.output).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  it("has lines of quantity times unit price, one for each quantity that is not zero", () => {
    fc.assert(
      fc.property(quantitiesArb, priceArb, (quantities, price) => {
        const { lines } = priced(quantities, price);
        const used = Object.entries(quantities).filter(([, quantity]) => quantity !== 0);
        expect(lines.filter((line) => line.unit !== "call").length).toBe(used.length);
        for (const line of lines) {
          const femto = BigInt(Math.round(line.quantity * 1000)) * line.unitPricePico;
          expect(line.amountPico).toBe((femto + 999n) / 1000n);
          if (line.unit !== "call" && line.unit !== "provider_cost") expect(line.quantity).toBe(quantities[line.unit]);
        }
      }),
      { numRuns: 300 },
    );
  });

  it("never falls when a quantity rises, where rates do not fall beyond a threshold", () => {
    const risingPrices = priceArb.map((price) => ({
      ...price,
      rates: ALL_UNITS.flatMap((unit) => {
        const rows = price.rates.filter((row) => row.unit === unit);
        const froms = rows.map((row) => row.fromInputTokens).toSorted((a, b) => a - b);
        const picos = rows.map((row) => row.pico).toSorted((a, b) => Number(a - b));
        return froms.map((from, index) => rate(unit, picos[index]!, from));
      }),
    }));
    fc.assert(
      fc.property(quantitiesArb, risingPrices, fc.constantFrom(...TOKEN_UNITS), fc.nat(1_000_000), (quantities, price, unit, more) => {
        const larger = { ...quantities, [unit]: (quantities[unit] ?? 0) + more };
        expect(priced(larger, price).cost >= priced(quantities, price).cost).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  it("is the same however the provider ordered its usage and the book its rates", () => {
    fc.assert(
      fc.property(quantitiesArb, priceArb, (quantities, price) => {
        const reversed = Object.fromEntries(Object.entries(quantities).toReversed()) as UsageQuantities;
        expect(priced(reversed, { ...price, rates: price.rates.toReversed() })).toEqual(priced(quantities, price));
      }),
      { numRuns: 200 },
    );
  });
});
