import { afterAll, beforeAll, expect, it } from "vitest";
import { eventually } from "@/testing/faults/gateway-server";
import { startProduct, type Product } from "@/testing/server";
import { createSpender, openStream, rest, send, violations, type Spender } from "./spender";

// What would break in production: somebody resets, deletes or lowers a budget while calls run, and those are charged nowhere, twice, or
// to the new period.

const STREAMS = 20;
/** 9 tokens at 150 nanodollars, 80 at 600. */
const COST_NANO = 49_350n;
const call = (gate: string) => ({
  body: { model: "gpt-4o-mini", service_tier: "default", stream: true, max_tokens: 500, messages: [{ role: "user", content: "hi" }] },
  scenario: { tokens: { input: 9, output: 80 }, holds: [{ at: 4, gate }] },
});

let product: Product;
beforeAll(async () => {
  product = await startProduct();
});
afterAll(() => product?.stop());

/** What each period was charged, the oldest first. */
async function spentByPeriod({ budgetId }: Spender): Promise<bigint[]> {
  const { rows } = await product.database.pool.query<{ spent: string }>(
    "select spent_nano::text as spent from budget_balance where budget_id = $1 and session_id is null order by starts_at, id",
    [budgetId.replace("ns_bgt_", "")],
  );
  return rows.map(({ spent }) => BigInt(spent));
}

type Change = { name: string; change: (spender: Spender) => Promise<unknown>; next: number };
it.each<Change>([
  { name: "G2: a reset", change: ({ budgetId }) => rest(product, "POST", `/api/budgets/${budgetId}/reset`, {}), next: 200 },
  { name: "A10: a deletion", change: ({ budgetId }) => rest(product, "DELETE", `/api/budgets/${budgetId}`), next: 200 },
  {
    name: "A9: a limit lowered below what is held",
    change: ({ budgetId }) => rest(product, "PATCH", `/api/budgets/${budgetId}`, { maxBudgetMicrodollars: 1 }),
    next: 429,
  },
  {
    name: "G5: another interval",
    change: ({ budgetId }) => rest(product, "PATCH", `/api/budgets/${budgetId}`, { resetInterval: "daily" }),
    next: 200,
  },
  { name: "A12: the key revoked", change: ({ keyId }) => rest(product, "DELETE", `/api/keys/ns_key_${keyId}`), next: 401 },
])("$name while calls run: they end undisturbed and are charged once, to the period that admitted them", async ({ name, change, next }) => {
  const spender = await createSpender(product, { limitMicrodollars: 1_000_000 });
  const streams = await Promise.all(Array.from({ length: STREAMS }, () => openStream(product, spender, call(name))));
  await product.fake.gates.reached(name, STREAMS);
  await change(spender);
  const after = await eventually(
    () => send(product, spender, { ...call("none"), scenario: { tokens: { input: 9, output: 80 } } }),
    ({ status }) => status === next,
    1_500,
  );
  expect(after.status).toBe(next);
  product.fake.gates.release(name);
  for (const { answer } of streams) expect((await answer).body.toString()).toContain("data: [DONE]");
  const charged = await eventually(
    () => spentByPeriod(spender),
    (spent) => spent[0]! >= BigInt(STREAMS) * COST_NANO,
  );
  expect(charged[0]! % COST_NANO).toBe(0n);
  const events = await product.database.prisma.costEvent.findMany({ where: { apiKeyId: spender.keyId, chargedNano: { gt: 0 } } });
  expect(new Set(events.map(({ id }) => id)).size).toBe(events.length);
  expect(events.length).toBeGreaterThanOrEqual(STREAMS);
  await eventually(
    async () => violations(product, spender),
    (found) => found.length === 0,
  );
});
