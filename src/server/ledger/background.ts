import type { Clock } from "@/lib/clock";
import { failpoint } from "@/lib/failpoint";
import type { PeriodRule } from "@/server/budget/period-edges";
import { edgesOf } from "./balances";
import type { LedgerConnection } from "./ledger-connection";

/** What the ledger does without being asked. Any number of processes may do all of it at once: each effect happens once. */
export type Background = {
  /** Settles the holds of calls whose process is gone, as far as they are overdue by the database's clock. Answers how many. */
  expireStale: () => Promise<number>;
  /** Closes breakers whose cooldown is over and tells so. Answers how many. */
  recoverVelocity: () => Promise<number>;
  /** Opens the periods that have begun of budgets whose last one is over, so that a reset is told without a call. Answers how many. */
  rollOverPeriods: () => Promise<number>;
  /** Forgets what expired long ago. */
  forgetExpired: () => Promise<number>;
};

type DueRow = {
  id: string;
  interval: PeriodRule["interval"];
  timezone: string;
  anchor_day: number | null;
  config_version: string;
  now_ms: string;
};

/** Each batch is a transaction of its own: a small one holds hot balances only shortly. */
const EXPIRE_BATCH = 100;
const RECOVER_BATCH = 500;
const ROLL_OVER_BATCH = 500;
const FORGET_BATCH = 5_000;
/** Batches in one go; what is left is taken by the next one, or by another process. */
const BATCHES_MAX = 100;

// The newest balance of each budget decides: a budget that no call has counted against has nothing to begin anew.
const DUE_BUDGETS = `
  select b.id, b.reset_interval as interval, coalesce(b.timezone, o.timezone) as timezone, b.anchor_day, o.config_version,
    floor(extract(epoch from clock_timestamp()) * 1000)::bigint as now_ms
  from budget b
  join organisation o on o.id = b.org_id
  cross join lateral (
    select ends_at from budget_balance l
    where l.org_id = b.org_id and l.budget_id = b.id and l.session_id is null
    order by l.starts_at desc limit 1
  ) as last
  where b.deleted_at is null and b.reset_interval <> 'none' and last.ends_at <= clock_timestamp()
  limit $1`;

export function createBackground({ connection, clock }: { connection: LedgerConnection; clock: Clock }): Background {
  async function inBatches(batchMax: number, statement: string, name: string): Promise<number> {
    let total = 0;
    for (let batch = 0; batch < BATCHES_MAX; batch += 1) {
      failpoint(`before-${name}`);
      const [row] = await connection.query<{ done: number }>(statement, [batchMax]);
      failpoint(`after-${name}`);
      const done = row?.done ?? 0;
      total += done;
      if (done < batchMax) break;
    }
    return total;
  }

  async function rollOverPeriods(): Promise<number> {
    const due = await connection.query<DueRow>(DUE_BUDGETS, [ROLL_OVER_BATCH]);
    if (due.length === 0) return 0;
    const edges = due.map(({ interval, timezone, anchor_day, now_ms }) =>
      edgesOf({ interval, timezone, anchorDay: anchor_day }, Number(now_ms) || clock.now()),
    );
    const opened = await connection.query<{ balance_id: string | null }>("select balance_id from open_balances($1, $2, $3, $4, $5)", [
      due.map(({ id }) => id),
      due.map(() => null),
      edges.map(({ startsAt }) => startsAt),
      edges.map(({ endsAt }) => endsAt),
      due.map(({ config_version }) => config_version),
    ]);
    return opened.filter(({ balance_id }) => balance_id !== null).length;
  }

  return {
    expireStale: () => inBatches(EXPIRE_BATCH, "select expire_reservations($1) as done", "expire"),
    recoverVelocity: () => inBatches(RECOVER_BATCH, "select recover_velocity($1) as done", "recover"),
    rollOverPeriods,
    forgetExpired: () => inBatches(FORGET_BATCH, "select forget_expired($1) as done", "forget"),
  };
}
