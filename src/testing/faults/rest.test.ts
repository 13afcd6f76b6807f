import { createLogger, type LogFields } from "@/lib/logger";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createApiKey, createOrganisation, type TestApiKey } from "@/testing/factories";
import { RawConnection, rawRequest } from "@/testing/raw-http";
import { startGatewayServer, type GatewayServer } from "./gateway-server";

// What would break in production: a filter that is an object reads every row; a cursor of another company reads theirs; and an error
// that quotes the statement tells a stranger what to try next. Every route of the document is asked, so that a new one is, too.

type Parameter = { name: string; in: string };
type Operation = { parameters?: Parameter[]; requestBody?: unknown };
type Asked = { status: number; text: string; json: unknown };
type Tenant = { name: string; key: TestApiKey };

let gateway: GatewayServer;
let alpha: Tenant;
let bravo: Tenant;
let operations: { method: string; path: string; query: string[]; hasBody: boolean }[];
beforeAll(async () => {
  gateway = await startGatewayServer({ env: { TRUSTED_PROXIES: "127.0.0.1", RATE_LIMIT_AUTH_FAILURES_PER_MINUTE: "1000000" } });
  const { prisma } = gateway.database;
  const tenant = async (name: string): Promise<Tenant> => {
    const org = await createOrganisation({ prisma });
    return { name, key: await createApiKey({ prisma, org, name, scopes: ["proxy", "ingest", "self", "read", "manage"] }) };
  };
  [alpha, bravo] = [await tenant("alpha"), await tenant("bravo")];
  const document = (await ask("GET /openapi.json")).json as { paths: Record<string, Record<string, Operation>> };
  operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { parameters = [], requestBody }]) => ({
      method: method.toUpperCase(),
      path,
      query: parameters.filter(({ in: place }) => place === "query").map(({ name }) => name),
      hasBody: requestBody !== undefined,
    })),
  );
  expect(operations.length).toBeGreaterThan(30);
});
afterAll(() => gateway.close());

/** `GET /api/keys`, as a tenant or as nobody. */
async function ask(what: string, { by, body, headers = [] }: { by?: Tenant; body?: unknown; headers?: string[] } = {}): Promise<Asked> {
  const [method = "GET", target = "/"] = what.split(" ");
  const answer = await rawRequest({
    port: gateway.port,
    method,
    target,
    headers: [
      ...(by ? ["X-NullSpend-Key", by.key.rawKey] : []),
      ...(body === undefined ? [] : ["Content-Type", "application/json"]),
      ...headers,
    ],
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = answer.body.toString();
  const isJson = answer.header("content-type")?.startsWith("application/json") === true && text !== "";
  return { status: answer.status, text, json: isJson ? (JSON.parse(text) as unknown) : undefined };
}

/** What a page of a tenant's own is made of. */
async function makeRows(tenant: Tenant): Promise<void> {
  const { name } = tenant;
  const made = async (what: string, body: unknown): Promise<void> =>
    expect((await ask(what, { by: tenant, body })).status, what).toBeLessThan(300);
  for (const i of [1, 2, 3]) {
    await made("POST /api/keys", { name: `${name}-key-${i}` });
    await made("POST /api/freezes", { entityType: "customer", entityId: `${name}-customer-${i}`, reason: `${name} reason` });
    await made("POST /api/budgets", { entityType: "customer", entityId: `${name}-payer-${i}`, maxBudgetMicrodollars: 1_000 });
    await made(`PUT /api/prices/openai/${name}-model-${i}`, { inputUsdPerMTok: "1", outputUsdPerMTok: "1" });
    await made("POST /api/tool-costs", { serverName: `${name}-server`, toolName: `${name}-tool-${i}`, costMicrodollars: 5 });
    await made("POST /api/actions", { ...ACTION, agentId: `${name}-agent-${i}` });
    await made("POST /api/webhooks", { ...WEBHOOK, url: `https://${name}-${i}.example.com/hook` });
    await made("POST /api/cost-events", {
      provider: "openai",
      model: `${name}-model-${i}`,
      costMicrodollars: 5,
      sessionId: `${name}-session-${i}`,
      traceId: `${i}${Buffer.from(name).toString("hex")}`.padEnd(32, "0"),
      tags: { team: name },
    });
  }
}

const ID = "0190b3c4-5d6e-7f80-9a1b-2c3d4e5f6071";
const ACTION = { actionType: "send_email", payload: {} };
const WEBHOOK = { eventTypes: ["request.blocked"] };
/** A path with something in each of its places. */
const filled = (path: string, id: string): string => path.replace(/\{[a-zA-Z]+\}/g, id);

describe("H7: objects where a text is expected", () => {
  const OPERATORS: unknown[] = [
    { not: "" },
    { startsWith: "" },
    { contains: "", mode: "insensitive" },
    { in: ["a"] },
    { gte: 0 },
    { $ne: null },
    { increment: 1 },
    { set: "x" },
    [{ not: "" }],
    [],
    null,
    true,
  ];
  /** A body that is taken, for each route that takes one; `keyId` is a key that may be changed. */
  const bodies = (keyId: string, budgetId: string): Record<string, { what: string; body: Record<string, unknown>; free?: string[] }> => ({
    "POST /api/keys": {
      what: "POST /api/keys",
      body: {
        name: "x",
        scopes: ["proxy"],
        expiresAt: "2030-01-01T00:00:00Z",
        allowedModels: ["gpt-4o"],
        lockedCustomer: "acme",
        maxConcurrent: 3,
      },
    },
    "PATCH /api/keys/{id}": { what: `PATCH /api/keys/${keyId}`, body: { name: "x", scopes: ["proxy"] } },
    "POST /api/keys/{id}/rotate": { what: `POST /api/keys/${keyId}/rotate`, body: { overlapSeconds: 0 } },
    "POST /api/budgets": {
      what: "POST /api/budgets",
      body: {
        entityType: "customer",
        entityId: "h7",
        maxBudgetMicrodollars: 5,
        policy: "warn",
        timezone: "UTC",
        models: ["gpt-4o"],
        providers: ["openai"],
      },
    },
    "PATCH /api/budgets/{id}": { what: `PATCH /api/budgets/${budgetId}`, body: { maxBudgetMicrodollars: 6, policy: "warn" } },
    "POST /api/budgets/{id}/reset": { what: `POST /api/budgets/${budgetId}/reset`, body: {} },
    "POST /api/cost-events": {
      what: "POST /api/cost-events",
      body: { provider: "openai", model: "m", costMicrodollars: 1, sessionId: "s", toolName: "t", customerId: "c", idempotencyKey: "h7" },
    },
    "POST /api/cost-events/batch": {
      what: "POST /api/cost-events/batch",
      body: { events: [{ provider: "openai", model: "m", costMicrodollars: 1 }] },
    },
    "POST /api/freezes": { what: "POST /api/freezes", body: { entityType: "customer", entityId: "h7", reason: "x" } },
    "PUT /api/prices/{provider}/{model}": { what: "PUT /api/prices/openai/h7", body: { inputUsdPerMTok: "1", outputUsdPerMTok: "1" } },
    "POST /api/tool-costs": { what: "POST /api/tool-costs", body: { serverName: "s", toolName: "t", costMicrodollars: 1 } },
    "POST /api/tool-costs/discover": { what: "POST /api/tool-costs/discover", body: { serverName: "s", tools: [{ name: "t" }] } },
    "POST /v1/mcp/budget/check": { what: "POST /v1/mcp/budget/check", body: { toolName: "t", serverName: "s", estimateMicrodollars: 1 } },
    "POST /api/actions": { what: "POST /api/actions", body: { ...ACTION, agentId: "h7" } },
    "POST /v1/mcp/events": { what: "POST /v1/mcp/events", body: { events: [{ toolName: "t", serverName: "s" }] } },
  });
  /** Null lifts what these say; an empty list is one of no patterns. */
  const MEANS_SOMETHING = new Set(["expiresAt", "timezone", "allowedModels", "models", "providers", "lockedCustomer", "maxConcurrent"]);

  it("H7: in every field of every body of REST: 400, and nothing is made", async () => {
    const key = (await ask("POST /api/keys", { by: alpha, body: { name: "to change" } })).json as { data: { id: string } };
    const budget = (
      await ask("POST /api/budgets", { by: alpha, body: { entityType: "tag", entityId: "team=h7", maxBudgetMicrodollars: 5 } })
    ).json as { data: { id: string } };
    const table = bodies(key.data.id, budget.data.id);
    const wrong: string[] = [];
    // What is only for people, or is about something that a key has not made, is refused before or because of its body.
    for (const { method, path } of operations.filter(({ hasBody, method, path }) => hasBody && !(`${method} ${path}` in table))) {
      const answer = await ask(`${method} ${filled(path, ID)}`, {
        by: alpha,
        body: { where: { not: "" }, id: { not: "" }, data: OPERATORS },
      });
      if (![400, 403, 404].includes(answer.status)) wrong.push(`${method} ${path}: ${answer.status} ${answer.text.slice(0, 100)}`);
    }
    for (const { what, body } of Object.values(table)) {
      const taken = await ask(what, { by: alpha, body });
      expect(taken.status, `${what}: ${taken.text}`).toBeLessThan(300);
      for (const [field, own] of Object.entries(body)) {
        for (const operator of OPERATORS) {
          if (MEANS_SOMETHING.has(field) && (operator === null || (Array.isArray(own) && Array.isArray(operator)))) continue;
          // What an agent wants to do is any object, kept as it is.
          if (field === "payload" && typeof operator === "object" && operator !== null && !Array.isArray(operator)) continue;
          const answer = await ask(what, { by: alpha, body: { ...body, [field]: operator } });
          if (answer.status !== 400)
            wrong.push(`${what} ${field}=${JSON.stringify(operator)}: ${answer.status} ${answer.text.slice(0, 100)}`);
        }
      }
      for (const extra of ["where", "AND", "OR", "NOT", "select", "include", "data", "orgId", "__proto__"]) {
        const answer = await rawAsk(what, `{${JSON.stringify(extra)}:{"not":""},${JSON.stringify(body).slice(1)}`.replace(",}", "}"));
        if (answer !== 400) wrong.push(`${what} with ${extra}: ${answer}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  async function rawAsk(what: string, body: string): Promise<number> {
    const [method = "", target = ""] = what.split(" ");
    const headers = ["X-NullSpend-Key", alpha.key.rawKey, "Content-Type", "application/json"];
    return (await rawRequest({ port: gateway.port, method, target, headers, body })).status;
  }

  it("H7: in every parameter of every query: 400, or a text that nothing has", async () => {
    const wrong: string[] = [];
    for (const { method, path, query } of operations.filter(({ method }) => method === "GET")) {
      for (const name of query) {
        const target = filled(path, "x");
        for (const odd of [
          `${name}[not]=`,
          `${name}[]=a`,
          `${name}[startsWith]=`,
          `${name}.not=`,
          `${name}=a&${name}=b`,
          `where[${name}][not]=`,
        ]) {
          const answer = await ask(`${method} ${target}?${odd}`, { by: alpha });
          if (answer.status !== 400) wrong.push(`${path}?${odd}: ${answer.status}`);
        }
        const text = await ask(`${method} ${target}?${name}=${encodeURIComponent('{"not":""}')}`, { by: alpha });
        const rows = (text.json as { data?: unknown } | undefined)?.data;
        if (text.status !== 400 && text.status !== 404 && !(text.status === 200 && (!Array.isArray(rows) || rows.length === 0)))
          wrong.push(`${path}?${name}={"not":""}: ${text.status} ${text.text.slice(0, 100)}`);
      }
    }
    expect(wrong).toEqual([]);
  });
});

describe("H21: pages", () => {
  beforeAll(async () => {
    await makeRows(alpha);
    await makeRows(bravo);
  });
  const lists = (parameter: string): string[] =>
    operations.filter(({ method, query }) => method === "GET" && query.includes(parameter)).map(({ path }) => path);
  const needs = (path: string): string => (path.includes("attribution") ? "groupBy=model&" : "");

  it("H21: a limit that is no number from one to the most there may be is 400, on every list", async () => {
    expect(lists("limit").length).toBeGreaterThan(6);
    const wrong: string[] = [];
    for (const path of lists("limit")) {
      for (const limit of [
        "-1",
        "0",
        "1e9",
        "1000000000",
        "9007199254740993",
        "1.5",
        "",
        "NaN",
        "Infinity",
        "0x10",
        "%201",
        "1%00",
        "null",
        "١",
      ]) {
        const answer = await ask(`GET ${path}?${needs(path)}limit=${limit}`, { by: alpha });
        if (answer.status !== 400) wrong.push(`${path}?limit=${limit}: ${answer.status}`);
      }
      const one = await ask(`GET ${path}?${needs(path)}limit=1`, { by: alpha });
      if (one.status !== (path.includes("{") ? 404 : 200)) wrong.push(`${path}?limit=1: ${one.status} ${one.text.slice(0, 200)}`);
    }
    expect(wrong).toEqual([]);
  });

  it("H21: a forged cursor is 400, on every list", async () => {
    expect(lists("cursor").length).toBeGreaterThan(5);
    const packed = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
    // Names of tools are any texts, and so is a place between two of them; such a cursor reads the caller's own rows only.
    const places = ["/api/tool-costs"];
    const pairs = [
      packed(["2026-11-24T00:00:00.000Z", "' OR 1=1 --"]),
      packed(["0000-00-00T00:00:00.000Z", ID]),
      packed(["+275760-09-13T00:00:00.001Z", ID]),
      packed(["0000-01-01T00:00:00.000Z", ID]),
      packed(["\ud800", ID]),
    ];
    const forged = [
      "x",
      "-1",
      "%00",
      "a".repeat(1_000),
      "a".repeat(10_000),
      packed(null),
      packed({ not: "" }),
      packed([{ not: "" }, { not: "" }]),
      ...pairs,
      packed(["a\0", "b"]),
      packed(["2026-11-24T00:00:00.000Z\0", `${ID}\0`]),
      packed([1e308, ID]),
      packed([ID]),
      packed([[[[[[]]]]]]),
    ];
    const wrong: string[] = [];
    for (const path of lists("cursor")) {
      for (const cursor of forged) {
        const answer = await ask(`GET ${path}?cursor=${cursor}`, { by: alpha });
        if (places.includes(path) && pairs.includes(cursor)) expect(answer.text).not.toMatch(/bravo/);
        else if (answer.status !== 400) wrong.push(`${path}?cursor=${cursor.slice(0, 60)}: ${answer.status}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  it("H21: a cursor of another organisation reads none of its rows", async () => {
    let used = 0;
    // Lists of something in particular are of the caller's own, or 404.
    for (const path of lists("cursor").filter((each) => !each.includes("{"))) {
      const theirs = (await ask(`GET ${path}?limit=1`, { by: bravo })).json as { cursor?: string | null };
      expect(theirs.cursor, `${path} has a second page`).toBeTruthy();
      const answer = await ask(`GET ${path}?limit=100&cursor=${encodeURIComponent(theirs.cursor!)}`, { by: alpha });
      expect([200, 400, 404], path).toContain(answer.status);
      expect(answer.text, path).not.toMatch(/bravo/);
      used += 1;
    }
    expect(used).toBeGreaterThan(5);
    // And the rows of both are there to be seen by their own.
    for (const tenant of [alpha, bravo])
      expect((await ask("GET /api/keys?limit=100", { by: tenant })).text).toContain(`${tenant.name}-key-1`);
  });
});

it("H22: times that are none, that lie outside of all time, or that run backwards are 400, on every route that takes them", async () => {
  const ranged = operations.filter(({ method, query }) => method === "GET" && query.includes("from"));
  expect(ranged.length).toBeGreaterThan(3);
  const wrong: string[] = [];
  for (const { path, query } of ranged) {
    const sums = query.includes("period");
    const target = `${filled(path, "x")}?${path.includes("attribution") ? "groupBy=model&" : ""}`;
    for (const range of [
      // A list of it is read page by page and costs no more than one without dates; a sum would read it whole.
      ...(sums ? ["from=0001-01-01&to=9999-12-31"] : []),
      "from=0000-01-01&to=2026-11-24",
      "from=0001-01-01T00:00:00%2B14:00&to=2026-11-24",
      "from=2026-11-01&to=9999-12-31T23:59:59-14:00",
      "from=2026-11-24&to=2026-11-23",
      "from=2026-11-24&to=2026-11-24",
      "from=NaN",
      "from=Infinity&to=-Infinity",
      "from=",
      "from=null",
      "from=0",
      "from=1795500000000",
      "from=2026-02-30",
      "from=2026-13-01",
      "from=2026-11-24T25:00:00Z",
      "from=2026-11-24T10:00:00",
      "from=-000001-01-01",
      "from=%2B275760-09-13",
      "from=%2B275760-09-13T00:00:00.001Z",
      "from=yesterday",
      "from=2026-11-24'%20OR%20'1'='1",
      "from=2026-11-24%00",
      "from[gte]=2026-11-24",
    ]) {
      const answer = await ask(`GET ${target}${range}`, { by: alpha });
      if (answer.status !== 400) wrong.push(`${path}?${range}: ${answer.status} ${answer.text.slice(0, 80)}`);
    }
    if (!sums) {
      const everything = await ask(`GET ${target}from=0001-01-01T00:00:00Z&to=9999-12-31T00:00:00Z`, { by: alpha });
      if (everything.status !== (path.includes("{") ? 404 : 200)) wrong.push(`${path} of all time: ${everything.status}`);
    }
    const right = await ask(`GET ${target}from=2026-11-01T00:00:00Z&to=2026-11-25T00:00:00Z`, { by: alpha });
    if (![200, 404].includes(right.status)) wrong.push(`${path}: ${right.status} ${right.text.slice(0, 200)}`);
  }
  expect(wrong).toEqual([]);
});

describe("N4: keys are shown by their prefix", () => {
  it("N4: no answer, export, document or audit entry holds a key or its hash", async () => {
    const made = (await ask("POST /api/keys", { by: alpha, body: { name: "n4" } })).json as { data: { id: string; rawKey: string } };
    const turned = (await ask(`POST /api/keys/${made.data.id}/rotate`, { by: alpha, body: {} })).json as { data: { rawKey: string } };
    await ask("POST /api/cost-events", { by: alpha, body: { provider: "openai", model: "m", costMicrodollars: 1 } });
    const { rows: hashes } = await gateway.database.pool.query<{ hash: string }>("select hash from api_key_secret");
    expect(hashes.length).toBeGreaterThan(3);
    const secrets = [made.data.rawKey, turned.data.rawKey, alpha.key.rawKey, gateway.apiKey, gateway.adminKey];
    for (const secret of secrets) expect(secret).toMatch(/^ns_live_sk_[0-9a-f]{32}$/);
    const shown: string[] = [];
    for (const { method, path, query } of operations) {
      if (method !== "GET") continue;
      const target = filled(path, path.startsWith("/api/keys") ? made.data.id : "x");
      for (const by of [alpha, undefined])
        shown.push((await ask(`GET ${target}${query.includes("groupBy") ? "?groupBy=api_key" : ""}`, { by })).text);
    }
    const everything = shown.join("\n");
    expect(everything).toContain("openapi");
    expect(everything).toContain(made.data.id);
    for (const secret of [...secrets, ...hashes.map(({ hash }) => hash)]) {
      expect(everything).not.toContain(secret);
      // Nor most of one.
      expect(everything).not.toContain(secret.slice(-24));
    }
    // Examples in the document included.
    expect(everything).not.toMatch(/ns_live_sk_[0-9a-f]{32}/);
    expect(everything).not.toMatch(/"(rawKey|hash|keyHash|secret)":"/);
    for (const { keyPrefix } of ((await ask("GET /api/keys?limit=100", { by: alpha })).json as { data: { keyPrefix: string }[] }).data)
      expect(keyPrefix).toMatch(/^ns_live_sk_[0-9a-f]{8}$/);
  });
});

/** Words that only our inside has. */
const INSIDE: readonly RegExp[] = [
  /\bat .+:\d+:\d+/,
  /prisma|pglite|postgres|undici|node_modules|zoderror|sqlstate/i,
  /\b(insert into|delete from|left join|select\s+.+\s+from|update\s+\S+\s+set)\b/i,
  /\b(relation|constraint|column|syntax error)\b.*"/i,
  /\bP[12]\d{3}\b|\bECONN[A-Z]+|\bERR_[A-Z_]+/,
  /\b(TypeError|RangeError|SyntaxError|ReferenceError|AggregateError)\b/,
  // `cost_event.created` is a webhook's event.
  /\b(cost_event(?!\.created)|api_key_secret|budget_balance|audit_log|org_id|deleted_at)\b/,
  /(^|[\s"'(])(\/(work|home|root|usr|tmp|app|src)\/|[A-Z]:\\)/,
  /\.(ts|js|mjs):\d+/,
  /\[object |is undefined|of undefined|undefined is|Cannot read/,
];
const insideOf = (text: string): RegExp | undefined => INSIDE.find((word) => word.test(text));

describe("N3: what an error says", () => {
  it("N3: no error tells of our inside, whatever is asked of whichever route, while all is well and while tables are gone", async () => {
    const leaks: string[] = [];
    const statuses = new Map<number, number>();
    const look = (what: string, { status, text }: Asked): void => {
      if (status < 400) return;
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      const found = insideOf(text);
      if (found) leaks.push(`${what}: ${status} ${text.slice(0, 300)} (${found})`);
    };
    const crawl = async (): Promise<void> => {
      for (const { method, path, query, hasBody } of operations) {
        for (const id of ["x", `ns_key_${ID}`, `ns_evt_${ID}`, `ns_bgt_${ID}`, `ns_dec_${ID}`, `ns_frz_${ID}`, "%27%3B--", "%zz"]) {
          const what = `${method} ${filled(path, id)}`;
          look(what, await ask(what));
          look(what, await ask(what, { by: alpha, ...(hasBody && { body: {} }) }));
          if (hasBody) look(what, await ask(what, { by: alpha, body: [["\u0001", { not: "" }]] }));
        }
        for (const name of query)
          for (const value of ["%27", "9999999999999999999", "%F0%9F%92%A9"])
            look(name, await ask(`${method} ${filled(path, "x")}?${name}=${value}`, { by: alpha }));
      }
      for (const target of [
        "/v1/chat/completions",
        "/v1/messages",
        "/v1/nothing",
        "/openai/x",
        "/anthropic/%00",
        "/api/nothing",
        "/api/keys/%",
      ])
        for (const body of [undefined, {}, { model: { not: "" } }, []])
          look(
            target,
            await ask(`${body === undefined ? "GET" : "POST"} ${target}`, { by: alpha, body, headers: ["Authorization", "Bearer x"] }),
          );
      for (const bytes of [
        "GARBAGE\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        `GET /${"a".repeat(100_000)} HTTP/1.1\r\n\r\n`,
        "GET /v1 HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
      ]) {
        const connection = await RawConnection.connect({ port: gateway.port });
        await connection.send(bytes);
        await connection.until(() => false);
        look(bytes.slice(0, 20), { status: 400, text: connection.received.toString("latin1"), json: undefined });
        connection.socket.destroy();
      }
    };
    await crawl();
    expect([...statuses.keys()].filter((status) => status >= 500 && status !== 503)).toEqual([]);

    // Tables that are not there any more: Prisma quotes the statement, Postgres the relation.
    const { pool } = gateway.database;
    const { rows } = await pool.query<{ name: string }>(
      "select table_name as name from information_schema.tables where table_schema = 'public' and table_name not in ('organisation', 'api_key', 'api_key_secret', 'app_user', 'membership')",
    );
    for (const { name } of rows) await pool.query(`alter table "${name}" rename to "gone_${name}"`);
    try {
      await crawl();
    } finally {
      for (const { name } of rows) await pool.query(`alter table "gone_${name}" rename to "${name}"`);
    }
    expect(leaks).toEqual([]);
    expect(statuses.get(500)).toBeGreaterThan(10);
    expect(gateway.logs()).toMatch(/does not exist/);
    console.log(
      `${[...statuses.values()].reduce((sum, count) => sum + count, 0)} errors read: ${JSON.stringify(Object.fromEntries(statuses))}`,
    );
  }, 180_000);
});

describe("N9: a log is one JSON object a line", () => {
  const ODD = [
    "a\nb",
    "a\r\nb",
    "\r",
    "\u001b[2J\u001b[31mred",
    "\u009b31m",
    '"}\n{"level":"error","msg":"forged"}',
    '\\"},{"level":"fatal"',
    "\u2028\u2029",
    "\u202eright to left",
    "\0",
    "\u0007\u0008",
    "\ud800",
  ];
  // eslint-disable-next-line no-control-regex
  const CONTROL = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e]/;

  it("N9: whatever stands in whichever field, message or error", () => {
    const lines: string[] = [];
    const log = createLogger({ level: "debug", destination: { write: (line) => void lines.push(line) } });
    const fields = {
      requestId: "",
      traceId: "",
      orgId: "",
      userId: "",
      keyId: "",
      actionId: "",
      provider: "",
      model: "",
      endpoint: "",
      method: "",
      status: "",
      denialCode: "",
      costBasis: "",
      warning: "",
      component: "",
      migration: "",
      version: "",
      url: "",
      signal: "",
    } satisfies LogFields;
    let written = 0;
    for (const odd of ODD) {
      const error = Object.assign(new Error(odd, { cause: new Error(odd) }), { name: odd, code: odd });
      error.stack = `${odd}\n    at ${odd} (file.ts:1:1)`;
      for (const one of [
        ...Object.keys(fields).map((name) => ({ [name]: odd })),
        { err: error },
        { err: odd },
        { err: { name: odd, message: odd, code: odd, stack: odd } },
        { [odd]: odd } as LogFields,
      ]) {
        log.warn(one, `what happened ${odd}`);
        log.child(one).info({}, odd);
        written += 2;
      }
    }
    expect(lines).toHaveLength(written);
    for (const line of lines) expectOneLine(line);
  });

  it("N9: and through the product's own doors", async () => {
    for (const odd of ODD) {
      // Half a surrogate pair cannot stand in an address.
      const inAddress = encodeURIComponent(odd.replace(/\p{Surrogate}/gu, "?"));
      const tags = JSON.stringify({ team: odd, [odd]: "x" }).replace(
        /[^\x20-\x7e]/g,
        (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`,
      );
      gateway.fake.next({ fault: { kind: "reset", at: "headers" } });
      await gateway.send({
        target: "/v1/chat/completions",
        headers: gateway.headers("X-NullSpend-Tags", tags, "X-NullSpend-Session", "s\u001b[31m"),
        body: JSON.stringify({ model: odd, messages: [{ role: odd, content: odd }], user: odd }),
      });
      for (const target of [`/v1/${inAddress}`, `/api/keys/${inAddress}`, `/api/decisions/x?${inAddress}=1`])
        await ask(`GET ${target}`, { by: alpha });
      await ask("POST /api/keys", { by: alpha, body: { name: odd } });
      await ask("POST /api/freezes", { by: alpha, body: { entityType: "customer", entityId: "n9", reason: odd } });
    }
    const lines = gateway.logs().split("\n").filter(Boolean);
    expect(lines.length).toBeGreaterThan(ODD.length);
    for (const line of lines) expectOneLine(`${line}\n`);
    expect(gateway.logs()).not.toContain('"msg":"forged"');
  });

  function expectOneLine(line: string): void {
    expect(line.endsWith("}\n") && line.indexOf("\n") === line.length - 1, line).toBe(true);
    expect(CONTROL.test(line.slice(0, -1)), line).toBe(false);
    const read = JSON.parse(line) as { level: string };
    expect(["debug", "info", "warn", "error"]).toContain(read.level);
    // Nor is one hidden in an escape, for whoever prints the field; stacks have lines, and nothing else.
    expect(CONTROL.test(JSON.stringify(read, (_name, value: unknown) => value)), line).toBe(false);
    visit(read, (text, name) => expect(CONTROL.test(text) || (name !== "stack" && text.includes("\n")), `${name}: ${line}`).toBe(false));
  }

  function visit(value: unknown, look: (text: string, name: string) => void, name = ""): void {
    if (typeof value === "string") look(value, name);
    else if (typeof value === "object" && value !== null) for (const [key, member] of Object.entries(value)) visit(member, look, key);
  }
});
