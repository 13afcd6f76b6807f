import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createBudgetBook } from "@/server/budget";
import type { Scope } from "@/server/api-key";
import type { Principal } from "@/server/context";
import { createFreeze } from "@/server/freeze";
import { createTestDatabase, type TestDatabase } from "@/testing/database";
import { createApiKey, createMember, createOrganisation, type TestApiKey, type TestOrganisation } from "@/testing/factories";
import { startRestServer, type RestTestServer } from "@/testing/rest-server";
import { systemClock } from "@/lib/clock";

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

const keyWith = (scopes: Scope[], of = org) => createApiKey({ prisma: database.prisma, org: of, scopes });
type Freeze = { id: string; entityType: string; entityId: string; reason: string; liftedAt: string | null };
const dataOf = (answer: { json: unknown }) => (answer.json as { data: Freeze }).data;
const listOf = (answer: { json: unknown }) => (answer.json as { data: Freeze[] }).data;
const codeOf = (answer: { json: unknown }) => (answer.json as { error: { code: string } }).error.code;
const freeze = (body: unknown, key = admin) => server.send("POST /api/freezes", { key: key.rawKey, body });
const versionOf = async () =>
  (await database.prisma.organisation.findUniqueOrThrow({ where: { id: org.orgId }, select: { configVersion: true } })).configVersion;

test("a freeze is in force with the next version of the configuration, and gone with the one after it was lifted", async () => {
  const book = createBudgetBook({ prisma: database.prisma });
  const held = async (call: { apiKeyId: string | null; customerId: string | null }) => {
    await book.ensureLoaded(org.orgId, await versionOf());
    return book.frozen(org.orgId, call);
  };
  const call = { apiKeyId: agent.keyId, customerId: "acme" };
  expect(await held(call)).toBeUndefined();

  const customer = await freeze({ entityType: "customer", entityId: "acme", reason: "unpaid" });
  expect(customer.status).toBe(201);
  expect(await held(call)).toMatchObject({ entityType: "customer", entityId: "acme", reason: "unpaid" });
  expect(await held({ apiKeyId: agent.keyId, customerId: "other" })).toBeUndefined();

  const key = await freeze({ entityType: "api_key", entityId: `ns_key_${agent.keyId}`, reason: "leaked" });
  expect(await held(call)).toMatchObject({ entityType: "api_key", reason: "leaked" });
  const whole = await freeze({ entityType: "org", reason: "incident" });
  expect(await held({ apiKeyId: null, customerId: null })).toMatchObject({ entityType: "org", reason: "incident" });

  for (const answer of [whole, key, customer]) {
    const lifted = await server.send(`DELETE /api/freezes/${dataOf(answer).id}`, { key: admin.rawKey });
    expect(dataOf(lifted).liftedAt).not.toBeNull();
  }
  expect(await held(call)).toBeUndefined();
});

test("freezing what is frozen changes nothing, and so does lifting it again", async () => {
  const first = await freeze({ entityType: "org", entityId: "org", reason: "a" });
  const again = await freeze({ entityType: "org", reason: "b" });
  expect(again.status).toBe(200);
  expect(dataOf(again)).toEqual(dataOf(first));
  const lift = () => server.send(`DELETE /api/freezes/${dataOf(first).id}`, { key: admin.rawKey });
  expect(dataOf(await lift())).toEqual(dataOf(await lift()));
  expect(await database.prisma.auditLog.count({ where: { orgId: org.orgId, resourceType: "freeze" } })).toBe(2);
  expect((await freeze({ entityType: "org", reason: "c" })).status).toBe(201);
  expect(listOf(await server.send("GET /api/freezes", { key: admin.rawKey }))).toHaveLength(1);
  expect(listOf(await server.send("GET /api/freezes?includeLifted=true", { key: admin.rawKey }))).toHaveLength(2);
});

test("eight freezes of one customer at once are one", async () => {
  const answers = await Promise.all(Array.from({ length: 8 }, () => freeze({ entityType: "customer", entityId: "acme", reason: "x" })));
  expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
  expect(new Set(answers.map((answer) => dataOf(answer).id)).size).toBe(1);
});

describe("who may", () => {
  // A frozen agent that can thaw itself was never frozen.
  test("no key freezes or unfreezes itself", async () => {
    expect(codeOf(await freeze({ entityType: "api_key", entityId: `ns_key_${admin.keyId}`, reason: "x" }))).toBe("forbidden");
    const other = await keyWith(["manage"]);
    const answer = await freeze({ entityType: "api_key", entityId: `ns_key_${other.keyId}`, reason: "x" });
    expect((await server.send(`DELETE /api/freezes/${dataOf(answer).id}`, { key: other.rawKey })).status).toBe(403);
  });

  test("keys without manage and people below admin change nothing", async () => {
    expect((await freeze({ entityType: "org", reason: "x" }, agent)).status).toBe(403);
    for (const role of ["viewer", "member"] as const) {
      const principal: Principal = {
        type: "user",
        orgId: org.orgId,
        userId: await createMember({ prisma: database.prisma, orgId: org.orgId, role }),
        role,
      };
      const ctx = { prisma: database.prisma, clock: systemClock, principal, ip: null };
      await expect(createFreeze({ ctx, input: { entityType: "org", reason: "x" } })).rejects.toMatchObject({ code: "forbidden" });
    }
  });

  test("a key sees what refuses its own calls, one with read sees all, and nobody another organisation's", async () => {
    const theirs = await createOrganisation({ prisma: database.prisma });
    const stranger = await keyWith(["read", "manage"], theirs);
    const mine = await freeze({ entityType: "api_key", entityId: `ns_key_${agent.keyId}`, reason: "x" });
    await freeze({ entityType: "customer", entityId: "acme", reason: "y" });
    expect(listOf(await server.send("GET /api/freezes", { key: agent.rawKey })).map(({ id }) => id)).toEqual([dataOf(mine).id]);
    expect(listOf(await server.send("GET /api/freezes", { key: admin.rawKey }))).toHaveLength(2);
    expect(listOf(await server.send("GET /api/freezes", { key: stranger.rawKey }))).toEqual([]);
    expect((await server.send(`DELETE /api/freezes/${dataOf(mine).id}`, { key: stranger.rawKey })).status).toBe(404);
    expect((await freeze({ entityType: "api_key", entityId: `ns_key_${agent.keyId}`, reason: "x" }, stranger)).status).toBe(400);
  });
});

test.each<[string, unknown]>([
  ["an entity type that does not exist", { entityType: "team", entityId: "a", reason: "x" }],
  ["a key that is not named", { entityType: "api_key", reason: "x" }],
  ["what is no key's id", { entityType: "api_key", entityId: "ns_key_1", reason: "x" }],
  ["a key that does not exist", { entityType: "api_key", entityId: "ns_key_00000000-0000-4000-8000-000000000000", reason: "x" }],
  ["what cannot be a customer", { entityType: "customer", entityId: "a b", reason: "x" }],
  ["another name of the organisation", { entityType: "org", entityId: "other", reason: "x" }],
  ["a blank reason", { entityType: "org", reason: "  " }],
  ["a reason that is too long", { entityType: "org", reason: "x".repeat(501) }],
  ["NUL", { entityType: "org", reason: "a\u0000b" }],
  ["half a surrogate pair", { entityType: "org", reason: "a\ud800b" }],
  ["an unknown field", { entityType: "org", reason: "x", until: "tomorrow" }],
])("%s is refused", async (_what, body) => {
  const answer = await freeze(body);
  expect([answer.status, codeOf(answer)]).toEqual([400, "bad_request"]);
});

test("pages follow one another without gap or repetition", async () => {
  for (let n = 0; n < 7; n++) await freeze({ entityType: "customer", entityId: `c${n}`, reason: "x" });
  const seen: string[] = [];
  let cursor: string | null = "";
  while (cursor !== null) {
    const answer = await server.send(`GET /api/freezes?limit=3${cursor ? `&cursor=${cursor}` : ""}`, { key: admin.rawKey });
    const page = answer.json as { data: Freeze[]; cursor: string | null };
    seen.push(...page.data.map(({ entityId }) => entityId));
    cursor = page.cursor;
  }
  expect(seen.toSorted()).toEqual(["c0", "c1", "c2", "c3", "c4", "c5", "c6"]);
});
