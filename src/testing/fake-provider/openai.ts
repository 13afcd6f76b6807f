import { jsonAnswer, jsonBody, NO_TOKENS, numberOr, recordOr, say, stringOr, type Answer, type AnswerEvent, type Said } from "./answer";
import type { Quantities, Scenario } from "./scenario";
import { countPromptTokens, countTokens } from "./tokens";
import type { WireRequest } from "./wire-server";

/** Unix seconds in every answer: a fixed one, so that two answers to the same call are the same bytes. */
const CREATED = 1_790_000_000;

/** The dated names OpenAI answers with when an alias is asked for. */
const SERVED_AS: Readonly<Record<string, string>> = {
  "gpt-4o": "gpt-4o-2024-08-06",
  "gpt-4o-mini": "gpt-4o-mini-2024-07-18",
  "gpt-4.1": "gpt-4.1-2025-04-14",
  "gpt-4.1-mini": "gpt-4.1-mini-2025-04-14",
  "gpt-5": "gpt-5-2025-08-07",
  "gpt-5-mini": "gpt-5-mini-2025-08-07",
  "o4-mini": "o4-mini-2025-04-16",
};

export type OpenAiCall = { request: WireRequest; path: string; scenario: Scenario; id: string };

/** Headers as OpenAI's edge sends them, those that a gateway must not hand on included. */
function ownHeaders(call: OpenAiCall, model?: string): string[] {
  return [
    "Date",
    "Tue, 24 Nov 2026 10:00:00 GMT",
    "access-control-expose-headers",
    "X-Request-ID",
    "openai-organization",
    "fake-organization",
    "openai-processing-ms",
    "312",
    "openai-project",
    "proj_fake",
    "openai-version",
    "2020-10-01",
    ...(model === undefined
      ? []
      : [
          "x-ratelimit-limit-requests",
          "10000",
          "x-ratelimit-limit-tokens",
          "2000000",
          "x-ratelimit-remaining-requests",
          "9999",
          "x-ratelimit-remaining-tokens",
          "1999990",
          "x-ratelimit-reset-requests",
          "6ms",
          "x-ratelimit-reset-tokens",
          "0s",
        ]),
    "x-request-id",
    `req_${call.id}`,
    "Strict-Transport-Security",
    "max-age=31536000; includeSubDomains; preload",
    "X-Content-Type-Options",
    "nosniff",
    "Set-Cookie",
    `__cf_bm=${call.id}; path=/; HttpOnly; Secure; SameSite=None`,
    "Server",
    "cloudflare",
    "CF-RAY",
    "8f0fake0ray-FRA",
    "alt-svc",
    'h3=":443"; ma=86400',
  ];
}

/** An error body in OpenAI's shape. */
export function openAiError(call: OpenAiCall, status: number, error: { message: string; type: string; code: string | null }): Answer {
  return jsonAnswer({
    status,
    headers: ownHeaders(call),
    body: { error: { message: error.message, type: error.type, param: null, code: error.code } },
  });
}

/** Answers any path of the OpenAI API that the fake knows; the rest gets OpenAI's own 404. */
export function answerOpenAi(call: OpenAiCall): Answer {
  const { request, path } = call;
  const authorization = request.header("authorization") ?? "";
  const key = authorization.startsWith("Bearer ") ? authorization.slice(7) : "";
  if (key === "") {
    return openAiError(call, 401, {
      message: "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth.",
      type: "invalid_request_error",
      code: null,
    });
  }
  if (key.startsWith("sk-invalid")) {
    return openAiError(call, 401, {
      message: "Incorrect API key provided: sk-inval*d.",
      type: "invalid_request_error",
      code: "invalid_api_key",
    });
  }
  const route = `${request.method} ${path.replace(/^\/v1/, "")}`;
  switch (route) {
    case "POST /chat/completions":
      return withBody(call, chatCompletion);
    case "POST /responses":
      return withBody(call, response);
    case "POST /completions":
      return withBody(call, completion);
    case "POST /embeddings":
      return withBody(call, embeddings);
    case "POST /moderations":
      return withBody(call, (_, body) => moderation(call, body));
    case "POST /images/generations":
      return withBody(call, image);
    case "POST /images/edits":
      return image(call, {});
    case "POST /audio/speech":
      return withBody(call, speech);
    case "POST /audio/transcriptions":
    case "POST /audio/translations":
      return transcription(call);
    case "GET /models":
      return jsonAnswer({ headers: ownHeaders(call), body: { object: "list", data: Object.keys(SERVED_AS).map(modelObject) } });
    case "POST /files":
      return jsonAnswer({ headers: ownHeaders(call), body: fileObject(call) });
    case "GET /files":
      return jsonAnswer({ headers: ownHeaders(call), body: { object: "list", data: [fileObject(call)], has_more: false } });
  }
  const [, method, collection, id, child] = /^(\S+) \/(models|files|responses)\/([^/]+)(\/.*)?$/.exec(route) ?? [];
  if (collection === "models" && method === "GET") return jsonAnswer({ headers: ownHeaders(call), body: modelObject(id!) });
  if (collection === "files" && method === "GET" && child === "/content") {
    return {
      ...jsonAnswer({ headers: ownHeaders(call), body: {} }),
      headers: ["Content-Type", "application/octet-stream", ...ownHeaders(call)],
      events: [{ bytes: Buffer.from("line one\nline two\n"), produced: { output: 0, reasoning: 0 } }],
    };
  }
  if (collection === "files" && method === "GET") return jsonAnswer({ headers: ownHeaders(call), body: fileObject(call) });
  if (method === "DELETE")
    return jsonAnswer({ headers: ownHeaders(call), body: { id, object: collection === "files" ? "file" : "response", deleted: true } });
  if (collection === "responses" && (method === "GET" || child === "/cancel")) {
    if (child === "/input_items") return jsonAnswer({ headers: ownHeaders(call), body: { object: "list", data: [], has_more: false } });
    const said = say({ scenario: call.scenario, promptTokens: 10, outputTokensMax: undefined });
    return jsonAnswer({
      headers: ownHeaders(call),
      body: responseObject({ call, body: {}, said, status: child === "/cancel" ? "cancelled" : "completed" }),
    });
  }
  return openAiError(call, 404, { message: `Invalid URL (${request.method} ${path})`, type: "invalid_request_error", code: null });
}

function withBody(call: OpenAiCall, answer: (call: OpenAiCall, body: Record<string, unknown>) => Answer): Answer {
  const body = jsonBody(call.request);
  if (body) return answer(call, body);
  return openAiError(call, 400, {
    message: "We could not parse the JSON body of your request.",
    type: "invalid_request_error",
    code: null,
  });
}

const servedModel = (call: OpenAiCall, body: Record<string, unknown>): string => {
  const asked = stringOr(body["model"]) ?? "gpt-4o-mini";
  return call.scenario.model ?? SERVED_AS[asked] ?? asked;
};
const servedTier = (call: OpenAiCall, body: Record<string, unknown>): string => {
  const asked = stringOr(body["service_tier"]);
  return call.scenario.serviceTier ?? (asked === undefined || asked === "auto" ? "default" : asked);
};

const modelObject = (id: string): object => ({ id, object: "model", created: CREATED, owned_by: "system" });
const fileObject = (call: OpenAiCall): object => ({
  id: `file-${call.id}`,
  object: "file",
  bytes: call.request.bodyBytes,
  created_at: CREATED,
  filename: "input.jsonl",
  purpose: "assistants",
  status: "processed",
});

// ---- Chat completions ----

/** `usage` as chat completions tell it; undefined where the scenario keeps it back. */
function chatUsage(scenario: Scenario, bill: Quantities): object | undefined {
  const { usage = "full" } = scenario;
  if (usage === "missing") return undefined;
  const prompt = usage === "zero" ? 0 : bill.input + bill.cached + bill.cacheWrite5m + bill.cacheWrite1h;
  if (usage === "partial") return { prompt_tokens: prompt };
  const output = usage === "zero" ? 0 : bill.output + bill.reasoning;
  return {
    prompt_tokens: prompt,
    completion_tokens: output,
    total_tokens: prompt + output,
    prompt_tokens_details: { cached_tokens: usage === "zero" ? 0 : bill.cached, audio_tokens: 0 },
    completion_tokens_details: {
      reasoning_tokens: usage === "zero" ? 0 : bill.reasoning,
      audio_tokens: 0,
      accepted_prediction_tokens: 0,
      rejected_prediction_tokens: 0,
    },
  };
}

const halved = (bill: Quantities): Quantities => ({ ...bill, output: Math.floor(bill.output / 2) });

function chatCompletion(call: OpenAiCall, body: Record<string, unknown>): Answer {
  const { scenario } = call;
  const model = servedModel(call, body);
  // As many as the provider gives at most.
  const choices = Math.min(128, numberOr(body["n"]) ?? 1);
  const said = say({
    scenario,
    promptTokens: countPromptTokens(body["messages"]) + countPromptTokens(body["tools"]) + 3,
    outputTokensMax: numberOr(body["max_completion_tokens"]) ?? numberOr(body["max_tokens"]),
  });
  const bill: Quantities = { ...said.bill, output: said.bill.output * choices };
  const finish = said.capped ? "length" : scenario.tools ? "tool_calls" : "stop";
  const common = { id: `chatcmpl-${call.id}`, created: CREATED, model };
  const tail = { service_tier: servedTier(call, body), system_fingerprint: "fp_fake0000" };

  if (body["stream"] !== true) {
    const message = {
      role: "assistant",
      content: scenario.tools && said.text === "" ? null : said.text,
      refusal: null,
      annotations: [],
      ...(scenario.tools && { tool_calls: toolCalls(call, scenario) }),
    };
    const usage = chatUsage(scenario, bill);
    return jsonAnswer({
      headers: ownHeaders(call, model),
      bill,
      body: {
        ...common,
        object: "chat.completion",
        choices: Array.from({ length: choices }, (_, index) => ({ index, message, logprobs: null, finish_reason: finish })),
        ...(usage && { usage }),
        ...tail,
      },
    });
  }

  const options = recordOr(body["stream_options"]);
  const includeUsage = options?.["include_usage"] === true;
  const obfuscate = options?.["include_obfuscation"] !== false;
  const events: AnswerEvent[] = [];
  const produced = { output: 0, reasoning: said.bill.reasoning };
  const emit = (picked: object[], extra: object = {}): void => {
    const chunk = {
      id: common.id,
      object: "chat.completion.chunk",
      created: CREATED,
      model,
      ...tail,
      choices: picked,
      // With include_usage every chunk carries the field, null until the last.
      ...(includeUsage && !("usage" in extra) && { usage: null }),
      ...extra,
      ...(obfuscate && picked.length > 0 && { obfuscation: "x".repeat(1 + ((events.length * 7) % 11)) }),
    };
    events.push({ bytes: Buffer.from(`data: ${JSON.stringify(chunk)}\n\n`), produced: { ...produced } });
  };
  const choice = (index: number, delta: object, reason: string | null = null): object => ({
    index,
    delta,
    logprobs: null,
    finish_reason: reason,
  });

  for (let index = 0; index < choices; index++) {
    emit([choice(index, { role: "assistant", content: scenario.tools && said.text === "" ? null : "", refusal: null })]);
    for (const piece of said.pieces) {
      produced.output += piece.tokens;
      emit([choice(index, { content: piece.text })]);
    }
    for (const [position, tool] of (scenario.tools ?? []).entries()) {
      const id = `call_${call.id}_${position}`;
      emit([choice(index, { tool_calls: [{ index: position, id, type: "function", function: { name: tool.name, arguments: "" } }] })]);
      for (const part of halves(tool.arguments)) {
        produced.output += countTokens(part);
        emit([choice(index, { tool_calls: [{ index: position, function: { arguments: part } }] })]);
      }
    }
    produced.output = said.bill.output * (index + 1);
    emit([choice(index, {}, finish)]);
  }
  if (includeUsage) {
    if (scenario.usage === "twice") emit([], { usage: chatUsage(scenario, halved(bill)) });
    const usage = chatUsage(scenario, bill);
    if (usage) emit([], { usage });
  }
  events.push({ bytes: Buffer.from("data: [DONE]\n\n"), produced: { ...produced } });
  return stream(call, model, terminated(scenario, events), bill);
}

const toolCalls = (call: OpenAiCall, scenario: Scenario): object[] =>
  (scenario.tools ?? []).map((tool, position) => ({
    id: `call_${call.id}_${position}`,
    type: "function",
    function: { name: tool.name, arguments: tool.arguments },
  }));

/** Arguments of a tool arrive in pieces. */
const halves = (text: string): string[] => {
  const middle = Math.ceil(text.length / 2);
  return [text.slice(0, middle), text.slice(middle)].filter((part) => part !== "");
};

const terminated = (scenario: Scenario, events: AnswerEvent[]): AnswerEvent[] => (scenario.omitTerminal ? events.slice(0, -1) : events);

function stream(call: OpenAiCall, model: string, events: AnswerEvent[], bill: Quantities): Answer {
  return {
    status: 200,
    statusMessage: "",
    headers: ["Content-Type", "text/event-stream; charset=utf-8", "cache-control", "no-cache", ...ownHeaders(call, model)],
    events,
    streams: true,
    bill,
  };
}

// ---- Responses ----

function responsesUsage(scenario: Scenario, bill: Quantities): object | null {
  const { usage = "full" } = scenario;
  if (usage === "missing") return null;
  const input = usage === "zero" ? 0 : bill.input + bill.cached + bill.cacheWrite5m + bill.cacheWrite1h;
  if (usage === "partial") return { input_tokens: input };
  const output = usage === "zero" ? 0 : bill.output + bill.reasoning;
  return {
    input_tokens: input,
    input_tokens_details: { cached_tokens: usage === "zero" ? 0 : bill.cached },
    output_tokens: output,
    output_tokens_details: { reasoning_tokens: usage === "zero" ? 0 : bill.reasoning },
    total_tokens: input + output,
  };
}

type ResponseParts = {
  call: OpenAiCall;
  body: Record<string, unknown>;
  said: Said;
  status: "in_progress" | "completed" | "incomplete" | "cancelled";
};

function outputItems({ call, said }: ResponseParts): object[] {
  const { scenario } = call;
  return [
    ...(said.bill.reasoning > 0
      ? [
          {
            id: `rs_${call.id}`,
            type: "reasoning",
            summary: said.thinking.length === 0 ? [] : [{ type: "summary_text", text: scenario.thinking }],
          },
        ]
      : []),
    ...Array.from({ length: said.bill.webSearches }, (_, i) => ({
      id: `ws_${call.id}_${i}`,
      type: "web_search_call",
      status: "completed",
      action: { type: "search", query: "q" },
    })),
    ...(scenario.tools && said.text === "" ? [] : [messageItem(call, said)]),
    ...(scenario.tools ?? []).map((tool, position) => ({
      id: `fc_${call.id}_${position}`,
      type: "function_call",
      status: "completed",
      arguments: tool.arguments,
      call_id: `call_${call.id}_${position}`,
      name: tool.name,
    })),
  ];
}

const messageItem = (call: OpenAiCall, said: Said): object => ({
  id: `msg_${call.id}`,
  type: "message",
  status: "completed",
  content: [{ type: "output_text", annotations: [], logprobs: [], text: said.text }],
  role: "assistant",
});

function responseObject(parts: ResponseParts): object {
  const { call, body, said, status } = parts;
  const ended = status === "completed" || status === "incomplete";
  return {
    id: `resp_${call.id}`,
    object: "response",
    created_at: CREATED,
    status,
    background: body["background"] === true,
    error: null,
    incomplete_details: status === "incomplete" ? { reason: "max_output_tokens" } : null,
    instructions: body["instructions"] ?? null,
    max_output_tokens: body["max_output_tokens"] ?? null,
    model: servedModel(call, body),
    output: ended ? outputItems(parts) : [],
    parallel_tool_calls: true,
    previous_response_id: body["previous_response_id"] ?? null,
    reasoning: { effort: null, summary: null },
    service_tier: ended ? servedTier(call, body) : "auto",
    store: body["store"] ?? true,
    temperature: 1,
    text: { format: { type: "text" } },
    tool_choice: "auto",
    tools: body["tools"] ?? [],
    top_p: 1,
    truncation: "disabled",
    usage: ended ? responsesUsage(call.scenario, said.bill) : null,
    user: null,
    metadata: {},
  };
}

function response(call: OpenAiCall, body: Record<string, unknown>): Answer {
  const { scenario } = call;
  const model = servedModel(call, body);
  const said = say({
    scenario,
    promptTokens: countPromptTokens(body["input"]) + countPromptTokens(body["instructions"]) + countPromptTokens(body["tools"]) + 3,
    outputTokensMax: numberOr(body["max_output_tokens"]),
  });
  const status = said.capped ? "incomplete" : "completed";
  const whole = responseObject({ call, body, said, status });
  if (body["stream"] !== true) return jsonAnswer({ headers: ownHeaders(call, model), bill: said.bill, body: whole });

  const events: AnswerEvent[] = [];
  const produced = { output: 0, reasoning: 0 };
  const emit = (type: string, fields: object): void => {
    const data = { type, sequence_number: events.length, ...fields };
    events.push({ bytes: Buffer.from(`event: ${type}\ndata: ${JSON.stringify(data)}\n\n`), produced: { ...produced } });
  };
  const started = responseObject({ call, body, said, status: "in_progress" });
  emit("response.created", { response: started });
  emit("response.in_progress", { response: started });
  let index = 0;
  if (said.bill.reasoning > 0) {
    const item = { id: `rs_${call.id}`, type: "reasoning", summary: [] };
    emit("response.output_item.added", { output_index: index, item });
    produced.reasoning = said.bill.reasoning;
    for (const piece of said.thinking) {
      emit("response.reasoning_summary_text.delta", { item_id: item.id, output_index: index, summary_index: 0, delta: piece.text });
    }
    emit("response.output_item.done", { output_index: index, item });
    index++;
  }
  if (said.text !== "" || !scenario.tools) {
    const itemId = `msg_${call.id}`;
    const place = { item_id: itemId, output_index: index, content_index: 0 };
    emit("response.output_item.added", {
      output_index: index,
      item: { id: itemId, type: "message", status: "in_progress", content: [], role: "assistant" },
    });
    emit("response.content_part.added", { ...place, part: { type: "output_text", annotations: [], logprobs: [], text: "" } });
    for (const [position, piece] of said.pieces.entries()) {
      produced.output += piece.tokens;
      emit("response.output_text.delta", { ...place, delta: piece.text, logprobs: [], obfuscation: "x".repeat(1 + ((position * 5) % 13)) });
    }
    emit("response.output_text.done", { ...place, text: said.text, logprobs: [] });
    emit("response.content_part.done", { ...place, part: { type: "output_text", annotations: [], logprobs: [], text: said.text } });
    emit("response.output_item.done", { output_index: index, item: messageItem(call, said) });
    index++;
  }
  for (const [position, tool] of (scenario.tools ?? []).entries()) {
    const item = { id: `fc_${call.id}_${position}`, type: "function_call", call_id: `call_${call.id}_${position}`, name: tool.name };
    emit("response.output_item.added", { output_index: index, item: { ...item, status: "in_progress", arguments: "" } });
    for (const part of halves(tool.arguments)) {
      produced.output += countTokens(part);
      emit("response.function_call_arguments.delta", { item_id: item.id, output_index: index, delta: part });
    }
    emit("response.function_call_arguments.done", { item_id: item.id, output_index: index, arguments: tool.arguments });
    emit("response.output_item.done", { output_index: index, item: { ...item, status: "completed", arguments: tool.arguments } });
    index++;
  }
  produced.output = said.bill.output;
  emit(`response.${status}`, { response: whole });
  return stream(call, model, terminated(scenario, events), said.bill);
}

// ---- Completions, embeddings, moderations, images, audio ----

function completion(call: OpenAiCall, body: Record<string, unknown>): Answer {
  const { scenario } = call;
  const model = servedModel(call, body);
  const said = say({ scenario, promptTokens: countPromptTokens(body["prompt"]), outputTokensMax: numberOr(body["max_tokens"]) ?? 16 });
  const finish = said.capped ? "length" : "stop";
  const common = { id: `cmpl-${call.id}`, object: "text_completion", created: CREATED, model };
  if (body["stream"] !== true) {
    const usage = chatUsage(scenario, said.bill);
    return jsonAnswer({
      headers: ownHeaders(call, model),
      bill: said.bill,
      body: { ...common, choices: [{ text: said.text, index: 0, logprobs: null, finish_reason: finish }], ...(usage && { usage }) },
    });
  }
  const includeUsage = recordOr(body["stream_options"])?.["include_usage"] === true;
  const events: AnswerEvent[] = [];
  let output = 0;
  const emit = (choices: object[], usage: object | null | undefined): void => {
    const chunk = { ...common, choices, ...(includeUsage && { usage }) };
    events.push({ bytes: Buffer.from(`data: ${JSON.stringify(chunk)}\n\n`), produced: { output, reasoning: 0 } });
  };
  for (const piece of said.pieces) {
    output += piece.tokens;
    emit([{ text: piece.text, index: 0, logprobs: null, finish_reason: null }], null);
  }
  emit([{ text: "", index: 0, logprobs: null, finish_reason: finish }], null);
  const usage = chatUsage(scenario, said.bill);
  if (includeUsage && usage) emit([], usage);
  events.push({ bytes: Buffer.from("data: [DONE]\n\n"), produced: { output, reasoning: 0 } });
  return stream(call, model, terminated(scenario, events), said.bill);
}

function embeddings(call: OpenAiCall, body: Record<string, unknown>): Answer {
  const model = call.scenario.model ?? stringOr(body["model"]) ?? "text-embedding-3-small";
  const inputs = Array.isArray(body["input"]) && typeof body["input"][0] !== "number" ? body["input"] : [body["input"]];
  const input = call.scenario.tokens?.input ?? countPromptTokens(inputs);
  const vector = [0.125, -0.25, 0.5, 0.0625];
  const embedding = body["encoding_format"] === "base64" ? Buffer.from(new Float32Array(vector).buffer).toString("base64") : vector;
  return jsonAnswer({
    headers: ownHeaders(call, model),
    bill: { ...NO_TOKENS, input },
    body: {
      object: "list",
      data: inputs.map((_, index) => ({ object: "embedding", index, embedding })),
      model,
      usage: { prompt_tokens: input, total_tokens: input },
    },
  });
}

function moderation(call: OpenAiCall, body: Record<string, unknown>): Answer {
  return jsonAnswer({
    headers: ownHeaders(call),
    body: {
      id: `modr-${call.id}`,
      model: stringOr(body["model"]) ?? "omni-moderation-latest",
      results: [{ flagged: false, categories: {}, category_scores: {} }],
    },
  });
}

function image(call: OpenAiCall, body: Record<string, unknown>): Answer {
  const input = call.scenario.tokens?.input ?? countPromptTokens(body["prompt"]);
  const output = call.scenario.tokens?.output ?? 272;
  return jsonAnswer({
    headers: ownHeaders(call, "gpt-image-1"),
    bill: { ...NO_TOKENS, input, output },
    body: {
      created: CREATED,
      background: "opaque",
      data: [{ b64_json: "iVBORw0KGgo=" }],
      output_format: "png",
      quality: "low",
      size: "1024x1024",
      usage: {
        input_tokens: input,
        input_tokens_details: { image_tokens: 0, text_tokens: input },
        output_tokens: output,
        total_tokens: input + output,
      },
    },
  });
}

function speech(call: OpenAiCall, body: Record<string, unknown>): Answer {
  const text = stringOr(body["input"]) ?? "";
  const produced = { output: 0, reasoning: 0 };
  return {
    status: 200,
    statusMessage: "",
    headers: ["Content-Type", "audio/mpeg", ...ownHeaders(call, "tts-1")],
    events: [
      { bytes: Buffer.from([0xff, 0xfb, 0x90, 0x00, ...Buffer.from(text.slice(0, 64))]), produced },
      { bytes: Buffer.alloc(256, 0x55), produced },
    ],
    streams: true,
    bill: { ...NO_TOKENS, input: text.length },
  };
}

function transcription(call: OpenAiCall): Answer {
  const input = call.scenario.tokens?.input ?? 40;
  const output = call.scenario.tokens?.output ?? 12;
  return jsonAnswer({
    headers: ownHeaders(call, "gpt-4o-transcribe"),
    bill: { ...NO_TOKENS, input, output },
    body: {
      text: call.scenario.text ?? "Spoken words, written down.",
      usage: {
        type: "tokens",
        total_tokens: input + output,
        input_tokens: input,
        input_token_details: { text_tokens: 0, audio_tokens: input },
        output_tokens: output,
      },
    },
  });
}
