import { jsonAnswer, jsonBody, NO_TOKENS, numberOr, say, stringOr, type Answer, type AnswerEvent } from "./answer";
import type { Quantities, Scenario } from "./scenario";
import { countPromptTokens, countTokens } from "./tokens";
import type { WireRequest } from "./wire-server";

export type AnthropicCall = { request: WireRequest; path: string; scenario: Scenario; id: string };

/** Headers as Anthropic's edge sends them, those that a gateway must not hand on included. */
function ownHeaders(call: AnthropicCall): string[] {
  return [
    "Date",
    "Tue, 24 Nov 2026 10:00:00 GMT",
    "anthropic-ratelimit-requests-limit",
    "4000",
    "anthropic-ratelimit-requests-remaining",
    "3999",
    "anthropic-ratelimit-requests-reset",
    "2026-11-24T10:00:01Z",
    "anthropic-ratelimit-input-tokens-limit",
    "2000000",
    "anthropic-ratelimit-input-tokens-remaining",
    "1999000",
    "anthropic-ratelimit-input-tokens-reset",
    "2026-11-24T10:00:01Z",
    "anthropic-ratelimit-output-tokens-limit",
    "400000",
    "anthropic-ratelimit-output-tokens-remaining",
    "400000",
    "anthropic-ratelimit-output-tokens-reset",
    "2026-11-24T10:00:00Z",
    "request-id",
    `req_${call.id}`,
    "anthropic-organization-id",
    "00000000-0000-4000-8000-000000000000",
    "strict-transport-security",
    "max-age=31536000; includeSubDomains; preload",
    "set-cookie",
    `_cfuvid=${call.id}; HttpOnly; SameSite=None; Secure; Path=/; Domain=api.anthropic.com`,
    "Server",
    "cloudflare",
    "x-envoy-upstream-service-time",
    "420",
    "cf-cache-status",
    "DYNAMIC",
    "CF-RAY",
    "8f0fake0ray-FRA",
  ];
}

/** An error body in Anthropic's shape. */
export function anthropicError(call: AnthropicCall, status: number, error: { type: string; message: string }): Answer {
  return jsonAnswer({ status, headers: ownHeaders(call), body: { type: "error", error, request_id: `req_${call.id}` } });
}

const MODELS = ["claude-opus-4-7", "claude-sonnet-5", "claude-haiku-4-5-20251001"];

/** Answers any path of the Anthropic API that the fake knows; the rest gets Anthropic's own 404. */
export function answerAnthropic(call: AnthropicCall): Answer {
  const { request, path } = call;
  const credential = request.header("x-api-key") ?? request.header("authorization") ?? "";
  if (credential === "") return anthropicError(call, 401, { type: "authentication_error", message: "x-api-key header is required" });
  if (credential.startsWith("sk-ant-invalid"))
    return anthropicError(call, 401, { type: "authentication_error", message: "invalid x-api-key" });
  const route = `${request.method} ${path}`;
  switch (route) {
    case "HEAD /":
      return { status: 200, statusMessage: "", headers: ownHeaders(call), events: [], streams: false, bill: NO_TOKENS };
    case "POST /v1/messages":
      return withBody(call, message);
    case "POST /v1/messages/count_tokens":
      return withBody(call, (_, body) =>
        jsonAnswer({ headers: ownHeaders(call), body: { input_tokens: call.scenario.tokens?.input ?? promptTokens(body) } }),
      );
    case "GET /v1/models":
      return jsonAnswer({
        headers: ownHeaders(call),
        body: { data: MODELS.map(modelObject), has_more: false, first_id: MODELS[0], last_id: MODELS.at(-1) },
      });
    case "POST /v1/files":
      return jsonAnswer({ headers: ownHeaders(call), body: fileObject(call) });
    case "GET /v1/files":
      return jsonAnswer({ headers: ownHeaders(call), body: { data: [fileObject(call)], has_more: false, first_id: null, last_id: null } });
  }
  const model = /^GET \/v1\/models\/([^/]+)$/.exec(route)?.[1];
  if (model) return jsonAnswer({ headers: ownHeaders(call), body: modelObject(model) });
  if (/^GET \/v1\/files\/[^/]+$/.test(route)) return jsonAnswer({ headers: ownHeaders(call), body: fileObject(call) });
  return anthropicError(call, 404, { type: "not_found_error", message: "Not Found" });
}

function withBody(call: AnthropicCall, answer: (call: AnthropicCall, body: Record<string, unknown>) => Answer): Answer {
  const body = jsonBody(call.request);
  if (body) return answer(call, body);
  return anthropicError(call, 400, { type: "invalid_request_error", message: "The request body is not valid JSON" });
}

const promptTokens = (body: Record<string, unknown>): number =>
  countPromptTokens(body["messages"]) + countPromptTokens(body["system"]) + countPromptTokens(body["tools"]) + 3;

const modelObject = (id: string): object => ({ type: "model", id, display_name: id, created_at: "2025-01-01T00:00:00Z" });
const fileObject = (call: AnthropicCall): object => ({
  id: `file_${call.id}`,
  type: "file",
  filename: "document.pdf",
  mime_type: "application/pdf",
  size_bytes: call.request.bodyBytes,
  created_at: "2026-11-24T10:00:00Z",
  downloadable: false,
});

/** The input side of `usage`: cache reads and writes stand beside `input_tokens`, not inside. */
const inputUsage = (bill: Quantities): object => ({
  input_tokens: bill.input,
  cache_creation_input_tokens: bill.cacheWrite5m + bill.cacheWrite1h,
  cache_read_input_tokens: bill.cached,
});
const startUsage = (call: AnthropicCall, bill: Quantities, outputTokens: number): object => ({
  ...inputUsage(bill),
  cache_creation: { ephemeral_5m_input_tokens: bill.cacheWrite5m, ephemeral_1h_input_tokens: bill.cacheWrite1h },
  output_tokens: outputTokens,
  service_tier: call.scenario.serviceTier ?? "standard",
});
const searches = (bill: Quantities): object => (bill.webSearches > 0 ? { server_tool_use: { web_search_requests: bill.webSearches } } : {});

function message(call: AnthropicCall, body: Record<string, unknown>): Answer {
  const { scenario } = call;
  const outputTokensMax = numberOr(body["max_tokens"]);
  if (outputTokensMax === undefined)
    return anthropicError(call, 400, { type: "invalid_request_error", message: "max_tokens: Field required" });
  const model = scenario.model ?? stringOr(body["model"]) ?? "claude-haiku-4-5-20251001";
  const said = say({ scenario, promptTokens: promptTokens(body), outputTokensMax });
  const { usage = "full" } = scenario;
  const bill = said.bill;
  const told = usage === "zero" ? NO_TOKENS : bill;
  const outputTokens = told.output + told.reasoning;
  const stop = said.capped ? "max_tokens" : scenario.tools ? "tool_use" : "end_turn";
  const head = { id: `msg_${call.id}`, type: "message", role: "assistant", model };
  const tools = (scenario.tools ?? []).map((tool, position) => ({ ...tool, id: `toolu_${call.id}_${position}` }));
  const signature = Buffer.from(`signature of ${call.id}`).toString("base64");

  if (body["stream"] !== true) {
    const content = [
      ...(scenario.thinking === undefined ? [] : [{ type: "thinking", thinking: scenario.thinking, signature }]),
      ...(tools.length > 0 && said.text === "" ? [] : [{ type: "text", text: said.text }]),
      ...tools.map((tool) => ({ type: "tool_use", id: tool.id, name: tool.name, input: JSON.parse(tool.arguments) as unknown })),
    ];
    return jsonAnswer({
      headers: ownHeaders(call),
      bill,
      body: {
        ...head,
        content,
        stop_reason: stop,
        stop_sequence: null,
        ...(usage === "missing"
          ? {}
          : { usage: usage === "partial" ? inputUsage(told) : { ...startUsage(call, told, outputTokens), ...searches(told) } }),
      },
    });
  }

  const events: AnswerEvent[] = [];
  const produced = { output: 0, reasoning: 0 };
  const emit = (type: string, fields: object = {}): void => {
    events.push({ bytes: Buffer.from(`event: ${type}\ndata: ${JSON.stringify({ type, ...fields })}\n\n`), produced: { ...produced } });
  };
  const firstTokens = usage === "zero" ? 0 : Math.min(1, outputTokens);
  emit("message_start", {
    message: {
      ...head,
      content: [],
      stop_reason: null,
      stop_sequence: null,
      ...(usage === "missing" ? {} : { usage: startUsage(call, told, firstTokens) }),
    },
  });
  let index = 0;
  if (scenario.thinking !== undefined) {
    emit("content_block_start", { index, content_block: { type: "thinking", thinking: "", signature: "" } });
    emit("ping");
    for (const piece of said.thinking) {
      produced.reasoning += piece.tokens;
      emit("content_block_delta", { index, delta: { type: "thinking_delta", thinking: piece.text } });
    }
    produced.reasoning = bill.reasoning;
    emit("content_block_delta", { index, delta: { type: "signature_delta", signature } });
    emit("content_block_stop", { index });
    index++;
  }
  if (said.text !== "" || tools.length === 0) {
    emit("content_block_start", { index, content_block: { type: "text", text: "" } });
    emit("ping");
    for (const piece of said.pieces) {
      produced.output += piece.tokens;
      emit("content_block_delta", { index, delta: { type: "text_delta", text: piece.text } });
    }
    emit("content_block_stop", { index });
    index++;
  }
  for (const tool of tools) {
    emit("content_block_start", { index, content_block: { type: "tool_use", id: tool.id, name: tool.name, input: {} } });
    emit("content_block_delta", { index, delta: { type: "input_json_delta", partial_json: "" } });
    produced.output += countTokens(tool.arguments);
    emit("content_block_delta", { index, delta: { type: "input_json_delta", partial_json: tool.arguments } });
    emit("content_block_stop", { index });
    index++;
  }
  produced.output = bill.output;
  const delta = { stop_reason: stop, stop_sequence: null };
  // The numbers of message_delta are totals so far, never increments.
  if (usage === "twice") emit("message_delta", { delta, usage: { ...inputUsage(told), output_tokens: Math.floor(outputTokens / 2) } });
  if (usage === "missing" || usage === "partial") emit("message_delta", { delta });
  else emit("message_delta", { delta, usage: { ...inputUsage(told), output_tokens: outputTokens, ...searches(told) } });
  emit("message_stop");
  return {
    status: 200,
    statusMessage: "",
    headers: ["Content-Type", "text/event-stream; charset=utf-8", "Cache-Control", "no-cache", ...ownHeaders(call)],
    events: scenario.omitTerminal ? events.slice(0, -1) : events,
    streams: true,
    bill,
  };
}
