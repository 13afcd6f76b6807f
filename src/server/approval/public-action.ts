import { z } from "zod";
import type { Prisma } from "@/generated/prisma/client";
import { ID_PREFIX, publicId } from "@/lib/ids";
import { nanoToMicrodollars, nanoUsd } from "@/lib/money";
import { ACTION_STATUSES, type ActionStatus } from "./transitions";

const timestamp = z.string().meta({ format: "date-time", description: "ISO 8601, UTC." });
const moment = timestamp.nullable();
const microdollars = z.number().nullable().meta({ description: "Microdollars; null: the action names no amount." });
const json = z.record(z.string(), z.json());

/** An action as REST, tRPC and sockets show it (CONTRACT §10). */
export const PublicAction = z
  .object({
    id: z.string().meta({ examples: [`${ID_PREFIX.action}0190b3c4-5d6e-7f80-9a1b-2c3d4e5f6071`] }),
    status: z.enum(ACTION_STATUSES),
    agentId: z.string(),
    actionType: z.string(),
    payload: json,
    metadata: json,
    apiKeyId: z.string().nullable().meta({ description: "The key that proposed it; null: a person did." }),
    requesterId: z.string().nullable().meta({ description: "The person who asked, or the key's owner." }),
    sessionId: z.string().nullable(),
    traceId: z.string().nullable(),
    budgetId: z.string().nullable(),
    requestedAmountMicrodollars: microdollars,
    approvedAmountMicrodollars: microdollars,
    raiseMode: z.enum(["period", "until", "permanent"]).nullable(),
    raiseUntil: moment,
    approvals: z.int().meta({ description: "Given so far." }),
    approvalsNeeded: z.int(),
    fourEyes: z.boolean(),
    createdAt: timestamp,
    expiresAt: timestamp,
    decidedAt: moment,
    decidedBy: z.string().nullable(),
    decidedVia: z.enum(["dashboard", "link", "slack"]).nullable(),
    approvedAt: moment,
    approvedBy: z.string().nullable(),
    rejectedAt: moment,
    rejectedBy: z.string().nullable(),
    expiredAt: moment,
    executedAt: moment,
    note: z.string().nullable(),
    rejectReason: z.string().nullable(),
    result: json.nullable(),
    errorMessage: z.string().nullable(),
    requestUrl: z.string().meta({ description: "Opens the dashboard, behind sign-in; carries no rights." }),
  })
  .meta({ id: "Action" });
export type PublicAction = z.infer<typeof PublicAction>;

export const ACTION_SELECT = {
  id: true,
  orgId: true,
  status: true,
  agentId: true,
  actionType: true,
  payload: true,
  payloadHash: true,
  metadata: true,
  apiKeyId: true,
  requesterId: true,
  sessionId: true,
  traceId: true,
  budgetId: true,
  requestedNano: true,
  approvedNano: true,
  raiseMode: true,
  raiseUntil: true,
  policyId: true,
  approvalsNeeded: true,
  fourEyes: true,
  createdAt: true,
  expiresAt: true,
  decidedAt: true,
  decidedById: true,
  decidedVia: true,
  executedAt: true,
  note: true,
  rejectReason: true,
  result: true,
  errorMessage: true,
  escalatedAt: true,
  decisions: { select: { userId: true, decision: true } },
} as const satisfies Prisma.ActionSelect;
export type ActionRow = Prisma.ActionGetPayload<{ select: typeof ACTION_SELECT }>;

/** A row's status; no other writer than this domain's verbs. */
export const statusOf = (row: Pick<ActionRow, "status">): ActionStatus => row.status as ActionStatus;

const iso = (time: Date | null): string | null => time?.toISOString() ?? null;
const micros = (nano: bigint | null): number | null => (nano === null ? null : nanoToMicrodollars(nanoUsd(nano)));
const idOrNull = (kind: "user" | "key" | "budget", id: string | null): string | null => (id === null ? null : publicId(kind, id));

export function toPublicAction(row: ActionRow, publicUrl: string): PublicAction {
  const status = statusOf(row);
  const decidedAt = iso(row.decidedAt);
  const decidedBy = idOrNull("user", row.decidedById);
  const wasApproved = status === "approved" || status === "executing" || status === "executed" || status === "failed";
  return {
    id: publicId("action", row.id),
    status,
    agentId: row.agentId,
    actionType: row.actionType,
    payload: row.payload as PublicAction["payload"],
    metadata: row.metadata as PublicAction["metadata"],
    apiKeyId: idOrNull("key", row.apiKeyId),
    requesterId: idOrNull("user", row.requesterId),
    sessionId: row.sessionId,
    traceId: row.traceId,
    budgetId: idOrNull("budget", row.budgetId),
    requestedAmountMicrodollars: micros(row.requestedNano),
    approvedAmountMicrodollars: micros(row.approvedNano),
    raiseMode: row.raiseMode as PublicAction["raiseMode"],
    raiseUntil: iso(row.raiseUntil),
    approvals: row.decisions.filter(({ decision }) => decision === "approve").length,
    approvalsNeeded: row.approvalsNeeded,
    fourEyes: row.fourEyes,
    createdAt: row.createdAt.toISOString(),
    expiresAt: row.expiresAt.toISOString(),
    decidedAt,
    decidedBy,
    decidedVia: row.decidedVia as PublicAction["decidedVia"],
    approvedAt: wasApproved ? decidedAt : null,
    approvedBy: wasApproved ? decidedBy : null,
    rejectedAt: status === "rejected" ? decidedAt : null,
    rejectedBy: status === "rejected" ? decidedBy : null,
    expiredAt: status === "expired" ? row.expiresAt.toISOString() : null,
    executedAt: iso(row.executedAt),
    note: row.note,
    rejectReason: row.rejectReason,
    result: row.result as PublicAction["result"],
    errorMessage: row.errorMessage,
    requestUrl: actionUrl(publicUrl, row.id),
  };
}

/** Where a person sees an action, after signing in. */
export const actionUrl = (publicUrl: string, actionId: string): string => `${publicUrl}/app/actions/${publicId("action", actionId)}`;
