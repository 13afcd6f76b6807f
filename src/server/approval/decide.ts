import type { Prisma } from "@/generated/prisma/client";
import { ServiceError } from "@/lib/errors";
import { parsePublicId, publicId } from "@/lib/ids";
import { microdollarsToNano, nanoUsd, type NanoUsd } from "@/lib/money";
import { assertAllowed } from "@/server/access";
import { recordChange } from "@/server/audit";
import { getBudget, invalid, parsed, raiseBudget, type RaiseMode } from "@/server/budget";
import { bumpConfigVersion } from "@/server/config-version";
import type { Ctx } from "@/server/context";
import { assertMayDecide } from "./approvers";
import { assertIsPending, lockAction } from "./change-action";
import type { ApprovalDeps } from "./deps";
import { noSuchAction } from "./find";
import { ApproveInput, RejectInput } from "./input";
import { tellAction, tellIncrease } from "./outbox";
import { ACTION_SELECT, toPublicAction, type ActionRow, type PublicAction } from "./public-action";
import { afterVote, type Vote } from "./transitions";

/** How a person's word came in. */
export type DecidedVia = "dashboard" | "link" | "slack";

type Decision = { ctx: Ctx; actionId: string; deps: ApprovalDeps; via?: DecidedVia };

/**
 * A person approves, in full or another amount. Decided once, whoever asks at the same time: the second is told the first outcome.
 * A raise of a limit is in force when this returns. Where a policy wants several people, the action stays pending until they have all
 * said so.
 */
export async function approveAction({ input, ...decision }: Decision & { input: ApproveInput }): Promise<PublicAction> {
  return decide(decision, "approve", parsed(ApproveInput, input), undefined);
}

export async function rejectAction({ input, ...decision }: Decision & { input: RejectInput }): Promise<PublicAction> {
  return decide(decision, "reject", {}, parsed(RejectInput, input).reason);
}

async function decide(
  { ctx, actionId, deps, via = "dashboard" }: Decision,
  vote: Vote,
  terms: ReturnType<typeof ApproveInput.parse>,
  rejectReason: string | undefined,
): Promise<PublicAction> {
  assertAllowed(ctx.principal, { key: "session_only", user: "member" });
  const id = parsePublicId("action", actionId);
  if (id === undefined || ctx.principal.type !== "user") throw noSuchAction();
  const { userId } = ctx.principal;
  const row = await ctx.prisma.$transaction((tx) => decideWithin(tx, { ctx, id, userId, deps, via, vote, terms, rejectReason }));
  deps.onChange({ orgId: row.orgId, actionId: row.id, status: row.status, budgetId: row.budgetId });
  return toPublicAction(row, deps.publicUrl);
}

export type DecisionWithin = {
  ctx: Ctx;
  id: string;
  userId: string;
  deps: ApprovalDeps;
  via: DecidedVia;
  vote: Vote;
  terms: ReturnType<typeof ApproveInput.parse>;
  rejectReason: string | undefined;
};

/** The decision itself, for callers that have something of their own to write with it (the use of a mailed link). */
export async function decideWithin(tx: Prisma.TransactionClient, decision: DecisionWithin): Promise<ActionRow> {
  const { ctx, id, userId, via, vote, terms, rejectReason } = decision;
  const { orgId } = ctx.principal;
  // The organisation before the action, as everywhere: two decisions in another order would wait for each other.
  await bumpConfigVersion(tx, orgId);
  const { row, isPastEnd } = await lockAction(tx, { orgId, actionId: id });
  await assertMayDecide(tx, { row, userId });
  assertIsPending(row, isPastEnd);
  if (row.decisions.some((each) => each.userId === userId)) {
    throw new ServiceError("conflict", "You have approved this already; somebody else has to as well.");
  }
  await tx.actionDecision.create({ data: { actionId: id, userId, decision: vote, via }, select: { actionId: true } });
  const approvals = row.decisions.filter((each) => each.decision === "approve").length;
  const next = afterVote({ vote, approvals, needed: row.approvalsNeeded });
  const raise = next === "approved" ? raiseOf(row, terms) : undefined;
  if (vote === "approve" && !raise && row.actionType !== "budget_increase" && terms.until !== undefined) {
    throw invalid({ path: "until", message: "belongs to a budget_increase" });
  }
  const decided = await tx.action.update({
    where: { id, orgId },
    data:
      next === "pending"
        ? {}
        : {
            status: next,
            decidedAt: new Date(ctx.clock.now()),
            decidedById: userId,
            decidedVia: via,
            note: terms.note ?? null,
            rejectReason: rejectReason ?? null,
            approvedNano: next === "approved" ? approvedAmount(row, terms) : null,
            raiseMode: raise?.lasts.mode ?? null,
            raiseUntil: raise?.lasts.mode === "until" ? raise.lasts.until : null,
          },
    select: ACTION_SELECT,
  });
  if (raise) await raiseWithin(tx, { ctx, row: decided, raise });
  if (next !== "pending") await tellAction(tx, { type: next === "approved" ? "action.approved" : "action.rejected", row: decided });
  await recordChange(tx, {
    ctx,
    action: next === "pending" ? "action.approval_given" : `action.${next}`,
    resourceType: "action",
    resourceId: publicId("action", id),
    before: { status: row.status },
    after: { status: decided.status, via, ...(rejectReason !== undefined && { reason: rejectReason }) },
  });
  return decided;
}

function approvedAmount(
  row: ActionRow,
  { approvedAmountMicrodollars }: { approvedAmountMicrodollars?: number | undefined },
): NanoUsd | null {
  if (approvedAmountMicrodollars !== undefined) return microdollarsToNano(approvedAmountMicrodollars)!;
  return row.requestedNano === null ? null : nanoUsd(row.requestedNano);
}

type RaiseOfAction = { budgetId: string; amountNano: NanoUsd; lasts: RaiseMode };

/** What approving raises; undefined for an action that is about no limit. */
function raiseOf(
  row: ActionRow,
  terms: { approvedAmountMicrodollars?: number | undefined; until?: string | undefined },
): RaiseOfAction | undefined {
  if (row.actionType !== "budget_increase" || row.budgetId === null) return undefined;
  const amountNano = approvedAmount(row, terms);
  if (amountNano === null) throw invalid({ path: "approvedAmountMicrodollars", message: "must say how much" });
  return { budgetId: row.budgetId, amountNano, lasts: lastsOf(terms.until) };
}

function lastsOf(until: string | undefined): RaiseMode {
  if (until === undefined || until === "period") return { mode: "period" };
  if (until === "permanent") return { mode: "permanent" };
  const at = new Date(until);
  if (at.getTime() <= Date.now()) throw invalid({ path: "until", message: "must lie in the future" });
  return { mode: "until", until: at };
}

async function raiseWithin(
  tx: Prisma.TransactionClient,
  { ctx, row, raise }: { ctx: Ctx; row: ActionRow; raise: RaiseOfAction },
): Promise<void> {
  // Who approves may be no admin: what they read of the budget here is for the message alone.
  const reader: Ctx = { ...ctx, prisma: tx as Ctx["prisma"], principal: { type: "system", orgId: row.orgId } };
  const budgetId = publicId("budget", raise.budgetId);
  const before = await getBudget({ ctx: reader, budgetId });
  await raiseBudget(tx, { ctx, raise: { ...raise, actionId: row.id } });
  const after = await getBudget({ ctx: reader, budgetId });
  await tellIncrease(tx, {
    row,
    budget: {
      id: budgetId,
      entityType: after.entityType,
      entityId: after.entityId,
      before: before.currentLimitMicrodollars,
      after: after.currentLimitMicrodollars,
    },
  });
}
