import { setTimeout as sleep } from "node:timers/promises";
import type { Clock } from "@/lib/clock";
import { ServiceError } from "@/lib/errors";
import type { LogFields, Logger } from "@/lib/logger";
import { nanoToMicrodollars } from "@/lib/money";
import type { CostEventRecord } from "@/server/events/cost-event";
import { arrayLiteral } from "./array-literal";
import { createBatchQueue } from "./batch";
import { isToldDenial } from "./told-denials";
import { eventRow, storable, withoutDetails, type EventRow } from "./event-row";
import { createLedgerConnection, LedgerError, type LedgerConnection } from "./ledger-connection";
import type { SettleDoor, Settlement, SettleResult } from "./settle-door";

export type SettleLimits = {
  /** Events in one statement; more make each wait longer without raising what goes through. */
  batchEventsMax: number;
  batchBytesMax: number;
  /**
   * Batches begin at least this far apart, unless a full one waits. A lone event is written at once; under load a batch gathers, so
   * that a thousand calls a second cost a hundred statements.
   */
  batchIntervalMs: number;
  /** `accepting` turns false at either. What is handed over all the same is taken: those calls have happened. */
  backlogEventsMax: number;
  backlogBytesMax: number;
  connectTimeoutMs: number;
  statementTimeoutMs: number;
  lockTimeoutMs: number;
  /** The longest wait between two tries while the database is away. */
  retryDelayMsMax: number;
};

export const SETTLE_LIMITS: SettleLimits = {
  batchEventsMax: 500,
  batchBytesMax: 4 * 1024 * 1024,
  batchIntervalMs: 10,
  backlogEventsMax: 200_000,
  backlogBytesMax: 256 * 1024 * 1024,
  connectTimeoutMs: 3_000,
  statementTimeoutMs: 5_000,
  lockTimeoutMs: 2_000,
  retryDelayMsMax: 2_000,
};

/** Counted since the process began, for `/metrics`. */
export type SettleStats = {
  recorded: number;
  deduplicated: number;
  batches: number;
  /** Attempts that failed and were made again. */
  retries: number;
  /** Events the database refused as they were, stored without their details. Should be zero. */
  reduced: number;
  /** Events the database refused in every form: not stored, in the log instead. Must be zero. */
  refused: number;
};

export type SettleDoorOptions = {
  connectionString: string;
  clock: Clock;
  log: Logger;
  /** Called with the events of each commit, after it, in order; reported costs told before are not among them. */
  onSettled?: (events: readonly CostEventRecord[]) => void;
  limits?: Partial<SettleLimits>;
};

export type MeasuredSettleDoor = SettleDoor & { readonly stats: Readonly<SettleStats> };

type Pending = EventRow & {
  event: CostEventRecord;
  budgets: Settlement["budgets"];
  denial: Settlement["denial"];
  bytes: number;
  resolve: (result: SettleResult) => void;
  reject: (error: Error) => void;
};

/** `stored_id` null: the earlier report was deleted between two statements. */
type DuplicateRow = { event_id: string; stored_id: string | null };

const SETTLE_CALLS = "select event_id, stored_id from settle_calls($1, $2, $3, $4)";
/** What a waiting event occupies besides its JSON: the record it was made of, promise and queue slot (1,950 of 3,040 bytes measured). */
const PENDING_OVERHEAD_BYTES = 2_000;
const RETRY_DELAY_MS_MIN = 25;
/** An outage of an hour is to be seen in the log, not to fill it. */
const LOG_RETRIES_EVERY_MS = 10_000;

/** What the log keeps of an event that the database may never see. */
const moneyOf = (event: CostEventRecord): LogFields => ({
  requestId: event.id,
  orgId: event.orgId,
  keyId: event.apiKeyId ?? undefined,
  provider: event.provider,
  model: event.model,
  inputTokens: event.inputTokens ?? undefined,
  outputTokens: event.outputTokens ?? undefined,
  costMicrodollars: event.costNano === null ? undefined : nanoToMicrodollars(event.costNano),
  costBasis: event.costBasis,
});

/** What others are told of refused calls, as `settle_calls` takes it; null when nothing is. */
function denialsOf(rows: readonly Pending[]): string | null {
  const denials = rows.flatMap(({ event, denial }) =>
    denial !== undefined || isToldDenial(event)
      ? [{ org_id: event.orgId, event_id: event.id, balance_id: denial?.balanceId?.toString(), details: denial?.details }]
      : [],
  );
  return denials.length === 0 ? null : JSON.stringify(denials, storable);
}

const stopped = (): ServiceError => new ServiceError("shutting_down", "the process stopped before this could be stored");

/**
 * One writer: batches follow one another on one connection and each holds what arrived during the one before. A batch whose outcome
 * is unknown is sent again unchanged, which is safe because ids are unique and sums grow only by what was inserted.
 */
export function createSettleDoor(options: SettleDoorOptions): MeasuredSettleDoor {
  const { clock, log, onSettled } = options;
  const limits = { ...SETTLE_LIMITS, ...options.limits };
  const connection: LedgerConnection = createLedgerConnection({ ...limits, ...options, applicationName: "nullspend-ledger" });
  const queue = createBatchQueue<Pending>();
  const stopping = new AbortController();
  const stats: SettleStats = { recorded: 0, deduplicated: 0, batches: 0, retries: 0, reduced: 0, refused: 0 };

  /** Taken from the queue and not yet durable. */
  let inFlight = 0;
  let inFlightBytes = 0;
  let writer: Promise<void> | undefined;
  let lastBatchAtMs = -Infinity;
  let batchFull: (() => void) | undefined;
  let emptied: (() => void)[] = [];
  /** Shrinks while statements take too long. */
  let batchEventsMax = limits.batchEventsMax;
  let lastRetryLogAtMs = -Infinity;
  let outageLogged = false;

  const backlog = (): number => queue.length + inFlight;

  function settle({ event, budgets, denial }: Settlement): Promise<SettleResult> {
    if (stopping.signal.aborted) {
      log.error(moneyOf(event), "an event came after the settle door had stopped");
      return Promise.reject(stopped());
    }
    const promise = new Promise<SettleResult>((resolve, reject) => {
      const { json, lockKey } = eventRow(event, clock, budgets);
      queue.push({ json, lockKey, event, budgets, denial, bytes: json.length + PENDING_OVERHEAD_BYTES, resolve, reject });
    });
    // Most callers do not wait for the result; the failure is in the log and must not end the process.
    promise.catch(() => {});
    if (queue.length >= batchEventsMax) batchFull?.();
    writer ??= write();
    return promise;
  }

  async function write(): Promise<void> {
    // What is handed over in one go travels together.
    await Promise.resolve();
    while (queue.length > 0 && !stopping.signal.aborted) {
      await gather();
      const batch = queue.take({ itemsMax: batchEventsMax, bytesMax: limits.batchBytesMax });
      inFlight = batch.length;
      inFlightBytes = batch.reduce((sum, { bytes }) => sum + bytes, 0);
      lastBatchAtMs = clock.monotonic();
      await store(batch);
    }
    writer = undefined;
    if (backlog() === 0) {
      for (const resolve of emptied) resolve();
      emptied = [];
    }
  }

  async function gather(): Promise<void> {
    const waitMs = lastBatchAtMs + limits.batchIntervalMs - clock.monotonic();
    if (waitMs <= 0 || queue.length >= batchEventsMax) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, waitMs);
      batchFull = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    batchFull = undefined;
  }

  /** Returns when every event of the batch is durable or refused for good, or when the door was stopped. */
  async function store(batch: readonly Pending[]): Promise<void> {
    // Unlimited on purpose: memory is the only place where these events are. `accepting` bounds how much gathers behind them.
    for (let attempt = 1; !stopping.signal.aborted; attempt += 1) {
      try {
        return finish(batch, await send(batch));
      } catch (error) {
        if (!(error instanceof LedgerError)) throw error;
        switch (error.failure) {
          case "rejected":
            return batch.length > 1 ? storeHalves(batch) : storeRefused(batch[0]!, error);
          case "too_slow":
            batchEventsMax = Math.max(1, batch.length >> 1);
            if (batch.length > 1) return storeHalves(batch);
            break;
          case "busy":
          case "unavailable":
            break;
        }
        await beforeRetry(attempt, error);
      }
    }
    for (const { reject } of batch) reject(stopped());
  }

  async function storeHalves(batch: readonly Pending[]): Promise<void> {
    const half = batch.length >> 1;
    await store(batch.slice(0, half));
    await store(batch.slice(half));
  }

  /** The database refuses this one event. Its money is stored without what it says beside; failing that, all of it goes to the log. */
  async function storeRefused(pending: Pending, reason: LedgerError): Promise<void> {
    const { event } = pending;
    const reduced = withoutDetails(event);
    const fields = { ...moneyOf(event), err: reason };
    for (let attempt = 1; !stopping.signal.aborted; attempt += 1) {
      try {
        const row = { ...pending, ...eventRow(reduced, clock, pending.budgets), event: reduced, denial: undefined };
        finish([row], await send([row]));
        stats.reduced += 1;
        log.error(fields, "the database refused an event; it was stored without its details");
        return;
      } catch (error) {
        if (!(error instanceof LedgerError)) throw error;
        if (error.failure === "rejected") {
          stats.refused += 1;
          log.error({ ...fields, err: error }, "the database refused an event in every form; it is NOT stored");
          settled(pending);
          pending.reject(new ServiceError("internal_error", "this event could not be stored", null, error));
          return;
        }
        await beforeRetry(attempt, error);
      }
    }
    pending.reject(stopped());
  }

  async function send(batch: readonly Pending[]): Promise<DuplicateRow[]> {
    const rows = batch.toSorted((a, b) => (a.lockKey < b.lockKey ? -1 : a.lockKey > b.lockKey ? 1 : 0));
    const duplicates = await connection.query<DuplicateRow>(SETTLE_CALLS, [
      `[${rows.map(({ json }) => json).join(",")}]`,
      rows.length,
      arrayLiteral(rows.filter(({ budgets }) => budgets?.held).map(({ event }) => event.id)),
      denialsOf(rows),
    ]);
    if (duplicates.some(({ stored_id }) => stored_id === null)) throw new LedgerError("busy", "an earlier report was deleted meanwhile");
    return duplicates;
  }

  function finish(batch: readonly Pending[], duplicates: readonly DuplicateRow[]): void {
    const storedIds = new Map(duplicates.map(({ event_id, stored_id }) => [event_id, stored_id]));
    if (outageLogged) log.info({ count: backlog(), attempt: stats.retries }, "settling goes on");
    outageLogged = false;
    stats.batches += 1;
    stats.recorded += batch.length - storedIds.size;
    stats.deduplicated += storedIds.size;
    if (batchEventsMax < limits.batchEventsMax) batchEventsMax += 1;
    if (onSettled !== undefined) {
      const recorded = batch.filter(({ event }) => !storedIds.has(event.id)).map(({ event }) => event);
      try {
        onSettled(recorded);
      } catch (error) {
        log.error({ err: error }, "a listener for settled events failed");
      }
    }
    for (const pending of batch) {
      const storedId = storedIds.get(pending.event.id);
      settled(pending);
      pending.resolve(storedId ? { id: storedId, outcome: "deduplicated" } : { id: pending.event.id, outcome: "recorded" });
    }
  }

  function settled({ bytes }: Pending): void {
    inFlight -= 1;
    inFlightBytes -= bytes;
  }

  async function beforeRetry(attempt: number, error: LedgerError): Promise<void> {
    stats.retries += 1;
    const nowMs = clock.monotonic();
    if (nowMs - lastRetryLogAtMs >= LOG_RETRIES_EVERY_MS) {
      lastRetryLogAtMs = nowMs;
      outageLogged = true;
      log.warn({ err: error, status: error.failure, attempt, count: backlog() }, "settling waits for the database");
    }
    const delayMs = Math.min(limits.retryDelayMsMax, RETRY_DELAY_MS_MIN * 2 ** Math.min(attempt - 1, 16));
    // Jitter: processes that lost the database together do not come back in step.
    await sleep(delayMs * (0.5 + Math.random() / 2), undefined, { signal: stopping.signal }).catch(() => {});
  }

  async function drain(timeoutMs: number): Promise<number> {
    if (backlog() === 0) return 0;
    const timeout = new AbortController();
    const empty = new Promise<void>((resolve) => emptied.push(resolve)).then(() => timeout.abort());
    await Promise.race([empty, sleep(timeoutMs, undefined, { signal: timeout.signal }).catch(() => {})]);
    return backlog();
  }

  async function stop(): Promise<void> {
    if (stopping.signal.aborted) return;
    stopping.abort();
    batchFull?.();
    connection.close();
    await writer;
    const left = backlog();
    for (const { reject } of queue.take({ itemsMax: queue.length, bytesMax: Infinity })) reject(stopped());
    if (left > 0) log.error({ count: left }, "the process stops with events that are not durable");
  }

  return {
    settle,
    drain,
    stop,
    get backlog() {
      return backlog();
    },
    get accepting() {
      return backlog() < limits.backlogEventsMax && queue.bytes + inFlightBytes < limits.backlogBytesMax && !stopping.signal.aborted;
    },
    get stats() {
      return stats;
    },
  };
}
