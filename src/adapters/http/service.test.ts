import { Counter, Registry } from "prom-client";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Principal } from "@/server/context";
import { createTestDatabase, type TestDatabase } from "@/testing/database";
import { createApiKey, createOrganisation } from "@/testing/factories";
import { startRestServer, type RestTestServer } from "@/testing/rest-server";
import { openApiDocument } from "./openapi";
import { routes } from "./routes";

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

async function withServer(overrides: Parameters<typeof startRestServer>[1], run: (server: RestTestServer) => Promise<void>): Promise<void> {
  const server = await startRestServer(database, overrides);
  try {
    await run(server);
  } finally {
    await server.close();
  }
}

test("liveness asks nothing of the database, readiness tells what is missing", () =>
  withServer({ ready: async () => ({ ready: false, checks: { database: false } }) }, async (server) => {
    expect(await server.send("GET /api/health")).toMatchObject({ status: 200, json: { status: "ok" } });
    expect(await server.send("GET /api/ready")).toMatchObject({ status: 503, json: { status: "not_ready", checks: { database: false } } });
  }));

test("metrics do not exist without a token, and answer nobody without it", async () => {
  const registry = new Registry();
  new Counter({ name: "calls_total", help: "Calls.", registers: [registry] }).inc();
  const gateway = { metrics: { registry } };
  await withServer({ gateway }, async (server) => {
    expect((await server.send("GET /metrics", { headers: { authorization: "Bearer undefined" } })).status).toBe(404);
  });
  await withServer({ gateway, env: { metricsToken: "s3cret", gateway: { trustedProxies: [] } } }, async (server) => {
    expect((await server.send("GET /metrics")).status).toBe(401);
    expect((await server.send("GET /metrics", { headers: { authorization: "Bearer s3cre" } })).status).toBe(401);
    const answer = await server.send("GET /metrics", { headers: { authorization: "Bearer s3cret" } });
    expect(answer.status).toBe(200);
    expect(answer.text).toContain("calls_total 1");
  });
});

test("llms.txt and the document name the instance they are served from", () =>
  withServer({ env: { publicUrl: "https://spend.example.com", gateway: { trustedProxies: [] } } }, async (server) => {
    expect((await server.send("GET /llms.txt")).text).toContain("https://spend.example.com/v1");
    const document = (await server.send("GET /openapi.json")).json as { openapi: string; servers: unknown };
    expect(document.openapi).toBe("3.1.0");
    expect(document.servers).toEqual([{ url: "https://spend.example.com" }]);
  }));

test("the audit log names the caller behind trusted proxies, never what a caller writes itself", async () => {
  const org = await createOrganisation({ prisma: database.prisma });
  const admin = await createApiKey({ prisma: database.prisma, org, scopes: ["manage", "read"] });
  const lastIp = async () =>
    (await database.prisma.auditLog.findFirst({ where: { orgId: org.orgId }, orderBy: { createdAt: "desc" } }))?.ip;
  const make = (server: RestTestServer) =>
    server.send("POST /api/keys", {
      key: admin.rawKey,
      body: { name: "x" },
      headers: { "x-forwarded-for": "203.0.113.9, 198.51.100.7, 10.0.0.1" },
    });
  await withServer({}, async (server) => {
    await make(server);
    expect(await lastIp()).toBe("127.0.0.1");
  });
  await withServer({ env: { gateway: { trustedProxies: ["127.0.0.1/32", "10.0.0.0/8"] } } }, async (server) => {
    await make(server);
    expect(await lastIp()).toBe("198.51.100.7");
  });
});

test("a session's change needs our own origin; its reads do not", async () => {
  const org = await createOrganisation({ prisma: database.prisma });
  const principal: Principal = { type: "user", orgId: org.orgId, userId: org.userId, role: "owner" };
  const env = { publicUrl: "https://spend.example.com", gateway: { trustedProxies: [] } };
  await withServer({ env, sessionOf: async () => principal }, async (server) => {
    const make = (headers: Record<string, string>) => server.send("POST /api/keys", { body: { name: "x", scopes: ["manage"] }, headers });
    expect((await server.send("GET /api/keys")).status).toBe(200);
    expect((await make({})).status).toBe(403);
    expect((await make({ origin: "https://evil.example" })).status).toBe(403);
    expect((await make({ origin: "null" })).status).toBe(403);
    expect((await make({ "sec-fetch-site": "cross-site" })).status).toBe(403);
    expect((await make({ "sec-fetch-site": "same-origin", origin: "https://evil.example" })).status).toBe(403);
    expect((await make({ origin: "https://spend.example.com" })).status).toBe(201);
    expect((await make({ "sec-fetch-site": "same-origin" })).status).toBe(201);
    expect((await server.send("GET /api/auth/introspect")).status).toBe(403);
  });
  await withServer({ sessionOf: async () => principal }, async (server) => {
    const make = (origin: string) => server.send("POST /api/keys", { body: { name: "x" }, headers: { origin } });
    expect((await make(server.url)).status).toBe(201);
    expect((await make("http://localhost:3000")).status).toBe(403);
    expect((await make("null")).status).toBe(403);
  });
});

test("the document holds exactly the routes that are served, and points at nothing that is not in it", () => {
  const document = openApiDocument(routes, "http://localhost:3000");
  const operations = Object.entries(document.paths ?? {}).flatMap(([path, item]) =>
    Object.keys(item).map((method) => `${method.toUpperCase()} ${path}`),
  );
  expect(operations.sort()).toEqual(routes.map(({ method, path }) => `${method} ${path.replaceAll("+}", "}")}`).sort());
  expect(new Set(routes.map(({ operationId }) => operationId)).size).toBe(routes.length);

  const text = JSON.stringify(document);
  for (const [, name] of text.matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g))
    expect(document.components?.schemas).toHaveProperty(name!);
  for (const [path, item] of Object.entries(document.paths ?? {})) {
    const named = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
    for (const operation of Object.values(item) as { parameters?: { in: string; name: string }[] }[]) {
      const declared = (operation.parameters ?? []).filter((parameter) => parameter.in === "path").map(({ name }) => name);
      expect([path, declared]).toEqual([path, named]);
    }
  }
});

// Whoever forgets a rule on a new route finds it here: the table itself is walked.
test("no route but the service's answers without a key, and each refuses a key that has none of its scopes", async () => {
  const org = await createOrganisation({ prisma: database.prisma });
  await withServer({}, async (server) => {
    for (const route of routes) {
      const what = `${route.method} ${route.path.replaceAll(/\{\w+\+?\}/g, "x")}`;
      if (route.access === "public") {
        expect(["Service"]).toContain(route.tag);
        continue;
      }
      expect([what, (await server.send(what)).status]).toEqual([what, 401]);
      const { key } = route.access;
      const lacking = (["proxy", "ingest", "self", "read", "manage"] as const).filter(
        (scope) => key === "session_only" || !key.includes(scope),
      );
      const { rawKey } = await createApiKey({ prisma: database.prisma, org, scopes: lacking });
      if (lacking.length > 0) expect([what, (await server.send(what, { key: rawKey })).status]).toEqual([what, 403]);
    }
  });
});
