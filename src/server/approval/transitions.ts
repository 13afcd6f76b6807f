/** States of an action (CONTRACT §10) and what may follow what. Nothing else is legal. */
export const ACTION_STATUSES = ["pending", "approved", "rejected", "expired", "cancelled", "executing", "executed", "failed"] as const;
export type ActionStatus = (typeof ACTION_STATUSES)[number];

const NEXT: Readonly<Record<ActionStatus, readonly ActionStatus[]>> = {
  pending: ["approved", "rejected", "expired", "cancelled"],
  approved: ["executing"],
  executing: ["executed", "failed"],
  rejected: [],
  expired: [],
  cancelled: [],
  executed: [],
  failed: [],
};

export const canFollow = (from: ActionStatus, to: ActionStatus): boolean => NEXT[from].includes(to);

/** Nobody will decide it any more. */
export const isDecided = (status: ActionStatus): boolean => status !== "pending";

/** Nothing follows. */
export const isFinal = (status: ActionStatus): boolean => NEXT[status].length === 0;

export type Vote = "approve" | "reject";

/**
 * What one more vote makes of a pending action: a rejection decides at once, an approval when enough people have given theirs.
 * @param approvals those given before, each by another person
 */
export function afterVote({
  vote,
  approvals,
  needed,
}: {
  vote: Vote;
  approvals: number;
  needed: number;
}): "approved" | "rejected" | "pending" {
  if (vote === "reject") return "rejected";
  return approvals + 1 >= needed ? "approved" : "pending";
}
