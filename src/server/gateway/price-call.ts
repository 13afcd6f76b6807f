import { ZERO_NANO } from "@/lib/money";
import { type Receipt, type UsageQuantities, type UsageReport, costOfUsage, countTokens, estimateInputTokens } from "@/server/metering";
import { cacheWriteTokensTotal, cachedTokensTotal, inputTokensTotal, outputTokensTotal } from "@/server/metering/usage";
import type { CostEventRecord } from "@/server/events";
import type { KeyIdentity } from "@/server/api-key";
import type { OverrideStore, PriceBook } from "@/server/pricing";
import type { Endpoint, Metered, RequestFacts } from "./providers";

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
  prepare(identity: KeyIdentity): Promise<void> | void;
  /** What a forwarded call that was not answered with an error costs. */
  price(call: CallToPrice): PricedCall | Promise<PricedCall>;
}

/** No request asks for more than this in one answer; stands in where neither the caller nor the price book sets a cap. */
const OUTPUT_TOKENS_ANY_MODEL = 128_000;

export function createCallPricing(input: { priceBook: PriceBook; overrides: OverrideStore }): CallPricing {
  const { priceBook, overrides } = input;

  const receiptOf = (call: CallToPrice, quantities: UsageQuantities): Receipt | undefined => {
    const usage = call.metered?.usage;
    // The model that served decides; an answer that names one we have no price for is priced as what was asked.
    for (const model of new Set([usage?.model, call.facts?.model])) {
      if (model === undefined) continue;
      const price = priceBook.findPrice({
        provider: call.provider,
        model,
        ...(usage?.serviceTier === undefined ? {} : { serviceTier: usage.serviceTier }),
        atMs: call.startedAtMs,
        orgId: call.orgId,
      });
      const cost = price && costOfUsage({ quantities, price });
      if (cost?.priced) return cost.receipt;
    }
    return undefined;
  };

  const priced = (call: CallToPrice, quantities: UsageQuantities, basis: "reported" | "counted" | "bounded"): PricedCall => {
    const unknownUnits = call.metered?.usage?.unknownUnits;
    const receipt = unknownUnits && unknownUnits.length > 0 ? undefined : receiptOf(call, quantities);
    const tokens = {
      inputTokens: inputTokensTotal(quantities),
      outputTokens: outputTokensTotal(quantities),
      cachedInputTokens: cachedTokensTotal(quantities),
      cacheWriteTokens: cacheWriteTokensTotal(quantities),
      reasoningTokens: quantities.reasoning ?? 0,
    };
    if (!receipt) {
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
    return {
      ...tokens,
      costNano: receipt.cost,
      chargedNano: receipt.cost,
      costBasis: basis,
      costBreakdown: receipt.breakdown,
      lines: receipt.lines,
      priceVersion: receipt.priceVersion,
    };
  };

  return {
    prepare: (identity) => overrides.ensureLoaded(identity.orgId, identity.org.configVersion),

    price(call) {
      if (call.endpoint.class === "free") return UNCHARGED;
      if (call.endpoint.class !== "priced")
        return call.method === "GET" || call.method === "HEAD" || call.method === "DELETE" ? UNCHARGED : UNPRICED;
      if (call.metered?.usage && call.metered.usageComplete) return priced(call, call.metered.usage.quantities, "reported");
      return countedQuantities(call).then(({ quantities, basis }) => priced(call, quantities, basis));
    },
  };
}

const UNPRICED: PricedCall = { ...UNCHARGED, costNano: null, costBasis: "unpriced" };

/**
 * The provider told no usage, or not the last word of it: what was delivered is counted, what it did tell is kept. The result is
 * `counted` when all the output there was passed through us, else `bounded`: an upper bound, with thinking that nobody saw taken
 * at the cap the caller set (CONTRACT §7).
 */
async function countedQuantities(call: CallToPrice): Promise<{ quantities: UsageQuantities; basis: "counted" | "bounded" }> {
  const { metered, facts } = call;
  const told: UsageReport | undefined = metered?.usage;
  const model = told?.model ?? facts?.model;
  const visible = metered ? await countTokens(metered.visibleText, model) : 0;
  const delivered = Math.max(visible, told ? outputTokensTotal(told.quantities) : 0);
  const sawEverything = metered !== undefined && metered.terminal && !facts?.thinksUnseen;
  const outputCap = (facts?.outputTokensMax ?? OUTPUT_TOKENS_ANY_MODEL) * (facts?.choices ?? 1);
  // A whole answer (not a stream) that never came may have been produced to its end.
  const unseen = metered === undefined || facts?.thinksUnseen === true || (!facts?.stream && !metered.terminal);
  const output = unseen && !sawEverything ? Math.max(delivered, outputCap) : delivered;
  const quantities: UsageQuantities = { ...(told?.quantities ?? (await estimatedInput(call, model))), output };
  delete quantities.reasoning;
  return { quantities, basis: sawEverything && !call.callerLeft ? "counted" : "bounded" };
}

async function estimatedInput(call: CallToPrice, model: string | undefined): Promise<UsageQuantities> {
  return { input: call.requestBody ? await estimateInputTokens(call.requestBody, model) : 0 };
}
