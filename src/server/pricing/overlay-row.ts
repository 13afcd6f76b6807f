import type { UsageUnit } from "@/server/metering/usage";

/**
 * Dollars per million units (tokens, characters, calls) as an exact decimal. `"2.5 > 5"`: the second for calls whose input tokens
 * are more than `longContextOver`.
 */
export type OverlayAmount = string;

/** What the price of a tier's row is for: how fast the provider served. `fast` is Anthropic's `speed: "fast"`. */
export const LIST_TIERS = ["standard", "flex", "priority", "batch", "ultrafast", "fast"] as const;
export type ListTier = (typeof LIST_TIERS)[number];

export type OverlayRow = {
  provider: string;
  /** Canonical name in the book. Where the package does not know it, `names` or `prefix` say what it answers to. */
  model: string;
  /** Exact model names, lower case; each also with a date behind it (`-2026-09-08`, `-20260908`). */
  names?: readonly string[];
  /** What names of this model begin with: fine-tunes carry the names of their owners behind it. */
  prefix?: string;
  tier: ListTier;
  /** UTC date from which calls pay this; absent: always. */
  validFrom?: string;
  /** Added to what the row before says for the same model and tier; a unit named again is replaced. */
  usdPerMillion: Partial<Record<UsageUnit, OverlayAmount>>;
  /** Input tokens a call may have before the second amount applies. */
  longContextOver?: number;
  source: string;
  checkedOn: string;
};

/** A fee that a provider charges for a tool whichever of the models uses it, and in whichever tier and region. */
export type OverlayFee = {
  provider: string;
  unit: UsageUnit;
  /** Canonical names of the models that can use the tool. */
  models: RegExp;
  usdPerMillion: OverlayAmount;
  source: string;
  checkedOn: string;
};

export const OPENAI_PRICING = "https://developers.openai.com/api/docs/pricing";
export const CLAUDE_PRICING = "https://platform.claude.com/docs/en/about-claude/pricing";

/** Fees by the thousand calls, in dollars per million calls like everything here. */
export const TEN_A_THOUSAND = "10000";
export const TWO_AND_A_HALF_A_THOUSAND = "2500";
