import { z } from "zod";
import type { UsageUnit } from "@/server/metering/usage";
import { exactPico, picoToUsdPerMillion } from "./exact-amount";
import { fetchText, type FetchText } from "./fetch-text";
import type { ListPriceBook, ListTier } from "./list-price-book";
import type { Rate } from "./price-book";

/** LiteLLM's list of prices. It is read when somebody asks, and never kept. */
export const LITELLM_PRICES_URL = "https://raw.githubusercontent.com/BerriAI/litellm/main/model_prices_and_context_window.json";

/** Where our list and the second source say different things. Amounts are dollars per million units. */
export type Disagreement = {
  provider: string;
  /** As the second source calls it. */
  model: string;
  tier: ListTier;
  unit: UsageUnit;
  /** For calls of at least so many input tokens. */
  fromInputTokens: number;
  ours: string | null;
  theirs: string;
};
export type CrossCheckReport = {
  url: string;
  /** Figures of both that are equal. */
  agreed: number;
  disagreements: Disagreement[];
  /** Units, tiers and whole models that only the second source prices. */
  missing: Disagreement[];
  unknownModels: string[];
};

const PROVIDER_OF_LITELLM: Readonly<Record<string, string>> = {
  openai: "openai",
  "text-completion-openai": "openai",
  anthropic: "anthropic",
};
const UNIT_OF_KEY: Readonly<Record<string, UsageUnit>> = {
  input_cost_per_token: "input",
  cache_read_input_token_cost: "cached_input",
  cache_creation_input_token_cost: "cache_write_5m",
  cache_creation_input_token_cost_above_1hr: "cache_write_1h",
  cache_creation_input_token_cost_above_12hr: "cache_write_12h",
  output_cost_per_token: "output",
  input_cost_per_audio_token: "audio_input",
  cache_read_input_audio_token_cost: "cached_audio_input",
  output_cost_per_audio_token: "audio_output",
  input_cost_per_image_token: "image_input",
  cache_read_input_image_token_cost: "cached_image_input",
  output_cost_per_image_token: "image_output",
  input_cost_per_character: "input_characters",
};
const TIER_OF_SUFFIX: Readonly<Record<string, ListTier>> = {
  _batches: "batch",
  _flex: "flex",
  _priority: "priority",
  _ultrafast: "ultrafast",
};
const Model = z.looseObject({ litellm_provider: z.string() });

/**
 * Compares the book with a second source, figure by figure. Nothing is changed by it: it names what a person should look at.
 *
 * @throws when the source cannot be read.
 */
export async function crossCheckPrices({
  book,
  atMs,
  fetch = fetchText,
  url = LITELLM_PRICES_URL,
}: {
  book: ListPriceBook;
  atMs: number;
  fetch?: FetchText;
  url?: string;
}): Promise<CrossCheckReport> {
  const models = z.record(z.string(), z.unknown()).parse(JSON.parse(await fetch(url)));
  const report: CrossCheckReport = { url, agreed: 0, disagreements: [], missing: [], unknownModels: [] };
  for (const [name, entry] of Object.entries(models)) {
    const parsed = Model.safeParse(entry);
    const provider = parsed.success ? PROVIDER_OF_LITELLM[parsed.data.litellm_provider] : undefined;
    // Names with a slash are sizes of pictures and the like, not models.
    if (!parsed.success || provider === undefined || name.includes("/")) continue;
    compareModel({ report, book, atMs, provider, name, entry: parsed.data });
  }
  return report;
}

function compareModel({
  report,
  book,
  atMs,
  provider,
  name,
  entry,
}: {
  report: CrossCheckReport;
  book: ListPriceBook;
  atMs: number;
  provider: string;
  name: string;
  entry: Readonly<Record<string, unknown>>;
}): void {
  const query = { provider, model: name, atMs, orgId: "" };
  if (book.findPrice(query) === undefined) {
    report.unknownModels.push(`${provider}/${name}`);
    return;
  }
  for (const [key, value] of Object.entries(entry)) {
    const figure = readKey(key);
    if (!figure || typeof value !== "number") continue;
    const theirs = perMillion(value);
    if (theirs === undefined) continue;
    const price = book.findPrice({ ...query, serviceTier: figure.tier });
    const ours = price && rateAt(price.rates, figure.unit, figure.fromInputTokens);
    // Where we have no surcharge for length, one price stands for all lengths; where they price outputs of zero, nothing is put out.
    if (ours === undefined && value === 0) continue;
    if (ours === theirs) {
      report.agreed += 1;
      continue;
    }
    const { unit, tier, fromInputTokens } = figure;
    const found: Disagreement = {
      provider,
      model: name,
      tier,
      unit,
      fromInputTokens,
      ours: ours === undefined ? null : picoToUsdPerMillion(ours),
      theirs: picoToUsdPerMillion(theirs),
    };
    (ours === undefined ? report.missing : report.disagreements).push(found);
  }
}

function readKey(key: string): { unit: UsageUnit; tier: ListTier; fromInputTokens: number } | undefined {
  const suffix = Object.keys(TIER_OF_SUFFIX).find((each) => key.endsWith(each));
  const bare = suffix === undefined ? key : key.slice(0, -suffix.length);
  const threshold = /^(.*)_above_(\d{1,4})k_tokens$/.exec(bare);
  const unit = UNIT_OF_KEY[threshold?.[1] ?? bare];
  if (unit === undefined) return undefined;
  return {
    unit,
    tier: suffix === undefined ? "standard" : TIER_OF_SUFFIX[suffix]!,
    fromInputTokens: threshold ? Number(threshold[2]) * 1000 + 1 : 0,
  };
}

/** Their dollars a unit carry the noise of binary fractions; ours have six decimals a million, so theirs are read to as many. */
function perMillion(usd: number): ReturnType<typeof exactPico> | undefined {
  const text = (usd * 1_000_000).toFixed(6);
  return Number.isFinite(usd) && usd >= 0 ? exactPico(text, 1_000_000n) : undefined;
}

function rateAt(rates: readonly Rate[], unit: UsageUnit, inputTokens: number) {
  const applying = rates.filter((rate) => rate.unit === unit && rate.fromInputTokens <= inputTokens);
  return applying.toSorted((a, b) => b.fromInputTokens - a.fromInputTokens)[0]?.pico;
}
