import type { PrismaClient } from "@/generated/prisma/client";
import type { Clock } from "@/lib/clock";
import type { Logger } from "@/lib/logger";
import { createApprovalBackground } from "./background";
import type { ApprovalDeps } from "./deps";
import { createActionWatch, type ActionWatch } from "./watch";

/** A process's side of approvals: what verbs need, who waits for a decision, and what the clock does. */
export interface Approvals {
  readonly deps: ApprovalDeps;
  readonly watch: ActionWatch;
  start(): void;
  stop(): Promise<void>;
}

export type ApprovalsOptions = {
  prisma: PrismaClient;
  clock: Clock;
  log: Pick<Logger, "warn">;
  publicUrl: string;
  ask: ApprovalDeps["ask"];
  /** Tells sockets and other processes. */
  publish: ApprovalDeps["onChange"];
  everyMs?: number;
};

/** Often enough that an expiry is told within a second of its time. */
const EVERY_MS = 500;

export function createApprovals({ prisma, clock, log, publicUrl, ask, publish, everyMs = EVERY_MS }: ApprovalsOptions): Approvals {
  const watch = createActionWatch({ prisma, log });
  const deps: ApprovalDeps = {
    publicUrl,
    ask,
    onChange(change) {
      watch.wake();
      publish(change);
    },
  };
  const background = createApprovalBackground({ prisma, clock, deps });
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<unknown> | undefined;

  function tick(): void {
    running ??= background
      .run()
      .catch((error: unknown) => log.warn({ err: error }, "approvals that are due could not be looked at; it is tried again"))
      .finally(() => {
        running = undefined;
      });
  }

  return {
    deps,
    watch,
    start() {
      timer ??= setInterval(tick, everyMs).unref();
    },
    async stop() {
      clearInterval(timer);
      watch.stop();
      await running;
    },
  };
}
