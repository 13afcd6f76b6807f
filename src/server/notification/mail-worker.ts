import type { PrismaClient } from "@/generated/prisma/client";
import type { Clock } from "@/lib/clock";
import { failpoint } from "@/lib/failpoint";
import type { Logger } from "@/lib/logger";
import { isMailRefusal } from "./mail-refusal";
import { onMailQueued } from "./mail-signal";

export type OutgoingMail = { id: string; recipient: string; subject: string; html: string; text: string };

/** Hands one mail over. Rejects when it may not have been taken; asked again with the same id then. */
export type SendMail = (mail: OutgoingMail) => Promise<void>;

/** Sends what is queued. Any number of processes may run one: each mail is claimed by one of them. */
export interface MailWorker {
  start(): void;
  /** Something was queued: it is looked for at once. */
  wake(): void;
  stop(): Promise<void>;
}

export type MailWorkerOptions = {
  prisma: PrismaClient;
  clock: Clock;
  log: Pick<Logger, "warn" | "error">;
  send: SendMail;
  /**
   * Whether texts stay after they were sent, for the mailbox. Otherwise they go: they hold links and codes that are worth as much as
   * what the database keeps only as hashes.
   */
  keepsTexts: boolean;
  pollMs?: number;
  /** A worker that dies while it sends is taken over after this. Must outlive a send. */
  leaseMs?: number;
};

/** For what other processes write, and what is due again; what this process writes is signalled. */
const POLL_MS = 1_000;
/** After a signal: the transaction that wrote the mail ends when it ends. */
const LOOKS_AFTER_SIGNAL_MS = [10, 40, 100, 200, 400] as const;
/** Sent side by side. */
const BATCH = 10;
const LEASE_MS = 60_000;
/** About 17 hours: less than the 24 for which Resend knows a mail again. */
const ATTEMPTS_MAX = 20;
const retryAfterMs = (attempts: number): number => Math.min(5_000 * 4 ** (attempts - 1), 3_600_000);
const ERROR_LENGTH_MAX = 500;

type Claimed = OutgoingMail & { attempts: number };

export function createMailWorker(options: MailWorkerOptions): MailWorker {
  const { prisma, clock, log, send, keepsTexts, pollMs = POLL_MS, leaseMs = LEASE_MS } = options;
  let poll: NodeJS.Timeout | undefined;
  let running: Promise<void> | undefined;
  /** Asked for while a round ran, which may have looked too early. */
  let again = false;
  let stopped = false;
  let unsubscribe: (() => void) | undefined;
  const looks = new Set<NodeJS.Timeout>();
  let signalledMeanwhile = false;

  /** A claim moves the time of the next attempt to the end of the lease: a worker that dies gives it back by being silent. */
  function claim(): Promise<Claimed[]> {
    return prisma.$queryRaw<Claimed[]>`
      UPDATE mail SET attempts = attempts + 1, next_attempt_at = clock_timestamp() + make_interval(secs => ${leaseMs / 1_000})
      WHERE id IN (
        SELECT id FROM mail WHERE state = 'queued' AND next_attempt_at <= clock_timestamp()
        ORDER BY next_attempt_at LIMIT ${BATCH} FOR UPDATE SKIP LOCKED)
      RETURNING id::text, recipient, subject, html, text, attempts`;
  }

  async function sendDue(): Promise<void> {
    for (;;) {
      const due = await claim();
      await Promise.all(due.map(sendOne));
      if (due.length < BATCH || stopped) return;
    }
  }

  async function sendOne({ attempts, ...mail }: Claimed): Promise<void> {
    const claimed = { id: mail.id, state: "queued", attempts };
    const emptied = keepsTexts ? {} : { html: "", text: "" };
    try {
      await send(mail);
    } catch (error) {
      const isFinal = attempts >= ATTEMPTS_MAX || (isMailRefusal(error) && error.isFinal);
      const waitMs = (isMailRefusal(error) ? error.retryAfterMs : undefined) ?? retryAfterMs(attempts);
      log[isFinal ? "error" : "warn"](
        { err: error, mailId: mail.id, attempt: attempts, ...(!isFinal && { retryInMs: waitMs }) },
        isFinal ? "a mail was given up" : "a mail was not taken; it is tried again",
      );
      const lastError = (error instanceof Error ? error.message : String(error)).replaceAll("\0", "").slice(0, ERROR_LENGTH_MAX);
      await prisma.mail.updateMany({
        where: claimed,
        data: isFinal ? { state: "failed", lastError, ...emptied } : { nextAttemptAt: new Date(clock.now() + waitMs), lastError },
      });
      return;
    }
    failpoint("mail.sent");
    await prisma.mail.updateMany({
      where: claimed,
      data: { state: "sent", sentAt: new Date(clock.now()), lastError: null, ...emptied },
    });
  }

  function run(): void {
    if (stopped) return;
    if (running) {
      again = true;
      return;
    }
    running = sendDue()
      .catch((error: unknown) => log.warn({ err: error, component: "mail" }, "queued mail could not be read; it is tried again"))
      .finally(() => {
        running = undefined;
        if (!again) return;
        again = false;
        run();
      });
  }

  function lookSoon(): void {
    if (stopped) return;
    if (looks.size > 0) {
      signalledMeanwhile = true;
      return;
    }
    signalledMeanwhile = false;
    for (const ms of LOOKS_AFTER_SIGNAL_MS) {
      const look = setTimeout(() => {
        looks.delete(look);
        run();
        if (looks.size === 0 && signalledMeanwhile) lookSoon();
      }, ms);
      look.unref();
      looks.add(look);
    }
  }

  return {
    start() {
      poll ??= setInterval(run, pollMs).unref();
      unsubscribe ??= onMailQueued(lookSoon);
      run();
    },
    wake: run,
    async stop() {
      stopped = true;
      clearInterval(poll);
      unsubscribe?.();
      for (const look of looks) clearTimeout(look);
      await running;
    },
  };
}
