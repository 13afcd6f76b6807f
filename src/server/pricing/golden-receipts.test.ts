import { describe, expect, it } from "vitest";
import { meterAnswer } from "@/testing/meter-answer";
import type { RequestFacts } from "@/server/gateway/providers";
import { ListPriceBook } from "./list-price-book";
import { priceUsage } from "./price-usage";

// Answers as the providers send them, byte for byte through the meter, the book and the receipt. Each sum is written out by hand
// from the providers' pages: units × picodollars per unit ($1 a million tokens = 1_000_000n). A wrong line here is a wrong bill.

const NOW = Date.parse("2026-11-24T12:00:00Z");
const book = new ListPriceBook();

type Answer = { provider: "openai" | "anthropic"; path: string; body: string; contentType?: string; facts?: Partial<RequestFacts> };
type Upstream = { provider?: string; atMs?: number };
type Golden = [name: string, answer: Answer, pico: bigint, upstream?: Upstream];

function costOf(answer: Answer, { provider = answer.provider, atMs = NOW }: Upstream = {}) {
  const metered = meterAnswer({
    provider: answer.provider,
    path: answer.path,
    contentType: answer.contentType ?? "application/json",
    pieces: [Buffer.from(answer.body, "utf8")],
    facts: answer.facts,
  });
  expect(metered.unreadable).toBeUndefined();
  expect(metered.usageComplete).toBe(true);
  const usage = metered.usage!;
  const query = {
    provider,
    requestedModel: answer.facts?.model,
    serviceTier: usage.serviceTier ?? metered.serviceTier,
    speed: usage.speed,
    inferenceGeo: usage.inferenceGeo,
    atMs,
    orgId: "00000000-0000-0000-0000-000000000000",
  };
  return priceUsage({ book, query, models: [usage.model ?? metered.model, answer.facts?.model], usage, isWhole: true });
}

// ---- OpenAI's shapes --------------------------------------------------------------------------------------------------------

type Details = { cached?: number; write?: number; write12h?: number; audioIn?: number; reasoning?: number; audioOut?: number };

const chatUsage = (prompt: number, completion: number, d: Details = {}): object => ({
  prompt_tokens: prompt,
  completion_tokens: completion,
  total_tokens: prompt + completion,
  prompt_tokens_details: {
    cached_tokens: d.cached ?? 0,
    audio_tokens: d.audioIn ?? 0,
    ...(d.write !== undefined && { cache_write_tokens: d.write }),
    ...(d.write12h !== undefined && {
      cache_write_tokens_details: { ttl_30m_tokens: (d.write ?? 0) - d.write12h, ttl_12h_tokens: d.write12h },
    }),
  },
  completion_tokens_details: {
    reasoning_tokens: d.reasoning ?? 0,
    audio_tokens: d.audioOut ?? 0,
    accepted_prediction_tokens: 0,
    rejected_prediction_tokens: 0,
  },
});

const chat = (model: string, usage: object, tier = "default"): Answer => ({
  provider: "openai",
  path: "/v1/chat/completions",
  body: JSON.stringify({
    id: "chatcmpl-1",
    object: "chat.completion",
    created: 1795500000,
    model,
    choices: [{ index: 0, message: { role: "assistant", content: "Hello.", refusal: null, annotations: [] }, finish_reason: "stop" }],
    usage,
    service_tier: tier,
    system_fingerprint: null,
  }),
});

const chatStream = (model: string, usage: object, tier = "default"): Answer => ({
  provider: "openai",
  path: "/v1/chat/completions",
  contentType: "text/event-stream; charset=utf-8",
  body: [
    { id: "c", object: "chat.completion.chunk", model, service_tier: tier, choices: [{ index: 0, delta: { role: "assistant", content: "Hi" } }], usage: null }, // prettier-ignore
    { id: "c", object: "chat.completion.chunk", model, service_tier: tier, choices: [{ index: 0, delta: {}, finish_reason: "stop" }], usage: null }, // prettier-ignore
    { id: "c", object: "chat.completion.chunk", model, service_tier: tier, choices: [], usage },
  ]
    .map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`)
    .concat("data: [DONE]\n\n")
    .join(""),
});

const responsesUsage = (input: number, output: number, d: Details = {}): object => ({
  input_tokens: input,
  input_tokens_details: {
    cached_tokens: d.cached ?? 0,
    cache_write_tokens: d.write ?? 0,
    ...(d.write12h !== undefined && {
      cache_write_tokens_details: { ttl_30m_tokens: (d.write ?? 0) - d.write12h, ttl_12h_tokens: d.write12h },
    }),
  },
  output_tokens: output,
  output_tokens_details: { reasoning_tokens: d.reasoning ?? 0 },
  total_tokens: input + output,
});

type ResponseRest = { tier?: string; output?: object[]; tools?: object[]; tool_usage?: object };

const responseObject = (model: string, usage: object, { tier = "default", output = [], tools = [], tool_usage }: ResponseRest) => ({
  id: "resp_1",
  object: "response",
  status: "completed",
  background: false,
  error: null,
  incomplete_details: null,
  model,
  output,
  service_tier: tier,
  tools,
  ...(tool_usage !== undefined && { tool_usage }),
  usage,
});

const responses = (model: string, usage: object, rest: ResponseRest = {}): Answer => ({
  provider: "openai",
  path: "/v1/responses",
  body: JSON.stringify(responseObject(model, usage, rest)),
});

const responsesStream = (model: string, usage: object, rest: ResponseRest = {}): Answer => ({
  provider: "openai",
  path: "/v1/responses",
  contentType: "text/event-stream",
  body: [
    { type: "response.created", sequence_number: 0, response: { ...responseObject(model, usage, rest), status: "in_progress", output: [], usage: null } }, // prettier-ignore
    ...(rest.output ?? []).map((item, index) => ({
      type: "response.output_item.done",
      sequence_number: index + 1,
      output_index: index,
      item,
    })),
    { type: "response.completed", sequence_number: 99, response: responseObject(model, usage, rest) },
  ]
    .map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`)
    .join(""),
});

const search = (id: string, type = "search"): object => ({
  id,
  type: "web_search_call",
  status: "completed",
  action: { type, query: "q" },
});
const fileSearch = (id: string): object => ({ id, type: "file_search_call", status: "completed", queries: ["q"], results: null });
const runCode = (id: string, container: string): object => ({
  id,
  type: "code_interpreter_call",
  status: "completed",
  container_id: container,
  code: "1",
  outputs: null,
});
const madeImage = { id: "ig_1", type: "image_generation_call", status: "completed", result: "iVBORw0KGgo=" };
const codeTool = (memory?: string): object => ({
  type: "code_interpreter",
  container: { type: "auto", file_ids: [], ...(memory !== undefined && { memory_limit: memory }) },
});

const embeddings = (model: string, tokens: number): Answer => ({
  provider: "openai",
  path: "/v1/embeddings",
  body: JSON.stringify({ object: "list", data: [], model, usage: { prompt_tokens: tokens, total_tokens: tokens } }),
});

const images = (model: string, text: number, image: number, output: number, rest: object = {}): Answer => ({
  provider: "openai",
  path: "/v1/images/generations",
  body: JSON.stringify({
    created: 1795500000,
    data: [{ b64_json: "" }],
    usage: {
      input_tokens: text + image,
      input_tokens_details: { text_tokens: text, image_tokens: image },
      output_tokens: output,
      total_tokens: text + image + output,
      ...rest,
    },
  }),
  facts: { model },
});

const transcript = (model: string, usage: object): Answer => ({
  provider: "openai",
  path: "/v1/audio/transcriptions",
  body: JSON.stringify({ text: "Hello.", usage }),
  facts: { model },
});
const heard = (audio: number, text: number, output: number): object => ({
  type: "tokens",
  total_tokens: audio + text + output,
  input_tokens: audio + text,
  input_token_details: { text_tokens: text, audio_tokens: audio },
  output_tokens: output,
});
const lasted = (seconds: number): object => ({ type: "duration", seconds });

const speechStream = (model: string, text: number, sound: number): Answer => ({
  provider: "openai",
  path: "/v1/audio/speech",
  contentType: "text/event-stream",
  body: `data: {"type":"speech.audio.delta","audio":"AA=="}\n\ndata: ${JSON.stringify({
    type: "speech.audio.done",
    usage: { input_tokens: text, output_tokens: sound, total_tokens: text + sound },
  })}\n\n`,
  facts: { model },
});
const spoken = (model: string, characters: number): Answer => ({
  provider: "openai",
  path: "/v1/audio/speech",
  contentType: "audio/mpeg",
  body: "ID3 sound",
  facts: { model, inputCharacters: characters },
});

const completion = (model: string, prompt: number, output: number): Answer => ({
  provider: "openai",
  path: "/v1/completions",
  body: JSON.stringify({
    id: "cmpl-1",
    object: "text_completion",
    model,
    choices: [{ text: "x", index: 0, logprobs: null, finish_reason: "stop" }],
    usage: { prompt_tokens: prompt, completion_tokens: output, total_tokens: prompt + output },
  }),
});

// ---- Anthropic's shapes -----------------------------------------------------------------------------------------------------

type ClaudeRest = {
  read?: number;
  w5?: number;
  w1h?: number;
  thinking?: number;
  searches?: number;
  fetches?: number;
  tier?: string;
  geo?: string;
  speed?: string;
  iterations?: object[];
  content?: object[];
  credit?: object;
};

const claudeUsage = (input: number, output: number, rest: ClaudeRest = {}): object => ({
  input_tokens: input,
  cache_creation_input_tokens: (rest.w5 ?? 0) + (rest.w1h ?? 0),
  cache_read_input_tokens: rest.read ?? 0,
  cache_creation: { ephemeral_5m_input_tokens: rest.w5 ?? 0, ephemeral_1h_input_tokens: rest.w1h ?? 0 },
  output_tokens: output,
  ...(rest.thinking !== undefined && { output_tokens_details: { thinking_tokens: rest.thinking } }),
  server_tool_use:
    rest.searches === undefined && rest.fetches === undefined
      ? null
      : { web_search_requests: rest.searches ?? 0, web_fetch_requests: rest.fetches ?? 0 },
  service_tier: rest.tier ?? "standard",
  inference_geo: rest.geo ?? "not_available",
  ...(rest.speed !== undefined && { speed: rest.speed }),
  ...(rest.iterations !== undefined && { iterations: rest.iterations }),
  ...(rest.credit !== undefined && { fallback_credit: rest.credit }),
});

const claude = (model: string, input: number, output: number, rest: ClaudeRest = {}): Answer => ({
  provider: "anthropic",
  path: "/v1/messages",
  body: JSON.stringify({
    id: "msg_01",
    type: "message",
    role: "assistant",
    model,
    content: rest.content ?? [{ type: "text", text: "Hello." }],
    stop_reason: "end_turn",
    stop_sequence: null,
    usage: claudeUsage(input, output, rest),
  }),
});

/** Usage told twice: the input at the start, the rest cumulatively at the end. */
const claudeStream = (model: string, input: number, output: number, rest: ClaudeRest = {}): Answer => ({
  provider: "anthropic",
  path: "/v1/messages",
  contentType: "text/event-stream",
  body: [
    { type: "message_start", message: { id: "msg_02", type: "message", model, content: [], usage: claudeUsage(input, 1, rest) } },
    { type: "content_block_start", index: 0, content_block: { type: "text", text: "" } },
    { type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "Hi" } },
    { type: "content_block_stop", index: 0 },
    { type: "message_delta", delta: { stop_reason: "end_turn" }, usage: { output_tokens: output } },
    { type: "message_stop" },
  ]
    .map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`)
    .join(""),
});
const ranCode = (id: string, name = "bash_code_execution"): object => ({ type: "server_tool_use", id, name, input: { command: "ls" } });

const raw = (model: string, usageText: string): Answer => ({
  provider: "openai",
  path: "/v1/chat/completions",
  body: `{"id":"gen-1","model":"${model}","choices":[{"index":0,"message":{"role":"assistant","content":"x"},"finish_reason":"stop"}],"usage":${usageText}}`,
});

// ---- Fees, in picodollars a call --------------------------------------------------------------------------------------------
const SEARCH = 10_000_000_000n; // $10 a thousand
const OLDER_SEARCH = 25_000_000_000n; // $25 a thousand
const FILE_SEARCH = 2_500_000_000n; // $2.50 a thousand
const CONTAINER = 30_000_000_000n; // $0.03 a session of 1 GB

const OPENAI_TEXT: Golden[] = [
  ["chat", chat("gpt-5-2025-08-07", chatUsage(1200, 300)), 1200n * 1_250_000n + 300n * 10_000_000n],
  ["chat, cached", chat("gpt-5-2025-08-07", chatUsage(1200, 300, { cached: 1024 })), 176n * 1_250_000n + 1024n * 125_000n + 300n * 10_000_000n],
  ["chat, all cached", chat("gpt-5", chatUsage(1024, 1, { cached: 1024 })), 1024n * 125_000n + 1n * 10_000_000n],
  ["reasoning is output", chat("gpt-5", chatUsage(100, 900, { reasoning: 832 })), 100n * 1_250_000n + 900n * 10_000_000n],
  ["only reasoning", responses("gpt-5", responsesUsage(100, 64, { reasoning: 64 })), 100n * 1_250_000n + 64n * 10_000_000n],
  ["a stream", chatStream("gpt-5-mini-2025-08-07", chatUsage(50, 20)), 50n * 250_000n + 20n * 2_000_000n],
  ["a stream, cached", chatStream("gpt-5-mini", chatUsage(5000, 20, { cached: 4096 })), 904n * 250_000n + 4096n * 25_000n + 20n * 2_000_000n],
  ["nothing but zeros", chat("gpt-5", chatUsage(0, 0)), 0n],
  ["one token each", chat("gpt-5-nano", chatUsage(1, 1)), 50_000n + 400_000n],
  ["nano, cached", chat("gpt-5-nano-2025-08-07", chatUsage(2000, 5, { cached: 1920 })), 80n * 50_000n + 1920n * 5000n + 5n * 400_000n],
  ["gpt-4o", chat("gpt-4o-2024-08-06", chatUsage(2006, 300, { cached: 1920 })), 86n * 2_500_000n + 1920n * 1_250_000n + 300n * 10_000_000n],
  ["gpt-4o of May 2024", chat("gpt-4o-2024-05-13", chatUsage(1000, 100)), 1000n * 5_000_000n + 100n * 15_000_000n],
  ["gpt-4o-mini", chat("gpt-4o-mini-2024-07-18", chatUsage(333, 777)), 333n * 150_000n + 777n * 600_000n],
  ["gpt-4.1", chat("gpt-4.1-2025-04-14", chatUsage(10_000, 1000, { cached: 8192 })), 1808n * 2_000_000n + 8192n * 500_000n + 1000n * 8_000_000n],
  ["gpt-4.1-mini", responses("gpt-4.1-mini-2025-04-14", responsesUsage(700, 80)), 700n * 400_000n + 80n * 1_600_000n],
  ["gpt-4.1-nano", chat("gpt-4.1-nano-2025-04-14", chatUsage(700, 80)), 700n * 100_000n + 80n * 400_000n],
  ["o1", chat("o1-2024-12-17", chatUsage(500, 2000, { reasoning: 1792, cached: 256 })), 244n * 15_000_000n + 256n * 7_500_000n + 2000n * 60_000_000n],
  ["o1-pro", responses("o1-pro-2025-03-19", responsesUsage(10, 20)), 10n * 150_000_000n + 20n * 600_000_000n],
  ["o3", responses("o3-2025-04-16", responsesUsage(1000, 1000, { cached: 512, reasoning: 900 })), 488n * 2_000_000n + 512n * 500_000n + 1000n * 8_000_000n],
  ["o3-mini", chat("o3-mini-2025-01-31", chatUsage(100, 1000, { reasoning: 640 })), 100n * 1_100_000n + 1000n * 4_400_000n],
  ["o3-pro", responses("o3-pro-2025-06-10", responsesUsage(100, 10)), 100n * 20_000_000n + 10n * 80_000_000n],
  ["o4-mini", chat("o4-mini-2025-04-16", chatUsage(100, 10, { cached: 50 })), 50n * 1_100_000n + 50n * 275_000n + 10n * 4_400_000n],
  ["gpt-5.1", responses("gpt-5.1-2025-11-13", responsesUsage(100, 10)), 100n * 1_250_000n + 10n * 10_000_000n],
  ["an alias of gpt-5.1", chat("gpt-5.1-chat-latest", chatUsage(100, 10)), 100n * 1_250_000n + 10n * 10_000_000n],
  ["codex", responses("gpt-5.1-codex-max", responsesUsage(100, 10)), 100n * 1_250_000n + 10n * 10_000_000n],
  ["gpt-5.2", responses("gpt-5.2-2025-12-11", responsesUsage(3000, 100, { cached: 2048 })), 952n * 1_750_000n + 2048n * 175_000n + 100n * 14_000_000n],
  ["gpt-5-pro has no cached rate", responses("gpt-5-pro-2025-10-06", responsesUsage(300, 10, { cached: 100 })), 300n * 15_000_000n + 10n * 120_000_000n],
  ["gpt-3.5-turbo", chat("gpt-3.5-turbo-0125", chatUsage(10, 10)), 10n * 500_000n + 10n * 1_500_000n],
  ["gpt-4-turbo", chat("gpt-4-turbo-2024-04-09", chatUsage(10, 10)), 10n * 10_000_000n + 10n * 30_000_000n],
  ["gpt-4", chat("gpt-4-0613", chatUsage(10, 10)), 10n * 30_000_000n + 10n * 60_000_000n],
  ["chat-latest is an alias", chat("chat-latest", chatUsage(10, 10, { cached: 5 })), 5n * 5_000_000n + 5n * 500_000n + 10n * 30_000_000n],
  ["legacy completions", completion("gpt-3.5-turbo-instruct:20230824-v2", 100, 50), 100n * 1_500_000n + 50n * 2_000_000n],
  ["davinci-002", completion("davinci-002", 10, 10), 10n * 2_000_000n + 10n * 2_000_000n],
  ["a fine-tune of gpt-4o, cached", chat("ft:gpt-4o-2024-08-06:acme::9x", chatUsage(2000, 10, { cached: 1024 })), 976n * 3_750_000n + 1024n * 1_875_000n + 10n * 15_000_000n],
  ["a fine-tune of gpt-4o-mini", chat("ft:gpt-4o-mini-2024-07-18:acme:bot:1", chatUsage(1000, 10, { cached: 100 })), 900n * 300_000n + 100n * 150_000n + 10n * 1_200_000n],
  ["a fine-tune of gpt-4.1", chat("ft:gpt-4.1-2025-04-14:acme::a1", chatUsage(1000, 10, { cached: 100 })), 900n * 3_000_000n + 100n * 750_000n + 10n * 12_000_000n],
  ["a fine-tune of gpt-4.1-mini", chat("ft:gpt-4.1-mini-2025-04-14:acme::a1", chatUsage(10, 10)), 10n * 800_000n + 10n * 3_200_000n],
  ["a fine-tune of gpt-4.1-nano", chat("ft:gpt-4.1-nano-2025-04-14:acme::a1", chatUsage(10, 10)), 10n * 200_000n + 10n * 800_000n],
  ["a fine-tune of o4-mini", chat("ft:o4-mini-2025-04-16:acme::a1", chatUsage(10, 10)), 10n * 4_000_000n + 10n * 16_000_000n],
  ["a fine-tune of davinci", completion("ft:davinci-002:acme::a1", 10, 10), 20n * 12_000_000n],
  ["gpt-6-luna", chat("gpt-6-luna", chatUsage(1000, 100)), 1000n * 100_000n + 100n * 500_000n],
  ["gpt-6.1-terra", chat("gpt-6.1-terra-2026-10-20", chatUsage(1000, 100, { cached: 500 })), 500n * 1_000_000n + 500n * 50_000n + 100n * 5_000_000n],
  ["gpt-6.1-sol", responses("gpt-6.1-sol", responsesUsage(1000, 100, { cached: 500 })), 500n * 2_000_000n + 500n * 100_000n + 100n * 10_000_000n],
  ["gpt-6-astra", responses("gpt-6-astra", responsesUsage(10, 10)), 10n * 10_000_000n + 10n * 50_000_000n],
  ["a model for few", responses("gpt-5.5-cyber", responsesUsage(10, 10, { cached: 4 })), 6n * 12_500_000n + 4n * 1_250_000n + 10n * 75_000_000n],
]; // prettier-ignore

const OPENAI_CACHE_WRITES: Golden[] = [
  ["cache writes", responses("gpt-5.6-luna", responsesUsage(5000, 100, { write: 4000 })), 1000n * 200_000n + 4000n * 250_000n + 100n * 1_200_000n],
  ["cache writes and reads", responses("gpt-5.6-luna", responsesUsage(5000, 100, { cached: 3000, write: 1500 })), 500n * 200_000n + 3000n * 20_000n + 1500n * 250_000n + 100n * 1_200_000n],
  ["writes for half an hour, said so", responses("gpt-6-sol", responsesUsage(2000, 10, { write: 1500, write12h: 0 })), 500n * 2_000_000n + 1500n * 2_500_000n + 10n * 10_000_000n],
  ["writes for twelve hours", responses("gpt-6-sol", responsesUsage(2000, 10, { write: 1500, write12h: 1500 })), 500n * 2_000_000n + 1500n * 5_000_000n + 10n * 10_000_000n],
  ["writes of both kinds", responses("gpt-6.1-terra", responsesUsage(4000, 10, { write: 3000, write12h: 1000 })), 1000n * 1_000_000n + 2000n * 1_250_000n + 1000n * 2_500_000n + 10n * 5_000_000n],
  ["writes in chat", chat("gpt-6.1-sol", chatUsage(4000, 10, { write: 3000, write12h: 3000 })), 1000n * 2_000_000n + 3000n * 5_000_000n + 10n * 10_000_000n],
  ["writes for twelve hours, flex", responses("gpt-6-luna", responsesUsage(1000, 0, { write: 1000, write12h: 1000 }), { tier: "flex" }), 1000n * 125_000n],
  ["writes for twelve hours, priority", responses("gpt-6-luna", responsesUsage(1000, 0, { write: 1000, write12h: 1000 }), { tier: "priority" }), 1000n * 500_000n],
  ["writes for twelve hours of a long prompt", responses("gpt-6-astra", responsesUsage(300_000, 0, { write: 300_000, write12h: 300_000 })), 300_000n * 50_000_000n],
]; // prettier-ignore

const OPENAI_LONG: Golden[] = [
  ["272,000 tokens are short", responses("gpt-5.4-2026-03-05", responsesUsage(272_000, 100)), 272_000n * 2_500_000n + 100n * 15_000_000n],
  ["272,001 are long, all of them", responses("gpt-5.4-2026-03-05", responsesUsage(272_001, 100)), 272_001n * 5_000_000n + 100n * 22_500_000n],
  ["cached tokens make it long", responses("gpt-5.5", responsesUsage(280_000, 10, { cached: 270_000 })), 10_000n * 10_000_000n + 270_000n * 1_000_000n + 10n * 45_000_000n],
  ["long gpt-6-sol", responses("gpt-6-sol", responsesUsage(300_000, 10)), 300_000n * 4_000_000n + 10n * 15_000_000n],
  ["long, flex", responses("gpt-5.4", responsesUsage(300_000, 10), { tier: "flex" }), 300_000n * 2_500_000n + 10n * 11_250_000n],
  ["long pro, flex", responses("gpt-5.5-pro", responsesUsage(300_000, 10), { tier: "flex" }), 300_000n * 30_000_000n + 10n * 135_000_000n],
  ["short pro, flex", responses("gpt-5.5-pro", responsesUsage(1000, 10), { tier: "flex" }), 1000n * 15_000_000n + 10n * 90_000_000n],
  ["long luna, priority", responses("gpt-6-luna", responsesUsage(300_000, 10), { tier: "priority" }), 300_000n * 400_000n + 10n * 1_500_000n],
  ["long and of no surcharge", responses("gpt-4.1", responsesUsage(900_000, 10)), 900_000n * 2_000_000n + 10n * 8_000_000n],
]; // prettier-ignore

const OPENAI_TIERS: Golden[] = [
  ["flex", responses("gpt-5", responsesUsage(1000, 100, { cached: 512 }), { tier: "flex" }), 488n * 625_000n + 512n * 62_500n + 100n * 5_000_000n],
  ["flex in chat", chat("gpt-5-mini", chatUsage(1000, 100), "flex"), 1000n * 125_000n + 100n * 1_000_000n],
  ["flex, nano, fractions of nanodollars", chat("gpt-5-nano", chatUsage(1001, 1, { cached: 1001 }), "flex"), 1001n * 2500n + 200_000n],
  ["flex o3", responses("o3", responsesUsage(100, 100), { tier: "flex" }), 100n * 1_000_000n + 100n * 4_000_000n],
  ["flex o4-mini, cached", responses("o4-mini", responsesUsage(100, 100, { cached: 100 }), { tier: "flex" }), 100n * 138_000n + 100n * 2_200_000n],
  ["priority", chat("gpt-4o", chatUsage(1000, 100, { cached: 200 }), "priority"), 800n * 4_250_000n + 200n * 2_125_000n + 100n * 17_000_000n],
  ["priority gpt-4.1", chat("gpt-4.1", chatUsage(1000, 100), "priority"), 1000n * 3_500_000n + 100n * 14_000_000n],
  ["priority gpt-5.5 is two and a half times", responses("gpt-5.5", responsesUsage(100, 10), { tier: "priority" }), 100n * 12_500_000n + 10n * 75_000_000n],
  ["fast is priority's later name", responses("gpt-6-sol", responsesUsage(100, 10), { tier: "fast" }), 100n * 4_000_000n + 10n * 20_000_000n],
  ["asked for priority and served as default", chat("gpt-4o", chatUsage(1000, 100), "default"), 1000n * 2_500_000n + 100n * 10_000_000n],
  ["priority in a stream", chatStream("gpt-5.1", chatUsage(100, 10), "priority"), 100n * 2_500_000n + 10n * 20_000_000n],
  ["ultrafast", responses("gpt-6-astra", responsesUsage(1000, 100, { cached: 400 }), { tier: "ultrafast" }), 600n * 60_000_000n + 400n * 6_000_000n + 100n * 300_000_000n],
  ["ultrafast, long", responses("gpt-6.1-sol", responsesUsage(272_001, 1), { tier: "ultrafast" }), 272_001n * 24_000_000n + 90_000_000n],
  ["ultrafast writes", responses("gpt-6.1-sol", responsesUsage(100, 0, { write: 60 }), { tier: "ultrafast" }), 40n * 12_000_000n + 60n * 15_000_000n],
  ["batch", chat("gpt-4o-mini", chatUsage(1000, 100), "batch"), 1000n * 75_000n + 100n * 300_000n],
  ["batch gpt-5", responses("gpt-5", responsesUsage(1000, 100, { cached: 100 }), { tier: "batch" }), 900n * 625_000n + 100n * 62_500n + 100n * 5_000_000n],
  ["flex before it had its prices here", chat("gpt-5", chatUsage(100, 10), "default"), 100n * 1_250_000n + 10n * 10_000_000n, { atMs: Date.parse("2026-01-01T00:00:00Z") }],
  ["a price of the past", responses("gpt-5.6-sol", responsesUsage(1000, 1000)), 1000n * 5_000_000n + 1000n * 30_000_000n, { atMs: Date.parse("2026-08-20T12:00:00Z") }],
  ["the price after the cut", responses("gpt-5.6-sol", responsesUsage(1000, 1000)), 1000n * 4_000_000n + 1000n * 20_000_000n],
  ["o3 before its cut", chat("o3", chatUsage(10, 10)), 10n * 10_000_000n + 10n * 40_000_000n, { atMs: Date.parse("2025-06-09T00:00:00Z") }],
]; // prettier-ignore

const OPENAI_TOOLS: Golden[] = [
  ["a search", responses("gpt-5", responsesUsage(9000, 100), { output: [search("ws1")], tools: [{ type: "web_search" }] }), 9000n * 1_250_000n + 100n * 10_000_000n + SEARCH],
  ["three searches and two pages opened", responses("gpt-5.4", responsesUsage(100, 10), { output: [search("a"), search("b"), search("c"), search("d", "open_page"), search("e", "find_in_page")] }), 100n * 2_500_000n + 10n * 15_000_000n + 3n * SEARCH],
  ["searches as the answer counts them", responses("gpt-5.4", responsesUsage(100, 10), { output: [search("a")], tool_usage: { web_search: { num_requests: 4 } } }), 100n * 2_500_000n + 10n * 15_000_000n + 4n * SEARCH],
  ["a search in a stream is counted once", responsesStream("gpt-5", responsesUsage(100, 10), { output: [search("a")] }), 100n * 1_250_000n + 10n * 10_000_000n + SEARCH],
  ["an older search of gpt-4.1", responses("gpt-4.1", responsesUsage(100, 10), { output: [search("a")], tools: [{ type: "web_search_preview", search_context_size: "medium" }] }), 100n * 2_000_000n + 10n * 8_000_000n + OLDER_SEARCH],
  ["an older search, dated", responses("gpt-4o-mini", responsesUsage(100, 10), { output: [search("a"), search("b")], tools: [{ type: "web_search_preview_2025_03_11" }] }), 100n * 150_000n + 10n * 600_000n + 2n * OLDER_SEARCH],
  ["an older search of a model that thinks", responses("o4-mini", responsesUsage(100, 10), { output: [search("a")], tools: [{ type: "web_search_preview" }] }), 100n * 1_100_000n + 10n * 4_400_000n + SEARCH],
  ["deep research", responses("o3-deep-research-2025-06-26", responsesUsage(1000, 10), { output: [search("a"), search("b")], tools: [{ type: "web_search_preview" }] }), 1000n * 10_000_000n + 10n * 40_000_000n + 2n * SEARCH],
  ["file searches", responses("gpt-4.1-mini", responsesUsage(100, 10), { output: [fileSearch("f1"), fileSearch("f2")] }), 100n * 400_000n + 10n * 1_600_000n + 2n * FILE_SEARCH],
  ["tools in a tier", responses("gpt-5", responsesUsage(100, 10), { tier: "flex", output: [search("a"), fileSearch("f")] }), 100n * 625_000n + 10n * 5_000_000n + SEARCH + FILE_SEARCH],
  ["a container", responses("gpt-5", responsesUsage(100, 10), { output: [runCode("1", "cntr_a")], tools: [codeTool()] }), 100n * 1_250_000n + 10n * 10_000_000n + CONTAINER],
  ["two runs in one container", responses("gpt-5", responsesUsage(100, 10), { output: [runCode("1", "cntr_a"), runCode("2", "cntr_a")], tools: [codeTool("1g")] }), 100n * 1_250_000n + 10n * 10_000_000n + CONTAINER],
  ["a container of 4 GB", responses("gpt-5", responsesUsage(100, 10), { output: [runCode("1", "cntr_a")], tools: [codeTool("4g")] }), 100n * 1_250_000n + 10n * 10_000_000n + 120_000_000_000n],
  ["a container of 64 GB", responsesStream("gpt-5", responsesUsage(100, 10), { output: [runCode("1", "cntr_a")], tools: [codeTool("64g")] }), 100n * 1_250_000n + 10n * 10_000_000n + 1_920_000_000_000n],
  ["a hosted shell", responses("gpt-5.4", responsesUsage(100, 10), { output: [{ id: "s", type: "shell_call", status: "completed", environment: { type: "container_reference", container_id: "cntr_s" } }], tools: [{ type: "shell", environment: { type: "container_auto" } }] }), 100n * 2_500_000n + 10n * 15_000_000n + CONTAINER],
  ["a shell of the caller's own", responses("gpt-5.4", responsesUsage(100, 10), { output: [{ id: "s", type: "shell_call", status: "completed", environment: { type: "local" } }], tools: [{ type: "shell", environment: { type: "local" } }] }), 100n * 2_500_000n + 10n * 15_000_000n],
  [
    "a picture by a tool",
    responses("gpt-5", responsesUsage(2000, 50), {
      output: [madeImage],
      tools: [{ type: "image_generation", model: "gpt-image-1", size: "auto", quality: "auto" }],
      tool_usage: { image_gen: { input_tokens: 50, input_tokens_details: { image_tokens: 0, text_tokens: 50 }, output_tokens: 1056, output_tokens_details: { image_tokens: 1056, text_tokens: 0 }, total_tokens: 1106 }, web_search: { num_requests: 0 } },
    }),
    2000n * 1_250_000n + 50n * 10_000_000n + 50n * 5_000_000n + 1056n * 40_000_000n,
  ],
  [
    "a picture made of a picture, by a tool in a stream",
    responsesStream("gpt-5.4", responsesUsage(300, 20), {
      output: [madeImage],
      tools: [{ type: "image_generation", model: "gpt-image-1.5" }],
      tool_usage: { image_gen: { input_tokens: 400, input_tokens_details: { image_tokens: 340, text_tokens: 60 }, output_tokens: 1000, output_tokens_details: { image_tokens: 990, text_tokens: 10 }, total_tokens: 1400 } },
    }),
    300n * 2_500_000n + 20n * 15_000_000n + 60n * 5_000_000n + 340n * 8_000_000n + 990n * 32_000_000n + 10n * 10_000_000n,
  ],
  ["a chat model that searches", chat("gpt-4o-search-preview-2025-03-11", chatUsage(20, 400)), 20n * 2_500_000n + 400n * 10_000_000n + OLDER_SEARCH],
  ["its smaller one", chat("gpt-4o-mini-search-preview-2025-03-11", chatUsage(20, 400)), 20n * 150_000n + 400n * 600_000n + OLDER_SEARCH],
  ["function calls cost their tokens", responses("gpt-5", responsesUsage(75, 40), { output: [{ id: "fc", type: "function_call", call_id: "c", name: "f", arguments: "{}" }] }), 75n * 1_250_000n + 40n * 10_000_000n],
]; // prettier-ignore

const OPENAI_SOUND_AND_PICTURES: Golden[] = [
  ["sound in and out", chat("gpt-audio-2025-08-28", chatUsage(120, 80, { audioIn: 70, audioOut: 60 })), 50n * 2_500_000n + 70n * 32_000_000n + 20n * 10_000_000n + 60n * 64_000_000n],
  ["gpt-audio-1.5", chat("gpt-audio-1.5", chatUsage(10, 90, { audioOut: 90 })), 10n * 2_500_000n + 90n * 64_000_000n],
  ["gpt-audio-mini", chat("gpt-audio-mini-2025-12-15", chatUsage(100, 50, { audioIn: 100, audioOut: 40 })), 100n * 10_000_000n + 10n * 2_400_000n + 40n * 20_000_000n],
  ["cached sound costs what sound does", chat("gpt-audio", chatUsage(100, 0, { audioIn: 100, cached: 64 })), 100n * 32_000_000n],
  ["gpt-4o with sound", chat("gpt-4o-audio-preview-2025-06-03", chatUsage(110, 220, { audioIn: 100, audioOut: 200 })), 10n * 2_500_000n + 100n * 40_000_000n + 20n * 10_000_000n + 200n * 80_000_000n],
  ["gpt-4o-mini with sound", chat("gpt-4o-mini-audio-preview", chatUsage(110, 220, { audioIn: 100, audioOut: 200 })), 10n * 150_000n + 100n * 10_000_000n + 20n * 600_000n + 200n * 20_000_000n],
  ["transcription by token", transcript("gpt-4o-transcribe", heard(1000, 20, 150)), 1000n * 2_500_000n + 20n * 2_500_000n + 150n * 10_000_000n],
  ["transcription by token, mini", transcript("gpt-4o-mini-transcribe-2025-12-15", heard(1000, 0, 150)), 1000n * 1_250_000n + 150n * 5_000_000n],
  ["who speaks", transcript("gpt-4o-transcribe-diarize", heard(100, 0, 10)), 100n * 2_500_000n + 10n * 10_000_000n],
  ["whisper by the second", transcript("whisper-1", lasted(9)), 9n * 100_000_000n],
  ["whisper, part of a second", transcript("whisper-1", lasted(8.47)), (8470n * 100_000_000n) / 1000n],
  ["whisper, verbose without usage", { ...transcript("whisper-1", {}), body: JSON.stringify({ task: "transcribe", language: "english", duration: 61.5, text: "Hi", segments: [] }) }, (61_500n * 100_000_000n) / 1000n],
  ["gpt-transcribe by the second", transcript("gpt-transcribe", lasted(60)), 60n * 75_000_000n],
  ["speech by character", spoken("tts-1", 1000), 1000n * 15_000_000n],
  ["fine speech by character", spoken("tts-1-hd", 37), 37n * 30_000_000n],
  ["dated speech", spoken("tts-1-1106", 10), 10n * 15_000_000n],
  ["speech by token", speechStream("gpt-4o-mini-tts", 14, 101), 14n * 600_000n + 101n * 12_000_000n],
  ["speech by token, dated", speechStream("gpt-4o-mini-tts-2025-12-15", 14, 101), 14n * 600_000n + 101n * 12_000_000n],
  ["a picture", images("gpt-image-1", 50, 0, 4160), 50n * 5_000_000n + 4160n * 40_000_000n],
  ["a picture of a picture", images("gpt-image-1", 27, 323, 4160), 27n * 5_000_000n + 323n * 10_000_000n + 4160n * 40_000_000n],
  ["a small picture", images("gpt-image-1-mini", 27, 323, 272), 27n * 2_000_000n + 323n * 2_500_000n + 272n * 8_000_000n],
  ["a picture and words", images("gpt-image-1.5", 20, 0, 1100, { output_tokens_details: { image_tokens: 1056, text_tokens: 44 } }), 20n * 5_000_000n + 1056n * 32_000_000n + 44n * 10_000_000n],
  ["gpt-image-2", images("gpt-image-2", 20, 100, 1056), 20n * 5_000_000n + 100n * 8_000_000n + 1056n * 30_000_000n],
  ["gpt-image-2.5", images("gpt-image-2.5-flare", 20, 100, 1056), 20n * 5_000_000n + 100n * 8_000_000n + 1056n * 30_000_000n],
  ["chatgpt-image-latest", images("chatgpt-image-latest", 20, 100, 1056), 20n * 5_000_000n + 100n * 8_000_000n + 1056n * 32_000_000n],
  ["pictures to a text model are text", chat("gpt-4o", { ...chatUsage(100, 10), prompt_tokens_details: { cached_tokens: 0, audio_tokens: 0, image_tokens: 85, text_tokens: 15 } }), 100n * 2_500_000n + 10n * 10_000_000n],
  ["embeddings", embeddings("text-embedding-3-small", 8191), 8191n * 20_000n],
  ["large embeddings", embeddings("text-embedding-3-large", 8191), 8191n * 130_000n],
  ["old embeddings", embeddings("text-embedding-ada-002-v2", 7), 7n * 100_000n],
]; // prettier-ignore

const OPENAI_REGIONS: Golden[] = [
  ["a newer model in a region", responses("gpt-5.4-mini", responsesUsage(1000, 100, { cached: 200 })), 800n * 825_000n + 200n * 82_500n + 100n * 4_950_000n, { provider: "openai-eu" }],
  ["an older model in a region", responses("gpt-5", responsesUsage(1000, 100)), 1000n * 1_250_000n + 100n * 10_000_000n, { provider: "openai-us" }],
  ["a tool in a region", responses("gpt-6-sol", responsesUsage(1000, 0), { output: [search("a")] }), 1000n * 2_200_000n + SEARCH, { provider: "openai-us" }],
  ["a tier in a region", responses("gpt-6-sol", responsesUsage(1000, 0), { tier: "flex" }), 1000n * 1_100_000n, { provider: "openai-us" }],
  ["a long prompt in a region", responses("gpt-5.4", responsesUsage(300_000, 0)), 300_000n * 5_500_000n, { provider: "openai-jp" }],
]; // prettier-ignore

const CLAUDE: Golden[] = [
  ["a message", claude("claude-sonnet-4-5-20250929", 1000, 200), 1000n * 3_000_000n + 200n * 15_000_000n],
  ["a stream", claudeStream("claude-sonnet-4-5-20250929", 1000, 200), 1000n * 3_000_000n + 200n * 15_000_000n],
  ["the last count of a stream wins", claudeStream("claude-haiku-4-5-20251001", 10, 500), 10n * 1_000_000n + 500n * 5_000_000n],
  ["a cache read", claude("claude-sonnet-4-5", 10, 20, { read: 5000 }), 10n * 3_000_000n + 5000n * 300_000n + 20n * 15_000_000n],
  ["a five-minute write", claude("claude-sonnet-4-5", 10, 20, { w5: 2000 }), 10n * 3_000_000n + 2000n * 3_750_000n + 20n * 15_000_000n],
  ["an hour's write", claude("claude-sonnet-4-5", 10, 0, { w1h: 1500 }), 10n * 3_000_000n + 1500n * 6_000_000n],
  ["both writes and a read", claude("claude-opus-4-5-20251101", 3, 100, { w5: 1000, w1h: 2000, read: 10_000 }), 3n * 5_000_000n + 1000n * 6_250_000n + 2000n * 10_000_000n + 10_000n * 500_000n + 100n * 25_000_000n],
  ["writes without their split are short", { ...claude("claude-sonnet-4-5", 0, 0), body: '{"type":"message","model":"claude-sonnet-4-5","content":[],"stop_reason":"end_turn","usage":{"input_tokens":10,"cache_creation_input_tokens":1000,"cache_read_input_tokens":0,"output_tokens":5}}' }, 10n * 3_000_000n + 1000n * 3_750_000n + 5n * 15_000_000n],
  ["writes where only the hour's share is told", { ...claude("claude-sonnet-4-5", 0, 0), body: '{"type":"message","model":"claude-sonnet-4-5","content":[],"stop_reason":"end_turn","usage":{"input_tokens":10,"cache_creation_input_tokens":1500,"cache_creation":{"ephemeral_1h_input_tokens":1500},"cache_read_input_tokens":0,"output_tokens":0}}' }, 10n * 3_000_000n + 1500n * 6_000_000n],
  ["thinking is output", claude("claude-opus-5-20260724", 100, 900, { thinking: 700 }), 100n * 5_000_000n + 900n * 25_000_000n],
  ["haiku 4.5", claude("claude-haiku-4-5", 100, 100, { read: 100, w5: 100, w1h: 100 }), 100n * 1_000_000n + 100n * 100_000n + 100n * 1_250_000n + 100n * 2_000_000n + 100n * 5_000_000n],
  ["opus 4.1", claude("claude-opus-4-1-20250805", 100, 10, { read: 50 }), 100n * 15_000_000n + 50n * 1_500_000n + 10n * 75_000_000n],
  ["opus 4", claude("claude-opus-4-20250514", 100, 10, { w1h: 10 }), 100n * 15_000_000n + 10n * 30_000_000n + 10n * 75_000_000n],
  ["sonnet 4", claude("claude-sonnet-4-20250514", 100, 10), 100n * 3_000_000n + 10n * 15_000_000n],
  ["haiku 3.5", claude("claude-3-5-haiku-20241022", 100, 10, { w5: 10 }), 100n * 800_000n + 10n * 1_000_000n + 10n * 4_000_000n],
  ["haiku 3 with its odd rates", claude("claude-3-haiku-20240307", 100, 10, { read: 100, w5: 100 }), 100n * 250_000n + 100n * 30_000n + 100n * 300_000n + 10n * 1_250_000n],
  ["opus 4.8", claude("claude-opus-4-8", 100, 10), 100n * 5_000_000n + 10n * 25_000_000n],
  ["opus 5.5 reads at a twentieth", claude("claude-opus-5-5", 100, 10, { read: 10_000, w5: 100, w1h: 100 }), 100n * 4_000_000n + 10_000n * 200_000n + 100n * 5_000_000n + 100n * 8_000_000n + 10n * 20_000_000n],
  ["sonnet 5", claude("claude-sonnet-5-20260630", 100, 10, { read: 1000 }), 100n * 2_000_000n + 1000n * 200_000n + 10n * 10_000_000n],
  ["sonnet 5.5 is not sonnet 5", claude("claude-sonnet-5-5", 100, 10, { read: 1000 }), 100n * 2_000_000n + 1000n * 100_000n + 10n * 10_000_000n],
  ["fable 5", claude("claude-fable-5", 100, 10, { read: 1000 }), 100n * 10_000_000n + 1000n * 1_000_000n + 10n * 50_000_000n],
  ["fable 5.1 reads at a fortieth", claude("claude-fable-5-1-20260901", 100, 10, { read: 1000 }), 100n * 10_000_000n + 1000n * 250_000n + 10n * 50_000_000n],
  ["fable 5.2", claude("claude-fable-5-2-20261109", 100, 10, { read: 1000, w5: 10, w1h: 10 }), 100n * 8_000_000n + 1000n * 200_000n + 10n * 10_000_000n + 10n * 16_000_000n + 10n * 40_000_000n],
  ["mythos 5.1", claude("claude-mythos-5-1", 100, 10, { read: 1000 }), 100n * 10_000_000n + 1000n * 250_000n + 10n * 50_000_000n],
  ["haiku 5.5, short", claude("claude-haiku-5-5", 100_000, 10), 100_000n * 100_000n + 10n * 500_000n],
  ["haiku 5.5, long by what it read from the cache", claude("claude-haiku-5-5", 1, 10, { read: 100_000 }), 1n * 500_000n + 100_000n * 50_000n + 10n * 2_500_000n],
  ["sonnet 4.5, long", claude("claude-sonnet-4-5", 200_001, 10), 200_001n * 6_000_000n + 10n * 22_500_000n],
  ["sonnet 4.5, long by its writes", claude("claude-sonnet-4-5", 1000, 10, { w5: 199_001 }), 1000n * 6_000_000n + 199_001n * 7_500_000n + 10n * 22_500_000n],
  ["sonnet 4.6 has no surcharge", claude("claude-sonnet-4-6", 300_000, 10), 300_000n * 3_000_000n + 10n * 15_000_000n],
  ["opus 4.6 had one once", claude("claude-opus-4-6", 300_000, 0), 300_000n * 10_000_000n, { atMs: Date.parse("2026-03-12T00:00:00Z") }],
  ["bought capacity", claude("claude-sonnet-4-6", 100, 10, { tier: "priority" }), 100n * 3_000_000n + 10n * 15_000_000n],
  ["batch", claude("claude-sonnet-4-6", 100, 10, { tier: "batch", read: 100 }), 100n * 1_500_000n + 100n * 150_000n + 10n * 7_500_000n],
  ["batch fable 5.2", claude("claude-fable-5-2", 100, 10, { tier: "batch", w1h: 10 }), 100n * 4_000_000n + 10n * 8_000_000n + 10n * 20_000_000n],
  ["in the US", claude("claude-opus-4-8", 1000, 100, { geo: "us", read: 1000, w5: 10 }), 1000n * 5_500_000n + 1000n * 550_000n + 10n * 6_875_000n + 100n * 27_500_000n],
  ["anywhere", claude("claude-opus-4-8", 1000, 100, { geo: "global" }), 1000n * 5_000_000n + 100n * 25_000_000n],
  ["fast", claude("claude-opus-5", 1000, 100, { speed: "fast" }), 1000n * 10_000_000n + 100n * 50_000_000n],
  ["fast, cached", claude("claude-opus-5-5", 100, 10, { speed: "fast", read: 1000, w5: 10, w1h: 10 }), 100n * 8_000_000n + 1000n * 400_000n + 10n * 10_000_000n + 10n * 16_000_000n + 10n * 40_000_000n],
  ["fast in the US", claude("claude-opus-5", 1000, 100, { speed: "fast", geo: "us" }), 1000n * 11_000_000n + 100n * 55_000_000n],
  ["asked for fast and served at standard", claude("claude-opus-5", 1000, 100, { speed: "standard" }), 1000n * 5_000_000n + 100n * 25_000_000n],
  ["a search", claudeStream("claude-sonnet-4-6", 10_682, 510, { searches: 1 }), 10_682n * 3_000_000n + 510n * 15_000_000n + SEARCH],
  ["three searches and free fetches", claude("claude-haiku-4-5", 100, 10, { searches: 3, fetches: 5 }), 100n * 1_000_000n + 10n * 5_000_000n + 3n * SEARCH],
  ["searches in the US cost the same", claude("claude-opus-5", 100, 0, { searches: 1, geo: "us" }), 100n * 5_500_000n + SEARCH],
  ["runs of code cost their tokens", claude("claude-opus-5", 100, 10, { content: [ranCode("a"), ranCode("b", "text_editor_code_execution"), { type: "text", text: "x" }] }), 100n * 5_000_000n + 10n * 25_000_000n],
  ["an advisor is another model", claude("claude-haiku-4-5", 412, 80, { iterations: [{ type: "message", input_tokens: 412, output_tokens: 80 }, { type: "advisor_message", model: "claude-opus-5", input_tokens: 823, output_tokens: 531, cache_read_input_tokens: 100, cache_creation_input_tokens: 0 }] }), 412n * 1_000_000n + 80n * 5_000_000n + 823n * 5_000_000n + 531n * 25_000_000n + 100n * 500_000n],
  ["compaction beside the totals", claude("claude-opus-5", 100, 10, { iterations: [{ type: "compaction", input_tokens: 180_000, output_tokens: 3500, cache_creation_input_tokens: 0, cache_read_input_tokens: 0 }, { type: "message", input_tokens: 100, output_tokens: 10 }] }), 180_100n * 5_000_000n + 3510n * 25_000_000n],
  ["a fallback after a refusal that put out nothing", claude("claude-opus-4-8", 100, 10, { iterations: [{ type: "message", model: "claude-fable-5", input_tokens: 100, output_tokens: 0 }, { type: "fallback_message", model: "claude-opus-4-8", input_tokens: 100, output_tokens: 10 }] }), 100n * 5_000_000n + 10n * 25_000_000n],
]; // prettier-ignore

const OTHERS: Golden[] = [
  ["OpenRouter states its cost", raw("anthropic/claude-opus-5", '{"prompt_tokens":1000,"completion_tokens":100,"total_tokens":1100,"cost":0.0075321,"cost_details":{"upstream_inference_cost":null},"is_byok":false}'), 7_532_100_000n, { provider: "openrouter" }],
  ["OpenRouter's free models", raw("deepseek/deepseek-r1:free", '{"prompt_tokens":10,"completion_tokens":10,"total_tokens":20,"cost":0}'), 0n, { provider: "openrouter" }],
  ["OpenRouter with a key at the provider", raw("openai/gpt-5", '{"prompt_tokens":10,"completion_tokens":10,"total_tokens":20,"cost":0.00005,"is_byok":true,"cost_details":{"upstream_inference_cost":0.001}}'), 1_050_000_000n, { provider: "openrouter" }],
  ["less than a nanodollar is rounded up", raw("x/y", '{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2,"cost":1e-10}'), 100n, { provider: "openrouter" }],
  ["xAI in ticks", raw("grok-4.3", '{"prompt_tokens":10,"completion_tokens":10,"total_tokens":20,"cost_in_usd_ticks":37756000}'), 3_775_600_000n, { provider: "xai" }],
  ["xAI by its package name", raw("grok-4.3", '{"prompt_tokens":10,"completion_tokens":10,"total_tokens":20,"num_sources_used":3,"cost_in_usd_ticks":200000000}'), 20_000_000_000n, { provider: "x-ai" }],
  ["Perplexity", raw("sonar", '{"prompt_tokens":10,"completion_tokens":10,"total_tokens":20,"search_context_size":"low","num_search_queries":1,"cost":{"input_tokens_cost":0.00001,"output_tokens_cost":0.00001,"request_cost":0.005,"total_cost":0.00502}}'), 5_020_000_000n, { provider: "perplexity" }],
]; // prettier-ignore

const GOLDEN: Golden[] = [
  ...OPENAI_TEXT,
  ...OPENAI_CACHE_WRITES,
  ...OPENAI_LONG,
  ...OPENAI_TIERS,
  ...OPENAI_TOOLS,
  ...OPENAI_SOUND_AND_PICTURES,
  ...OPENAI_REGIONS,
  ...CLAUDE,
  ...OTHERS,
];

describe("golden receipts", () => {
  it("are more than 150", () => {
    expect(GOLDEN.length).toBeGreaterThan(150);
  });

  it.each(GOLDEN)("%s", (_name, answer, pico, upstream) => {
    const cost = costOf(answer, upstream);
    if (!cost.priced) throw new Error(`unpriced: ${cost.missing.join()}`);
    expect(cost.receipt.cost).toBe((pico + 999n) / 1000n);
    expect(cost.receipt.lines.reduce((sum, line) => sum + line.amountPico, 0n)).toBe(pico);
    if (cost.receipt.breakdown === null) return;
    const { input, cached, cacheWrite, output, tools } = cost.receipt.breakdown;
    expect(input + cached + cacheWrite + output + tools).toBe(cost.receipt.cost);
  });
});

type Unpriced = [name: string, answer: Answer, missing: string[], upstream?: Upstream];

const UNPRICED: Unpriced[] = [
  ["a tier that nobody lists", chat("gpt-5", chatUsage(1, 1), "scale"), ["model"]],
  ["a tier the model does not have", responses("gpt-4.1", responsesUsage(1, 1), { tier: "flex" }), ["model"]],
  ["a speed nobody lists", claude("claude-fable-5-2", 1, 1, { speed: "fast" }), ["model"]],
  ["a place nobody lists", claude("claude-opus-5", 1, 1, { geo: "eu" }), ["model"]],
  ["a model nobody lists", chat("gpt-99", chatUsage(1, 1)), ["model"]],
  ["a unit nobody knows", raw("gpt-5", '{"prompt_tokens":1,"completion_tokens":1,"video_tokens":9}'), ["video_tokens"]],
  ["sound of a model without its price", chat("gpt-4o", chatUsage(10, 1, { audioIn: 10 })), ["audio_input"]],
  ["writes of a model without their price", chat("gpt-5", chatUsage(10, 1, { write: 10 })), ["cache_write_5m"]],
  ["pictures by a tool that does not tell its model", responses("gpt-5", responsesUsage(1, 1), { output: [madeImage] }), ["image_generation_call"]],
  ["pictures by a model nobody lists", responses("gpt-5", responsesUsage(1, 1), { output: [madeImage], tools: [{ type: "image_generation", model: "gpt-image-9" }], tool_usage: { image_gen: { input_tokens: 1, output_tokens: 9, total_tokens: 10 } } }), ["model gpt-image-9"]],
  ["a container that an earlier call made", responses("gpt-5", responsesUsage(1, 1), { output: [runCode("1", "cntr_a")], tools: [{ type: "code_interpreter", container: "cntr_a" }] }), ["container"]],
  ["searches that a chat model does not count", chat("gpt-5-search-api-2025-10-14", chatUsage(1, 1)), ["web_search_calls"]],
  ["an advisor nobody lists", claude("claude-opus-5", 1, 1, { iterations: [{ type: "advisor_message", model: "claude-sage-1", input_tokens: 1, output_tokens: 1 }] }), ["model claude-sage-1"]],
  ["an advisor without a name", claude("claude-opus-5", 1, 1, { iterations: [{ type: "advisor_message", input_tokens: 1, output_tokens: 1 }] }), ["advisor_message"]],
  ["a refusal after some output", claude("claude-opus-4-8", 1, 1, { iterations: [{ type: "message", model: "claude-fable-5", input_tokens: 1, output_tokens: 7 }, { type: "fallback_message", model: "claude-opus-4-8", input_tokens: 1, output_tokens: 1 }] }), ["refused_message"]],
  ["searches whose kind stands in tools too long to be read", responses("gpt-5", responsesUsage(1, 1), { output: [search("a")], tools: [{ type: "function", name: "f", description: "x".repeat(9_000_000) }] }), ["tools"]],
  ["DALL·E by its size", { provider: "openai", path: "/v1/images/generations", body: '{"created":1,"data":[{"url":"x"}]}', facts: { model: "dall-e-3", choices: 1 } }, ["model"]],
  ["a cost that is stated by who is not believed", raw("gpt-5", '{"prompt_tokens":1,"completion_tokens":1,"cost":0}'), ["model"], { provider: "my-openai-proxy" }],
  ["a newer model in a region whose price is not told", images("gpt-image-2", 1, 0, 1), ["model"], { provider: "openai-eu" }],
]; // prettier-ignore

describe("what is not known is unpriced, never zero and never standard", () => {
  it.each(UNPRICED)("%s", (_name, answer, missing, upstream) => {
    expect(costOf(answer, upstream)).toEqual({ priced: false, missing });
  });

  it("does not believe a cost of OpenAI's or Anthropic's own answers, or of an upstream of another name", () => {
    const told = raw("gpt-5", '{"prompt_tokens":1000,"completion_tokens":0,"total_tokens":1000,"cost":0,"cost_in_usd_ticks":0}');
    for (const provider of ["openai", "openai-eu"]) {
      const cost = costOf(told, { provider });
      expect(cost.priced && cost.receipt.cost).toBe(1_250_000n);
    }
    expect(costOf(told, { provider: "groq" }).priced).toBe(false);
  });
});

describe("bounds", () => {
  it("are what containers cost: nobody tells how long they ran", () => {
    const cost = costOf(responses("gpt-5", responsesUsage(1, 1), { output: [runCode("1", "c")], tools: [codeTool()] }));
    expect(cost).toMatchObject({ priced: true, isUpperBound: true });
    expect(costOf(responses("gpt-5", responsesUsage(1, 1)))).toMatchObject({ isUpperBound: false });
  });

  it("are what a redeemed fallback credit leaves: it lowers the bill by what is not told", () => {
    expect(costOf(claude("claude-opus-4-8", 1, 1, { credit: { type: "redeemed" } }))).toMatchObject({ isUpperBound: true });
    expect(costOf(claude("claude-opus-4-8", 1, 1, { credit: { type: "not_applied", reason: "expired" } }))).toMatchObject({
      isUpperBound: false,
    });
  });

  it("names the other model on its lines", () => {
    const cost = costOf(
      claude("claude-haiku-4-5", 10, 10, {
        iterations: [{ type: "advisor_message", model: "claude-opus-5", input_tokens: 5, output_tokens: 5 }],
      }),
    );
    expect(cost.priced && cost.receipt.lines.map(({ unit, model, quantity }) => [unit, model, quantity])).toEqual([
      ["input", undefined, 10],
      ["output", undefined, 10],
      ["input", "claude-opus-5", 5],
      ["output", "claude-opus-5", 5],
    ]);
  });

  it("shows a stated cost as one line", () => {
    const cost = costOf(raw("x/y", '{"prompt_tokens":1,"completion_tokens":1,"cost":0.25}'), { provider: "openrouter" });
    expect(cost).toEqual({
      priced: true,
      isUpperBound: false,
      receipt: {
        cost: 250_000_000n,
        breakdown: null,
        lines: [{ unit: "provider_cost", quantity: 1, unitPricePico: 250_000_000_000n, amountPico: 250_000_000_000n }],
        priceVersion: "stated:openrouter",
      },
    });
  });
});
