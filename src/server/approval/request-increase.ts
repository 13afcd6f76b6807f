import { publicId } from "@/lib/ids";
import { nanoToMicrodollars, nanoUsd } from "@/lib/money";
import type { Ctx } from "@/server/context";
import { actionOfCall, type CallOfKey } from "./call-of-key";
import type { NewAction } from "./create";
import type { ApprovalDeps } from "./deps";
import { type Joined, openOrJoin } from "./open-or-join";

/** A call that a budget denied and whose caller waits for a person (CONTRACT §10, `X-NullSpend-Wait`). */
export type DeniedCall = CallOfKey & {
  budget: { id: string; entityType: string; entityId: string };
  /** The period that had no room: calls of one period share a request, those of the next ask anew. */
  balanceId: bigint;
  limitNano: bigint;
  estimateNano: bigint;
};

/** The pending request that this call joins; it is opened by the first call, for the larger of its estimate and a fifth of the limit. */
export function openOrJoinIncrease({
  ctx,
  call,
  deps,
}: {
  ctx: Omit<Ctx, "principal">;
  call: DeniedCall;
  deps: ApprovalDeps;
}): Promise<Joined> {
  const joinKey = `${call.budget.id}:${call.balanceId}:${call.keyId}`;
  return openOrJoin({ ctx, deps, orgId: call.orgId, action: actionOf(call, joinKey) });
}

function actionOf(call: DeniedCall, joinKey: string): NewAction {
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
  return actionOfCall(call, {
    actionType: "budget_increase",
    payload,
    budgetId: call.budget.id,
    joinKey,
    requestedNano: amount,
    // Policies that name models are for calls: this is a question about a limit.
    model: null,
  });
}
