import type { PrismaClient } from "@/generated/prisma/client";
import type { Logger } from "@/lib/logger";
import type { ActionStatus } from "./transitions";

/**
 * Waits for decisions, of long polls and of held calls alike. One statement asks for all that are waited for, so a thousand waiting
 * calls cost what one does; a decision on this process (or told by the bus) is looked for at once.
 */
export interface ActionWatch {
  /**
   * Resolves with the status as soon as it is not `from`, with `from` after `timeoutMs` or when the signal aborts.
   * Never rejects: while the database does not answer, nothing is known to have changed.
   */
  changed(action: { orgId: string; actionId: string; from: ActionStatus; timeoutMs: number; signal?: AbortSignal }): Promise<ActionStatus>;
  /** Something may have changed. */
  wake(): void;
  readonly waiting: number;
  stop(): void;
}

const POLL_MS = 300;

type Waiter = { orgId: string; actionId: string; from: ActionStatus; tell: (status: ActionStatus) => void };

export function createActionWatch({
  prisma,
  log,
  pollMs = POLL_MS,
}: {
  prisma: PrismaClient;
  log: Pick<Logger, "warn">;
  pollMs?: number;
}): ActionWatch {
  const waiters = new Set<Waiter>();
  let timer: NodeJS.Timeout | undefined;
  let asking = false;
  let askAgain = false;
  let stopped = false;

  async function ask(): Promise<void> {
    if (asking) {
      askAgain = true;
      return;
    }
    asking = true;
    try {
      const ids = [...new Set([...waiters].map(({ actionId }) => actionId))];
      const rows = await prisma.action.findMany({ where: { id: { in: ids } }, select: { id: true, orgId: true, status: true } });
      const found = new Map(rows.map((row) => [row.id, row]));
      for (const waiter of waiters) {
        const row = found.get(waiter.actionId);
        if (row?.orgId === waiter.orgId && row.status !== waiter.from) waiter.tell(row.status as ActionStatus);
      }
    } catch (error) {
      log.warn({ err: error }, "actions that are waited for could not be read; it is tried again");
    } finally {
      asking = false;
      schedule(askAgain ? 0 : pollMs);
      askAgain = false;
    }
  }

  function schedule(ms: number): void {
    clearTimeout(timer);
    timer = waiters.size === 0 || stopped ? undefined : setTimeout(() => void ask(), ms);
  }

  return {
    changed({ timeoutMs, signal, ...about }) {
      return new Promise((resolve) => {
        const waiter: Waiter = { ...about, tell: done };
        const late = setTimeout(() => done(about.from), timeoutMs);
        const left = (): void => done(about.from);
        function done(status: ActionStatus): void {
          clearTimeout(late);
          signal?.removeEventListener("abort", left);
          waiters.delete(waiter);
          resolve(status);
        }
        if (stopped || signal?.aborted) return done(about.from);
        signal?.addEventListener("abort", left);
        waiters.add(waiter);
        // At once: it may have been decided since the caller looked.
        void ask();
      });
    },
    wake: () => schedule(0),
    get waiting() {
      return waiters.size;
    },
    stop() {
      stopped = true;
      clearTimeout(timer);
      for (const waiter of waiters) waiter.tell(waiter.from);
    },
  };
}
