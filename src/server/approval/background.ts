import { Prisma, type PrismaClient } from "@/generated/prisma/client";
import type { Clock } from "@/lib/clock";
import { endRaises } from "@/server/budget";
import type { ApprovalDeps } from "./deps";
import { tellAction } from "./outbox";
import { ACTION_SELECT, type ActionRow } from "./public-action";

const BATCH = 100;

/** Where it is kept that they were asked again, and where the policy says when: columns of ours, never a caller's text. */
const ASKED_AGAIN = {
  reminder: { askedAt: Prisma.raw("reminded_at"), after: Prisma.raw("remind_after_seconds") },
  escalated: { askedAt: Prisma.raw("escalated_at"), after: Prisma.raw("escalate_after_seconds") },
};

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

  /** Asks those who may decide once more, once each; when, the policy says. */
  function askAgain(reason: keyof typeof ASKED_AGAIN): Promise<number> {
    const { askedAt, after } = ASKED_AGAIN[reason];
    return prisma.$transaction(async (tx) => {
      const due = await tx.$queryRaw<{ id: string }[]>`
        UPDATE action SET ${askedAt} = clock_timestamp() WHERE id IN (
          SELECT a.id FROM action a JOIN approval_policy p ON p.id = a.policy_id
          WHERE a.status = 'pending' AND a.${askedAt} IS NULL AND a.expires_at > clock_timestamp()
            AND p.${after} IS NOT NULL AND a.created_at + make_interval(secs => p.${after}) <= clock_timestamp()
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
