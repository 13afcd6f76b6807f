import { setTimeout as sleep } from "node:timers/promises";
import type { Clock } from "@/lib/clock";
import type { Logger } from "@/lib/logger";
import { type NanoUsd, nanoUsd } from "@/lib/money";
import { type PeriodRule, periodEdgesAt } from "@/server/budget/period-edges";
import type { CostEventRecord } from "@/server/events/cost-event";
import { arrayLiteral } from "./array-literal";
import { eventRow } from "./event-row";
import { LedgerError, createLedgerConnection } from "./ledger-connection";

/** The part of a budget that the ledger needs. */
export type LedgerBudget = {
  id: string;
  period: PeriodRule;
  sessionLimitNano: NanoUsd | null;
  velocity: { limitNano: NanoUsd; windowSeconds: number; cooldownSeconds: number } | null;
};

export type ReserveRequest<Budget extends LedgerBudget = LedgerBudget> = {
  /** Id of the cost event that the call will have. */
  callId: string;
  orgId: string;
  /** The configuration that the budgets were chosen by; another one in the database answers `stale`. */
  configVersion: bigint;
  sessionId: string | null;
  /** All budgets that match; `bound` is the most the call can cost as this budget counts it. */
  lines: readonly { budget: Budget; bound: NanoUsd }[];
  /** What a stream that can be extended and cut may start on; null: all or nothing. */
  floor: NanoUsd | null;
  /** The event as far as it is known now: what is settled if this process dies. */
  draft: CostEventRecord;
};

/** One thing that limited a call, as it stood when the call was decided. */
export type LimitState<Budget extends LedgerBudget = LedgerBudget> = {
  budget: Budget;
  kind: "budget" | "session" | "velocity";
  /** Null for velocity. */
  balanceId: bigint | null;
  limit: NanoUsd;
  spent: NanoUsd;
  reserved: NanoUsd;
  /** Unix ms; null: no end. */
  endsAtMs: number | null;
  /** Unix ms until which a velocity breaker denies; null: closed. */
  coolUntilMs: number | null;
};

export type ReserveResult<Budget extends LedgerBudget = LedgerBudget> =
  /** `reduced`: the floor is held and has to be extended as the answer grows. Limits include this call. */
  | { outcome: "held"; reduced: boolean; limits: readonly LimitState<Budget>[] }
  | { outcome: "denied"; by: LimitState<Budget>; limits: readonly LimitState<Budget>[] }
  /** The caller's configuration is not the database's: read it again. */
  | { outcome: "stale" }
  /** The database did not decide in time. Nothing stays held; nothing may be sent. */
  | { outcome: "unavailable" };

export interface Ledger {
  reserve<Budget extends LedgerBudget>(request: ReserveRequest<Budget>): Promise<ReserveResult<Budget>>;
  /** Grows a hold in all its balances, or answers false and changes nothing. */
  extend(callId: string, amount: NanoUsd): Promise<boolean>;
  /** Keeps a hold from expiring until `forget`. */
  keep(callId: string): void;
  forget(callId: string): void;
  /** Gives back the hold of a call that was never sent; tried until the database answers. */
  release(callId: string): void;
  /** The balance that each budget counts in now, by budget id; for costs told after the fact. */
  balancesOf(budgets: readonly LedgerBudget[], sessionId: string | null): Promise<bigint[]>;
  /** Settles what dead processes left, closes breakers that cooled down, opens periods that began. Safe on any number of processes. */
  sweep(): Promise<{ expired: number; recovered: number; opened: number }>;
  start(): void;
  stop(): Promise<void>;
}

export type LedgerOptions = {
  connectionString: string;
  clock: Clock;
  log: Pick<Logger, "warn" | "error">;
  /** A hold outlives its last renewal by so long. */
  leaseMs?: number;
  renewEveryMs?: number;
  sweepEveryMs?: number;
  statementTimeoutMs?: number;
};

/** Calls decided in one statement. */
const BATCH_MAX = 256;
/** Calls that may wait for a decision; beyond it they are told `unavailable` at once. */
const WAITING_MAX = 10_000;
/** Sessions come and go; a balance that is forgotten is found again. */
const BALANCES_MAX = 100_000;
const STALE_RETRIES_MAX = 3;
const NO_LIMIT = 9_223_372_036_854_775_807n;

type Balance = { id: bigint; endsAtMs: number | null };
type Wanted = { budget: LedgerBudget; sessionId: string | null };
type Line = { budget: LedgerBudget; kind: LimitState["kind"]; bound: NanoUsd; balance: Balance | null };
type Waiting = {
  request: ReserveRequest;
  resolve: (result: ReserveResult) => void;
  waitingSince: number;
  attempts: number;
};

const RESERVE =
  "select held, refused_place, limits::text[] as limits, spent::text[] as spent, reserved::text[] as reserved, cool_until" +
  " from reserve_calls($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,$16,$17)";
type ReserveRow = {
  held: number[];
  refused_place: number[];
  limits: (string | null)[];
  spent: (string | null)[];
  reserved: (string | null)[];
  cool_until: (Date | null)[];
};
type OpenRow = { place: number; balance_id: string | null; ends_at: Date | null };

/**
 * The process's side of the ledger. Decisions are the database's; this batches them: what arrives while a statement runs goes together
 * in the next one, in the order of arrival. One connection, because statements side by side would only queue for the same rows.
 */
export function createLedger(options: LedgerOptions): Ledger {
  const { clock, log, leaseMs = 120_000, renewEveryMs = 30_000, sweepEveryMs = 2_000, statementTimeoutMs = 1_500 } = options;
  const connection = createLedgerConnection({
    connectionString: options.connectionString,
    applicationName: "nullspend-reserve",
    connectTimeoutMs: 1_500,
    statementTimeoutMs,
    lockTimeoutMs: Math.min(1_000, statementTimeoutMs),
  });
  const background = createLedgerConnection({
    connectionString: options.connectionString,
    applicationName: "nullspend-sweep",
    connectTimeoutMs: 3_000,
    statementTimeoutMs: 10_000,
    lockTimeoutMs: 2_000,
  });
  const lease = `${leaseMs} milliseconds`;
  const balances = new Map<string, Balance>();
  const kept = new Set<string>();
  const timers: NodeJS.Timeout[] = [];
  let waiting: Waiting[] = [];
  let extensions: { callId: string; amount: NanoUsd; resolve: (extended: boolean) => void }[] = [];
  let working: Promise<void> | undefined;
  let stopped = false;

  function reserve<Budget extends LedgerBudget>(request: ReserveRequest<Budget>): Promise<ReserveResult<Budget>> {
    if (stopped || waiting.length >= WAITING_MAX) return Promise.resolve({ outcome: "unavailable" });
    return new Promise((resolve) => {
      // The caller's own kind of budget goes in and comes out; in between only its ledger part is looked at.
      const entry = { request, resolve: resolve as unknown as Waiting["resolve"], waitingSince: clock.monotonic(), attempts: 0 };
      waiting.push(entry);
      work();
    });
  }

  function extend(callId: string, amount: NanoUsd): Promise<boolean> {
    if (stopped) return Promise.resolve(false);
    return new Promise((resolve) => {
      extensions.push({ callId, amount, resolve });
      work();
    });
  }

  function work(): void {
    working ??= run().finally(() => {
      working = undefined;
      if (waiting.length > 0 || extensions.length > 0) work();
    });
  }

  async function run(): Promise<void> {
    // What is asked in one turn goes together.
    await new Promise<void>((resolve) => setImmediate(resolve));
    while (waiting.length > 0 || extensions.length > 0) {
      if (extensions.length > 0) await extendBatch(extensions.splice(0, BATCH_MAX));
      if (waiting.length > 0) {
        const batch = waiting.slice(0, BATCH_MAX);
        waiting = waiting.slice(BATCH_MAX);
        await reserveBatch(batch);
      }
    }
  }

  async function extendBatch(batch: typeof extensions): Promise<void> {
    try {
      const [row] = await connection.query<{ extended: boolean[] }>("select extend_reservations($1,$2,$3) as extended", [
        batch.map(({ callId }) => callId),
        batch.map(({ amount }) => amount),
        lease,
      ]);
      batch.forEach(({ resolve }, i) => resolve(row?.extended[i] === true));
    } catch (error) {
      // A stream that cannot be sure of its money is cut where its hold ends.
      log.warn({ err: error, count: batch.length }, "holds could not be extended");
      for (const { resolve } of batch) resolve(false);
    }
  }

  async function reserveBatch(batch: Waiting[]): Promise<void> {
    const late = batch.filter(({ waitingSince }) => clock.monotonic() - waitingSince > statementTimeoutMs);
    for (const { resolve } of late) resolve({ outcome: "unavailable" });
    const calls = batch.filter((call) => !late.includes(call));
    if (calls.length === 0) return;
    let sent = false;
    try {
      const known = await knownBalances(calls);
      const ready = calls.filter((call) => {
        if (known(call)) return true;
        retryStale(call);
        return false;
      });
      if (ready.length === 0) return;
      sent = true;
      await decide(ready);
    } catch (error) {
      if (!(error instanceof LedgerError)) log.error({ err: error }, "a batch of calls could not be decided");
      else log.warn({ err: error, count: calls.length }, "calls could not be decided");
      for (const { request, resolve } of calls) {
        // Whether it was held is not known: it must not stay so.
        if (sent) release(request.callId);
        resolve({ outcome: "unavailable" });
      }
    }
  }

  /** Finds or opens the balances of all calls in one statement. The answer says whether a call has all of its own. */
  async function knownBalances(calls: readonly Waiting[]): Promise<(call: Waiting) => boolean> {
    const wantedOf = ({ request }: Waiting): Wanted[] => request.lines.flatMap(({ budget }) => balancesWanted(budget, request.sessionId));
    const missing = new Map<string, Wanted>();
    for (const call of calls) for (const wanted of wantedOf(call)) if (!currentBalance(wanted)) missing.set(balanceKey(wanted), wanted);
    if (missing.size > 0) await open([...missing.values()], connection);
    return (call) => wantedOf(call).every((wanted) => currentBalance(wanted) !== undefined);
  }

  function currentBalance(wanted: Wanted): Balance | undefined {
    return balances.get(balanceKey(wanted));
  }

  async function open(wanted: readonly Wanted[], on: typeof connection): Promise<number> {
    const now = clock.now();
    const edges = wanted.map(({ budget, sessionId }) =>
      sessionId === null ? edgesOf(budget.period, now) : { starts: new Date(now), ends: null },
    );
    const rows = await on.query<OpenRow>("select place, balance_id, ends_at from open_balances($1,$2,$3,$4)", [
      wanted.map(({ budget }) => budget.id),
      wanted.map(({ sessionId }) => sessionId),
      edges.map(({ starts }) => starts),
      edges.map(({ ends }) => ends),
    ]);
    for (const { place, balance_id, ends_at } of rows) {
      if (balance_id === null) continue;
      if (balances.size >= BALANCES_MAX) balances.delete(balances.keys().next().value!);
      balances.set(balanceKey(wanted[place - 1]!), { id: BigInt(balance_id), endsAtMs: ends_at === null ? null : ends_at.getTime() });
    }
    return rows.filter(({ balance_id }) => balance_id !== null).length;
  }

  function retryStale(call: Waiting): void {
    for (const { budget } of call.request.lines) {
      for (const wanted of balancesWanted(budget, call.request.sessionId)) balances.delete(balanceKey(wanted));
    }
    call.attempts += 1;
    if (call.attempts >= STALE_RETRIES_MAX) call.resolve({ outcome: "stale" });
    else waiting.push(call);
  }

  async function decide(calls: readonly Waiting[]): Promise<void> {
    const linesOf = calls.map(({ request }) => linesOfCall(request));
    const places = new Map<string, number>();
    const balanceIds = [...new Set(linesOf.flat().flatMap(({ balance }) => (balance ? [balance.id] : [])))].sort((a, b) =>
      a < b ? -1 : 1,
    );
    const velocityIds = [...new Set(linesOf.flat().flatMap(({ balance, budget }) => (balance ? [] : [budget.id])))].sort();
    balanceIds.forEach((id, i) => places.set(String(id), i + 1));
    velocityIds.forEach((id, i) => places.set(id, balanceIds.length + i + 1));
    const placeOf = ({ balance, budget }: Line): number => places.get(balance ? String(balance.id) : budget.id)!;
    const orgs = new Map<string, { place: number; version: bigint }>();
    for (const { request } of calls) {
      const key = `${request.orgId} ${request.configVersion}`;
      if (!orgs.has(key)) orgs.set(key, { place: orgs.size + 1, version: request.configVersion });
    }
    const inBalances = linesOf.map((lines) => lines.filter(({ balance }) => balance !== null));
    const least = (a: NanoUsd, b: NanoUsd): NanoUsd => (a < b ? a : b);

    const [row] = await connection.query<ReserveRow>(RESERVE, [
      [...orgs.keys()].map((key) => key.split(" ")[0]!),
      [...orgs.values()].map(({ version }) => version),
      balanceIds,
      velocityIds,
      calls.map(({ request }) => request.callId),
      calls.map(({ request }) => orgs.get(`${request.orgId} ${request.configVersion}`)!.place),
      calls.map(({ request }) => request.sessionId),
      calls.map(({ request }) => request.floor),
      inBalances.map((lines) => arrayLiteral(lines.map(({ balance }) => balance!.id))),
      inBalances.map((lines) => arrayLiteral(lines.map(({ bound }) => bound))),
      inBalances.map((lines, i) => {
        const { floor } = calls[i]!.request;
        return floor === null ? null : arrayLiteral(lines.map(({ bound }) => least(floor, bound)));
      }),
      linesOf.map((lines) => arrayLiteral(lines.filter(({ balance }) => balance === null).map(({ budget }) => budget.id))),
      calls.map(({ request }) => eventRow(request.draft, clock).json),
      linesOf.map((lines) => lines.length),
      linesOf.flat().map(placeOf),
      linesOf.flat().map(({ bound }) => bound),
      lease,
    ]);
    if (!row) throw new Error("reserve_calls answered nothing");

    // The rows tell how the limits stood before the batch; what the calls before one were given is added as we go.
    const added = new Map<number, bigint>();
    calls.forEach((call, i) => {
      const lines = linesOf[i]!;
      const decided = row.held[i]!;
      const refusedPlace = row.refused_place[i]!;
      if (refusedPlace === -1) {
        retryStale(call);
        return;
      }
      const amountOf = (line: Line): bigint => (decided === 1 ? line.bound : decided === 2 ? least(call.request.floor!, line.bound) : 0n);
      if (decided > 0) for (const line of lines) added.set(placeOf(line), (added.get(placeOf(line)) ?? 0n) + amountOf(line));
      const limits = lines.map((line): LimitState => {
        const place = placeOf(line);
        return {
          budget: line.budget,
          kind: line.kind,
          balanceId: line.balance?.id ?? null,
          limit: nanoUsd(BigInt(row.limits[place - 1] ?? NO_LIMIT)),
          spent: nanoUsd(BigInt(row.spent[place - 1] ?? 0n) + (line.kind === "velocity" ? (added.get(place) ?? 0n) : 0n)),
          reserved: nanoUsd(line.kind === "velocity" ? 0n : BigInt(row.reserved[place - 1] ?? 0n) + (added.get(place) ?? 0n)),
          endsAtMs: line.balance?.endsAtMs ?? null,
          coolUntilMs: row.cool_until[place - 1]?.getTime() ?? null,
        };
      });
      if (decided > 0) {
        call.resolve({ outcome: "held", reduced: decided === 2, limits });
        return;
      }
      const by = limits[lines.findIndex((line) => placeOf(line) === refusedPlace)]!;
      if (by.balanceId !== null) noteDenial(by.balanceId);
      call.resolve({ outcome: "denied", by, limits });
    });
  }

  function linesOfCall(request: ReserveRequest): Line[] {
    return request.lines.flatMap(({ budget, bound }) => {
      const lines: Line[] = [{ budget, kind: "budget", bound, balance: balances.get(balanceKey({ budget, sessionId: null }))! }];
      if (budget.sessionLimitNano !== null && request.sessionId !== null) {
        const balance = balances.get(balanceKey({ budget, sessionId: request.sessionId }))!;
        lines.push({ budget, kind: "session", bound, balance });
      }
      if (budget.velocity !== null) lines.push({ budget, kind: "velocity", bound, balance: null });
      return lines;
    });
  }

  /** Once per balance and process; that it is told once in all is the database's doing. */
  const noted = new Set<bigint>();
  function noteDenial(balanceId: bigint): void {
    if (noted.has(balanceId)) return;
    if (noted.size >= BALANCES_MAX) noted.clear();
    noted.add(balanceId);
    background.query("select note_denial($1)", [balanceId]).catch((error: unknown) => {
      noted.delete(balanceId);
      log.warn({ err: error }, "a first denial could not be noted");
    });
  }

  function release(callId: string): void {
    kept.delete(callId);
    void (async () => {
      for (let attempt = 1; !stopped; attempt += 1) {
        try {
          await background.query("select release_reservation($1)", [callId]);
          return;
        } catch (error) {
          if (attempt === 1) log.warn({ err: error }, "a hold waits to be given back");
          await sleep(Math.min(5_000, 100 * 2 ** attempt), undefined, { ref: false });
        }
      }
    })();
  }

  async function renew(): Promise<void> {
    const ids = [...kept];
    for (let start = 0; start < ids.length; start += 1_000) {
      const lost = await background.query<{ id: string }>("select renew_reservations as id from renew_reservations($1,$2)", [
        ids.slice(start, start + 1_000),
        lease,
      ]);
      for (const { id } of lost) kept.delete(id);
      if (lost.length > 0) log.warn({ count: lost.length }, "holds of live calls had expired; their settlement corrects it");
    }
  }

  async function sweep(): Promise<{ expired: number; recovered: number; opened: number }> {
    const [row] = await background.query<{ expired: number; recovered: number }>(
      "select expire_reservations(200) as expired, recover_velocity() as recovered",
      [],
    );
    return { expired: row?.expired ?? 0, recovered: row?.recovered ?? 0, opened: await rollOver() };
  }

  /** Opens the period that has begun of every budget whose last one is over, so that a reset is told without a call. */
  async function rollOver(): Promise<number> {
    const due = await background.query<{ id: string; interval: PeriodRule["interval"]; timezone: string; anchor_day: number | null }>(
      `select b.id, b.reset_interval as interval, coalesce(b.timezone, o.timezone) as timezone, b.anchor_day
         from budget b join organisation o on o.id = b.org_id
        where b.deleted_at is null and b.reset_interval <> 'none'
          and exists (select from budget_balance l where l.org_id = b.org_id and l.budget_id = b.id and l.session_id is null and l.ends_at <= now())
          and not exists (select from budget_balance l where l.org_id = b.org_id and l.budget_id = b.id and l.session_id is null
                          and (l.ends_at is null or l.ends_at > now()))
        limit 500`,
      [],
    );
    if (due.length === 0) return 0;
    const budgets = due.map(({ id, interval, timezone, anchor_day }) => ({
      budget: { id, period: { interval, timezone, anchorDay: anchor_day }, sessionLimitNano: null, velocity: null },
      sessionId: null,
    }));
    return open(budgets, background);
  }

  function every(ms: number, job: () => Promise<unknown>): void {
    let busy = false;
    const timer = setInterval(() => {
      if (busy) return;
      busy = true;
      job()
        .catch((error: unknown) => log.warn({ err: error }, "background work of the ledger failed; it is tried again"))
        .finally(() => {
          busy = false;
        });
    }, ms);
    timer.unref();
    timers.push(timer);
  }

  return {
    reserve,
    extend,
    release,
    keep: (callId) => void kept.add(callId),
    forget: (callId) => void kept.delete(callId),
    async balancesOf(budgets, sessionId) {
      const wanted = budgets.flatMap((budget) => balancesWanted(budget, sessionId));
      const now = clock.now();
      const missing = wanted.filter((each) => {
        const balance = currentBalance(each);
        return !balance || (balance.endsAtMs !== null && balance.endsAtMs <= now);
      });
      if (missing.length > 0) await open(missing, background);
      return wanted.flatMap((each) => currentBalance(each)?.id ?? []);
    },
    sweep,
    start() {
      every(renewEveryMs, renew);
      every(sweepEveryMs, sweep);
    },
    async stop() {
      for (const timer of timers) clearInterval(timer);
      stopped = true;
      await working;
      connection.close();
      background.close();
    },
  };
}

const balanceKey = ({ budget, sessionId }: Wanted): string => (sessionId === null ? budget.id : `${budget.id}\0${sessionId}`);

function balancesWanted(budget: LedgerBudget, sessionId: string | null): Wanted[] {
  const period = { budget, sessionId: null };
  return budget.sessionLimitNano !== null && sessionId !== null ? [period, { budget, sessionId }] : [period];
}

/** A budget without reset has one period, which began when it was made: any instant before now stands for it. */
function edgesOf(rule: PeriodRule, nowMs: number): { starts: Date; ends: Date | null } {
  const { interval } = rule;
  if (interval === "none") return { starts: new Date(0), ends: null };
  const { startsAtMs, endsAtMs } = periodEdgesAt({ ...rule, interval }, nowMs);
  return { starts: new Date(startsAtMs), ends: new Date(endsAtMs) };
}
