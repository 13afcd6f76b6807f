import type { Clock } from "@/lib/clock";
import { periodEdgesAt, type PeriodRule } from "@/server/budget/period-edges";
import type { WantedBalance } from "./budget-line";
import type { LedgerConnection } from "./ledger-connection";

/** Where the database keeps what is spent and held. */
export type Balance = { id: bigint; idText: string; endsAtMs: number | null };

/** `stale`: the budget is gone, or the configuration is another. `not_current`: clocks disagree about which period it is. */
export type OpenAnswer = Balance | "stale" | "not_current";

/**
 * Which balance a budget (or a session in it) counts in now. Held in memory so that a call in the middle of a period names its
 * balances without asking; whether they are still the current ones is decided by the database with the call.
 */
export interface Balances {
  /** As far as it is known for this version of the configuration. */
  find(wanted: WantedBalance, configVersion: bigint): Balance | undefined;
  /** Finds or opens them in one statement, and answers for each. Null: whatever the configuration is. @throws LedgerError */
  open(wanted: readonly WantedBalance[], configVersions: readonly (bigint | null)[], timeoutMs?: number): Promise<OpenAnswer[]>;
  forget(wanted: WantedBalance): void;
}

type Held = Balance & { configVersion: bigint };
type OpenRow = { place: number; balance_id: string | null; ends_at_ms: string | null; is_stale: boolean; now_ms: string };

const OPEN_BALANCES = "select place, balance_id, ends_at_ms, is_stale, now_ms from open_balances($1, $2, $3, $4, $5)";
/** Sessions come and go; a balance that is forgotten is found again. */
const BALANCES_MAX = 200_000;

export function createBalances({
  connection,
  clock,
  balancesMax = BALANCES_MAX,
}: {
  connection: LedgerConnection;
  clock: Clock;
  balancesMax?: number;
}): Balances {
  const held = new Map<string, Held>();
  /** By how much the database's clock, which decides, is ahead of ours. */
  let aheadMs = 0;

  async function open(
    wanted: readonly WantedBalance[],
    configVersions: readonly (bigint | null)[],
    timeoutMs?: number,
  ): Promise<OpenAnswer[]> {
    const answers: OpenAnswer[] = wanted.map(() => "not_current");
    let asked = wanted.map((_, i) => i);
    let nowMs = clock.now() + aheadMs;
    // Twice: where our clock is on the other side of a period's edge, the second time is by the database's.
    for (let attempt = 1; attempt <= 2 && asked.length > 0; attempt += 1) {
      const edges = asked.map((i) => edgesOf(wanted[i]!.budget.period, nowMs));
      const rows = await connection.query<OpenRow>(
        OPEN_BALANCES,
        [
          asked.map((i) => wanted[i]!.budget.id),
          asked.map((i) => wanted[i]!.sessionId),
          edges.map(({ startsAt }) => startsAt),
          edges.map(({ endsAt }) => endsAt),
          asked.map((i) => configVersions[i]),
        ],
        timeoutMs,
      );
      for (const row of rows) {
        const i = asked[row.place - 1]!;
        nowMs = Number(row.now_ms);
        aheadMs = nowMs - clock.now();
        if (row.is_stale) answers[i] = "stale";
        if (row.balance_id === null) continue;
        const balance: Balance = {
          id: BigInt(row.balance_id),
          idText: row.balance_id,
          endsAtMs: row.ends_at_ms === null ? null : Number(row.ends_at_ms),
        };
        answers[i] = balance;
        const configVersion = configVersions[i];
        if (configVersion != null) keep(wanted[i]!, { ...balance, configVersion });
      }
      asked = asked.filter((i) => answers[i] === "not_current");
    }
    return answers;
  }

  function keep(wanted: WantedBalance, balance: Held): void {
    const key = keyOf(wanted);
    held.delete(key);
    if (held.size >= balancesMax) held.delete(held.keys().next().value!);
    held.set(key, balance);
  }

  return {
    open,
    find(wanted, configVersion) {
      const balance = held.get(keyOf(wanted));
      // A change of the configuration may have reset the budget or moved its periods.
      if (balance === undefined || balance.configVersion !== configVersion) return undefined;
      return balance.endsAtMs !== null && balance.endsAtMs <= clock.now() + aheadMs ? undefined : balance;
    },
    forget: (wanted) => void held.delete(keyOf(wanted)),
  };
}

export const keyOf = ({ budget, sessionId }: WantedBalance): string => (sessionId === null ? budget.id : `${budget.id}\0${sessionId}`);

/** A budget without reset has one period, which began when it was made: any instant before that stands for it. */
export function edgesOf(rule: PeriodRule, nowMs: number): { startsAt: Date; endsAt: Date | null } {
  const { interval } = rule;
  if (interval === "none") return { startsAt: new Date(0), endsAt: null };
  const { startsAtMs, endsAtMs } = periodEdgesAt({ ...rule, interval }, nowMs);
  return { startsAt: new Date(startsAtMs), endsAt: new Date(endsAtMs) };
}
