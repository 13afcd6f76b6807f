import Anthropic from "@anthropic-ai/sdk";
import { APICallError, generateText, jsonSchema, streamText, tool } from "ai";
import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { settledEvent, shownEvent, type StoredEvent } from "@/testing/events";
import { scenarioHeader, type Scenario } from "@/testing/fake-provider";
import { ADAPTERS, startProduct, type Product } from "@/testing/server";
import { createClients, type Clients, type CredentialStyle } from "./clients";
import { costNano, type PricedModel } from "./prices";

/** One thing that people do with a client. It answers with everything the client hands to its user. */
type Journey = {
  name: string;
  scenario: Scenario;
  /** Undefined: the call is free. */
  model?: PricedModel;
  expected?: Partial<StoredEvent>;
  run(clients: Clients): Promise<unknown>;
};

const CLAUDE = "claude-haiku-4-5-20251001";
const hi = [{ role: "user" as const, content: "hi" }];
const weatherSchema = { type: "object" as const, properties: { city: { type: "string" as const } }, required: ["city"] };
const weatherCall = [{ name: "weather", arguments: '{"city":"Zürich"}' }];

async function all<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of stream) items.push(item);
  return items;
}

const openaiJourneys: Journey[] = [
  {
    name: "chat completion",
    scenario: { tokens: { input: 1_000, cached: 300, output: 200 } },
    model: "gpt-4o-mini",
    expected: {
      inputTokens: 1_300,
      cachedInputTokens: 300,
      outputTokens: 200,
      endpoint: "chat/completions",
      model: "gpt-4o-mini-2024-07-18",
    },
    run: ({ openai }) => openai.chat.completions.create({ model: "gpt-4o-mini", messages: hi }),
  },
  {
    name: "chat completion, streaming, usage not asked for",
    scenario: { tokens: { input: 77, output: 123 }, chunks: 40 },
    model: "gpt-4o-mini",
    expected: { inputTokens: 77, outputTokens: 123 },
    run: async ({ openai }) => all(await openai.chat.completions.create({ model: "gpt-4o-mini", messages: hi, stream: true })),
  },
  {
    name: "chat completion, streaming, usage asked for",
    scenario: { tokens: { input: 77, cached: 1_024, output: 123 } },
    model: "gpt-4o-mini",
    expected: { inputTokens: 1_101, cachedInputTokens: 1_024 },
    run: async ({ openai }) =>
      all(
        await openai.chat.completions.create({ model: "gpt-4o-mini", messages: hi, stream: true, stream_options: { include_usage: true } }),
      ),
  },
  {
    name: "chat completion with a tool",
    scenario: { tokens: { input: 90, output: 31 }, tools: weatherCall },
    model: "gpt-4o-mini",
    expected: { toolCalls: [{ name: "weather", id: expect.any(String) as string }] },
    run: ({ openai }) =>
      openai.chat.completions.create({
        model: "gpt-4o-mini",
        messages: hi,
        tools: [{ type: "function", function: { name: "weather", parameters: weatherSchema } }],
      }),
  },
  {
    name: "chat completion with a tool, streaming through the client's own accumulator",
    scenario: { tokens: { input: 90, output: 31 }, tools: weatherCall },
    model: "gpt-4o-mini",
    expected: { toolCalls: [{ name: "weather", id: expect.any(String) as string }] },
    run: ({ openai }) =>
      openai.chat.completions
        .stream({
          model: "gpt-4o-mini",
          messages: hi,
          tools: [{ type: "function", function: { name: "weather", parameters: weatherSchema } }],
        })
        .finalChatCompletion(),
  },
  {
    name: "chat completion about an image, several answers",
    scenario: { tokens: { input: 1_200, output: 10 } },
    model: "gpt-4o-mini",
    // Every one of the three answers is ten tokens long.
    expected: { inputTokens: 1_200, outputTokens: 30 },
    run: ({ openai }) =>
      openai.chat.completions.create({
        model: "gpt-4o-mini",
        n: 3,
        messages: [
          {
            role: "user",
            content: [
              { type: "text", text: "What is this?" },
              { type: "image_url", image_url: { url: `data:image/png;base64,${"iVBORw0KGgo".repeat(2_000)}` } },
            ],
          },
        ],
      }),
  },
  {
    name: "response with reasoning",
    scenario: { tokens: { input: 500, cached: 100, output: 40, reasoning: 600 } },
    model: "gpt-5-mini",
    expected: { outputTokens: 640, reasoningTokens: 600, endpoint: "responses" },
    run: ({ openai }) => openai.responses.create({ model: "gpt-5-mini", input: "hi" }),
  },
  {
    name: "response, streaming, with a tool",
    scenario: { tokens: { input: 500, output: 64 }, tools: weatherCall },
    model: "gpt-4.1-mini",
    expected: { toolCalls: [{ name: "weather", id: expect.any(String) as string }] },
    run: async ({ openai }) =>
      all(
        await openai.responses.create({
          model: "gpt-4.1-mini",
          input: "hi",
          stream: true,
          tools: [{ type: "function", name: "weather", parameters: weatherSchema, strict: false }],
        }),
      ),
  },
  {
    name: "chat completion that comes compressed",
    scenario: { tokens: { input: 77, output: 123 }, encoding: "br" },
    model: "gpt-4o-mini",
    expected: { inputTokens: 77, outputTokens: 123 },
    run: ({ openai }) => openai.chat.completions.create({ model: "gpt-4o-mini", messages: hi }),
  },
  {
    name: "picture",
    scenario: { tokens: { input: 40, output: 272 } },
    model: "gpt-image-1",
    expected: { endpoint: "images/generations" },
    run: ({ openai }) => openai.images.generate({ model: "gpt-image-1", prompt: "An otter", quality: "low" }),
  },
  {
    name: "embeddings",
    scenario: { tokens: { input: 12_345 } },
    model: "text-embedding-3-small",
    expected: { endpoint: "embeddings", outputTokens: 0 },
    run: ({ openai }) => openai.embeddings.create({ model: "text-embedding-3-small", input: ["one", "two"] }),
  },
  { name: "list of models", scenario: {}, run: async ({ openai }) => (await openai.models.list()).data },
];

const anthropicJourneys: Journey[] = [
  {
    name: "message",
    scenario: { tokens: { input: 1_000, output: 200 } },
    model: "claude-haiku-4-5",
    expected: { inputTokens: 1_000, outputTokens: 200, endpoint: "messages", provider: "anthropic" },
    run: ({ anthropic }) => anthropic.messages.create({ model: CLAUDE, max_tokens: 500, messages: hi }),
  },
  {
    name: "message, streaming",
    scenario: { tokens: { input: 33, output: 222 }, chunks: 30 },
    model: "claude-haiku-4-5",
    expected: { inputTokens: 33, outputTokens: 222 },
    run: async ({ anthropic }) => all(await anthropic.messages.create({ model: CLAUDE, max_tokens: 500, messages: hi, stream: true })),
  },
  {
    name: "message, streaming, that comes compressed",
    scenario: { tokens: { input: 33, output: 222 }, chunks: 30, encoding: "gzip" },
    model: "claude-haiku-4-5",
    expected: { inputTokens: 33, outputTokens: 222 },
    run: async ({ anthropic }) => all(await anthropic.messages.create({ model: CLAUDE, max_tokens: 500, messages: hi, stream: true })),
  },
  {
    name: "message with prompt caching",
    scenario: { tokens: { input: 10, cached: 20_000, cacheWrite5m: 3_000, cacheWrite1h: 400, output: 50 } },
    model: "claude-haiku-4-5",
    expected: { inputTokens: 23_410, cachedInputTokens: 20_000, cacheWriteTokens: 3_400 },
    run: ({ anthropic }) =>
      anthropic.messages.create({
        model: CLAUDE,
        max_tokens: 100,
        system: [{ type: "text", text: "You are brief.", cache_control: { type: "ephemeral" } }],
        messages: hi,
      }),
  },
  {
    name: "message with prompt caching, streaming",
    scenario: { tokens: { input: 10, cached: 20_000, cacheWrite5m: 3_000, output: 50 } },
    model: "claude-haiku-4-5",
    expected: { inputTokens: 23_010, cachedInputTokens: 20_000, cacheWriteTokens: 3_000 },
    run: ({ anthropic }) => anthropic.messages.stream({ model: CLAUDE, max_tokens: 100, messages: hi }).finalMessage(),
  },
  {
    name: "message with a tool, streaming",
    scenario: { tokens: { input: 120, output: 45 }, tools: weatherCall },
    model: "claude-haiku-4-5",
    expected: { toolCalls: [{ name: "weather", id: expect.any(String) as string }] },
    run: ({ anthropic }) =>
      anthropic.messages
        .stream({ model: CLAUDE, max_tokens: 100, messages: hi, tools: [{ name: "weather", input_schema: weatherSchema }] })
        .finalMessage(),
  },
  {
    name: "message with thinking, streaming",
    scenario: { thinking: "The user greets me, so I greet back.", tokens: { input: 60, output: 20, reasoning: 300 } },
    model: "claude-haiku-4-5",
    expected: { outputTokens: 320 },
    run: ({ anthropic }) =>
      anthropic.messages
        .stream({ model: CLAUDE, max_tokens: 4_000, thinking: { type: "enabled", budget_tokens: 1_024 }, messages: hi })
        .finalMessage(),
  },
  {
    name: "count of tokens",
    scenario: { tokens: { input: 4_711 } },
    run: ({ anthropic }) => anthropic.messages.countTokens({ model: CLAUDE, messages: hi }),
  },
  { name: "list of models", scenario: {}, run: async ({ anthropic }) => (await anthropic.models.list()).data },
];

const weatherTool = { weather: tool({ description: "Weather of a city", inputSchema: jsonSchema<{ city: string }>(weatherSchema) }) };
const aiSdkJourneys: Journey[] = [
  {
    name: "generateText, OpenAI responses",
    scenario: { tokens: { input: 400, output: 41 } },
    model: "gpt-4.1-mini",
    expected: { endpoint: "responses" },
    run: async ({ aiOpenai }) => told(await generateText({ model: aiOpenai("gpt-4.1-mini"), prompt: "hi", maxRetries: 0 })),
  },
  {
    name: "streamText, OpenAI chat",
    scenario: { tokens: { input: 400, output: 41 } },
    model: "gpt-4o-mini",
    expected: { endpoint: "chat/completions" },
    run: ({ aiOpenai }) => toldByStream(streamText({ model: aiOpenai.chat("gpt-4o-mini"), prompt: "hi", maxRetries: 0 })),
  },
  {
    name: "streamText, OpenAI responses, with a tool",
    scenario: { tokens: { input: 400, output: 52 }, tools: weatherCall },
    model: "gpt-4.1-mini",
    run: ({ aiOpenai }) => toldByStream(streamText({ model: aiOpenai("gpt-4.1-mini"), prompt: "hi", tools: weatherTool, maxRetries: 0 })),
  },
  {
    name: "generateText, Anthropic",
    scenario: { tokens: { input: 300, cached: 50, output: 40 } },
    model: "claude-haiku-4-5",
    run: async ({ aiAnthropic }) => told(await generateText({ model: aiAnthropic(CLAUDE), prompt: "hi", maxRetries: 0 })),
  },
  {
    name: "streamText, Anthropic, with a tool",
    scenario: { tokens: { input: 300, output: 40 }, tools: weatherCall },
    model: "claude-haiku-4-5",
    run: ({ aiAnthropic }) => toldByStream(streamText({ model: aiAnthropic(CLAUDE), prompt: "hi", tools: weatherTool, maxRetries: 0 })),
  },
];

/** What a user of the AI SDK sees of an answer, without its ids, which the SDK makes up itself. */
function told(result: { text: string; finishReason: string; usage: unknown; toolCalls: { toolName: string; input: unknown }[] }): unknown {
  const { text, finishReason, usage, toolCalls } = result;
  return { text, finishReason, usage, toolCalls: toolCalls.map(({ toolName, input }) => ({ toolName, input })) };
}
async function toldByStream(result: {
  textStream: AsyncIterable<string>;
  finishReason: PromiseLike<string>;
  usage: PromiseLike<unknown>;
  toolCalls: PromiseLike<{ toolName: string; input: unknown }[]>;
}): Promise<unknown> {
  const pieces = await all(result.textStream);
  const { finishReason, usage, toolCalls } = result;
  return {
    pieces,
    ...(told({ text: pieces.join(""), finishReason: await finishReason, usage: await usage, toolCalls: await toolCalls }) as object),
  };
}

const journeys = { "openai SDK": openaiJourneys, "Anthropic SDK": anthropicJourneys, "AI SDK": aiSdkJourneys };

describe.each(ADAPTERS)("clients through the %s adapter", (adapter) => {
  let product: Product;
  beforeAll(async () => {
    product = await startProduct({ adapter });
  });
  afterAll(() => product.stop());

  describe.each(["header", "composite"] as const)("credential by %s", (style: CredentialStyle) => {
    describe.each(Object.entries(journeys))("%s", (library, list) => {
      it.each(list)("$name: the same result as without us, and one event with the exact cost", async (journey) => {
        const seed = `${adapter} ${style} ${library} ${journey.name}`;
        const headers = scenarioHeader({ ...journey.scenario, seed });
        const direct = createClients({ origin: product.fake.url, headers });
        const through = createClients({ origin: product.origin, headers, nullspend: { key: product.apiKey, style } });
        const without = await journey.run(direct);
        const sentDirectly = product.fake.log.at(-1)!.request;
        const withUs = await journey.run(through);
        const sentThroughUs = product.fake.log.at(-1)!.request;

        expect(withUs).toEqual(without);
        expect(sentThroughUs.target).toBe(sentDirectly.target);
        expect(sentThroughUs.header("authorization")).toBe(sentDirectly.header("authorization"));
        expect(sentThroughUs.header("x-api-key")).toBe(sentDirectly.header("x-api-key"));
        expect(sentThroughUs.head.toString()).not.toContain("ns_live_sk_");

        const requestId = through.lastHeaders().get("x-nullspend-request-id");
        const event = await settledEvent(product, requestId);
        const { billed } = product.fake.log.at(-1)!;
        expect(event).toMatchObject({
          status: "ok",
          costBasis: "reported",
          costNano: journey.model ? costNano(journey.model, billed) : 0n,
          ...journey.expected,
        });
        expect(await shownEvent(product, requestId)).toMatchObject({
          id: requestId,
          costMicrodollars: Number(event.costNano) / 1000,
          model: event.model,
          status: "ok",
        });
      });
    });
  });

  // A wrong key must look to the client's own error handling as the provider's refusal does, or users chase the wrong bug.
  describe("an unknown key", () => {
    const stranger = (): Clients =>
      createClients({ origin: product.origin, nullspend: { key: `ns_live_sk_${"0".repeat(32)}`, style: "header" } });

    it("is an AuthenticationError of the openai client, with our code", async () => {
      const upstreamCalls = product.fake.log.length;
      const error: unknown = await stranger()
        .openai.chat.completions.create({ model: "gpt-4o-mini", messages: hi })
        .catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(OpenAI.AuthenticationError);
      expect(error).toMatchObject({ status: 401, code: "unauthorized", type: "authentication_error" });
      expect(product.fake.log).toHaveLength(upstreamCalls);
    });

    it("is an AuthenticationError of the Anthropic client", async () => {
      const error: unknown = await stranger()
        .anthropic.messages.create({ model: CLAUDE, max_tokens: 10, messages: hi })
        .catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(Anthropic.AuthenticationError);
      expect(error).toMatchObject({ status: 401, error: { type: "error", error: { type: "authentication_error" } } });
    });

    it("is a call error of the AI SDK with our sentence, and is not tried again", async () => {
      const error: unknown = await generateText({ model: stranger().aiOpenai.chat("gpt-4o-mini"), prompt: "hi" }).catch(
        (thrown: unknown) => thrown,
      );
      expect(APICallError.isInstance(error)).toBe(true);
      expect(error).toMatchObject({ statusCode: 401, isRetryable: false, message: expect.stringContaining("NullSpend") as string });
    });
  });

  it("hands on the provider's own errors as the client knows them", async () => {
    const { openai, anthropic } = createClients({
      origin: product.origin,
      nullspend: { key: product.apiKey, style: "header" },
      headers: scenarioHeader({ status: 429, headers: ["retry-after", "7"] }),
    });
    const fromOpenai: unknown = await openai.chat.completions
      .create({ model: "gpt-4o-mini", messages: hi })
      .catch((thrown: unknown) => thrown);
    expect(fromOpenai).toBeInstanceOf(OpenAI.RateLimitError);
    expect(fromOpenai).toMatchObject({ code: "rate_limit_exceeded" });
    const fromAnthropic: unknown = await anthropic.messages
      .create({ model: CLAUDE, max_tokens: 9, messages: hi })
      .catch((thrown: unknown) => thrown);
    expect(fromAnthropic).toBeInstanceOf(Anthropic.RateLimitError);
    expect((fromAnthropic as InstanceType<typeof Anthropic.RateLimitError>).headers?.get("retry-after")).toBe("7");
  });
});
