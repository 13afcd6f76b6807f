export { costOfUsage, isUsageUnit, type CostOfUsage, type PricedUsage } from "./cost-of-usage";
export { countTokens, estimateInputTokens } from "./count-tokens";
export type { CostBasis, CostBreakdown, ProviderReceipt, Receipt, ReceiptLine } from "./receipt";
export {
  cachedTokensTotal,
  cacheWriteTokensTotal,
  inputTokensTotal,
  outputTokensTotal,
  type OtherModelUsage,
  type UsageQuantities,
  type UsageReport,
  type UsageUnit,
} from "./usage";
export {
  ANYTHING_UNSAID,
  type BoundedHold,
  type Hold,
  type HoldCut,
  type HoldFacts,
  type HoldInput,
  type HoldLearner,
  type HoldRefusalCode,
  MeteredOutput,
  type ModelLimits,
  type MeteredOutputOptions,
  tokensAheadAtMost,
  type RefusedHold,
  type SettledCall,
  type UnpricedHold,
  type Unsaid,
  computeHold,
  costWithOutput,
  createHoldLearner,
  limitsOfModel,
  outputTokensAffordable,
  thinksByDefault,
  tightenHold,
} from "./hold";
