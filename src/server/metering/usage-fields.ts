import { isObject } from "./json-scanner";

/**
 * Reads numbers out of a usage object and remembers which were there: a figure that is not a count is named rather than trusted,
 * and a count that nobody asked for is named rather than dropped.
 */
export class UsageFields {
  readonly #usage: Record<string, unknown>;
  readonly #read = new Set<string>();
  /** Paths whose value cannot be a count: negative, fractional, not a number. */
  readonly unreadable: string[] = [];

  constructor(usage: Record<string, unknown>) {
    this.#usage = usage;
  }

  /** A whole number of zero or more; undefined when it is missing, null, or no count. */
  count(...path: string[]): number | undefined {
    return this.#number(path, Number.isSafeInteger);
  }

  /** A finite number of zero or more. */
  amount(...path: string[]): number | undefined {
    return this.#number(path, Number.isFinite);
  }

  text(...path: string[]): string | undefined {
    const value = this.#at(path);
    return typeof value === "string" ? value : undefined;
  }

  #at(path: readonly string[]): unknown {
    let value: unknown = this.#usage;
    for (const name of path) value = isObject(value) && Object.hasOwn(value, name) ? value[name] : undefined;
    return value;
  }

  #number(path: readonly string[], isValid: (value: number) => boolean): number | undefined {
    const value = this.#at(path);
    if (value === undefined || value === null || value === 0) return value ?? undefined;
    const joined = path.join(".");
    this.#read.add(joined);
    if (typeof value === "number" && value > 0 && isValid(value)) return value;
    this.unreadable.push(joined);
    return undefined;
  }

  /**
   * Numbers above zero that were neither read nor are known to say nothing new. A zero costs nothing under any price.
   * @param informational paths of figures that repeat or explain others.
   */
  unknownUnits(informational: ReadonlySet<string>): string[] {
    const unknown: string[] = [];
    const visit = (value: unknown, path: string, depth: number): void => {
      if (typeof value === "number") {
        if (value !== 0 && !this.#read.has(path) && !informational.has(path)) unknown.push(path);
        return;
      }
      if (typeof value !== "object" || value === null || depth === USAGE_DEPTH_MAX || informational.has(path)) return;
      for (const [name, member] of Object.entries(value)) {
        if (unknown.length === UNKNOWN_UNITS_MAX) return;
        visit(member, path === "" ? name : `${path}.${name}`, depth + 1);
      }
    };
    visit(this.#usage, "", 0);
    return unknown;
  }
}

/** Usage objects are two levels deep; what is deeper is not a unit. */
const USAGE_DEPTH_MAX = 4;
const UNKNOWN_UNITS_MAX = 16;

/** A number as decimal digits without an exponent, as prices and costs are written. */
export function decimalText(value: number): string | undefined {
  if (!Number.isFinite(value) || value < 0) return undefined;
  const text = String(value);
  if (!text.includes("e")) return text;
  if (value >= 1) return value < 1e21 ? value.toFixed(0) : undefined;
  const [digits, exponent] = text.split("e-") as [string, string];
  const [whole, fraction = ""] = digits.split(".") as [string, string?];
  return `0.${"0".repeat(Number(exponent) - 1)}${whole}${fraction}`;
}

const DECIMAL = /^(\d{1,20})(?:\.(\d{1,40}))?$/;

/** The exact sum of decimals without a sign; undefined when one is none. */
export function sumOfDecimals(...texts: string[]): string | undefined {
  const parts = texts.map((text) => DECIMAL.exec(text));
  if (parts.some((part) => part === null)) return undefined;
  const places = Math.max(...parts.map((part) => (part![2] ?? "").length));
  const sum = parts.reduce((total, part) => total + BigInt(part![1]! + (part![2] ?? "").padEnd(places, "0")), 0n);
  if (places === 0) return sum.toString();
  const digits = sum.toString().padStart(places + 1, "0");
  return `${digits.slice(0, -places)}.${digits.slice(-places)}`;
}

/** A whole number of `10^-places` dollars as a decimal: 37756000 with ten places → "0.0037756000". */
export function decimalOfUnits(units: number, places: number): string | undefined {
  if (!Number.isSafeInteger(units) || units < 0) return undefined;
  const digits = String(units).padStart(places + 1, "0");
  return `${digits.slice(0, -places)}.${digits.slice(-places)}`;
}
