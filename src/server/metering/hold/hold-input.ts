import type { ModelPrice, PriceQuery } from "@/server/pricing/price-book";
import type { DearestPriceQuery } from "@/server/pricing/dearest-price";

/** What the gateway has read of the request; its `RequestFacts` fit. */
export type HoldFacts = {
  model?: string;
  stream: boolean;
  serviceTier?: string;
  choices: number;
  thinksUnseen: boolean;
  background: boolean;
  speed?: string;
  inferenceGeo?: string;
  inputCharacters?: number;
};

export type HoldInput = {
  /** Whose API the call speaks. */
  dialect: "openai" | "anthropic";
  /** Whose prices apply: the provider's name, or that of an allow-listed upstream. */
  provider: string;
  method: string;
  endpoint: { class: "priced" | "free" | "deferred" | "other"; name: string; body: "json" | "multipart" | "none" };
  /** As read, with its nesting checked; undefined where there is none, or where it passes unread. */
  body: Uint8Array | undefined;
  facts: HoldFacts;
  orgId: string;
  /** Unix ms of the call's start. */
  atMs: number;
  findPrice(query: PriceQuery): ModelPrice | undefined;
  /** For what has no price of its own. */
  findDearestPrice(query: DearestPriceQuery): ModelPrice | undefined;
  /**
   * What a request leaves to the provider's account settings is decided there, out of our sight, so all that may be meant is
   * priced. A caller that knows its account can narrow it.
   */
  unsaid?: Unsaid;
};

export type Unsaid = {
  /** OpenAI: tiers that no `service_tier`, or `auto`, may mean. */
  serviceTiers: readonly string[];
  /** Anthropic: data regions that no `inference_geo` may mean. */
  inferenceGeos: readonly string[];
};

/** A project can have priority processing, and a workspace a data region, as its default. */
export const ANYTHING_UNSAID: Unsaid = { serviceTiers: ["default", "priority"], inferenceGeos: ["global", "us"] };
