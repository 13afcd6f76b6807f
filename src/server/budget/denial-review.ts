import type { PrismaClient } from "@/generated/prisma/client";
import type { Clock } from "@/lib/clock";
import { parsePublicId } from "@/lib/ids";
import type { Logger } from "@/lib/logger";
import { microdollarsToNano, nanoUsd, type NanoUsd } from "@/lib/money";
import type { DecisionSnapshot } from "./decision-snapshot";

export type DenialToReview = { orgId: string; snapshot: DecisionSnapshot };

/**
 * Counts denials that turn out to have been needless: had the calls in flight held what they were to cost, and not the most they could,
 * the denied call would have fitted. The share of them is what tighter bounds have to drive down.
 */
export interface DenialReview {
  /** Looked at again when the calls that were in flight have had their time. */
  add(denials: readonly DenialToReview[]): void;
  /** Judges what is due. Called by a timer once started; never rejects. */
  review(): Promise<void>;
  start(): void;
  stop(): void;
  readonly stats: Readonly<DenialReviewStats>;
}
export type DenialReviewStats = { needless: number; needed: number };

/** Most calls have ended by then; one that has not counts with what it holds. */
const DELAY_MS = 10 * 60_000;
const INTERVAL_MS = 60_000;
/** A runaway loop is denied a thousand times a second. Those beyond are not judged: a share needs no census. */
const WAITING_MAX = 2_000;
const BATCH_MAX = 50;

/** Only these say "no room"; a session or a breaker is a rule that somebody wanted. */
const JUDGED_CODES: ReadonlySet<string> = new Set(["budget_exceeded", "customer_budget_exceeded", "tag_budget_exceeded"]);

export function createDenialReview({
  prisma,
  clock,
  log,
  delayMs = DELAY_MS,
}: {
  prisma: PrismaClient;
  clock: Clock;
  log: Pick<Logger, "warn">;
  delayMs?: number;
}): DenialReview {
  const waiting: (DenialToReview & { dueAtMs: number })[] = [];
  const stats = { needless: 0, needed: 0 };
  let timer: NodeJS.Timeout | undefined;

  async function review(): Promise<void> {
    for (;;) {
      const nowMs = clock.now();
      const batch = waiting.slice(0, BATCH_MAX).filter(({ dueAtMs }) => dueAtMs <= nowMs);
      if (batch.length === 0) return;
      waiting.splice(0, batch.length);
      try {
        const charged = await readCharged(prisma, batch);
        for (const { snapshot } of batch) stats[isNeedless(snapshot, charged) ? "needless" : "needed"] += 1;
      } catch (error) {
        log.warn({ err: error }, `${batch.length} denials could not be judged`);
        return;
      }
    }
  }

  return {
    add(denials) {
      const dueAtMs = clock.now() + delayMs;
      for (const { orgId, snapshot } of denials) {
        if (!JUDGED_CODES.has(snapshot.code)) continue;
        // Where nothing was held, nothing can come back.
        if (snapshot.budgets.every(({ reservedMicrodollars }) => reservedMicrodollars === 0)) stats.needed += 1;
        else if (waiting.length < WAITING_MAX) waiting.push({ orgId, snapshot, dueAtMs });
      }
    },
    review,
    start() {
      timer ??= setInterval(() => void review(), INTERVAL_MS).unref();
    },
    stop: () => clearInterval(timer),
    stats,
  };
}

/** @param charged by public event id: what calls that held money were charged; calls that are missing count with what they held. */
export function isNeedless(snapshot: DecisionSnapshot, charged: ReadonlyMap<string, NanoUsd>): boolean {
  if (snapshot.estimate.amountMicrodollars === null) return false;
  const estimate = nanoOf(snapshot.estimate.amountMicrodollars);
  return snapshot.budgets.every((budget) => {
    const { session, velocity } = budget;
    if (session && room(session.limitMicrodollars, session.spendMicrodollars, session.reservedMicrodollars) < estimate) return false;
    if (velocity && (velocity.coolUntil !== null || room(velocity.limitMicrodollars, velocity.currentMicrodollars, 0) < estimate))
      return false;
    if (budget.policy === "warn") return true;
    const freed = budget.reservations.reduce((sum, { eventId, amountMicrodollars }) => {
      const cost = charged.get(eventId);
      return cost === undefined ? sum : sum + nanoOf(amountMicrodollars) - cost;
    }, 0n);
    return room(budget.limitMicrodollars, budget.spendMicrodollars, budget.reservedMicrodollars) + freed >= estimate;
  });
}

const room = (limit: number, spent: number, reserved: number): bigint => nanoOf(limit) - nanoOf(spent) - nanoOf(reserved);

function nanoOf(microdollars: number): bigint {
  const nano = microdollarsToNano(microdollars);
  if (nano === undefined) throw new Error(`${microdollars} is no amount of a decision`);
  return nano;
}

async function readCharged(prisma: PrismaClient, denials: readonly DenialToReview[]): Promise<Map<string, NanoUsd>> {
  const idsByOrg = new Map<string, Map<string, string>>();
  for (const { orgId, snapshot } of denials) {
    const ids = idsByOrg.get(orgId) ?? new Map<string, string>();
    idsByOrg.set(orgId, ids);
    for (const { eventId } of snapshot.budgets.flatMap(({ reservations }) => reservations)) {
      const id = parsePublicId("event", eventId);
      if (id !== undefined) ids.set(id, eventId);
    }
  }
  const charged = new Map<string, NanoUsd>();
  for (const [orgId, ids] of idsByOrg) {
    if (ids.size === 0) continue;
    const rows = await prisma.costEvent.findMany({
      where: { orgId, id: { in: [...ids.keys()] } },
      select: { id: true, chargedNano: true },
    });
    for (const { id, chargedNano } of rows) charged.set(ids.get(id)!, nanoUsd(chargedNano));
  }
  return charged;
}
