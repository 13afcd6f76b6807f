import type { PrismaClient } from "@/generated/prisma/client";
import type { Clock } from "@/lib/clock";
import type { Logger } from "@/lib/logger";

export type OutgoingMail = { id: string; recipient: string; subject: string; html: string; text: string };

/** Hands one mail over. Rejects when it may not have been taken; asked again with the same id then. */
export type SendMail = (mail: OutgoingMail) => Promise<void>;

/** Sends what is queued. Any number of processes may run one. */
export interface MailWorker {
  start(): void;
  /** Something was queued: it is looked for at once. */
  wake(): void;
  stop(): Promise<void>;
}

const POLL_MS = 250;
const BATCH = 20;
const ATTEMPTS_MAX = 8;
/** A worker that dies while it sends is taken over after this. */
const LEASE_MS = 60_000;
const retryAfterMs = (attempts: number): number => Math.min(5_000 * 4 ** (attempts - 1), 3_600_000);

export function createMailWorker({
  prisma,
  clock,
  log,
  send,
  pollMs = POLL_MS,
}: {
  prisma: PrismaClient;
  clock: Clock;
  log: Pick<Logger, "warn" | "error">;
  send: SendMail;
  pollMs?: number;
}): MailWorker {
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> | undefined;
  let stopped = false;

  async function sendDue(): Promise<void> {
    const due = await prisma.$queryRaw<(OutgoingMail & { attempts: number })[]>`
      UPDATE mail SET attempts = attempts + 1, next_attempt_at = clock_timestamp() + make_interval(secs => ${LEASE_MS / 1_000})
      WHERE id IN (
        SELECT id FROM mail WHERE state = 'queued' AND next_attempt_at <= clock_timestamp()
        ORDER BY next_attempt_at LIMIT ${BATCH} FOR UPDATE SKIP LOCKED)
      RETURNING id::text, recipient, subject, html, text, attempts`;
    await Promise.all(due.map(sendOne));
  }

  async function sendOne({ attempts, ...mail }: OutgoingMail & { attempts: number }): Promise<void> {
    try {
      await send(mail);
      await prisma.mail.update({
        where: { id: mail.id },
        data: { state: "sent", sentAt: new Date(clock.now()), lastError: null },
        select: { id: true },
      });
    } catch (error) {
      const gaveUp = attempts >= ATTEMPTS_MAX;
      log[gaveUp ? "error" : "warn"](
        { err: error, mailId: mail.id, attempt: attempts },
        gaveUp ? "a mail was given up" : "a mail was not taken; it is tried again",
      );
      await prisma.mail.update({
        where: { id: mail.id },
        data: {
          state: gaveUp ? "failed" : "queued",
          nextAttemptAt: new Date(clock.now() + retryAfterMs(attempts)),
          lastError: (error instanceof Error ? error.message : String(error)).slice(0, 500),
        },
        select: { id: true },
      });
    }
  }

  function run(): void {
    if (stopped) return;
    running ??= sendDue()
      .catch((error: unknown) => log.warn({ err: error }, "queued mail could not be read; it is tried again"))
      .finally(() => {
        running = undefined;
      });
  }

  return {
    start() {
      timer ??= setInterval(run, pollMs).unref();
    },
    wake: run,
    async stop() {
      stopped = true;
      clearInterval(timer);
      await running;
    },
  };
}
