import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { settledEvent } from "@/testing/events";
import type { Scenario } from "@/testing/fake-provider";
import { headerList } from "@/testing/raw-http";
import { startProduct, type Product } from "@/testing/server";
import { createSpender, openStream, rest, send, violations, type Spender } from "./spender";

// What would break in production: the one button for an agent gone wrong leaves what it is doing right now running.

const messages = [{ role: "user", content: "hi" }];
const CHAT = { body: { model: "gpt-4o-mini", messages } };
const CUSTOMER = headerList("X-NullSpend-Customer: acme");
const IN_FORCE_MS_MAX = 1_000;

let first: Product;
let second: Product;
beforeAll(async () => {
  first = await startProduct();
  second = await startProduct({ fake: first.fake, database: first.database });
});
afterAll(async () => {
  await second?.stop();
  await first?.stop();
});

type Frozen = { entityType: string; entityId?: string };
const freeze = async (what: Frozen): Promise<string> =>
  String((await rest(first, "POST", "/api/freezes", { ...what, reason: "runs wild" })).data["id"]);
const unfreeze = (id: string): Promise<unknown> => rest(second, "DELETE", `/api/freezes/${id}`);

/** Milliseconds until a process answers with this status. */
async function until(product: Product, spender: Spender, status: number): Promise<number> {
  const startedAt = performance.now();
  for (;;) {
    const answer = await send(product, spender, { ...CHAT, headers: CUSTOMER });
    const ms = performance.now() - startedAt;
    if (answer.status === status) return ms;
    if (ms > 5_000) throw new Error(`still ${answer.status}: ${answer.body.toString()}`);
  }
}

describe.each<{ name: string; what: (spender: Spender) => Frozen }>([
  { name: "a key", what: ({ keyId }) => ({ entityType: "api_key", entityId: `ns_key_${keyId}` }) },
  { name: "a customer", what: () => ({ entityType: "customer", entityId: "acme" }) },
  { name: "the organisation", what: () => ({ entityType: "org" }) },
])("freezing $name", ({ what }) => {
  it("is in force on every process within a second, and so is lifting it", async () => {
    const spender = await createSpender(first, { limitMicrodollars: 10_000_000 });
    for (const product of [first, second]) await until(product, spender, 200);
    const id = await freeze(what(spender));
    const frozen = await Promise.all([first, second].map((product) => until(product, spender, 423)));
    const seen = first.fake.log.length;
    const denied = await send(second, spender, { ...CHAT, headers: CUSTOMER });
    expect(denied.header("x-should-retry")).toBe("false");
    expect((JSON.parse(denied.body.toString()) as { error: unknown }).error).toMatchObject({
      code: "frozen",
      message: expect.stringContaining("runs wild") as string,
      details: { entity_type: what(spender).entityType, reason: "runs wild" },
    });
    expect(first.fake.log.length).toBe(seen);
    await unfreeze(id);
    const lifted = await Promise.all([first, second].map((product) => until(product, spender, 200)));
    console.log(`frozen after ${frozen.map(Math.round).join(" and ")} ms, lifted after ${lifted.map(Math.round).join(" and ")} ms`);
    for (const ms of [...frozen, ...lifted]) expect(ms).toBeLessThan(IN_FORCE_MS_MAX);
  });

  it.each<{ name: string; target: string; body: object; headers: string[]; scenario: Scenario; end: string }>([
    {
      name: "a chat completion",
      target: "/v1/chat/completions",
      body: { model: "gpt-4o-mini", stream: true, messages },
      headers: [],
      scenario: {},
      end: '"code":"frozen"',
    },
    {
      name: "a response",
      target: "/v1/responses",
      body: { model: "gpt-4.1-mini", stream: true, input: "hi" },
      headers: [],
      scenario: { cut: { coalesce: 3 } },
      end: '"code":"frozen"',
    },
    {
      name: "a message",
      target: "/v1/messages",
      body: { model: "claude-haiku-4-5", max_tokens: 4_000, stream: true, messages },
      headers: headerList("anthropic-version: 2023-06-01"),
      scenario: {},
      end: '"error_code":"frozen"',
    },
  ])("ends $name that is live, on another process, within a second", async ({ target, body, headers, scenario, end }) => {
    const spender = await createSpender(first, { limitMicrodollars: 10_000_000 });
    const paced: Scenario = { tokens: { input: 10, output: 2_000 }, chunks: 1_000, gapMs: 10, ...scenario };
    const { connection, answer } = await openStream(second, spender, { target, body, headers: [...CUSTOMER, ...headers], scenario: paced });
    await connection.until((received) => received.includes("data: "));
    const id = await freeze(what(spender));
    const frozenAt = performance.now();
    const response = await answer;
    const ms = performance.now() - frozenAt;
    await unfreeze(id);
    console.log(`ended after ${Math.round(ms)} ms`);
    expect(ms).toBeLessThan(IN_FORCE_MS_MAX);
    expect(response.status).toBe(200);
    expect(response.complete).toBe(true);
    const events = response.body.toString().trimEnd().split("\n\n");
    expect(events.at(-1)).toContain(end);
    for (const event of events) {
      const data = event.split("\n").find((line) => line.startsWith("data: "))!;
      expect(() => JSON.parse(data.slice(6)) as unknown).not.toThrow();
    }
    const exchange = first.fake.log.at(-1)!;
    await exchange.ended;
    expect(exchange.outcome).toBe("aborted");
    const event = await settledEvent(first, response.header("x-nullspend-request-id"));
    expect(event).toMatchObject({ status: "interrupted", denialCode: "frozen", costBasis: "bounded" });
    expect(await violations(first, spender)).toEqual([]);
  });

  it("closes the connection of a stream that is silent in the middle of an event", async () => {
    const spender = await createSpender(first, { limitMicrodollars: 10_000_000 });
    const { connection, answer } = await openStream(second, spender, {
      body: { model: "gpt-4o-mini", stream: true, stream_options: { include_usage: true }, messages },
      headers: CUSTOMER,
      scenario: { fault: { kind: "silence", at: { bytes: 700 } } },
    });
    await connection.until((received) => received.includes("data: "));
    const id = await freeze(what(spender));
    const frozenAt = performance.now();
    const response = await answer;
    expect(performance.now() - frozenAt).toBeLessThan(IN_FORCE_MS_MAX);
    await unfreeze(id);
    // An event of ours behind half an event could not be read by any client.
    expect(response.complete).toBe(false);
    expect(response.body.toString()).not.toContain("frozen");
    expect(await violations(first, spender)).toEqual([]);
  });

  it("answers 423 to a call whose answer has not begun", async () => {
    const spender = await createSpender(first, { limitMicrodollars: 10_000_000 });
    const { answer } = await openStream(second, spender, {
      ...CHAT,
      headers: CUSTOMER,
      scenario: { holds: [{ at: "headers", gate: `frozen ${spender.keyId}` }] },
    });
    await first.fake.gates.reached(`frozen ${spender.keyId}`);
    const id = await freeze(what(spender));
    const frozenAt = performance.now();
    expect((await answer).status).toBe(423);
    expect(performance.now() - frozenAt).toBeLessThan(IN_FORCE_MS_MAX);
    await unfreeze(id);
    expect(await violations(first, spender)).toEqual([]);
  });
});

it("streams of other customers go on", async () => {
  const spender = await createSpender(first, { limitMicrodollars: 10_000_000 });
  const { answer } = await openStream(second, spender, {
    body: { model: "gpt-4o-mini", stream: true, messages },
    headers: headerList("X-NullSpend-Customer: globex"),
    scenario: { holds: [{ at: 3, gate: "others" }] },
  });
  await first.fake.gates.reached("others");
  const id = await freeze({ entityType: "customer", entityId: "acme" });
  await until(second, spender, 423);
  first.fake.gates.release("others");
  expect((await answer).body.toString()).toContain("data: [DONE]");
  await unfreeze(id);
});
