import { isObject } from "@/server/metering/json-scanner";
import { UsageFields, decimalOfUnits, decimalText, sumOfDecimals } from "@/server/metering/usage-fields";
import type { UsageQuantities } from "@/server/metering/usage";

/** What the tokens of an endpoint are where the usage does not say: text, the sound that is heard or spoken, or pictures. */
export type OpenaiUsageKind = "text" | "embeddings" | "images" | "transcription" | "speech";

export type ReadUsage =
  | { ok: true; quantities: UsageQuantities; unknownUnits: string[]; reportedCostUsd?: string }
  /** `unreadable` is empty when the object tells no usage at all. */
  | { ok: false; unreadable: string[] };

/**
 * Figures that repeat or explain others: totals, what became of predicted tokens (all of them are output), the text share of
 * what is told by kind, and durations of the work itself.
 */
const INFORMATIONAL: ReadonlySet<string> = new Set([
  "total_tokens",
  "completion_tokens_details.accepted_prediction_tokens",
  "completion_tokens_details.rejected_prediction_tokens",
  "output_tokens_details.accepted_prediction_tokens",
  "output_tokens_details.rejected_prediction_tokens",
  ...[
    "prompt_tokens_details",
    "completion_tokens_details",
    "input_tokens_details",
    "input_token_details",
    "output_tokens_details",
    "output_token_details",
  ].map((details) => `${details}.text_tokens`),
  // Models that read pictures as text charge for both alike.
  "prompt_tokens_details.image_tokens",
  "input_tokens_details.image_tokens",
  "input_tokens_details.cached_tokens_details.text_tokens",
  "prompt_tokens_details.cached_tokens_details.text_tokens",
  "input_tokens_details.cache_write_tokens_details.ttl_30m_tokens",
  "prompt_tokens_details.cache_write_tokens_details.ttl_30m_tokens",
  // DeepSeek tells the rest of the prompt as well as the cached part.
  "prompt_cache_miss_tokens",
  // Others' own: times of the work, and what they say it cost.
  "queue_time",
  "prompt_time",
  "completion_time",
  "total_time",
  "cost",
  "cost_details",
  "cost_in_usd_ticks",
]);

/**
 * OpenAI's usage in disjoint units. Cached, written to the cache and audio tokens are parts of the input; reasoning and audio
 * tokens are parts of the output (https://platform.openai.com/docs/api-reference/chat/object, …/responses/object).
 */
export function readOpenaiUsage(usage: Record<string, unknown>, kind: OpenaiUsageKind): ReadUsage {
  const fields = new UsageFields(usage);
  if (fields.text("type") === "duration") return readDuration(fields);
  const first = (...paths: string[][]): number | undefined => {
    for (const path of paths) {
      const count = fields.count(...path);
      if (count !== undefined) return count;
    }
    return undefined;
  };
  const inInput = (name: string): number =>
    first(["prompt_tokens_details", name], ["input_tokens_details", name], ["input_token_details", name]) ?? 0;
  const inOutput = (name: string): number | undefined =>
    first(["completion_tokens_details", name], ["output_tokens_details", name], ["output_token_details", name]);

  const input = first(["prompt_tokens"], ["input_tokens"]);
  const output = first(["completion_tokens"], ["output_tokens"]) ?? (kind === "embeddings" ? 0 : undefined);
  const total = first(["total_tokens"]);
  const cached = inInput("cached_tokens") || (first(["prompt_cache_hit_tokens"], ["cached_tokens"]) ?? 0);
  const audioInput = inInput("audio_tokens");
  const imageInput = kind === "images" ? inInput("image_tokens") : 0;
  const cachedDetails = (name: string): number =>
    first(["prompt_tokens_details", "cached_tokens_details", name], ["input_tokens_details", "cached_tokens_details", name]) ?? 0;
  const cachedAudioTold = cachedDetails("audio_tokens");
  const cachedImageTold = kind === "images" ? cachedDetails("image_tokens") : 0;
  const written = inInput("cache_write_tokens");
  const writtenFor12h =
    first(
      ["prompt_tokens_details", "cache_write_tokens_details", "ttl_12h_tokens"],
      ["input_tokens_details", "cache_write_tokens_details", "ttl_12h_tokens"],
    ) ?? 0;
  const reasoning = inOutput("reasoning_tokens") ?? 0;
  const audioOutput = inOutput("audio_tokens") ?? 0;
  const imageOutput = inOutput("image_tokens");
  const textOutput = inOutput("text_tokens");

  if (fields.unreadable.length > 0) return { ok: false, unreadable: fields.unreadable };
  if (input === undefined || output === undefined) return { ok: false, unreadable: [] };

  // Cached sound is told twice, as cached and as audio; where the two do not fit side by side they must overlap.
  const cachedAudio = Math.min(audioInput, cached, Math.max(cachedAudioTold, cached + audioInput + imageInput - input));
  const cachedImage = Math.min(
    imageInput,
    cached - cachedAudio,
    Math.max(cachedImageTold, cached + audioInput + imageInput - cachedAudio - input),
  );
  const freshInput = input - cached - (audioInput - cachedAudio) - (imageInput - cachedImage);
  if (freshInput < 0) return { ok: false, unreadable: ["cached_tokens"] };
  // "Unadjusted": it may count a little that was read from the cache as well.
  const cacheWrite = Math.min(Math.max(written, writtenFor12h), freshInput);
  const cacheWrite12h = Math.min(writtenFor12h, cacheWrite);

  // xAI and others tell reasoning beside the output, not inside it; their total shows it.
  const isReasoningApart = reasoning > 0 && total !== undefined && total === input + output + reasoning;
  const allOutput = isReasoningApart ? output + reasoning : output;
  const pictures = imageOutput ?? (kind === "images" ? output - Math.min(output, textOutput ?? 0) : 0);
  const sound = kind === "speech" ? output : audioOutput;
  const visibleOutput = allOutput - reasoning - sound - pictures;
  if (visibleOutput < 0) return { ok: false, unreadable: ["reasoning_tokens"] };

  const quantities: UsageQuantities = { input: freshInput - cacheWrite, output: visibleOutput };
  addUsed(quantities, {
    cached_input: cached - cachedAudio - cachedImage,
    // OpenAI's usual lifetime is half an hour; it stands under the name of the shortest.
    cache_write_5m: cacheWrite - cacheWrite12h,
    cache_write_12h: cacheWrite12h,
    audio_input: audioInput - cachedAudio,
    cached_audio_input: cachedAudio,
    image_input: imageInput - cachedImage,
    cached_image_input: cachedImage,
    reasoning,
    audio_output: sound,
    image_output: pictures,
  });
  const reportedCostUsd = costTold(usage);
  return {
    ok: true,
    quantities,
    unknownUnits: fields.unknownUnits(INFORMATIONAL),
    ...(reportedCostUsd === undefined ? {} : { reportedCostUsd }),
  };
}

/**
 * What the answer says the call cost, in dollars, in the words of those who say it. Whether they are believed is decided where
 * prices are (`pricing`), by the upstream's name: here it is only read.
 */
function costTold(usage: Record<string, unknown>): string | undefined {
  // xAI: https://docs.x.ai/developers/cost-tracking
  const ticks = usage["cost_in_usd_ticks"];
  if (typeof ticks === "number") return decimalOfUnits(ticks, USD_TICK_PLACES);
  const { cost } = usage;
  // Perplexity tells the parts of the cost and their total.
  if (isObject(cost)) return typeof cost["total_cost"] === "number" ? decimalText(cost["total_cost"]) : undefined;
  const own = typeof cost === "number" ? decimalText(cost) : undefined;
  if (own === undefined || usage["is_byok"] !== true) return own;
  // OpenRouter with a key of the caller's own at the provider: what the provider bills comes beside OpenRouter's fee.
  const upstream = isObject(usage["cost_details"]) ? usage["cost_details"]["upstream_inference_cost"] : undefined;
  const upstreamText = typeof upstream === "number" ? decimalText(upstream) : undefined;
  return upstreamText === undefined ? undefined : sumOfDecimals(own, upstreamText);
}

const USD_TICK_PLACES = 10;

/** Whisper is billed by the time that was heard. */
function readDuration(fields: UsageFields): ReadUsage {
  const seconds = fields.amount("seconds");
  if (seconds === undefined) return { ok: false, unreadable: fields.unreadable };
  return { ok: true, quantities: { input_seconds: seconds }, unknownUnits: fields.unknownUnits(INFORMATIONAL) };
}

function addUsed(quantities: UsageQuantities, used: UsageQuantities): void {
  for (const [unit, quantity] of Object.entries(used)) {
    if (quantity > 0) quantities[unit as keyof UsageQuantities] = quantity;
  }
}
