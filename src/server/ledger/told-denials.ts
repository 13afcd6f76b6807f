import type { CostEventRecord } from "@/server/events/cost-event";

/**
 * Refusals that somebody wants to hear of (`request.blocked`): by limits, restrictions and people. A request that is malformed, or
 * comes while the database is away, was not blocked by anybody.
 */
const TOLD_CODES: ReadonlySet<string> = new Set([
  "budget_exceeded",
  "customer_budget_exceeded",
  "tag_budget_exceeded",
  "session_limit_exceeded",
  "velocity_exceeded",
  "plan_limit_exceeded",
  "approval_required",
  "frozen",
  "mandate_violation",
  "concurrency_exceeded",
  "rate_limited",
  "unpriced_model",
  "unpriced_endpoint",
]);

export const isToldDenial = ({ status, denialCode }: CostEventRecord): boolean =>
  status === "denied" && denialCode !== null && TOLD_CODES.has(denialCode);
