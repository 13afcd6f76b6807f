import { Prisma } from "@/generated/prisma/client";
import { publicId } from "@/lib/ids";
import { nanoToMicrodollars, nanoUsd } from "@/lib/money";
import type { Ctx } from "@/server/context";
import { insertAction } from "./create";
import type { ApprovalDeps } from "./deps";
import { ACTION_SELECT, type ActionRow } from "./public-action";

/** A call that a budget denied and whose caller waits for a person (CONTRACT §10, `X-NullSpend-Wait`). */
export type DeniedCall = {
  orgId: string;
  keyId: string;
  userId: string;
  keyName: string;
  budget: { id: string; entityType: string; entityId: string };
  /** The period that had no room: calls of one period share a request, those of the next ask anew. */
  balanceId: bigint;
  limitNano: bigint;
  estimateNano: bigint;
  provider: string;
  model: string | null;
  sessionId: string | null;
  traceId: string;
  tags: Readonly<Record<string, string>>;
};

/** As long as a person may be expected to need, which is more than any call waits: the next call joins it. */
const EXPIRES_IN_SECONDS = 3_600;
const UNIQUE_VIOLATION = "P2002";

/** The pending request that this call joins; it is opened by the first call, for the larger of its estimate and a fifth of the limit. */
export async function openOrJoinIncrease({
  ctx,
  call,
  deps,
}: {
  ctx: Omit<Ctx, "principal">;
  call: DeniedCall;
  deps: ApprovalDeps;
}): Promise<{ row: ActionRow; isNew: boolean }> {
  const { orgId, keyId, budget, balanceId } = call;
  const joinKey = `${budget.id}:${balanceId}:${keyId}`;
  const pending = (): Promise<ActionRow | null> =>
    ctx.prisma.action.findFirst({
      where: { orgId, joinKey, status: "pending", expiresAt: { gt: new Date(ctx.clock.now()) } },
      select: ACTION_SELECT,
    });
  const joined = await pending();
  if (joined) return { row: joined, isNew: false };
  try {
    const row = await ctx.prisma.$transaction((tx) =>
      insertAction(tx, { ctx: { ...ctx, principal: { type: "system", orgId } }, deps, action: actionOf(call, joinKey) }),
    );
    deps.onChange({ orgId, actionId: row.id, status: row.status, budgetId: budget.id });
    return { row, isNew: true };
  } catch (error) {
    // Another call, perhaps of another process, was first: the index lets one pending request be.
    const other = error instanceof Prisma.PrismaClientKnownRequestError && error.code === UNIQUE_VIOLATION ? await pending() : null;
    if (!other) throw error;
    return { row: other, isNew: false };
  }
}

function actionOf(call: DeniedCall, joinKey: string): Parameters<typeof insertAction>[1]["action"] {
  const fifth = call.limitNano / 5n;
  const amount = call.estimateNano > fifth ? call.estimateNano : fifth;
  const payload = {
    entityType: call.budget.entityType,
    entityId: call.budget.entityId,
    budgetId: publicId("budget", call.budget.id),
    requestedAmountMicrodollars: nanoToMicrodollars(nanoUsd(amount)),
    currentLimitMicrodollars: nanoToMicrodollars(nanoUsd(call.limitNano)),
    estimatedCostMicrodollars: nanoToMicrodollars(nanoUsd(call.estimateNano)),
    model: call.model,
    provider: call.provider,
    reason: "A call did not fit into the budget and waits for a decision.",
  };
  return {
    agentId: call.keyName,
    actionType: "budget_increase",
    payload,
    metadata: {},
    expiresInSeconds: EXPIRES_IN_SECONDS,
    requesterId: call.userId,
    apiKeyId: call.keyId,
    sessionId: call.sessionId,
    traceId: call.traceId,
    budgetId: call.budget.id,
    joinKey,
    requestedNano: amount,
    model: null,
    tags: call.tags,
  };
}
