import type { Clock } from "@/lib/clock";
import { failpoint } from "@/lib/failpoint";
import type { CostEventRecord } from "@/server/events/cost-event";
import { arrayLiteral } from "./array-literal";
import { eventRow } from "./event-row";
import type { LedgerConnection } from "./ledger-connection";

/** A call that was sent and that no budget limits: nothing is held for it, so nothing in the database knows of it until it ends. */
export type WatchedCall = {
  callId: string;
  orgId: string;
  /** The event as far as it is known: what is recorded if this process dies. Asked for only if the call lasts. */
  draft: () => CostEventRecord;
};

/** Writes down calls that last, so that a process that dies takes only those with it that began within the last moment. */
export type Journal = {
  watch: (call: WatchedCall) => void;
  /** Answers whether the call has been written down: its settlement then has to say `held`. */
  unwatch: (callId: string) => boolean;
  /** Writes down what is under way and not written yet. */
  write: () => Promise<void>;
  readonly watched: number;
};

type Watched = WatchedCall & { isSent: boolean; isWritten: boolean };

const JOURNAL = "select journal_calls($1, $2, $3, $4)";
const BATCH_MAX = 500;

export function createJournal({
  connection,
  clock,
  leaseMs,
  keep,
  forget,
}: {
  connection: LedgerConnection;
  clock: Clock;
  leaseMs: number;
  /** Renews what was written, until `forget`. */
  keep: (callId: string) => void;
  forget: (callId: string) => void;
}): Journal {
  const lease = `${leaseMs} milliseconds`;
  const calls = new Map<string, Watched>();

  async function write(): Promise<void> {
    const unwritten = [...calls.values()].filter(({ isWritten }) => !isWritten);
    for (let start = 0; start < unwritten.length; start += BATCH_MAX) {
      // Those that ended while the batch before them was written have their event.
      const batch = unwritten.slice(start, start + BATCH_MAX).filter(({ callId }) => calls.has(callId));
      if (batch.length === 0) continue;
      // Before the answer: one that ends meanwhile must not leave its line behind.
      for (const call of batch) call.isSent = true;
      await connection.query(JOURNAL, [
        arrayLiteral(batch.map(({ callId }) => callId)),
        arrayLiteral(batch.map(({ orgId }) => orgId)),
        // JSON has no line break of its own.
        batch.map(({ draft }) => eventRow(draft(), clock).json).join("\n"),
        lease,
      ]);
      failpoint("after-journal");
      for (const call of batch) {
        call.isWritten = true;
        if (calls.has(call.callId)) keep(call.callId);
      }
    }
  }

  return {
    watch: (call) => void calls.set(call.callId, { ...call, isSent: false, isWritten: false }),
    unwatch(callId) {
      const call = calls.get(callId);
      if (call === undefined) return false;
      calls.delete(callId);
      forget(callId);
      return call.isSent;
    },
    write,
    get watched() {
      return calls.size;
    },
  };
}
