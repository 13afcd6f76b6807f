import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Role } from "@/generated/prisma/enums";
import { systemClock } from "@/lib/clock";
import { createLogger } from "@/lib/logger";
import { createKeyAuthenticator } from "@/server/api-key";
import { createTestDatabase, type TestDatabase } from "@/testing/database";
import { createApiKey, createMember, createOrganisation, type TestOrganisation } from "@/testing/factories";
import { deleteOrganisation } from "./delete";
import { inviteMembers } from "./invitations";
import { changeRole, leaveOrganisation, listMembers, removeMember, setApprover, transferOwnership } from "./members";
import { updateOrganisation } from "./settings";
import { ctxOf, recordingDeps, type RecordingDeps } from "./testing";

// An organisation without an owner is money that nobody can stop; a role that somebody gives himself is somebody else's money.

let database: TestDatabase;
let org: TestOrganisation;
let deps: RecordingDeps;

beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());
beforeEach(async () => {
  org = await createOrganisation({ prisma: database.prisma });
  deps = recordingDeps();
});

const join = (role: Role) => createMember({ prisma: database.prisma, orgId: org.orgId, role });
const as = (userId: string, role: Role) => ctxOf(database.prisma, { orgId: org.orgId, userId, role });
const owner = () => as(org.userId, "owner");
const membersNow = async () =>
  new Map((await database.prisma.membership.findMany({ where: { orgId: org.orgId } })).map(({ userId, role }) => [userId, role]));
const auditOf = (action: string) => database.prisma.auditLog.findMany({ where: { orgId: org.orgId, action } });
const refused = (code: string) => expect.objectContaining({ code });

describe("who may change whom (I4)", () => {
  const ROLES: readonly Role[] = ["viewer", "member", "admin", "owner"];
  // CONTRACT §12 as a table: for each actor, which roles they may change into which.
  const mayChange: Readonly<Record<Role, (from: Role, to: Role) => boolean>> = {
    viewer: () => false,
    member: () => false,
    admin: (from, to) => (from === "viewer" || from === "member") && to !== "owner",
    owner: () => true,
  };
  const cases = ROLES.flatMap((actor) =>
    ROLES.flatMap((from) => ROLES.filter((to) => to !== from).map((to) => [actor, from, to] as const)),
  );

  test.each(cases)("%s makes %s a %s: as the contract says", async (actorRole, from, to) => {
    const actor = await join(actorRole);
    const target = await join(from);
    const change = changeRole({ ctx: as(actor, actorRole), input: { userId: target, role: to }, deps });
    if (mayChange[actorRole](from, to)) {
      expect(await change).toMatchObject({ userId: target, role: to });
      expect((await membersNow()).get(target)).toBe(to);
      expect(await auditOf("member.role_changed")).toHaveLength(1);
    } else {
      await expect(change).rejects.toEqual(refused("forbidden"));
      expect((await membersNow()).get(target)).toBe(from);
      expect(await auditOf("member.role_changed")).toHaveLength(0);
    }
  });

  test.each(ROLES)("%s removes: viewers remove nobody, admins those below them, owners everybody", async (actorRole) => {
    const actor = await join(actorRole);
    for (const role of ROLES) {
      const target = await join(role);
      const removal = removeMember({ ctx: as(actor, actorRole), input: { userId: target }, deps });
      const allowed = actorRole === "owner" || (actorRole === "admin" && (role === "viewer" || role === "member"));
      if (allowed) await removal;
      else await expect(removal).rejects.toEqual(refused("forbidden"));
      expect((await membersNow()).has(target)).toBe(!allowed);
    }
  });

  test.each(["viewer", "member", "admin"] as const)("%s gives himself no more than he has", async (role) => {
    const userId = await join(role);
    await expect(changeRole({ ctx: as(userId, role), input: { userId, role: "owner" }, deps })).rejects.toEqual(refused("forbidden"));
    expect((await membersNow()).get(userId)).toBe(role);
  });

  test("what the request believed of the role does not count, the database does", async () => {
    const userId = await join("member");
    const target = await join("viewer");
    const believed = as(userId, "owner");
    await expect(changeRole({ ctx: believed, input: { userId: target, role: "admin" }, deps })).rejects.toEqual(refused("forbidden"));
    await expect(removeMember({ ctx: believed, input: { userId: target }, deps })).rejects.toEqual(refused("forbidden"));
    await expect(transferOwnership({ ctx: believed, input: { userId: target }, deps })).rejects.toEqual(refused("forbidden"));
    await expect(inviteMembers({ ctx: believed, input: { emails: "a@example.com", role: "viewer" }, deps })).rejects.toEqual(
      refused("forbidden"),
    );
  });

  test("only owners give away, delete and set the upgrade URL", async () => {
    const admin = as(await join("admin"), "admin");
    await expect(transferOwnership({ ctx: admin, input: { userId: org.userId }, deps })).rejects.toEqual(refused("forbidden"));
    await expect(deleteOrganisation({ ctx: admin, input: { name: "" }, deps })).rejects.toEqual(refused("forbidden"));
    const upgradeUrl = "https://shop.example/{customer_id}";
    await expect(updateOrganisation({ ctx: admin, input: { upgradeUrl }, deps })).rejects.toEqual(refused("forbidden"));
    expect(await updateOrganisation({ ctx: admin, input: { timezone: "Europe/Berlin" }, deps })).toMatchObject({
      timezone: "Europe/Berlin",
    });
    expect(await updateOrganisation({ ctx: owner(), input: { upgradeUrl }, deps })).toMatchObject({ upgradeUrl });
  });

  test("no key changes members, whatever its scopes", async () => {
    const target = await join("viewer");
    const ctx = {
      ...owner(),
      principal: {
        type: "api_key",
        orgId: org.orgId,
        keyId: crypto.randomUUID(),
        userId: org.userId,
        role: "owner",
        scopes: new Set(["read", "manage"] as const),
      },
    } as const;
    await expect(changeRole({ ctx, input: { userId: target, role: "admin" }, deps })).rejects.toEqual(refused("forbidden"));
    await expect(removeMember({ ctx, input: { userId: target }, deps })).rejects.toEqual(refused("forbidden"));
    await expect(transferOwnership({ ctx, input: { userId: target }, deps })).rejects.toEqual(refused("forbidden"));
    await expect(updateOrganisation({ ctx, input: { name: "Mine" }, deps })).rejects.toEqual(refused("forbidden"));
    await expect(inviteMembers({ ctx, input: { emails: "a@example.com", role: "admin" }, deps })).rejects.toEqual(refused("forbidden"));
  });

  test("a member of another organisation is as absent as nobody", async () => {
    const other = await createOrganisation({ prisma: database.prisma });
    for (const userId of [other.userId, crypto.randomUUID()]) {
      await expect(changeRole({ ctx: owner(), input: { userId, role: "viewer" }, deps })).rejects.toEqual(refused("not_found"));
      await expect(removeMember({ ctx: owner(), input: { userId }, deps })).rejects.toEqual(refused("not_found"));
    }
  });
});

describe("an organisation always has an owner (I5)", () => {
  const ownersLeft = (orgId: string) => database.prisma.membership.count({ where: { orgId, role: "owner" } });

  test("the last owner neither leaves nor steps down", async () => {
    const admin = await join("admin");
    await expect(leaveOrganisation({ ctx: owner(), deps })).rejects.toEqual(refused("conflict"));
    await expect(changeRole({ ctx: owner(), input: { userId: org.userId, role: "admin" }, deps })).rejects.toEqual(refused("conflict"));
    await transferOwnership({ ctx: owner(), input: { userId: admin }, deps });
    expect(await membersNow()).toEqual(
      new Map([
        [org.userId, "admin"],
        [admin, "owner"],
      ]),
    );
    await leaveOrganisation({ ctx: as(org.userId, "admin"), deps });
    expect(await ownersLeft(org.orgId)).toBe(1);
  });

  // Each of the two checks would pass on its own; only the lock on the organisation puts one behind the other.
  test("two owners who remove, demote or leave at once: exactly one stays, in 100 races", async () => {
    for (let race = 0; race < 100; race += 1) {
      const { orgId, userId: first } = await createOrganisation({ prisma: database.prisma });
      const second = await createMember({ prisma: database.prisma, orgId, role: "owner" });
      const ctxFor = (userId: string) => ctxOf(database.prisma, { orgId, userId, role: "owner" });
      const ends = [
        (me: string, other: string) => removeMember({ ctx: ctxFor(me), input: { userId: other }, deps }),
        (me: string, other: string) => changeRole({ ctx: ctxFor(me), input: { userId: other, role: "member" }, deps }),
        (me: string) => leaveOrganisation({ ctx: ctxFor(me), deps }),
        (me: string, other: string) => changeRole({ ctx: ctxFor(me), input: { userId: me, role: "viewer" }, deps }).then(() => other),
      ] as const;
      const outcomes = await Promise.allSettled([ends[race % 4]!(first, second), ends[(race >> 2) % 4]!(second, first)]);
      expect(await ownersLeft(orgId)).toBe(1);
      // Both only where the second took away what the first had given up anyway.
      expect(outcomes.some(({ status }) => status === "fulfilled")).toBe(true);
    }
  });

  test("two transfers at once make one heir", async () => {
    const heirs = await Promise.all([join("admin"), join("member")]);
    await Promise.allSettled(heirs.map((userId) => transferOwnership({ ctx: owner(), input: { userId }, deps })));
    expect(await ownersLeft(org.orgId)).toBe(1);
    expect((await membersNow()).get(org.userId)).toBe("admin");
  });
});

describe("a member who is gone (I7)", () => {
  test("keeps no key, invitation, approval link, place in a policy or Slack button", async () => {
    const userId = await join("admin");
    const other = await createOrganisation({ prisma: database.prisma });
    await database.prisma.membership.create({ data: { orgId: other.orgId, userId, role: "member" } });
    const key = await createApiKey({ prisma: database.prisma, org: { orgId: org.orgId, userId } });
    const elsewhere = await createApiKey({ prisma: database.prisma, org: { orgId: other.orgId, userId } });
    await inviteMembers({ ctx: as(userId, "admin"), input: { emails: "friend@example.com", role: "admin" }, deps });
    const action = await database.prisma.action.create({
      data: {
        orgId: org.orgId,
        agentId: "agent",
        actionType: "send_email",
        payload: {},
        payloadHash: "0",
        expiresAt: new Date(Date.now() + 3_600_000),
        tokens: { create: { hash: key.hash, userId, payloadHash: "0", codeHash: "0", expiresAt: new Date(Date.now() + 3_600_000) } },
      },
    });
    const policy = await database.prisma.approvalPolicy.create({
      data: { orgId: org.orgId, position: 0, name: "all", approverIds: [userId, org.userId] },
    });
    await database.prisma.slackUser.create({ data: { orgId: org.orgId, slackUserId: "U1", userId } });

    await removeMember({ ctx: owner(), input: { userId }, deps });

    const revokedOf = async (keyId: string) => (await database.prisma.apiKey.findUniqueOrThrow({ where: { id: keyId } })).revokedAt;
    expect(await revokedOf(key.keyId)).not.toBeNull();
    expect(await revokedOf(elsewhere.keyId)).toBeNull();
    expect(await database.prisma.invitation.findMany({ where: { orgId: org.orgId, revokedAt: null } })).toEqual([]);
    expect(await database.prisma.actionToken.findMany({ where: { actionId: action.id, usedAt: null } })).toEqual([]);
    expect((await database.prisma.approvalPolicy.findUniqueOrThrow({ where: { id: policy.id } })).approverIds).toEqual([org.userId]);
    expect(await database.prisma.slackUser.count({ where: { orgId: org.orgId } })).toBe(0);
    expect(deps.told).toContainEqual({ type: "member.removed", orgId: org.orgId, userId });
    expect((await auditOf("member.removed"))[0]).toMatchObject({
      actorId: org.userId,
      before: { role: "admin" },
      after: { revokedKeys: 1, revokedInvitations: 1, changedPolicies: 1 },
      ip: "203.0.113.7",
    });
    // What the request believes does not bring him back.
    await expect(listMembers({ ctx: as(userId, "admin") })).resolves.toBeDefined();
    await expect(removeMember({ ctx: as(userId, "admin"), input: { userId: org.userId }, deps })).rejects.toEqual(refused("not_found"));
  });

  test.each(["removed", "deleted organisation"])("%s: the key is unknown on a process that holds it, within a second", async (how) => {
    const log = createLogger({ level: "silent" });
    const authenticator = createKeyAuthenticator({ connectionString: database.connectionString, clock: systemClock, log });
    authenticator.start();
    try {
      const userId = await join("member");
      const { rawKey } = await createApiKey({ prisma: database.prisma, org: { orgId: org.orgId, userId } });
      expect(await authenticator.authenticate(rawKey)).toMatchObject({ outcome: "known" });
      if (how === "removed") await removeMember({ ctx: owner(), input: { userId }, deps });
      else {
        const { name } = await database.prisma.organisation.findUniqueOrThrow({ where: { id: org.orgId } });
        await deleteOrganisation({ ctx: owner(), input: { name }, deps });
      }
      await expect.poll(async () => (await authenticator.authenticate(rawKey)).outcome, { timeout: 1_000, interval: 20 }).toBe("unknown");
    } finally {
      await authenticator.stop();
    }
  });

  test("whoever may invite no more takes back what he has sent", async () => {
    const userId = await join("admin");
    await inviteMembers({ ctx: as(userId, "admin"), input: { emails: "friend@example.com", role: "admin" }, deps });
    await changeRole({ ctx: owner(), input: { userId, role: "member" }, deps });
    expect(await database.prisma.invitation.count({ where: { orgId: org.orgId, revokedAt: null } })).toBe(0);
  });
});

describe("the organisation itself", () => {
  test("deleting takes its name, frees its slug, keeps its rows and ends what is open", async () => {
    const { name, slug } = await database.prisma.organisation.findUniqueOrThrow({ where: { id: org.orgId } });
    await inviteMembers({ ctx: owner(), input: { emails: "late@example.com", role: "member" }, deps });
    await expect(deleteOrganisation({ ctx: owner(), input: { name: `${name}x` }, deps })).rejects.toEqual(refused("bad_request"));
    await deleteOrganisation({ ctx: owner(), input: { name }, deps });
    const row = await database.prisma.organisation.findUniqueOrThrow({ where: { id: org.orgId } });
    expect(row.deletedAt).not.toBeNull();
    expect(row.slug).not.toBe(slug);
    expect(await database.prisma.invitation.count({ where: { orgId: org.orgId, revokedAt: null } })).toBe(0);
    expect(await auditOf("org.deleted")).toHaveLength(1);
    await expect(changeRole({ ctx: owner(), input: { userId: org.userId, role: "admin" }, deps })).rejects.toEqual(refused("not_found"));
    await expect(deleteOrganisation({ ctx: owner(), input: { name }, deps })).rejects.toEqual(refused("not_found"));
  });

  test("a personal one is neither deleted nor given away", async () => {
    await database.prisma.organisation.update({ where: { id: org.orgId }, data: { isPersonal: true, name: "Ada" } });
    const userId = await join("admin");
    await expect(deleteOrganisation({ ctx: owner(), input: { name: "Ada" }, deps })).rejects.toEqual(refused("conflict"));
    await expect(transferOwnership({ ctx: owner(), input: { userId }, deps })).rejects.toEqual(refused("conflict"));
    await expect(changeRole({ ctx: owner(), input: { userId, role: "owner" }, deps })).rejects.toEqual(refused("conflict"));
  });

  test("members are listed with role, last visit and keys that work; viewers take no seat", async () => {
    const viewer = await join("viewer");
    const lastSeenAt = new Date("2026-11-20T08:00:00Z");
    await database.prisma.session.create({
      data: { userId: viewer, sessionToken: viewer, expires: new Date(Date.now() + 3_600_000), lastSeenAt },
    });
    await createApiKey({ prisma: database.prisma, org });
    await createApiKey({ prisma: database.prisma, org, expiresAt: new Date(Date.now() - 1) });
    await inviteMembers({ ctx: owner(), input: { emails: "a@example.com", role: "member" }, deps });
    await inviteMembers({ ctx: owner(), input: { emails: "b@example.com", role: "viewer" }, deps });
    const { members, seats } = await listMembers({ ctx: owner() });
    expect(members.map(({ userId, role, keys, lastSeenAt: seen }) => [userId, role, keys, seen])).toEqual([
      [org.userId, "owner", 1, null],
      [viewer, "viewer", 0, lastSeenAt],
    ]);
    expect(seats).toEqual({ used: 2, max: null });
  });

  test("a viewer is made no approver, a member is", async () => {
    const [viewer, member] = [await join("viewer"), await join("member")];
    await expect(setApprover({ ctx: owner(), input: { userId: viewer, isApprover: true }, deps })).rejects.toEqual(refused("conflict"));
    expect(await setApprover({ ctx: owner(), input: { userId: member, isApprover: true }, deps })).toMatchObject({ isApprover: true });
    expect(await auditOf("member.approver_changed")).toHaveLength(1);
  });
});
