export {
  type BoundedHold,
  type Hold,
  type HoldCut,
  type RefusedHold,
  type UnpricedHold,
  computeHold,
  costWithOutput,
  outputTokensAffordable,
  tightenHold,
} from "./compute-hold";
export type { HoldRefusalCode } from "./demand";
export { ANYTHING_UNSAID, type HoldFacts, type HoldInput, type Unsaid } from "./hold-input";
export { type HoldLearner, type SettledCall, createHoldLearner } from "./learned-hold";
export { limitsOfModel, type ModelLimits, thinksByDefault } from "./model-limits";
export { MeteredOutput, type MeteredOutputOptions, tokensAheadAtMost } from "./metered-output";
