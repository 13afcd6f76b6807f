/**
 * What a call used, in disjoint units: nothing is counted under two names. A unit that is absent was not used or not told;
 * whether the provider told its usage at all is a matter of {@link UsageReport}, not of zeros.
 */
export type UsageUnit =
  /** Text tokens read at the full rate: neither cached nor written to a cache. */
  | "input"
  | "cached_input"
  /** Written to a cache for a short while: Anthropic's five minutes, OpenAI's half hour. */
  | "cache_write_5m"
  /** Written for an hour (Anthropic). */
  | "cache_write_1h"
  /** Written for twelve hours (OpenAI). */
  | "cache_write_12h"
  /** Visible output tokens: reasoning is not in here. */
  | "output"
  | "reasoning"
  | "audio_input"
  | "cached_audio_input"
  | "audio_output"
  | "image_input"
  | "cached_image_input"
  | "image_output"
  /** Per-call fees of tools the provider runs. */
  | "web_search"
  /** OpenAI's older search tool (`web_search_preview`), whose fee differs from that of `web_search`. */
  | "web_search_preview"
  | "file_search"
  /** Runs of code (Anthropic). */
  | "code_execution"
  /** Containers that ran tools (OpenAI), by the memory they have: each its whole session, a bound of what it was used for. */
  | "container_1g"
  | "container_4g"
  | "container_16g"
  | "container_64g"
  /** Audio by time and speech by length. */
  | "input_seconds"
  | "output_seconds"
  | "input_characters"
  | "images";

export type UsageQuantities = Partial<Record<UsageUnit, number>>;

/** What the provider's answer said of itself. Every field undefined = not told. */
export type UsageReport = {
  quantities: UsageQuantities;
  /** Model that served, as the answer names it. */
  model?: string;
  /** Tier that served, in the provider's word (`default`, `flex`, `priority`, `batch`, …). */
  serviceTier?: string;
  /** Anthropic's fast mode or data region, where told. */
  speed?: string;
  inferenceGeo?: string;
  /** What other models used on behalf of this call: a picture made by a tool, an advisor's advice. Priced as those models. */
  otherModels?: readonly OtherModelUsage[];
  /** The provider said that it bills less than this use costs, and not how much. */
  isUpperBound?: boolean;
  /** Cost in dollars as the provider's own answer states it, exact decimal string. Believed of few providers: see `pricing`. */
  reportedCostUsd?: string;
  /** Units that were reported but that we do not know. Named, so that nothing is dropped in silence. */
  unknownUnits?: string[];
};

/** What a model other than the one that answered used. */
export type OtherModelUsage = { model: string; quantities: UsageQuantities };

const CACHED: readonly UsageUnit[] = ["cached_input", "cached_audio_input", "cached_image_input"];
const CACHE_WRITE: readonly UsageUnit[] = ["cache_write_5m", "cache_write_1h", "cache_write_12h"];
const INPUT: readonly UsageUnit[] = ["input", "audio_input", "image_input", ...CACHED, ...CACHE_WRITE];
const OUTPUT: readonly UsageUnit[] = ["output", "reasoning", "audio_output", "image_output"];

const sum = (quantities: UsageQuantities, units: readonly UsageUnit[]): number =>
  units.reduce((total, unit) => total + (quantities[unit] ?? 0), 0);

/** Input tokens of all kinds, cache reads and writes included. */
export const inputTokensTotal = (quantities: UsageQuantities): number => sum(quantities, INPUT);
/** Output tokens of all kinds, reasoning included. */
export const outputTokensTotal = (quantities: UsageQuantities): number => sum(quantities, OUTPUT);
export const cachedTokensTotal = (quantities: UsageQuantities): number => sum(quantities, CACHED);
export const cacheWriteTokensTotal = (quantities: UsageQuantities): number => sum(quantities, CACHE_WRITE);
