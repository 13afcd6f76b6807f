export { costOfUsage, type CostOfUsage } from "./cost-of-usage";
export { countTokens, estimateInputTokens } from "./count-tokens";
export type { CostBasis, CostBreakdown, Receipt, ReceiptLine } from "./receipt";
export {
  cachedTokensTotal,
  cacheWriteTokensTotal,
  inputTokensTotal,
  outputTokensTotal,
  type UsageQuantities,
  type UsageReport,
  type UsageUnit,
} from "./usage";
