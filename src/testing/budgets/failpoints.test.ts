import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { costNano } from "@/testing/clients/prices";
import { createTestDatabase, hasRealPostgres, NEEDS_REAL_POSTGRES, type TestDatabase } from "@/testing/database";
import { storedEvents } from "@/testing/events";
import { startFakeProvider, type FakeProvider } from "@/testing/fake-provider";
import { headerList } from "@/testing/raw-http";
import { startProduct, type Product } from "@/testing/server";
import { createSpender, openStream, rest, send, violations, type Spender } from "./spender";

// What would break in production: a process that is killed leaves money held for ever, or calls that the provider bills and nobody
// here knows of. Scored against the provider's own log.

const LONG = process.env.NULLSPEND_LONG === "1";
/** The how-many-eth time a place is passed. */
const SEEDS = LONG ? Array.from({ length: 20 }, (_, i) => i + 1) : [3];
const STREAMS = LONG ? 1_000 : 200;
const CALLS = 24;
const MODEL = "gpt-4o-mini";

const skips = !(await hasRealPostgres());
if (skips) console.log(`Failpoints are not tried: ${NEEDS_REAL_POSTGRES}`);

let fake: FakeProvider;
let database: TestDatabase;
/** Lives on. */
let other: Product;
const dying: Product[] = [];
beforeAll(async () => {
  if (skips) return;
  fake = await startFakeProvider();
  database = await createTestDatabase();
  other = await startProduct({ fake, database });
});
afterEach(async () => {
  fake?.gates.releaseAll();
  for (const product of dying.splice(0)) await product.stop();
});
afterAll(async () => {
  await other?.stop();
  await database?.drop();
  await fake?.close();
});

async function startDying(failpoint: string): Promise<Product> {
  const product = await startProduct({
    fake,
    database,
    env: { NULLSPEND_TEST_ALLOWS_FAILPOINTS: "1", NULLSPEND_FAILPOINT: failpoint },
  });
  dying.push(product);
  return product;
}

/** The same name on both sides: a session here, `user` in the body that the provider sees. */
const call = (name: string, { stream, outputTokens, cap }: { stream: boolean; outputTokens: number; cap: number }) => ({
  headers: headerList(`X-NullSpend-Session: ${name}`),
  body: { model: MODEL, service_tier: "default", stream, max_tokens: cap, user: name, messages: [{ role: "user", content: "hi" }] },
  scenario: { tokens: { input: 9, output: outputTokens }, chunks: Math.ceil(outputTokens / 4), gapMs: 1 },
});

const heldCalls = async (): Promise<number> => {
  const { rows } = await database.pool.query<{ count: number }>("select count(*)::int as count from reservation where state = 'held'");
  return rows[0]!.count;
};

/** What a killed process had sent is still carried out; then the leases end, for which nobody waits two minutes in a test. */
async function endLeases(): Promise<void> {
  await sleep(300);
  await database.pool.query("update reservation set lease_until = clock_timestamp() - interval '1 second' where state = 'held'");
}

async function expectAccounted(prefix: string, spender: Spender): Promise<{ forwarded: number; bounded: number }> {
  await expect.poll(heldCalls, { timeout: 20_000 }).toBe(0);
  const events = (await storedEvents(other, 0)).filter(({ sessionId }) => sessionId?.startsWith(prefix));
  const names = events.map(({ sessionId }) => sessionId);
  expect(new Set(names).size).toBe(names.length);
  const forwarded = fake.log.filter(({ request }) => request.body.includes(`"user":"${prefix}`));
  for (const exchange of forwarded) {
    await exchange.ended;
    const { user } = JSON.parse(exchange.request.body.toString()) as { user: string };
    const event = events.find(({ sessionId }) => sessionId === user);
    expect(event, `the provider saw ${user}`).toBeDefined();
    expect(event!.chargedNano, user).toBeGreaterThanOrEqual(costNano(MODEL, exchange.billed));
  }
  const { rows } = await database.pool.query<{ spent: string; reserved: string }>(
    "select spent_nano::text as spent, reserved_nano::text as reserved from budget_balance where budget_id = $1 and session_id is null",
    [spender.budgetId.replace("ns_bgt_", "")],
  );
  const charged = events.reduce((sum, { chargedNano }) => sum + chargedNano, 0n);
  expect({ spent: BigInt(rows[0]?.spent ?? "0"), reserved: BigInt(rows[0]?.reserved ?? "0") }).toEqual({ spent: charged, reserved: 0n });
  const { data } = await rest(other, "GET", "/api/integrity");
  expect(data).toMatchObject({ ok: true });
  expect(await violations(other, spender)).toEqual([]);
  return { forwarded: forwarded.length, bounded: events.filter(({ costBasis }) => costBasis === "bounded").length };
}

const POINTS = [
  "after-auth",
  "before-reserve",
  "after-reserve",
  "before-send",
  "after-send",
  "after-head",
  "after-piece",
  "after-usage",
  "before-settle",
  "after-settle",
];

/** Passed once for many calls. */
const BATCHED = new Set(["after-reserve", "before-settle", "after-settle"]);

describe.skipIf(skips)("B1: kill -9 of a running server", () => {
  it.each(POINTS)(
    "B1: %s: once leases are over nothing is held, and each call that was forwarded has exactly one event",
    async (point) => {
      for (const seed of SEEDS) {
        if (BATCHED.has(point) && seed !== SEEDS[0]) break;
        const times = point === "after-piece" ? seed * 10 : BATCHED.has(point) ? 1 : seed;
        const product = await startDying(`${point}:${times}`);
        const spender = await createSpender(product, { limitMicrodollars: 1_000_000 });
        const prefix = `${point}-${seed}-`;
        await Promise.allSettled(
          Array.from({ length: CALLS }, (_, i) =>
            send(product, spender, call(`${prefix}${i}`, { stream: i % 3 !== 0, outputTokens: 40 + i, cap: 500 })),
          ),
        );
        expect((await product.exited).signal).toBe("SIGKILL");
        await endLeases();
        const { forwarded, bounded } = await expectAccounted(prefix, spender);
        console.log(`${point}:${times}: ${forwarded} forwarded, each with one event, ${bounded} of them bounded`);
      }
    },
    LONG ? 600_000 : 60_000,
  );

  it("B1: after-extend: a stream whose hold had grown is charged what was held", async () => {
    const product = await startDying("after-extend:2");
    const spender = await createSpender(product, { limitMicrodollars: 4_000 });
    const answer = send(product, spender, call("after-extend-0", { stream: true, outputTokens: 6_000, cap: 16_000 }));
    await Promise.allSettled([answer]);
    expect((await product.exited).signal).toBe("SIGKILL");
    await endLeases();
    expect(await expectAccounted("after-extend-", spender)).toEqual({ forwarded: 1, bounded: 1 });
  });

  it.each(["before-expire:1", "after-expire:1"])(
    "B1, B3: in the sweep, %s, with another one sweeping: each hold expires once",
    async (point) => {
      const prefix = `sweep-${point}-`;
      const first = await startDying("after-piece:40");
      const spender = await createSpender(first, { limitMicrodollars: 1_000_000 });
      await Promise.allSettled(
        Array.from({ length: CALLS }, (_, i) => send(first, spender, call(`${prefix}${i}`, { stream: true, outputTokens: 400, cap: 500 }))),
      );
      expect((await first.exited).signal).toBe("SIGKILL");
      await endLeases();
      // It dies at its first sweep, ready or not.
      const sweeping = await startDying(point).catch(() => undefined);
      if (sweeping) expect((await sweeping.exited).signal).toBe("SIGKILL");
      const { forwarded, bounded } = await expectAccounted(prefix, spender);
      console.log(`${point}: ${forwarded} forwarded, ${bounded} expired or bounded`);
    },
  );
});

describe.skipIf(skips)("B2: kill -9 with live streams", () => {
  it(`B2: ${STREAMS} live streams that hold money: one event each, no less than the provider bills`, { timeout: 180_000 }, async () => {
    const product = await startProduct({ fake, database });
    dying.push(product);
    const spender = await createSpender(product, { limitMicrodollars: 100_000_000 });
    const streams = await Promise.all(
      Array.from({ length: STREAMS }, (_, i) => {
        const { scenario, ...withoutScenario } = call(`live-${i}`, { stream: true, outputTokens: 80, cap: 500 });
        return openStream(product, spender, { ...withoutScenario, scenario: { ...scenario, holds: [{ at: 4, gate: "live" }] } });
      }),
    );
    const ended = Promise.allSettled(streams.map(({ answer }) => answer));
    await fake.gates.reached("live", STREAMS);
    expect(await heldCalls()).toBe(STREAMS);
    await product.kill();
    await ended;
    await endLeases();
    const { forwarded, bounded } = await expectAccounted("live-", spender);
    console.log(`${STREAMS} live streams killed: ${forwarded} forwarded, ${bounded} bounded events`);
    expect({ forwarded, bounded }).toEqual({ forwarded: STREAMS, bounded: STREAMS });
  });
});
