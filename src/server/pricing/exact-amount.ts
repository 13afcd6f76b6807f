import { picoUsd, type PicoUsd } from "@/lib/money";

const PICO_PER_USD = 1_000_000_000_000n;

/**
 * Picodollars per unit of a price in dollars per `per` units, exact: 0.075 per 1,000,000 → 75,000.
 * A number is read as the shortest decimal that means it, which is the text the price list was written in.
 *
 * @throws when the price is negative, not a number, or not a whole number of picodollars per unit.
 */
export function exactPico(usd: number | string, per: bigint): PicoUsd {
  const match = /^(\d+)(?:\.(\d+))?(?:e([+-]?\d+))?$/.exec(String(usd));
  if (!match) throw new Error(`not a price: ${usd}`);
  const fraction = match[2] ?? "";
  const exponent = Number(match[3] ?? "0") - fraction.length;
  const digits = BigInt(match[1]! + fraction);
  const numerator = digits * PICO_PER_USD * 10n ** BigInt(Math.max(exponent, 0));
  const denominator = per * 10n ** BigInt(Math.max(-exponent, 0));
  if (numerator % denominator !== 0n) throw new Error(`${usd} dollars per ${per} units is not a whole number of picodollars per unit`);
  return picoUsd(numerator / denominator);
}

/** Dollars per million units as an exact decimal: 75,000 → "0.075". At least two decimals. */
export function picoToUsdPerMillion(pico: PicoUsd): string {
  const whole = pico / 1_000_000n;
  const fraction = (pico % 1_000_000n).toString().padStart(6, "0").replace(/0+$/, "").padEnd(2, "0");
  return `${whole}.${fraction}`;
}
