import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type { Role } from "@/generated/prisma/enums";
import { systemClock } from "@/lib/clock";
import type { Ctx } from "@/server/context";
import { createTestDatabase, type TestDatabase } from "@/testing/database";
import { createApiKey as createTestKey, createMember, createOrganisation, type TestOrganisation } from "@/testing/factories";
import { createApiKey } from "./create";
import { listApiKeys } from "./list";
import { revokeApiKey } from "./revoke";
import { rotateApiKey } from "./rotate";
import { updateApiKey } from "./update";

// What people may do to keys, by role. A member who can touch an admin's key holds the admin's rights.

let database: TestDatabase;
let org: TestOrganisation;

beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());
beforeEach(async () => {
  org = await createOrganisation({ prisma: database.prisma });
});

async function personWith(role: Role): Promise<Ctx & { principal: { userId: string } }> {
  const userId = await createMember({ prisma: database.prisma, orgId: org.orgId, role });
  return { prisma: database.prisma, clock: systemClock, ip: null, principal: { type: "user", orgId: org.orgId, userId, role } };
}

const denied = { name: "ServiceError", code: "forbidden" };

test.each(["admin", "owner"] as const)("an %s makes keys with every scope and changes everybody's", async (role) => {
  const ctx = await personWith(role);
  const made = await createApiKey({ ctx, input: { name: "x", scopes: ["read", "manage"] } });
  expect(made.userId).toBe(ctx.principal.userId);
  const other = await createTestKey({ prisma: database.prisma, org });
  await updateApiKey({ ctx, keyId: other.keyId, input: { scopes: ["proxy", "manage"] } });
  await rotateApiKey({ ctx, keyId: other.keyId, input: { overlapSeconds: 0 } });
  await revokeApiKey({ ctx, keyId: other.keyId });
});

test("a member makes and changes own keys without read and manage, and no others", async () => {
  const ctx = await personWith("member");
  const own = await createApiKey({ ctx, input: { name: "x" } });
  await updateApiKey({ ctx, keyId: own.id, input: { name: "y" } });
  await rotateApiKey({ ctx, keyId: own.id, input: { overlapSeconds: 0 } });
  await expect(createApiKey({ ctx, input: { name: "x", scopes: ["read"] } })).rejects.toMatchObject(denied);
  await expect(updateApiKey({ ctx, keyId: own.id, input: { scopes: ["manage"] } })).rejects.toMatchObject(denied);

  const other = await createTestKey({ prisma: database.prisma, org });
  await expect(updateApiKey({ ctx, keyId: other.keyId, input: { name: "y" } })).rejects.toMatchObject(denied);
  await expect(rotateApiKey({ ctx, keyId: other.keyId, input: { overlapSeconds: 0 } })).rejects.toMatchObject(denied);
  await expect(revokeApiKey({ ctx, keyId: other.keyId })).rejects.toMatchObject(denied);

  const privileged = await createTestKey({ prisma: database.prisma, org: { ...org, userId: ctx.principal.userId }, scopes: ["manage"] });
  await expect(rotateApiKey({ ctx, keyId: privileged.keyId, input: { overlapSeconds: 0 } })).rejects.toMatchObject(denied);
  await revokeApiKey({ ctx, keyId: own.id });
});

test("a viewer looks and changes nothing", async () => {
  const ctx = await personWith("viewer");
  const key = await createTestKey({ prisma: database.prisma, org: { ...org, userId: ctx.principal.userId } });
  expect((await listApiKeys({ ctx, input: { limit: 10, includeRevoked: false } })).data.map(({ id }) => id)).toEqual([key.keyId]);
  await expect(createApiKey({ ctx, input: { name: "x" } })).rejects.toMatchObject(denied);
  await expect(revokeApiKey({ ctx, keyId: key.keyId })).rejects.toMatchObject(denied);
});

test("nobody grants a key more than its owner's role can use", async () => {
  const ctx = await personWith("admin");
  const member = await createMember({ prisma: database.prisma, orgId: org.orgId, role: "member" });
  const key = await createTestKey({ prisma: database.prisma, org: { ...org, userId: member } });
  await expect(updateApiKey({ ctx, keyId: key.keyId, input: { scopes: ["proxy", "read"] } })).rejects.toMatchObject(denied);
});

test("a key whose change fails has no audit row and the version it had", async () => {
  const ctx = await personWith("member");
  const before = await database.prisma.organisation.findUniqueOrThrow({ where: { id: org.orgId } });
  await expect(createApiKey({ ctx, input: { name: "x", scopes: ["manage"] } })).rejects.toMatchObject(denied);
  expect(await database.prisma.auditLog.count({ where: { orgId: org.orgId } })).toBe(0);
  expect((await database.prisma.organisation.findUniqueOrThrow({ where: { id: org.orgId } })).configVersion).toBe(before.configVersion);
});
