import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { uuidv7 } from "@/lib/ids";
import { nanoUsd } from "@/lib/money";
import type { KeyRestrictions, Scope } from "@/server/api-key";
import type { PublicBudget } from "@/server/budget";
import { costEvent } from "@/server/ledger/testing";
import { createTestDatabase, type TestDatabase } from "@/testing/database";
import { createApiKey, createOrganisation, type TestApiKey, type TestOrganisation } from "@/testing/factories";
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
  org = await createOrganisation({ prisma: database.prisma });
  admin = await keyWith(["read", "manage"]);
  agent = await keyWith(["proxy", "ingest", "self"]);
});
// Whatever a test did, the books must balance.
afterEach(async () => {
  expect((await server.send("GET /api/integrity", { key: admin.rawKey })).json).toMatchObject({ data: { ok: true } });
});

const keyWith = (scopes: Scope[], of = org, restrictions: Partial<KeyRestrictions> = {}) =>
  createApiKey({ prisma: database.prisma, org: of, scopes, restrictions });
const budgetOf = (answer: { json: unknown }) => (answer.json as { data: PublicBudget }).data;
const post = async (body: object) =>
  budgetOf(await server.send("POST /api/budgets", { key: admin.rawKey, body: { entityType: "org", ...body } }));
const patch = async (id: string, body: object) => budgetOf(await server.send(`PATCH /api/budgets/${id}`, { key: admin.rawKey, body }));
const reset = async (id: string) => budgetOf(await server.send(`POST /api/budgets/${id}/reset`, { key: admin.rawKey }));
const get = async (id: string) => budgetOf(await server.send(`GET /api/budgets/${id}`, { key: admin.rawKey }));
const outbox = async () =>
  (await database.prisma.outboxEvent.findMany({ where: { orgId: org.orgId }, orderBy: { createdAt: "asc" }, select: { type: true } }))
    .map(({ type }) => type)
    .filter((type) => type !== "cost_event.created" && type !== "request.blocked");

/** Holds money as the gateway does. */
async function hold(microdollars: number): Promise<{ id: string; outcome: string }> {
  const { ledger, budgetBook } = server.deps;
  const id = uuidv7(Date.now());
  const { configVersion } = await database.prisma.organisation.findUniqueOrThrow({
    where: { id: org.orgId },
    select: { configVersion: true },
  });
  await budgetBook.ensureLoaded(org.orgId, configVersion);
  const call = { userId: org.userId, apiKeyId: agent.keyId, customerId: null, tags: {}, provider: "openai", model: "gpt-5" };
  const bound = nanoUsd(BigInt(microdollars * 1000));
  const budgets = budgetBook.applicable(org.orgId, call);
  if (budgets.length === 0) return { id, outcome: "unlimited" };
  const { outcome } = await ledger.reserve({
    callId: id,
    orgId: org.orgId,
    configVersion,
    sessionId: null,
    lines: budgets.map((budget) => ({ budget, bound })),
    floor: null,
    draft: costEvent({ id, orgId: org.orgId, apiKeyId: agent.keyId, estimatedNano: bound }),
  });
  return { id, outcome };
}
const settle = (id: string, microdollars: number) => {
  const costNano = nanoUsd(BigInt(microdollars * 1000));
  const event = costEvent({
    id,
    orgId: org.orgId,
    apiKeyId: agent.keyId,
    costNano,
    chargedNano: costNano,
    costBreakdown: null,
    lines: null,
  });
  return server.deps.settleDoor.settle({ event, budgets: { held: true } });
};
async function spend(microdollars: number): Promise<string> {
  const { id, outcome } = await hold(microdollars);
  expect(outcome).toBe("held");
  await settle(id, microdollars);
  return outcome;
}

describe("what is spent and held is shown as it stands", () => {
  test("held while calls run, spent when they are settled, the rest given back", async () => {
    const { id } = await post({ maxBudgetMicrodollars: 100 });
    const call = await hold(60);
    expect(await get(id)).toMatchObject({ spendMicrodollars: 0, reservedMicrodollars: 60, remainingMicrodollars: 40 });
    expect((await hold(41)).outcome).toBe("denied");
    await settle(call.id, 25);
    expect(await get(id)).toMatchObject({ spendMicrodollars: 25, reservedMicrodollars: 0, remainingMicrodollars: 75 });
    const sources = await server.send(`GET /api/budgets/${id}/sources`, { key: admin.rawKey });
    expect(sources.json).toMatchObject({ data: { sources: [{ source: "proxy", totalCostMicrodollars: 25, requestCount: 1 }] } });
  });
});

describe("editing", () => {
  test("a limit that is raised has room at once", async () => {
    const { id } = await post({ maxBudgetMicrodollars: 10 });
    await spend(10);
    expect((await hold(1)).outcome).toBe("denied");
    expect(await patch(id, { maxBudgetMicrodollars: 15 })).toMatchObject({ remainingMicrodollars: 5, currentLimitMicrodollars: 15 });
    expect((await hold(5)).outcome).toBe("held");
    expect((await hold(1)).outcome).toBe("denied");
  });

  // A9: with holds in flight the new limit is below what is spent and held; nothing may break, and nothing more may start.
  test("a limit that is lowered below what is spent and held lets calls in flight finish and admits no other", async () => {
    const { id } = await post({ maxBudgetMicrodollars: 100 });
    await spend(40);
    const flying = await Promise.all(Array.from({ length: 10 }, () => hold(5)));
    expect(await patch(id, { maxBudgetMicrodollars: 20 })).toMatchObject({
      currentLimitMicrodollars: 20,
      spendMicrodollars: 40,
      reservedMicrodollars: 50,
      remainingMicrodollars: 0,
      excessMicrodollars: 70,
      excessReasons: ["limit_lowered"],
    });
    expect((await hold(1)).outcome).toBe("denied");
    await Promise.all(flying.map((call) => settle(call.id, 5)));
    expect(await get(id)).toMatchObject({ spendMicrodollars: 90, reservedMicrodollars: 0, excessMicrodollars: 70 });
    expect((await hold(1)).outcome).toBe("denied");
  });

  test("a limit is lowered while calls settle: whatever the order, the books balance", async () => {
    const { id } = await post({ maxBudgetMicrodollars: 10_000 });
    const flying = await Promise.all(Array.from({ length: 60 }, () => hold(100)));
    await Promise.all([
      ...flying.map((call) => settle(call.id, 70)),
      ...[3000, 500, 8000, 50].map((maxBudgetMicrodollars) => patch(id, { maxBudgetMicrodollars })),
      ...Array.from({ length: 20 }, () => hold(10)),
    ]);
    expect((await get(id)).spendMicrodollars).toBe(60 * 70);
  });

  test("a policy that becomes strict keeps what is above it, and says why", async () => {
    const { id } = await post({ maxBudgetMicrodollars: 10, policy: "warn" });
    await spend(30);
    expect(await patch(id, { policy: "strict_block" })).toMatchObject({ excessMicrodollars: 20, excessReasons: ["policy_changed"] });
    expect((await hold(1)).outcome).toBe("denied");
    await patch(id, { policy: "warn" });
    expect((await hold(1)).outcome).toBe("held");
  });

  test("a velocity limit can be set, changed and taken away", async () => {
    const { id } = await post({ maxBudgetMicrodollars: 1000, velocityLimitMicrodollars: 10 });
    expect((await hold(8)).outcome).toBe("held");
    expect(await get(id)).toMatchObject({ velocityCurrentMicrodollars: 8, velocityCoolUntil: null });
    const turn = (buckets: number) =>
      database.prisma.budgetVelocity.updateMany({ where: { orgId: org.orgId }, data: { head: { increment: buckets } } });
    await turn(-61);
    expect(await get(id)).toMatchObject({ velocityCurrentMicrodollars: 0 });
    await turn(61);
    expect((await hold(8)).outcome).toBe("denied");
    const tripped = await get(id);
    expect(Date.parse(tripped.velocityCoolUntil!)).toBeGreaterThan(Date.now());
    expect((await hold(1)).outcome).toBe("denied");
    expect(await patch(id, { velocityLimitMicrodollars: null })).toMatchObject({
      velocityLimitMicrodollars: null,
      velocityCoolUntil: null,
    });
    expect((await hold(100)).outcome).toBe("held");
  });
});

describe("resetting", () => {
  // The in-flight cost of a reset was lost in one product and admitted twice in another.
  test("begins a new period at once; calls in flight settle into the one in which they were admitted", async () => {
    const { id } = await post({ maxBudgetMicrodollars: 100, resetInterval: "monthly" });
    await spend(30);
    const flying = await hold(60);
    const after = await reset(id);
    expect(after).toMatchObject({ spendMicrodollars: 0, reservedMicrodollars: 0, remainingMicrodollars: 100 });
    expect(Math.abs(Date.parse(after.currentPeriodStart) - Date.now())).toBeLessThan(5000);
    expect(after.currentPeriodEnd).not.toBeNull();
    expect((await hold(100)).outcome).toBe("held");
    await settle(flying.id, 50);
    expect(await get(id)).toMatchObject({ spendMicrodollars: 0, reservedMicrodollars: 100 });
    const balances = await database.prisma.budgetBalance.findMany({ where: { orgId: org.orgId }, orderBy: { startsAt: "asc" } });
    expect(balances.map(({ spentNano, reservedNano }) => [spentNano, reservedNano])).toEqual([
      [80_000n, 0n],
      [0n, 100_000n],
    ]);
    expect(balances[1]!.startsAt).toEqual(balances[0]!.endsAt);
  });

  test("twice in the same moment, and before any call, opens periods that follow one another", async () => {
    const { id } = await post({ maxBudgetMicrodollars: 100 });
    await Promise.all([reset(id), reset(id), reset(id)]);
    await spend(10);
    expect(await get(id)).toMatchObject({ spendMicrodollars: 10 });
    expect((await outbox()).filter((type) => type === "budget.reset")).toHaveLength(3);
  });
});

describe("deleting", () => {
  // A10, A11.
  test("with calls in flight: they settle into it, and a budget made again for the same entity starts with nothing", async () => {
    const { id } = await post({ maxBudgetMicrodollars: 1000 });
    const flying = await Promise.all(Array.from({ length: 50 }, () => hold(10)));
    await server.send(`DELETE /api/budgets/${id}`, { key: admin.rawKey });
    const second = await post({ maxBudgetMicrodollars: 10 });
    expect(second).toMatchObject({ spendMicrodollars: 0, reservedMicrodollars: 0 });
    await Promise.all(flying.map((call) => settle(call.id, 7)));
    expect(await get(second.id)).toMatchObject({ spendMicrodollars: 0, reservedMicrodollars: 0 });
    const old = await database.prisma.budgetBalance.findFirstOrThrow({ where: { budgetId: id.slice("ns_bgt_".length) } });
    expect([old.spentNano, old.reservedNano]).toEqual([350_000n, 0n]);
    expect(await database.prisma.costEvent.count({ where: { orgId: org.orgId } })).toBe(50);
    expect((await hold(11)).outcome).toBe("denied");
  });

  test("no limit is left behind", async () => {
    const { id } = await post({ maxBudgetMicrodollars: 1 });
    expect((await hold(2)).outcome).toBe("denied");
    await server.send(`DELETE /api/budgets/${id}`, { key: admin.rawKey });
    expect((await hold(2)).outcome).toBe("unlimited");
  });
});

describe("the calendar of a budget that is edited", () => {
  // G5: the running period keeps what it counted and ends where the new calendar says; the next follows without a gap.
  test.each<[string, object, object]>([
    ["monthly becomes daily", { resetInterval: "monthly" }, { resetInterval: "daily" }],
    ["daily becomes monthly", { resetInterval: "daily" }, { resetInterval: "monthly", anchorDay: 31 }],
    ["none becomes weekly", {}, { resetInterval: "weekly", anchorDay: 7 }],
    ["yearly becomes none", { resetInterval: "yearly" }, { resetInterval: "none" }],
    ["the zone moves", { resetInterval: "daily" }, { timezone: "Pacific/Kiritimati" }],
  ])("%s", async (_what, made, edited) => {
    const { id } = await post({ maxBudgetMicrodollars: 100, ...made });
    await spend(30);
    const before = await get(id);
    const after = await patch(id, edited);
    expect(after).toMatchObject({ spendMicrodollars: 30, currentPeriodStart: before.currentPeriodStart });
    if ("resetInterval" in edited && edited.resetInterval === "none") expect(after.currentPeriodEnd).toBeNull();
    else expect(Date.parse(after.currentPeriodEnd!)).toBeGreaterThan(Date.now());
    await spend(20);
    expect(await get(id)).toMatchObject({ spendMicrodollars: 50, currentPeriodEnd: after.currentPeriodEnd });
    expect(await database.prisma.budgetBalance.count({ where: { budgetId: id.slice("ns_bgt_".length) } })).toBe(1);
  });
});

describe("costs that are only told", () => {
  const report = (costMicrodollars: number, key = agent, more: object = {}) =>
    server.send("POST /api/cost-events", { key: key.rawKey, body: { provider: "openai", model: "gpt-5", costMicrodollars, ...more } });

  // Two counters of one budget were how reported spend did not count toward enforcement.
  test("count against the same budgets, past the limit if need be, and say so", async () => {
    const { id } = await post({ maxBudgetMicrodollars: 100 });
    await report(60);
    expect(await get(id)).toMatchObject({ spendMicrodollars: 60 });
    expect((await hold(50)).outcome).toBe("denied");
    await report(70);
    expect(await get(id)).toMatchObject({ spendMicrodollars: 130, excessMicrodollars: 30, excessReasons: ["reported"] });
  });

  test("are charged once, however often they are told", async () => {
    const { id } = await post({ maxBudgetMicrodollars: 1000 });
    await Promise.all([1, 2, 3].map(() => report(10, agent, { idempotencyKey: "a" })));
    await report(10, agent, { idempotencyKey: "a" });
    const events = Array.from({ length: 5 }, (_, n) => ({
      provider: "openai",
      model: "m",
      costMicrodollars: n + 1,
      idempotencyKey: `b${n}`,
    }));
    await server.send("POST /api/cost-events/batch", { key: agent.rawKey, body: { events } });
    await server.send("POST /api/cost-events/batch", { key: agent.rawKey, body: { events } });
    expect((await get(id)).spendMicrodollars).toBe(25);
  });

  test("count only where they belong", async () => {
    const customer = await post({ entityType: "customer", entityId: "acme", maxBudgetMicrodollars: 100 });
    const other = await post({ entityType: "customer", entityId: "other", maxBudgetMicrodollars: 100 });
    await report(10, agent, { customer: "acme" });
    await report(10);
    expect([(await get(customer.id)).spendMicrodollars, (await get(other.id)).spendMicrodollars]).toEqual([10, 0]);
  });
});

describe("a tool's call", () => {
  const TOOL = { serverName: "github", toolName: "search" };
  const check = (body: object = {}, key = agent) =>
    server.send("POST /v1/mcp/budget/check", { key: key.rawKey, body: { ...TOOL, estimateMicrodollars: 30, ...body } });
  const events = (list: object[], key = agent) => server.send("POST /v1/mcp/events", { key: key.rawKey, body: { events: list } });
  const reservationOf = (answer: { json: unknown }) => (answer.json as { reservationId: string | null }).reservationId;

  test("is held under the same budgets and settled by its event, once", async () => {
    const { id } = await post({ maxBudgetMicrodollars: 100 });
    const answer = await check({ traceId: "a".repeat(32), sessionId: "s" });
    expect(answer).toMatchObject({
      status: 200,
      json: { allowed: true, reservationId: expect.stringMatching(/^ns_rsv_/), traceId: "a".repeat(32) },
    });
    expect(await get(id)).toMatchObject({ reservedMicrodollars: 30, spendMicrodollars: 0 });
    const event = { ...TOOL, reservationId: reservationOf(answer), costMicrodollars: 12, customerId: "somebody-else" };
    await Promise.all([events([event]), events([event])]);
    await events([event]);
    expect(await get(id)).toMatchObject({ reservedMicrodollars: 0, spendMicrodollars: 12 });
    expect(await database.prisma.costEvent.findMany({ where: { orgId: org.orgId } })).toMatchObject([
      { sessionId: "s", customerId: null, budgetStatus: "approved", estimatedNano: 30_000n },
    ]);
  });

  test("holds nothing where no budget applies", async () => {
    expect(reservationOf(await check())).toBeNull();
  });

  test("is denied in the words and fields of every denial, with its event and its decision", async () => {
    const { id } = await post({ entityType: "api_key", entityId: `ns_key_${agent.keyId}`, maxBudgetMicrodollars: 50 });
    await check();
    const answer = await check();
    expect(answer.status).toBe(429);
    expect(answer.headers).toMatchObject({ "x-should-retry": "false", "x-nullspend-denied": "1" });
    expect(answer.headers["retry-after"]).toBeUndefined();
    const { error } = answer.json as { error: { code: string; message: string; details: Record<string, string> } };
    expect(error).toMatchObject({
      code: "budget_exceeded",
      message: expect.stringMatching(
        /^The budget of the key "test key" has no room for this call \(\$0\.00 of \$0\.00005 spent, \$0\.00003 held/,
      ),
      details: { budget_id: id, budget_limit_microdollars: 50, budget_reserved_microdollars: 30, estimated_cost_microdollars: 30 },
    });
    await server.deps.decisionLog.drain();
    const decision = await server.send(`GET /api/decisions/${error.details.decision_id}`, { key: agent.rawKey });
    expect(decision.json).toMatchObject({
      data: { budgets: [{ id, denied: true, reservations: [{ amountMicrodollars: 30, model: "github/search" }] }] },
    });
    await expect
      .poll(() =>
        database.prisma.costEvent.findMany({ where: { orgId: org.orgId }, select: { status: true, denialCode: true, chargedNano: true } }),
      )
      .toEqual([{ status: "denied", denialCode: "budget_exceeded", chargedNano: 0n }]);
    const told = await database.prisma.outboxEvent.findMany({ where: { orgId: org.orgId }, orderBy: { type: "asc" } });
    expect(told.map(({ type }) => type)).toEqual(["budget.exceeded", "request.blocked"]);
    expect(told[1]!.payload).toMatchObject({ reason: "budget_exceeded", model: "github/search", details: { budget_id: id } });
  });

  test("is denied 402 where the key says so, and 423 while it is frozen", async () => {
    const key = await keyWith(["ingest"], org, { denialStatus: 402 });
    await post({ maxBudgetMicrodollars: 1 });
    expect((await check({}, key)).status).toBe(402);
    await server.send("POST /api/freezes", {
      key: admin.rawKey,
      body: { entityType: "api_key", entityId: `ns_key_${key.keyId}`, reason: "leaked" },
    });
    expect(await check({}, key)).toMatchObject({ status: 423, json: { error: { code: "frozen" } } });
    await expect
      .poll(() => database.prisma.outboxEvent.findMany({ where: { orgId: org.orgId, type: "request.blocked" } }))
      .toContainEqual(expect.objectContaining({ payload: expect.objectContaining({ reason: "frozen" }) }));
  });

  test("must name what its key requires, and says what it costs where nobody else does", async () => {
    const key = await keyWith(["ingest"], org, { require: ["customer"], allowedModels: ["gpt-*"] });
    expect(await check({}, key)).toMatchObject({ status: 403, json: { error: { code: "mandate_violation" } } });
    expect((await check({ customerId: "acme" }, key)).status).toBe(200);
    expect((await check({ estimateMicrodollars: undefined })).status).toBe(400);
  });

  // An agent must not talk its way under a limit.
  test("is held at what an admin said it costs, whatever the caller says", async () => {
    await post({ maxBudgetMicrodollars: 100 });
    await server.send("POST /api/tool-costs", { key: admin.rawKey, body: { ...TOOL, costMicrodollars: 90 } });
    const answer = await check({ estimateMicrodollars: 0 });
    expect((await check({ estimateMicrodollars: 0 })).status).toBe(429);
    await events([{ ...TOOL, reservationId: reservationOf(answer), costMicrodollars: 0 }]);
    expect((await check({ estimateMicrodollars: 0 })).status).toBe(429);
  });

  test("a hundred at once against a budget that fits ten: ten", async () => {
    await post({ maxBudgetMicrodollars: 300 });
    const answers = await Promise.all(Array.from({ length: 100 }, () => check()));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(10);
    expect(answers.filter(({ status }) => status === 429)).toHaveLength(90);
  });

  test("that nobody reports has its hold given back, and is charged when it is reported after all", async () => {
    const { id } = await post({ maxBudgetMicrodollars: 30 });
    const answer = await check();
    await database.pool.query("UPDATE reservation SET lease_until = now() - interval '1 second' WHERE org_id = $1", [org.orgId]);
    await server.deps.ledger.sweep();
    expect(await get(id)).toMatchObject({ reservedMicrodollars: 0, spendMicrodollars: 0, remainingMicrodollars: 30 });
    const event = { ...TOOL, reservationId: reservationOf(answer), costMicrodollars: 20 };
    await events([event]);
    await events([event]);
    expect((await get(id)).spendMicrodollars).toBe(20);
  });

  test("that was never checked is charged all the same", async () => {
    const { id } = await post({ maxBudgetMicrodollars: 10 });
    await events([{ ...TOOL, costMicrodollars: 25 }]);
    expect(await get(id)).toMatchObject({ spendMicrodollars: 25, excessReasons: ["reported"] });
  });
});

test("integrity is for admins and for keys with read, and tells what is wrong", async () => {
  const { id } = await post({ maxBudgetMicrodollars: 100 });
  await spend(10);
  expect((await server.send("GET /api/integrity", { key: agent.rawKey })).status).toBe(403);
  const budgetId = id.slice("ns_bgt_".length);
  await database.prisma.budgetBalance.updateMany({ where: { budgetId }, data: { spentNano: 11_000n } });
  expect((await server.send("GET /api/integrity", { key: admin.rawKey })).json).toMatchObject({
    data: {
      ok: false,
      checks: [
        { name: "limit", ok: true, violations: [] },
        { name: "reserved", ok: true, violations: [] },
        { name: "spent", ok: false, violations: [expect.stringContaining("11000 spent, its events add up to 10000")] },
        { name: "resolved_once", ok: true, violations: [] },
        { name: "expired", ok: true, violations: [] },
      ],
    },
  });
  const stranger = await keyWith(["read"], await createOrganisation({ prisma: database.prisma }));
  expect((await server.send("GET /api/integrity", { key: stranger.rawKey })).json).toMatchObject({ data: { ok: true } });
  await database.prisma.budgetBalance.updateMany({ where: { budgetId }, data: { spentNano: 10_000n } });
});
