import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Scope } from "@/server/api-key";
import { createTestDatabase, type TestDatabase } from "@/testing/database";
import { createApiKey, createMember, createOrganisation, type TestApiKey, type TestOrganisation } from "@/testing/factories";
import { startRestServer, type RestTestServer } from "@/testing/rest-server";

let database: TestDatabase;
let server: RestTestServer;
let org: TestOrganisation;
let admin: TestApiKey;

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
  admin = await keyWith(["proxy", "ingest", "self", "read", "manage"]);
});

const keyWith = (scopes: Scope[], userId = org.userId) => createApiKey({ prisma: database.prisma, org: { ...org, userId }, scopes });
type Data = Record<string, unknown> & { id: string; rawKey: string };
const dataOf = (answer: { json: unknown }): Data => (answer.json as { data: Data }).data;
const codeOf = (answer: { json: unknown }): string => (answer.json as { error: { code: string } }).error.code;
const isKnown = async (rawKey: string): Promise<boolean> => (await server.send("GET /api/auth/introspect", { key: rawKey })).status === 200;

test("a key is made, shown once, changed, listed and works with what it was given", async () => {
  const answer = await server.send("POST /api/keys", {
    key: admin.rawKey,
    body: { name: " agent ", allowedModels: ["gpt-*"], denialStatus: 402 },
  });
  expect(answer.status).toBe(201);
  const made = dataOf(answer);
  expect(made).toMatchObject({
    name: "agent",
    scopes: ["proxy", "ingest", "self"],
    allowedModels: ["gpt-*"],
    allowedProviders: null,
    denialStatus: 402,
    maxConcurrent: 2000,
    expiresAt: null,
    keyPrefix: made.rawKey.slice(0, 19),
  });
  expect(made.rawKey).toMatch(/^ns_live_sk_[0-9a-f]{32}$/);

  const changed = await server.send(`PATCH /api/keys/${made.id}`, {
    key: admin.rawKey,
    body: { allowedModels: null, lockedTags: { team: "a" }, expiresAt: "2099-01-01T00:00:00+01:00" },
  });
  expect(dataOf(changed)).toMatchObject({
    name: "agent",
    allowedModels: null,
    denialStatus: 402,
    lockedTags: { team: "a" },
    expiresAt: "2098-12-31T23:00:00.000Z",
  });

  const introspected = await server.send("GET /api/auth/introspect", { key: made.rawKey });
  expect(introspected.json).toEqual({
    orgId: `ns_org_${org.orgId}`,
    userId: `ns_usr_${org.userId}`,
    keyId: made.id,
    scopes: ["proxy", "ingest", "self"],
  });

  const list = await server.send("GET /api/keys", { key: admin.rawKey });
  expect(list.text).toContain(made.id);
  expect(list.text).not.toContain(made.rawKey);
});

test("the stored form of a key is its hash", async () => {
  const made = dataOf(await server.send("POST /api/keys", { key: admin.rawKey, body: { name: "x" } }));
  const secret = made.rawKey.slice(19);
  for (const table of ["api_key", "api_key_secret", "audit_log", "idempotency_record"]) {
    const { rows } = await database.pool.query(`SELECT count(*)::int AS count FROM ${table} AS t WHERE t::text LIKE $1`, [`%${secret}%`]);
    expect(rows[0].count).toBe(0);
  }
});

test("a revoked key is unknown within a second, and revoking it again changes nothing", async () => {
  const made = dataOf(await server.send("POST /api/keys", { key: admin.rawKey, body: { name: "x" } }));
  expect(await isKnown(made.rawKey)).toBe(true);
  const first = await server.send(`DELETE /api/keys/${made.id}`, { key: admin.rawKey });
  await expect.poll(() => isKnown(made.rawKey), { timeout: 1000, interval: 10 }).toBe(false);
  const again = await server.send(`DELETE /api/keys/${made.id}`, { key: admin.rawKey });
  expect(dataOf(again)).toEqual(dataOf(first));
  expect(await database.prisma.auditLog.count({ where: { orgId: org.orgId, action: "api_key.revoked" } })).toBe(1);
  expect(codeOf(await server.send(`PATCH /api/keys/${made.id}`, { key: admin.rawKey, body: { name: "y" } }))).toBe("conflict");
  expect(codeOf(await server.send(`POST /api/keys/${made.id}/rotate`, { key: admin.rawKey }))).toBe("conflict");
});

describe("rotation", () => {
  test("both secrets work during the overlap, and the first ends with it", async () => {
    const made = dataOf(await server.send("POST /api/keys", { key: admin.rawKey, body: { name: "x" } }));
    const answer = await server.send(`POST /api/keys/${made.id}/rotate`, { key: admin.rawKey });
    const rotated = dataOf(answer);
    expect(answer.status).toBe(200);
    expect(rotated.id).toBe(made.id);
    expect(rotated.keyPrefix).toBe(rotated.rawKey.slice(0, 19));
    const inHours = (Date.parse(rotated.previousSecretExpiresAt as string) - Date.now()) / 3_600_000;
    expect(inHours).toBeGreaterThan(23.9);
    expect(inHours).toBeLessThan(24.1);
    expect(await isKnown(made.rawKey)).toBe(true);
    expect(await isKnown(rotated.rawKey)).toBe(true);
  });

  test("with no overlap the old secret is unknown within a second", async () => {
    const made = dataOf(await server.send("POST /api/keys", { key: admin.rawKey, body: { name: "x" } }));
    await isKnown(made.rawKey);
    const rotated = dataOf(await server.send(`POST /api/keys/${made.id}/rotate`, { key: admin.rawKey, body: { overlapSeconds: 0 } }));
    await expect.poll(() => isKnown(made.rawKey), { timeout: 1000, interval: 10 }).toBe(false);
    expect(await isKnown(rotated.rawKey)).toBe(true);
  });

  test("a second rotation does not give the first secret more time", async () => {
    const made = dataOf(await server.send("POST /api/keys", { key: admin.rawKey, body: { name: "x" } }));
    const first = dataOf(await server.send(`POST /api/keys/${made.id}/rotate`, { key: admin.rawKey, body: { overlapSeconds: 60 } }));
    await server.send(`POST /api/keys/${made.id}/rotate`, { key: admin.rawKey, body: { overlapSeconds: 2_592_000 } });
    const secret = await database.prisma.apiKeySecret.findFirst({
      where: { apiKeyId: made.id.slice(7), prefix: made.keyPrefix as string },
    });
    expect(secret?.expiresAt?.toISOString()).toBe(first.previousSecretExpiresAt);
  });

  test("two rotations at once leave exactly one secret without an end", async () => {
    const made = dataOf(await server.send("POST /api/keys", { key: admin.rawKey, body: { name: "x" } }));
    const answers = await Promise.all([1, 2, 3, 4].map(() => server.send(`POST /api/keys/${made.id}/rotate`, { key: admin.rawKey })));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    expect(await database.prisma.apiKeySecret.count({ where: { apiKeyId: made.id.slice(7), expiresAt: null } })).toBe(1);
  });
});

// A key that can raise itself, or another key, to more than an admin gave it is a way around every admin.
describe("who may", () => {
  test("a key with manage cannot grant read or manage, change itself, or change and rotate privileged keys", async () => {
    const other = await keyWith(["proxy", "read"]);
    const plain = await keyWith(["proxy"]);
    const attempts = [
      ["POST /api/keys", { name: "x", scopes: ["read"] }],
      ["POST /api/keys", { name: "x", scopes: ["manage"] }],
      [`PATCH /api/keys/ns_key_${admin.keyId}`, { name: "x" }],
      [`DELETE /api/keys/ns_key_${admin.keyId}`, undefined],
      [`POST /api/keys/ns_key_${admin.keyId}/rotate`, {}],
      [`PATCH /api/keys/ns_key_${plain.keyId}`, { scopes: ["proxy", "manage"] }],
      [`PATCH /api/keys/ns_key_${other.keyId}`, { expiresAt: null }],
      [`POST /api/keys/ns_key_${other.keyId}/rotate`, {}],
    ] as const;
    for (const [what, body] of attempts) {
      const answer = await server.send(what, { key: admin.rawKey, body });
      expect([what, answer.status, codeOf(answer)]).toEqual([what, 403, "forbidden"]);
    }
    expect((await server.send(`DELETE /api/keys/ns_key_${other.keyId}`, { key: admin.rawKey })).status).toBe(200);
  });

  test.each([
    ["proxy, ingest and self", ["proxy", "ingest", "self"]],
    ["read", ["read"]],
  ] as const)("a key with %s alone makes, changes and revokes none", async (_name, scopes) => {
    const key = await keyWith([...scopes]);
    for (const what of [
      "POST /api/keys",
      `PATCH /api/keys/ns_key_${admin.keyId}`,
      `DELETE /api/keys/ns_key_${admin.keyId}`,
      `POST /api/keys/ns_key_${admin.keyId}/rotate`,
    ]) {
      const answer = await server.send(what, { key: key.rawKey, body: what.startsWith("DELETE") ? undefined : { name: "x" } });
      expect([what, answer.status]).toEqual([what, 403]);
    }
  });

  test("a key with self sees itself alone; with neither self nor read, nothing", async () => {
    const own = await keyWith(["self"]);
    const list = await server.send("GET /api/keys", { key: own.rawKey });
    expect((list.json as { data: Data[] }).data.map(({ id }) => id)).toEqual([`ns_key_${own.keyId}`]);
    expect((await server.send(`GET /api/keys/ns_key_${own.keyId}`, { key: own.rawKey })).status).toBe(200);
    expect((await server.send(`GET /api/keys/ns_key_${admin.keyId}`, { key: own.rawKey })).status).toBe(404);
    const blind = await keyWith(["proxy"]);
    expect((await server.send("GET /api/keys", { key: blind.rawKey })).status).toBe(403);
  });

  test("a member's key with manage in the database can do nothing with it", async () => {
    const key = await keyWith(
      ["self", "manage", "read"],
      await createMember({ prisma: database.prisma, orgId: org.orgId, role: "member" }),
    );
    expect((await server.send("POST /api/keys", { key: key.rawKey, body: { name: "x" } })).status).toBe(403);
    expect((await server.send("GET /api/audit-log", { key: key.rawKey })).status).toBe(403);
  });
});

// The tenant's id is in every query: anything else is another company's spending on somebody's screen.
describe("two tenants", () => {
  test("another organisation's key is as absent as one that never was", async () => {
    const theirs = await createOrganisation({ prisma: database.prisma });
    const theirKey = await createApiKey({ prisma: database.prisma, org: theirs });
    const absent = "ns_key_00000000-0000-4000-8000-000000000000";
    for (const what of ["GET /api/keys/ID", "PATCH /api/keys/ID", "DELETE /api/keys/ID", "POST /api/keys/ID/rotate"]) {
      const body = what.startsWith("PATCH") ? { name: "taken" } : undefined;
      const [other, none] = await Promise.all(
        [`ns_key_${theirKey.keyId}`, absent].map((id) => server.send(what.replace("ID", id), { key: admin.rawKey, body })),
      );
      expect(other?.status).toBe(404);
      expect(other?.text).toBe(none?.text);
    }
    expect(await database.prisma.apiKey.findUnique({ where: { id: theirKey.keyId }, select: { name: true, revokedAt: true } })).toEqual({
      name: "test key",
      revokedAt: null,
    });
    expect((await server.send("GET /api/keys", { key: admin.rawKey })).text).not.toContain(theirKey.keyId);
    expect((await server.send("GET /api/audit-log", { key: admin.rawKey })).text).not.toContain(theirs.orgId);
  });

  test("a cursor of another organisation shows only one's own rows", async () => {
    const theirs = await createOrganisation({ prisma: database.prisma });
    const theirAdmin = await createApiKey({ prisma: database.prisma, org: theirs, scopes: ["read"] });
    await createApiKey({ prisma: database.prisma, org: theirs });
    const page = await server.send("GET /api/keys?limit=1", { key: theirAdmin.rawKey });
    const { cursor } = page.json as { cursor: string };
    const mine = await server.send(`GET /api/keys?cursor=${cursor}`, { key: admin.rawKey });
    expect(mine.status).toBe(200);
    expect((mine.json as { data: Data[] }).data.every(({ id }) => id === `ns_key_${admin.keyId}`)).toBe(true);
  });
});

test("pages by cursor show every key once, newest first, also when keys are made meanwhile", async () => {
  const made: string[] = [`ns_key_${admin.keyId}`];
  for (let i = 0; i < 6; i++) made.unshift(dataOf(await server.send("POST /api/keys", { key: admin.rawKey, body: { name: `k${i}` } })).id);
  const seen: string[] = [];
  let cursor: string | null = "";
  while (cursor !== null) {
    const answer = await server.send(`GET /api/keys?limit=2${cursor && `&cursor=${cursor}`}`, { key: admin.rawKey });
    const page = answer.json as { data: Data[]; cursor: string | null };
    expect(page.data.length).toBeLessThanOrEqual(2);
    seen.push(...page.data.map(({ id }) => id));
    cursor = page.cursor;
    await server.send("POST /api/keys", { key: admin.rawKey, body: { name: "later" } });
    if (seen.length > 20) break;
  }
  expect(seen).toEqual(made);
});

test("every change is in the audit log, with who and what, and no secret", async () => {
  const made = dataOf(await server.send("POST /api/keys", { key: admin.rawKey, body: { name: "x" } }));
  await server.send(`PATCH /api/keys/${made.id}`, { key: admin.rawKey, body: { name: "y" } });
  await server.send(`POST /api/keys/${made.id}/rotate`, { key: admin.rawKey });
  await server.send(`DELETE /api/keys/${made.id}`, { key: admin.rawKey });
  const answer = await server.send("GET /api/audit-log", { key: admin.rawKey });
  const { data } = answer.json as { data: (Data & { action: string })[] };
  expect(data.map(({ action }) => action)).toEqual(["revoked", "rotated", "updated", "created"].map((verb) => `api_key.${verb}`));
  for (const entry of data)
    expect(entry).toMatchObject({ actorType: "api_key", actorId: `ns_key_${admin.keyId}`, resourceId: made.id, ip: "127.0.0.1" });
  expect(data[2]).toMatchObject({ before: { name: "x" }, after: { name: "y" } });
  expect(answer.text).not.toContain(made.rawKey);
});

test("each change raises the organisation's version", async () => {
  const version = async () => (await database.prisma.organisation.findUniqueOrThrow({ where: { id: org.orgId } })).configVersion;
  const before = await version();
  const made = dataOf(await server.send("POST /api/keys", { key: admin.rawKey, body: { name: "x" } }));
  await server.send(`PATCH /api/keys/${made.id}`, { key: admin.rawKey, body: { name: "y" } });
  await server.send(`POST /api/keys/${made.id}/rotate`, { key: admin.rawKey });
  await server.send(`DELETE /api/keys/${made.id}`, { key: admin.rawKey });
  expect(await version()).toBe(before + 4n);
});

test("restrictions that cannot be read show as denying, and only a complete set replaces them", async () => {
  const broken = await keyWith(["proxy"]);
  await database.pool.query(`UPDATE api_key SET restrictions = '{"allowedModels":"gpt"}' WHERE id = $1`, [broken.keyId]);
  const path = `/api/keys/ns_key_${broken.keyId}`;
  expect(dataOf(await server.send(`GET ${path}`, { key: admin.rawKey }))).toMatchObject({ allowedModels: [], allowedProviders: [] });
  expect((await server.send(`PATCH ${path}`, { key: admin.rawKey, body: { allowedProviders: null } })).status).toBe(409);
  const whole = {
    allowedModels: null,
    allowedProviders: null,
    defaultTags: null,
    lockedTags: null,
    lockedCustomer: null,
    require: null,
    maxConcurrent: null,
    denialStatus: null,
  };
  expect(dataOf(await server.send(`PATCH ${path}`, { key: admin.rawKey, body: whole }))).toMatchObject({ allowedModels: null });
});

test.each([
  [{}],
  [{ name: "" }],
  [{ name: " " }],
  [{ name: "x".repeat(51) }],
  [{ name: 1 }],
  [{ name: "x", scopes: [] }],
  [{ name: "x", scopes: ["proxy", "proxy"] }],
  [{ name: "x", scopes: ["root"] }],
  [{ name: "x", orgId: "ns_org_1" }],
  [{ name: "x", userId: "ns_usr_1" }],
  [{ name: "x", rawKey: "ns_live_sk_1" }],
  [{ name: "x", expiresAt: "2020-01-01T00:00:00Z" }],
  [{ name: "x", expiresAt: "tomorrow" }],
  [{ name: "x", maxConcurrent: 0 }],
  [{ name: "x", maxConcurrent: 1.5 }],
  [{ name: "x", denialStatus: 500 }],
  [{ name: "x", lockedTags: { _ns_x: "1" } }],
  [{ name: "x", lockedTags: { "a b": "1" } }],
  [{ name: "x", lockedTags: { a: 1 } }],
  [{ name: "x", lockedCustomer: "acme corp" }],
  [{ name: "x", require: ["tag:"] }],
  [{ name: "x", allowedModels: { not: "" } }],
])("%j is no key, and says what is wrong", async (body) => {
  const answer = await server.send("POST /api/keys", { key: admin.rawKey, body });
  expect(answer.status).toBe(400);
  const { error } = answer.json as { error: { code: string; details: { issues: { path: string; message: string }[] } } };
  expect(error.code).toBe("bad_request");
  expect(error.details.issues.length).toBeGreaterThan(0);
});
