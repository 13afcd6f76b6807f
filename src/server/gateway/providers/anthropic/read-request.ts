import { thinksByDefault } from "@/server/metering";
import { compileJsonPaths } from "@/server/metering/json-scanner";
import type { Endpoint, ReadRequestResult, RequestFacts } from "../provider";
import { UNREAD_FACTS, definedOnly, factsOrIssues, readJsonRequest, sessionIdOf } from "../request-fields";

/** Every member that decides a price, or is text that is paid for. Standing twice, any of them makes a body ambiguous. */
const PATHS = compileJsonPaths([
  "model",
  "stream",
  "service_tier",
  "max_tokens",
  "thinking",
  "thinking.type",
  "thinking.budget_tokens",
  "output_config.effort",
  "speed",
  "inference_geo",
  "metadata.user_id",
  "messages",
  "system",
  "tools",
  "mcp_servers",
  "fallbacks",
]);

export function readAnthropicRequest(endpoint: Endpoint, body: Uint8Array): ReadRequestResult {
  if (endpoint.body === "none") return { ok: true, facts: { ...UNREAD_FACTS } };
  const request = readJsonRequest(body, PATHS);
  if (!request.ok) return request;
  const { fields } = request;
  fields.expectObject("thinking");
  const model = fields.text("model");
  const thinking = fields.text("thinking.type");
  const facts = definedOnly<RequestFacts>({
    model,
    stream: fields.flag("stream") ?? false,
    serviceTier: fields.text("service_tier"),
    outputTokensMax: fields.count("max_tokens", 0),
    choices: 1,
    asksStreamUsage: false,
    // What is shown of thinking is a summary, or nothing; all of it is billed.
    thinksUnseen: thinking === undefined ? thinksByDefault(model) : thinking !== "disabled",
    background: false,
    reasoningEffort: fields.text("output_config.effort"),
    thinkingBudget: fields.count("thinking.budget_tokens", 0),
    speed: fields.text("speed"),
    inferenceGeo: fields.text("inference_geo"),
    sessionId: sessionIdOf(fields.raw("metadata.user_id")),
  });
  return factsOrIssues(facts, fields.issues);
}
