import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Role } from "@/generated/prisma/enums";
import { createTestDatabase, type TestDatabase } from "@/testing/database";
import { createMember, createOrganisation, type TestOrganisation } from "@/testing/factories";
import { acceptInvitation, getInvitationByToken } from "./accept-invitation";
import { deleteOrganisation } from "./delete";
import { hashInvitationToken, inviteMembers, listInvitations, resendInvitation, revokeInvitation } from "./invitations";
import { removeMember } from "./members";
import { ctxOf, mailedToken, recordingDeps, type RecordingDeps } from "./testing";

// An invitation is a way in: whoever else could use it, or use it twice, reads and spends what is not theirs.

const DAY_MS = 86_400_000;

let database: TestDatabase;
let org: TestOrganisation;
let deps: RecordingDeps;
let email: string;
let people = 0;
let nowMs: number;
const clock = { now: () => nowMs, monotonic: () => performance.now() };

beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());
beforeEach(async () => {
  org = await createOrganisation({ prisma: database.prisma });
  deps = recordingDeps();
  email = `guest-${(people += 1)}@example.com`;
  nowMs = Date.now();
});

const as = (userId: string, role: Role) => ctxOf(database.prisma, { orgId: org.orgId, userId, role }, clock);
const owner = () => as(org.userId, "owner");
const guestCtx = {
  get prisma() {
    return database.prisma;
  },
  clock,
  ip: "198.51.100.4",
};
const refused = (code: string) => expect.objectContaining({ code });

async function personWith(address: string, verified = true): Promise<string> {
  const { id } = await database.prisma.user.create({ data: { email: address, emailVerified: verified ? new Date() : null } });
  return id;
}
async function invite(role: "viewer" | "member" | "admin" = "member"): Promise<{ id: string; token: string }> {
  const [outcome] = await inviteMembers({ ctx: owner(), input: { emails: email, role }, deps });
  if (outcome?.outcome !== "invited") throw new Error(`expected an invitation, got ${outcome?.outcome}`);
  return { id: outcome.invitationId, token: await mailedToken(database.prisma, email) };
}
const accept = (userId: string, token: string) => acceptInvitation({ ctx: guestCtx, userId, token, deps });
const view = (token: string) => getInvitationByToken({ ctx: guestCtx, token, deps });
const roleOf = async (userId: string) =>
  (await database.prisma.membership.findUnique({ where: { orgId_userId: { orgId: org.orgId, userId } } }))?.role;
const auditOf = (action: string) => database.prisma.auditLog.findMany({ where: { orgId: org.orgId, action } });

describe("inviting", () => {
  test("each pasted address has its own outcome, one mail and one audit row", async () => {
    const memberId = await createMember({ prisma: database.prisma, orgId: org.orgId, role: "viewer" });
    const { email: known } = await database.prisma.user.findUniqueOrThrow({ where: { id: memberId } });
    const pasted = `New One <${email}>, nonsense\n${known}; ${email.toUpperCase()}`;
    const first = await inviteMembers({ ctx: owner(), input: { emails: pasted, role: "member" }, deps });
    expect(first.map((outcome) => [outcome.email, outcome.outcome])).toEqual([
      [email, "invited"],
      ["nonsense", "invalid"],
      [known, "already_member"],
    ]);
    const again = await inviteMembers({ ctx: owner(), input: { emails: email, role: "member" }, deps });
    expect(again.map(({ outcome }) => outcome)).toEqual(["already_invited"]);
    const otherRole = await inviteMembers({ ctx: owner(), input: { emails: email, role: "viewer" }, deps });
    expect(otherRole.map(({ outcome }) => outcome)).toEqual(["role_changed"]);
    expect(await database.prisma.mail.count({ where: { recipient: email } })).toBe(1);
    expect([await auditOf("invitation.created"), await auditOf("invitation.role_changed")].map(({ length }) => length)).toEqual([1, 1]);
  });

  test("of ten admins who invite one address at once, one does", async () => {
    const outcomes = await Promise.all(
      Array.from({ length: 10 }, () => inviteMembers({ ctx: owner(), input: { emails: email, role: "member" }, deps })),
    );
    expect(outcomes.flat().filter(({ outcome }) => outcome === "invited")).toHaveLength(1);
    expect(await database.prisma.mail.count({ where: { recipient: email } })).toBe(1);
  });

  test("nothing but the mail holds the link, and the mail says who, where and as what", async () => {
    const { token } = await invite("admin");
    const row = await database.prisma.invitation.findFirstOrThrow({ where: { orgId: org.orgId } });
    expect(row.tokenHash).toBe(hashInvitationToken(token));
    expect(JSON.stringify(await database.prisma.auditLog.findMany({ where: { orgId: org.orgId } }))).not.toContain(token);
    const { text } = await database.prisma.mail.findFirstOrThrow({ where: { recipient: email } });
    const { name } = await database.prisma.organisation.findUniqueOrThrow({ where: { id: org.orgId } });
    for (const said of [name, "admin", `https://nullspend.example/invite/${token}`]) expect(text).toContain(said);
  });

  test("an organisation is no way of mailing the world", async () => {
    const many = Array.from({ length: 200 }, (_, i) => `w${i}-${email}`);
    await inviteMembers({ ctx: owner(), input: { emails: many, role: "viewer" }, deps });
    await inviteMembers({ ctx: owner(), input: { emails: many.map((address) => `x${address}`), role: "viewer" }, deps });
    const more = inviteMembers({ ctx: owner(), input: { emails: many.map((address) => `y${address}`), role: "viewer" }, deps });
    await expect(more).rejects.toEqual(refused("limit_exceeded"));
    const tooMany = inviteMembers({ ctx: owner(), input: { emails: [...many, email], role: "viewer" }, deps });
    await expect(tooMany).rejects.toEqual(refused("bad_request"));
    expect(await database.prisma.invitation.count({ where: { orgId: org.orgId } })).toBe(400);
  });

  test("the list says what became of the mail, and resending makes the link before worthless", async () => {
    const { id, token } = await invite();
    expect(await listInvitations({ ctx: owner() })).toMatchObject([
      { id, email, state: "pending", mail: "queued", invitedBy: { userId: org.userId } },
    ]);
    await database.prisma.mail.updateMany({ where: { recipient: email }, data: { state: "failed", lastError: "no such mailbox" } });
    expect(await listInvitations({ ctx: owner() })).toMatchObject([{ mail: "failed", mailError: "no such mailbox" }]);
    await expect(resendInvitation({ ctx: owner(), invitationId: id, deps })).rejects.toEqual(refused("conflict"));
    nowMs += 6 * DAY_MS;
    expect(await resendInvitation({ ctx: owner(), invitationId: id, deps })).toMatchObject({
      mail: "queued",
      expiresAt: new Date(nowMs + 7 * DAY_MS),
    });
    const fresh = await mailedToken(database.prisma, email);
    expect(fresh).not.toBe(token);
    const userId = await personWith(email);
    await expect(accept(userId, token)).rejects.toEqual(refused("not_found"));
    expect(await accept(userId, fresh)).toMatchObject({ role: "member" });
  });

  test("another organisation's invitation is as absent as none", async () => {
    const { id } = await invite();
    const other = await createOrganisation({ prisma: database.prisma });
    const ctx = ctxOf(database.prisma, { orgId: other.orgId, userId: other.userId, role: "owner" });
    await expect(revokeInvitation({ ctx, invitationId: id, deps })).rejects.toEqual(refused("not_found"));
    await expect(resendInvitation({ ctx, invitationId: id, deps })).rejects.toEqual(refused("not_found"));
    expect(await listInvitations({ ctx })).toEqual([]);
  });
});

describe("accepting (K12)", () => {
  test("the invited, confirmed address is in, with the invitation's role; asking again gets the same answer", async () => {
    const { token } = await invite("admin");
    const userId = await personWith(email);
    const first = await accept(userId, token);
    expect(first).toMatchObject({ orgId: org.orgId, role: "admin" });
    expect(await accept(userId, token)).toEqual(first);
    expect(await auditOf("invitation.accepted")).toHaveLength(1);
    expect(await listInvitations({ ctx: owner() })).toEqual([]);
  });

  test("twenty times at once makes one member and one audit row", async () => {
    const { token } = await invite();
    const userId = await personWith(email);
    const answers = await Promise.all(Array.from({ length: 20 }, () => accept(userId, token)));
    expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1);
    expect(await auditOf("invitation.accepted")).toHaveLength(1);
  });

  test("another address, and the same one unconfirmed, stay outside", async () => {
    const { token } = await invite();
    const stranger = await personWith(`other-${email}`);
    await expect(accept(stranger, token)).rejects.toEqual(refused("forbidden"));
    const plus = await personWith(email.replace("@", "+x@"));
    await expect(accept(plus, token)).rejects.toEqual(refused("forbidden"));
    const unconfirmed = await personWith(email, false);
    await expect(accept(unconfirmed, token)).rejects.toEqual(refused("forbidden"));
    expect(await Promise.all([stranger, plus, unconfirmed].map(roleOf))).toEqual([undefined, undefined, undefined]);
    await database.prisma.user.update({ where: { id: unconfirmed }, data: { emailVerified: new Date() } });
    expect(await accept(unconfirmed, token)).toMatchObject({ role: "member" });
  });

  test("used, by whoever has the link afterwards", async () => {
    const { token } = await invite();
    await accept(await personWith(email), token);
    const stranger = await personWith(`other-${email}`);
    await expect(accept(stranger, token)).rejects.toEqual(refused("conflict"));
  });

  test("removed again, the same link does not bring them back", async () => {
    const { token } = await invite();
    const userId = await personWith(email);
    await accept(userId, token);
    await removeMember({ ctx: owner(), input: { userId }, deps });
    await expect(accept(userId, token)).rejects.toEqual(refused("conflict"));
    expect(await roleOf(userId)).toBeUndefined();
  });

  test("revoked, and past its seventh day, it is over", async () => {
    const { id, token } = await invite();
    const userId = await personWith(email);
    nowMs += 7 * DAY_MS;
    await expect(accept(userId, token)).rejects.toEqual(refused("conflict"));
    expect(await view(token)).toMatchObject({ state: "expired", email: null });
    nowMs -= 1;
    expect(await view(token)).toMatchObject({ state: "pending", email });
    await revokeInvitation({ ctx: owner(), invitationId: id, deps });
    await revokeInvitation({ ctx: owner(), invitationId: id, deps });
    await expect(accept(userId, token)).rejects.toEqual(refused("conflict"));
    expect(await roleOf(userId)).toBeUndefined();
    expect(await auditOf("invitation.revoked")).toHaveLength(1);
  });

  test("the role is the one the invitation says now", async () => {
    const { token } = await invite("admin");
    await inviteMembers({ ctx: owner(), input: { emails: email, role: "viewer" }, deps });
    const userId = await personWith(email);
    expect(await accept(userId, token)).toMatchObject({ role: "viewer" });
    expect(await roleOf(userId)).toBe("viewer");
  });

  test("who is a member already keeps the role they have", async () => {
    const { token } = await invite("viewer");
    const userId = await personWith(email);
    await database.prisma.membership.create({ data: { orgId: org.orgId, userId, role: "admin" } });
    expect(await accept(userId, token)).toMatchObject({ role: "admin" });
    expect(await roleOf(userId)).toBe("admin");
  });

  // Without the lock both would read the invitation as it was.
  test("accepted and revoked at once: a member or an invitation taken back, never both, in 30 races", async () => {
    for (let race = 0; race < 30; race += 1) {
      email = `race-${race}-${people}@example.com`;
      const { id, token } = await invite();
      const userId = await personWith(email);
      const [accepted, revoked] = await Promise.allSettled([
        accept(userId, token),
        revokeInvitation({ ctx: owner(), invitationId: id, deps }),
      ]);
      expect([accepted.status, revoked.status].filter((status) => status === "fulfilled")).toHaveLength(1);
      expect(await roleOf(userId)).toBe(accepted.status === "fulfilled" ? "member" : undefined);
    }
  });

  test("an organisation that is gone takes nobody in", async () => {
    const { token } = await invite();
    const { name } = await database.prisma.organisation.findUniqueOrThrow({ where: { id: org.orgId } });
    await deleteOrganisation({ ctx: owner(), input: { name }, deps });
    await expect(accept(await personWith(email), token)).rejects.toEqual(refused("not_found"));
    expect(await view(token)).toMatchObject({ state: "unknown", orgName: null });
  });
});

describe("guessing links (K13)", () => {
  test("a token is 256 random bits", async () => {
    const { token } = await invite();
    expect(Buffer.from(token, "base64url")).toHaveLength(32);
  });

  test("what does not exist is answered in one shape, whatever was tried, and after thirty tries not at all", async () => {
    const { token } = await invite();
    const wrong = ["", "x", `${token}x`, token.slice(1), token.toUpperCase(), "a".repeat(43), "../../etc/passwd", "\u0000", "😀"];
    const views = await Promise.all(wrong.map(view));
    expect(new Set(views.map((answer) => JSON.stringify(answer))).size).toBe(1);
    expect(Object.keys(views[0]!).sort()).toEqual(Object.keys(await view(token)).sort());
    for (let tries = wrong.length; tries < 30; tries += 1) await view("a".repeat(43));
    await expect(view("a".repeat(43))).rejects.toEqual(refused("rate_limited"));
    await expect(accept(org.userId, "a".repeat(43))).rejects.toEqual(refused("rate_limited"));
    // Another address is not slowed by it.
    expect(await getInvitationByToken({ ctx: { ...guestCtx, prisma: database.prisma, ip: "198.51.100.5" }, token, deps })).toMatchObject({
      state: "pending",
    });
  });

  test("right links are never counted", async () => {
    const { token } = await invite();
    for (let reads = 0; reads < 40; reads += 1) expect(await view(token)).toMatchObject({ state: "pending" });
  });
});
