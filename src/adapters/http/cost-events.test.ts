import { connect } from "node:net";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "@/testing/database";
import { createApiKey, createOrganisation, type TestApiKey, type TestOrganisation } from "@/testing/factories";
import { startRestServer, type RestTestServer } from "@/testing/rest-server";

let database: TestDatabase;
let server: RestTestServer;
let org: TestOrganisation;
let reader: TestApiKey;
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
  reader = await createApiKey({ prisma: database.prisma, org, scopes: ["read"] });
  agent = await createApiKey({ prisma: database.prisma, org, name: "agent", scopes: ["ingest", "self"] });
});

type Event = Record<string, unknown> & { id: string };
type Page = { data: Event[]; cursor: string | null };
const REPORT = { provider: "openai", model: "gpt-4o", costMicrodollars: 1500.25 };

async function report(fields: Record<string, unknown> = {}, key = agent): Promise<string> {
  const answer = await server.send("POST /api/cost-events", { key: key.rawKey, body: { ...REPORT, ...fields } });
  expect(answer.status).toBe(201);
  return (answer.json as { data: Event }).data.id;
}

const get = async <T>(path: string, key = reader): Promise<T> => {
  const answer = await server.send(`GET ${path}`, { key: key.rawKey });
  expect([path, answer.status, answer.status === 200 ? "" : answer.text]).toEqual([path, 200, ""]);
  return answer.json as T;
};

test("a reported cost is an event, at once and to the nanodollar", async () => {
  const id = await report({
    inputTokens: 100,
    outputTokens: 7,
    sessionId: "s/1",
    tags: { env: "prod" },
    customerId: "acme",
    eventType: "llm",
  });
  const { data } = await get<{ data: Event }>(`/api/cost-events/${id}`);
  expect(data).toMatchObject({
    id,
    source: "api",
    costMicrodollars: 1500.25,
    costUsd: "0.00150025",
    costBasis: "reported",
    inputTokens: 100,
    sessionId: "s/1",
    customerId: "acme",
    tags: { env: "prod" },
    apiKeyId: `ns_key_${agent.keyId}`,
    keyName: "agent",
    userId: `ns_usr_${org.userId}`,
  });
});

test("filters name one event each, also by tag", async () => {
  const id = await report({
    tags: { env: "prod", team: "a" },
    customerId: "acme",
    sessionId: "s1",
    traceId: "a".repeat(32),
    idempotencyKey: "r1",
  });
  await report({ provider: "anthropic", model: "claude", tags: { env: "test" } });
  const filters = [
    "requestId=r1",
    "provider=openai",
    "model=gpt-4o",
    "customerId=acme",
    "sessionId=s1",
    `traceId=${"a".repeat(32)}`,
    "tag.env=prod",
    "tag.env=prod&tag.team=a",
    "tag%2Eenv=prod",
    `apiKeyId=ns_key_${agent.keyId}&model=gpt-4o&source=api&status=ok&budgetStatus=none`,
  ];
  for (const filter of filters) {
    const { data } = await get<Page>(`/api/cost-events?${filter}`);
    expect([filter, data.map((event) => event.id)]).toEqual([filter, [id]]);
  }
  expect((await get<Page>("/api/cost-events?tag.env=prod&tag.team=b")).data).toEqual([]);
  expect((await get<Page>("/api/cost-events?from=2020-01-01&to=2020-02-01")).data).toEqual([]);
});

test("pages by cursor show every event once, newest first", async () => {
  const ids: string[] = [];
  for (let i = 0; i < 5; i++) ids.unshift(await report());
  const seen: string[] = [];
  let cursor: string | null = "";
  while (cursor !== null && seen.length < 10) {
    const page: Page = await get<Page>(`/api/cost-events?limit=2${cursor && `&cursor=${cursor}`}`);
    seen.push(...page.data.map(({ id }) => id));
    cursor = page.cursor;
  }
  expect(seen).toEqual(ids);
});

test("summary, attribution, sessions and tag keys agree with the events", async () => {
  await report({ tags: { env: "prod" }, customerId: "acme", sessionId: "s/1" });
  await report({ tags: { env: "prod" }, sessionId: "s/1" });
  await report({ provider: "anthropic", model: "claude/x" });
  const total = 3 * 1500.25;

  const { data: summary } = await get<{ data: { totals: object } }>("/api/cost-events/summary?period=7d");
  expect(summary.totals).toMatchObject({ totalCostMicrodollars: total, totalRequests: 3 });

  const byModel = await get<{ groups: { key: string; value?: string; totalCostMicrodollars: number }[]; totals: object }>(
    "/api/cost-events/attribution?groupBy=model&limit=10",
  );
  expect(byModel.groups.map(({ totalCostMicrodollars }) => totalCostMicrodollars)).toEqual([3000.5, 1500.25]);
  const byTag = await get<{ groups: object[] }>("/api/cost-events/attribution?groupBy=env");
  expect(byTag.groups).toContainEqual(expect.objectContaining({ key: "prod", totalCostMicrodollars: 3000.5 }));
  for (const value of ["anthropic/claude/x", "anthropic%2Fclaude%2Fx"]) {
    const detail = await get<{ totals: object }>(`/api/cost-events/attribution/${value}?groupBy=model&period=30d`);
    expect(detail.totals).toMatchObject({ totalCostMicrodollars: 1500.25 });
  }

  expect(await get("/api/cost-events/tag-keys")).toEqual({ data: ["env"] });
  const { data: sessions } = await get<Page>("/api/cost-events/sessions?limit=10");
  expect(sessions).toMatchObject([{ sessionId: "s/1", eventCount: 2, totalCostMicrodollars: 3000.5 }]);
  const { data: session } = await get<{ data: { events: Event[] } }>("/api/cost-events/sessions/s%2F1");
  expect(session.events).toHaveLength(2);
});

describe("reported twice", () => {
  test("a body with the same idempotencyKey is one event, and the second answer says so", async () => {
    const body = { ...REPORT, idempotencyKey: "once" };
    const first = await server.send("POST /api/cost-events", { key: agent.rawKey, body });
    const second = await server.send("POST /api/cost-events", { key: agent.rawKey, body });
    expect([first.status, second.status]).toEqual([201, 200]);
    expect((second.json as { data: Event }).data).toMatchObject({ id: (first.json as { data: Event }).data.id, deduplicated: true });
    expect((await get<Page>("/api/cost-events")).data).toHaveLength(1);
  });

  test("the header's key makes one event of repeats, also where the first answer was lost with its process", async () => {
    const request = { key: agent.rawKey, headers: { "idempotency-key": "1" }, body: REPORT };
    const first = await server.send("POST /api/cost-events", request);
    const second = await server.send("POST /api/cost-events", request);
    expect(second.headers["x-idempotent-replayed"]).toBe("true");
    expect(second.json).toEqual(first.json);
    await database.pool.query("DELETE FROM idempotency_record");
    const third = await server.send("POST /api/cost-events", request);
    expect(third.status).toBe(200);
    expect((await get<Page>("/api/cost-events")).data).toHaveLength(1);
  });

  test("two keys of one organisation that use the same header value report two costs", async () => {
    const other = await createApiKey({ prisma: database.prisma, org, scopes: ["ingest"] });
    for (const key of [agent, other]) {
      const answer = await server.send("POST /api/cost-events", { key: key.rawKey, headers: { "idempotency-key": "1" }, body: REPORT });
      expect(answer.status).toBe(201);
    }
    expect((await get<Page>("/api/cost-events")).data).toHaveLength(2);
  });

  test("a batch under one header is recorded once, each of its costs", async () => {
    const request = {
      key: agent.rawKey,
      headers: { "idempotency-key": "b" },
      body: { events: [REPORT, REPORT, { ...REPORT, idempotencyKey: "x" }] },
    };
    const first = await server.send("POST /api/cost-events/batch", request);
    expect(first.status).toBe(201);
    expect(first.json).toMatchObject({ inserted: 3 });
    await database.pool.query("DELETE FROM idempotency_record");
    const again = await server.send("POST /api/cost-events/batch", request);
    expect(again.json).toEqual({ inserted: 0, ids: (first.json as { ids: string[] }).ids });
  });
});

test("a batch with one bad cost records none", async () => {
  const answer = await server.send("POST /api/cost-events/batch", {
    key: agent.rawKey,
    body: { events: [REPORT, { ...REPORT, costMicrodollars: -1 }] },
  });
  expect(answer.status).toBe(400);
  expect(answer.json).toHaveProperty("error.details.issues.0.path", "events.1.costMicrodollars");
  expect((await get<Page>("/api/cost-events")).data).toEqual([]);
});

test("the export holds every event of the filter, and no formula", async () => {
  await report({ model: "=cmd|' /C calc'!A0" });
  await report({ customerId: "acme", tags: { note: 'a"b' } });
  const answer = await server.send("GET /api/cost-events/export?format=csv", { key: reader.rawKey });
  expect(answer.headers["content-type"]).toBe("text/csv; charset=utf-8");
  expect(answer.headers["content-disposition"]).toBe('attachment; filename="cost-events.csv"');
  expect(answer.text.split("\r\n")).toHaveLength(4);
  expect(answer.text).toContain("'=cmd");
  const filtered = await server.send("GET /api/cost-events/export?customerId=acme", { key: reader.rawKey });
  expect(filtered.text.split("\r\n")).toHaveLength(3);
  expect((await server.send("GET /api/cost-events/export?format=xml", { key: reader.rawKey })).status).toBe(400);
  expect((await server.send("HEAD /api/cost-events/export", { key: reader.rawKey })).text).toBe("");
});

test("a caller that stops reading an export stops its queries, and one that leaves ends them", async () => {
  await database.pool.query(
    `INSERT INTO cost_event (org_id, id, request_id, created_at, status, source, event_type, provider, model, cost_nano, charged_nano, cost_basis, budget_status, tags)
     SELECT $1, gen_random_uuid(), i::text, now(), 'ok', 'api', 'custom', 'p', 'm', 1, 1, 'reported', 'none', jsonb_build_object('filler', repeat('x', 250))
       FROM generate_series(1, 30000) AS i`,
    [org.orgId],
  );
  let reads = 0;
  const counting = database.prisma.$extends({
    query: {
      costEvent: {
        findMany({ args, query }) {
          reads += 1;
          return query(args);
        },
      },
    },
  });
  const slow = await startRestServer(database, { prisma: counting as unknown as typeof database.prisma });
  const { port, hostname } = new URL(slow.url);
  const socket = connect(Number(port), hostname);
  socket.write(`GET /api/cost-events/export HTTP/1.1\r\nHost: x\r\nX-NullSpend-Key: ${reader.rawKey}\r\n\r\n`);
  await new Promise((resolve) => socket.once("data", resolve));
  socket.pause();
  // Quiet for a while: the buffers between the two are full, and far from all of the thirty pages was read.
  let before = -1;
  while (before !== reads) {
    before = reads;
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
  expect(reads).toBeLessThan(29);
  socket.destroy();
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(reads).toBeLessThanOrEqual(before + 1);
  await slow.close();

  const whole = await server.send("GET /api/cost-events/export", { key: reader.rawKey });
  expect(whole.text.split("\r\n")).toHaveLength(30_002);
});

// One tenant's spending on another's screen is the end of trust in all of it.
test("two tenants never see each other's events, sums, sessions or tags", async () => {
  const id = await report({ tags: { secretproject: "x" }, sessionId: "secretsession", customerId: "secretcustomer" });
  const theirs = await createOrganisation({ prisma: database.prisma });
  const theirReader = await createApiKey({ prisma: database.prisma, org: theirs, scopes: ["read", "self"] });
  for (const path of [
    "/api/cost-events",
    "/api/cost-events?tag.secretproject=x",
    `/api/cost-events?apiKeyId=ns_key_${agent.keyId}`,
    "/api/cost-events/summary",
    "/api/cost-events/attribution?groupBy=customer",
    "/api/cost-events/attribution?groupBy=secretproject",
    "/api/cost-events/tag-keys",
    "/api/cost-events/sessions",
    "/api/cost-events/export",
  ]) {
    const answer = await server.send(`GET ${path}`, { key: theirReader.rawKey });
    expect([path, answer.status]).toEqual([path, 200]);
    expect(answer.text).not.toMatch(/secret(session|customer)|1500\.25/);
  }
  expect((await server.send(`GET /api/cost-events/${id}`, { key: theirReader.rawKey })).status).toBe(404);
  expect((await server.send("GET /api/cost-events/sessions/secretsession", { key: theirReader.rawKey })).status).toBe(404);
});

test("a key with self sees its own events alone; one with neither scope sees none", async () => {
  const mine = await report();
  const other = await createApiKey({ prisma: database.prisma, org, scopes: ["ingest", "self"] });
  const notMine = await report({}, other);
  expect((await get<Page>("/api/cost-events", agent)).data.map(({ id }) => id)).toEqual([mine]);
  expect((await server.send(`GET /api/cost-events/${notMine}`, { key: agent.rawKey })).status).toBe(404);
  expect((await server.send(`GET /api/cost-events/export?apiKeyId=ns_key_${other.keyId}`, { key: agent.rawKey })).text).not.toContain(
    notMine,
  );
  for (const path of ["summary", "attribution?groupBy=model", "sessions", "tag-keys"]) {
    expect([path, (await server.send(`GET /api/cost-events/${path}`, { key: agent.rawKey })).status]).toEqual([path, 403]);
  }
  const blind = await createApiKey({ prisma: database.prisma, org, scopes: ["ingest"] });
  expect((await server.send("GET /api/cost-events", { key: blind.rawKey })).status).toBe(403);
  expect((await server.send("POST /api/cost-events", { key: reader.rawKey, body: REPORT })).status).toBe(403);
});

test.each([
  "limit=0",
  "limit=101",
  "limit=abc",
  "limit=1.5",
  "from=yesterday",
  "from=0001-01-01T00:00:00Z&to=0000-01-01T00:00:00Z",
  "from=2026-01-02&to=2026-01-01",
  "from=2026-13-45",
  "apiKeyId=1",
  "apiKeyId=ns_usr_00000000-0000-4000-8000-000000000000",
  "source=mars",
  "status=all",
  "tags=x",
  "tag.=x",
  "tag.a b=x",
  "tag.__proto__=x",
  `tag.${"k".repeat(65)}=x`,
  `tag.a=${"v".repeat(257)}`,
  "tag.a=1&tag.a=2",
  "orgId=x",
  "cursor=x",
  "model=%00",
  "model=",
])("GET /api/cost-events?%s is 400", async (query) => {
  const answer = await server.send(`GET /api/cost-events?${query.replaceAll(" ", "%20")}`, { key: reader.rawKey });
  expect([answer.status, (answer.json as { error: { code: string } }).error.code]).toEqual([400, "bad_request"]);
});

test.each([
  ["summary?period=1d", 400],
  ["summary?period=7d&from=2026-01-01", 400],
  ["summary?from=0001-01-01&to=9999-12-31", 400],
  ["attribution", 400],
  ["attribution?groupBy=", 400],
  ["attribution?groupBy=a%20b", 400],
  ["attribution?groupBy=model&limit=501", 400],
  ["attribution/x?groupBy=__proto__", 400],
  ["attribution/%00?groupBy=model", 400],
  ["sessions?cursor=e30", 400],
  ["sessions/none", 404],
  ["sessions/%zz", 400],
  ["ns_evt_1", 400],
  ["ns_evt_00000000-0000-4000-8000-000000000000", 404],
  ["batch", 405],
])("GET /api/cost-events/%s is %i", async (path, status) => {
  expect((await server.send(`GET /api/cost-events/${path}`, { key: reader.rawKey })).status).toBe(status);
});

test.each([
  { costMicrodollars: "1" },
  { costMicrodollars: -1 },
  { costMicrodollars: 0.0001 },
  { costMicrodollars: 1e300 },
  { inputTokens: -1 },
  { inputTokens: 1.5 },
  { provider: "" },
  { model: "x".repeat(201) },
  { tags: { _ns_x: "1" } },
  { tags: { a: 1 } },
  { tags: [] },
  { customerId: "acme corp" },
  { traceId: "0".repeat(32) },
  { eventType: "video" },
  { source: "proxy" },
  { createdAt: "2020-01-01T00:00:00Z" },
  { orgId: "ns_org_1" },
  { costBreakdown: { input: 1 } },
])("a report with %j is refused", async (fields) => {
  const answer = await server.send("POST /api/cost-events", { key: agent.rawKey, body: { ...REPORT, ...fields } });
  expect(answer.status).toBe(400);
});
