/** What one answer of a model can take at most, in tokens. */
export type ModelLimits = {
  /** Input and output of one turn together. */
  contextWindow: number;
  /** Output of one answer when the caller sets no cap. */
  outputTokensMax: number;
  /** Whether the model was found in the table; what is not there gets figures that no model has. */
  known: boolean;
};

/** The day the table was last compared with the pages it names. */
export const LIMITS_CHECKED_ON = "2026-11-24";

type LimitsRow = { model: RegExp; contextWindow: number; outputTokensMax: number; source: string };

const OPENAI = "https://developers.openai.com/api/docs/models";
const CLAUDE = "https://platform.claude.com/docs/en/about-claude/models/overview";

const row = (model: RegExp, contextWindow: number, outputTokensMax: number, source: string): LimitsRow => ({
  model,
  contextWindow,
  outputTokensMax,
  source,
});

/**
 * The first row that matches decides. A window that a beta header widens stands in its wide form, because a header can be sent
 * at any time and a figure that is too large only holds too much.
 */
const ROWS: Readonly<Record<"openai" | "anthropic", readonly LimitsRow[]>> = {
  openai: [
    row(/^gpt-(?:5\.6|6|6\.1)(?:-|$)/, 1_050_000, 128_000, `${OPENAI}/gpt-6.1-sol`),
    row(/^gpt-5\.[45]-(?:mini|nano)/, 400_000, 128_000, `${OPENAI}/gpt-5.4-mini`),
    row(/^gpt-5\.[45](?:-|$)/, 1_050_000, 128_000, `${OPENAI}/gpt-5.4`),
    row(/^gpt-5-pro/, 400_000, 272_000, `${OPENAI}/gpt-5-pro`),
    row(/^gpt-5(?:\.[123])?-chat/, 128_000, 16_384, `${OPENAI}/gpt-5-chat-latest`),
    row(/^gpt-5(?:\.[123])?(?:-|$)/, 400_000, 128_000, `${OPENAI}/gpt-5`),
    row(/^gpt-4\.1/, 1_047_576, 32_768, `${OPENAI}/gpt-4.1`),
    row(/^gpt-4o(?:-mini)?-transcribe/, 16_000, 2_000, `${OPENAI}/gpt-4o-transcribe`),
    row(/^(?:chatgpt-4o|gpt-4o|gpt-audio)/, 128_000, 16_384, `${OPENAI}/gpt-4o`),
    row(/^gpt-4-(?:turbo|1106|0125|vision)/, 128_000, 4_096, `${OPENAI}/gpt-4-turbo`),
    row(/^gpt-4-32k/, 32_768, 32_768, `${OPENAI}/gpt-4`),
    row(/^gpt-4(?:-\d{4})?$/, 8_192, 8_192, `${OPENAI}/gpt-4`),
    row(/^gpt-3\.5/, 16_385, 4_096, `${OPENAI}/gpt-3.5-turbo`),
    row(/^gpt-oss/, 131_072, 131_072, `${OPENAI}/gpt-oss-120b`),
    row(/^(?:o1|o3|o4)(?:-|$)/, 200_000, 100_000, `${OPENAI}/o3`),
    row(/^codex-mini/, 200_000, 100_000, `${OPENAI}/codex-mini-latest`),
    row(/^computer-use/, 8_192, 1_024, `${OPENAI}/computer-use-preview`),
    row(/^(?:babbage|davinci)-002/, 16_384, 16_384, `${OPENAI}/davinci-002`),
  ],
  anthropic: [
    row(/^claude-(?:fable|mythos)/, 1_000_000, 128_000, CLAUDE),
    row(/^claude-(?:opus|sonnet|haiku)-5/, 1_000_000, 128_000, CLAUDE),
    row(/^claude-opus-4-[678]/, 1_000_000, 128_000, CLAUDE),
    row(/^claude-sonnet-4-6/, 1_000_000, 128_000, CLAUDE),
    row(/^claude-sonnet-4/, 1_000_000, 64_000, CLAUDE),
    row(/^claude-(?:opus|haiku)-4-5/, 200_000, 64_000, CLAUDE),
    row(/^claude-opus-4/, 200_000, 32_000, CLAUDE),
    row(/^claude-3-7/, 200_000, 128_000, CLAUDE),
    row(/^claude-3-5/, 200_000, 8_192, CLAUDE),
    row(/^claude-3/, 200_000, 4_096, CLAUDE),
  ],
};

/** Twice the widest window and more output than any model of the table has. */
const UNKNOWN: ModelLimits = { contextWindow: 2_100_000, outputTokensMax: 400_000, known: false };

/** Callers choose model names, so what is remembered is bounded. */
const NAMES_MAX = 1000;
const remembered = { openai: new Map<string, ModelLimits>(), anthropic: new Map<string, ModelLimits>() };

/** @param model as the caller names it, with or without a fine-tune's or a vendor's prefix. */
export function limitsOfModel(dialect: "openai" | "anthropic", model: string | undefined): ModelLimits {
  if (model === undefined) return UNKNOWN;
  const names = remembered[dialect];
  const known = names.get(model);
  if (known) return known;
  const name = bareModelName(model);
  const found = ROWS[dialect].find((entry) => entry.model.test(name));
  const limits = found ? { contextWindow: found.contextWindow, outputTokensMax: found.outputTokensMax, known: true } : UNKNOWN;
  if (names.size >= NAMES_MAX) names.clear();
  names.set(model, limits);
  return limits;
}

/** `ft:gpt-4o-mini-2024-07-18:org::id` and `openai/gpt-4o-mini` are both models of the family gpt-4o-mini. */
export function bareModelName(model: string): string {
  const lower = model.toLowerCase().trim();
  const unprefixed = lower.startsWith("ft:") ? lower.slice(3).split(":", 1)[0]! : lower.slice(lower.lastIndexOf("/") + 1);
  return unprefixed.replace(/^claude-(\w+)-(\d+)\.(\d+)/, "claude-$1-$2-$3");
}

/** Claude models that do not think unless they are told to; all later ones do (https://platform.claude.com/docs/en/build-with-claude/adaptive-thinking). */
const CLAUDE_SILENT_BY_DEFAULT = /^claude-(?:instant|v?[12](?:[.-]|$)|3|(?:opus|sonnet|haiku)-4)/;
export const thinksByDefault = (model: string | undefined): boolean =>
  model === undefined || !CLAUDE_SILENT_BY_DEFAULT.test(bareModelName(model));

/** Models that search the web on every call (https://developers.openai.com/api/docs/guides/tools-web-search). */
export const searchesAlways = (model: string | undefined): boolean =>
  model !== undefined && /-search-(?:preview|api)/.test(model.toLowerCase());

/**
 * The most input tokens a picture takes, whatever its size: it is not fetched or decoded here, and providers scale it down first.
 * Claude: 28 × 28 patches, at most 4,784 of them
 * (https://platform.claude.com/docs/en/build-with-claude/vision). OpenAI: tiles or patches by model
 * (https://developers.openai.com/api/docs/guides/images-vision): gpt-4o-mini 2,833 + 8 tiles of 5,667; other models up to GPT-5.3 at
 * most 1,536 patches times 2.46; later ones up to 10,000 patches times 1.62. Rounded up, and never below what a settlement counts
 * for a picture when the provider tells no usage.
 */
export function pictureTokensMax(dialect: "openai" | "anthropic", model: string | undefined, detail: unknown): number {
  if (dialect === "anthropic") return 5_000;
  const name = model === undefined ? "" : bareModelName(model);
  if (name.startsWith("gpt-4o-mini")) return detail === "low" ? 5_000 : 48_200;
  if (detail === "low" || /^(?:gpt-4|chatgpt-4o|o[134]|gpt-5(?:\.[123])?(?:-|$)|codex|computer-use)/.test(name)) return 5_000;
  return 16_500;
}

/**
 * Output tokens of one generated picture (https://developers.openai.com/api/docs/guides/image-generation): fixed by size and quality up to
 * GPT Image 1.5; from GPT Image 2 on by area, with a factor for the quality that is squared for a square picture, which is the
 * dearest shape.
 */
export function generatedPictureTokensMax(input: { model: string | undefined; quality: unknown; size: unknown }): number {
  const name = input.model === undefined ? "" : bareModelName(input.model);
  const quality = input.quality === "low" || input.quality === "medium" ? input.quality : "high";
  if (/^gpt-image-1(?:[.-]|$)/.test(name)) return { low: 408, medium: 1_584, high: 6_240 }[quality];
  const factor = { low: 16, medium: 48, high: 96 }[quality];
  const pixels = pixelsOf(input.size) ?? LARGEST_PICTURE_PIXELS;
  return Math.ceil((factor * factor * (2_000_000 + pixels)) / 4_000_000);
}

const LARGEST_PICTURE_PIXELS = 8_294_400;

function pixelsOf(size: unknown): number | undefined {
  const match = typeof size === "string" ? /^(\d{1,5})x(\d{1,5})$/.exec(size) : null;
  return match ? Number(match[1]) * Number(match[2]) : undefined;
}

/** Each preview of a picture that is streamed. */
export const PARTIAL_PICTURE_TOKENS = 100;
/** A picture that is edited: its tiles, and its details kept at high fidelity, rounded up. */
export const EDITED_PICTURE_TOKENS = 10_000;
