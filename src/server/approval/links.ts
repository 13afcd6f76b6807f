import { createHash, createHmac, randomBytes, randomInt, timingSafeEqual } from "node:crypto";
import type { Prisma } from "@/generated/prisma/client";
import type { Role } from "@/generated/prisma/enums";
import { ServiceError } from "@/lib/errors";
import { microdollarsToNano } from "@/lib/money";
import { parsed } from "@/server/budget";
import type { Ctx } from "@/server/context";
import { hashOf } from "./create";
import { decideWithin } from "./decide";
import type { ApprovalDeps } from "./deps";
import { ApproveInput, RejectInput } from "./input";
import { ACTION_SELECT, toPublicAction, type ActionRow, type PublicAction } from "./public-action";
import type { Vote } from "./transitions";

/**
 * The link in an approver's mail (CONTRACT §10): a random token, bound to the approver, the action and its payload, good for one
 * decision until the action ends. Opening it shows and changes nothing. Deciding takes the approver's own session, or the six digits
 * that stand in the same mail and not in the link: what fetches the link, runs its scripts and presses its buttons has neither.
 */
export type MailedLink = { token: string; code: string };

const CODE_ATTEMPTS_MAX = 5;

/** The only place that sees token and code in the clear: they go into the mail and are stored as hashes. */
export async function createLink(
  tx: Prisma.TransactionClient,
  { row, userId, secret }: { row: ActionRow; userId: string; secret: string },
): Promise<MailedLink> {
  const token = randomBytes(32).toString("base64url");
  const code = String(randomInt(0, 1_000_000)).padStart(6, "0");
  const hash = hashOfToken(token);
  await tx.actionToken.create({
    data: {
      hash,
      actionId: row.id,
      userId,
      payloadHash: row.payloadHash,
      codeHash: hashOfCode({ secret, hash, code }),
      expiresAt: row.expiresAt,
    },
    select: { hash: true },
  });
  return { token, code };
}

/** What the holder of a link is shown. */
export type LinkView = {
  action: PublicAction;
  org: { id: string; name: string; slug: string };
  approver: { userId: string; email: string; name: string | null };
  /**
   * `code`: the six digits of the mail decide. `sign_in`: this one needs the approver's session. `used_up`: too many wrong codes, so
   * it needs the session as well.
   */
  needs: "code" | "sign_in" | "used_up";
};

/** Undefined for a token that is not one of ours, or whose action has another payload by now: nothing tells them apart. */
export async function viewLink({
  ctx,
  token,
  publicUrl,
}: {
  ctx: Pick<Ctx, "prisma" | "clock">;
  token: string;
  publicUrl: string;
}): Promise<LinkView | undefined> {
  const found = await findLink(ctx.prisma, token);
  if (!found) return undefined;
  const { action, user, codeAttempts } = found;
  const limit = await leftOfToday(ctx, { orgId: action.orgId, userId: user.id });
  const fits = action.requestedNano !== null && action.requestedNano <= limit;
  return {
    action: toPublicAction(action, publicUrl),
    org: action.organisation,
    approver: { userId: user.id, email: user.email ?? "", name: user.name },
    needs: codeAttempts >= CODE_ATTEMPTS_MAX ? "used_up" : fits ? "code" : "sign_in",
  };
}

export type LinkDecision = {
  ctx: Omit<Ctx, "principal">;
  deps: ApprovalDeps;
  secret: string;
  token: string;
  /** Who is signed in, if anybody; only the approver of this link counts. */
  signedInUserId: string | undefined;
  /** As typed; spaces do not matter. */
  code: string | undefined;
} & ({ vote: "approve"; input: ApproveInput } | { vote: "reject"; input: RejectInput });

export type LinkOutcome =
  | { outcome: "decided"; action: PublicAction }
  | { outcome: "wrong_code"; attemptsLeft: number }
  /** Neither session nor a code that would do. */
  | { outcome: "sign_in_needed"; reason: "no_code" | "above_limit" | "no_amount" | "used_up" }
  | { outcome: "unknown_link" };

/** @throws ServiceError as deciding in the dashboard does: decided already, expired, no approver any more. */
export async function decideByLink(decision: LinkDecision): Promise<LinkOutcome> {
  const { ctx, deps } = decision;
  const outcome = await ctx.prisma.$transaction((tx) => decideByLinkWithin(tx, decision));
  if (outcome.outcome !== "decided") return outcome;
  const { row } = outcome;
  deps.onChange({ orgId: row.orgId, actionId: row.id, status: row.status, budgetId: row.budgetId });
  return { outcome: "decided", action: toPublicAction(row, deps.publicUrl) };
}

type WithinOutcome = Exclude<LinkOutcome, { outcome: "decided" }> | { outcome: "decided"; row: ActionRow };

async function decideByLinkWithin(tx: Prisma.TransactionClient, decision: LinkDecision): Promise<WithinOutcome> {
  const { ctx, deps, secret, token, signedInUserId, code, vote } = decision;
  const found = await findLink(tx, token);
  if (!found) return { outcome: "unknown_link" };
  const { action, user, hash } = found;
  const terms = vote === "approve" ? parsed(ApproveInput, decision.input) : {};
  const isSignedIn = signedInUserId === user.id;
  if (!isSignedIn) {
    const refused = await checkCode(tx, {
      ctx,
      decision: { hash, code, secret },
      action,
      userId: user.id,
      amount: amountOf(action, terms),
    });
    if (refused) return refused;
  }
  const row = await decideWithin(tx, {
    ctx: {
      ...ctx,
      principal: { type: "user", orgId: action.orgId, userId: user.id, role: await roleOf(tx, { orgId: action.orgId, userId: user.id }) },
    },
    id: action.id,
    userId: user.id,
    deps,
    via: isSignedIn ? "dashboard" : "link",
    vote: vote satisfies Vote,
    terms,
    rejectReason: vote === "reject" ? parsed(RejectInput, decision.input).reason : undefined,
  });
  await tx.actionToken.update({ where: { hash }, data: { usedAt: new Date(ctx.clock.now()) }, select: { hash: true } });
  return { outcome: "decided", row };
}

/** Undefined: the code is right and may decide this. A wrong one is counted, for good: the transaction goes on to its commit. */
async function checkCode(
  tx: Prisma.TransactionClient,
  {
    ctx,
    decision: { hash, code, secret },
    action,
    userId,
    amount,
  }: {
    ctx: Omit<Ctx, "principal">;
    decision: { hash: string; code: string | undefined; secret: string };
    action: ActionRow;
    userId: string;
    amount: bigint | null;
  },
): Promise<Exclude<WithinOutcome, { outcome: "decided" }> | undefined> {
  // Locked: a hundred guesses at once are a hundred guesses.
  const [locked] = await tx.$queryRaw<{ code_attempts: number; code_hash: string; used: boolean }[]>`
    SELECT code_attempts, code_hash, used_at IS NOT NULL AS used FROM action_token WHERE hash = ${hash} FOR UPDATE`;
  if (!locked) return { outcome: "unknown_link" };
  if (locked.used || locked.code_attempts >= CODE_ATTEMPTS_MAX) return { outcome: "sign_in_needed", reason: "used_up" };
  if (amount === null) return { outcome: "sign_in_needed", reason: "no_amount" };
  if (amount > (await leftOfToday({ prisma: tx, clock: ctx.clock }, { orgId: action.orgId, userId }))) {
    return { outcome: "sign_in_needed", reason: "above_limit" };
  }
  const digits = code?.replace(/\D/g, "") ?? "";
  if (digits === "") return { outcome: "sign_in_needed", reason: "no_code" };
  if (sameHash(locked.code_hash, hashOfCode({ secret, hash, code: digits }))) return undefined;
  await tx.actionToken.update({ where: { hash }, data: { codeAttempts: { increment: 1 } }, select: { hash: true } });
  return { outcome: "wrong_code", attemptsLeft: CODE_ATTEMPTS_MAX - locked.code_attempts - 1 };
}

/** What is decided about: what was asked for, or more where more is granted. */
function amountOf(action: ActionRow, { approvedAmountMicrodollars }: { approvedAmountMicrodollars?: number | undefined }): bigint | null {
  const granted = approvedAmountMicrodollars === undefined ? undefined : microdollarsToNano(approvedAmountMicrodollars);
  if (granted === undefined) return action.requestedNano;
  return action.requestedNano === null || granted > action.requestedNano ? granted : action.requestedNano;
}

/** Nanodollars that this approver may still decide today by code, in the organisation's day. */
async function leftOfToday(
  { prisma, clock }: { prisma: Prisma.TransactionClient; clock: Ctx["clock"] },
  { orgId, userId }: { orgId: string; userId: string },
): Promise<bigint> {
  const [row] = await prisma.$queryRaw<{ left: bigint }[]>`
    SELECT o.link_limit_nano - coalesce((
      SELECT sum(a.approved_nano) FROM action a
      WHERE a.org_id = o.id AND a.decided_by_id = ${userId}::uuid AND a.decided_via = 'link'
        AND a.decided_at >= date_trunc('day', ${new Date(clock.now())}::timestamptz, o.timezone)), 0)::bigint AS left
    FROM organisation o WHERE o.id = ${orgId}::uuid`;
  return row?.left ?? 0n;
}

async function roleOf(tx: Prisma.TransactionClient, { orgId, userId }: { orgId: string; userId: string }): Promise<Role> {
  const member = await tx.membership.findUnique({ where: { orgId_userId: { orgId, userId } }, select: { role: true } });
  if (!member) throw new ServiceError("forbidden", "You are not a member of this organisation any more.");
  return member.role;
}

const LINK_SELECT = {
  hash: true,
  payloadHash: true,
  codeAttempts: true,
  user: { select: { id: true, email: true, name: true } },
  action: { select: { ...ACTION_SELECT, organisation: { select: { id: true, name: true, slug: true } } } },
} as const satisfies Prisma.ActionTokenSelect;

async function findLink(tx: Prisma.TransactionClient, token: string) {
  if (!/^[A-Za-z0-9_-]{43}$/.test(token)) return undefined;
  const found = await tx.actionToken.findUnique({ where: { hash: hashOfToken(token) }, select: LINK_SELECT });
  if (!found) return undefined;
  const { payloadHash, action } = found;
  return payloadHash === action.payloadHash && payloadHash === hashOf(action.payload) ? found : undefined;
}

const hashOfToken = (token: string): string => createHash("sha256").update(token).digest("hex");

/** Keyed and bound to its link: a million codes are tried in no time by who has read the database. */
const hashOfCode = ({ secret, hash, code }: { secret: string; hash: string; code: string }): string =>
  createHmac("sha256", secret).update(`approval-code:${hash}:${code}`).digest("hex");

const sameHash = (a: string, b: string): boolean => a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));
