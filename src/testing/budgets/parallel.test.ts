import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { hasRealPostgres, NEEDS_REAL_POSTGRES } from "@/testing/database";
import type { RawResponse } from "@/testing/raw-http";
import { startProduct, type Product } from "@/testing/server";
import { createSpender, priceByCall, send, settledBalance, USD, violations, type Spender } from "./spender";

// What would break in production: agents in a fan-out or in a loop pass their limit, because each of their calls was looked at alone.

const MODEL = "agent-one-cent";
const DEAR = "agent-eighteen-cents";
const chat = (model: string): object => ({ model, max_tokens: 50, messages: [{ role: "user", content: "hi" }] });

const skips = !(await hasRealPostgres());
if (skips) console.log(`Parallel budgets are not tried: ${NEEDS_REAL_POSTGRES}`);

describe.skipIf(skips)("a budget that fits exactly a hundred calls", () => {
  let first: Product;
  let second: Product;
  beforeAll(async () => {
    first = await startProduct();
    second = await startProduct({ fake: first.fake, database: first.database });
    await priceByCall(first, MODEL, "0.01");
    await priceByCall(first, DEAR, "0.18");
  });
  afterAll(async () => {
    await second?.stop();
    await first?.stop();
  });

  const calls = (products: readonly Product[], spender: Spender, count: number): Promise<RawResponse[]> =>
    Promise.all(Array.from({ length: count }, (_, i) => send(products[i % products.length]!, spender, { body: chat(MODEL) })));

  async function expectHundred(products: readonly Product[], spender: Spender): Promise<void> {
    const seenBefore = first.fake.log.length;
    const answers = await calls(products, spender, 1_000);
    const count = (status: number): number => answers.filter((answer) => answer.status === status).length;
    expect({ admitted: count(200), denied: count(429) }).toEqual({ admitted: 100, denied: 900 });
    expect(first.fake.log.length - seenBefore).toBe(100);
    expect(await settledBalance(first, spender)).toEqual({ spentNano: USD, reservedNano: 0n, limitNano: USD, excessNano: 0n });
    expect(await violations(first, spender)).toEqual([]);
    for (const answer of answers) {
      expect(answer.header("x-nullspend-budget-limit")).toBe("1000000");
      expect(answer.header("x-nullspend-budget-entity")).toBe(`api_key:ns_key_${spender.keyId}`);
      if (answer.status === 429) expect(answer.header("x-nullspend-denied")).toBe("1");
    }
  }

  it("admits exactly a hundred of a thousand at once", async () => {
    await expectHundred([first], await createSpender(first, { limitMicrodollars: 1_000_000 }));
  });

  it("admits exactly a hundred of a thousand at once over two processes", async () => {
    await expectHundred([first, second], await createSpender(first, { limitMicrodollars: 1_000_000 }));
  });

  it("stops a loop at the last call that fits, and sends nothing after", async () => {
    const spender = await createSpender(first, { limitMicrodollars: 1_000_000 });
    const seenBefore = first.fake.log.length;
    const statuses: number[] = [];
    for (let i = 0; i < 20; i++) statuses.push((await send(i % 2 ? first : second, spender, { body: chat(DEAR) })).status);
    expect(statuses).toEqual([...Array.from({ length: 5 }, () => 200), ...Array.from({ length: 15 }, () => 429)]);
    expect(first.fake.log.length - seenBefore).toBe(5);
    expect((await settledBalance(first, spender)).spentNano).toBe((9n * USD) / 10n);
    expect(await violations(first, spender)).toEqual([]);
  });
});
