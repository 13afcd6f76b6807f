import { ServiceError } from "@/lib/errors";
import type { Logger } from "@/lib/logger";
import type { NanoUsd } from "@/lib/money";
import type { PrismaClient } from "@/generated/prisma/client";
import type { BudgetBook, BudgetedCall, HeldBudget, HeldLimit } from "@/server/budget";
import { loadBudgets } from "@/server/budget";
import type { CostEventRecord } from "@/server/events";
import type { Ledger } from "@/server/ledger";

export type ToolHold = {
  /** The event as far as it is known; the hold has its id. */
  draft: CostEventRecord;
  call: BudgetedCall;
  sessionId: string | null;
  amountNano: NanoUsd;
};

export type ToolHoldDenied = { outcome: "denied"; by: HeldLimit; limits: readonly HeldLimit[] };

/** `unlimited`: no budget applies, and nothing is held. */
export type ToolHoldAnswer = { outcome: "unlimited" } | { outcome: "held" } | ToolHoldDenied;

export type ToolHoldDependencies = {
  prisma: PrismaClient;
  budgetBook: BudgetBook;
  ledger: Pick<Ledger, "reserve" | "keep" | "forget">;
  log: Pick<Logger, "warn">;
};

/**
 * A tool's call lives outside of this process, so nobody but us can renew its hold. Longer than tools run; past it, or when this
 * process dies, the hold is given back: what was not reported did not happen.
 */
const HOLD_MS = 15 * 60_000;
/** How often a configuration that moves meanwhile is read again before the call is given up. */
const STALE_MAX = 3;

/**
 * Holds money for a call of a tool, in every budget that applies or in none.
 * @throws ServiceError `budget_unavailable` where it cannot be decided: not knowing is never permission.
 */
export async function holdForTool(hold: ToolHold, dependencies: ToolHoldDependencies): Promise<ToolHoldAnswer> {
  const { draft, call, sessionId, amountNano } = hold;
  const { budgetBook, ledger } = dependencies;
  for (let stale = 0; stale < STALE_MAX; stale++) {
    // At first what was loaded for this check; after `stale`, what the database says now.
    const configVersion = stale === 0 ? budgetBook.versionOf(draft.orgId) : await loadBudgets(draft.orgId, dependencies);
    const budgets: readonly HeldBudget[] = budgetBook.applicable(draft.orgId, call);
    if (budgets.length === 0) return { outcome: "unlimited" };
    const result = await ledger.reserve({
      callId: draft.id,
      orgId: draft.orgId,
      configVersion: configVersion!,
      sessionId,
      lines: budgets.map((budget) => ({ budget, bound: amountNano })),
      floor: null,
      draft,
    });
    switch (result.outcome) {
      case "held":
        keepForAWhile(draft.id, ledger);
        return { outcome: "held" };
      case "denied":
        return result;
      case "stale":
        continue;
      case "unavailable":
        throw unavailable();
    }
  }
  throw unavailable();
}

function keepForAWhile(callId: string, ledger: Pick<Ledger, "keep" | "forget">): void {
  ledger.keep(callId);
  setTimeout(() => ledger.forget(callId), HOLD_MS).unref();
}

const unavailable = (): ServiceError => new ServiceError("budget_unavailable", "Budgets cannot be checked right now; try again.");
