import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { hasRealPostgres, NEEDS_REAL_POSTGRES } from "@/testing/database";
import { headerList, type RawResponse } from "@/testing/raw-http";
import { startProduct, type Product } from "@/testing/server";
import { createSpender, priceByCall, rest, send, settledBalance, USD, violations, type Call, type Spender } from "./spender";

// What would break in production: several processes admit the same last dollar, or calls that count against several budgets lock one
// another and time out.

const LONG = process.env.NULLSPEND_LONG === "1";
const ROUNDS = LONG ? 50 : 2;
const PROCESSES = 4;
const CALLS = 1_000;
const MODEL = "agent-one-cent";
const LIMIT_MICRODOLLARS = 1_000_000;

const skips = !(await hasRealPostgres());
if (skips) console.log(`Several processes are not tried: ${NEEDS_REAL_POSTGRES}`);

/** A spender whose calls also count against budgets on tags. */
type Round = { spender: Spender; tags: string[]; budgetIds: string[] };

describe.skipIf(skips)("A1, A2, A4: four processes and budgets that fit exactly a hundred calls", () => {
  const products: Product[] = [];
  let undecided = 0;
  beforeAll(async () => {
    const first = await startProduct();
    products.push(first);
    const more = Array.from({ length: PROCESSES - 1 }, () => startProduct({ fake: first.fake, database: first.database }));
    products.push(...(await Promise.all(more)));
    await priceByCall(first, MODEL, "0.01");
  });
  afterAll(async () => {
    for (const product of products.toReversed()) await product.stop();
  });

  const deadlocks = async (): Promise<number> => {
    const { rows } = await products[0]!.database.pool.query<{ deadlocks: number }>(
      "select deadlocks::int as deadlocks from pg_stat_database where datname = current_database()",
    );
    return rows[0]!.deadlocks;
  };

  const shuffled = <T>(list: readonly T[]): T[] => list.toSorted(() => Math.random() - 0.5);

  async function prepare(count: number, round: number): Promise<Round> {
    const [first] = products;
    const tags = Array.from({ length: count - 1 }, (_, i) => `t${i}=${count}-${round}`);
    const budgetIds: string[] = [];
    for (const entityId of shuffled(tags)) {
      const body = { entityType: "tag", entityId, maxBudgetMicrodollars: LIMIT_MICRODOLLARS };
      budgetIds.push(String((await rest(first!, "POST", "/api/budgets", body)).data["id"]));
    }
    const spender = await createSpender(first!, { limitMicrodollars: LIMIT_MICRODOLLARS });
    return { spender, tags, budgetIds: [...budgetIds, spender.budgetId] };
  }

  /** A machine that is busy with other things answers 503, which holds and sends nothing: the call is made again, as clients do. */
  async function decided(product: Product, spender: Spender, call: Call): Promise<RawResponse> {
    for (;;) {
      const answer = await send(product, spender, call);
      if (answer.status !== 503) return answer;
      undecided += 1;
    }
  }

  it.each([1, 2, 5])(
    `admit exactly a hundred of a thousand, with %i budgets a call in any order, ${ROUNDS} rounds`,
    async (count) => {
      const [first] = products;
      const rounds = await Promise.all(Array.from({ length: ROUNDS }, (_, round) => prepare(count, round)));
      const deadlocksBefore = await deadlocks();
      let admitted = 0;
      undecided = 0;
      let overshootNano = 0n;
      const startedAt = performance.now();
      for (const { spender, tags, budgetIds } of rounds) {
        const seenBefore = first!.fake.log.length;
        const answers = await Promise.all(
          Array.from({ length: CALLS }, (_, i) => {
            const own = Object.fromEntries(shuffled(tags).map((tag) => tag.split("=")));
            return decided(products[i % PROCESSES]!, spender, {
              body: { model: MODEL, max_tokens: 50, messages: [{ role: "user", content: "hi" }] },
              headers: count > 1 ? headerList(`X-NullSpend-Tags: ${JSON.stringify(own)}`) : [],
            });
          }),
        );
        const withStatus = (status: number): number => answers.filter((answer) => answer.status === status).length;
        expect({ admitted: withStatus(200), denied: withStatus(429) }).toEqual({ admitted: 100, denied: 900 });
        expect(first!.fake.log.length - seenBefore).toBe(100);
        admitted += withStatus(200);
        for (const budgetId of budgetIds) {
          const { spentNano } = await settledBalance(first!, { ...spender, budgetId });
          expect(spentNano).toBe(USD);
          if (spentNano > USD) overshootNano += spentNano - USD;
        }
      }
      await sleep(1_000);
      const deadlocked = (await deadlocks()) - deadlocksBefore;
      console.log(
        `${PROCESSES} processes, ${count} budgets a call, ${ROUNDS} rounds of ${CALLS}: ${admitted} admitted, overshoot ${overshootNano}, ` +
          `deadlocks ${deadlocked}, ${undecided} asked again, ${Math.round((performance.now() - startedAt) / 1_000)} s`,
      );
      expect(deadlocked).toBe(0);
      expect(await violations(first!, rounds[0]!.spender)).toEqual([]);
    },
    LONG ? 1_200_000 : 60_000,
  );
});
