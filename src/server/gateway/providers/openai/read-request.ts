import { compileJsonPaths } from "@/server/metering/json-scanner";
import { multipartBoundary, readMultipart } from "../multipart";
import type { Endpoint, ReadRequestResult, RequestFacts } from "../provider";
import { RequestFields, UNREAD_FACTS, ambiguousBody, badRequest, definedOnly, factsOrIssues, readJsonRequest } from "../request-fields";

/** Every member that decides a price, or is text that is paid for. Standing twice, any of them makes a body ambiguous. */
const PATHS = compileJsonPaths([
  "model",
  "stream",
  "stream_options",
  "stream_options.include_usage",
  "service_tier",
  "max_tokens",
  "max_completion_tokens",
  "max_output_tokens",
  "n",
  "best_of",
  "background",
  "reasoning",
  "reasoning.effort",
  "reasoning_effort",
  "messages",
  "input",
  "instructions",
  "prompt",
  "previous_response_id",
  "conversation",
  "tools",
  "functions",
  "modalities",
  "prediction",
  "web_search_options",
  "response_format",
  "text",
  "size",
  "quality",
]);

/** Fields of the forms (audio, image edits) that decide a price. */
const FORM_FIELDS = new Set(["model", "stream", "n", "size", "quality", "prompt"]);
const FORM_NUMBER = /^-?\d{1,15}$/;

export function readOpenaiRequest(endpoint: Endpoint, body: Uint8Array, contentType?: string): ReadRequestResult {
  if (endpoint.body === "none") return { ok: true, facts: { ...UNREAD_FACTS } };
  const isJson = endpoint.body === "json" || /^application\/(?:[\w.-]+\+)?json\b/i.test(contentType ?? "");
  return isJson ? readJson(endpoint, body) : readForm(body, contentType);
}

function readJson(endpoint: Endpoint, body: Uint8Array): ReadRequestResult {
  const request = readJsonRequest(body, PATHS);
  if (!request.ok) return request;
  const { fields } = request;
  fields.expectObject("stream_options");
  fields.expectObject("reasoning");
  const model = fields.text("model");
  const effort = fields.text("reasoning.effort") ?? fields.text("reasoning_effort");
  const n = fields.count("n", 1) ?? 1;
  const facts = definedOnly<RequestFacts>({
    model,
    stream: fields.flag("stream") ?? false,
    serviceTier: fields.text("service_tier"),
    outputTokensMax: outputTokensMax(fields),
    choices:
      endpoint.name === "completions"
        ? Math.max(n, fields.count("best_of", 1) ?? 1) * promptCount(body, request.scanner.range("prompt"))
        : n,
    asksStreamUsage: fields.flag("stream_options.include_usage") ?? false,
    thinksUnseen: thinksUnseen(endpoint, model, effort),
    background: fields.flag("background") ?? false,
    reasoningEffort: effort,
    inputCharacters: endpoint.name === "audio/speech" ? characterCount(fields.raw("input")) : undefined,
  });
  return factsOrIssues(facts, fields.issues);
}

/** The larger of the caps that are set: a provider that takes both obeys one of them, and which is not told. */
function outputTokensMax(fields: RequestFields): number | undefined {
  const caps = ["max_tokens", "max_completion_tokens", "max_output_tokens"].map((path) => fields.count(path, 0));
  const told = caps.filter((cap) => cap !== undefined);
  return told.length === 0 ? undefined : Math.max(...told);
}

/** Legacy completions answer each prompt of a list, `n` times. A list of numbers is one prompt, as tokens. */
function promptCount(body: Uint8Array, range: { start: number; end: number } | undefined): number {
  if (!range || body[range.start] !== 0x5b) return 1;
  const bytes = Buffer.from(body.buffer, body.byteOffset + range.start, range.end - range.start);
  let prompts: unknown;
  try {
    prompts = JSON.parse(bytes.toString("utf8"));
  } catch {
    return 1;
  }
  return Array.isArray(prompts) ? Math.max(1, prompts.filter((prompt) => typeof prompt !== "number").length) : 1;
}

function characterCount(input: unknown): number | undefined {
  return typeof input === "string" ? Array.from(input).length : undefined;
}

/** Models that never think. What is not named here may: a new model must not be taken for one whose whole output is seen. */
const NEVER_THINKS =
  /^(?:ft:)?(?:gpt-3\.5|gpt-4|chatgpt-4o|davinci|babbage|curie|ada|text-|code-davinci|gpt-image|dall-e|whisper|tts|gpt-audio|gpt-realtime|omni-moderation)|chat-latest/;

function thinksUnseen(endpoint: Endpoint, model: string | undefined, effort: string | undefined): boolean {
  if (!["chat/completions", "responses", "responses/compact"].includes(endpoint.name) || effort === "none") return false;
  return model === undefined || !NEVER_THINKS.test(model.slice(model.lastIndexOf("/") + 1));
}

function readForm(body: Uint8Array, contentType: string | undefined): ReadRequestResult {
  const boundary = multipartBoundary(contentType ?? "");
  if (boundary === undefined)
    return badRequest("this endpoint takes a form (multipart/form-data) with a boundary", "content-type", "must be multipart/form-data");
  const form = readMultipart(body, boundary, FORM_FIELDS);
  if (!form.ok) return badRequest(form.message, "", "must be a form with CRLF line ends and one field of each name");
  if (form.repeated.length > 0) return ambiguousBody(form.repeated);
  const fields = new RequestFields((path) => {
    const value = form.fields.get(path);
    if (value === undefined || path === "model") return value;
    if (path === "stream") return /^(?:true|1)$/i.test(value) ? true : /^(?:false|0)?$/i.test(value) ? false : value;
    return FORM_NUMBER.test(value) ? Number(value) : value;
  });
  const facts = definedOnly<RequestFacts>({
    ...UNREAD_FACTS,
    model: fields.text("model"),
    stream: fields.flag("stream") ?? false,
    choices: fields.count("n", 1) ?? 1,
  });
  return factsOrIssues(facts, fields.issues);
}
