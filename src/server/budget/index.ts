export {
  createBudgetBook,
  type BudgetBook,
  type BudgetPolicy,
  type HeldBudget,
  type HeldFreeze,
  type LimitsOfOrg,
  type UnpricedPolicy,
} from "./budget-book";
export { getKeyOfCaller, type KeyOfCaller } from "./budgets-of-key";
export { chargesAfterTheFact, chargesOfReported, type ReportedCharges } from "./charges-of-reported";
export { createBudget } from "./create";
export { createDenialReview, type DenialReview, type DenialReviewStats } from "./denial-review";
export { createDecisionLog, type Decision, type DecisionLog } from "./decision-log";
export { decisionSnapshot, DecisionSnapshot, type AmountsOfBudget, type SnapshotInput } from "./decision-snapshot";
export { deleteBudget } from "./delete";
export {
  budgetInWords,
  buildDenial,
  buildFrozenDenial,
  requestUrlOf,
  type Denial,
  type DenialCode,
  type DenialInput,
  type StoppedBy,
} from "./denial";
export { getBudget, listBudgets } from "./find";
export { getDecision, PublicDecision } from "./get-decision";
export { bareEntityId as bareBudgetEntityId, CreateBudgetInput, ListBudgetsInput, UpdateBudgetInput } from "./input";
export { checkIntegrity, Integrity } from "./integrity";
export { amountsOfLimits, balanceIdsOfLimits, stoppedByLimit, type HeldLimit } from "./limit-states";
export { loadBudgets, type LoadDependencies } from "./load-budgets";
export { isBudgetApplicable, type BudgetedCall, type BudgetEntityType, type BudgetScope } from "./matching";
export { invalid, parsed } from "./parse-input";
export { periodEdgesAt, type PeriodEdges, type PeriodRule, type ResetInterval } from "./period-edges";
export { getPolicy, Policy } from "./policy";
export { publicEntityId, PublicBudget } from "./public-budget";
export { endRaises, raiseBudget, type Raise, type RaiseMode } from "./raise";
export { listBudgetsOfKey } from "./of-key";
export { resetBudget } from "./reset";
export { budgetSources, BudgetSources } from "./sources";
export { budgetStatus, BudgetStatus } from "./status";
export { updateBudget } from "./update";
