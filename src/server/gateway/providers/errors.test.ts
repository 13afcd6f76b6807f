import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { describe, expect, it } from "vitest";
import { type DenialShape, providers } from ".";

const denial = (status: number, code: string, rest: Partial<DenialShape> = {}): DenialShape => ({
  status,
  code,
  message: `NullSpend: "${code}"\nand more.`,
  details: { budget_id: "ns_bgt_1" },
  requestId: "ns_evt_1",
  ...rest,
});

describe("errors in the provider's own shape", () => {
  it.each([
    [429, "budget_exceeded", "insufficient_quota", "rate_limit_error"],
    [402, "budget_exceeded", "insufficient_quota", "billing_error"],
    [429, "session_limit_exceeded", "insufficient_quota", "rate_limit_error"],
    [429, "plan_limit_exceeded", "insufficient_quota", "rate_limit_error"],
    [429, "rate_limited", "rate_limit_exceeded", "rate_limit_error"],
    [429, "velocity_exceeded", "rate_limit_exceeded", "rate_limit_error"],
    [400, "bad_request", "invalid_request_error", "invalid_request_error"],
    [401, "unauthorized", "authentication_error", "authentication_error"],
    [403, "mandate_violation", "permission_error", "permission_error"],
    [423, "frozen", "permission_error", "permission_error"],
    [404, "not_found", "invalid_request_error", "not_found_error"],
    [413, "payload_too_large", "invalid_request_error", "invalid_request_error"],
    [502, "upstream_unreachable", "server_error", "api_error"],
    [503, "overloaded", "server_error", "overloaded_error"],
    [504, "upstream_timeout", "server_error", "api_error"],
  ])("%i %s is %s and %s", (status, code, openaiType, anthropicType) => {
    const openaiBody: unknown = JSON.parse(providers.openai.errorBody(denial(status, code)));
    expect(openaiBody).toEqual({
      error: { message: `NullSpend: "${code}"\nand more.`, type: openaiType, param: null, code, details: { budget_id: "ns_bgt_1" } },
    });
    const anthropicBody: unknown = JSON.parse(providers.anthropic.errorBody(denial(status, code)));
    expect(anthropicBody).toEqual({
      type: "error",
      error: {
        type: anthropicType,
        message: `NullSpend: "${code}"\nand more.`,
        code,
        details: { budget_id: "ns_bgt_1", error_code: code },
      },
      request_id: "ns_evt_1",
    });
  });

  it("carries the way to more, and details only where there are some", () => {
    const shape = denial(429, "budget_exceeded", { upgradeUrl: "https://a.example/up", details: null });
    expect(JSON.parse(providers.openai.errorBody(shape))).toMatchObject({ error: { details: null, upgrade_url: "https://a.example/up" } });
    expect(JSON.parse(providers.anthropic.errorBody(shape))).toMatchObject({
      error: { details: { error_code: "budget_exceeded" }, upgrade_url: "https://a.example/up" },
    });
  });

  const answer =
    (body: string, status: number, contentType: string): typeof fetch =>
    () =>
      Promise.resolve(new Response(body, { status, headers: { "content-type": contentType, "x-should-retry": "false" } }));

  it("fills in the error classes of the official SDKs", async () => {
    const shape = denial(429, "budget_exceeded");
    const openai = new OpenAI({ apiKey: "k", fetch: answer(providers.openai.errorBody(shape), 429, "application/json") });
    await expect(openai.chat.completions.create({ model: "m", messages: [] })).rejects.toMatchObject({
      status: 429,
      code: "budget_exceeded",
      type: "insufficient_quota",
    });
    const anthropic = new Anthropic({ apiKey: "k", fetch: answer(providers.anthropic.errorBody(shape), 429, "application/json") });
    await expect(anthropic.messages.create({ model: "m", max_tokens: 1, messages: [] })).rejects.toMatchObject({
      status: 429,
      type: "rate_limit_error",
    });
  });

  it("ends a stream in a way that the official SDKs raise", async () => {
    const shape = denial(429, "budget_exceeded");
    const inBand = (provider: "openai" | "anthropic", path: string): string =>
      providers[provider].inBandError({ endpoint: providers[provider].classify("POST", path), denial: shape, sequenceNumber: 7 });
    const stream = (body: string): typeof fetch => answer(body, 200, "text/event-stream");

    const chat = inBand("openai", "/v1/chat/completions");
    expect(chat).toMatch(/^data: \{"error":\{.*\}\}\n\n$/);
    const chatClient = new OpenAI({ apiKey: "k", fetch: stream(chat) });
    const consume = async (events: AsyncIterable<unknown>): Promise<void> => {
      for await (const _ of events);
    };
    await expect(chatClient.chat.completions.create({ model: "m", messages: [], stream: true }).then(consume)).rejects.toMatchObject({
      code: "budget_exceeded",
    });

    const responses = inBand("openai", "/v1/responses");
    expect(responses).toMatch(/^event: error\ndata: \{"type":"error","sequence_number":7,"code":"budget_exceeded",.*\}\n\n$/);
    const responsesClient = new OpenAI({ apiKey: "k", fetch: stream(responses) });
    await expect(responsesClient.responses.create({ model: "m", input: "x", stream: true }).then(consume)).rejects.toMatchObject({
      code: "budget_exceeded",
    });

    const message = inBand("anthropic", "/v1/messages");
    expect(message).toMatch(/^event: error\ndata: \{"type":"error",.*\}\n\n$/);
    const anthropicClient = new Anthropic({ apiKey: "k", fetch: stream(message) });
    await expect(anthropicClient.messages.create({ model: "m", max_tokens: 1, messages: [], stream: true }).then(consume)).rejects.toThrow(
      "budget_exceeded",
    );
  });
});
