import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "@/testing/database";
import { createApiKey, createOrganisation, type TestApiKey, type TestOrganisation } from "@/testing/factories";
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
  admin = await createApiKey({ prisma: database.prisma, org, scopes: ["read", "manage"] });
});

const price = { inputUsdPerMTok: "2.50", outputUsdPerMTok: 10 };

test.each([
  ["gpt-4o", "gpt-4o"],
  ["meta%2Fllama-3:70b", "meta/llama-3:70b"],
  ["meta/llama-3:70b", "meta/llama-3:70b"],
  ["ft%3Agpt-4o%3Aacme", "ft:gpt-4o:acme"],
])("a price for %s is set, listed and taken back", async (path, model) => {
  const set = await server.send(`PUT /api/prices/openai/${path}`, { key: admin.rawKey, body: price });
  expect(set.status).toBe(200);
  expect(set.json).toMatchObject({
    data: { kind: "override", provider: "openai", model, inputUsdPerMTok: "2.50", outputUsdPerMTok: "10.00", cachedInputUsdPerMTok: null },
  });
  const list = await server.send("GET /api/prices", { key: admin.rawKey });
  expect(list.json).toMatchObject({ data: [{ model }], cursor: null });
  const deleted = await server.send(`DELETE /api/prices/openai/${path}`, { key: admin.rawKey });
  expect(deleted.json).toEqual({ data: { provider: "openai", model, deleted: true } });
  expect((await server.send("GET /api/prices", { key: admin.rawKey })).json).toEqual({ data: [], cursor: null });
  expect((await server.send(`DELETE /api/prices/openai/${path}`, { key: admin.rawKey })).status).toBe(404);
});

test("list prices follow the own ones, page by page, each once", async () => {
  await server.send("PUT /api/prices/openai/gpt-4o", { key: admin.rawKey, body: price });
  const seen: string[] = [];
  let cursor: string | null = "";
  while (cursor !== null && seen.length < 2000) {
    const answer = await server.send(`GET /api/prices?list=true&limit=100${cursor && `&cursor=${cursor}`}`, { key: admin.rawKey });
    const page = answer.json as { data: { kind: string; provider: string; model: string; tier: string | null }[]; cursor: string | null };
    seen.push(...page.data.map(({ kind, provider, model, tier }) => `${kind} ${provider}/${model} ${tier}`));
    cursor = page.cursor;
  }
  expect(seen[0]).toBe("override openai/gpt-4o null");
  expect(seen.length).toBeGreaterThan(50);
  expect(new Set(seen).size).toBe(seen.length);
});

test("prices of one organisation are invisible to another, and out of its reach", async () => {
  const theirs = await createOrganisation({ prisma: database.prisma });
  const theirAdmin = await createApiKey({ prisma: database.prisma, org: theirs, scopes: ["read", "manage"] });
  await server.send("PUT /api/prices/openai/gpt-4o", { key: admin.rawKey, body: price });
  expect((await server.send("GET /api/prices", { key: theirAdmin.rawKey })).json).toEqual({ data: [], cursor: null });
  expect((await server.send("DELETE /api/prices/openai/gpt-4o", { key: theirAdmin.rawKey })).status).toBe(404);
});

test("a key with read looks and changes nothing", async () => {
  const reader = await createApiKey({ prisma: database.prisma, org, scopes: ["read"] });
  expect((await server.send("GET /api/prices", { key: reader.rawKey })).status).toBe(200);
  expect((await server.send("PUT /api/prices/openai/gpt-4o", { key: reader.rawKey, body: price })).status).toBe(403);
  expect((await server.send("DELETE /api/prices/openai/gpt-4o", { key: reader.rawKey })).status).toBe(403);
});

test.each([
  [{}],
  [{ inputUsdPerMTok: 1 }],
  [{ ...price, inputUsdPerMTok: -1 }],
  [{ ...price, inputUsdPerMTok: "abc" }],
  [{ ...price, inputUsdPerMTok: null }],
  [{ ...price, inputUsdPerMTok: "0.0000001" }],
  [{ ...price, validFrom: "2001-01-01T00:00:00Z" }],
  [{ ...price, validFrom: "soon" }],
  [{ ...price, provider: "anthropic" }],
  [{ ...price, orgId: "x" }],
])("%j is no price", async (body) => {
  const answer = await server.send("PUT /api/prices/openai/gpt-4o", { key: admin.rawKey, body });
  expect([answer.status, (answer.json as { error: { code: string } }).error.code]).toEqual([400, "bad_request"]);
});

test.each(["OpenAI/gpt-4o", "openai/gpt%204o", "openai/%F0%9F%92%B8", `openai/${"m".repeat(201)}`])("%s names no model", async (path) => {
  expect((await server.send(`PUT /api/prices/${path}`, { key: admin.rawKey, body: price })).status).toBe(400);
});
