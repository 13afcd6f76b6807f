import type { NanoUsd } from "@/lib/money";
import type { AmountsOfBudget, BudgetedCall, HeldBudget, StoppedBy } from "@/server/budget";
import type { CostEventRecord } from "@/server/events";

export type ToolHold = {
  /** The event as far as it is known; the hold has its id. */
  draft: CostEventRecord;
  call: BudgetedCall;
  sessionId: string | null;
  configVersion: bigint;
  amountNano: NanoUsd;
};

export type ToolHoldDenied = {
  outcome: "denied";
  /** The budget that refused. */
  budget: HeldBudget;
  stoppedBy: StoppedBy;
  /** Every budget that applied, as it stood before this call. */
  amounts: readonly AmountsOfBudget[];
  /** By bare budget id. */
  balanceIds: ReadonlyMap<string, bigint>;
};

/** `unlimited`: no budget applies, and nothing is held. */
export type ToolHoldAnswer = { outcome: "unlimited" } | { outcome: "held" } | ToolHoldDenied;

/** Holds money for calls of tools, which live outside of this process: nobody renews them, and one that expires is released. */
export interface ToolHolds {
  /** @throws ServiceError `budget_unavailable` where the ledger could not decide. */
  hold(hold: ToolHold): Promise<ToolHoldAnswer>;
}
