import { afterAll, beforeAll, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "@/testing/database";
import { createApiKey, createOrganisation } from "@/testing/factories";

let one: TestDatabase;
let other: TestDatabase;
beforeAll(async () => {
  [one, other] = await Promise.all([createTestDatabase(), createTestDatabase()]);
});
afterAll(async () => {
  await Promise.all([one.drop(), other.drop()]);
});

test("two test databases share no rows", async () => {
  const org = await createOrganisation({ prisma: one.prisma });
  await createApiKey({ prisma: one.prisma, org });
  expect(await one.prisma.organisation.count()).toBe(1);
  expect(await other.prisma.organisation.count()).toBe(0);
});

test("a key made by the factory is found by the hash of its secret, with its owner and organisation", async () => {
  const org = await createOrganisation({ prisma: one.prisma });
  const key = await createApiKey({ prisma: one.prisma, org, scopes: ["proxy"], restrictions: { allowedModels: ["gpt-*"] } });
  expect(key.rawKey).toMatch(/^ns_live_sk_[0-9a-f]{32}$/);
  const secret = await one.prisma.apiKeySecret.findUniqueOrThrow({
    where: { hash: key.hash },
    select: { prefix: true, apiKey: { select: { orgId: true, userId: true, scopes: true, restrictions: true } } },
  });
  expect(secret).toEqual({
    prefix: key.rawKey.slice(0, 19),
    apiKey: { orgId: org.orgId, userId: org.userId, scopes: ["proxy"], restrictions: { allowedModels: ["gpt-*"] } },
  });
});
