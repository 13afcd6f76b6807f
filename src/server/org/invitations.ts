import { createHash, randomBytes, randomUUID } from "node:crypto";
import type { Prisma } from "@/generated/prisma/client";
import type { Role } from "@/generated/prisma/enums";
import { ServiceError } from "@/lib/errors";
import { publicId } from "@/lib/ids";
import { assertAllowed } from "@/server/access";
import { type Change, recordChange, recordChanges } from "@/server/audit";
import type { Ctx } from "@/server/context";
import { enqueueMails } from "@/server/notification";
import type { OrgDeps } from "./deps";
import type { InviteMembersInput } from "./input";
import { type Actor, lockOrganisation } from "./locked-org";
import { assertMayGrant } from "./members";
import { readAddresses, type ReadAddress } from "./read-addresses";

/** An invitation that nobody has accepted or revoked. Ids are bare. */
export type InvitationRecord = {
  id: string;
  email: string;
  role: Role;
  state: "pending" | "expired";
  invitedBy: { userId: string; name: string | null; email: string | null } | null;
  /** Of the mail sent last: on its way, handed over, or given up (`mailError` says why). Null: nothing is known of it any more. */
  mail: "queued" | "sent" | "failed" | null;
  mailError: string | null;
  expiresAt: Date;
  lastSentAt: Date;
  createdAt: Date;
};

/** What became of one of the pasted addresses. */
export type InvitationOutcome =
  | { email: string; outcome: "invited" | "role_changed" | "already_invited"; invitationId: string }
  | { email: string; outcome: "already_member" }
  | { email: string; outcome: "invalid" };

const DAY_MS = 86_400_000;
/** CONTRACT §12. */
export const INVITATION_MS = 7 * DAY_MS;
const ADDRESSES_MAX = 200;
/** Mails of invitations that one organisation sends in a day, so that it is no way of mailing the world. */
const MAILS_PER_DAY_MAX = 500;
const RESEND_AFTER_MS = 60_000;

export const hashInvitationToken = (token: string): string => createHash("sha256").update(token).digest("hex");

const PENDING = { acceptedAt: null, revokedAt: null } as const;
const mailKeyOf = ({ id, tokenHash }: { id: string; tokenHash: string }): string => `invitation:${id}:${tokenHash}`;

/**
 * Invites everybody who is written there, and says of each address what became of it: one that is wrong does not stop the others.
 * Who is invited already gets no second mail, but the role that is given now.
 */
export async function inviteMembers({
  ctx,
  input,
  deps,
}: {
  ctx: Ctx;
  input: InviteMembersInput;
  deps: OrgDeps;
}): Promise<InvitationOutcome[]> {
  assertAllowed(ctx.principal, { key: ["manage"], user: "admin" });
  const { orgId } = ctx.principal;
  const addresses = readAddresses(input.emails);
  if (addresses.length === 0) throw new ServiceError("bad_request", "Write at least one address.");
  if (addresses.length > ADDRESSES_MAX) throw new ServiceError("bad_request", `At most ${ADDRESSES_MAX} addresses at a time.`);
  const { role } = input;
  if (ctx.principal.type === "api_key" && role === "admin") {
    throw new ServiceError("forbidden", "A key invites viewers and members; an admin invites admins, in the dashboard.");
  }
  const outcomes = await ctx.prisma.$transaction(async (tx) => {
    const actor = await lockOrganisation(tx, ctx, "admin");
    assertMayGrant(actor, role);
    const known = await readKnown(
      tx,
      ctx,
      addresses.flatMap(({ email }) => email ?? []),
    );
    const results = addresses.map((address) => outcomeOf(address, { ...known, role }));
    const invited = results.flatMap((result) => (result.outcome === "invited" ? [result] : []));
    const changed = results.flatMap((result) => (result.outcome === "role_changed" ? [result] : []));
    await assertMayMail(tx, ctx, invited.length);
    // The organisation is locked: as few statements as that takes, however many are invited.
    await changeRoles(tx, { ctx, role, changed, before: known.pending });
    await insertInvitations(tx, { ctx, deps, actor, role, invited });
    return results;
  });
  deps.publish({ type: "config.changed", orgId, area: "members" });
  return outcomes;
}

type Pending = { id: string; role: Role };

async function readKnown(
  tx: Prisma.TransactionClient,
  { principal: { orgId }, clock }: Ctx,
  emails: string[],
): Promise<{ members: ReadonlySet<string>; pending: ReadonlyMap<string, Pending> }> {
  const members = await tx.membership.findMany({
    where: { orgId, user: { email: { in: emails } } },
    select: { user: { select: { email: true } } },
  });
  const pending = await tx.invitation.findMany({
    where: { orgId, ...PENDING, expiresAt: { gt: new Date(clock.now()) }, email: { in: emails } },
    select: { id: true, role: true, email: true },
  });
  return {
    members: new Set(members.flatMap(({ user }) => user.email ?? [])),
    pending: new Map(pending.map(({ email, ...invitation }) => [email, invitation])),
  };
}

async function assertMayMail(tx: Prisma.TransactionClient, { principal: { orgId }, clock }: Ctx, more: number): Promise<void> {
  const sent = await tx.invitation.count({ where: { orgId, lastSentAt: { gt: new Date(clock.now() - DAY_MS) } } });
  if (sent + more <= MAILS_PER_DAY_MAX) return;
  throw new ServiceError("limit_exceeded", `An organisation sends at most ${MAILS_PER_DAY_MAX} invitations a day. Try again tomorrow.`);
}

type Placed = { email: string; invitationId: string };
type Known = { members: ReadonlySet<string>; pending: ReadonlyMap<string, Pending>; role: Role };

function outcomeOf({ written, email }: ReadAddress, { members, pending, role }: Known): InvitationOutcome {
  if (email === undefined) return { email: written, outcome: "invalid" };
  if (members.has(email)) return { email, outcome: "already_member" };
  const before = pending.get(email);
  if (!before) return { email, outcome: "invited", invitationId: randomUUID() };
  return { email, outcome: before.role === role ? "already_invited" : "role_changed", invitationId: before.id };
}

async function changeRoles(
  tx: Prisma.TransactionClient,
  { ctx, role, changed, before }: { ctx: Ctx; role: Role; changed: readonly Placed[]; before: ReadonlyMap<string, Pending> },
): Promise<void> {
  const ids = changed.map(({ invitationId }) => invitationId);
  await tx.invitation.updateMany({ where: { id: { in: ids }, orgId: ctx.principal.orgId }, data: { role } });
  await recordChanges(
    tx,
    changed.map(({ email, invitationId: id }) =>
      changeOf(ctx, "invitation.role_changed", { id, email, role: before.get(email)?.role ?? null }, { email, role }),
    ),
  );
}

type Invited = { ctx: Ctx; deps: OrgDeps; actor: Actor; role: Role; invited: readonly Placed[] };

async function insertInvitations(tx: Prisma.TransactionClient, { ctx, deps, actor, role, invited }: Invited): Promise<void> {
  const { orgId } = ctx.principal;
  const now = new Date(ctx.clock.now());
  const expiresAt = new Date(now.getTime() + INVITATION_MS);
  // One that has expired is over: two links for one address would be two rights.
  await tx.invitation.updateMany({
    where: { orgId, email: { in: invited.map(({ email }) => email) }, ...PENDING },
    data: { revokedAt: now },
  });
  const rows = invited.map(({ email, invitationId: id }) => ({ id, email, ...newToken() }));
  await tx.invitation.createMany({
    data: rows.map(({ id, email, tokenHash }) => ({
      id,
      orgId,
      email,
      role,
      tokenHash,
      invitedById: actor.userId,
      expiresAt,
      lastSentAt: now,
      createdAt: now,
    })),
  });
  await mailInvitations(tx, { ctx, deps, actor, letters: rows.map((row) => ({ ...row, role, expiresAt })) });
  await recordChanges(
    tx,
    rows.map(({ id, email }) => changeOf(ctx, "invitation.created", { id, email, role: null }, { email, role })),
  );
}

function newToken(): { token: string; tokenHash: string } {
  const token = randomBytes(32).toString("base64url");
  return { token, tokenHash: hashInvitationToken(token) };
}

type InvitationLetter = { id: string; email: string; role: Role; token: string; tokenHash: string; expiresAt: Date };

/** The only place that sees tokens in the clear, besides the people who are invited. */
async function mailInvitations(
  tx: Prisma.TransactionClient,
  { ctx, deps, actor, letters }: { ctx: Ctx; deps: OrgDeps; actor: Actor; letters: readonly InvitationLetter[] },
): Promise<void> {
  const { orgId } = ctx.principal;
  const { name: orgName } = await tx.organisation.findUniqueOrThrow({ where: { id: orgId }, select: { name: true } });
  const inviter =
    actor.userId === null ? null : await tx.user.findUnique({ where: { id: actor.userId }, select: { name: true, email: true } });
  await enqueueMails(
    tx,
    letters.map(({ email, role, token, expiresAt, ...row }) => ({
      dedupeKey: mailKeyOf(row),
      to: email,
      template: "invitation" as const,
      orgId,
      props: { url: `${deps.publicUrl}/invite/${token}`, orgName, role, invitedBy: inviter && (inviter.name ?? inviter.email), expiresAt },
    })),
  );
}

/** Those that wait and those that ran out, newest first: at most a thousand. */
export async function listInvitations({ ctx }: { ctx: Ctx }): Promise<InvitationRecord[]> {
  assertAllowed(ctx.principal, { key: ["read", "manage"], user: "admin" });
  const { orgId } = ctx.principal;
  const rows = await ctx.prisma.invitation.findMany({
    where: { orgId, ...PENDING },
    orderBy: [{ createdAt: "desc" }, { id: "desc" }],
    take: 1_000,
    select: INVITATION_SELECT,
  });
  return toRecords(ctx, rows);
}

const INVITATION_SELECT = {
  id: true,
  email: true,
  role: true,
  tokenHash: true,
  invitedById: true,
  expiresAt: true,
  lastSentAt: true,
  createdAt: true,
} as const satisfies Prisma.InvitationSelect;
type Row = Prisma.InvitationGetPayload<{ select: typeof INVITATION_SELECT }>;

async function toRecords(ctx: Ctx, rows: readonly Row[]): Promise<InvitationRecord[]> {
  const inviterIds = [...new Set(rows.flatMap(({ invitedById }) => invitedById ?? []))];
  const [inviters, mails] = await Promise.all([
    ctx.prisma.user.findMany({ where: { id: { in: inviterIds } }, select: { id: true, name: true, email: true } }),
    ctx.prisma.mail.findMany({
      where: { orgId: ctx.principal.orgId, dedupeKey: { in: rows.map(mailKeyOf) } },
      select: { dedupeKey: true, state: true, lastError: true },
    }),
  ]);
  const inviterOf = new Map(inviters.map(({ id, ...person }) => [id, { userId: id, ...person }]));
  const mailOf = new Map(mails.map((mail) => [mail.dedupeKey, mail]));
  const now = ctx.clock.now();
  return rows.map(({ tokenHash, invitedById, ...row }) => {
    const mail = mailOf.get(mailKeyOf({ id: row.id, tokenHash }));
    return {
      ...row,
      state: row.expiresAt.getTime() > now ? "pending" : "expired",
      invitedBy: invitedById === null ? null : (inviterOf.get(invitedById) ?? null),
      // The worker writes no other states.
      mail: (mail?.state ?? null) as InvitationRecord["mail"],
      mailError: mail?.state === "failed" ? mail.lastError : null,
    };
  });
}

/** A new link, for another seven days; the one before is worth nothing from here on. */
export async function resendInvitation({
  ctx,
  invitationId,
  deps,
}: {
  ctx: Ctx;
  invitationId: string;
  deps: OrgDeps;
}): Promise<InvitationRecord> {
  assertAllowed(ctx.principal, { key: ["manage"], user: "admin" });
  const { orgId } = ctx.principal;
  const row = await ctx.prisma.$transaction(async (tx) => {
    const actor = await lockOrganisation(tx, ctx, "admin");
    const before = await getOpenInvitation(tx, { orgId, invitationId });
    assertMayGrant(actor, before.role);
    const now = ctx.clock.now();
    if (now - before.lastSentAt.getTime() < RESEND_AFTER_MS) {
      throw new ServiceError("conflict", "It was sent less than a minute ago. Wait a moment before you send it again.");
    }
    await assertMayMail(tx, ctx, 1);
    const { token, tokenHash } = newToken();
    const after = await tx.invitation.update({
      where: { id: invitationId, orgId },
      data: { tokenHash, expiresAt: new Date(now + INVITATION_MS), lastSentAt: new Date(now), invitedById: actor.userId },
      select: INVITATION_SELECT,
    });
    const { id, email, role } = after;
    await mailInvitations(tx, { ctx, deps, actor, letters: [{ ...after, token }] });
    await recordChange(tx, changeOf(ctx, "invitation.resent", { id, email, role }, { email, role }));
    return after;
  });
  deps.publish({ type: "config.changed", orgId, area: "members" });
  const [resent] = await toRecords(ctx, [row]);
  return resent!;
}

/** Revoking it again changes nothing; one that was accepted is a member by now. */
export async function revokeInvitation({
  ctx,
  invitationId,
  deps,
}: {
  ctx: Ctx;
  invitationId: string;
  deps: Pick<OrgDeps, "publish">;
}): Promise<{ id: string; revokedAt: Date }> {
  assertAllowed(ctx.principal, { key: ["manage"], user: "admin" });
  const { orgId } = ctx.principal;
  const revokedAt = await ctx.prisma.$transaction(async (tx) => {
    await lockOrganisation(tx, ctx, "admin");
    const row = await getInvitation(tx, { orgId, invitationId });
    if (row.acceptedAt) throw new ServiceError("conflict", "It was accepted: remove the member instead.");
    if (row.revokedAt) return row.revokedAt;
    const now = new Date(ctx.clock.now());
    await tx.invitation.update({ where: { id: invitationId, orgId }, data: { revokedAt: now }, select: { id: true } });
    const { id, email, role } = row;
    await recordChange(tx, changeOf(ctx, "invitation.revoked", { id, email, role }, null));
    return now;
  });
  deps.publish({ type: "config.changed", orgId, area: "members" });
  return { id: invitationId, revokedAt };
}

type Wanted = { orgId: string; invitationId: string };

async function getInvitation(
  tx: Prisma.TransactionClient,
  { orgId, invitationId }: Wanted,
): Promise<Row & { acceptedAt: Date | null; revokedAt: Date | null }> {
  const select = { ...INVITATION_SELECT, acceptedAt: true, revokedAt: true } as const;
  const row = await tx.invitation.findFirst({ where: { id: invitationId, orgId }, select });
  if (!row) throw new ServiceError("not_found", "There is no such invitation.");
  return row;
}

async function getOpenInvitation(tx: Prisma.TransactionClient, wanted: Wanted): Promise<Row> {
  const row = await getInvitation(tx, wanted);
  if (row.acceptedAt || row.revokedAt) throw new ServiceError("conflict", "This invitation is over: invite the address again.");
  return row;
}

type Told = { id: string; email: string; role: Role | null };

function changeOf(
  ctx: Pick<Ctx, "principal" | "ip">,
  action: string,
  { id, email, role }: Told,
  after: { email: string; role: Role } | null,
): Change {
  return {
    ctx,
    action,
    resourceType: "invitation",
    resourceId: publicId("invitation", id),
    before: role === null ? null : { email, role },
    after,
  };
}
