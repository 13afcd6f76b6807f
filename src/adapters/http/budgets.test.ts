import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Role } from "@/generated/prisma/enums";
import { systemClock } from "@/lib/clock";
import { createLogger } from "@/lib/logger";
import { createKeyAuthenticator, type KeyRestrictions, type PollingKeyAuthenticator, type Scope } from "@/server/api-key";
import { createBudget, createBudgetBook, deleteBudget, resetBudget, updateBudget, type PublicBudget } from "@/server/budget";
import type { Ctx } from "@/server/context";
import { createTestDatabase, type TestDatabase } from "@/testing/database";
import { createApiKey, createMember, createOrganisation, type TestApiKey, type TestOrganisation } from "@/testing/factories";
import { startRestServer, type RestTestServer } from "@/testing/rest-server";

let database: TestDatabase;
let server: RestTestServer;
let org: TestOrganisation;
let admin: TestApiKey;
let agent: TestApiKey;

beforeAll(async () => {
  database = await createTestDatabase();
  server = await startRestServer(database);
});
afterAll(async () => {
  await server.close();
  await database.drop();
});
beforeEach(async () => {
  org = await createOrganisation({ prisma: database.prisma, timezone: "Europe/Berlin" });
  admin = await keyWith(["read", "manage"]);
  agent = await keyWith(["proxy", "ingest", "self"]);
});

const keyWith = (scopes: Scope[], of = org, restrictions: Partial<KeyRestrictions> = {}) =>
  createApiKey({ prisma: database.prisma, org: of, scopes, restrictions });
const budgetOf = (answer: { json: unknown }) => (answer.json as { data: PublicBudget }).data;
const listOf = (answer: { json: unknown }) => answer.json as { data: PublicBudget[]; cursor: string | null };
const errorOf = (answer: { json: unknown }) =>
  (answer.json as { error: { code: string; details: { issues?: { path: string }[]; budgetId?: string } } }).error;
const post = (body: unknown, key = admin) => server.send("POST /api/budgets", { key: key.rawKey, body });
const patch = (id: string, body: unknown, key = admin) => server.send(`PATCH /api/budgets/${id}`, { key: key.rawKey, body });
const get = (path: string, key = admin) => server.send(`GET /api/budgets${path}`, { key: key.rawKey });
const ORG = { entityType: "org", maxBudgetMicrodollars: 10_000_000 };

describe("what is held in memory when a change is answered", () => {
  let slow: RestTestServer;
  let authenticator: PollingKeyAuthenticator;
  beforeAll(async () => {
    const { connectionString } = database;
    // Not started: nothing polls, so what is held stays for its second.
    authenticator = createKeyAuthenticator({ connectionString, clock: systemClock, log: createLogger({ level: "silent" }) });
    slow = await startRestServer(database, { authenticator });
  });
  afterAll(async () => {
    await slow.close();
    await authenticator.stop();
  });

  test("a changed limit is known to the next call of this process", async () => {
    await authenticator.authenticate(agent.rawKey);
    expect(authenticator.authenticate(agent.rawKey)).not.toBeInstanceOf(Promise);
    expect((await slow.send("POST /api/budgets", { key: admin.rawKey, body: ORG })).status).toBe(201);
    const { configVersion } = await database.prisma.organisation.findUniqueOrThrow({ where: { id: org.orgId } });
    expect(await authenticator.authenticate(agent.rawKey)).toMatchObject({ outcome: "known", identity: { org: { configVersion } } });
  });

  test("a reported cost costs nobody a lookup", async () => {
    await authenticator.authenticate(agent.rawKey);
    const event = { provider: "openai", model: "gpt-4o", inputTokens: 1, outputTokens: 1, costMicrodollars: 5 };
    expect((await slow.send("POST /api/cost-events", { key: agent.rawKey, body: event })).status).toBe(201);
    expect(authenticator.authenticate(agent.rawKey)).not.toBeInstanceOf(Promise);
  });
});

test("a budget is made with its defaults, read, changed in what was sent and nothing else, and ended", async () => {
  const answer = await post({
    entityType: "api_key",
    entityId: `ns_key_${agent.keyId}`,
    maxBudgetMicrodollars: 1_000_000.5,
    resetInterval: "monthly",
  });
  expect(answer.status).toBe(201);
  const made = budgetOf(answer);
  expect(made).toMatchObject({
    entityType: "api_key",
    entityId: `ns_key_${agent.keyId}`,
    models: [],
    providers: [],
    maxBudgetMicrodollars: 1_000_000.5,
    policy: "strict_block",
    resetInterval: "monthly",
    timezone: "Europe/Berlin",
    anchorDay: null,
    thresholdPercentages: [50, 80, 90, 95],
    velocityLimitMicrodollars: null,
    velocityWindowSeconds: 60,
    velocityCooldownSeconds: 60,
    sessionLimitMicrodollars: null,
    holds: "bound",
    unpricedPolicy: "ceiling",
    spendMicrodollars: 0,
    reservedMicrodollars: 0,
    remainingMicrodollars: 1_000_000.5,
    excessMicrodollars: 0,
    warnings: [],
  });
  expect(Date.parse(made.currentPeriodEnd!)).toBeGreaterThan(Date.now());
  expect(budgetOf(await get(`/${made.id}`))).toEqual(made);

  const changed = budgetOf(await patch(made.id, { policy: "soft_block", thresholdPercentages: [], sessionLimitMicrodollars: 5 }));
  expect(changed).toEqual({
    ...made,
    policy: "soft_block",
    thresholdPercentages: [],
    sessionLimitMicrodollars: 5,
    updatedAt: changed.updatedAt,
    warnings: changed.warnings,
  });
  expect(budgetOf(await patch(made.id, { sessionLimitMicrodollars: null })).sessionLimitMicrodollars).toBeNull();

  expect((await server.send(`DELETE /api/budgets/${made.id}`, { key: admin.rawKey })).json).toMatchObject({ data: { id: made.id } });
  expect((await get(`/${made.id}`)).status).toBe(404);
  expect((await server.send(`DELETE /api/budgets/${made.id}`, { key: admin.rawKey })).status).toBe(404);
  expect((await patch(made.id, { policy: "warn" })).status).toBe(404);
  const actions = await database.prisma.auditLog.findMany({
    where: { orgId: org.orgId },
    orderBy: { createdAt: "asc" },
    select: { action: true },
  });
  expect(actions.map(({ action }) => action)).toEqual(["budget.created", "budget.updated", "budget.updated", "budget.deleted"]);
});

describe("posting again", () => {
  test("changes the budget of the same entity, filters and interval, in the fields that were sent", async () => {
    const first = budgetOf(
      await post({ ...ORG, policy: "warn", thresholdPercentages: [10], models: ["gpt-*", "claude-*"], resetInterval: "daily" }),
    );
    const again = await post({ ...ORG, maxBudgetMicrodollars: 20, models: ["claude-*", "gpt-*"], resetInterval: "daily" });
    expect(again.status).toBe(200);
    expect(budgetOf(again)).toMatchObject({
      id: first.id,
      maxBudgetMicrodollars: 20,
      policy: "warn",
      thresholdPercentages: [10],
      models: ["claude-*", "gpt-*"],
    });
    for (const other of [
      { resetInterval: "weekly" },
      { resetInterval: "daily" },
      { resetInterval: "daily", models: ["gpt-*"] },
      { resetInterval: "daily", providers: ["openai"] },
    ]) {
      expect((await post({ ...ORG, ...other })).status).toBe(201);
    }
    expect(listOf(await get("")).data).toHaveLength(5);
  });

  test("at once makes one budget", async () => {
    const answers = await Promise.all(Array.from({ length: 12 }, (_, n) => post({ ...ORG, maxBudgetMicrodollars: n + 1 })));
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(11);
    expect(listOf(await get("")).data).toHaveLength(1);
  });

  test("with an Idempotency-Key has one effect", async () => {
    const send = () => server.send("POST /api/budgets", { key: admin.rawKey, body: ORG, headers: { "idempotency-key": "k" } });
    const answers = [await send(), await send()];
    expect(answers.map(({ status }) => status)).toEqual([201, 201]);
    expect(answers[1]!.headers["x-idempotent-replayed"]).toBe("true");
  });

  test("after a deletion makes another budget", async () => {
    const first = budgetOf(await post(ORG));
    await server.send(`DELETE /api/budgets/${first.id}`, { key: admin.rawKey });
    const second = await post(ORG);
    expect(second.status).toBe(201);
    expect(budgetOf(second).id).not.toBe(first.id);
  });
});

describe("an interval can be changed", () => {
  test("but not into that of another budget of the same entity", async () => {
    const daily = budgetOf(await post({ ...ORG, resetInterval: "daily" }));
    const weekly = budgetOf(await post({ ...ORG, resetInterval: "weekly", anchorDay: 3 }));
    const answer = await patch(daily.id, { resetInterval: "weekly" });
    expect([answer.status, errorOf(answer)]).toMatchObject([409, { code: "conflict", details: { budgetId: weekly.id } }]);
    expect((await patch(weekly.id, { resetInterval: "monthly" })).status).toBe(200);
    expect((await patch(daily.id, { resetInterval: "weekly" })).status).toBe(200);
  });

  test("and an anchor must fit what comes out", async () => {
    const weekly = budgetOf(await post({ ...ORG, resetInterval: "weekly", anchorDay: 7 }));
    expect((await patch(weekly.id, { anchorDay: 8 })).status).toBe(400);
    expect((await patch(weekly.id, { resetInterval: "yearly" })).status).toBe(400);
    expect((await patch(weekly.id, { resetInterval: "monthly", anchorDay: 31 })).status).toBe(200);
    expect((await patch(weekly.id, { resetInterval: "weekly" })).status).toBe(400);
    expect((await patch(weekly.id, { resetInterval: "none", anchorDay: null })).status).toBe(200);
  });
});

describe("who may", () => {
  // An agent that can raise its own limit has none.
  test("no key changes its own budgets, and one without manage changes none", async () => {
    const own = { entityType: "api_key", entityId: `ns_key_${admin.keyId}`, maxBudgetMicrodollars: 5 };
    expect((await post(own)).status).toBe(403);
    const other = await keyWith(["read", "manage"]);
    const { id } = budgetOf(await post(own, other));
    for (const answer of [
      await post({ ...own, maxBudgetMicrodollars: 9 }),
      await patch(id, { maxBudgetMicrodollars: 9 }),
      await server.send(`DELETE /api/budgets/${id}`, { key: admin.rawKey }),
      await server.send(`POST /api/budgets/${id}/reset`, { key: admin.rawKey }),
      await post(ORG, agent),
      await patch(id, { maxBudgetMicrodollars: 9 }, agent),
    ]) {
      expect([answer.status, errorOf(answer).code]).toEqual([403, "forbidden"]);
    }
    expect(budgetOf(await get(`/${id}`)).maxBudgetMicrodollars).toBe(5);
  });

  test.each<[Role, boolean]>([
    ["viewer", false],
    ["member", false],
    ["admin", true],
    ["owner", true],
  ])("a %s changes budgets: %s", async (role, may) => {
    const { id } = budgetOf(await post(ORG));
    const userId = await createMember({ prisma: database.prisma, orgId: org.orgId, role });
    const ctx: Ctx = { prisma: database.prisma, clock: systemClock, principal: { type: "user", orgId: org.orgId, userId, role }, ip: null };
    for (const attempt of [
      () => createBudget({ ctx, input: { entityType: "org", maxBudgetMicrodollars: 7 } }),
      () => updateBudget({ ctx, budgetId: id, input: { maxBudgetMicrodollars: 8 } }),
      () => resetBudget({ ctx, budgetId: id }),
      () => deleteBudget({ ctx, budgetId: id }),
    ]) {
      if (may) await attempt();
      else await expect(attempt()).rejects.toMatchObject({ code: "forbidden" });
    }
  });

  test("a key sees the budgets that concern it; one with read sees all", async () => {
    const bound = await keyWith(["self"], org, { lockedTags: { team: "a" }, defaultTags: { env: "prod" }, lockedCustomer: "acme" });
    const budgets = [
      ["org", undefined],
      ["user", `ns_usr_${org.userId}`],
      ["api_key", `ns_key_${bound.keyId}`],
      ["api_key", `ns_key_${agent.keyId}`],
      ["tag", "team=a"],
      ["tag", "team=b"],
      ["tag", "env=prod"],
      ["customer", "acme"],
      ["customer", "other"],
    ];
    for (const [entityType, entityId] of budgets) await post({ entityType, entityId, maxBudgetMicrodollars: 5 });
    const seen = listOf(await get("", bound)).data;
    expect(seen.map(({ entityId }) => entityId).toSorted()).toEqual(
      ["acme", "env=prod", `ns_key_${bound.keyId}`, `ns_usr_${org.userId}`, "org", "team=a"].toSorted(),
    );
    const all = listOf(await get("")).data;
    expect(all).toHaveLength(budgets.length);
    const hidden = all.find(({ entityId }) => entityId === "other")!;
    expect((await get(`/${hidden.id}`, bound)).status).toBe(404);
    expect((await get(`/${hidden.id}/sources`, bound)).status).toBe(404);

    const status = (await get("/status", bound)).json as { entities: { entityId: string; limitMicrodollars: number }[] };
    expect(status.entities.map(({ entityId }) => entityId).toSorted()).toEqual(seen.map(({ entityId }) => entityId).toSorted());
    expect(status.entities[0]).toMatchObject({ limitMicrodollars: 5, remainingMicrodollars: 5, spendMicrodollars: 0 });
  });

  test("another organisation's budgets, keys and members do not exist", async () => {
    const theirs = await createOrganisation({ prisma: database.prisma });
    const stranger = await keyWith(["read", "manage"], theirs);
    const { id } = budgetOf(await post(ORG));
    expect((await get(`/${id}`, stranger)).status).toBe(404);
    expect((await get(`/${id}/sources`, stranger)).status).toBe(404);
    expect((await patch(id, { maxBudgetMicrodollars: 1 }, stranger)).status).toBe(404);
    expect((await server.send(`DELETE /api/budgets/${id}`, { key: stranger.rawKey })).status).toBe(404);
    expect((await server.send(`POST /api/budgets/${id}/reset`, { key: stranger.rawKey })).status).toBe(404);
    expect(listOf(await get("", stranger)).data).toEqual([]);
    expect((await post({ entityType: "api_key", entityId: `ns_key_${agent.keyId}`, maxBudgetMicrodollars: 5 }, stranger)).status).toBe(400);
    expect((await post({ entityType: "user", entityId: `ns_usr_${org.userId}`, maxBudgetMicrodollars: 5 }, stranger)).status).toBe(400);
    expect(budgetOf(await get(`/${id}`)).maxBudgetMicrodollars).toBe(10_000_000);
  });
});

test("every change is a new version of the configuration, in the transaction of the change", async () => {
  const book = createBudgetBook({ prisma: database.prisma });
  const maximum = async () => {
    const { configVersion } = await database.prisma.organisation.findUniqueOrThrow({
      where: { id: org.orgId },
      select: { configVersion: true },
    });
    await book.ensureLoaded(org.orgId, configVersion);
    return book.applicable(org.orgId, { userId: null, apiKeyId: null, customerId: null, tags: {}, provider: "openai", model: null })[0]
      ?.maxNano;
  };
  expect(await maximum()).toBeUndefined();
  const { id } = budgetOf(await post(ORG));
  expect(await maximum()).toBe(10_000_000_000n);
  await patch(id, { maxBudgetMicrodollars: 1.001 });
  expect(await maximum()).toBe(1001n);
  await server.send(`DELETE /api/budgets/${id}`, { key: admin.rawKey });
  expect(await maximum()).toBeUndefined();
});

describe("a budget that calls could avoid says how", () => {
  const warningsFor = async (body: object) => budgetOf(await post({ maxBudgetMicrodollars: 5, ...body })).warnings;

  test("by leaving out or changing a tag, a customer or a session", async () => {
    expect(await warningsFor({ entityType: "tag", entityId: "team=a" })).toEqual([
      'Calls of all 1 keys can leave out the tag "team" and then do not count here: lock it with lockedTags, or require it with "tag:team" on the key.',
    ]);
    await keyWith(["proxy"], org, { require: ["tag:team", "customer", "session"] });
    await keyWith(["proxy"], org, { lockedTags: { team: "a" }, lockedCustomer: "acme" });
    expect(await warningsFor({ entityType: "tag", entityId: "team=b" })).toEqual([
      expect.stringContaining("Calls of 1 of 3 keys can leave out"),
      expect.stringContaining('Calls of 1 of 3 keys must name the tag "team", but may name another one'),
    ]);
    expect(await warningsFor({ entityType: "customer", entityId: "acme" })).toHaveLength(2);
    expect(await warningsFor({ entityType: "org", sessionLimitMicrodollars: 1 })).toEqual([
      expect.stringContaining("Calls of 2 of 3 keys can leave out the session"),
    ]);
    expect(await warningsFor({ entityType: "api_key", entityId: `ns_key_${agent.keyId}`, sessionLimitMicrodollars: 1 })).toEqual([
      expect.stringContaining("Calls of all 1 keys can leave out the session"),
    ]);
  });

  test("and is silent where keys close it", async () => {
    await database.prisma.apiKey.update({
      where: { id: agent.keyId },
      data: { restrictions: { lockedTags: { team: "a" }, lockedCustomer: "acme", require: ["session"] } },
    });
    expect(await warningsFor({ entityType: "tag", entityId: "team=a", sessionLimitMicrodollars: 1 })).toEqual([]);
    expect(await warningsFor({ entityType: "customer", entityId: "acme" })).toEqual([]);
  });
});

describe("lists", () => {
  test("page without gap or repetition, newest first", async () => {
    for (let n = 0; n < 7; n++) await post({ entityType: "customer", entityId: `c${n}`, maxBudgetMicrodollars: 5 });
    const seen: string[] = [];
    for (let cursor: string | null = ""; cursor !== null;) {
      const page = listOf(await get(`?limit=3${cursor ? `&cursor=${cursor}` : ""}`));
      seen.push(...page.data.map(({ entityId }) => entityId));
      cursor = page.cursor;
    }
    expect(seen).toEqual(["c6", "c5", "c4", "c3", "c2", "c1", "c0"]);
  });

  test("can begin with what is closest to the wall", async () => {
    const used = { c0: 10n, c1: 4990n, c2: 0n, c3: 5100n, c4: 2500n };
    for (const [entityId, spentNano] of Object.entries(used)) {
      const { id } = budgetOf(await post({ entityType: "customer", entityId, maxBudgetMicrodollars: 5, policy: "warn" }));
      const budgetId = id.slice("ns_bgt_".length);
      await database.prisma.budgetBalance.deleteMany({ where: { budgetId } });
      await database.prisma.budgetBalance.create({
        data: {
          orgId: org.orgId,
          budgetId,
          startsAt: new Date(Date.now() - 1000),
          kind: 2,
          limitNano: 5000n,
          spentNano,
          openedBy: "created",
        },
      });
    }
    const first = listOf(await get("?sort=utilization&limit=2"));
    const second = listOf(await get(`?sort=utilization&limit=5&cursor=${first.cursor}`));
    expect([...first.data, ...second.data].map(({ entityId }) => entityId)).toEqual(["c3", "c1", "c4", "c0", "c2"]);
    expect(first.data[0]).toMatchObject({ remainingMicrodollars: 0, excessMicrodollars: 0.1 });
    expect((await get(`?sort=created&cursor=${first.cursor}`)).status).toBe(400);
  });

  test("can be of one entity", async () => {
    await post(ORG);
    await post({ entityType: "api_key", entityId: `ns_key_${agent.keyId}`, maxBudgetMicrodollars: 5 });
    expect(listOf(await get(`?entityType=api_key&entityId=ns_key_${agent.keyId}`)).data).toHaveLength(1);
    expect(listOf(await get("?entityType=org")).data).toHaveLength(1);
    expect((await get("?entityId=org")).status).toBe(400);
    expect((await get("?cursor=x")).status).toBe(400);
    expect((await get("?limit=101")).status).toBe(400);
  });
});

describe("is refused, with the field named", () => {
  test.each<[string, string, object]>([
    ["no amount", "maxBudgetMicrodollars", { maxBudgetMicrodollars: undefined }],
    ["nothing", "maxBudgetMicrodollars", { maxBudgetMicrodollars: 0 }],
    ["less than nothing", "maxBudgetMicrodollars", { maxBudgetMicrodollars: -1 }],
    ["an amount in words", "maxBudgetMicrodollars", { maxBudgetMicrodollars: "10" }],
    ["an amount finer than a nanodollar", "maxBudgetMicrodollars", { maxBudgetMicrodollars: 0.0001 }],
    ["more than can be counted", "maxBudgetMicrodollars", { maxBudgetMicrodollars: 1e21 }],
    ["null as an amount", "maxBudgetMicrodollars", { maxBudgetMicrodollars: null }],
    ["an unknown policy", "policy", { policy: "block" }],
    ["an unknown interval", "resetInterval", { resetInterval: "hourly" }],
    ["an unknown zone", "timezone", { timezone: "Mars/Olympus" }],
    ["a zone that is no text", "timezone", { timezone: 1 }],
    ["an anchor without an interval", "anchorDay", { anchorDay: 1 }],
    ["the eighth day of a week", "anchorDay", { resetInterval: "weekly", anchorDay: 8 }],
    ["the 32nd", "anchorDay", { resetInterval: "monthly", anchorDay: 32 }],
    ["day zero", "anchorDay", { resetInterval: "monthly", anchorDay: 0 }],
    ["half a day", "anchorDay", { resetInterval: "monthly", anchorDay: 1.5 }],
    ["thresholds that do not ascend", "thresholdPercentages", { thresholdPercentages: [80, 50] }],
    ["a threshold twice", "thresholdPercentages", { thresholdPercentages: [50, 50] }],
    ["a threshold of nothing", "thresholdPercentages.0", { thresholdPercentages: [0] }],
    ["a threshold above the limit", "thresholdPercentages.0", { thresholdPercentages: [101] }],
    ["eleven thresholds", "thresholdPercentages", { thresholdPercentages: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11] }],
    ["a velocity of nothing", "velocityLimitMicrodollars", { velocityLimitMicrodollars: 0 }],
    ["a window that is too short", "velocityWindowSeconds", { velocityWindowSeconds: 9 }],
    ["a cooldown that is too long", "velocityCooldownSeconds", { velocityCooldownSeconds: 3601 }],
    ["a session limit of nothing", "sessionLimitMicrodollars", { sessionLimitMicrodollars: 0 }],
    ["unknown holds", "holds", { holds: "guess" }],
    ["an unknown unpriced policy", "unpricedPolicy", { unpricedPolicy: "free" }],
    ["a pattern twice", "models", { models: ["a", "a"] }],
    ["an empty pattern", "models.0", { models: [""] }],
    ["too many patterns", "models", { models: Array.from({ length: 51 }, (_, n) => `m${n}`) }],
    ["a provider in capitals", "providers.0", { providers: ["OpenAI"] }],
    ["an unknown entity type", "entityType", { entityType: "team", entityId: "a" }],
    ["the organisation by another name", "entityId", { entityId: "mine" }],
    ["a bare key id", "entityId", { entityType: "api_key", entityId: "0190b3c4-5d6e-7f80-9a1b-2c3d4e5f6071" }],
    ["no user", "entityId", { entityType: "user" }],
    ["a member who is none", "entityId", { entityType: "user", entityId: "ns_usr_0190b3c4-5d6e-7f80-9a1b-2c3d4e5f6071" }],
    ["a tag without a value", "entityId", { entityType: "tag", entityId: "team" }],
    ["a reserved tag", "entityId", { entityType: "tag", entityId: "_ns_x=1" }],
    ["a tag key with a space", "entityId", { entityType: "tag", entityId: "a b=1" }],
    ["a tag value that is too long", "entityId", { entityType: "tag", entityId: `a=${"x".repeat(257)}` }],
    ["a customer with a space", "entityId", { entityType: "customer", entityId: "a b" }],
    ["an unknown field", "", { spendMicrodollars: 0 }],
  ])("%s", async (_what, path, change) => {
    const answer = await post({ ...ORG, ...change });
    expect([answer.status, errorOf(answer).code]).toEqual([400, "bad_request"]);
    expect(errorOf(answer).details.issues?.map((issue) => issue.path)).toContain(path);
  });

  test("a change of nothing, of the entity, or of what nobody can set", async () => {
    const { id } = budgetOf(await post(ORG));
    for (const body of [{}, { entityId: "org" }, { models: [] }, { maxBudgetMicrodollars: null }, { spendMicrodollars: 0 }, []]) {
      expect([body, (await patch(id, body)).status]).toEqual([body, 400]);
    }
    expect((await patch("ns_bgt_x", { policy: "warn" })).status).toBe(404);
    expect((await patch(id.replace("ns_bgt_", "ns_key_"), { policy: "warn" })).status).toBe(404);
  });

  test("a budget of a revoked key", async () => {
    await database.prisma.apiKey.update({ where: { id: agent.keyId }, data: { revokedAt: new Date() } });
    expect((await post({ entityType: "api_key", entityId: `ns_key_${agent.keyId}`, maxBudgetMicrodollars: 5 })).status).toBe(400);
  });
});

test("the smallest and the largest amounts are exact", async () => {
  for (const maxBudgetMicrodollars of [0.001, 1, 9_000_000_000_000]) {
    const { id } = budgetOf(await post({ ...ORG, maxBudgetMicrodollars }));
    expect(budgetOf(await get(`/${id}`)).maxBudgetMicrodollars).toBe(maxBudgetMicrodollars);
  }
});
