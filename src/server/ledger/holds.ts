import { setTimeout as sleep } from "node:timers/promises";
import type { Clock } from "@/lib/clock";
import { failpoint } from "@/lib/failpoint";
import type { Logger } from "@/lib/logger";
import { nanoUsd, type NanoUsd } from "@/lib/money";
import { LedgerError, type LedgerConnection } from "./ledger-connection";

export type ExtendResult =
  | { outcome: "extended" }
  /** `room`: by how much the tightest of its balances could still be grown. */
  | { outcome: "short"; room: NanoUsd }
  /** The hold has expired, or was never made. */
  | { outcome: "lost" }
  /** The database did not answer in time. Asking again for the same total is safe. */
  | { outcome: "unavailable" };

/** What happens to holds between their making and their settlement. */
export type Holds = {
  /** Makes sure that each of a call's balances holds at least this much: all of them, or none grows. */
  extendTo: (callId: string, totalNano: NanoUsd) => Promise<ExtendResult>;
  /** Renews a hold until `forget`. */
  keep: (callId: string) => void;
  forget: (callId: string) => void;
  /** Gives back the hold of a call that was never sent, whether or not it was made; tried until the database answers. */
  release: (call: { callId: string; orgId: string }) => void;
  /** Renews what is kept, once. */
  renew: () => Promise<void>;
  /** Releases that the database has not confirmed. */
  readonly releasing: number;
  readonly kept: number;
  /** Resolves when nothing is to be released any more, or after `timeoutMs`. */
  drain: (timeoutMs: number) => Promise<void>;
  stop: () => void;
};

type Extension = { callId: string; totalNano: NanoUsd; deadlineMs: number; resolve: (result: ExtendResult) => void };
type ExtendRow = { is_held: boolean[]; is_extended: boolean[]; room: (string | null)[] };

const EXTEND = "select is_held, is_extended, room from extend_reservations($1, $2, $3)";
const RENEW = "select id from renew_reservations($1, $2) as lost (id)";
const RELEASE = "select release_calls($1, $2)";
const BATCH_MAX = 500;
/** An outage may leave thousands of calls of which nobody knows whether they were held; past this, expiry takes care of them. */
const RELEASING_MAX = 100_000;
const RETRY_DELAY_MS_MIN = 50;
const RETRY_DELAY_MS_MAX = 2_000;

export function createHolds({
  connection,
  clock,
  log,
  leaseMs,
  extendTimeoutMs,
}: {
  connection: LedgerConnection;
  clock: Clock;
  log: Pick<Logger, "warn">;
  leaseMs: number;
  extendTimeoutMs: number;
}): Holds {
  const lease = `${leaseMs} milliseconds`;
  const kept = new Set<string>();
  const stopping = new AbortController();
  let extensions: Extension[] = [];
  let extending: Promise<void> | undefined;
  let releases: { callId: string; orgId: string }[] = [];
  let releasing: Promise<void> | undefined;

  function extendTo(callId: string, totalNano: NanoUsd): Promise<ExtendResult> {
    if (stopping.signal.aborted) return Promise.resolve({ outcome: "unavailable" });
    return new Promise((resolve) => {
      extensions.push({ callId, totalNano, deadlineMs: clock.monotonic() + extendTimeoutMs, resolve });
      extending ??= extendAll();
    });
  }

  async function extendAll(): Promise<void> {
    // What is asked for in one go travels together.
    await Promise.resolve();
    while (extensions.length > 0) {
      const batch = extensions.slice(0, BATCH_MAX);
      extensions = extensions.slice(BATCH_MAX);
      await extendBatch(batch);
    }
    extending = undefined;
  }

  async function extendBatch(batch: readonly Extension[]): Promise<void> {
    // Of two wishes for one call the larger counts for both.
    const totals = new Map<string, NanoUsd>();
    for (const { callId, totalNano } of batch) {
      const other = totals.get(callId);
      if (other === undefined || other < totalNano) totals.set(callId, totalNano);
    }
    const callIds = [...totals.keys()];
    try {
      const timeLeftMs = Math.max(1, batch[0]!.deadlineMs - clock.monotonic());
      const [row] = await connection.query<ExtendRow>(EXTEND, [callIds, [...totals.values()], lease], timeLeftMs);
      failpoint("after-extend");
      const places = new Map(callIds.map((callId, i) => [callId, i]));
      for (const { callId, resolve } of batch) resolve(extendResultOf(row!, places.get(callId)!));
    } catch (error) {
      if (!(error instanceof LedgerError)) log.warn({ err: error, count: batch.length }, "holds could not be extended");
      for (const { resolve } of batch) resolve({ outcome: "unavailable" });
    }
  }

  async function renew(): Promise<void> {
    const callIds = [...kept];
    let lostCount = 0;
    for (let start = 0; start < callIds.length && !stopping.signal.aborted; start += BATCH_MAX) {
      const lost = await connection.query<{ id: string }>(RENEW, [callIds.slice(start, start + BATCH_MAX), lease]);
      // One that was settled meanwhile is not held either, and was forgotten for that.
      for (const { id } of lost) if (kept.delete(id)) lostCount += 1;
    }
    if (lostCount > 0) log.warn({ count: lostCount }, "holds of live calls had expired; their settlement corrects it");
  }

  function release(call: { callId: string; orgId: string }): void {
    kept.delete(call.callId);
    if (releases.length >= RELEASING_MAX) return;
    releases.push(call);
    releasing ??= releaseAll();
  }

  async function releaseAll(): Promise<void> {
    await Promise.resolve();
    for (let attempt = 1; releases.length > 0 && !stopping.signal.aborted; attempt += 1) {
      const batch = releases.slice(0, BATCH_MAX);
      try {
        await connection.query(RELEASE, [batch.map(({ callId }) => callId), batch.map(({ orgId }) => orgId)]);
        releases = releases.slice(batch.length);
        attempt = 0;
      } catch (error) {
        if (attempt === 1) log.warn({ err: error, count: releases.length }, "holds wait to be given back");
        const delayMs = Math.min(RETRY_DELAY_MS_MAX, RETRY_DELAY_MS_MIN * 2 ** Math.min(attempt, 10));
        await sleep(delayMs * (0.5 + Math.random() / 2), undefined, { signal: stopping.signal, ref: false }).catch(() => {});
      }
    }
    releasing = undefined;
  }

  return {
    extendTo,
    keep: (callId) => void kept.add(callId),
    forget: (callId) => void kept.delete(callId),
    release,
    renew,
    get releasing() {
      return releases.length;
    },
    get kept() {
      return kept.size;
    },
    async drain(timeoutMs) {
      if (releasing === undefined) return;
      const timeout = new AbortController();
      const late = sleep(timeoutMs, undefined, { signal: timeout.signal }).catch(() => {});
      await Promise.race([releasing, late]);
      timeout.abort();
    },
    stop: () => stopping.abort(),
  };
}

function extendResultOf(row: ExtendRow, place: number): ExtendResult {
  if (!row.is_held[place]) return { outcome: "lost" };
  if (row.is_extended[place]) return { outcome: "extended" };
  return { outcome: "short", room: nanoUsd(BigInt(row.room[place] ?? 0)) };
}
