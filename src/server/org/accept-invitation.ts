import type { Prisma } from "@/generated/prisma/client";
import type { Role } from "@/generated/prisma/enums";
import { ServiceError } from "@/lib/errors";
import { publicId } from "@/lib/ids";
import { recordChange } from "@/server/audit";
import { bumpConfigVersion } from "@/server/config-version";
import type { Ctx } from "@/server/context";
import type { OrgDeps } from "./deps";
import { hashInvitationToken } from "./invitations";

/** What the holder of a link is shown. The same fields whatever became of it; null where there is nothing to tell. */
export type InvitationView = {
  state: "pending" | "accepted" | "revoked" | "expired" | "unknown";
  orgName: string | null;
  role: Role | null;
  /** Name of who sent it. */
  invitedBy: string | null;
  /** The address it was mailed to, for signing up or in with it; only while it is pending. */
  email: string | null;
  expiresAt: Date | null;
};

type Guest = Pick<Ctx, "prisma" | "clock" | "ip">;

const UNKNOWN: InvitationView = { state: "unknown", orgName: null, role: null, invitedBy: null, email: null, expiresAt: null };
/** 32 bytes in base64url. */
const TOKEN = /^[A-Za-z0-9_-]{43}$/;

const SELECT = {
  id: true,
  orgId: true,
  email: true,
  role: true,
  invitedById: true,
  expiresAt: true,
  acceptedAt: true,
  acceptedById: true,
  revokedAt: true,
  organisation: { select: { name: true, slug: true, deletedAt: true } },
} as const satisfies Prisma.InvitationSelect;
type Row = Prisma.InvitationGetPayload<{ select: typeof SELECT }>;

/** Undefined: no such token, or one of an organisation that is gone; the two are not told apart. */
async function findByToken(tx: Prisma.TransactionClient, token: string): Promise<Row | undefined> {
  // Looked up by hash through the unique index, so that no comparison takes longer the more of a guess is right.
  const row = TOKEN.test(token)
    ? await tx.invitation.findUnique({ where: { tokenHash: hashInvitationToken(token) }, select: SELECT })
    : null;
  return row === null || row.organisation.deletedAt ? undefined : row;
}

function stateOf(row: Row, nowMs: number): Exclude<InvitationView["state"], "unknown"> {
  if (row.acceptedAt) return "accepted";
  if (row.revokedAt) return "revoked";
  return row.expiresAt.getTime() <= nowMs ? "expired" : "pending";
}

/** For the page behind the link. @throws ServiceError `rate_limited` for whoever guesses. */
export async function getInvitationByToken({
  ctx,
  token,
  deps,
}: {
  ctx: Guest;
  token: string;
  deps: Pick<OrgDeps, "tokenGuesses">;
}): Promise<InvitationView> {
  await deps.tokenGuesses.assertMayTry(ctx.ip);
  const row = await findByToken(ctx.prisma, token);
  if (!row) {
    await deps.tokenGuesses.failed(ctx.ip);
    return UNKNOWN;
  }
  const state = stateOf(row, ctx.clock.now());
  const isPending = state === "pending";
  const inviter =
    row.invitedById === null
      ? null
      : await ctx.prisma.user.findUnique({ where: { id: row.invitedById }, select: { name: true, email: true } });
  return {
    state,
    orgName: row.organisation.name,
    role: row.role,
    invitedBy: inviter && (inviter.name ?? inviter.email),
    email: isPending ? row.email : null,
    expiresAt: isPending ? row.expiresAt : null,
  };
}

export type AcceptedInvitation = {
  orgId: string;
  slug: string;
  orgName: string;
  /** As held now: whoever was a member before keeps the role they had. */
  role: Role;
};

/**
 * Lets a signed-in person in who has proven the invited address, with the role that the invitation says now. It works once; the same
 * person asking again gets the same answer.
 */
export async function acceptInvitation({
  ctx,
  userId,
  token,
  deps,
}: {
  ctx: Guest;
  userId: string;
  token: string;
  deps: Pick<OrgDeps, "publish" | "tokenGuesses">;
}): Promise<AcceptedInvitation> {
  await deps.tokenGuesses.assertMayTry(ctx.ip);
  const accepted = await ctx.prisma.$transaction(async (tx) => {
    const found = await findByToken(tx, token);
    if (!found) return undefined;
    await bumpConfigVersion(tx, found.orgId);
    // Again, now that nobody else changes it: revoked, sent anew or accepted meanwhile, it says so here.
    const row = await findByToken(tx, token);
    return row && join(tx, { ctx, row, userId });
  });
  if (!accepted) {
    await deps.tokenGuesses.failed(ctx.ip);
    throw new ServiceError("not_found", "There is no such invitation. Ask for a new one.");
  }
  deps.publish({ type: "config.changed", orgId: accepted.orgId, area: "members" });
  return accepted;
}

async function join(
  tx: Prisma.TransactionClient,
  { ctx, row, userId }: { ctx: Guest; row: Row; userId: string },
): Promise<AcceptedInvitation> {
  const { orgId, organisation } = row;
  const member = await tx.membership.findUnique({ where: { orgId_userId: { orgId, userId } }, select: { role: true } });
  const answer = (role: Role): AcceptedInvitation => ({ orgId, slug: organisation.slug, orgName: organisation.name, role });
  switch (stateOf(row, ctx.clock.now())) {
    case "accepted":
      if (row.acceptedById === userId && member) return answer(member.role);
      throw new ServiceError("conflict", "This invitation was used already. Ask for a new one.");
    case "revoked":
      throw new ServiceError("conflict", "This invitation was withdrawn. Ask for a new one.");
    case "expired":
      throw new ServiceError("conflict", "This invitation has expired. Ask for a new one.");
    case "pending":
      break;
  }
  const user = await tx.user.findUnique({ where: { id: userId }, select: { email: true, emailVerified: true } });
  if (user?.email !== row.email) {
    throw new ServiceError("forbidden", "This invitation is for another address. Sign in with the address it was mailed to.");
  }
  if (!user.emailVerified) throw new ServiceError("forbidden", "Confirm your address first: we have mailed you a link.");
  const role = member?.role ?? row.role;
  if (!member) await tx.membership.create({ data: { orgId, userId, role }, select: { userId: true } });
  await tx.invitation.update({
    where: { id: row.id },
    data: { acceptedAt: new Date(ctx.clock.now()), acceptedById: userId },
    select: { id: true },
  });
  await recordChange(tx, {
    ctx: { principal: { type: "user", orgId, userId, role }, ip: ctx.ip },
    action: "invitation.accepted",
    resourceType: "invitation",
    resourceId: publicId("invitation", row.id),
    before: { email: row.email, role: row.role },
    after: { userId: publicId("user", userId), role, wasMember: member !== null },
  });
  return answer(role);
}
