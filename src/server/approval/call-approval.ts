import type { PrismaClient } from "@/generated/prisma/client";
import { nanoToMicrodollars, nanoUsd } from "@/lib/money";
import type { Ctx } from "@/server/context";
import { actionOfCall, type CallOfKey } from "./call-of-key";
import type { NewAction } from "./create";
import type { ApprovalDeps } from "./deps";
import { type Joined, openOrJoin } from "./open-or-join";

/** A call of a model that a policy wants a person for, before anything of it is sent. */
export type CallToApprove = CallOfKey & {
  /** Method and path, without query. */
  endpoint: string;
  /** Nanodollars: the most it may cost; null: unknown. */
  estimateNano: bigint | null;
  /** SHA-256 of the request body, hex: the same request asks once, and an approval is for this request. */
  bodyHash: string;
};

export function openOrJoinCall({
  ctx,
  call,
  deps,
}: {
  ctx: Omit<Ctx, "principal">;
  call: CallToApprove;
  deps: ApprovalDeps;
}): Promise<Joined> {
  return openOrJoin({ ctx, deps, orgId: call.orgId, action: actionOf(call) });
}

/**
 * Takes an approval for a call: it is this key's, for this request, and from now on used. Of two calls that name it at once, one is
 * let through.
 */
export async function useCallApproval(
  prisma: PrismaClient,
  { orgId, keyId, actionId, bodyHash }: { orgId: string; keyId: string; actionId: string; bodyHash: string },
): Promise<boolean> {
  const { count } = await prisma.action.updateMany({
    where: {
      id: actionId,
      orgId,
      apiKeyId: keyId,
      actionType: "llm_call",
      status: "approved",
      payload: { path: ["bodyHash"], equals: bodyHash },
    },
    data: { status: "executing" },
  });
  return count === 1;
}

/** The call that used an approval is over. */
export async function finishCall(
  { prisma, clock }: { prisma: PrismaClient; clock: Ctx["clock"] },
  { orgId, actionId, eventId, wasSent }: { orgId: string; actionId: string; eventId: string; wasSent: boolean },
): Promise<void> {
  await prisma.action.updateMany({
    where: { id: actionId, orgId, status: "executing" },
    data: {
      status: wasSent ? "executed" : "failed",
      executedAt: new Date(clock.now()),
      result: { costEventId: eventId },
      ...(wasSent ? {} : { errorMessage: "The call was not sent to the provider." }),
    },
  });
}

function actionOf(call: CallToApprove): NewAction {
  const { provider, model, endpoint, estimateNano, bodyHash } = call;
  return actionOfCall(call, {
    actionType: "llm_call",
    payload: {
      provider,
      model,
      endpoint,
      estimatedCostMicrodollars: estimateNano === null ? null : nanoToMicrodollars(nanoUsd(estimateNano)),
      bodyHash,
    },
    budgetId: null,
    joinKey: `llm_call:${call.keyId}:${bodyHash}`,
    requestedNano: estimateNano,
    model,
  });
}
