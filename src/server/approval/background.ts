import type { PrismaClient } from "@/generated/prisma/client";
import type { Clock } from "@/lib/clock";
import { endRaises } from "@/server/budget";
import type { ApprovalDeps } from "./deps";
import { tellAction } from "./outbox";
import { ACTION_SELECT, type ActionRow } from "./public-action";

const BATCH = 100;

export type ApprovalBackground = {
  /** What is due now: actions that nobody decided in time, reminders, escalations, raises that end. Any number of processes may run it. */
  run(): Promise<{ expired: number; reminded: number; escalated: number; ended: number }>;
};

export function createApprovalBackground({
  prisma,
  clock,
  deps,
}: {
  prisma: PrismaClient;
  clock: Clock;
  deps: ApprovalDeps;
}): ApprovalBackground {
  /** Nobody deciding is not a rejection: the action says `expired`, and an agent can ask again. */
  async function expire(): Promise<number> {
    const rows = await prisma.$transaction(async (tx) => {
      const due = await tx.$queryRaw<{ id: string }[]>`
        UPDATE action SET status = 'expired' WHERE id IN (
          SELECT id FROM action WHERE status = 'pending' AND expires_at <= clock_timestamp()
          ORDER BY expires_at LIMIT ${BATCH} FOR UPDATE SKIP LOCKED)
        RETURNING id`;
      const expired = await tx.action.findMany({ where: { id: { in: due.map(({ id }) => id) } }, select: ACTION_SELECT });
      for (const row of expired) await tellAction(tx, { type: "action.expired", row });
      return expired;
    });
    rows.forEach(announce);
    return rows.length;
  }

  /** @param column what is set, so that each is done once. */
  async function askAgain(reason: "reminder" | "escalated"): Promise<number> {
    return prisma.$transaction(async (tx) => {
      const due =
        reason === "reminder"
          ? await tx.$queryRaw<{ id: string }[]>`
              UPDATE action SET reminded_at = clock_timestamp() WHERE id IN (
                SELECT a.id FROM action a JOIN approval_policy p ON p.id = a.policy_id
                WHERE a.status = 'pending' AND a.reminded_at IS NULL AND a.expires_at > clock_timestamp()
                  AND p.remind_after_seconds IS NOT NULL
                  AND a.created_at + make_interval(secs => p.remind_after_seconds) <= clock_timestamp()
                LIMIT ${BATCH} FOR UPDATE OF a SKIP LOCKED)
              RETURNING id`
          : await tx.$queryRaw<{ id: string }[]>`
              UPDATE action SET escalated_at = clock_timestamp() WHERE id IN (
                SELECT a.id FROM action a JOIN approval_policy p ON p.id = a.policy_id
                WHERE a.status = 'pending' AND a.escalated_at IS NULL AND a.expires_at > clock_timestamp()
                  AND p.escalate_after_seconds IS NOT NULL
                  AND a.created_at + make_interval(secs => p.escalate_after_seconds) <= clock_timestamp()
                LIMIT ${BATCH} FOR UPDATE OF a SKIP LOCKED)
              RETURNING id`;
      const rows = await tx.action.findMany({ where: { id: { in: due.map(({ id }) => id) } }, select: ACTION_SELECT });
      for (const row of rows) await deps.ask(tx, { row, reason });
      return rows.length;
    });
  }

  function announce({ orgId, id, status, budgetId }: ActionRow): void {
    deps.onChange({ orgId, actionId: id, status, budgetId });
  }

  return {
    async run() {
      const expired = await expire();
      const reminded = await askAgain("reminder");
      const escalated = await askAgain("escalated");
      const ended = await endRaises({ prisma, clock, ip: null });
      return { expired, reminded, escalated, ended: ended.length };
    },
  };
}
