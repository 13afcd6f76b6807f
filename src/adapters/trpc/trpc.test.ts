import superjson from "superjson";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "@/testing/database";
import { createApiKey, createMember, createOrganisation, type TestOrganisation } from "@/testing/factories";
import { headersOf, startTrpcServer, type TrpcServer } from "@/testing/trpc-server";

let database: TestDatabase;
let server: TrpcServer;
let org: TestOrganisation;
let other: TestOrganisation;

beforeAll(async () => {
  database = await createTestDatabase();
  server = await startTrpcServer(database);
  org = await createOrganisation({ prisma: database.prisma });
  other = await createOrganisation({ prisma: database.prisma });
});
afterAll(async () => {
  await server.close();
  await database.drop();
});

const keysOf = (orgId: string) => database.prisma.apiKey.count({ where: { orgId } });
const newKey = (name: string) => JSON.stringify(superjson.serialize({ name }));

describe("who may ask", () => {
  test("nobody who is not signed in", async () => {
    const { status, error } = await server.call("query", "keys.list", {}, { orgId: org.orgId });
    expect([status, error?.data.code]).toEqual([401, "unauthorized"]);
  });

  test("an organisation that is not theirs is as absent as one that does not exist", async () => {
    const asked = [other.orgId, "0190b3c4-5d6e-7f80-9a1b-2c3d4e5f6071", "not a uuid", undefined];
    const answers = await Promise.all(
      asked.map((orgId) => server.call("query", "keys.list", {}, { userId: org.userId, ...(orgId !== undefined && { orgId }) })),
    );
    for (const { status, error } of answers) {
      expect([status, error?.message]).toEqual([404, "There is no such organisation."]);
    }
  });

  // I6: a role that was cached would let a demoted admin go on.
  test("a role counts as it is at each request", async () => {
    const userId = await createMember({ prisma: database.prisma, orgId: org.orgId, role: "admin" });
    const caller = { userId, orgId: org.orgId };
    const freeze = { entityType: "customer", entityId: "acme", reason: "spike" };
    expect((await server.call("mutation", "freezes.create", freeze, caller)).status).toBe(200);
    await database.prisma.membership.update({ where: { orgId_userId: { orgId: org.orgId, userId } }, data: { role: "viewer" } });
    const { status, error } = await server.call("mutation", "freezes.create", freeze, caller);
    expect([status, error?.data.code]).toEqual([403, "forbidden"]);
    await database.prisma.membership.delete({ where: { orgId_userId: { orgId: org.orgId, userId } } });
    expect((await server.call("query", "freezes.list", {}, caller)).status).toBe(404);
  });
});

// The page says "in force" when it has its answer, and whoever reads it lets the agent go on.
test("a change is known to the next call of this process, not to the next poll", async () => {
  const { authenticator } = server.runtime;
  const key = await createApiKey({ prisma: database.prisma, org });
  const before = await authenticator.authenticate(key.rawKey);
  for (const entityId of ["one", "two", "three"]) {
    const budget = { entityType: "customer", entityId, maxBudgetMicrodollars: 100 };
    expect((await server.call("mutation", "budgets.create", budget, { userId: org.userId, orgId: org.orgId })).status).toBe(200);
    const answer = await authenticator.authenticate(key.rawKey);
    const { configVersion } = await database.prisma.organisation.findUniqueOrThrow({ where: { id: org.orgId } });
    expect(answer).toMatchObject({ outcome: "known", identity: { org: { configVersion } } });
    expect(answer).not.toEqual(before);
  }
});

describe("what a request must be like (J6, J7)", () => {
  // Without these a form on any page could make a key in the name of whoever opens it.
  const change = (headers: Record<string, string>, body = newKey("forged"), path = "/api/trpc/keys.create") =>
    server.fetch(path, {
      method: "POST",
      headers: { ...headersOf({ userId: org.userId, orgId: org.orgId }), "content-type": "application/json", ...headers },
      body,
    });

  test.each([
    ["a form", { "content-type": "application/x-www-form-urlencoded" }, 415],
    ["text", { "content-type": "text/plain" }, 415],
    ["multipart", { "content-type": "multipart/form-data; boundary=x" }, 415],
    ["bytes", { "content-type": "application/octet-stream" }, 415],
    ["another site's page", { "sec-fetch-site": "cross-site" }, 403],
    ["a sibling domain's page", { "sec-fetch-site": "same-site" }, 403],
    ["another origin", { origin: "https://evil.example" }, 403],
    ["an opaque origin", { origin: "null" }, 403],
  ])("a change sent as or by %s is refused and changes nothing", async (_name, headers, status) => {
    const before = await keysOf(org.orgId);
    expect((await change(headers as unknown as Record<string, string>)).status).toBe(status);
    expect(await keysOf(org.orgId)).toBe(before);
  });

  test("a change that says nothing of where it comes from is refused", async () => {
    const { "sec-fetch-site": _, ...headers } = headersOf({ userId: org.userId, orgId: org.orgId });
    const answer = await server.fetch("/api/trpc/keys.create", {
      method: "POST",
      headers: { ...headers, "content-type": "application/json" },
      body: newKey("forged"),
    });
    // Node's fetch sends its own Sec-Fetch-Mode, and no site.
    expect(answer.status).toBe(403);
  });

  test("a GET never changes anything", async () => {
    const before = await keysOf(org.orgId);
    const headers = headersOf({ userId: org.userId, orgId: org.orgId });
    const answer = await server.fetch(`/api/trpc/keys.create?input=${encodeURIComponent(newKey("by link"))}`, { headers });
    expect(answer.status).toBe(405);
    expect(await keysOf(org.orgId)).toBe(before);
  });

  test("a query is not sent as POST, and other methods do not exist", async () => {
    expect((await change({}, JSON.stringify({ json: {} }), "/api/trpc/keys.list")).status).toBe(405);
    expect((await change({ "x-http-method-override": "GET" }, JSON.stringify({ json: {} }), "/api/trpc/keys.list")).status).toBe(405);
    expect((await server.fetch("/api/trpc/keys.list", { method: "DELETE" })).status).toBe(405);
  });

  test("reads that another site's page starts are refused", async () => {
    const headers = { ...headersOf({ userId: org.userId, orgId: org.orgId }), "sec-fetch-site": "cross-site" };
    expect((await server.fetch("/api/trpc/keys.list?input=%7B%22json%22%3A%7B%7D%7D", { headers })).status).toBe(403);
  });

  const batch = (calls: number) => {
    const paths = Array.from({ length: calls }, () => "events.tagKeys").join(",");
    return server.fetch(`/api/trpc/${paths}?batch=1&input=%7B%7D`, { headers: headersOf({ userId: org.userId, orgId: org.orgId }) });
  };

  test("a batch holds at most twenty calls", async () => {
    expect((await batch(20)).status).toBe(200);
    expect((await batch(21)).status).toBe(400);
    expect((await batch(1_000)).status).toBe(400);
  });

  test("a batch of calls makes one answer for each, also where one fails", async () => {
    const input = JSON.stringify({ 0: { json: {} }, 1: { json: { id: "ns_key_0190b3c4-5d6e-7f80-9a1b-2c3d4e5f6071" } } });
    const answer = await server.fetch(`/api/trpc/keys.list,keys.get?batch=1&input=${encodeURIComponent(input)}`, {
      headers: headersOf({ userId: org.userId, orgId: org.orgId }),
    });
    const [list, one] = (await answer.json()) as [{ result?: object }, { error?: { json: { data: { code: string } } } }];
    expect(list.result).toBeDefined();
    expect(one.error?.json.data.code).toBe("not_found");
  });

  test("a body is at most 1 MiB, and nested at most a hundred deep", async () => {
    expect((await change({}, JSON.stringify({ json: { name: "x".repeat(1024 * 1024) } }))).status).toBe(413);
    const deep = `${"[".repeat(5_000)}${"]".repeat(5_000)}`;
    expect((await change({}, `{"json":{"name":${deep}}}`)).status).toBe(400);
    const input = encodeURIComponent(`{"json":${deep}}`);
    const headers = headersOf({ userId: org.userId, orgId: org.orgId });
    expect((await server.fetch(`/api/trpc/keys.list?input=${input}`, { headers })).status).toBe(400);
  });

  test.each(["__proto__", "constructor"])("%s in an input reaches no prototype", async (name) => {
    const answer = await change({}, `{"json":{"name":"x","${name}":{"prototype":{"isAdmin":true}}}}`);
    expect(answer.status).toBe(400);
    expect(({} as { isAdmin?: boolean }).isAdmin).toBeUndefined();
  });

  test("what superjson would rebuild by a path of its own cannot reach a prototype", async () => {
    const body = JSON.stringify({ json: { name: "x" }, meta: { values: { "__proto__.polluted": ["Date"] } } });
    expect((await change({}, body)).status).toBeGreaterThanOrEqual(400);
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  });
});

describe("what is answered", () => {
  const caller = () => ({ userId: org.userId, orgId: org.orgId });

  test("the secret of a new key once, and in no list", async () => {
    const made = await server.call("mutation", "keys.create", { name: "agent" }, caller());
    const { rawKey, id } = made.data as { rawKey: string; id: string };
    expect(rawKey).toMatch(/^ns_live_sk_[0-9a-f]{32}$/);
    const listed = await server.call("query", "keys.list", {}, caller());
    expect(JSON.stringify(listed.data)).toContain(id);
    expect(JSON.stringify(listed.data)).not.toContain(rawKey);
  });

  test("fields nobody knows are refused by name", async () => {
    const { status, error } = await server.call("mutation", "keys.create", { name: "x", orgId: other.orgId, role: "owner" }, caller());
    expect(status).toBe(400);
    expect(error?.message).toMatch(/orgId/);
  });

  test("lists go on from a cursor as infinite queries ask them", async () => {
    await server.call("mutation", "keys.create", { name: "one more" }, caller());
    const first = await server.call("query", "keys.list", { limit: 1, cursor: null, direction: "forward" }, caller());
    const page = first.data as { data: { id: string }[]; cursor: string };
    const second = await server.call("query", "keys.list", { limit: 1, cursor: page.cursor, direction: "forward" }, caller());
    expect((second.data as typeof page).data[0]?.id).not.toBe(page.data[0]?.id);
  });

  test("an error of ours is a fixed sentence with a reference, and the log has the original", async () => {
    const { prisma } = server.runtime;
    const broken = Object.assign(Object.create(prisma) as typeof prisma, {
      apiKey: { findMany: () => Promise.reject(new Error("column secrets.hash is gone")) },
    });
    Object.assign(server.runtime, { prisma: broken });
    try {
      const { status, error } = await server.call("query", "keys.list", {}, caller());
      expect(status).toBe(500);
      expect(error?.message).toMatch(/^Something went wrong on our side\. Tell us the request id req_/);
      expect(JSON.stringify(error)).not.toContain("secrets.hash");
      expect(server.logs()).toContain(error!.data.reference);
      expect(server.logs()).toContain("secrets.hash");
    } finally {
      Object.assign(server.runtime, { prisma });
    }
  });

  test("answers are kept by no cache", async () => {
    const answer = await server.fetch("/api/trpc/keys.list?input=%7B%22json%22%3A%7B%7D%7D", { headers: headersOf(caller()) });
    expect(answer.headers.get("cache-control")).toBe("private, no-store");
  });
});
