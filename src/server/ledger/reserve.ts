import type { Clock } from "@/lib/clock";
import type { Logger } from "@/lib/logger";
import { nanoUsd, type NanoUsd } from "@/lib/money";
import { failpoint } from "@/lib/failpoint";
import type { CostEventRecord } from "@/server/events/cost-event";
import { arrayLiteral, arrayOfLiterals } from "./array-literal";
import { keyOf, type Balance, type Balances } from "./balances";
import { balancesWanted, type LedgerBudget, type WantedBalance } from "./budget-line";
import { createBatchQueue } from "./batch";
import { eventRow } from "./event-row";
import { LedgerError, type LedgerConnection } from "./ledger-connection";

/** A budget that matches the call, and what the call counts for in it. */
export type ReserveLine<Budget extends LedgerBudget = LedgerBudget> = {
  budget: Budget;
  /** What is held in the budget's period: the most that the call can cost, or a learned size for a budget that holds the expected. */
  bound: NanoUsd;
  /** Held for the session, whose limit is always hard. Default `bound`. */
  sessionBound?: NanoUsd;
  /** Counted in the velocity window until the call is settled. Default `bound`. */
  velocity?: NanoUsd;
};

export type ReserveRequest<Budget extends LedgerBudget = LedgerBudget> = {
  /** Id of the cost event that the call will have. */
  callId: string;
  orgId: string;
  /** The configuration that the budgets were chosen by; another one in the database answers `stale`. */
  configVersion: bigint;
  sessionId: string | null;
  /** All budgets that match; at least one. */
  lines: readonly ReserveLine<Budget>[];
  /** What a stream that can be extended and cut may start on; null: all or nothing. */
  floor: NanoUsd | null;
  /** The event as far as it is known now: what is settled if this process dies. */
  draft: CostEventRecord;
  /** How long the hold outlives its last renewal. Default 2 minutes. */
  leaseMs?: number;
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
  /** `room`: the most that `by` would have held. Limits are as the call found them. */
  | { outcome: "denied"; by: LimitState<Budget>; room: NanoUsd; limits: readonly LimitState<Budget>[] }
  /** The caller's configuration is not the database's: read it again. */
  | { outcome: "stale" }
  /** The database did not decide in time. Nothing stays held; nothing may be sent. */
  | { outcome: "unavailable" };

export type ReserveLimits = {
  /** Calls, and lines of calls, that are decided in one statement. */
  batchCallsMax: number;
  batchLinesMax: number;
  /** Calls that may wait for a decision; beyond it they are told `unavailable` at once. */
  waitingMax: number;
  /** A call is told `unavailable` when it has waited so long. */
  decisionTimeoutMs: number;
  leaseMs: number;
};

export const RESERVE_LIMITS: ReserveLimits = {
  batchCallsMax: 384,
  batchLinesMax: 2_048,
  waitingMax: 20_000,
  decisionTimeoutMs: 1_500,
  leaseMs: 120_000,
};

/** Counted since the process began, for `/metrics`. */
export type ReserveStats = { held: number; reduced: number; denied: number; stale: number; unavailable: number; batches: number };

export type Reserver = {
  reserve<Budget extends LedgerBudget>(request: ReserveRequest<Budget>): Promise<ReserveResult<Budget>>;
  readonly waiting: number;
  readonly stats: Readonly<ReserveStats>;
  stop(): Promise<void>;
};

export type ReserverOptions = {
  connection: LedgerConnection;
  balances: Balances;
  clock: Clock;
  log: Pick<Logger, "warn" | "error">;
  limits?: Partial<ReserveLimits>;
  /** Gives back the hold of a call of which nobody knows whether it was made. */
  release: (call: { callId: string; orgId: string }) => void;
};

type Line = { budget: LedgerBudget; kind: LimitState["kind"]; amount: NanoUsd; balance: Balance | null };

type Pending = {
  request: ReserveRequest;
  draft: string;
  lines: Line[];
  deadlineMs: number;
  openings: number;
  bytes: number;
  resolve: (result: ReserveResult) => void;
};

type ReserveRow = {
  held: number[] | null;
  refused_place: number[] | null;
  room: (string | null)[] | null;
  limits: (string | null)[];
  spent: (string | null)[];
  reserved: (string | null)[];
  ends_at_ms: (string | null)[];
  cool_until_ms: (string | null)[];
};

const RESERVE_CALLS =
  "select held, refused_place, room, limits, spent, reserved, ends_at_ms, cool_until_ms" +
  " from reserve_calls($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)";
const LOCKED_BALANCES =
  "select id from unnest($1::bigint[]) as wanted (id) where id not in" +
  " (select id from budget_balance where id = any ($1::bigint[]) for no key update skip locked)";

const NO_LINES: readonly Line[] = [];
const STALE_CONFIGURATION = -1;
const NOT_CURRENT = -2;
/** A period that ends while its calls are on their way, or a clock that is off, takes two; more is something else. */
const OPENINGS_MAX = 3;
/** Less than a statement is sure to need: a call with less time left is not sent. */
const TIME_LEFT_MIN_MS = 50;
const WAITING_CHECKED_EVERY_MS = 50;
/** More than any budget can have ($9,000,000): what is larger never fits, and sums of it fit the column. */
const AMOUNT_MAX = nanoUsd(9_000_000_000_000_001n);
const NO_LIMIT = 9_223_372_036_854_775_807n;

/**
 * Batches decisions: what arrives while a statement runs goes together in the next one, in the order of arrival. One connection,
 * because statements side by side would only queue for the same rows.
 */
export function createReserver(options: ReserverOptions): Reserver {
  const { connection, balances, clock, log, release } = options;
  const limits = { ...RESERVE_LIMITS, ...options.limits };
  const queue = createBatchQueue<Pending>();
  const stats: ReserveStats = { held: 0, reduced: 0, denied: 0, stale: 0, unavailable: 0, batches: 0 };
  /** Balances that somebody else kept locked for longer than we wait: looked at before a batch waits for them again. */
  const lockedElsewhere = new Set<string>();
  let unopened: Pending[] = [];
  let opening: Promise<void> | undefined;
  let working: Promise<void> | undefined;
  let impatience: NodeJS.Timeout | undefined;
  let stopped = false;

  function reserve<Budget extends LedgerBudget>(request: ReserveRequest<Budget>): Promise<ReserveResult<Budget>> {
    if (request.lines.length === 0) throw new Error("a call without a budget has nothing to reserve");
    if (stopped || queue.length >= limits.waitingMax) return Promise.resolve(unavailable());
    return new Promise((resolve) => {
      const pending: Pending = {
        request,
        draft: eventRow(request.draft, clock).json,
        lines: [],
        deadlineMs: clock.monotonic() + limits.decisionTimeoutMs,
        openings: 0,
        bytes: 1,
        // The caller's own kind of budget goes in and comes out; in between only the ledger's part of it is looked at.
        resolve: resolve as (result: ReserveResult) => void,
      };
      enqueue(pending);
    });
  }

  function unavailable(): { outcome: "unavailable" } {
    stats.unavailable += 1;
    return { outcome: "unavailable" };
  }

  function enqueue(pending: Pending): void {
    const lines = linesOf(pending.request);
    if (lines === undefined) return open(pending);
    pending.lines = lines;
    pending.bytes = lines.length;
    queue.push(pending);
    working ??= work();
  }

  /** Undefined where a balance is not known yet. */
  function linesOf(request: ReserveRequest): Line[] | undefined {
    const lines: Line[] = [];
    for (const line of request.lines) {
      const { budget } = line;
      for (const wanted of balancesWanted(budget, request.sessionId)) {
        const balance = balances.find(wanted, request.configVersion);
        if (balance === undefined) return undefined;
        const isSession = wanted.sessionId !== null;
        lines.push({
          budget,
          kind: isSession ? "session" : "budget",
          amount: storableAmount(isSession ? (line.sessionBound ?? line.bound) : line.bound),
          balance,
        });
      }
      if (budget.velocity !== null) {
        lines.push({ budget, kind: "velocity", amount: storableAmount(line.velocity ?? line.bound), balance: null });
      }
    }
    return lines;
  }

  function open(pending: Pending): void {
    unopened.push(pending);
    opening ??= openAll();
  }

  async function openAll(): Promise<void> {
    // A thousand calls of a new session want the same few balances: they are asked for once.
    await Promise.resolve();
    while (unopened.length > 0) {
      const batch = unopened.slice(0, limits.batchCallsMax);
      unopened = unopened.slice(batch.length);
      try {
        await openBalances(batch);
      } catch (error) {
        log.warn({ err: error, count: batch.length }, "the balances of calls could not be opened");
        for (const pending of batch) giveUp(pending, { isHoldPossible: false });
      }
    }
    opening = undefined;
  }

  async function openBalances(batch: readonly Pending[]): Promise<void> {
    const nowMs = clock.monotonic();
    const inTime = batch.filter((pending) => pending.deadlineMs - nowMs >= TIME_LEFT_MIN_MS && ++pending.openings <= OPENINGS_MAX);
    for (const pending of batch) if (!inTime.includes(pending)) giveUp(pending, { isHoldPossible: false });
    if (inTime.length === 0) return;

    const places = new Map<string, number>();
    const missing: WantedBalance[] = [];
    const versions: bigint[] = [];
    const missingOf = inTime.map(({ request }) =>
      wantedOf(request)
        .filter((wanted) => balances.find(wanted, request.configVersion) === undefined)
        .map((wanted) => {
          const key = `${request.configVersion} ${keyOf(wanted)}`;
          const known = places.get(key);
          if (known !== undefined) return known;
          places.set(key, missing.length);
          versions.push(request.configVersion);
          return missing.push(wanted) - 1;
        }),
    );
    const answers = missing.length === 0 ? [] : await balances.open(missing, versions, inTime[0]!.deadlineMs - nowMs);
    inTime.forEach((pending, i) => {
      if (!missingOf[i]!.some((place) => answers[place] === "stale")) return enqueue(pending);
      stats.stale += 1;
      pending.resolve({ outcome: "stale" });
    });
  }

  async function work(): Promise<void> {
    impatience = setInterval(giveUpOnLate, WAITING_CHECKED_EVERY_MS);
    // What is asked for in one go is decided together.
    await Promise.resolve();
    while (queue.length > 0) {
      const batch = queue.take({ itemsMax: limits.batchCallsMax, bytesMax: limits.batchLinesMax });
      stats.batches += 1;
      try {
        await decide(await withoutLocked(batch));
      } catch (error) {
        // A bug: whatever it was, the callers must not wait for ever, and nothing may stay held.
        log.error({ err: error, count: batch.length }, "a batch of calls could not be decided");
        for (const pending of batch) giveUp(pending, { isHoldPossible: true });
      }
    }
    clearInterval(impatience);
    working = undefined;
  }

  /** Those that wait behind a statement that hangs are told in time, and were never sent. */
  function giveUpOnLate(): void {
    const nowMs = clock.monotonic();
    while (queue.length > 0 && queue.first!.deadlineMs <= nowMs) {
      for (const pending of queue.take({ itemsMax: 1, bytesMax: 0 })) giveUp(pending, { isHoldPossible: false });
    }
  }

  function giveUp({ request, resolve }: Pending, { isHoldPossible }: { isHoldPossible: boolean }): void {
    if (isHoldPossible) release({ callId: request.callId, orgId: request.orgId });
    resolve(unavailable());
  }

  /** Decides each of them, or tells them that it cannot. */
  async function decide(batch: readonly Pending[]): Promise<void> {
    if (batch.length === 0) return;
    const timeLeftMs = batch[0]!.deadlineMs - clock.monotonic();
    if (timeLeftMs < TIME_LEFT_MIN_MS) {
      giveUp(batch[0]!, { isHoldPossible: false });
      return decide(batch.slice(1));
    }
    try {
      await decideNow(batch, timeLeftMs);
    } catch (error) {
      if (!(error instanceof LedgerError)) throw error;
      log.warn({ err: error, count: batch.length, status: error.failure }, "calls could not be decided");
      switch (error.failure) {
        case "unavailable":
          for (const pending of batch) giveUp(pending, { isHoldPossible: error.outcomeUnknown });
          return;
        case "busy":
          for (const id of new Set(batch.flatMap(balanceIdsOf))) lockedElsewhere.add(id);
          return decide(await withoutLocked(batch));
        case "too_slow":
        case "rejected":
          // Nothing was written. One call that the database refuses must not take the others with it.
          if (batch.length === 1) return giveUp(batch[0]!, { isHoldPossible: false });
          await decide(batch.slice(0, batch.length >> 1));
          return decide(batch.slice(batch.length >> 1));
      }
    }
  }

  /** Tells the calls whose balances are locked by somebody else, so that the others need not wait with them. */
  async function withoutLocked(batch: readonly Pending[]): Promise<readonly Pending[]> {
    if (lockedElsewhere.size === 0) return batch;
    const suspects = [...new Set(batch.flatMap(balanceIdsOf))].filter((id) => lockedElsewhere.has(id));
    if (suspects.length === 0) return batch;
    let locked: Set<string>;
    try {
      locked = new Set((await connection.query<{ id: string }>(LOCKED_BALANCES, [suspects])).map(({ id }) => id));
    } catch (error) {
      if (!(error instanceof LedgerError)) throw error;
      for (const pending of batch) giveUp(pending, { isHoldPossible: false });
      return [];
    }
    for (const id of suspects) if (!locked.has(id)) lockedElsewhere.delete(id);
    if (locked.size === 0) return batch;
    const isStopped = (pending: Pending): boolean => balanceIdsOf(pending).some((id) => locked.has(id));
    for (const pending of batch) if (isStopped(pending)) giveUp(pending, { isHoldPossible: false });
    return batch.filter((pending) => !isStopped(pending));
  }

  async function decideNow(batch: readonly Pending[], timeLeftMs: number): Promise<void> {
    const places = placesOf(batch);
    const [row] = await connection.query<ReserveRow>(RESERVE_CALLS, parametersOf(batch, places), timeLeftMs);
    failpoint("after-reserve");
    if (row === undefined) throw new Error("reserve_calls answered nothing");
    // The row tells how the limits stood before the batch; what the calls before one were given is added as we go.
    const added: bigint[] = Array.from({ length: row.limits.length }, () => 0n);
    batch.forEach((pending, i) => {
      const refusedPlace = row.refused_place === null ? 0 : row.refused_place[i]!;
      if (refusedPlace === STALE_CONFIGURATION) {
        stats.stale += 1;
        return pending.resolve({ outcome: "stale" });
      }
      if (refusedPlace === NOT_CURRENT) {
        for (const wanted of wantedOf(pending.request)) balances.forget(wanted);
        return enqueue(pending);
      }
      if (refusedPlace > 0) return pending.resolve(denied(pending, i, row, added, places));
      const reduced = row.held !== null && row.held[i] === 2;
      for (const line of pending.lines) added[places.of(line) - 1]! += amountHeld(line, pending.request.floor, reduced);
      stats.held += 1;
      if (reduced) stats.reduced += 1;
      pending.resolve({ outcome: "held", reduced, limits: limitStates(pending, row, added, places) });
    });
  }

  function denied(pending: Pending, i: number, row: ReserveRow, added: readonly bigint[], places: Places): ReserveResult {
    stats.denied += 1;
    const states = limitStates(pending, row, added, places);
    const by = states[pending.lines.findIndex((line) => places.of(line) === row.refused_place![i])]!;
    const room = BigInt(row.room![i] ?? 0);
    return { outcome: "denied", by, room: nanoUsd(room > 0n ? room : 0n), limits: states };
  }

  function parametersOf(batch: readonly Pending[], places: Places): unknown[] {
    const orgs = new Map<string, { place: number; orgId: string; version: bigint }>();
    const callOrgs: number[] = [];
    const ofBalances: string[] = [];
    const ofVelocities: string[] = [];
    const bounds: string[] = [];
    const reduced: (string | null)[] = [];
    const linePlaces: number[] = [];
    const lineBounds: bigint[] = [];
    for (const { request, lines } of batch) {
      const orgKey = `${request.orgId} ${request.configVersion}`;
      let org = orgs.get(orgKey);
      if (org === undefined) orgs.set(orgKey, (org = { place: orgs.size + 1, orgId: request.orgId, version: request.configVersion }));
      callOrgs.push(org.place);
      const inBalances = lines.filter(({ balance }) => balance !== null);
      const inWindows = lines.length === inBalances.length ? NO_LINES : lines.filter(({ balance }) => balance === null);
      const stored = inWindows.length === 0 ? inBalances : [...inBalances, ...inWindows];
      ofBalances.push(arrayLiteral(inBalances.map(({ balance }) => balance!.idText)));
      ofVelocities.push(inWindows.length === 0 ? "{}" : arrayLiteral(inWindows.map(({ budget }) => budget.id)));
      bounds.push(arrayLiteral(stored.map(({ amount }) => amount)));
      reduced.push(request.floor === null ? null : arrayLiteral(stored.map((line) => amountHeld(line, request.floor, true))));
      for (const line of lines) {
        linePlaces.push(places.of(line));
        lineBounds.push(line.amount);
      }
    }
    const known = [...orgs.values()];
    return [
      arrayLiteral(known.map(({ orgId }) => orgId)),
      arrayLiteral(known.map(({ version }) => version)),
      arrayLiteral(places.balanceIds),
      arrayLiteral(places.velocityIds),
      arrayLiteral(batch.map(({ request }) => request.callId)),
      arrayLiteral(callOrgs),
      batch.map(({ request }) => request.sessionId),
      arrayLiteral(batch.map(({ request }) => request.floor)),
      arrayLiteral(batch.map(({ request }) => Math.max(1, Math.round((request.leaseMs ?? limits.leaseMs) / 1000)))),
      arrayOfLiterals(ofBalances),
      arrayOfLiterals(ofVelocities),
      arrayOfLiterals(bounds),
      arrayOfLiterals(reduced),
      // JSON has no line break of its own.
      batch.map(({ draft }) => draft).join("\n"),
      arrayLiteral(batch.map(({ lines }) => lines.length)),
      arrayLiteral(linePlaces),
      arrayLiteral(lineBounds),
    ];
  }

  return {
    reserve,
    get waiting() {
      return queue.length;
    },
    stats,
    async stop() {
      stopped = true;
      await opening;
      await working;
    },
  };
}

type Places = { balanceIds: string[]; velocityIds: string[]; of: (line: Line) => number };

/** Numbers what limits the calls of a batch through, from 1: balances first. */
function placesOf(batch: readonly Pending[]): Places {
  const byBalance = new Map<string, number>();
  const byVelocity = new Map<string, number>();
  for (const { lines } of batch) {
    for (const { balance, budget } of lines) {
      if (balance === null) {
        if (!byVelocity.has(budget.id)) byVelocity.set(budget.id, byVelocity.size + 1);
      } else if (!byBalance.has(balance.idText)) byBalance.set(balance.idText, byBalance.size + 1);
    }
  }
  return {
    balanceIds: [...byBalance.keys()],
    velocityIds: [...byVelocity.keys()],
    of: ({ balance, budget }) => (balance === null ? byBalance.size + byVelocity.get(budget.id)! : byBalance.get(balance.idText)!),
  };
}

function limitStates({ lines }: Pending, row: ReserveRow, added: readonly bigint[], places: Places): LimitState[] {
  return lines.map((line) => {
    const at = places.of(line) - 1;
    const spent = BigInt(row.spent[at] ?? 0);
    const coolUntil = row.cool_until_ms[at];
    const endsAt = row.ends_at_ms[at];
    return {
      budget: line.budget,
      kind: line.kind,
      balanceId: line.balance?.id ?? null,
      limit: nanoUsd(BigInt(row.limits[at] ?? NO_LIMIT)),
      spent: nanoUsd(line.kind === "velocity" ? spent + added[at]! : spent),
      reserved: nanoUsd(line.kind === "velocity" ? 0n : BigInt(row.reserved[at] ?? 0) + added[at]!),
      endsAtMs: endsAt == null ? null : Number(endsAt),
      coolUntilMs: coolUntil == null ? null : Number(coolUntil),
    };
  });
}

/** A velocity window counts a call in full also where less is held for its beginning. */
function amountHeld({ kind, amount }: Line, floor: NanoUsd | null, reduced: boolean): NanoUsd {
  return reduced && kind !== "velocity" && floor !== null && floor < amount ? floor : amount;
}

const storableAmount = (amount: NanoUsd): NanoUsd => (amount > AMOUNT_MAX ? AMOUNT_MAX : amount < 0n ? nanoUsd(0n) : amount);

const wantedOf = ({ lines, sessionId }: ReserveRequest): WantedBalance[] =>
  lines.flatMap(({ budget }) => balancesWanted(budget, sessionId));

const balanceIdsOf = ({ lines }: Pending): string[] => lines.flatMap(({ balance }) => (balance === null ? [] : [balance.idText]));
