import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type { Scope } from "@/server/api-key";
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

const keyWith = (scopes: Scope[], of = org) => createApiKey({ prisma: database.prisma, org: of, scopes });
type Tool = { toolName: string; costMicrodollars: number; suggestedCostMicrodollars: number | null; source: string };
const list = async (key = agent, query = "") => {
  const answer = await server.send(`GET /api/tool-costs${query}`, { key: key.rawKey });
  return answer.json as { data: Tool[]; cursor: string | null };
};
const discover = (tools: unknown[], key = agent) =>
  server.send("POST /api/tool-costs/discover", { key: key.rawKey, body: { serverName: "github", tools } });
const put = (toolName: string, costMicrodollars: number, key = admin) =>
  server.send("POST /api/tool-costs", { key: key.rawKey, body: { serverName: "github", toolName, costMicrodollars } });

test("a new tool costs what it announces, and announcing it again does not reprice it", async () => {
  const first = await discover([
    {
      name: "search",
      suggestedCostMicrodollars: 500.5,
      tierCostMicrodollars: 9,
      description: "Finds.",
      annotations: { readOnlyHint: true },
    },
    { name: "merge", tierCostMicrodollars: 2000 },
    { name: "list" },
  ]);
  expect(first.json).toEqual({ data: { discovered: 3, known: 0 } });
  expect((await discover([{ name: "search", suggestedCostMicrodollars: 0 }, { name: "new" }])).json).toEqual({
    data: { discovered: 1, known: 1 },
  });
  expect((await list()).data).toMatchObject([
    { toolName: "list", costMicrodollars: 0, suggestedCostMicrodollars: null, source: "discovered" },
    { toolName: "merge", costMicrodollars: 2000, suggestedCostMicrodollars: 2000 },
    { toolName: "new", costMicrodollars: 0 },
    { toolName: "search", costMicrodollars: 500.5, suggestedCostMicrodollars: 500.5, source: "discovered" },
  ]);
});

test("an admin's word wins until it is taken back", async () => {
  await discover([{ name: "search", suggestedCostMicrodollars: 500 }]);
  expect((await put("search", 1234.567)).json).toMatchObject({ data: { costMicrodollars: 1234.567, source: "manual" } });
  await discover([{ name: "search", suggestedCostMicrodollars: 1 }]);
  expect((await list()).data).toMatchObject([{ costMicrodollars: 1234.567, source: "manual" }]);
  const remove = () => server.send("DELETE /api/tool-costs?serverName=github&toolName=search", { key: admin.rawKey });
  expect((await remove()).json).toMatchObject({ data: { costMicrodollars: 500, source: "discovered" } });
  expect(await database.prisma.auditLog.count({ where: { orgId: org.orgId, resourceType: "tool_cost" } })).toBe(3);
  expect((await server.send("DELETE /api/tool-costs?serverName=github&toolName=none", { key: admin.rawKey })).status).toBe(404);
});

test("an agent's key prices nothing, and nobody sees another organisation's tools", async () => {
  await put("search", 5);
  expect((await put("search", 0, agent)).status).toBe(403);
  const stranger = await keyWith(["read", "manage"], await createOrganisation({ prisma: database.prisma }));
  expect((await list(stranger)).data).toEqual([]);
  expect((await server.send("DELETE /api/tool-costs?serverName=github&toolName=search", { key: stranger.rawKey })).status).toBe(404);
  await put("search", 9, stranger);
  expect((await list()).data).toMatchObject([{ costMicrodollars: 5 }]);
});

test("proxies that start at once announce the same tools without a conflict", async () => {
  const tools = Array.from({ length: 50 }, (_, n) => ({ name: `t${n}` }));
  const answers = await Promise.all(Array.from({ length: 6 }, () => discover(tools)));
  expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 6 }, () => 200));
  expect((await list(agent, "?limit=500")).data).toHaveLength(50);
});

test("pages follow one another by server and tool", async () => {
  await discover(["c", "a", "b", "e", "d"].map((name) => ({ name })));
  const first = await list(agent, "?limit=2");
  const second = await list(agent, `?limit=2&cursor=${first.cursor}`);
  const third = await list(agent, `?limit=2&cursor=${second.cursor}`);
  expect([first, second, third].map(({ data }) => data.map(({ toolName }) => toolName))).toEqual([["a", "b"], ["c", "d"], ["e"]]);
  expect(third.cursor).toBeNull();
});

test.each<[string, unknown]>([
  ["no tools", []],
  ["one tool twice", [{ name: "a" }, { name: "a" }]],
  ["too many", Array.from({ length: 501 }, (_, n) => ({ name: `t${n}` }))],
  ["a negative cost", [{ name: "a", suggestedCostMicrodollars: -1 }]],
  ["a cost finer than a nanodollar", [{ name: "a", suggestedCostMicrodollars: 0.0001 }]],
  ["NUL in a name", [{ name: "a\u0000" }]],
  ["an unknown field", [{ name: "a", price: 1 }]],
])("%s is refused", async (_what, tools) => {
  expect((await discover(tools as unknown[])).status).toBe(400);
});
