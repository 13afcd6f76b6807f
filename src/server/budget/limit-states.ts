import type { NanoUsd } from "@/lib/money";
import type { LimitState } from "@/server/ledger";
import type { HeldBudget } from "./budget-book";
import type { AmountsOfBudget } from "./decision-snapshot";
import type { StoppedBy } from "./denial";

/** What the ledger answered with, in the words of denials and decisions. Pure. */

export type HeldLimit = LimitState<HeldBudget>;

export function stoppedByLimit(
  by: HeldLimit,
  { sessionId, bound, nowMs }: { sessionId: string | null; bound: NanoUsd; nowMs: number },
): StoppedBy {
  const { limit: limitNano, spent: spentNano, reserved: reservedNano } = by;
  switch (by.kind) {
    case "budget":
      return { kind: "budget", limitNano, spentNano, reservedNano, resetsAtMs: by.endsAtMs };
    case "session":
      return { kind: "session", sessionId: sessionId ?? "", limitNano, spentNano, reservedNano };
    case "velocity": {
      const velocity = by.budget.velocity!;
      const isOpen = by.coolUntilMs !== null && by.coolUntilMs > nowMs;
      // A call that just tripped the breaker waits out the whole cooldown; one larger than the window never fits.
      const trips = !isOpen && bound <= limitNano;
      return {
        kind: "velocity",
        limitNano,
        currentNano: spentNano,
        windowSeconds: velocity.windowSeconds,
        cooldownSeconds: isOpen ? (by.coolUntilMs! - nowMs) / 1000 : trips ? velocity.cooldownSeconds : null,
      };
    }
  }
}

/** One entry per budget, with its session and its velocity window beside it. */
export function amountsOfLimits(limits: readonly HeldLimit[]): AmountsOfBudget[] {
  return limits
    .filter(({ kind }) => kind === "budget")
    .map((state) => {
      const session = limits.find(({ kind, budget }) => kind === "session" && budget === state.budget);
      const velocity = limits.find(({ kind, budget }) => kind === "velocity" && budget === state.budget);
      return {
        budget: state.budget,
        limitNano: state.limit,
        spentNano: state.spent,
        reservedNano: state.reserved,
        resetsAtMs: state.endsAtMs,
        ...(session && { session: { limitNano: session.limit, spentNano: session.spent, reservedNano: session.reserved } }),
        ...(velocity && { velocity: { currentNano: velocity.spent, coolUntilMs: velocity.coolUntilMs } }),
      };
    });
}

/** By bare budget id, the balance of its period: where the decision log looks for the calls that hold money. */
export function balanceIdsOfLimits(limits: readonly HeldLimit[]): Map<string, bigint> {
  return new Map(
    limits.flatMap(({ kind, budget, balanceId }) => (kind === "budget" && balanceId !== null ? [[budget.id, balanceId]] : [])),
  );
}
