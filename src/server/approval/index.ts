export { approversOf, circleOf, whyNot, type Approver } from "./approvers";
export { createApprovals, type Approvals } from "./approvals";
export { createApprovalBackground } from "./background";
export { type CallToApprove, finishCall, openOrJoinCall, useCallApproval } from "./call-approval";
export { createAskByMail, titleOf } from "./ask-by-mail";
export type { CallOfKey } from "./call-of-key";
export { cancelAction } from "./cancel";
export { createAction } from "./create";
export { approveAction, decideWithin, rejectAction, type DecidedVia } from "./decide";
export type { ApprovalDeps } from "./deps";
export { getAction, getActionRow, listActionCosts, listActions } from "./find";
export {
  ActionResultInput,
  ApprovalPoliciesInput,
  ApproveInput,
  BudgetIncreasePayload,
  CreateActionInput,
  ListActionsInput,
  RejectInput,
  type PolicyConditions,
} from "./input";
export { createLink, decideByLink, viewLink, type LinkOutcome, type LinkView } from "./links";
export { ApprovalPolicies, findPolicy, getApprovalPolicies, setApprovalPolicies } from "./policies";
export { isMatch, type Subject } from "./policy-match";
export { ACTION_SELECT, actionUrl, PublicAction, statusOf, toPublicAction, type ActionRow } from "./public-action";
export { reportActionResult } from "./report-result";
export { openOrJoinIncrease, type DeniedCall } from "./request-increase";
export { ACTION_STATUSES, canFollow, isDecided, isFinal, type ActionStatus } from "./transitions";
export { createActionWatch, type ActionWatch } from "./watch";
