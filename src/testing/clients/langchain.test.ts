import { ChatAnthropic } from "@langchain/anthropic";
import type { AIMessageChunk } from "@langchain/core/messages";
import { tool } from "@langchain/core/tools";
import { ChatOpenAI, OpenAIEmbeddings } from "@langchain/openai";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { storedEvents, type StoredEvent } from "@/testing/events";
import { scenarioHeader, type Scenario } from "@/testing/fake-provider";
import { ADAPTERS, startProduct, type Product } from "@/testing/server";
import type { CredentialStyle } from "./clients";
import { openDoor } from "./door";

type Models = { openai: ChatOpenAI; responses: ChatOpenAI; anthropic: ChatAnthropic; embeddings: OpenAIEmbeddings };
type Journey = {
  name: string;
  scenario: Scenario;
  /** The cost is worked out by hand. */
  expected: Partial<StoredEvent> & { costNano: bigint };
  run(models: Models): Promise<unknown>;
};

/** LangChain as its manual sets it up behind a gateway; its own retries stay on. */
function createModels(options: {
  origin: string;
  headers?: Record<string, string>;
  nullspend?: { key: string; style: CredentialStyle };
}): Models {
  const { origin, headers = {}, nullspend } = options;
  const credential = (providerKey: string): string => (nullspend?.style === "composite" ? `${nullspend.key}:${providerKey}` : providerKey);
  const defaultHeaders = { ...headers, ...(nullspend?.style === "header" && { "X-NullSpend-Key": nullspend.key }) };
  const apiKey = credential("sk-test-openai");
  const configuration = { baseURL: `${origin}/v1`, defaultHeaders };
  return {
    openai: new ChatOpenAI({ model: "gpt-4o-mini", apiKey, configuration }),
    responses: new ChatOpenAI({ model: "gpt-4.1-mini", apiKey, configuration, useResponsesApi: true }),
    embeddings: new OpenAIEmbeddings({ model: "text-embedding-3-small", apiKey, configuration }),
    anthropic: new ChatAnthropic({
      model: "claude-haiku-4-5-20251001",
      maxTokens: 500,
      apiKey: credential("sk-ant-test"),
      anthropicApiUrl: origin,
      clientOptions: { defaultHeaders },
    }),
  };
}

/** What a user sees of an answer, without the ids that LangChain makes up itself. */
const told = ({ content, tool_calls, usage_metadata, response_metadata }: AIMessageChunk): unknown => ({
  content,
  tool_calls,
  usage_metadata,
  response_metadata,
});

async function toldByStream(stream: AsyncIterable<AIMessageChunk>): Promise<unknown> {
  const pieces: unknown[] = [];
  for await (const chunk of stream) pieces.push(told(chunk));
  return pieces;
}

const weather = tool(() => "sunny", {
  name: "weather",
  description: "Weather of a city",
  schema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
});
const called = [{ name: "weather", arguments: '{"city":"Zürich"}' }];
const toolCalls = [{ name: "weather", id: expect.any(String) as string }];

const journeys: Journey[] = [
  {
    name: "OpenAI chat, invoke",
    scenario: { tokens: { input: 400, cached: 100, output: 41 } },
    // 400 × 150 + 100 × 75 + 41 × 600
    expected: { costNano: 92_100n, endpoint: "chat/completions", inputTokens: 500, outputTokens: 41 },
    run: async ({ openai }) => told(await openai.invoke("hi")),
  },
  {
    name: "OpenAI chat, stream",
    scenario: { tokens: { input: 77, output: 123 }, chunks: 40 },
    // 77 × 150 + 123 × 600
    expected: { costNano: 85_350n },
    run: async ({ openai }) => toldByStream(await openai.stream("hi")),
  },
  {
    name: "OpenAI chat with a tool, invoke",
    scenario: { tokens: { input: 90, output: 31 }, tools: called },
    // 90 × 150 + 31 × 600
    expected: { costNano: 32_100n, toolCalls },
    run: async ({ openai }) => told(await openai.bindTools([weather]).invoke("hi")),
  },
  {
    name: "OpenAI chat with a tool, stream",
    scenario: { tokens: { input: 90, output: 31 }, tools: called },
    expected: { costNano: 32_100n, toolCalls },
    run: async ({ openai }) => toldByStream(await openai.bindTools([weather]).stream("hi")),
  },
  {
    name: "OpenAI responses, invoke",
    scenario: { tokens: { input: 500, output: 64 } },
    // 500 × 400 + 64 × 1,600
    expected: { costNano: 302_400n, endpoint: "responses" },
    run: async ({ responses }) => told(await responses.invoke("hi")),
  },
  {
    name: "OpenAI responses with a tool, stream",
    scenario: { tokens: { input: 500, output: 64 }, tools: called },
    expected: { costNano: 302_400n, endpoint: "responses", toolCalls },
    run: async ({ responses }) => toldByStream(await responses.bindTools([weather]).stream("hi")),
  },
  {
    name: "OpenAI embeddings",
    scenario: { tokens: { input: 12_345 } },
    // 12,345 × 20
    expected: { costNano: 246_900n, endpoint: "embeddings" },
    run: ({ embeddings }) => embeddings.embedDocuments(["one", "two"]),
  },
  {
    name: "Anthropic, invoke",
    scenario: { tokens: { input: 300, cached: 50, output: 40 } },
    // 300 × 1,000 + 50 × 100 + 40 × 5,000
    expected: { costNano: 505_000n, provider: "anthropic", endpoint: "messages", inputTokens: 350 },
    run: async ({ anthropic }) => told(await anthropic.invoke("hi")),
  },
  {
    name: "Anthropic, stream",
    scenario: { tokens: { input: 33, output: 222 }, chunks: 30 },
    // 33 × 1,000 + 222 × 5,000
    expected: { costNano: 1_143_000n },
    run: async ({ anthropic }) => toldByStream(await anthropic.stream("hi")),
  },
  {
    name: "Anthropic with a tool, invoke",
    scenario: { tokens: { input: 120, output: 45 }, tools: called },
    // 120 × 1,000 + 45 × 5,000
    expected: { costNano: 345_000n, toolCalls },
    run: async ({ anthropic }) => told(await anthropic.bindTools([weather]).invoke("hi")),
  },
  {
    name: "Anthropic with a tool, stream",
    scenario: { tokens: { input: 120, output: 45 }, tools: called },
    expected: { costNano: 345_000n, toolCalls },
    run: async ({ anthropic }) => toldByStream(await anthropic.bindTools([weather]).stream("hi")),
  },
];

describe.each(ADAPTERS)("LangChain through the %s adapter", (adapter) => {
  let product: Product;
  beforeAll(async () => {
    product = await startProduct({ adapter });
  });
  afterAll(() => product.stop());

  describe.each(["header", "composite"] as const)("credential by %s", (style: CredentialStyle) => {
    it.each(journeys)("$name: the same result as without us, after one request, and one event with the exact cost", async (journey) => {
      const headers = scenarioHeader({ ...journey.scenario, seed: `${adapter} ${style} ${journey.name}` });
      const without = await journey.run(createModels({ origin: product.fake.url, headers }));
      const sentDirectly = product.fake.log.at(-1)!.request;
      const calls = product.fake.log.length;
      const before = (await storedEvents(product, 0)).length;
      const withUs = await journey.run(createModels({ origin: product.origin, headers, nullspend: { key: product.apiKey, style } }));
      const sentThroughUs = product.fake.log.at(-1)!.request;

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

  // LangChain tries six more times by default where it takes an error for one that may pass.
  it.each(["openai", "anthropic"] as const)("%s with an unknown key: MODEL_AUTHENTICATION after one try", async (provider) => {
    const door = await openDoor(product.origin);
    const calls = product.fake.log.length;
    const nullspend = { key: `ns_live_sk_${"0".repeat(32)}`, style: "header" as const };
    const error: unknown = await createModels({ origin: door.origin, nullspend })
      [provider].invoke("hi")
      .catch((thrown: unknown) => thrown);
    await door.close();
    expect(error).toMatchObject({
      status: 401,
      lc_error_code: "MODEL_AUTHENTICATION",
      message: expect.stringContaining("NullSpend") as string,
    });
    expect((error as Error).constructor.name).toBe("AuthenticationError");
    expect(door.requests).toBe(1);
    expect(product.fake.log).toHaveLength(calls);
  });
});
