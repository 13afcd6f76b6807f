import { afterAll, beforeAll, expect, it } from "vitest";
import { routes } from "@/adapters/http/routes";
import { createTestDatabase, type TestDatabase } from "@/testing/database";
import { createApiKey, createOrganisation, type TestApiKey } from "@/testing/factories";
import { startRestServer, type RestTestServer } from "@/testing/rest-server";

// What would break in production: an agent that has read its own key raises its budget, makes its model free, deletes what stops it, or
// approves what it asked for. Every route of the table is asked, so that a new one is, too.

const AGENT_SCOPES = ["proxy", "ingest", "self"] as const;
/** What decides over money and rights; an agent changes none of it. */
const TABLES = [
  "organisation",
  "membership",
  "api_key",
  "api_key_secret",
  "price",
  "budget",
  "freeze",
  "approval_policy",
  "webhook_endpoint",
  "action_decision",
];

let database: TestDatabase;
let server: RestTestServer;
let agent: TestApiKey;
let admin: TestApiKey;
let ids: Record<string, string>;
beforeAll(async () => {
  database = await createTestDatabase();
  server = await startRestServer(database);
  const { prisma } = database;
  const org = await createOrganisation({ prisma });
  // Of the owner: the scopes alone must hold it back.
  agent = await createApiKey({ prisma, org, scopes: [...AGENT_SCOPES] });
  admin = await createApiKey({ prisma, org, scopes: ["read", "manage"] });
  const made = async (what: string, key: TestApiKey, body: unknown): Promise<string> => {
    const answer = await server.send(what, { key: key.rawKey, body });
    expect(answer.status, `${what}: ${answer.text}`).toBeLessThan(300);
    return (answer.json as { data: { id: string } }).data.id;
  };
  ids = {
    budget: await made("POST /api/budgets", admin, {
      entityType: "api_key",
      entityId: `ns_key_${agent.keyId}`,
      maxBudgetMicrodollars: 1_000,
    }),
    freeze: await made("POST /api/freezes", admin, { entityType: "customer", entityId: "acme", reason: "test" }),
    toolCost: await made("POST /api/tool-costs", admin, { serverName: "s", toolName: "t", costMicrodollars: 500 }),
    key: `ns_key_${agent.keyId}`,
  };
  expect(
    (await server.send("PUT /api/prices/openai/mine", { key: admin.rawKey, body: { inputUsdPerMTok: "1", outputUsdPerMTok: "1" } })).status,
  ).toBe(200);
});
afterAll(async () => {
  await server?.close();
  await database?.drop();
});

const snapshot = async (): Promise<Record<string, string>> => {
  const held: Record<string, string> = {};
  for (const table of TABLES) {
    const { rows } = await database.pool.query<{ whole: string }>(
      `select coalesce(string_agg((to_jsonb(t) - 'last_used_at')::text, E'\\n' order by (to_jsonb(t) - 'last_used_at')::text), '') as whole from "${table}" t`,
    );
    held[table] = rows[0]!.whole;
  }
  const { rows } = await database.pool.query<{ row: string }>("select to_jsonb(t)::text as row from tool_cost t where id::text = $1", [
    ids["toolCost"]!.replace(/^ns_[a-z]+_/, ""),
  ]);
  expect(rows).toHaveLength(1);
  held["tool_cost"] = rows[0]!.row;
  return held;
};

/** Every field that any of the changes takes. */
const WISHES = {
  entityType: "api_key",
  maxBudgetMicrodollars: 1_000_000_000,
  policy: "warn",
  name: "mine",
  scopes: ["manage"],
  restrictions: {},
  inputUsdPerMTok: "0",
  outputUsdPerMTok: "0",
  serverName: "s",
  toolName: "t",
  costMicrodollars: 0,
  reason: "please",
};

function pathOf(path: string): string {
  const id = path.includes("/budgets")
    ? ids["budget"]!
    : path.includes("/freezes")
      ? ids["freeze"]!
      : path.includes("/keys")
        ? ids["key"]!
        : ids["toolCost"]!;
  return path.replace("/prices/{provider}/{model+}", "/prices/openai/mine").replaceAll(/\{[a-zA-Z]+\+?\}/g, encodeURIComponent(id));
}

it("an agent's own scopes change no budget, price, key, freeze or policy, whichever route they are used on", async () => {
  const before = await snapshot();
  let refused = 0;
  let open = 0;
  for (const { method, path, access } of routes) {
    if (access === "public" || method === "GET") continue;
    const mayAsk = access.key !== "session_only" && access.key.some((scope) => (AGENT_SCOPES as readonly string[]).includes(scope));
    for (const body of [
      {},
      WISHES,
      { maxBudgetMicrodollars: 1_000_000_000 },
      { serverName: "s", toolName: "t", costMicrodollars: 0 },
      { inputUsdPerMTok: "0", outputUsdPerMTok: "0" },
    ]) {
      const answer = await server.send(`${method} ${pathOf(path)}`, { key: agent.rawKey, body });
      if (mayAsk) open += 1;
      else {
        refused += 1;
        expect(answer.status, `${method} ${path}: ${answer.text}`).toBe(403);
      }
      expect(answer.status).toBeLessThan(500);
    }
  }
  console.log(`${refused} requests refused, ${open} of reporting and asking let in, nothing changed`);
  expect(refused).toBeGreaterThan(50);
  expect(await snapshot()).toEqual(before);
});

it("what an agent asks for stays pending, whoever of its own scopes tries to decide it", async () => {
  const asked = await server.send("POST /api/actions", {
    key: agent.rawKey,
    body: { actionType: "http_post", payload: { url: "https://example.com" }, agentId: "agent" },
  });
  expect(asked.status, asked.text).toBe(201);
  const { id } = (asked.json as { data: { id: string } }).data;
  for (const what of ["approve", "reject"]) {
    expect((await server.send(`POST /api/actions/${id}/${what}`, { key: agent.rawKey, body: {} })).status).toBe(403);
  }
  const { rows } = await database.pool.query<{ status: string }>("select status::text as status from action");
  expect(rows).toEqual([{ status: "pending" }]);
});
