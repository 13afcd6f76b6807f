import type { Prisma } from "@/generated/prisma/client";
import { publicId } from "@/lib/ids";
import { nanoToMicrodollars, nanoUsd } from "@/lib/money";
import type { ActionRow } from "./public-action";

export type ActionEventType = "action.created" | "action.approved" | "action.rejected" | "action.expired";

/** Tells webhooks and Slack of an action, in the transaction of what happened to it (CONTRACT §9). */
export async function tellAction(tx: Prisma.TransactionClient, { type, row }: { type: ActionEventType; row: ActionRow }): Promise<void> {
  await tx.outboxEvent.create({ data: { orgId: row.orgId, type, payload: actionPayload(row) }, select: { id: true } });
}

export async function tellIncrease(
  tx: Prisma.TransactionClient,
  { row, budget }: { row: ActionRow; budget: { id: string; entityType: string; entityId: string; before: number; after: number } },
): Promise<void> {
  const payload = {
    budget_id: budget.id,
    budget_entity_type: budget.entityType,
    budget_entity_id: budget.entityId,
    action_id: publicId("action", row.id),
    increase_microdollars: micros(row.approvedNano),
    previous_limit_microdollars: budget.before,
    budget_limit_microdollars: budget.after,
    raise_mode: row.raiseMode,
    raise_until: row.raiseUntil?.toISOString() ?? null,
    approved_by: row.decidedById === null ? null : publicId("user", row.decidedById),
  };
  await tx.outboxEvent.create({ data: { orgId: row.orgId, type: "budget.increased", payload }, select: { id: true } });
}

function actionPayload(row: ActionRow): Prisma.InputJsonObject {
  return {
    action_id: publicId("action", row.id),
    status: row.status,
    action_type: row.actionType,
    agent_id: row.agentId,
    payload: row.payload as Prisma.InputJsonObject,
    metadata: row.metadata as Prisma.InputJsonObject,
    api_key_id: row.apiKeyId === null ? null : publicId("key", row.apiKeyId),
    session_id: row.sessionId,
    trace_id: row.traceId,
    budget_id: row.budgetId === null ? null : publicId("budget", row.budgetId),
    requested_microdollars: micros(row.requestedNano),
    approved_microdollars: micros(row.approvedNano),
    decided_by: row.decidedById === null ? null : publicId("user", row.decidedById),
    decided_via: row.decidedVia,
    note: row.note,
    reject_reason: row.rejectReason,
    created_at: row.createdAt.toISOString(),
    decided_at: row.decidedAt?.toISOString() ?? null,
    expires_at: row.expiresAt.toISOString(),
  };
}

const micros = (nano: bigint | null): number | null => (nano === null ? null : nanoToMicrodollars(nanoUsd(nano)));
