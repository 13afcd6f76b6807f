import type { Prisma } from "@/generated/prisma/client";
import { ServiceError } from "@/lib/errors";
import { publicId } from "@/lib/ids";
import { noSuchAction } from "./find";
import { ACTION_SELECT, statusOf, type ActionRow } from "./public-action";
import { canFollow, type ActionStatus } from "./transitions";

/**
 * The action, locked until the transaction ends: of two decisions at once, the second sees the first. Whether its time is up is the
 * database clock's word.
 */
export async function lockAction(
  tx: Prisma.TransactionClient,
  { orgId, actionId }: { orgId: string; actionId: string },
): Promise<{ row: ActionRow; isPastEnd: boolean }> {
  const [found] = await tx.$queryRaw<{ is_past_end: boolean }[]>`
    SELECT expires_at <= clock_timestamp() AS is_past_end FROM action WHERE id = ${actionId}::uuid AND org_id = ${orgId}::uuid FOR UPDATE`;
  if (!found) throw noSuchAction();
  const row = await tx.action.findFirstOrThrow({ where: { id: actionId, orgId }, select: ACTION_SELECT });
  return { row, isPastEnd: found.is_past_end };
}

/** @throws ServiceError where this status does not follow the action's. */
export function assertCanFollow(row: ActionRow, to: ActionStatus): void {
  if (canFollow(statusOf(row), to)) return;
  throw new ServiceError("invalid_action_transition", `An action that is ${row.status} cannot become ${to}.`, {
    action_id: publicId("action", row.id),
    status: row.status,
    requested_status: to,
  });
}

/** Answers the second decision with the first one's outcome. */
export function assertIsPending(row: ActionRow, isPastEnd: boolean): void {
  const details = {
    action_id: publicId("action", row.id),
    status: row.status,
    decided_at: row.decidedAt?.toISOString() ?? null,
    decided_by: row.decidedById === null ? null : publicId("user", row.decidedById),
    expires_at: row.expiresAt.toISOString(),
  };
  if (row.status === "expired" || (row.status === "pending" && isPastEnd)) {
    throw new ServiceError("action_expired", "Nobody decided this action in time; it has expired and nothing was done.", details);
  }
  if (row.status !== "pending") {
    throw new ServiceError("stale_action", `This action is ${row.status} already; the first decision stands.`, details);
  }
}
