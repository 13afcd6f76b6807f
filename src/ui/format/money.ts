import { nanoToUsdString, nanoUsd } from "@/lib/money";

/** Microdollars as the API sends them: a number with at most three decimals. The whole dollars and the nine digits behind the point. */
function digitsOf(microdollars: number): { negative: boolean; text: string; whole: string; fraction: string } {
  // By way of the decimal text: times 1000 would be off by a nanodollar above four million dollars.
  const nano = BigInt(microdollars.toFixed(3).replace(".", ""));
  const text = nanoToUsdString(nanoUsd(nano < 0n ? -nano : nano));
  const [whole = "0", fraction = ""] = text.split(".");
  return { negative: nano < 0n, text, whole, fraction: fraction.padEnd(9, "0") };
}

const formatters = new Map<string, Intl.NumberFormat>();

function formatter(decimalsMin: number, decimalsMax: number): Intl.NumberFormat {
  const key = `${decimalsMin}-${decimalsMax}`;
  let made = formatters.get(key);
  if (made === undefined) {
    made = new Intl.NumberFormat("en-US", {
      style: "currency",
      currency: "USD",
      minimumFractionDigits: decimalsMin,
      maximumFractionDigits: decimalsMax,
    });
    formatters.set(key, made);
  }
  return made;
}

const compactFormatter = new Intl.NumberFormat("en-US", {
  style: "currency",
  currency: "USD",
  notation: "compact",
  minimumFractionDigits: 1,
  maximumFractionDigits: 1,
});

/** Intl reads a decimal string exactly, where a number would lose digits. */
const print = (format: Intl.NumberFormat, decimal: string): string => format.format(decimal as Intl.StringNumericLiteral);

export type FormatUsdOptions = {
  /** A fixed number of decimals, for columns: what is not zero but smaller than the last decimal prints as `<$0.0001`. */
  decimals?: number;
  /** `$12.3K` from $10,000 on: for axes and cards only. */
  compact?: boolean;
  /** Shows a plus before what is above zero, for differences. */
  signed?: boolean;
};

/**
 * Prints microdollars as dollars. Two decimals, or as many as three significant digits need below a dollar, so that what is
 * not zero is never shown as $0.00. `null` and `undefined` (unknown) print as a dash.
 */
export function formatUsd(microdollars: number | null | undefined, options: FormatUsdOptions = {}): string {
  if (microdollars === null || microdollars === undefined || !Number.isFinite(microdollars)) return "–";
  const { negative, text, whole, fraction } = digitsOf(microdollars);
  const sign = negative ? "-" : options.signed === true && microdollars > 0 ? "+" : "";
  if (options.compact === true && whole.length >= 5) return sign + print(compactFormatter, text);
  if (options.decimals !== undefined) {
    const decimals = options.decimals;
    const zero = whole === "0" && /^0*$/.test(fraction);
    const belowPrecision = whole === "0" && /^0*$/.test(fraction.slice(0, decimals));
    if (!zero && belowPrecision)
      return `${negative ? ">-" : "<"}${print(formatter(decimals, decimals), (10 ** -decimals).toFixed(decimals))}`;
    return sign + print(formatter(decimals, decimals), text);
  }
  return sign + print(formatter(2, decimalsFor(whole, fraction)), text);
}

function decimalsFor(whole: string, fraction: string): number {
  if (whole !== "0") return 2;
  const leadingZeros = /^0*/.exec(fraction)![0].length;
  return leadingZeros === fraction.length ? 2 : Math.min(9, leadingZeros + 3);
}

/** All digits, for titles, copies and screen readers: `$0.0000342`. */
export function exactUsd(microdollars: number): string {
  const { negative, text } = digitsOf(microdollars);
  return (negative ? "-" : "") + print(formatter(2, 9), text);
}

/** All digits without sign and separators, as a spreadsheet reads them: `0.0000342`. */
export function plainUsd(microdollars: number): string {
  const { negative, text } = digitsOf(microdollars);
  return (negative ? "-" : "") + text;
}

/**
 * The decimals for a column of amounts: enough for three significant digits of the middle one, between 2 and 6, so that a
 * column lines up and single tiny amounts print as `<$0.0001`.
 */
export function columnDecimals(microdollars: readonly (number | null | undefined)[]): number {
  const amounts = microdollars
    .filter((amount): amount is number => typeof amount === "number" && amount !== 0)
    .map((amount) => Math.abs(amount))
    .sort((a, b) => a - b);
  const middle = amounts[Math.floor(amounts.length / 2)];
  if (middle === undefined) return 2;
  const { whole, fraction } = digitsOf(middle);
  return Math.min(6, decimalsFor(whole, fraction));
}

/**
 * Reads what a person typed as dollars (`$1,234.50`, `0.000001`) into microdollars. `undefined` when it is no amount, is negative,
 * has more than nine decimals, or is too large to be exact.
 */
export function parseUsd(text: string): number | undefined {
  const match = /^\$?\s*(\d{1,3}(?:,\d{3})+|\d{1,7})?(?:\.(\d{0,9}))?$/.exec(text.trim());
  if (match === null || (match[1] === undefined && (match[2] ?? "") === "")) return undefined;
  const whole = (match[1] ?? "0").replaceAll(",", "");
  const nano = BigInt(whole) * 1_000_000_000n + BigInt((match[2] ?? "").padEnd(9, "0"));
  if (nano > 9_000_000_000_000_000n) return undefined;
  return Number(nano) / 1000;
}
