/**
 * Money is counted in whole nanodollars ($1 = 1,000,000,000), prices in whole picodollars per unit.
 * No float stands between a provider's usage and the ledger.
 */
declare const brand: unique symbol;

/** Nanodollars. Non-negative unless a function says otherwise. */
export type NanoUsd = bigint & { readonly [brand]: "NanoUsd" };
/** Picodollars (10^-12 $): a price per unit, or an amount before it is rounded up to nanodollars. */
export type PicoUsd = bigint & { readonly [brand]: "PicoUsd" };

export const ZERO_NANO = 0n as NanoUsd;

/** Marks a bigint that is known to hold nanodollars. */
export const nanoUsd = (value: bigint): NanoUsd => value as NanoUsd;
/** Marks a bigint that is known to hold picodollars. */
export const picoUsd = (value: bigint): PicoUsd => value as PicoUsd;

/** Rounds up: a call is never charged less than its receipt. */
export function picoToNanoCeil(pico: PicoUsd): NanoUsd {
  const nano = pico / 1000n;
  return nanoUsd(pico % 1000n > 0n ? nano + 1n : nano);
}

/** Exact decimal string in dollars, at least two decimals: 1_234_500_000n → "1.2345". Negative amounts keep their sign. */
export function nanoToUsdString(nano: NanoUsd): string {
  const amount: bigint = nano;
  const negative = amount < 0n;
  const absolute = negative ? -amount : amount;
  const whole = absolute / 1_000_000_000n;
  const fraction = (absolute % 1_000_000_000n).toString().padStart(9, "0").replace(/0+$/, "").padEnd(2, "0");
  return `${negative ? "-" : ""}${whole}.${fraction}`;
}

/** Microdollars as the JSON number of the public API: at most three decimals, exact below $9,000,000. */
export function nanoToMicrodollars(nano: NanoUsd): number {
  return Number(nano) / 1000;
}

/**
 * Reads the public API's microdollars: a finite, non-negative number with at most three decimals.
 * Returns undefined for anything else, so that a caller can say what is wrong.
 */
export function microdollarsToNano(microdollars: number): NanoUsd | undefined {
  if (!Number.isFinite(microdollars) || microdollars < 0 || microdollars > 9_000_000_000_000) return undefined;
  const nano = Math.round(microdollars * 1000);
  if (nano / 1000 !== microdollars) return undefined;
  return nanoUsd(BigInt(nano));
}

/** Exact: "2.50" or 2.5 dollars per million units → picodollars per unit (1 $/M = 1,000,000 pico). Undefined when not exact. */
export function usdPerMillionToPico(usdPerMillion: string | number): PicoUsd | undefined {
  const text = typeof usdPerMillion === "number" ? decimalText(usdPerMillion) : usdPerMillion.trim();
  const match = /^(\d{1,9})(?:\.(\d+))?$/.exec(text);
  if (!match) return undefined;
  const fraction = (match[2] ?? "").replace(/0+$/, "");
  if (fraction.length > 6) return undefined;
  return picoUsd(BigInt(match[1]!) * 1_000_000n + BigInt(fraction.padEnd(6, "0") || "0"));
}

/** A number without exponent, as the shortest decimal that reads back as the same number. */
function decimalText(value: number): string {
  if (!Number.isFinite(value) || value < 0) return "";
  const text = String(value);
  return text.includes("e") ? value.toFixed(12).replace(/0+$/, "").replace(/\.$/, "") : text;
}
