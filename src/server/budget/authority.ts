import { ServiceError } from "@/lib/errors";
import type { Principal } from "@/server/context";
import type { BudgetEntityType } from "./matching";

/**
 * No key changes itself (CONTRACT §2): a key with `manage` edits other entities' budgets, but none that is its own. Wider ones
 * (of the organisation, of its owner) an admin entrusted to it together with the scope; to bound such a key for good, give it a
 * budget of its own.
 */
export function assertNotItself(principal: Principal, budget: { entityType: BudgetEntityType; entityId: string }): void {
  if (principal.type === "api_key" && budget.entityType === "api_key" && budget.entityId === principal.keyId) {
    throw new ServiceError("forbidden", "A key cannot change its own budgets.");
  }
}
