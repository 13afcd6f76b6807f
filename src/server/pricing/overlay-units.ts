import type { UsageUnit } from "@/server/metering/usage";
import { CLAUDE_PRICING, OPENAI_PRICING, TEN_A_THOUSAND, TWO_AND_A_HALF_A_THOUSAND, type OverlayFee, type OverlayRow } from "./overlay-row";

// Read on 2026-11-24. Where the provider's page could not be opened itself, its figures were taken down as two price lists that name
// the page as their source record them alike: genai-prices for Python (0.2.3, MIT) and LiteLLM's (1.109.1, MIT).
const CHECKED_ON = "2026-11-24";

const openaiModelPage = (model: string): string => `https://developers.openai.com/api/docs/models/${model}`;

/** Long context begins where the package's and the older rows' does. */
const LONG = 272_000;

/** What the package says otherwise than the provider's page, or not at all. */
const OPENAI_UNITS: readonly OverlayRow[] = [
  // The page prices heard sound as the text of these models; the package still has the rates of 2025 ($6 and $3).
  ...(
    [
      ["gpt-4o-transcribe", "2.5"],
      ["gpt-4o-mini-transcribe", "1.25"],
    ] as const
  ).map(([model, amount]) => openaiUnits(model, { audio_input: amount }, openaiModelPage(model))),
  openaiUnits("gpt-4o-audio-preview", { audio_input: "40", audio_output: "80" }, openaiModelPage("gpt-4o-audio-preview")),
  openaiUnits("gpt-4o-mini-audio-preview", { audio_input: "10", audio_output: "20" }, openaiModelPage("gpt-4o-mini-audio-preview")),
  openaiUnits("ft:gpt-4o", { cached_input: "1.875" }),
  openaiUnits("ft:gpt-4o-mini", { cached_input: "0.15" }),
];

function openaiUnits(model: string, usdPerMillion: OverlayRow["usdPerMillion"], source = OPENAI_PRICING): OverlayRow {
  return { provider: "openai", model, tier: "standard", usdPerMillion, source, checkedOn: CHECKED_ON };
}

/** Cache entries that live twelve hours, by model: standard; flex and batch, which cost the same; priority. */
const TWELVE_HOUR_WRITES: readonly (readonly [model: string, standard: string, half: string, priority: string])[] = [
  ["gpt-5.6-luna", "0.5 > 1", "0.25 > 0.5", "1 > 2"],
  ["gpt-5.6-sol", "10 > 20", "5 > 10", "20 > 40"],
  ["gpt-5.6-terra", "5 > 10", "2.5 > 5", "10 > 20"],
  ["gpt-6-astra", "25 > 50", "12.5 > 25", "50 > 100"],
  ["gpt-6-luna", "0.25 > 0.5", "0.125 > 0.25", "0.5 > 1"],
  ["gpt-6-sol", "5 > 10", "2.5 > 5", "10 > 20"],
  ["gpt-6.1-sol", "5 > 10", "2.5 > 5", "10 > 20"],
  ["gpt-6.1-terra", "2.5 > 5", "1.25 > 2.5", "5 > 10"],
];

const twelveHourWrites: readonly OverlayRow[] = TWELVE_HOUR_WRITES.flatMap(([model, standard, half, priority]) =>
  (
    [
      ["standard", standard],
      ["flex", half],
      ["batch", half],
      ["priority", priority],
    ] as const
  ).map(([tier, amount]): OverlayRow => ({
    provider: "openai",
    model,
    tier,
    // The rows they add to begin earlier; without a date these would too, which prices no call that there was.
    ...(tier !== "standard" && { validFrom: CHECKED_ON }),
    usdPerMillion: { cache_write_12h: amount },
    longContextOver: LONG,
    source: OPENAI_PRICING,
    checkedOn: CHECKED_ON,
  })),
);

/** Ultrafast costs six times the standard (https://developers.openai.com/api/docs/guides/ultrafast-mode); written out, like all rates. */
const ULTRAFAST: readonly OverlayRow[] = (
  [
    ["gpt-6-astra", "60 > 120", "6 > 12", "75 > 150", "150 > 300", "300 > 450"],
    ["gpt-6.1-sol", "12 > 24", "0.6 > 1.2", "15 > 30", "30 > 60", "60 > 90"],
  ] as const
).map(([model, input, cached, write, write12h, output]) => ({
  provider: "openai",
  model,
  tier: "ultrafast",
  usdPerMillion: { input, cached_input: cached, cache_write_5m: write, cache_write_12h: write12h, output },
  longContextOver: LONG,
  source: OPENAI_PRICING,
  checkedOn: CHECKED_ON,
}));

const OPENAI_TIERS: readonly OverlayRow[] = [
  // Batch, and flex at batch rates (https://developers.openai.com/api/docs/guides/flex-processing), have the long-context rates too.
  ...(["batch", "flex"] as const).map((tier): OverlayRow => ({
    provider: "openai",
    model: "gpt-5.5-pro",
    tier,
    validFrom: CHECKED_ON,
    usdPerMillion: { input: "15 > 30", output: "90 > 135" },
    longContextOver: LONG,
    source: OPENAI_PRICING,
    checkedOn: CHECKED_ON,
  })),
  ...(
    [
      ["text-embedding-3-small", { input: "0.01" }],
      ["text-embedding-3-large", { input: "0.065" }],
      ["text-embedding-ada-002", { input: "0.05" }],
      ["babbage-002", { input: "0.2", output: "0.2" }],
      ["davinci-002", { input: "1", output: "1" }],
    ] as const
  ).map(([model, usdPerMillion]): OverlayRow => ({
    provider: "openai",
    model,
    tier: "batch",
    usdPerMillion,
    source: OPENAI_PRICING,
    checkedOn: CHECKED_ON,
  })),
];

/** Model, names beside its own, input, cached input, cache write, output. */
type OpenaiModel = readonly [model: string, names: readonly string[], string, string | null, string | null, string];

const OPENAI_MODELS: readonly OverlayRow[] = [
  ...(
    [
      ["gpt-5.5-cyber", ["gpt-5.5-cyber-preview"], "12.5", "1.25", null, "75"],
      ["gpt-rosalind-discovery", [], "5", "0.5", null, "25"],
      ["gpt-rosalind-research", [], "5", "0.5", null, "25"],
    ] satisfies OpenaiModel[]
  ).map(openaiModel),
  {
    ...openaiModel(["gpt-6-rosalind", [], "15 > 30", "1.5 > 3", "18.75 > 37.5", "75 > 112.5"]),
    longContextOver: LONG,
  },
  {
    ...openaiUnits("gpt-6-rosalind", { cache_write_12h: "37.5 > 75" }),
    longContextOver: LONG,
  },
  ...(
    [
      ["ft:gpt-4.1", "ft:gpt-4.1-2025-04-14:", "3", "0.75", "12"],
      ["ft:gpt-4.1-mini", "ft:gpt-4.1-mini-2025-04-14:", "0.8", "0.2", "3.2"],
      ["ft:gpt-4.1-nano", "ft:gpt-4.1-nano-2025-04-14:", "0.2", "0.05", "0.8"],
      ["ft:o4-mini", "ft:o4-mini-2025-04-16:", "4", "1", "16"],
    ] as const
  ).map(([model, prefix, input, cached, output]): OverlayRow => ({
    provider: "openai",
    model,
    prefix,
    tier: "standard",
    usdPerMillion: { input, cached_input: cached, output },
    source: OPENAI_PRICING,
    checkedOn: CHECKED_ON,
  })),
  ...(
    [
      ["ft:babbage-002", "ft:babbage-002:", "1.6"],
      ["ft:davinci-002", "ft:davinci-002:", "12"],
    ] as const
  ).map(([model, prefix, amount]): OverlayRow => ({
    provider: "openai",
    model,
    prefix,
    tier: "standard",
    usdPerMillion: { input: amount, output: amount },
    source: OPENAI_PRICING,
    checkedOn: CHECKED_ON,
  })),
  // Names of models that the package has.
  ...(
    [
      ["gpt-chat-latest", ["chat-latest"]],
      ["gpt-4o-mini-transcribe", ["gpt-4o-mini-transcribe"]],
      ["gpt-4o-mini-tts", ["gpt-4o-mini-tts"]],
    ] as const
  ).map(([model, names]): OverlayRow => ({
    provider: "openai",
    model,
    names,
    tier: "standard",
    usdPerMillion: {},
    source: OPENAI_PRICING,
    checkedOn: CHECKED_ON,
  })),
];

function openaiModel([model, names, input, cached, write, output]: OpenaiModel): OverlayRow {
  return {
    provider: "openai",
    model,
    names: [model, ...names],
    tier: "standard",
    usdPerMillion: {
      input,
      ...(cached !== null && { cached_input: cached }),
      ...(write !== null && { cache_write_5m: write }),
      output,
    },
    source: OPENAI_PRICING,
    checkedOn: CHECKED_ON,
  };
}

/** Model, input, cache read, 5-minute write, 1-hour write, output. */
type ClaudeTokens = readonly [string, string, string, string, string, string];

const claude = (tier: OverlayRow["tier"], source: string, named: boolean, table: readonly ClaudeTokens[]): OverlayRow[] =>
  table.map(([model, input, cacheRead, write5m, write1h, output]) => ({
    provider: "anthropic",
    model,
    ...(named && { names: [model, model.replace(/-(\d)-(\d)$/, "-$1.$2")] }),
    tier,
    usdPerMillion: {
      input,
      cached_input: cacheRead,
      cache_write_5m: write5m,
      cache_write_1h: write1h,
      output,
      ...(tier === "standard" && { web_search: TEN_A_THOUSAND }),
    },
    source,
    checkedOn: CHECKED_ON,
  }));

const CLAUDE: readonly OverlayRow[] = [
  ...claude("standard", `${CLAUDE_PRICING}#model-pricing`, true, [
    ["claude-fable-5-2", "8", "0.2", "10", "16", "40"],
    ["claude-mythos-5-2", "8", "0.2", "10", "16", "40"],
    ["claude-mythos-5-1", "10", "0.25", "12.5", "20", "50"],
    ["claude-mythos-5", "10", "1", "12.5", "20", "50"],
  ]),
  ...claude("batch", `${CLAUDE_PRICING}#batch-processing`, false, [
    ["claude-fable-5-2", "4", "0.1", "5", "8", "20"],
    ["claude-mythos-5-2", "4", "0.1", "5", "8", "20"],
    ["claude-mythos-5-1", "5", "0.125", "6.25", "10", "25"],
    ["claude-mythos-5", "5", "0.5", "6.25", "10", "25"],
  ]),
  // Caching multiplies what fast mode costs as it does the standard rates. Fable 5.2 has a fast mode whose price we found nowhere.
  ...claude("fast", "https://platform.claude.com/docs/en/build-with-claude/fast-mode", false, [
    ["claude-opus-5-5", "8", "0.4", "10", "16", "40"],
    ["claude-opus-5", "10", "1", "12.5", "20", "50"],
    ["claude-opus-4-8", "10", "1", "12.5", "20", "50"],
  ]),
];

export const MORE_ROWS: readonly OverlayRow[] = [
  ...OPENAI_UNITS,
  ...OPENAI_MODELS,
  ...twelveHourWrites,
  ...ULTRAFAST,
  ...OPENAI_TIERS,
  ...CLAUDE,
];

/** Models that read and write text and can run OpenAI's tools in the Responses API. */
const OPENAI_WITH_TOOLS =
  /^(?:gpt-4o(?:-mini|-2024-05-13)?|gpt-4\.1(?:-mini|-nano)?|gpt-[56](?:\.\d)?(?:-[a-z]+)*|o[34](?:-mini|-pro)?(?:-deep-research)?)$/;
/** Of those the ones that think. */
const OPENAI_THINKING_WITH_TOOLS = /^(?:gpt-[56](?:\.\d)?(?:-[a-z]+)*|o[34](?:-mini|-pro)?(?:-deep-research)?)$/;
const OPENAI_NOT_THINKING_WITH_TOOLS = /^(?:gpt-4o(?:-mini|-2024-05-13)?|gpt-4\.1(?:-mini|-nano)?)$/;
const EVERY_CLAUDE = /^claude-/;

/**
 * Tools. A container of OpenAI costs by the minute it runs, at least five minutes of it, and answers do not tell how long it ran or
 * whether an earlier call paid for it: what stands here is its whole session of 20 minutes, which the receipt calls a bound.
 *
 * Anthropic's code runs cost nothing within an organisation's 1,550 container hours a month, nor beside its search tools; what runs
 * beyond that ($0.05 an hour) is billed to the organisation by the month and told by no answer, so it is in no receipt.
 */
export const FEES: readonly OverlayFee[] = [
  ...(
    [
      ["web_search", TEN_A_THOUSAND, OPENAI_WITH_TOOLS],
      ["web_search_preview", TEN_A_THOUSAND, OPENAI_THINKING_WITH_TOOLS],
      ["web_search_preview", "25000", OPENAI_NOT_THINKING_WITH_TOOLS],
      // These answer after one search of the older kind, which they always make.
      ["web_search_preview", "25000", /^gpt-4o(?:-mini)?-search-preview$/],
      ["file_search", TWO_AND_A_HALF_A_THOUSAND, OPENAI_WITH_TOOLS],
      ["container_1g", "30000", OPENAI_WITH_TOOLS],
      ["container_4g", "120000", OPENAI_WITH_TOOLS],
      ["container_16g", "480000", OPENAI_WITH_TOOLS],
      ["container_64g", "1920000", OPENAI_WITH_TOOLS],
    ] satisfies (readonly [UsageUnit, string, RegExp])[]
  ).map(([unit, usdPerMillion, models]): OverlayFee => ({
    provider: "openai",
    unit,
    models,
    usdPerMillion,
    source: `${OPENAI_PRICING}#built-in-tools`,
    checkedOn: CHECKED_ON,
  })),
  {
    provider: "anthropic",
    unit: "code_execution",
    models: EVERY_CLAUDE,
    usdPerMillion: "0",
    source: "https://platform.claude.com/docs/en/agents-and-tools/tool-use/code-execution-tool#usage-and-pricing",
    checkedOn: CHECKED_ON,
  },
];

/**
 * OpenAI's regional endpoints: tokens cost 1.1 times as much for models released on or after 2026-03-05, and the same for those
 * before (https://developers.openai.com/api/docs/guides/data-residency, read 2026-11-24). Fees of tools are not affected. A later
 * model that is not named here is unpriced there.
 */
export const OPENAI_REGIONS = {
  upliftedModels: new Set([
    "gpt-5.4",
    "gpt-5.4-mini",
    "gpt-5.4-nano",
    "gpt-5.4-pro",
    "gpt-5.5",
    "gpt-5.5-pro",
    "gpt-5.6-luna",
    "gpt-5.6-sol",
    "gpt-5.6-terra",
    "gpt-6-astra",
    "gpt-6-luna",
    "gpt-6-rosalind",
    "gpt-6-sol",
    "gpt-6.1-sol",
    "gpt-6.1-terra",
  ]),
  olderModels:
    /^(?:ft:)?(?:gpt-3\.5|gpt-4|chatgpt-4o|gpt-5(?:-(?:mini|nano|pro|search-api))?$|gpt-5\.[123](?:$|-)|o[134]|gpt-audio|gpt-image-1|text-embedding|whisper|tts|babbage|davinci|moderation)/,
} as const;
