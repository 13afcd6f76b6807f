import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Prisma } from "@/generated/prisma/client";
import type { KeyRestrictions } from "@/server/api-key";
import { createTestDatabase, type TestDatabase } from "@/testing/database";
import { createApiKey, createOrganisation, type TestOrganisation } from "@/testing/factories";
import { startRestServer, type RestTestServer } from "@/testing/rest-server";

let database: TestDatabase;
let server: RestTestServer;
let org: TestOrganisation;

beforeAll(async () => {
  database = await createTestDatabase();
  server = await startRestServer(database);
});
afterAll(async () => {
  await server.close();
  await database.drop();
});
beforeEach(async () => {
  org = await createOrganisation({ prisma: database.prisma });
});

const keyWith = (restrictions: Partial<KeyRestrictions> = {}, of = org) => createApiKey({ prisma: database.prisma, org: of, restrictions });
const addBudget = (budget: Partial<Prisma.BudgetUncheckedCreateInput> & { entityType: string }) =>
  database.prisma.budget.create({
    data: { orgId: org.orgId, entityId: "org", models: [], providers: [], maxNano: 5_000_000_000n, ...budget },
    select: { id: true },
  });
const spend = (budgetId: string, spentNano: bigint, reservedNano = 0n) =>
  database.prisma.budgetBalance.create({
    data: {
      orgId: org.orgId,
      budgetId,
      startsAt: new Date(Date.now() - 60_000),
      kind: 2,
      limitNano: 5_000_000_000n,
      spentNano,
      reservedNano,
      openedBy: "created",
    },
  });

type Answer = {
  budget: Record<string, unknown> | null;
  allowed_models: string[] | null;
  allowed_providers: string[] | null;
  cheapest_per_provider: Record<string, { model: string; provider: string; input_per_mtok: number; output_per_mtok: number }>;
  cheapest_overall: { model: string; provider: string } | null;
  session_limit_microdollars: number | null;
  restrictions_active: boolean;
};
const policy = async (key: { rawKey: string }, path = "/api/policy"): Promise<Answer> => {
  const answer = await server.send(`GET ${path}`, { key: key.rawKey });
  expect(answer.status).toBe(200);
  return answer.json as Answer;
};

describe("the budget in a key's policy", () => {
  test("is the tightest that denies and applies to it, not one of somebody else", async () => {
    const key = await keyWith({ lockedTags: { team: "a" } });
    const own = await addBudget({ entityType: "api_key", entityId: key.keyId, resetInterval: "monthly" });
    await spend(own.id, 1_000_000_000n, 500_000_000n);
    const warning = await addBudget({ entityType: "org", policy: "warn" });
    await spend(warning.id, 4_999_000_000n);
    const others = await addBudget({ entityType: "tag", entityId: "team=b" });
    await spend(others.id, 4_998_000_000n);
    const stranger = await createOrganisation({ prisma: database.prisma });
    const theirs = await addBudget({ orgId: stranger.orgId, entityType: "org", resetInterval: "daily" });
    await spend(theirs.id, 4_997_000_000n);

    expect((await policy(key)).budget).toMatchObject({
      remaining_microdollars: 3_500_000,
      max_microdollars: 5_000_000,
      spend_microdollars: 1_000_000,
      reserved_microdollars: 500_000,
      entity_type: "api_key",
      entity_id: `ns_key_${key.keyId}`,
    });

    const locked = await addBudget({ entityType: "tag", entityId: "team=a", maxNano: 1_000_000n });
    expect((await policy(key, "/v1/policy")).budget).toMatchObject({ remaining_microdollars: 1000, entity_id: "team=a", period_end: null });
    await database.prisma.budget.update({ where: { id: locked.id }, data: { deletedAt: new Date() } });
    expect((await policy(key)).budget).toMatchObject({ entity_type: "api_key" });
  });

  test("is null where none denies, and a period that is over does not count", async () => {
    const key = await keyWith();
    expect((await policy(key)).budget).toBeNull();
    const daily = await addBudget({ entityType: "org", resetInterval: "daily" });
    await database.prisma.budgetBalance.create({
      data: {
        orgId: org.orgId,
        budgetId: daily.id,
        startsAt: new Date(Date.now() - 172_800_000),
        endsAt: new Date(Date.now() - 86_400_000),
        kind: 2,
        limitNano: 5_000_000_000n,
        spentNano: 5_000_000_000n,
        openedBy: "created",
      },
    });
    expect((await policy(key)).budget).toMatchObject({ remaining_microdollars: 5_000_000, spend_microdollars: 0 });
  });

  test("tells the smallest session limit that applies", async () => {
    const key = await keyWith();
    await addBudget({ entityType: "org", sessionLimitNano: 2_000_000_000n, policy: "warn" });
    await addBudget({ entityType: "user", entityId: org.userId, sessionLimitNano: 1_000_000_000n });
    await addBudget({ entityType: "customer", entityId: "acme", sessionLimitNano: 1_000_000n });
    expect((await policy(key)).session_limit_microdollars).toBe(1_000_000);
  });
});

describe("the cheapest models", () => {
  test("are among those that the key may call", async () => {
    const open = await policy(await keyWith());
    expect(Object.keys(open.cheapest_per_provider).toSorted()).toEqual(["anthropic", "openai"]);
    expect(open).toMatchObject({ allowed_models: null, allowed_providers: null, restrictions_active: false });

    const narrow = await policy(await keyWith({ allowedModels: ["claude-sonnet-*", "gpt-5"], allowedProviders: ["anthropic"] }));
    expect(narrow).toMatchObject({
      allowed_models: ["claude-sonnet-*", "gpt-5"],
      allowed_providers: ["anthropic"],
      restrictions_active: true,
    });
    expect(Object.keys(narrow.cheapest_per_provider)).toEqual(["anthropic"]);
    expect(narrow.cheapest_overall?.model).toMatch(/^claude-sonnet-/);
    expect(narrow.cheapest_per_provider.anthropic!.input_per_mtok).toBeGreaterThan(0);
  });

  test("are none where the key may call none, and where its restrictions cannot be read", async () => {
    const nothing = { allowed_models: [], cheapest_per_provider: {}, cheapest_overall: null, restrictions_active: true };
    expect(await policy(await keyWith({ allowedModels: [] }))).toMatchObject(nothing);
    const broken = await keyWith();
    await database.prisma.apiKey.update({ where: { id: broken.keyId }, data: { restrictions: { surprise: 1 } } });
    expect(await policy(broken)).toMatchObject(nothing);
  });
});

test("the policy is never cached on the way", async () => {
  const answer = await server.send("GET /v1/policy", { key: (await keyWith()).rawKey });
  expect(answer.headers["cache-control"]).toContain("no-store");
});
