import { CLAUDE_PRICING, OPENAI_PRICING, TEN_A_THOUSAND, TWO_AND_A_HALF_A_THOUSAND, type OverlayRow } from "./overlay-row";
import { MORE_ROWS } from "./overlay-units";

/**
 * What the list prices of the genai-prices package lack, kept by hand. Rows only state what a provider publishes, each with its
 * page and the day it was read; nothing here is a guess or a factor. A row is never edited once it was in use: a new price is a
 * new row with a later `validFrom`, and `OVERLAY_DATE` moves.
 *
 * The tier tables were taken down as the MIT-licensed Python edition of genai-prices (0.2.1) recorded them from the pages named
 * here, and the priority figures compared with https://openai.com/api-priority-processing/.
 */
export const OVERLAY_DATE = "2026-11-24";

/** Model, input, cached input, cache write, output; null where the page has no figure. */
type OpenAiTokens = readonly [string, string, string | null, string | null, string];

const openAiTokens = (
  tier: OverlayRow["tier"],
  { validFrom, checkedOn }: { validFrom?: string; checkedOn: string },
  table: readonly OpenAiTokens[],
): OverlayRow[] =>
  table.map(([model, input, cached, cacheWrite, output]) => ({
    provider: "openai",
    model,
    tier,
    ...(validFrom !== undefined && { validFrom }),
    usdPerMillion: {
      input,
      ...(cached !== null && { cached_input: cached }),
      ...(cacheWrite !== null && { cache_write_5m: cacheWrite }),
      output,
    },
    longContextOver: 272_000,
    source: OPENAI_PRICING,
    checkedOn,
  }));

/** Model, input, cache read, 5-minute write, 1-hour write, output. */
type ClaudeTokens = readonly [string, string, string, string, string, string];

const claudeTokens = (
  tier: OverlayRow["tier"],
  row: Pick<OverlayRow, "validFrom" | "longContextOver" | "checkedOn">,
  table: readonly ClaudeTokens[],
): OverlayRow[] =>
  table.map(([model, input, cacheRead, write5m, write1h, output]) => ({
    provider: "anthropic",
    model,
    tier,
    ...row,
    usdPerMillion: { input, cached_input: cacheRead, cache_write_5m: write5m, cache_write_1h: write1h, output },
    source: CLAUDE_PRICING,
  }));

/** Models that the package does not have. */
const NEW_MODELS: OverlayRow[] = [
  {
    provider: "anthropic",
    model: "claude-haiku-5-5",
    names: ["claude-haiku-5-5", "claude-haiku-5.5"],
    tier: "standard",
    usdPerMillion: {
      input: "0.1 > 0.5",
      cached_input: "0.01 > 0.05",
      cache_write_5m: "0.125 > 0.625",
      cache_write_1h: "0.2 > 1",
      output: "0.5 > 2.5",
      web_search: TEN_A_THOUSAND,
    },
    longContextOver: 100_000,
    source: `${CLAUDE_PRICING}#long-context-pricing`,
    checkedOn: "2026-10-14",
  },
  {
    provider: "anthropic",
    model: "claude-sonnet-5-5",
    names: ["claude-sonnet-5-5", "claude-sonnet-5.5"],
    tier: "standard",
    usdPerMillion: {
      input: "2",
      cached_input: "0.1",
      cache_write_5m: "2.5",
      cache_write_1h: "4",
      output: "10",
      web_search: TEN_A_THOUSAND,
    },
    source: `${CLAUDE_PRICING}#model-pricing`,
    checkedOn: "2026-10-14",
  },
  {
    provider: "openai",
    model: "gpt-6.1-sol",
    names: ["gpt-6.1-sol"],
    tier: "standard",
    usdPerMillion: {
      input: "2 > 4",
      cached_input: "0.1 > 0.2",
      cache_write_5m: "2.5 > 5",
      output: "10 > 15",
      web_search: TEN_A_THOUSAND,
      file_search: TWO_AND_A_HALF_A_THOUSAND,
    },
    longContextOver: 272_000,
    source: "https://developers.openai.com/api/docs/models/gpt-6.1-sol",
    checkedOn: "2026-10-12",
  },
  {
    provider: "openai",
    model: "gpt-6.1-terra",
    names: ["gpt-6.1-terra"],
    tier: "standard",
    usdPerMillion: {
      input: "1 > 2",
      cached_input: "0.05 > 0.1",
      cache_write_5m: "1.25 > 2.5",
      output: "5 > 7.5",
      web_search: TEN_A_THOUSAND,
      file_search: TWO_AND_A_HALF_A_THOUSAND,
    },
    longContextOver: 272_000,
    source: "https://developers.openai.com/api/docs/models/gpt-6.1-terra",
    checkedOn: "2026-10-26",
  },
  ...["gpt-image-2.5-flare", "gpt-image-2.5-sunburst"].map((model): OverlayRow => ({
    provider: "openai",
    model,
    names: [model],
    tier: "standard",
    usdPerMillion: {
      input: "5",
      cached_input: "1.25",
      image_input: "8",
      cached_image_input: "2",
      output: "30",
      image_output: "30",
    },
    source: `https://developers.openai.com/api/docs/models/${model}`,
    checkedOn: "2026-10-14",
  })),
  {
    provider: "openai",
    model: "chatgpt-image-latest",
    names: ["chatgpt-image-latest"],
    tier: "standard",
    usdPerMillion: {
      input: "5",
      cached_input: "1.25",
      image_input: "8",
      cached_image_input: "2",
      output: "10",
      image_output: "32",
    },
    source: OPENAI_PRICING,
    checkedOn: "2026-10-14",
  },
  {
    provider: "openai",
    model: "gpt-5-search-api",
    names: ["gpt-5-search-api"],
    tier: "standard",
    usdPerMillion: { input: "1.25", cached_input: "0.125", output: "10" },
    source: OPENAI_PRICING,
    checkedOn: "2026-10-14",
  },
  {
    provider: "openai",
    model: "babbage-002",
    names: ["babbage-002"],
    tier: "standard",
    usdPerMillion: { input: "0.4", output: "0.4" },
    source: OPENAI_PRICING,
    checkedOn: "2026-10-14",
  },
  {
    provider: "openai",
    model: "davinci-002",
    names: ["davinci-002"],
    tier: "standard",
    usdPerMillion: { input: "2", output: "2" },
    source: OPENAI_PRICING,
    checkedOn: "2026-10-14",
  },
  {
    provider: "openai",
    model: "tts-1",
    names: ["tts-1", "tts-1-1106"],
    tier: "standard",
    usdPerMillion: { input_characters: "15" },
    source: OPENAI_PRICING,
    checkedOn: "2026-10-14",
  },
  {
    provider: "openai",
    model: "tts-1-hd",
    names: ["tts-1-hd", "tts-1-hd-1106"],
    tier: "standard",
    usdPerMillion: { input_characters: "30" },
    source: OPENAI_PRICING,
    checkedOn: "2026-10-14",
  },
];

/** Units of models that the package does have, under another name or not at all. */
const MISSING_UNITS: OverlayRow[] = [
  // These models put out images or sound only: what the package lists as output is that.
  ...(
    [
      ["gpt-image-1", "image_output", "40"],
      ["gpt-image-1-mini", "image_output", "8"],
      ["gpt-image-2", "image_output", "30"],
      ["gpt-4o-mini-tts", "audio_output", "12"],
    ] as const
  ).map(([model, unit, amount]): OverlayRow => ({
    provider: "openai",
    model,
    tier: "standard",
    usdPerMillion: { [unit]: amount },
    source: `https://developers.openai.com/api/docs/models/${model}`,
    checkedOn: "2026-10-14",
  })),
  ...["o3-deep-research", "o4-mini-deep-research"].map((model): OverlayRow => ({
    provider: "openai",
    model,
    tier: "standard",
    usdPerMillion: { web_search: TEN_A_THOUSAND, file_search: TWO_AND_A_HALF_A_THOUSAND },
    source: OPENAI_PRICING,
    checkedOn: "2026-10-14",
  })),
  // An explicit zero: the package has the model with no price at all, which would read as "unknown".
  {
    provider: "openai",
    model: "moderation",
    tier: "standard",
    usdPerMillion: { input: "0" },
    source: "https://developers.openai.com/api/docs/models/omni-moderation-latest",
    checkedOn: OVERLAY_DATE,
  },
];

export const OVERLAY: readonly OverlayRow[] = [
  ...NEW_MODELS,
  ...MISSING_UNITS,
  ...openAiTokens("flex", { validFrom: "2026-10-12", checkedOn: "2026-10-12" }, [
    ["gpt-5", "0.625", "0.0625", null, "5"],
    ["gpt-5-mini", "0.125", "0.0125", null, "1"],
    ["gpt-5-nano", "0.025", "0.0025", null, "0.2"],
    ["gpt-5.1", "0.625", "0.0625", null, "5"],
    ["gpt-5.2", "0.875", "0.0875", null, "7"],
    ["gpt-5.4", "1.25 > 2.5", "0.13 > 0.25", null, "7.5 > 11.25"],
    ["gpt-5.4-mini", "0.375", "0.0375", null, "2.25"],
    ["gpt-5.4-nano", "0.1", "0.01", null, "0.625"],
    ["gpt-5.4-pro", "15 > 30", null, null, "90 > 135"],
    ["gpt-5.5", "2.5 > 5", "0.25 > 0.5", null, "15 > 22.5"],
    ["gpt-5.5-pro", "15", null, null, "90"],
    ["gpt-5.6-luna", "0.1 > 0.2", "0.01 > 0.02", "0.125 > 0.25", "0.6 > 0.9"],
    ["gpt-5.6-sol", "2 > 4", "0.2 > 0.4", "2.5 > 5", "10 > 15"],
    ["gpt-5.6-terra", "1 > 2", "0.1 > 0.2", "1.25 > 2.5", "6 > 9"],
    ["gpt-6-astra", "5 > 10", "0.5 > 1", "6.25 > 12.5", "25 > 37.5"],
    ["gpt-6-luna", "0.05 > 0.1", "0.005 > 0.01", "0.0625 > 0.125", "0.25 > 0.375"],
    ["gpt-6-sol", "1 > 2", "0.1 > 0.2", "1.25 > 2.5", "5 > 7.5"],
    ["gpt-6.1-sol", "1 > 2", "0.05 > 0.1", "1.25 > 2.5", "5 > 7.5"],
    ["o3", "1", "0.25", null, "4"],
    ["o4-mini", "0.55", "0.138", null, "2.2"],
  ]),
  ...openAiTokens("flex", { checkedOn: "2026-10-26" }, [["gpt-6.1-terra", "0.5 > 1", "0.025 > 0.05", "0.625 > 1.25", "2.5 > 3.75"]]),
  // The response of the same tier may also say `fast`, OpenAI's later name for it.
  ...openAiTokens("priority", { validFrom: "2026-10-12", checkedOn: "2026-10-12" }, [
    ["gpt-4.1", "3.5", "0.875", null, "14"],
    ["gpt-4.1-mini", "0.7", "0.175", null, "2.8"],
    ["gpt-4.1-nano", "0.2", "0.05", null, "0.8"],
    ["gpt-4o", "4.25", "2.125", null, "17"],
    ["gpt-4o-2024-05-13", "8.75", null, null, "26.25"],
    ["gpt-4o-mini", "0.25", "0.125", null, "1"],
    ["gpt-5", "2.5", "0.25", null, "20"],
    ["gpt-5-mini", "0.45", "0.045", null, "3.6"],
    ["gpt-5.1", "2.5", "0.25", null, "20"],
    ["gpt-5.2", "3.5", "0.35", null, "28"],
    ["gpt-5.3-codex", "3.5", "0.35", null, "28"],
    ["gpt-5.4", "5", "0.5", null, "30"],
    ["gpt-5.4-mini", "1.5", "0.15", null, "9"],
    ["gpt-5.5", "12.5", "1.25", null, "75"],
    ["gpt-5.6-luna", "0.4 > 0.8", "0.04 > 0.08", "0.5 > 1", "2.4 > 3.6"],
    ["gpt-5.6-sol", "8 > 16", "0.8 > 1.6", "10 > 20", "40 > 60"],
    ["gpt-5.6-terra", "4 > 8", "0.4 > 0.8", "5 > 10", "24 > 36"],
    ["gpt-6-astra", "20 > 40", "2 > 4", "25 > 50", "100 > 150"],
    ["gpt-6-luna", "0.2 > 0.4", "0.02 > 0.04", "0.25 > 0.5", "1 > 1.5"],
    ["gpt-6-sol", "4 > 8", "0.4 > 0.8", "5 > 10", "20 > 30"],
    ["gpt-6.1-sol", "4 > 8", "0.2 > 0.4", "5 > 10", "20 > 30"],
    ["o3", "3.5", "0.875", null, "14"],
    ["o4-mini", "2", "0.5", null, "8"],
  ]),
  ...openAiTokens("priority", { checkedOn: "2026-10-26" }, [["gpt-6.1-terra", "2 > 4", "0.1 > 0.2", "2.5 > 5", "10 > 15"]]),
  ...openAiTokens("batch", { validFrom: "2026-10-14", checkedOn: "2026-10-14" }, [
    ["ft:gpt-3.5-turbo-", "1.5", null, null, "3"],
    ["ft:gpt-4o-mini", "0.15", null, null, "0.6"],
    ["gpt-3.5-turbo", "0.25", null, null, "0.75"],
    ["gpt-4", "15", null, null, "30"],
    ["gpt-4-turbo", "5", null, null, "15"],
    ["gpt-4.1", "1", null, null, "4"],
    ["gpt-4.1-mini", "0.2", null, null, "0.8"],
    ["gpt-4.1-nano", "0.05", null, null, "0.2"],
    ["gpt-4o", "1.25", null, null, "5"],
    ["gpt-4o-2024-05-13", "2.5", null, null, "7.5"],
    ["gpt-4o-mini", "0.075", null, null, "0.3"],
    ["gpt-4o-mini-2024-07-18.ft-", "0.15", null, null, "0.6"],
    ["gpt-5", "0.625", "0.0625", null, "5"],
    ["gpt-5-mini", "0.125", "0.0125", null, "1"],
    ["gpt-5-nano", "0.025", "0.0025", null, "0.2"],
    ["gpt-5-pro", "7.5", null, null, "60"],
    ["gpt-5.1", "0.625", "0.0625", null, "5"],
    ["gpt-5.2", "0.875", "0.0875", null, "7"],
    ["gpt-5.2-pro", "10.5", null, null, "84"],
    ["gpt-5.4", "1.25 > 2.5", "0.13 > 0.25", null, "7.5 > 11.25"],
    ["gpt-5.4-mini", "0.375", "0.0375", null, "2.25"],
    ["gpt-5.4-nano", "0.1", "0.01", null, "0.625"],
    ["gpt-5.4-pro", "15 > 30", null, null, "90 > 135"],
    ["gpt-5.5", "2.5 > 5", "0.25 > 0.5", null, "15 > 22.5"],
    ["gpt-5.5-pro", "15", null, null, "90"],
    ["gpt-5.6-luna", "0.1 > 0.2", "0.01 > 0.02", "0.125 > 0.25", "0.6 > 0.9"],
    ["gpt-5.6-sol", "2 > 4", "0.2 > 0.4", "2.5 > 5", "10 > 15"],
    ["gpt-5.6-terra", "1 > 2", "0.1 > 0.2", "1.25 > 2.5", "6 > 9"],
    ["gpt-6-astra", "5 > 10", "0.5 > 1", "6.25 > 12.5", "25 > 37.5"],
    ["gpt-6-luna", "0.05 > 0.1", "0.005 > 0.01", "0.0625 > 0.125", "0.25 > 0.375"],
    ["gpt-6-sol", "1 > 2", "0.1 > 0.2", "1.25 > 2.5", "5 > 7.5"],
    ["gpt-6.1-sol", "1 > 2", "0.05 > 0.1", "1.25 > 2.5", "5 > 7.5"],
    ["o1", "7.5", null, null, "30"],
    ["o1-pro", "75", null, null, "300"],
    ["o3", "1", null, null, "4"],
    ["o3-mini", "0.55", null, null, "2.2"],
    ["o3-pro", "10", null, null, "40"],
    ["o4-mini", "0.55", null, null, "2.2"],
  ]),
  ...openAiTokens("batch", { checkedOn: "2026-10-26" }, [["gpt-6.1-terra", "0.5 > 1", "0.025 > 0.05", "0.625 > 1.25", "2.5 > 3.75"]]),
  ...claudeTokens("batch", { validFrom: "2026-10-14", longContextOver: 200_000, checkedOn: "2026-10-14" }, [
    ["claude-fable-5", "5", "0.5", "6.25", "10", "25"],
    ["claude-fable-5-1", "5", "0.125", "6.25", "10", "25"],
    ["claude-haiku-4-5", "0.5", "0.05", "0.625", "1", "2.5"],
    ["claude-opus-4-5", "2.5", "0.25", "3.125", "5", "12.5"],
    ["claude-opus-4-6", "2.5", "0.25", "3.125", "5", "12.5"],
    ["claude-opus-4-7", "2.5", "0.25", "3.125", "5", "12.5"],
    ["claude-opus-4-8", "2.5", "0.25", "3.125", "5", "12.5"],
    ["claude-opus-5", "2.5", "0.25", "3.125", "5", "12.5"],
    ["claude-opus-5-5", "2", "0.1", "2.5", "4", "10"],
    ["claude-sonnet-4-5", "1.5 > 3", "0.15 > 0.3", "1.875 > 3.75", "3 > 6", "7.5 > 11.25"],
    ["claude-sonnet-4-6", "1.5", "0.15", "1.875", "3", "7.5"],
    ["claude-sonnet-5", "1", "0.1", "1.25", "2", "5"],
    ["claude-sonnet-5-5", "1", "0.05", "1.25", "2", "5"],
  ]),
  ...claudeTokens("batch", { validFrom: "2026-10-14", longContextOver: 100_000, checkedOn: "2026-10-14" }, [
    ["claude-haiku-5-5", "0.05 > 0.25", "0.005 > 0.025", "0.0625 > 0.3125", "0.1 > 0.5", "0.25 > 1.25"],
  ]),
  ...MORE_ROWS,
];

/**
 * Thresholds that the package has one token too low: its data begins the long-context rates at 272,000 input tokens, OpenAI at
 * more than that ("prompts with more than 272K input tokens", https://developers.openai.com/api/docs/models/gpt-5.4, read
 * 2026-10-12).
 */
export const THRESHOLD_CORRECTION = { provider: "openai", packageStart: 271_999, start: 272_000 } as const;

/**
 * Claude models whose tokens cost 1.1 times as much when the answer says `inference_geo: "us"`
 * (https://platform.claude.com/docs/en/manage-claude/data-residency, read 2026-11-24: Opus 4.6, Sonnet 4.6 and later models). Tool fees are not affected. A model that is not named here is unpriced with that answer.
 */
export const US_INFERENCE = {
  provider: "anthropic",
  geo: "us",
  numerator: 11n,
  denominator: 10n,
  models: [
    "claude-opus-4-6",
    "claude-sonnet-4-6",
    "claude-opus-4-7",
    "claude-opus-4-8",
    "claude-fable-5",
    "claude-fable-5-1",
    "claude-fable-5-2",
    "claude-mythos-5",
    "claude-mythos-5-1",
    "claude-mythos-5-2",
    "claude-opus-5",
    "claude-opus-5-5",
    "claude-sonnet-5",
    "claude-sonnet-5-5",
    "claude-haiku-5-5",
  ],
} as const;
