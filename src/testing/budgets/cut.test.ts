import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { costNano, type PricedModel } from "@/testing/clients/prices";
import { storedEvents } from "@/testing/events";
import type { Scenario } from "@/testing/fake-provider";
import { headerList, rawRequest } from "@/testing/raw-http";
import { startProduct, type Product } from "@/testing/server";
import { createSpender, openStream, requestOf, send, settledBalance, violations, type Spender } from "./spender";

// What would break in production: a stream that may write more than is left is either refused although a short answer would fit, or
// runs on past the limit, on the provider's bill.

const messages = [{ role: "user", content: "Write on." }];
type Api = { name: string; model: PricedModel; target: string; body: object; headers?: string[]; errorOf(body: string): unknown };

const lastData = (body: string): { error?: { code?: unknown; details?: { error_code?: unknown } }; code?: unknown; type?: unknown } =>
  JSON.parse(
    body
      .trimEnd()
      .split("\n\n")
      .at(-1)!
      .split("\n")
      .at(-1)!
      .replace(/^data: /, ""),
  ) as ReturnType<typeof lastData>;

const CHAT: Api = {
  name: "a chat completion",
  model: "gpt-4o-mini",
  target: "/v1/chat/completions",
  body: { model: "gpt-4o-mini", service_tier: "default", stream: true, stream_options: { include_usage: true }, messages },
  errorOf: (body) => lastData(body).error?.code,
};
const APIS: Api[] = [
  CHAT,
  {
    ...CHAT,
    name: "a chat completion whose usage is taken out again",
    body: { model: "gpt-4o-mini", service_tier: "default", stream: true, messages },
  },
  {
    name: "a response",
    model: "gpt-4.1-mini",
    target: "/v1/responses",
    body: { model: "gpt-4.1-mini", service_tier: "default", stream: true, input: "Write on." },
    errorOf: (body) => (lastData(body).type === "error" ? lastData(body).code : undefined),
  },
  {
    name: "a message",
    model: "claude-haiku-4-5",
    target: "/v1/messages",
    body: { model: "claude-haiku-4-5", max_tokens: 20_000, stream: true, messages },
    headers: headerList("anthropic-version: 2023-06-01"),
    errorOf: (body) => (lastData(body).type === "error" ? lastData(body).error?.details?.error_code : undefined),
  },
];

/** Microdollars that pay for so many output tokens and a little input. */
const paysFor = (model: PricedModel, output: number): number => Number(costNano(model, { input: 600, output }) / 1_000n);

/** Faster than any model of today: a thousand tokens a second. */
const LONG: Scenario = { tokens: { input: 20, output: 6_000 }, chunks: 3_000, gapMs: 2 };
const EMOJI = "今天天气很好，我们去公园散步。Nice 👩‍👩‍👧‍👦 flag 🏳️‍🌈 and 🎉🎉🎉! ".repeat(80);

const SCENARIOS: { name: string; scenario: Scenario }[] = [
  { name: "comes token by token", scenario: LONG },
  { name: "was made a hundred tokens ahead of what was read when it was stopped", scenario: { ...LONG, runsAheadTokens: 100 } },
  { name: "was made a second ahead", scenario: { ...LONG, runsAheadTokens: 700 } },
  {
    // 400 tokens a second.
    name: "is made for another second after the provider was told to stop, and was ahead of what was read",
    scenario: { ...LONG, gapMs: 5, goesOnMs: 1_000, runsAheadTokens: 150 },
  },
  {
    name: "is made to its end whatever the provider is told, a second later",
    scenario: { ...LONG, tokens: { input: 20, output: 1_500 }, chunks: 750, keepsGenerating: true },
  },
  {
    name: "has characters of many bytes, in packets of three events",
    scenario: { text: EMOJI, chunks: 1_500, gapMs: 2, cut: { coalesce: 3 } },
  },
  { name: "has characters of many bytes, byte by byte", scenario: { text: EMOJI, chunks: 400, gapMs: 2, cut: "byte" } },
  { name: "ends its lines with CRLF and sends comments", scenario: { ...LONG, newline: "\r\n", comments: true } },
  { name: "never tells its usage", scenario: { ...LONG, usage: "missing" } },
];

let product: Product;
beforeAll(async () => {
  product = await startProduct();
});
afterAll(async () => {
  await product?.stop();
});

async function expectCut(api: Api, spender: Spender, limitMicrodollars: number, scenario: Scenario): Promise<void> {
  const { fake } = product;
  const seenBefore = fake.log.length;
  const answer = await send(product, spender, { ...api, scenario });
  expect(answer.status, answer.body.toString().slice(0, 300)).toBe(200);
  expect(answer.complete).toBe(true);
  const body = answer.body.toString();
  expect(api.errorOf(body.replaceAll("\r\n", "\n"))).toBe("budget_exceeded");
  expect(body).not.toContain("\ufffd");
  expect(fake.log.length).toBe(seenBefore + 1);
  const exchange = fake.log[seenBefore]!;
  await exchange.ended;
  expect(exchange.outcome).toBe("aborted");
  const billed = costNano(api.model, exchange.billed);
  const { spentNano } = await settledBalance(product, spender);
  const limit = BigInt(limitMicrodollars) * 1_000n;
  console.log(`${api.name}: limit ${limit}, spent ${spentNano}, billed ${billed}, output ${exchange.billed.output}`);
  expect(billed).toBeLessThanOrEqual(limit);
  expect(spentNano).toBeLessThanOrEqual(limit);
  expect(spentNano).toBeGreaterThanOrEqual(billed);
  expect(await violations(product, spender)).toEqual([]);
}

describe.each(APIS)("$name that reaches the limit", (api) => {
  const limitMicrodollars = paysFor(api.model, 1_600);
  it.each(SCENARIOS)("ends with the provider's own error, within the limit, where the answer $name", async ({ scenario }) => {
    const spender = await createSpender(product, { limitMicrodollars });
    await expectCut(api, spender, limitMicrodollars, scenario);
  });

  it("passes byte by byte as it came where all of it fits, although its bound does not", async () => {
    const spender = await createSpender(product, { limitMicrodollars });
    const scenario: Scenario = { tokens: { input: 20, output: 400 }, chunks: 100, gapMs: 1, seed: "whole" };
    const through = await send(product, spender, { ...api, scenario });
    const call = requestOf(product, spender, { ...api, scenario });
    const direct = await rawRequest({ ...call, port: product.fake.port });
    expect(through.status).toBe(200);
    expect(through.body.equals(direct.body)).toBe(true);
    expect((await settledBalance(product, spender)).spentNano).toBe(costNano(api.model, { input: 20, output: 400 }));
    expect(await violations(product, spender)).toEqual([]);
  });
});

describe("a stream that thinks unseen", () => {
  it("is denied with what it could afford, where thinking has no bound but the model's", async () => {
    const spender = await createSpender(product, { limitMicrodollars: paysFor("gpt-5-mini", 1_600) });
    const seenBefore = product.fake.log.length;
    const answer = await send(product, spender, { body: { model: "gpt-5-mini", stream: true, messages } });
    expect(answer.status).toBe(429);
    const { error } = JSON.parse(answer.body.toString()) as { error: { code: string; details: Record<string, unknown> } };
    expect(error.code).toBe("budget_exceeded");
    expect(error.details["affordable_output_tokens"]).toBeGreaterThan(0);
    expect(product.fake.log.length).toBe(seenBefore);
  });

  it("is cut within the limit, where its thinking has a budget", async () => {
    const limitMicrodollars = paysFor("claude-haiku-4-5", 3_500);
    const spender = await createSpender(product, { limitMicrodollars });
    const api = { ...APIS[3]!, body: { ...APIS[3]!.body, thinking: { type: "enabled", budget_tokens: 1_500 } } };
    const scenario: Scenario = { ...LONG, thinking: "I think so.", tokens: { input: 20, output: 6_000, reasoning: 1_400 } };
    await expectCut(api, spender, limitMicrodollars, scenario);
  });

  it("is cut within the limit, where it thinks, runs ahead and goes on after it was told to stop", async () => {
    const limitMicrodollars = paysFor("claude-haiku-4-5", 3_500);
    const spender = await createSpender(product, { limitMicrodollars });
    const api = { ...APIS[3]!, body: { ...APIS[3]!.body, thinking: { type: "enabled", budget_tokens: 1_500 } } };
    const tokens = { input: 20, output: 6_000, reasoning: 1_500 };
    await expectCut(api, spender, limitMicrodollars, { ...LONG, gapMs: 5, tokens, goesOnMs: 1_000, runsAheadTokens: 150 });
  });
});

/** Each caller reads a little and leaves. */
async function leaveUntilDenied(api: Api, spender: Spender, scenario: Scenario): Promise<{ sent: number; billed: bigint }> {
  const { fake } = product;
  const seenBefore = fake.log.length;
  for (let call = 0; call < 200; call += 1) {
    const { connection, answer } = await openStream(product, spender, { ...api, scenario });
    // A denial, and an answer that ends before its first word, end the connection.
    const hasBegun = await connection.until((received) => received.includes("word") || received.includes("budget_exceeded"));
    const isOver = !hasBegun || connection.received.includes("budget_exceeded");
    connection.reset();
    await answer.catch(() => {});
    await settledBalance(product, spender);
    if (isOver) break;
  }
  const exchanges = fake.log.slice(seenBefore);
  await Promise.all(exchanges.map(({ ended }) => ended));
  return { sent: exchanges.length, billed: exchanges.reduce((sum, { billed }) => sum + costNano(api.model, billed), 0n) };
}

describe("callers who leave their streams, again and again", () => {
  const outputTokens = 20_000;
  const scenario: Scenario = { tokens: { input: 20, output: outputTokens }, chunks: 10_000, gapMs: 5 };
  const body = (api: Api): object => ({ ...api.body, stream_options: undefined, max_tokens: 2_000 });
  it.each<{ name: string; model: PricedModel; api: Api; scenario: Scenario }>([
    { name: "that are made ahead of what was read", model: "gpt-4o-mini", api: CHAT, scenario: { ...scenario, runsAheadTokens: 200 } },
    { name: "that are made for another second", model: "gpt-4o-mini", api: CHAT, scenario: { ...scenario, goesOnMs: 1_000 } },
    {
      name: "that think unseen and are made for another second",
      model: "claude-haiku-4-5",
      api: APIS[3]!,
      scenario: { ...scenario, goesOnMs: 1_000 },
    },
  ])("$name: the provider bills no more than the limit", async ({ model, api, scenario: made }) => {
    const limitMicrodollars = paysFor(model, 5_000);
    const spender = await createSpender(product, { limitMicrodollars });
    const { sent, billed } = await leaveUntilDenied({ ...api, body: body(api) }, spender, made);
    const { spentNano } = await settledBalance(product, spender);
    console.log(`limit ${BigInt(limitMicrodollars) * 1_000n}, ${sent} calls, spent ${spentNano}, billed ${billed}`);
    expect(sent).toBeGreaterThan(1);
    expect(billed).toBeLessThanOrEqual(spentNano);
    expect(spentNano).toBeLessThanOrEqual(BigInt(limitMicrodollars) * 1_000n);
    expect(await violations(product, spender)).toEqual([]);
  });
});

it("every cut call has one event, interrupted and labelled as a bound", async () => {
  const events = await storedEvents(product, 1);
  const cut = events.filter(({ denialCode, status }) => denialCode === "budget_exceeded" && status === "interrupted");
  expect(cut.length).toBeGreaterThanOrEqual(APIS.length * SCENARIOS.length + 2);
  expect(new Set(cut.map(({ costBasis }) => costBasis))).toEqual(new Set(["bounded"]));
});
