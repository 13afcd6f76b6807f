import { connect } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createPrisma } from "@/lib/db";
import { createTestDatabase, type TestDatabase } from "@/testing/database";
import { createApiKey, createOrganisation, type TestApiKey, type TestOrganisation } from "@/testing/factories";
import { startRestServer, type RestTestServer } from "@/testing/rest-server";

// Everything here comes from somebody who wants a 500, another tenant's row, or a second reading of one request.

let database: TestDatabase;
let server: RestTestServer;
let org: TestOrganisation;
let admin: TestApiKey;

beforeAll(async () => {
  database = await createTestDatabase();
  server = await startRestServer(database);
  org = await createOrganisation({ prisma: database.prisma });
  admin = await createApiKey({ prisma: database.prisma, org, scopes: ["proxy", "ingest", "self", "read", "manage"] });
});
afterAll(async () => {
  await server.close();
  await database.drop();
});

const json = (text: string | Buffer) => ({ raw: text, key: admin.rawKey });

const nested = (depth: number) => `{"name":${"[".repeat(depth)}${"]".repeat(depth)}}`;

test.each<[string, number, () => Parameters<RestTestServer["send"]>[1]]>([
  ["no body", 400, () => json("")],
  ["no JSON", 400, () => json("{")],
  ["JSON with a tail", 400, () => json('{"name":"x"} {}')],
  ["an array", 400, () => json("[]")],
  ["null", 400, () => json("null")],
  ["a number that JSON cannot say", 400, () => json('{"name":"x","maxConcurrent":1e400}')],
  ["__proto__", 400, () => json('{"name":"x","__proto__":{"scopes":["manage"]}}')],
  ["__proto__ below", 400, () => json('{"name":"x","lockedTags":{"__proto__":"1"}}')],
  ["constructor.prototype", 400, () => json('{"name":"x","constructor":{"prototype":{"isAdmin":true}}}')],
  ["depth 101", 400, () => json(nested(101))],
  ["depth 200,000", 400, () => json(nested(200_000))],
  ["100,000 fields", 400, () => json(JSON.stringify(Object.fromEntries(Array.from({ length: 50_000 }, (_, i) => [`f${i}`, 1]))))],
  ["NUL in a text", 400, () => json('{"name":"a\\u0000b"}')],
  ["NUL in a key", 400, () => json('{"name":"x","lockedTags":{"a\\u0000":"1"}}')],
  ["half a surrogate pair", 400, () => json('{"name":"a\\ud800"}')],
  ["invalid UTF-8", 400, () => json(Buffer.from([0x7b, 0x22, 0x6e, 0xff, 0x22, 0x7d]))],
  ["an unknown field", 400, () => json('{"name":"x","isAdmin":true}')],
  ["a Prisma operator", 400, () => json('{"name":{"not":""}}')],
  ["over 1 MiB", 413, () => json(JSON.stringify({ name: "x".repeat(1024 * 1024) }))],
  ["text/plain", 415, () => ({ ...json('{"name":"x"}'), headers: { "content-type": "text/plain" } })],
  ["a form", 415, () => ({ ...json("name=x"), headers: { "content-type": "application/x-www-form-urlencoded" } })],
  ["UTF-7", 415, () => ({ ...json('{"name":"x"}'), headers: { "content-type": "application/json; charset=utf-7" } })],
  ["a lookalike type", 415, () => ({ ...json('{"name":"x"}'), headers: { "content-type": "application/json-evil" } })],
  ["an empty idempotency key", 400, () => ({ ...json('{"name":"x"}'), headers: { "idempotency-key": "" } })],
  ["an idempotency key with spaces", 400, () => ({ ...json('{"name":"x"}'), headers: { "idempotency-key": "a b" } })],
  ["an idempotency key without end", 400, () => ({ ...json('{"name":"x"}'), headers: { "idempotency-key": "a".repeat(256) } })],
  ["a query", 400, () => ({ ...json('{"name":"x"}'), headers: {} })],
])("POST with %s answers %i and makes nothing", async (name, status, request) => {
  const before = await database.prisma.apiKey.count();
  const answer = await server.send(name === "a query" ? "POST /api/keys?orgId=1" : "POST /api/keys", request());
  expect(answer.status).toBe(status);
  expect(answer.json).toMatchObject({ error: { code: expect.any(String), message: expect.any(String) } });
  expect(answer.text.length).toBeLessThan(20_000);
  expect(await database.prisma.apiKey.count()).toBe(before);
  expect(({} as { isAdmin?: unknown }).isAdmin).toBeUndefined();
});

test.each([
  ["GET /api/keys?limit=0", 400],
  ["GET /api/keys?limit=101", 400],
  ["GET /api/keys?limit=-1", 400],
  ["GET /api/keys?limit=1e2", 400],
  ["GET /api/keys?limit=", 400],
  ["GET /api/keys?limit=1&limit=1", 400],
  ["GET /api/keys?limit[gt]=1", 400],
  ["GET /api/keys?__proto__=1", 400],
  ["GET /api/keys?constructor=1", 400],
  ["GET /api/keys?cursor=%00", 400],
  ["GET /api/keys?cursor=%zz", 400],
  ["GET /api/keys?cursor=bm9wZQ", 400],
  ["GET /api/keys?cursor=WyIyMDI2LTExLTI0VDExOjExOjE4LjQ1OFoiLCIxIl0", 400],
  ["GET /api/keys?includeRevoked=1", 400],
  ["GET /api/keys/ns_key_1", 400],
  ["GET /api/keys/%00", 400],
  ["GET /api/keys/%zz", 400],
  ["GET /api/keys/%ff", 400],
  ["GET /api/keys/ns_key_00000000-0000-4000-8000-000000000000'--", 400],
  ["GET /api/keys/ns_usr_00000000-0000-4000-8000-000000000000", 400],
  ["GET /api/keys/", 404],
  ["GET /api/keys//rotate", 404],
  ["GET /api/keys/a/b/c", 404],
  ["GET /api/keys/ns_key_00000000-0000-4000-8000-000000000000%2Frotate", 400],
  ["GET /api/auth/introspect?x=1", 400],
  ["GET /api/audit-log?action=%00", 400],
  ["GET /api/prices/openai", 404],
  ["PUT /api/keys", 405],
  ["DELETE /api/keys", 405],
  ["OPTIONS /api/keys", 405],
  ["TRACE /api/keys", 405],
  ["PROPFIND /api/keys", 405],
  ["POST /api/health", 405],
])("%s answers %i", async (what, status) => {
  const answer = await server.send(what, { key: admin.rawKey });
  expect(answer.status).toBe(status);
  expect(answer.headers["cache-control"]).toBe("private, no-store");
  expect(answer.headers["x-request-id"]).toMatch(/^req_/);
});

test.each([
  "/api/auth/session",
  "/api/auth",
  "/api/auth/introspect/x",
  "/api",
  "/api/",
  "/",
  "/api/keysx",
  "/api/rpc/x",
  "/v1/chat/completions",
  "/openapi.jsonx",
  "/API/keys",
])("%s is not ours", async (path) => {
  expect((await server.send(`GET ${path}`, { key: admin.rawKey })).status).toBe(418);
});

test("a wrong method names the right ones", async () => {
  const answer = await server.send(`PUT /api/keys/ns_key_${admin.keyId}`, { key: admin.rawKey });
  expect(answer.headers.allow).toBe("DELETE, GET, HEAD, PATCH");
});

test("HEAD has the head of GET and no body", async () => {
  const [head, get] = [
    await server.send("HEAD /api/keys", { key: admin.rawKey }),
    await server.send("GET /api/keys", { key: admin.rawKey }),
  ];
  expect(head.status).toBe(200);
  expect(head.text).toBe("");
  expect(head.headers["content-length"]).toBe(get.headers["content-length"]);
});

const SQL = ["' OR '1'='1", "'; SELECT pg_sleep(10); --", "ns_live_sk_' || pg_sleep(10) --", `${"ns_live_sk_"}${"f".repeat(31)}'`];

test.each([
  ["nothing", {}],
  ["an empty key", { "x-nullspend-key": "" }],
  ["an unknown key", { "x-nullspend-key": `ns_live_sk_${"0".repeat(32)}` }],
  ["upper case", { "x-nullspend-key": `ns_live_sk_${"A".repeat(32)}` }],
  ["basic authentication", { authorization: "Basic YTpi" }],
  ["a provider's bearer", { authorization: "Bearer sk-proj-abc" }],
  ...SQL.flatMap((text): [string, Record<string, string>][] => [
    [`SQL as key: ${text}`, { "x-nullspend-key": text }],
    [`SQL as bearer: ${text}`, { authorization: `Bearer ${text}` }],
  ]),
] as [string, Record<string, string>][])("%s is 401 at once, the same words each time", async (_name, headers) => {
  const startedAt = performance.now();
  const answer = await server.send("GET /api/keys", { headers });
  expect(answer.status).toBe(401);
  expect(answer.json).toEqual({
    error: { code: "unauthorized", message: "A valid API key is needed, in X-NullSpend-Key.", details: null },
  });
  expect(performance.now() - startedAt).toBeLessThan(2000);
});

test("a version of the API that does not exist is refused", async () => {
  const get = (version: string) => server.send("GET /api/keys", { key: admin.rawKey, headers: { "nullspend-version": version } });
  expect([(await get("2026-04-01")).status, (await get("2020-01-01")).status]).toEqual([200, 400]);
});

test("a key works as a bearer token too, and two different keys are none", async () => {
  const bearer = { authorization: `Bearer ${admin.rawKey}` };
  expect((await server.send("GET /api/keys", { headers: bearer })).status).toBe(200);
  expect((await server.send("GET /api/keys", { headers: { ...bearer, "x-nullspend-key": admin.rawKey } })).status).toBe(200);
  expect((await server.send("GET /api/keys", { headers: { ...bearer, "x-nullspend-key": `ns_live_sk_${"0".repeat(32)}` } })).status).toBe(
    401,
  );
});

test("nothing is read of a request before its caller is known, and no replay is served to a stranger", async () => {
  const headers = { "idempotency-key": "replay-1" };
  await server.send("POST /api/keys", { key: admin.rawKey, headers, body: { name: "x" } });
  expect((await server.send("POST /api/keys", { headers, body: { name: "x" } })).status).toBe(401);
  expect((await server.send("POST /api/keys", { raw: "{" })).status).toBe(401);
});

test("a repeated POST gives the first answer again, without the secret; another body is refused; another caller is not concerned", async () => {
  const headers = { "idempotency-key": "create-1" };
  const first = await server.send("POST /api/keys", { key: admin.rawKey, headers, body: { name: "once" } });
  const second = await server.send("POST /api/keys", { key: admin.rawKey, headers, body: { name: "once" } });
  expect([first.status, second.status]).toEqual([201, 201]);
  expect(first.headers["x-idempotent-replayed"]).toBeUndefined();
  expect(second.headers["x-idempotent-replayed"]).toBe("true");
  const { rawKey, ...rest } = (first.json as { data: Record<string, unknown> }).data;
  expect(second.json).toEqual({ data: rest });
  expect(second.text).not.toContain(rawKey);

  const other = await server.send("POST /api/keys", { key: admin.rawKey, headers, body: { name: "twice" } });
  expect([other.status, (other.json as { error: { code: string } }).error.code]).toEqual([422, "idempotency_conflict"]);

  const theirs = await createOrganisation({ prisma: database.prisma });
  const theirAdmin = await createApiKey({ prisma: database.prisma, org: theirs, scopes: ["manage"] });
  const unrelated = await server.send("POST /api/keys", { key: theirAdmin.rawKey, headers, body: { name: "once" } });
  expect(unrelated.status).toBe(201);
  expect(unrelated.headers["x-idempotent-replayed"]).toBeUndefined();
});

test("a refused POST leaves its idempotency key free for the corrected one", async () => {
  const headers = { "idempotency-key": "corrected" };
  expect((await server.send("POST /api/keys", { key: admin.rawKey, headers, body: { name: "" } })).status).toBe(400);
  expect((await server.send("POST /api/keys", { key: admin.rawKey, headers, body: { name: "x", scopes: ["read"] } })).status).toBe(403);
  expect((await server.send("POST /api/keys", { key: admin.rawKey, headers, body: { name: "x" } })).status).toBe(201);
});

test("twenty repeats at once make one key", async () => {
  const before = await database.prisma.apiKey.count({ where: { orgId: org.orgId } });
  const answers = await Promise.all(
    Array.from({ length: 20 }, () =>
      server.send("POST /api/keys", { key: admin.rawKey, headers: { "idempotency-key": "burst" }, body: { name: "burst" } }),
    ),
  );
  expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 201));
  expect(await database.prisma.apiKey.count({ where: { orgId: org.orgId } })).toBe(before + 1);
});

test("a caller that leaves in the middle of its body is forgotten, and the server answers the next", async () => {
  const { port, hostname } = new URL(server.url);
  const socket = connect(Number(port), hostname);
  await new Promise((resolve) => socket.once("connect", resolve));
  socket.write(
    `POST /api/keys HTTP/1.1\r\nHost: x\r\nX-NullSpend-Key: ${admin.rawKey}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"name":`,
  );
  socket.destroy();
  expect((await server.send("GET /api/keys", { key: admin.rawKey })).status).toBe(200);
});

test("a body larger than announced by chunks is refused while it is read", async () => {
  const { port, hostname } = new URL(server.url);
  const socket = connect(Number(port), hostname);
  let answered = "";
  socket.on("data", (chunk) => (answered += chunk.toString()));
  socket.on("error", () => {});
  socket.write(
    `POST /api/keys HTTP/1.1\r\nHost: x\r\nX-NullSpend-Key: ${admin.rawKey}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n`,
  );
  const chunk = Buffer.alloc(64 * 1024, 0x20);
  for (let sent = 0; sent < 17; sent++)
    socket.write(Buffer.concat([Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from("\r\n")]));
  await expect.poll(() => answered, { timeout: 5000 }).toMatch(/^HTTP\/1\.1 413 /);
  socket.destroy();
});

test("a database that is away is 503 with Retry-After; its own words stay in the log", async () => {
  const away = createPrisma("postgres://postgres:hunter2@127.0.0.1:1/none");
  const broken = await startRestServer(database, { prisma: away });
  const answer = await broken.send("GET /api/keys", { key: admin.rawKey });
  expect(answer.status).toBe(503);
  expect(answer.headers["retry-after"]).toBe("1");
  expect(answer.json).toMatchObject({ error: { code: "budget_unavailable" } });
  expect(answer.text).not.toMatch(/hunter2|127\.0\.0\.1|prisma/i);
  await broken.close();
});

test("what nobody expected is a fixed sentence with the request's id", async () => {
  const broken = await startRestServer(database, { ready: () => Promise.reject(new Error("secret detail")) });
  const answer = await broken.send("GET /api/ready");
  expect(answer.status).toBe(500);
  expect(answer.text).toContain(answer.headers["x-request-id"]);
  expect(answer.text).not.toContain("secret detail");
  await broken.close();
});

test("keys that cannot be checked are 503, never 401", async () => {
  const broken = await startRestServer(database, { authenticator: { authenticate: () => ({ outcome: "unavailable" }), invalidate() {} } });
  const answer = await broken.send("GET /api/keys", { key: admin.rawKey });
  expect([answer.status, answer.headers["retry-after"]]).toEqual([503, "1"]);
  await broken.close();
});
