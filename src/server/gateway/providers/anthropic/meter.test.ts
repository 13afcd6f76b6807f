import { describe, expect, it } from "vitest";
import type { Metered } from "@/server/gateway/providers";
import type { UsageQuantities } from "@/server/metering/usage";
import { fixtureNames, meterAnswer, meterFixture } from "@/testing/meter-answer";

const CLAUDE = { model: "claude-opus-5-20260801", serviceTier: "standard", inferenceGeo: "not_available" };

function told(quantities: UsageQuantities, rest: object = CLAUDE): Partial<Metered> {
  return { usage: { quantities, ...rest }, usageComplete: true, visibleText: "", terminal: true };
}

const EXPECTED: Record<string, Partial<Metered>> = {
  "plain.json": { ...told({ input: 25, output: 7 }), stopReason: "end_turn", responseId: "msg_01A", toolCalls: [] },
  "plain.sse": { ...told({ input: 25, output: 15 }), stopReason: "end_turn", responseId: "msg_01B" },
  "tools.sse": { ...told({ input: 472, output: 89 }), stopReason: "tool_use", toolCalls: [{ name: "get_weather", id: "toolu_01T" }] },
  "parallel-tools.json": {
    ...told({ input: 600, output: 120 }),
    toolCalls: [
      { name: "read", id: "toolu_1" },
      { name: "grep", id: "toolu_2" },
    ],
  },
  "parallel-tools.sse": {
    ...told({ input: 600, output: 120 }),
    toolCalls: [
      { name: "read", id: "toolu_3" },
      { name: "grep", id: "toolu_4" },
    ],
  },
  "thinking-signature.sse": told({ input: 48, output: 12, reasoning: 198 }),
  "redacted-thinking.json": told({ input: 30, output: 400 }),
  "cache-writes.json": told({ input: 21, cached_input: 18000, cache_write_5m: 456, cache_write_1h: 1592, output: 9 }),
  "cache-1h-only.sse": told({ input: 12, cache_write_1h: 1000, output: 4 }),
  "cache-no-split.json": told({ input: 10, cached_input: 100, cache_write_5m: 500, output: 3 }, { model: CLAUDE.model }),
  "web-search.sse": { ...told({ input: 10682, output: 510, web_search: 1 }), toolCalls: [] },
  "pings.sse": told({ input: 5, output: 2 }),
  "max-tokens.sse": { ...told({ input: 9, output: 2 }), stopReason: "max_tokens" },
  "refusal.sse": { ...told({ input: 9, output: 5 }), stopReason: "refusal" },
  "error-midstream.sse": {
    usage: { quantities: { input: 100 }, ...CLAUDE },
    usageComplete: false,
    terminal: false,
    visibleText: "Partial",
    inBandError: "overloaded_error",
    requestId: "req_011CS",
  },
  "crlf.sse": told({ input: 25, output: 3 }),
  "multibyte.sse": told({ input: 25, output: 13 }),
  "cut.sse": {
    usage: { quantities: { input: 300, cached_input: 200 }, ...CLAUDE },
    usageComplete: false,
    terminal: false,
    visibleText: "The answer is",
  },
  "cumulative.sse": told({ input: 10, output: 42 }),
  "cumulative-cut.sse": {
    usage: { quantities: { input: 10, output: 20 }, ...CLAUDE },
    usageComplete: false,
    terminal: false,
    visibleText: "a",
  },
  "fast-geo.json": told({ input: 10, output: 3 }, { model: CLAUDE.model, serviceTier: "priority", speed: "fast", inferenceGeo: "us" }),
  "compaction.json": told({ input: 225_000, output: 4734 }),
  "advisor.json": told(
    { input: 412, output: 80 },
    { ...CLAUDE, otherModels: [{ model: "claude-opus-5", quantities: { input: 823, output: 531 } }] },
  ),
  "zero.json": told({ input: 0, output: 0 }),
  "bad-usage.sse": { usageComplete: false, terminal: true, visibleText: "Hi", unreadable: ["output_tokens"], model: CLAUDE.model },
  "count-tokens.json": { usageComplete: false, terminal: true, visibleText: "" },
  "error.json": { usageComplete: false, terminal: true, inBandError: "invalid_request_error", requestId: "req_011CT" },
};

describe("Anthropic answers", () => {
  it("has an expectation for every recorded answer", () => {
    expect(fixtureNames("anthropic")).toEqual(Object.keys(EXPECTED).sort());
  });

  it.each(Object.entries(EXPECTED))("%s", (name, expected) => {
    const metered = meterFixture("anthropic", name);
    for (const [field, value] of Object.entries(expected)) expect({ [field]: metered[field as keyof Metered] }).toEqual({ [field]: value });
    if (expected.usage === undefined) expect(metered.usage).toBeUndefined();
    if (expected.inBandError === undefined) expect(metered.inBandError).toBeUndefined();
  });

  // A 1-hour write taken for a 5-minute one is billed at five eighths of its price.
  it.each([
    [
      "only the hour is told",
      { cache_creation_input_tokens: 100, cache_creation: { ephemeral_1h_input_tokens: 100 } },
      { cache_write_1h: 100 },
    ],
    [
      "the rest is five minutes",
      { cache_creation_input_tokens: 100, cache_creation: { ephemeral_1h_input_tokens: 60 } },
      { cache_write_5m: 40, cache_write_1h: 60 },
    ],
    [
      "the rest is an hour",
      { cache_creation_input_tokens: 100, cache_creation: { ephemeral_5m_input_tokens: 60 } },
      { cache_write_5m: 60, cache_write_1h: 40 },
    ],
    [
      "later writes follow the first",
      { cache_creation_input_tokens: 100, cache_creation: { ephemeral_5m_input_tokens: 0, ephemeral_1h_input_tokens: 60 } },
      { cache_write_1h: 100 },
    ],
    ["no split", { cache_creation_input_tokens: 100, cache_creation: null }, { cache_write_5m: 100 }],
    [
      "no total",
      { cache_creation: { ephemeral_5m_input_tokens: 1, ephemeral_1h_input_tokens: 2 } },
      { cache_write_5m: 1, cache_write_1h: 2 },
    ],
  ])("splits cache writes by lifetime: %s", (_name, usage, expected) => {
    const pieces = [Buffer.from(JSON.stringify({ type: "message", content: [], usage: { input_tokens: 1, output_tokens: 1, ...usage } }))];
    const metered = meterAnswer({ provider: "anthropic", path: "/v1/messages", contentType: "application/json", pieces });
    expect(metered.usage?.quantities).toEqual({ input: 1, output: 1, ...expected });
  });

  it("counts searches it has seen when the stream dies before its usage", () => {
    const events = [
      { type: "message_start", message: { model: "claude-opus-5", usage: { input_tokens: 9, output_tokens: 1 } } },
      { type: "content_block_start", index: 0, content_block: { type: "server_tool_use", id: "s", name: "web_search", input: {} } },
    ];
    const pieces = [Buffer.from(events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`).join(""))];
    const metered = meterAnswer({ provider: "anthropic", path: "/v1/messages", contentType: "text/event-stream", pieces });
    expect(metered).toMatchObject({
      usageComplete: false,
      billedItems: { web_search: 1 },
      usage: { quantities: { input: 9, web_search: 1 } },
    });
  });

  it("lets a later null take nothing back", () => {
    const pieces = [
      Buffer.from(
        `data: {"type":"message_start","message":{"usage":{"input_tokens":9,"cache_read_input_tokens":4,"output_tokens":1}}}\n\n` +
          `data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"input_tokens":null,"cache_read_input_tokens":null,"output_tokens":3}}\n\n` +
          `data: {"type":"message_stop"}\n\n`,
      ),
    ];
    const metered = meterAnswer({ provider: "anthropic", path: "/v1/messages", contentType: "text/event-stream", pieces });
    expect(metered.usage?.quantities).toEqual({ input: 9, cached_input: 4, output: 3 });
  });
});
