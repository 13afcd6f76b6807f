import { createHash } from "node:crypto";
import type { Prisma } from "@/generated/prisma/client";
import { ServiceError } from "@/lib/errors";
import { parsePublicId, publicId, uuidv7 } from "@/lib/ids";
import { microdollarsToNano, type NanoUsd } from "@/lib/money";
import { assertAllowed } from "@/server/access";
import { recordChange } from "@/server/audit";
import { bareBudgetEntityId, invalid, parsed } from "@/server/budget";
import type { Ctx } from "@/server/context";
import type { ApprovalDeps } from "./deps";
import { BudgetIncreasePayload, CreateActionInput, EXPIRES_IN_SECONDS_DEFAULT } from "./input";
import { tellAction } from "./outbox";
import { findPolicy } from "./policies";
import { ACTION_SELECT, toPublicAction, type ActionRow, type PublicAction } from "./public-action";

/** An agent (or a person) proposes something that a person decides. Approvers are told in the same transaction. */
export async function createAction({
  ctx,
  input,
  deps,
}: {
  ctx: Ctx;
  input: CreateActionInput;
  deps: ApprovalDeps;
}): Promise<PublicAction> {
  assertAllowed(ctx.principal, { key: ["ingest"], user: "member" });
  const { agentId, actionType, payload, metadata = {}, expiresInSeconds = EXPIRES_IN_SECONDS_DEFAULT } = parsed(CreateActionInput, input);
  const row = await ctx.prisma.$transaction(async (tx) => {
    const increase = actionType === "budget_increase" ? await increaseOf(tx, { ctx, payload }) : undefined;
    return insertAction(tx, {
      ctx,
      deps,
      action: {
        agentId,
        actionType,
        payload: payload as Prisma.InputJsonObject,
        metadata: metadata as Prisma.InputJsonObject,
        expiresInSeconds,
        requesterId: requesterOf(ctx),
        apiKeyId: ctx.principal.type === "api_key" ? ctx.principal.keyId : null,
        sessionId: shortText(metadata.sessionId),
        traceId: shortText(metadata.traceId),
        budgetId: increase?.budgetId ?? null,
        joinKey: null,
        requestedNano: increase?.amountNano ?? amountOf(payload),
        model: null,
        tags: {},
      },
    });
  });
  deps.onChange({ orgId: row.orgId, actionId: row.id, status: row.status, budgetId: row.budgetId });
  return toPublicAction(row, deps.publicUrl);
}

export type NewAction = {
  agentId: string;
  actionType: string;
  payload: Prisma.InputJsonObject;
  metadata: Prisma.InputJsonObject;
  expiresInSeconds: number;
  requesterId: string | null;
  apiKeyId: string | null;
  sessionId: string | null;
  traceId: string | null;
  budgetId: string | null;
  joinKey: string | null;
  requestedNano: bigint | null;
  model: string | null;
  tags: Readonly<Record<string, string>>;
};

/** Writes the action, its audit row and its outbox row, and asks the approvers. */
export async function insertAction(
  tx: Prisma.TransactionClient,
  { ctx, deps, action }: { ctx: Ctx; deps: ApprovalDeps; action: NewAction },
): Promise<ActionRow> {
  const { orgId } = ctx.principal;
  const { expiresInSeconds, model, tags, ...columns } = action;
  const policy = await findPolicy(tx, { orgId, subject: { actionType: action.actionType, model, amountNano: action.requestedNano, tags } });
  const now = ctx.clock.now();
  const row = await tx.action.create({
    data: {
      ...columns,
      id: uuidv7(now),
      orgId,
      payloadHash: hashOf(action.payload),
      policyId: policy?.id ?? null,
      approvalsNeeded: policy?.approvalsNeeded ?? 1,
      fourEyes: policy?.fourEyes ?? false,
      createdAt: new Date(now),
      expiresAt: new Date(now + expiresInSeconds * 1_000),
    },
    select: ACTION_SELECT,
  });
  await tellAction(tx, { type: "action.created", row });
  await recordChange(tx, {
    ctx,
    action: "action.created",
    resourceType: "action",
    resourceId: publicId("action", row.id),
    before: null,
    after: { actionType: row.actionType, agentId: row.agentId, expiresAt: row.expiresAt.toISOString() },
  });
  await deps.ask(tx, { row, reason: "created" });
  return row;
}

/** Which limit the payload asks to raise, and by how much. */
async function increaseOf(
  tx: Prisma.TransactionClient,
  { ctx, payload }: { ctx: Ctx; payload: unknown },
): Promise<{ budgetId: string; amountNano: NanoUsd }> {
  const asked = BudgetIncreasePayload.safeParse(payload);
  if (!asked.success) {
    throw invalid(...asked.error.issues.map(({ path, message }) => ({ path: ["payload", ...path].map(String).join("."), message })));
  }
  const { entityType, entityId, budgetId, requestedAmountMicrodollars } = asked.data;
  const bareId = bareBudgetEntityId(entityType, entityId);
  if (bareId === undefined) throw invalid({ path: "payload.entityId", message: "names no entity of this type" });
  const budgets = await tx.budget.findMany({
    where: {
      orgId: ctx.principal.orgId,
      deletedAt: null,
      entityType,
      entityId: bareId,
      ...(budgetId === undefined ? {} : { id: parsePublicId("budget", budgetId) ?? "00000000-0000-0000-0000-000000000000" }),
    },
    select: { id: true },
    orderBy: { createdAt: "asc" },
  });
  if (budgets.length === 0) throw new ServiceError("not_found", "There is no such budget to raise.");
  if (budgets.length > 1) {
    const ids = budgets.map(({ id }) => publicId("budget", id));
    throw invalid({ path: "payload.budgetId", message: `must name one of ${ids.join(", ")}: this entity has several budgets` });
  }
  // The schema has refused what is no amount.
  return { budgetId: budgets[0]!.id, amountNano: microdollarsToNano(requestedAmountMicrodollars)! };
}

function requesterOf({ principal }: Ctx): string | null {
  return principal.type === "system" ? null : principal.userId;
}

/** An amount that other actions name, so that policies and the limit of mailed links know it. */
function amountOf(payload: Record<string, unknown>): NanoUsd | null {
  const { amountMicrodollars } = payload;
  return typeof amountMicrodollars === "number" ? (microdollarsToNano(amountMicrodollars) ?? null) : null;
}

const shortText = (value: unknown): string | null => (typeof value === "string" && value !== "" && value.length <= 256 ? value : null);

/** Of the payload as it is stored: keys in one order, so that reading it back gives the same. */
export function hashOf(payload: unknown): string {
  return createHash("sha256").update(canonical(payload)).digest("hex");
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, each]) => `${JSON.stringify(key)}:${canonical(each)}`).join(",")}}`;
}
