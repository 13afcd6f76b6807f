import type { Clock } from "@/lib/clock";
import { failpoint } from "@/lib/failpoint";
import type { Logger } from "@/lib/logger";
import type { NanoUsd } from "@/lib/money";
import { createBackground, type Background } from "./background";
import { createBalances } from "./balances";
import { balancesWanted, type LedgerBudget } from "./budget-line";
import { createHolds, type ExtendResult } from "./holds";
import { createJournal, type WatchedCall } from "./journal";
import { createLedgerConnection } from "./ledger-connection";
import { createReserver, RESERVE_LIMITS, type ReserveLimits, type ReserveRequest, type ReserveResult, type ReserveStats } from "./reserve";

/** A process's side of the ledger for calls that count against budgets. Decisions are the database's; what ends calls is the settle door. */
export interface Ledger extends Background {
  /** Decides a call before it is sent: all of its budgets together hold money for it, or none does. Never rejects. */
  reserve<Budget extends LedgerBudget>(request: ReserveRequest<Budget>): Promise<ReserveResult<Budget>>;
  /** Makes sure that each of a call's balances holds at least `totalNano`: all of them, or none grows. May be asked again. */
  extendTo(callId: string, totalNano: NanoUsd): Promise<ExtendResult>;
  /** Renews a hold until `forget`: from when the call is sent until it is settled. */
  keep(callId: string): void;
  forget(callId: string): void;
  /** A call that no budget limits was sent: if it lasts, it is written down within a second, and renewed. */
  watch(call: WatchedCall): void;
  /** The call ended. Answers whether it was written down: its settlement then says `budgets: { held: true }`. */
  unwatch(callId: string): boolean;
  /** Gives back the hold of a call that was never sent and that gets no event; tried until the database answers. */
  release(call: { callId: string; orgId: string }): void;
  /**
   * The balances that budgets count in now, for a cost told after the fact.
   * @param configVersion The one that the budgets were chosen by: a balance that was found under another may have been reset since.
   * @throws LedgerError where the database does not answer.
   */
  balancesOf(budgets: readonly LedgerBudget[], sessionId: string | null, configVersion: bigint): Promise<bigint[]>;
  /** Expiry, recovery and roll-over, once. */
  sweep(): Promise<{ expired: number; recovered: number; opened: number }>;
  /** Begins renewing and sweeping. */
  start(): void;
  /** Calls that are told `unavailable` from here on; waits up to `timeoutMs` for holds that are still to be given back. */
  stop(timeoutMs?: number): Promise<void>;
  readonly stats: Readonly<ReserveStats & { waiting: number; kept: number; releasing: number; watched: number }>;
}

export type LedgerOptions = {
  connectionString: string;
  clock: Clock;
  log: Pick<Logger, "warn" | "error">;
  limits?: Partial<ReserveLimits>;
  /** Well within the lease, so that a missed one does not lose it. */
  renewEveryMs?: number;
  sweepEveryMs?: number;
  journalEveryMs?: number;
};

const RENEW_EVERY_MS = 30_000;
const SWEEP_EVERY_MS = 2_000;
/** A process that is killed loses the calls that began since, as far as nothing was held for them. */
const JOURNAL_EVERY_MS = 500;
const FORGET_EVERY_MS = 3_600_000;
/** A row that somebody else keeps locked is waited for this long, and its calls are told then. */
const LOCK_TIMEOUT_MS = 500;
const STOP_TIMEOUT_MS = 2_000;

export function createLedger(options: LedgerOptions): Ledger {
  const {
    connectionString,
    clock,
    log,
    renewEveryMs = RENEW_EVERY_MS,
    sweepEveryMs = SWEEP_EVERY_MS,
    journalEveryMs = JOURNAL_EVERY_MS,
  } = options;
  const limits = { ...RESERVE_LIMITS, ...options.limits };
  const statementTimeoutMs = Math.max(LOCK_TIMEOUT_MS, limits.decisionTimeoutMs - 300);
  const connection = createLedgerConnection({
    connectionString,
    applicationName: "nullspend-reserve",
    connectTimeoutMs: limits.decisionTimeoutMs,
    statementTimeoutMs,
    lockTimeoutMs: LOCK_TIMEOUT_MS,
  });
  // Not on the connection that decides: a call must not wait behind a sweep.
  const aside = createLedgerConnection({
    connectionString,
    applicationName: "nullspend-ledger-background",
    connectTimeoutMs: 3_000,
    statementTimeoutMs: 10_000,
    lockTimeoutMs: 2_000,
  });
  const balances = createBalances({ connection, clock });
  const holds = createHolds({ connection: aside, clock, log, leaseMs: limits.leaseMs, extendTimeoutMs: limits.decisionTimeoutMs });
  const journal = createJournal({ connection: aside, clock, leaseMs: limits.leaseMs, keep: holds.keep, forget: holds.forget });
  const reserver = createReserver({ connection, balances, clock, log, limits, release: holds.release });
  const background = createBackground({ connection: aside, clock });
  const timers: NodeJS.Timeout[] = [];

  function every(ms: number, work: () => Promise<unknown>): void {
    let busy = false;
    const timer = setInterval(() => {
      if (busy) return;
      busy = true;
      work()
        .catch((error: unknown) => log.warn({ err: error }, "background work of the ledger failed; it is tried again"))
        .finally(() => {
          busy = false;
        });
    }, ms);
    timer.unref();
    timers.push(timer);
  }

  async function sweep(): Promise<{ expired: number; recovered: number; opened: number }> {
    const expired = await background.expireStale();
    const recovered = await background.recoverVelocity();
    return { expired, recovered, opened: await background.rollOverPeriods() };
  }

  return {
    ...background,
    async reserve(request) {
      failpoint("before-reserve");
      return reserver.reserve(request);
    },
    extendTo: holds.extendTo,
    keep: holds.keep,
    forget: holds.forget,
    watch: journal.watch,
    unwatch: journal.unwatch,
    release: holds.release,
    async balancesOf(budgets, sessionId, configVersion) {
      const wanted = budgets.flatMap((budget) => balancesWanted(budget, sessionId));
      const known = wanted.map((each) => balances.find(each, configVersion));
      const missing = wanted.filter((_, i) => known[i] === undefined);
      // Whatever the configuration is by now, the cost belongs into the balance of now; in none where the budget is gone.
      const opened =
        missing.length === 0
          ? []
          : await balances.open(
              missing,
              missing.map(() => null),
            );
      return [...known, ...opened].flatMap((balance) => (typeof balance === "object" ? [balance.id] : []));
    },
    sweep,
    start() {
      every(renewEveryMs, holds.renew);
      every(sweepEveryMs, sweep);
      every(journalEveryMs, journal.write);
      every(FORGET_EVERY_MS, background.forgetExpired);
    },
    async stop(timeoutMs = STOP_TIMEOUT_MS) {
      for (const timer of timers) clearInterval(timer);
      await reserver.stop();
      await holds.drain(timeoutMs);
      holds.stop();
      connection.close();
      aside.close();
    },
    get stats() {
      return { ...reserver.stats, waiting: reserver.waiting, kept: holds.kept, releasing: holds.releasing, watched: journal.watched };
    },
  };
}
