import { describe, expect, it } from "vitest";
import type { Metered } from "@/server/gateway/providers";
import type { UsageQuantities } from "@/server/metering/usage";
import { fixtureNames, meterAnswer, meterFixture } from "@/testing/meter-answer";

const GPT = { model: "gpt-5.2-2026-02-10", serviceTier: "default" };

function told(quantities: UsageQuantities, rest: object = GPT): Partial<Metered> {
  return { usage: { quantities, ...rest }, usageComplete: true, visibleText: "", terminal: true };
}

const untold = (visibleText: string, rest: Partial<Metered> = {}): Partial<Metered> => ({
  usageComplete: false,
  terminal: true,
  visibleText,
  ...rest,
});

const EXPECTED: Record<string, Partial<Metered>> = {
  "chat-plain.json": { ...told({ input: 19, output: 10 }), stopReason: "stop", responseId: "chatcmpl-Cr1", toolCalls: [] },
  "chat-plain.sse": { ...told({ input: 19, output: 4 }), stopReason: "stop" },
  "chat-no-usage.json": untold("Hello there."),
  "chat-no-usage.sse": untold("No usage here.", { model: "gpt-5.2-2026-02-10", serviceTier: "default" }),
  "chat-tools.json": {
    ...told({ input: 82, output: 31 }),
    stopReason: "tool_calls",
    toolCalls: [
      { name: "get_weather", id: "call_a1" },
      { name: "run_sql", id: "call_a2" },
    ],
  },
  "chat-parallel-tools.sse": {
    ...told({ input: 91, output: 44 }),
    toolCalls: [
      { name: "get_weather", id: "call_b1" },
      { name: "get_time", id: "call_b2" },
    ],
  },
  "chat-refusal.sse": untold("I can't help with that.", { stopReason: "stop" }),
  "chat-cached-reasoning.json": told(
    { input: 104, cached_input: 3072, cache_write_5m: 1024, output: 48, reasoning: 512 },
    { model: "gpt-5.2-2026-02-10", serviceTier: "priority" },
  ),
  "chat-n2.sse": { ...told({ input: 12, output: 6 }), stopReason: "stop" },
  "chat-length.sse": { ...told({ input: 9, output: 2 }), stopReason: "length" },
  "chat-error-midstream.sse": { usageComplete: false, terminal: false, inBandError: "server_error", visibleText: "Par" },
  "chat-crlf.sse": told({ input: 7, output: 3 }),
  "chat-keepalive.sse": told({ input: 11, output: 2 }, { ...GPT, reportedCostUsd: "0.0000123" }),
  "chat-multibyte.sse": untold('Grüße 世界 👩‍👩‍👧 "quoted" \\ data: [DONE]\n\n'),
  "chat-audio.json": told(
    { input: 50, audio_input: 70, output: 20, audio_output: 60 },
    { model: "gpt-audio-2026-01-01", serviceTier: "default" },
  ),
  "chat-cut.sse": { usageComplete: false, terminal: false, visibleText: "This stream dies" },
  "chat-reasoning-deltas.sse": told(
    { input: 36, cached_input: 64, output: 10, reasoning: 20 },
    { model: "deepseek-reasoner", serviceTier: "default" },
  ),
  "chat-unknown-units.json": told(
    { input: 10, output: 2 },
    { ...GPT, unknownUnits: ["prompt_tokens_details.smell_tokens", "video_tokens"] },
  ),
  "chat-bad-usage.json": untold("ok", { unreadable: ["prompt_tokens", "completion_tokens"] }),
  "completions.sse": told({ input: 5, output: 2 }, { model: "gpt-3.5-turbo-instruct:20230824-v2" }),
  "responses-plain.json": {
    ...told({ input: 20, cached_input: 16, output: 23, reasoning: 64 }),
    stopReason: "completed",
    responseId: "resp_1",
  },
  "responses-plain.sse": { ...told({ input: 36, output: 8, reasoning: 16 }), stopReason: "completed", nextSequenceNumber: 12 },
  "responses-background.json": untold("", { responseId: "resp_bg" }),
  "responses-incomplete.sse": {
    ...told({ input: 20, output: 16 }, { model: "gpt-5.2-2026-02-10", serviceTier: "flex" }),
    stopReason: "max_output_tokens",
  },
  "responses-failed.sse": untold("Oh", { inBandError: "server_error", stopReason: "failed" }),
  "responses-error-event.sse": { usageComplete: false, terminal: false, inBandError: "rate_limit_exceeded", visibleText: "Oh" },
  "responses-cut.sse": { usageComplete: false, terminal: false, visibleText: "Half an ans", model: "gpt-5.2-2026-02-10" },
  "responses-function-calls.sse": {
    ...told({ input: 75, output: 40 }),
    toolCalls: [
      { name: "get_weather", id: "call_c1" },
      { name: "get_time", id: "call_c2" },
    ],
  },
  "responses-tools-billed.sse": {
    ...told({ input: 900, output: 30, web_search: 1, file_search: 1, container_1g: 1 }),
    billedItems: { web_search: 1, file_search: 1, container_1g: 1 },
  },
  "responses-image-tool.json": told({ input: 50, output: 12 }, { ...GPT, unknownUnits: ["image_generation_call"] }),
  "responses-compact.json": told({ input: 5000, output: 200, reasoning: 100 }, {}),
  "embeddings.json": told({ input: 8, output: 0 }, { model: "text-embedding-3-small" }),
  "images.json": told({ input: 27, image_input: 323, output: 0, image_output: 4160 }, {}),
  "images.sse": told({ input: 27, output: 0, image_output: 4160 }, {}),
  "images-dalle.json": untold(""),
  "transcription-duration.json": told({ input_seconds: 9 }, {}),
  "transcription-verbose.json": told({ input_seconds: 8.47 }, {}),
  "transcription-tokens.sse": told({ input: 5, audio_input: 40, output: 12 }, {}),
  "speech.sse": told({ input: 14, output: 0, audio_output: 101 }, {}),
};

describe("OpenAI answers", () => {
  it("has an expectation for every recorded answer", () => {
    expect(fixtureNames("openai")).toEqual(Object.keys(EXPECTED).sort());
  });

  it.each(Object.entries(EXPECTED))("%s", (name, expected) => {
    const metered = meterFixture("openai", name);
    for (const [field, value] of Object.entries(expected)) expect({ [field]: metered[field as keyof Metered] }).toEqual({ [field]: value });
    if (expected.usage === undefined) expect(metered.usage).toBeUndefined();
    if (expected.inBandError === undefined) expect(metered.inBandError).toBeUndefined();
  });

  it("prices pictures by the piece where the model tells no tokens, and speech by the characters asked for", () => {
    expect(meterFixture("openai", "images-dalle.json", undefined, { model: "dall-e-3", choices: 2 }).usage?.quantities).toEqual({
      images: 2,
    });
    const speech = { provider: "openai", path: "/v1/audio/speech", contentType: "audio/mpeg", pieces: [Buffer.from("ID3")] } as const;
    expect(meterAnswer({ ...speech, facts: { model: "tts-1-hd", inputCharacters: 41 } })).toMatchObject({
      usageComplete: true,
      terminal: true,
      usage: { quantities: { input_characters: 41 } },
    });
    expect(meterAnswer({ ...speech, facts: { model: "gpt-4o-mini-tts", inputCharacters: 41 } }).usage).toBeUndefined();
  });

  it("believes the bytes where the content type lies", () => {
    const chat = { provider: "openai", path: "/v1/chat/completions" } as const;
    const document = [Buffer.from(' \n{"id":"c","model":"m","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}')];
    expect(meterAnswer({ ...chat, contentType: "text/event-stream", pieces: document }).usage?.quantities).toEqual({ input: 1, output: 2 });
    const stream = [Buffer.from('data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}\n\ndata: [DONE]\n\n')];
    for (const contentType of ["application/json", undefined]) {
      expect(meterAnswer({ ...chat, contentType, pieces: stream })).toMatchObject({
        terminal: true,
        usage: { quantities: { input: 1, output: 2 } },
      });
    }
  });

  it("does not take usage from the middle of a stream for the last word", () => {
    const pieces = [
      Buffer.from(
        'data: {"choices":[{"index":0,"delta":{"content":"abc"},"finish_reason":null}],"usage":{"prompt_tokens":1,"completion_tokens":1}}\n\n',
      ),
    ];
    expect(meterAnswer({ provider: "openai", path: "/v1/chat/completions", contentType: "text/event-stream", pieces })).toMatchObject({
      usageComplete: false,
      visibleText: "abc",
      usage: { quantities: { input: 1, output: 1 } },
    });
  });

  // The last event of a Responses stream repeats the whole answer; a reader with a line cap lost its usage there.
  it("finds usage, items and text in events far above the cap", () => {
    const answer = "x".repeat(2_000_000);
    const completed = JSON.stringify({
      type: "response.completed",
      response: {
        output: [
          { type: "message", id: "msg", content: [{ type: "output_text", text: answer }] },
          { type: "web_search_call", id: "ws", action: { type: "search" } },
        ],
        id: "resp_big",
        status: "completed",
        model: "gpt-5.2",
        usage: { input_tokens: 5, output_tokens: 500_000, total_tokens: 500_005 },
      },
    });
    const pieces = [
      Buffer.from(
        `event: response.output_text.delta\ndata: ${JSON.stringify({ type: "response.output_text.delta", delta: answer })}\n\nevent: response.completed\ndata: ${completed}\n\n`,
      ),
    ];
    const responses = { provider: "openai", path: "/v1/responses", contentType: "text/event-stream" } as const;
    expect(meterAnswer({ ...responses, pieces })).toMatchObject({
      terminal: true,
      usage: { quantities: { input: 5, output: 500_000, web_search: 1 }, model: "gpt-5.2" },
    });
    const first = pieces[0]!.subarray(0, pieces[0]!.indexOf("event: response.completed"));
    expect(meterAnswer({ ...responses, pieces: [first] }).visibleText).toHaveLength(2_000_000);
  });

  it.each([
    [
      "reasoning told beside the output",
      { prompt_tokens: 10, completion_tokens: 5, total_tokens: 115, completion_tokens_details: { reasoning_tokens: 100 } },
      { input: 10, output: 5, reasoning: 100 },
    ],
    [
      "audio that was read from the cache",
      {
        prompt_tokens: 100,
        completion_tokens: 1,
        prompt_tokens_details: { cached_tokens: 80, audio_tokens: 60, cached_tokens_details: { audio_tokens: 50 } },
      },
      { input: 10, cached_input: 30, audio_input: 10, cached_audio_input: 50, output: 1 },
    ],
    [
      "cached and audio that must overlap",
      { prompt_tokens: 100, completion_tokens: 1, prompt_tokens_details: { cached_tokens: 90, audio_tokens: 30 } },
      { input: 0, cached_input: 70, audio_input: 10, cached_audio_input: 20, output: 1 },
    ],
    [
      "pictures in the output",
      { prompt_tokens: 1, completion_tokens: 1300, completion_tokens_details: { image_tokens: 1290 } },
      { input: 1, output: 10, image_output: 1290 },
    ],
    ["a cost that is no number", { prompt_tokens: 1, completion_tokens: 2, cost: { total_cost: 0.1 } }, { input: 1, output: 2 }],
    ["explicit zeros", { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 }, { input: 0, output: 0 }],
  ])("reads %s in disjoint units", (_name, usage, quantities) => {
    const pieces = [Buffer.from(JSON.stringify({ choices: [], usage }))];
    expect(
      meterAnswer({ provider: "openai", path: "/v1/chat/completions", contentType: "application/json", pieces }).usage?.quantities,
    ).toEqual(quantities);
  });

  it.each([
    ["a text", { prompt_tokens: "10", completion_tokens: 1 }],
    ["a fraction", { prompt_tokens: 1.5, completion_tokens: 1 }],
    ["a negative detail", { prompt_tokens: 5, completion_tokens: 1, prompt_tokens_details: { cached_tokens: -1 } }],
    ["more cached than there is", { prompt_tokens: 5, completion_tokens: 1, prompt_tokens_details: { cached_tokens: 6 } }],
    ["more reasoning than output", { prompt_tokens: 5, completion_tokens: 1, completion_tokens_details: { reasoning_tokens: 6 } }],
    ["past what a number holds exactly", { prompt_tokens: 1e300, completion_tokens: 1 }],
    ["nothing", {}],
    ["half", { prompt_tokens: 5 }],
  ])("takes usage with %s for not told", (_name, usage) => {
    const pieces = [Buffer.from(JSON.stringify({ choices: [], usage }))];
    const metered = meterAnswer({ provider: "openai", path: "/v1/chat/completions", contentType: "application/json", pieces });
    expect(metered.usage).toBeUndefined();
    expect(metered.usageComplete).toBe(false);
  });
});
