import fc from "fast-check";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { startGatewayServer, type GatewayServer } from "@/testing/faults/gateway-server";
import { createSpender, priceByCall, rest, send, settledBalance, violations, type Spender } from "./spender";

// What would break in production: an agent leaves its tag out, misspells it, or names somebody else's, and spends past a budget.

const MODEL = "agent-one-cent";
const CALLS_MAX = 10;

let gateway: GatewayServer;
beforeAll(async () => {
  gateway = await startGatewayServer();
  await priceByCall(gateway, MODEL, "0.01");
});
afterAll(() => gateway?.close());

const LIMIT = { maxBudgetMicrodollars: CALLS_MAX * 10_000 };
const value = fc.constantFrom("search", "Search", "serach", "", " search", "other", "acme", "Acme", "acme2", "globex");
const tagsText = fc.oneof(
  fc
    .dictionary(fc.constantFrom("team", "Team", "TEAM", "taem", "team ", "customer", "__proto__"), value, { maxKeys: 3 })
    .map((tags) => JSON.stringify(tags)),
  fc.constantFrom("{", "[]", "null", '{"team":1}', '{"team":"other","team":"third"}', ""),
);
/** What a caller may say of itself, in every way there is. */
const said = fc.array(
  fc.oneof(
    tagsText.map((text) => ["X-NullSpend-Tags", text]),
    value.map((text) => ["X-NullSpend-Customer", text]),
    value.map((text) => ["Helicone-Property-team", text]),
    value.map((text) => ["Helicone-User-Id", text]),
    value.map((text) => ["X-NullSpend-Session", text]),
    value.map((text) => ["Helicone-Session-Id", text]),
    value.map((text) => ["x-claude-code-session-id", text]),
  ),
  { maxLength: 4 },
);

async function tryToDodge(spender: Spender, always: readonly string[] = []): Promise<number> {
  const seenBefore = gateway.fake.log.length;
  const ways = fc.sample(said, { numRuns: 150, seed: 20_261_124 });
  for (const way of ways) {
    const answer = await send(gateway, spender, {
      body: { model: MODEL, messages: [{ role: "user", content: "hi" }], metadata: { team: "other" }, user: "other" },
      headers: [...way.flat(), ...always],
    });
    expect([200, 400, 403, 429]).toContain(answer.status);
  }
  return gateway.fake.log.length - seenBefore;
}

it.each([
  { what: "tag", entityType: "tag", entityId: "team=search", restrictions: { lockedTags: { team: "search" } } },
  { what: "customer", entityType: "customer", entityId: "acme", restrictions: { lockedCustomer: "acme" } },
])(
  "a key with a locked $what cannot dodge its budget, whatever it leaves out, misspells or overrides",
  async ({ entityType, entityId, restrictions }) => {
    const { data } = await rest(gateway, "POST", "/api/budgets", { entityType, entityId, ...LIMIT });
    const spender = await createSpender(gateway, { limitMicrodollars: 1_000_000_000, restrictions });
    expect(await tryToDodge(spender)).toBe(CALLS_MAX);
    const { spentNano } = await settledBalance(gateway, { ...spender, budgetId: String(data["id"]) });
    expect(spentNano).toBe(BigInt(CALLS_MAX) * 10_000_000n);
    expect(await violations(gateway, spender)).toEqual([]);
  },
);

it.each(["session", "customer", "tag:team"])("a key that requires %s sends nothing without one", async (required) => {
  const spender = await createSpender(gateway, { limitMicrodollars: 1_000_000_000, restrictions: { require: [required] } });
  const seenBefore = gateway.fake.log.length;
  const answer = await send(gateway, spender, { body: { model: MODEL, messages: [{ role: "user", content: "hi" }] } });
  expect(answer.status).toBe(403);
  expect(JSON.parse(answer.body.toString())).toMatchObject({ error: { code: "mandate_violation" } });
  expect(gateway.fake.log.length).toBe(seenBefore);
});

it("the sessions of a key share its budget, however many it makes up", async () => {
  const spender = await createSpender(gateway, { limitMicrodollars: LIMIT.maxBudgetMicrodollars, sessionLimitMicrodollars: 20_000 });
  await sleep(0);
  expect(await tryToDodge(spender)).toBeLessThanOrEqual(CALLS_MAX);
});
