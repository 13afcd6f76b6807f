import type { NanoUsd } from "@/lib/money";
import type { PeriodRule } from "@/server/budget/period-edges";

/** The part of a budget that the ledger needs. */
export type LedgerBudget = {
  id: string;
  period: PeriodRule;
  /** Null: no limit per session. */
  sessionLimitNano: NanoUsd | null;
  /** Null: no velocity limit. */
  velocity: { limitNano: NanoUsd; windowSeconds: number; cooldownSeconds: number } | null;
};

/** The balance of a budget's current period, or that of a session in it. */
export type WantedBalance = { budget: LedgerBudget; sessionId: string | null };

/** The balances that a call counts in, by budget: its period's, then its session's where the budget limits sessions. */
export function balancesWanted(budget: LedgerBudget, sessionId: string | null): WantedBalance[] {
  const ofPeriod = { budget, sessionId: null };
  return budget.sessionLimitNano !== null && sessionId !== null ? [ofPeriod, { budget, sessionId }] : [ofPeriod];
}
