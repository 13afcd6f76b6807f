import { calcPrice, findProvider, type ConditionalPrice, type ModelPrice as PackagePrice } from "@pydantic/genai-prices";
import type { UsageUnit } from "@/server/metering/usage";
import { exactPico } from "./exact-amount";
import { THRESHOLD_CORRECTION } from "./overlay";
import type { Rate } from "./price-book";

/** Of node_modules/@pydantic/genai-prices; a test holds it equal to the installed package. */
export const PACKAGE_VERSION = "0.1.8";

/** When a price of the package applies. Of several that do, the last wins. */
export type Constraint = { fromMs: number } | { timeOfDay: { startSecond: number; endSecond: number } };
export type PackagePeriod = { constraint: Constraint | undefined; rates: Rate[]; perCallPico: bigint };
export type PackageModel = { model: string; periods: PackagePeriod[] };

const MILLION = 1_000_000n;
const THOUSAND = 1000n;
const HOUR_IN_SECONDS = 3600n;

/** The package's name of a price → our unit, and of how many units the package tells the price. */
const UNIT_OF_PRICE_KEY: Readonly<Record<string, readonly [UsageUnit, bigint]>> = {
  input_mtok: ["input", MILLION],
  cache_read_mtok: ["cached_input", MILLION],
  cache_write_mtok: ["cache_write_5m", MILLION],
  cache_write_1h_mtok: ["cache_write_1h", MILLION],
  output_mtok: ["output", MILLION],
  output_reasoning_mtok: ["reasoning", MILLION],
  input_audio_mtok: ["audio_input", MILLION],
  cache_audio_read_mtok: ["cached_audio_input", MILLION],
  output_audio_mtok: ["audio_output", MILLION],
  input_image_mtok: ["image_input", MILLION],
  cache_image_read_mtok: ["cached_image_input", MILLION],
  output_image_mtok: ["image_output", MILLION],
  web_searches_kcount: ["web_search", THOUSAND],
  storage_searches_kcount: ["file_search", THOUSAND],
  input_audio_hours: ["input_seconds", HOUR_IN_SECONDS],
  output_audio_hours: ["output_seconds", HOUR_IN_SECONDS],
  input_mchars: ["input_characters", MILLION],
};
/** An ancestor in the package's tree of units that always comes with its descendant, from which we read the price. */
const COVERED_BY: Readonly<Record<string, string>> = { audio_hours: "input_audio_hours" };
const PER_CALL_KEY = "requests_kcount";

/**
 * All of the package's models of one provider, its floats turned into integers.
 *
 * @param strict throws when a price is of a kind we do not know or is not exact; otherwise such a model is left out, that is
 * unpriced, and named in `unreadable`.
 */
export function packageModels(
  providerId: string,
  { strict = true }: { strict?: boolean } = {},
): { models: PackageModel[]; source: string; unreadable: string[] } {
  const provider = findProvider({ providerId });
  if (provider?.id !== providerId) throw new Error(`no price data for provider ${providerId}`);
  const models: PackageModel[] = [];
  const unreadable: string[] = [];
  for (const { id, prices } of provider.models) {
    try {
      models.push({ model: id, periods: readPeriods(prices, providerId) });
    } catch (error) {
      if (strict) throw error;
      unreadable.push(id);
    }
  }
  return { models, source: provider.pricing_urls?.[0] ?? "https://github.com/pydantic/genai-prices", unreadable };
}

/** Prices as the package's data has them. @throws when one is of a kind we do not know, or not exact. */
export const readPeriods = (prices: PackagePrice | ConditionalPrice[], providerId: string): PackagePeriod[] =>
  (Array.isArray(prices) ? prices : [{ prices }]).map((period) => readPeriod(period, providerId));

/**
 * The package's name of a model, by its own rules for aliases, dates and fine-tunes; undefined when it does not know it.
 * Takes tens of microseconds: keep the answer.
 */
export function packageModelOf(providerId: string, name: string): string | undefined {
  const found = calcPrice({}, name, { providerId });
  // Some providers sell others' models, and the package then looks at those others' prices, which need not be what is charged here.
  return found?.provider.id === providerId ? found.model.id : undefined;
}

function readPeriod({ constraint, prices }: ConditionalPrice, providerId: string): PackagePeriod {
  const rates: Rate[] = [];
  let perCallPico = 0n;
  for (const [key, price] of Object.entries(prices satisfies PackagePrice)) {
    if (price === undefined) continue;
    const coveredBy = COVERED_BY[key];
    if (coveredBy !== undefined && prices[coveredBy] === price) continue;
    if (key === PER_CALL_KEY && typeof price === "number") {
      perCallPico = exactPico(price, THOUSAND);
      continue;
    }
    const known = UNIT_OF_PRICE_KEY[key];
    if (!known) throw new Error(`price list has a unit we do not know: ${key}`);
    const [unit, per] = known;
    if (typeof price === "number") {
      rates.push({ unit, pico: exactPico(price, per), fromInputTokens: 0 });
      continue;
    }
    rates.push({ unit, pico: exactPico(price.base, per), fromInputTokens: 0 });
    for (const tier of price.tiers) {
      rates.push({ unit, pico: exactPico(tier.price, per), fromInputTokens: firstTokenOf(tier.start, providerId) });
    }
  }
  return { constraint: readConstraint(constraint), rates, perCallPico };
}

/** The package applies a tier to calls of more than `start` input tokens. */
function firstTokenOf(start: number, providerId: string): number {
  const corrected =
    providerId === THRESHOLD_CORRECTION.provider && start === THRESHOLD_CORRECTION.packageStart ? THRESHOLD_CORRECTION.start : start;
  return corrected + 1;
}

function readConstraint(constraint: ConditionalPrice["constraint"]): Constraint | undefined {
  if (constraint === undefined) return undefined;
  if (constraint.type === "start_date") return { fromMs: Date.parse(constraint.start_date) };
  if (constraint.type !== "time_of_date") throw new Error("a price applies under a condition we do not know");
  return { timeOfDay: { startSecond: secondOfDay(constraint.start_time), endSecond: secondOfDay(constraint.end_time) } };
}

/** UTC second of the day of `HH:MM:SS` with `Z` or an offset. */
function secondOfDay(text: string): number {
  const milliseconds = Date.parse(`1970-01-02T${text}`);
  if (Number.isNaN(milliseconds)) throw new Error(`not a time of day: ${text}`);
  return (milliseconds / 1000) % 86_400;
}

/** Whether a price applies at a time. A span of the day may go over midnight; it includes its start and not its end. */
export function applies(constraint: Constraint | undefined, atMs: number): boolean {
  if (constraint === undefined) return true;
  if ("fromMs" in constraint) return atMs >= constraint.fromMs;
  const { startSecond, endSecond } = constraint.timeOfDay;
  const second = (atMs / 1000) % 86_400;
  return endSecond < startSecond ? second >= startSecond || second < endSecond : second >= startSecond && second < endSecond;
}
