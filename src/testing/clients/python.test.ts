import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { storedEvents, type StoredEvent } from "@/testing/events";
import { scenarioHeader, type Scenario } from "@/testing/fake-provider";
import { ADAPTERS, startProduct, type Product } from "@/testing/server";
import { installPythonClients } from "../../../scripts/python-clients.mjs";
import type { CredentialStyle } from "./clients";
import { openDoor } from "./door";
import { startPythonWorker, type PythonAnswer, type PythonWorker } from "./python-worker";

const { program, reason } = await installPythonClients();
if (!program && process.env.CI) throw new Error(`The Python clients must be tried here, and cannot: ${reason}`);
if (!program) console.log(`The Python clients are not tried: ${reason}. \`node scripts/python-clients.mjs\` installs them.`);

/** A function of `python/worker.py`, what the provider does, and what the event must say. Costs are worked out by hand. */
type Journey = { name: string; scenario: Scenario; expected: Partial<StoredEvent> & { costNano: bigint } };

const weather = [{ name: "weather", arguments: '{"city":"Zürich"}' }];
const weatherCalled = [{ name: "weather", id: expect.any(String) as string }];

const journeys: Journey[] = [
  {
    name: "chat",
    scenario: { tokens: { input: 1_000, cached: 300, output: 200 } },
    // 1,000 × 150 + 300 × 75 + 200 × 600
    expected: { costNano: 292_500n, inputTokens: 1_300, cachedInputTokens: 300, outputTokens: 200, endpoint: "chat/completions" },
  },
  {
    name: "chat_streaming",
    scenario: { tokens: { input: 77, output: 123 }, chunks: 40 },
    // 77 × 150 + 123 × 600
    expected: { costNano: 85_350n, inputTokens: 77, outputTokens: 123 },
  },
  {
    name: "chat_streaming_usage",
    scenario: { tokens: { input: 77, cached: 1_024, output: 123 } },
    // 77 × 150 + 1,024 × 75 + 123 × 600
    expected: { costNano: 162_150n, inputTokens: 1_101, cachedInputTokens: 1_024 },
  },
  // 90 × 150 + 31 × 600
  {
    name: "chat_tool",
    scenario: { tokens: { input: 90, output: 31 }, tools: weather },
    expected: { costNano: 32_100n, toolCalls: weatherCalled },
  },
  {
    name: "chat_tool_streaming",
    scenario: { tokens: { input: 90, output: 31 }, tools: weather },
    expected: { costNano: 32_100n, toolCalls: weatherCalled },
  },
  {
    name: "response",
    scenario: { tokens: { input: 500, cached: 100, output: 40, reasoning: 600 } },
    // 500 × 250 + 100 × 25 + 640 × 2,000
    expected: { costNano: 1_407_500n, outputTokens: 640, reasoningTokens: 600, endpoint: "responses" },
  },
  {
    name: "response_tool_streaming",
    scenario: { tokens: { input: 500, output: 64 }, tools: weather },
    // 500 × 400 + 64 × 1,600
    expected: { costNano: 302_400n, toolCalls: weatherCalled },
  },
  // 12,345 × 20
  {
    name: "embeddings",
    scenario: { tokens: { input: 12_345 } },
    expected: { costNano: 246_900n, endpoint: "embeddings", outputTokens: 0 },
  },
  { name: "openai_models", scenario: {}, expected: { costNano: 0n, provider: "openai" } },
  { name: "async_chat_streaming", scenario: { tokens: { input: 77, output: 123 }, chunks: 40 }, expected: { costNano: 85_350n } },
  {
    name: "message",
    scenario: { tokens: { input: 1_000, output: 200 } },
    // 1,000 × 1,000 + 200 × 5,000
    expected: { costNano: 2_000_000n, inputTokens: 1_000, outputTokens: 200, endpoint: "messages", provider: "anthropic" },
  },
  {
    name: "message_streaming",
    scenario: { tokens: { input: 33, output: 222 }, chunks: 30 },
    // 33 × 1,000 + 222 × 5,000
    expected: { costNano: 1_143_000n, inputTokens: 33, outputTokens: 222 },
  },
  {
    name: "message_caching",
    scenario: { tokens: { input: 10, cached: 20_000, cacheWrite5m: 3_000, cacheWrite1h: 400, output: 50 } },
    // 10 × 1,000 + 20,000 × 100 + 3,000 × 1,250 + 400 × 2,000 + 50 × 5,000
    expected: { costNano: 6_810_000n, inputTokens: 23_410, cachedInputTokens: 20_000, cacheWriteTokens: 3_400 },
  },
  {
    name: "message_caching_streaming",
    scenario: { tokens: { input: 10, cached: 20_000, cacheWrite5m: 3_000, output: 50 } },
    // 10 × 1,000 + 20,000 × 100 + 3,000 × 1,250 + 50 × 5,000
    expected: { costNano: 6_010_000n, inputTokens: 23_010, cacheWriteTokens: 3_000 },
  },
  {
    name: "message_tool_streaming",
    scenario: { tokens: { input: 120, output: 45 }, tools: weather },
    // 120 × 1,000 + 45 × 5,000
    expected: { costNano: 345_000n, toolCalls: weatherCalled },
  },
  { name: "count_tokens", scenario: { tokens: { input: 4_711 } }, expected: { costNano: 0n, provider: "anthropic" } },
  // Of the paths that both providers have: the bearer that newer versions send must not make it OpenAI's.
  { name: "anthropic_models", scenario: {}, expected: { costNano: 0n, provider: "anthropic" } },
  { name: "async_message_streaming", scenario: { tokens: { input: 33, output: 222 }, chunks: 30 }, expected: { costNano: 1_143_000n } },
];

describe.skipIf(!program).each(ADAPTERS)("Python clients through the %s adapter", (adapter) => {
  let product: Product;
  let python: PythonWorker;
  beforeAll(async () => {
    product = await startProduct({ adapter });
    python = startPythonWorker(program!);
  });
  afterAll(async () => {
    await python.stop();
    await product.stop();
  });

  const run = (input: {
    journey: string;
    origin: string;
    headers?: Record<string, string>;
    nullspend?: { key: string; style: CredentialStyle };
  }): Promise<PythonAnswer> => {
    const { journey, origin, headers = {}, nullspend } = input;
    const credential = (providerKey: string): string =>
      nullspend?.style === "composite" ? `${nullspend.key}:${providerKey}` : providerKey;
    return python.run({
      journey,
      origin,
      openaiKey: credential("sk-test-openai"),
      anthropicKey: credential("sk-ant-test"),
      headers: { ...headers, ...(nullspend?.style === "header" && { "X-NullSpend-Key": nullspend.key }) },
    });
  };

  describe.each(["header", "composite"] as const)("credential by %s", (style: CredentialStyle) => {
    it.each(journeys)("$name: the same result as without us, after one request, and one event with the exact cost", async (journey) => {
      const headers = scenarioHeader({ ...journey.scenario, seed: `${adapter} ${style} ${journey.name}` });
      const without = await run({ journey: journey.name, origin: product.fake.url, headers });
      const sentDirectly = product.fake.log.at(-1)!.request;
      const calls = product.fake.log.length;
      const before = (await storedEvents(product, 0)).length;
      const withUs = await run({ journey: journey.name, origin: product.origin, headers, nullspend: { key: product.apiKey, style } });
      const sentThroughUs = product.fake.log.at(-1)!.request;

      expect(without.error).toBeUndefined();
      expect(withUs).toEqual(without);
      expect(product.fake.log).toHaveLength(calls + 1);
      expect(sentThroughUs.target).toBe(sentDirectly.target);
      expect(sentThroughUs.header("authorization")).toBe(sentDirectly.header("authorization"));
      expect(sentThroughUs.header("x-api-key")).toBe(sentDirectly.header("x-api-key"));
      expect(sentThroughUs.head.toString()).not.toContain("ns_live_sk_");

      const events = (await storedEvents(product, before + 1)).slice(before);
      expect(events).toHaveLength(1);
      expect(events[0]).toMatchObject({ status: "ok", costBasis: "reported", ...journey.expected });
    });
  });

  // A program that catches AuthenticationError must catch ours, and a wrong key must not be tried again and again.
  it.each([
    { journey: "chat", type: "openai.AuthenticationError", code: "unauthorized" },
    { journey: "async_chat_streaming", type: "openai.AuthenticationError", code: "unauthorized" },
    { journey: "message", type: "anthropic.AuthenticationError", code: null },
    { journey: "async_message_streaming", type: "anthropic.AuthenticationError", code: null },
  ])("$journey with an unknown key: $type after one try, and nothing reaches the provider", async ({ journey, type, code }) => {
    const door = await openDoor(product.origin);
    const calls = product.fake.log.length;
    const nullspend = { key: `ns_live_sk_${"0".repeat(32)}`, style: "header" as const };
    const { error } = await run({ journey, origin: door.origin, nullspend });
    await door.close();
    expect(error).toMatchObject({ isAuthenticationError: true, type, status: 401, code });
    expect(error?.message).toContain("NullSpend");
    expect(door.requests).toBe(1);
    expect(product.fake.log).toHaveLength(calls);
  });
});
