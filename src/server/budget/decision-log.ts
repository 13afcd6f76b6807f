import type { PrismaClient } from "@/generated/prisma/client";
import { publicId } from "@/lib/ids";
import type { Logger } from "@/lib/logger";
import { nanoToMicrodollars, nanoUsd } from "@/lib/money";
import { RESERVATIONS_SHOWN_MAX, type DecisionSnapshot, type ShownReservation } from "./decision-snapshot";

export type Decision = {
  orgId: string;
  /** Of the denied call; the decision has the same id, so that the denial can name it before it is written. */
  eventId: string;
  snapshot: DecisionSnapshot;
  /** By bare budget id, the balance whose reservations are looked up. */
  balanceIds: ReadonlyMap<string, bigint>;
};

/**
 * Writes down why calls were denied. A denial does not wait for it: a runaway loop is denied a thousand times a second, and the
 * explanation must not be what slows everybody else down. Written in batches within milliseconds; where the database is away, or
 * more wait than `waitingMax`, the oldest are dropped and counted. The denial itself, its event and its amounts are the ledger's.
 */
export interface DecisionLog {
  record(decision: Decision): void;
  /** Resolves when all that was recorded is written or dropped. */
  drain(): Promise<void>;
  readonly dropped: number;
}

const BATCH_MAX = 100;
const WAITING_MAX = 5_000;

export function createDecisionLog({
  prisma,
  log,
  waitingMax = WAITING_MAX,
  onWritten = () => {},
}: {
  prisma: PrismaClient;
  log: Pick<Logger, "warn">;
  waitingMax?: number;
  /** With the calls that held money. */
  onWritten?: (written: readonly { orgId: string; snapshot: DecisionSnapshot }[]) => void;
}): DecisionLog {
  const waiting: Decision[] = [];
  let dropped = 0;
  let running: Promise<void> | undefined;

  async function run(): Promise<void> {
    while (waiting.length > 0) {
      const batch = waiting.splice(0, BATCH_MAX);
      try {
        onWritten(await write(prisma, batch));
      } catch (error) {
        dropped += batch.length;
        log.warn({ err: error }, `${batch.length} decisions could not be written down`);
      }
    }
    running = undefined;
  }

  return {
    record(decision) {
      if (waiting.length >= waitingMax) {
        waiting.shift();
        dropped += 1;
      }
      waiting.push(decision);
      running ??= run();
    },
    drain: async () => {
      while (running !== undefined) await running;
    },
    get dropped() {
      return dropped;
    },
  };
}

async function write(prisma: PrismaClient, batch: readonly Decision[]): Promise<readonly { orgId: string; snapshot: DecisionSnapshot }[]> {
  const reservations = await readReservations(prisma, [...new Set(batch.flatMap(({ balanceIds }) => [...balanceIds.values()]))]);
  const rows = batch.map(({ orgId, eventId, snapshot, balanceIds }) => ({
    id: eventId,
    orgId,
    eventId,
    snapshot: withReservations(snapshot, (budgetId) => reservations.get(balanceIds.get(budgetId) ?? -1n) ?? []),
  }));
  await prisma.budgetDecision.createMany({ data: rows, skipDuplicates: true });
  return rows;
}

function withReservations(snapshot: DecisionSnapshot, of: (budgetId: string) => ShownReservation[]): DecisionSnapshot {
  const bare = (id: string): string => id.slice(publicId("budget", "").length);
  return { ...snapshot, budgets: snapshot.budgets.map((budget) => ({ ...budget, reservations: of(bare(budget.id)) })) };
}

type ReservationRow = { balanceId: bigint; callId: string; amount: bigint; model: string | null; since: Date };

async function readReservations(prisma: PrismaClient, balanceIds: readonly bigint[]): Promise<Map<bigint, ShownReservation[]>> {
  if (balanceIds.length === 0) return new Map();
  const rows = await prisma.$queryRaw<ReservationRow[]>`
    SELECT balance.id AS "balanceId", held.call_id AS "callId", held.amount, held.model, held.created_at AS since
    FROM budget_balance balance, LATERAL (
      SELECT r.call_id, r.created_at, r.draft::jsonb->>'model' AS model, r.amounts[array_position(r.balance_ids, balance.id)] AS amount
      FROM reservation r
      WHERE r.org_id = balance.org_id AND r.state = 'held' AND balance.id = ANY(r.balance_ids)
      ORDER BY 4 DESC, r.call_id LIMIT ${RESERVATIONS_SHOWN_MAX}
    ) held
    WHERE balance.id = ANY(${[...balanceIds]}::bigint[])
    ORDER BY balance.id, held.amount DESC, held.call_id`;
  const byBalance = new Map<bigint, ShownReservation[]>();
  for (const { balanceId, callId, amount, model, since } of rows) {
    const shown = {
      eventId: publicId("event", callId),
      amountMicrodollars: nanoToMicrodollars(nanoUsd(amount)),
      model,
      since: since.toISOString(),
    };
    const list = byBalance.get(balanceId);
    if (list) list.push(shown);
    else byBalance.set(balanceId, [shown]);
  }
  return byBalance;
}
