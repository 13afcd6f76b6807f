import { ZERO_NANO } from "@/lib/money";
import {
  type UsageQuantities,
  cacheWriteTokensTotal,
  cachedTokensTotal,
  countTokens,
  estimateInputTokens,
  inputTokensTotal,
  limitsOfModel,
  outputTokensTotal,
} from "@/server/metering";
import type { CostEventRecord } from "@/server/events";
import type { KeyIdentity } from "@/server/api-key";
import { type OverrideStore, type PriceBook, priceUsage } from "@/server/pricing";
import type { Endpoint, Metered, ProviderName, RequestFacts } from "./providers";

/** The money part of a cost event. */
export type PricedCall = Pick<
  CostEventRecord,
  | "inputTokens"
  | "outputTokens"
  | "cachedInputTokens"
  | "cacheWriteTokens"
  | "reasoningTokens"
  | "costNano"
  | "chargedNano"
  | "costBasis"
  | "costBreakdown"
  | "lines"
  | "priceVersion"
>;

/** Nothing was used: refused by us or by the provider. */
export const UNCHARGED: PricedCall = {
  inputTokens: null,
  outputTokens: null,
  cachedInputTokens: null,
  cacheWriteTokens: null,
  reasoningTokens: null,
  costNano: ZERO_NANO,
  chargedNano: ZERO_NANO,
  costBasis: "reported",
  costBreakdown: null,
  lines: null,
  priceVersion: null,
};

export type CallToPrice = {
  orgId: string;
  configVersion: bigint;
  provider: string;
  /** The protocol spoken there. */
  dialect: ProviderName;
  endpoint: Endpoint;
  method: string;
  facts: RequestFacts | undefined;
  requestBody: Buffer | undefined;
  /** Undefined: no answer with a readable body came. */
  metered: Metered | undefined;
  callerLeft: boolean;
  startedAtMs: number;
};

export interface CallPricing {
  /** Loads the organisation's price overrides unless they are at hand. */
  prepare(identity: KeyIdentity): Promise<void> | undefined;
  /** What a forwarded call that was not answered with an error costs. */
  price(call: CallToPrice): PricedCall | Promise<PricedCall>;
}

export function createCallPricing(input: { priceBook: PriceBook; overrides: OverrideStore }): CallPricing {
  const { priceBook, overrides } = input;

  const priced = (call: CallToPrice, quantities: UsageQuantities, basis: "reported" | "counted" | "bounded"): PricedCall => {
    const { facts, metered } = call;
    const usage = metered?.usage;
    const cost = priceUsage({
      book: priceBook,
      query: {
        provider: call.provider,
        requestedModel: facts?.model,
        serviceTier: usage?.serviceTier ?? metered?.serviceTier,
        speed: usage?.speed,
        inferenceGeo: usage?.inferenceGeo,
        atMs: call.startedAtMs,
        orgId: call.orgId,
      },
      // What served decides; a name that the book does not know at all is priced as what was asked.
      models: [usage?.model ?? metered?.model, facts?.model],
      usage: { ...usage, quantities },
      isWhole: basis === "reported",
    });
    const tokens = {
      inputTokens: inputTokensTotal(quantities),
      outputTokens: outputTokensTotal(quantities),
      cachedInputTokens: cachedTokensTotal(quantities),
      cacheWriteTokens: cacheWriteTokensTotal(quantities),
      reasoningTokens: quantities.reasoning ?? 0,
    };
    if (!cost.priced) {
      return {
        ...tokens,
        costNano: null,
        chargedNano: ZERO_NANO,
        costBasis: "unpriced",
        costBreakdown: null,
        lines: null,
        priceVersion: null,
      };
    }
    const { receipt, isUpperBound } = cost;
    return {
      ...tokens,
      costNano: receipt.cost,
      chargedNano: receipt.cost,
      costBasis: isUpperBound ? "bounded" : basis,
      costBreakdown: receipt.breakdown,
      lines: receipt.lines,
      priceVersion: receipt.priceVersion,
    };
  };

  const price = (call: CallToPrice): PricedCall | Promise<PricedCall> => {
    if (call.endpoint.class === "free") return UNCHARGED;
    if (call.endpoint.class !== "priced") return isRead(call.method) ? UNCHARGED : UNPRICED;
    // What it uses is recorded once, when it comes back (later-usage.ts), be it in this answer.
    if (call.facts?.background) return UNPRICED;
    if (call.metered?.usage && call.metered.usageComplete) return priced(call, call.metered.usage.quantities, "reported");
    return countedQuantities(call).then(({ quantities, basis }) => priced(call, quantities, basis));
  };

  return {
    prepare: (identity) => overrides.ensureLoaded(identity.orgId, identity.org.configVersion),
    price(call) {
      // The overrides were loaded when the call began; by now they may have been dropped from memory again.
      const loading = overrides.ensureLoaded(call.orgId, call.configVersion);
      return loading ? loading.then(() => price(call)) : price(call);
    },
  };
}

const isRead = (method: string): boolean => method === "GET" || method === "HEAD" || method === "DELETE";

/** Used, and nobody can say what it costs. */
export const UNPRICED: PricedCall = { ...UNCHARGED, costNano: null, costBasis: "unpriced" };

/** Endpoints whose answers are not text, so that nothing in them can be counted as output tokens. */
const WITHOUT_OUTPUT_TEXT: ReadonlySet<string> = new Set(["embeddings", "audio/transcriptions", "audio/translations"]);

/**
 * The provider told no usage, or not the last word of it: what was delivered is counted, what it did tell is kept. The result is
 * `counted` when all the output there was passed through us, else `bounded`: an upper bound, with thinking that nobody saw taken
 * at the cap the caller set, else at the model's (CONTRACT §7).
 */
async function countedQuantities(call: CallToPrice): Promise<{ quantities: UsageQuantities; basis: "counted" | "bounded" }> {
  const { metered, facts, endpoint } = call;
  const told = metered?.usage;
  const model = told?.model ?? metered?.model ?? facts?.model;
  const input = told ? told.quantities : await countedInput(call, model);
  const thinksUnseen = metered?.thought ?? facts?.thinksUnseen === true;
  const sawEverything = metered !== undefined && metered.terminal && !thinksUnseen;
  const basis = sawEverything && !call.callerLeft ? "counted" : "bounded";
  if (WITHOUT_OUTPUT_TEXT.has(endpoint.name)) return { quantities: input, basis };

  // A token is at least one character's worth where the text itself was too long to keep.
  const visible = metered ? (await countTokens(metered.visibleText, model)) + (metered.visibleCharactersDropped ?? 0) : 0;
  const delivered = Math.max(visible, told ? outputTokensTotal(told.quantities) : 0);
  const output = mayHaveMore({ call, thinksUnseen }) ? Math.max(delivered, outputCap(call, model)) : delivered;
  const { reasoning: _inOutput, ...rest } = { ...input, ...metered?.billedItems };
  return { quantities: { ...rest, output }, basis };
}

/** Whether there may be output that did not pass us. A whole answer (not a stream) that never came may have been produced to its end. */
function mayHaveMore({ call: { metered, facts }, thinksUnseen }: { call: CallToPrice; thinksUnseen: boolean }): boolean {
  return metered === undefined || thinksUnseen || (facts?.stream !== true && !metered.terminal);
}

function outputCap({ facts, dialect }: CallToPrice, model: string | undefined): number {
  const limits = limitsOfModel(dialect, model);
  const told = facts?.outputTokensMax;
  const budget = facts?.thinkingBudget ?? 0;
  // The cap is on thinking and text together. A budget above it is only taken with interleaved thinking, where it comes on top.
  const perChoice = told === undefined ? limits.outputTokensMax : budget >= told ? told + budget : told;
  return Math.min(Number.MAX_SAFE_INTEGER, Math.min(perChoice, limits.contextWindow) * (facts?.choices ?? 1));
}

async function countedInput(call: CallToPrice, model: string | undefined): Promise<UsageQuantities> {
  if (call.facts?.inputCharacters !== undefined) return { input_characters: call.facts.inputCharacters };
  return { input: call.requestBody ? await estimateInputTokens(call.requestBody, model) : 0 };
}
