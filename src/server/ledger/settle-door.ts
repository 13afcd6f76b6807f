import type { CostEventRecord } from "@/server/events/cost-event";

/** What one call ends in. */
export type Settlement = {
  event: CostEventRecord;
  /**
   * Present where the call counts against budgets: `held` when a reservation of the same id says against which; else the balances
   * themselves, for costs that were told to us after the fact.
   */
  budgets?: { held: true } | { held: false; balanceIds: readonly bigint[] };
  /** Of a call that a limit refused: the balance that did it (null: a velocity window), and what others are told beside the event. */
  denial?: { balanceId: bigint | null; details?: Readonly<Record<string, unknown>> };
};

/** `deduplicated`: a reported cost that this organisation had told before; `id` is then the earlier event's. */
export type SettleResult = { id: string; outcome: "recorded" | "deduplicated" };

/**
 * The only way money is written. Events, roll-ups, sessions, budgets, thresholds and outbox commit together, in batches,
 * in the order of arrival. A settlement that was accepted is kept in memory and tried again until it is durable; settling one id
 * twice changes nothing.
 */
export interface SettleDoor {
  /** Resolves when durable. Does not reject while the process lives: a database outage only delays it. */
  settle(settlement: Settlement): Promise<SettleResult>;
  /** Settlements accepted and not yet durable. */
  readonly backlog: number;
  /** True while memory can take more unsettled events; false: new calls must be refused as `overloaded`. */
  readonly accepting: boolean;
  /** Resolves when all that was accepted is durable, or when `timeoutMs` has passed; answers how many are left. */
  drain(timeoutMs: number): Promise<number>;
  stop(): Promise<void>;
}
