import type { Prisma } from "@/generated/prisma/client";
import type { Role } from "@/generated/prisma/enums";
import { ServiceError } from "@/lib/errors";
import { publicId } from "@/lib/ids";
import { assertAllowed, hasRole } from "@/server/access";
import { recordChange } from "@/server/audit";
import type { Ctx } from "@/server/context";
import type { OrgDeps } from "./deps";
import type { ChangeRoleInput, MemberInput, SetApproverInput } from "./input";
import { type Actor, assertAnotherOwner, lockOrganisation } from "./locked-org";
import { withdrawRights } from "./withdraw-rights";

/** Ids are bare. */
export type MemberRecord = {
  userId: string;
  name: string | null;
  email: string | null;
  image: string | null;
  role: Role;
  /** Says nothing about admins and owners, who may decide anyway. */
  isApprover: boolean;
  joinedAt: Date;
  /** When the person last used a session of theirs; null: none is there any more. */
  lastSeenAt: Date | null;
  /** Keys in this organisation that still work. */
  keys: number;
};

export type Seats = {
  /** Members and pending invitations from the role member on; viewers are free. */
  used: number;
  /** Null: as many as wanted. */
  max: number | null;
};

/** As many people as an organisation can have; a list needs no pages then. */
const MEMBERS_SHOWN_MAX = 1_000;

export async function listMembers({ ctx }: { ctx: Ctx }): Promise<{ members: MemberRecord[]; seats: Seats }> {
  assertAllowed(ctx.principal, { key: ["read"], user: "viewer" });
  const { orgId } = ctx.principal;
  const now = new Date(ctx.clock.now());
  const [memberships, keys, invited] = await Promise.all([
    ctx.prisma.membership.findMany({
      where: { orgId },
      orderBy: [{ role: "desc" }, { createdAt: "asc" }],
      take: MEMBERS_SHOWN_MAX,
      select: {
        role: true,
        isApprover: true,
        createdAt: true,
        user: {
          select: {
            id: true,
            name: true,
            email: true,
            image: true,
            sessions: { orderBy: { lastSeenAt: "desc" }, take: 1, select: { lastSeenAt: true } },
          },
        },
      },
    }),
    ctx.prisma.apiKey.groupBy({
      by: ["userId"],
      where: { orgId, revokedAt: null, OR: [{ expiresAt: null }, { expiresAt: { gt: now } }] },
      _count: { _all: true },
    }),
    ctx.prisma.invitation.count({
      where: { orgId, acceptedAt: null, revokedAt: null, expiresAt: { gt: now }, role: { not: "viewer" } },
    }),
  ]);
  const keysOf = new Map(keys.map(({ userId, _count }) => [userId, _count._all]));
  return {
    members: memberships.map(({ role, isApprover, createdAt, user: { id, sessions, ...user } }) => ({
      userId: id,
      ...user,
      role,
      isApprover,
      joinedAt: createdAt,
      lastSeenAt: sessions[0]?.lastSeenAt ?? null,
      keys: keysOf.get(id) ?? 0,
    })),
    seats: { used: invited + memberships.filter(({ role }) => role !== "viewer").length, max: null },
  };
}

type MemberChange<I> = { ctx: Ctx; input: I; deps: Pick<OrgDeps, "publish"> };
type Member = { userId: string; role: Role; isApprover: boolean };

/** In force with the person's next request; their keys lose what the new role does not allow. */
export async function changeRole({ ctx, input, deps }: MemberChange<ChangeRoleInput>): Promise<Member> {
  assertAllowed(ctx.principal, { key: "session_only", user: "admin" });
  const { orgId } = ctx.principal;
  const { userId, role } = input;
  const after = await ctx.prisma.$transaction(async (tx) => {
    const actor = await lockOrganisation(tx, ctx, "admin");
    const before = await getMember(tx, { orgId, userId });
    if (before.role === role) return before;
    assertMayChange(actor, before);
    assertMayGrant(actor, role);
    if (role === "owner") await assertNotPersonal(tx, orgId);
    if (before.role === "owner") await assertAnotherOwner(tx, { orgId, userId, words: LAST_OWNER });
    const changed = await tx.membership.update({ where: { orgId_userId: { orgId, userId } }, data: { role }, select: MEMBER_SELECT });
    // Nobody lets people in with a right that they no longer have.
    if (!hasRole(role, "admin")) await revokeInvitationsBy(tx, { orgId, userId, now: new Date(ctx.clock.now()) });
    await recordMemberChange(tx, ctx, "member.role_changed", before, changed);
    return changed;
  });
  deps.publish({ type: "config.changed", orgId, area: "members" });
  return after;
}

/** Whether a member may decide approvals. */
export async function setApprover({ ctx, input, deps }: MemberChange<SetApproverInput>): Promise<Member> {
  assertAllowed(ctx.principal, { key: "session_only", user: "admin" });
  const { orgId } = ctx.principal;
  const { userId, isApprover } = input;
  const after = await ctx.prisma.$transaction(async (tx) => {
    const actor = await lockOrganisation(tx, ctx, "admin");
    const before = await getMember(tx, { orgId, userId });
    if (before.isApprover === isApprover) return before;
    assertMayChange(actor, before);
    if (isApprover && !hasRole(before.role, "member"))
      throw new ServiceError("conflict", "A viewer decides nothing: make them a member first.");
    const changed = await tx.membership.update({ where: { orgId_userId: { orgId, userId } }, data: { isApprover }, select: MEMBER_SELECT });
    await recordMemberChange(tx, ctx, "member.approver_changed", before, changed);
    return changed;
  });
  deps.publish({ type: "config.changed", orgId, area: "members" });
  return after;
}

/** Keys, sockets, invitations and the right to decide end with the membership, on every process within a second. */
export async function removeMember({ ctx, input, deps }: MemberChange<MemberInput>): Promise<{ userId: string }> {
  assertAllowed(ctx.principal, { key: "session_only", user: "admin" });
  const { orgId } = ctx.principal;
  const { userId } = input;
  await ctx.prisma.$transaction(async (tx) => {
    const actor = await lockOrganisation(tx, ctx, "admin");
    if (actor.userId === userId) throw new ServiceError("conflict", "To go yourself, leave the organisation.");
    const before = await getMember(tx, { orgId, userId });
    assertMayChange(actor, before);
    if (before.role === "owner") await assertAnotherOwner(tx, { orgId, userId, words: LAST_OWNER });
    await endMembership(tx, ctx, "member.removed", before);
  });
  deps.publish({ type: "member.removed", orgId, userId });
  deps.publish({ type: "config.changed", orgId, area: "members" });
  return { userId };
}

export async function leaveOrganisation({ ctx, deps }: Omit<MemberChange<never>, "input">): Promise<void> {
  assertAllowed(ctx.principal, { key: "session_only", user: "viewer" });
  const { orgId } = ctx.principal;
  if (ctx.principal.type !== "user") throw new ServiceError("bad_request", "Only a person leaves an organisation.");
  const { userId } = ctx.principal;
  await ctx.prisma.$transaction(async (tx) => {
    await lockOrganisation(tx, ctx, "viewer");
    const before = await getMember(tx, { orgId, userId });
    if (before.role === "owner") {
      await assertAnotherOwner(tx, { orgId, userId, words: "You are the only owner. Make somebody else the owner first, or delete it." });
    }
    await endMembership(tx, ctx, "member.left", before);
  });
  deps.publish({ type: "member.removed", orgId, userId });
  deps.publish({ type: "config.changed", orgId, area: "members" });
}

/** The other member becomes an owner, and whoever gives the organisation away an admin. */
export async function transferOwnership({ ctx, input, deps }: MemberChange<MemberInput>): Promise<Member> {
  assertAllowed(ctx.principal, { key: "session_only", user: "owner" });
  const { orgId } = ctx.principal;
  const after = await ctx.prisma.$transaction(async (tx) => {
    const actor = await lockOrganisation(tx, ctx, "owner");
    if (actor.userId === null) throw new ServiceError("bad_request", "Only an owner gives an organisation away.");
    if (actor.userId === input.userId) throw new ServiceError("conflict", "It is yours already.");
    await assertNotPersonal(tx, orgId);
    const heir = await getMember(tx, { orgId, userId: input.userId });
    const giver = await getMember(tx, { orgId, userId: actor.userId });
    const owner = await tx.membership.update({
      where: { orgId_userId: { orgId, userId: heir.userId } },
      data: { role: "owner" },
      select: MEMBER_SELECT,
    });
    const admin = await tx.membership.update({
      where: { orgId_userId: { orgId, userId: giver.userId } },
      data: { role: "admin" },
      select: MEMBER_SELECT,
    });
    await recordMemberChange(tx, ctx, "org.ownership_transferred", heir, owner);
    await recordMemberChange(tx, ctx, "member.role_changed", giver, admin);
    return owner;
  });
  deps.publish({ type: "config.changed", orgId, area: "members" });
  return after;
}

const LAST_OWNER = "An organisation has at least one owner: make somebody else an owner first.";
const MEMBER_SELECT = { userId: true, role: true, isApprover: true } as const satisfies Prisma.MembershipSelect;

async function getMember(tx: Prisma.TransactionClient, { orgId, userId }: { orgId: string; userId: string }): Promise<Member> {
  const member = await tx.membership.findUnique({ where: { orgId_userId: { orgId, userId } }, select: MEMBER_SELECT });
  if (!member) throw new ServiceError("not_found", "There is no such member.");
  return member;
}

/** Owners change everybody, admins whoever is below them, and themselves downwards (CONTRACT §12). */
function assertMayChange(actor: Actor, member: Member): void {
  if (actor.role === "owner" || actor.userId === member.userId || !hasRole(member.role, "admin")) return;
  throw new ServiceError("forbidden", `An admin cannot change ${member.role === "owner" ? "an owner" : "another admin"}.`);
}

/** Nobody gives a role above their own. */
export function assertMayGrant(actor: Actor, role: Role): void {
  if (!hasRole(actor.role, role)) throw new ServiceError("forbidden", `Nobody gives a role above their own, and yours is ${actor.role}.`);
}

async function assertNotPersonal(tx: Prisma.TransactionClient, orgId: string): Promise<void> {
  const { isPersonal } = await tx.organisation.findUniqueOrThrow({ where: { id: orgId }, select: { isPersonal: true } });
  if (isPersonal) throw new ServiceError("conflict", "A personal organisation belongs to its person: make a team organisation to share.");
}

export async function revokeInvitationsBy(
  tx: Prisma.TransactionClient,
  { orgId, userId, now }: { orgId: string; userId: string; now: Date },
): Promise<number> {
  const { count } = await tx.invitation.updateMany({
    where: { orgId, invitedById: userId, acceptedAt: null, revokedAt: null },
    data: { revokedAt: now },
  });
  return count;
}

async function endMembership(tx: Prisma.TransactionClient, ctx: Ctx, action: string, before: Member): Promise<void> {
  const { orgId } = ctx.principal;
  const now = new Date(ctx.clock.now());
  const { userId } = before;
  await tx.membership.delete({ where: { orgId_userId: { orgId, userId } }, select: { userId: true } });
  const revokedInvitations = await revokeInvitationsBy(tx, { orgId, userId, now });
  const withdrawn = await withdrawRights(tx, { orgId, userId, now });
  await recordChange(tx, {
    ctx,
    action,
    resourceType: "member",
    resourceId: publicId("user", userId),
    before: { role: before.role, isApprover: before.isApprover },
    after: { revokedInvitations, ...withdrawn },
  });
}

async function recordMemberChange(tx: Prisma.TransactionClient, ctx: Ctx, action: string, before: Member, after: Member): Promise<void> {
  await recordChange(tx, {
    ctx,
    action,
    resourceType: "member",
    resourceId: publicId("user", after.userId),
    before: { role: before.role, isApprover: before.isApprover },
    after: { role: after.role, isApprover: after.isApprover },
  });
}
