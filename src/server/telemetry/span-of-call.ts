import { publicId } from "@/lib/ids";
import { nanoToMicrodollars } from "@/lib/money";
import type { CostEventRecord } from "@/server/events";

export type OtlpValue =
  | { stringValue: string }
  | { intValue: string }
  | { doubleValue: number }
  | { arrayValue: { values: { stringValue: string }[] } };
export type OtlpAttribute = { key: string; value: OtlpValue };

/** A span in the JSON of OTLP/HTTP (https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding): ids in hex, 64-bit numbers as text. */
export type OtlpSpan = {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  name: string;
  kind: number;
  startTimeUnixNano: string;
  endTimeUnixNano: string;
  attributes: OtlpAttribute[];
  status: { code: number };
};

const SPAN_KIND_CLIENT = 3;
const STATUS_UNSET = 0;
const STATUS_ERROR = 2;

/** `gen_ai.operation.name` of our endpoints; others keep their own name, which the conventions allow. */
const OPERATION: Readonly<Record<string, string>> = {
  "chat/completions": "chat",
  responses: "chat",
  messages: "chat",
  completions: "text_completion",
  embeddings: "embeddings",
  "images/generations": "generate_content",
  "images/edits": "generate_content",
};

/** `gen_ai.provider.name` where the conventions have another word than the price book. */
const PROVIDER: Readonly<Record<string, string>> = {
  aws: "aws.bedrock",
  bedrock: "aws.bedrock",
  azure: "azure.ai.openai",
  "azure-openai": "azure.ai.openai",
  google: "gcp.gemini",
  gemini: "gcp.gemini",
  mistral: "mistral_ai",
  "x-ai": "x_ai",
  xai: "x_ai",
};

const wordOf = (table: Readonly<Record<string, string>>, word: string): string => (Object.hasOwn(table, word) ? table[word]! : word);

/**
 * One call as one span, in the attribute names of the GenAI semantic conventions 1.45. Undefined for events that belong to no trace.
 * What a caller or a model wrote is in no event, so it is in no span.
 */
export function spanOfCall(event: CostEventRecord): OtlpSpan | undefined {
  const { traceId, spanId, parentSpanId } = event;
  if (traceId === null || spanId === null) return undefined;
  const operation = wordOf(OPERATION, event.endpoint ?? "unknown");
  const isError = event.status !== "ok" && event.status !== "cancelled";
  return {
    traceId,
    spanId,
    ...(parentSpanId !== null && { parentSpanId }),
    name: event.requestedModel === null ? operation : `${operation} ${event.requestedModel}`,
    kind: SPAN_KIND_CLIENT,
    startTimeUnixNano: unixNano(event.createdAtMs),
    endTimeUnixNano: unixNano(event.createdAtMs + (event.durationMs ?? 0)),
    attributes: attributesOf(event, operation),
    status: { code: isError ? STATUS_ERROR : STATUS_UNSET },
  };
}

function attributesOf(event: CostEventRecord, operation: string): OtlpAttribute[] {
  const attributes: OtlpAttribute[] = [];
  const text = (key: string, value: string | null): void =>
    void (value !== null && attributes.push({ key, value: { stringValue: value } }));
  const whole = (key: string, value: number | null): void =>
    void (value !== null && attributes.push({ key, value: { intValue: String(Math.trunc(value)) } }));
  const decimal = (key: string, value: number | null): void =>
    void (value !== null && attributes.push({ key, value: { doubleValue: value } }));
  const wasAnswered = event.timeToFirstByteMs !== null;

  text("gen_ai.operation.name", operation);
  text("gen_ai.provider.name", wordOf(PROVIDER, event.provider));
  text("gen_ai.request.model", event.requestedModel);
  if (wasAnswered && event.status !== "upstream_error") text("gen_ai.response.model", event.model);
  text("gen_ai.conversation.id", event.sessionId);
  // Input includes what was read from and written to the cache, for every provider.
  whole("gen_ai.usage.input_tokens", event.inputTokens);
  whole("gen_ai.usage.output_tokens", event.outputTokens);
  whole("gen_ai.usage.cache_read.input_tokens", event.cachedInputTokens);
  whole("gen_ai.usage.cache_creation.input_tokens", event.cacheWriteTokens);
  whole("gen_ai.usage.reasoning.output_tokens", event.reasoningTokens);
  if (event.stopReason !== null) {
    attributes.push({ key: "gen_ai.response.finish_reasons", value: { arrayValue: { values: [{ stringValue: event.stopReason }] } } });
  }
  decimal("gen_ai.response.time_to_first_chunk", event.timeToFirstByteMs === null ? null : event.timeToFirstByteMs / 1000);
  whole("http.response.status_code", event.httpStatus);
  if (event.status !== "ok") text("error.type", event.denialCode ?? (wasAnswered ? errorOfAnswer(event) : event.status));

  decimal("nullspend.cost.microdollars", event.costNano === null ? null : nanoToMicrodollars(event.costNano));
  decimal("nullspend.charged.microdollars", nanoToMicrodollars(event.chargedNano));
  text("nullspend.cost.basis", event.costBasis);
  text("nullspend.status", event.status);
  text("nullspend.event.id", publicId("event", event.id));
  text("nullspend.org.id", publicId("org", event.orgId));
  text("nullspend.key.id", event.apiKeyId === null ? null : publicId("key", event.apiKeyId));
  text("nullspend.customer.id", event.customerId);
  text("nullspend.service_tier", event.serviceTier);
  text("nullspend.budget.status", event.budgetStatus);
  decimal("nullspend.overhead_ms", event.overheadMs);
  for (const [key, value] of Object.entries(event.tags)) text(`nullspend.tag.${key}`, value);
  return attributes;
}

const errorOfAnswer = ({ httpStatus, status }: CostEventRecord): string =>
  httpStatus !== null && httpStatus >= 400 ? String(httpStatus) : status;

/** A number of nanoseconds since 1970 has more digits than a double: microseconds are counted first. */
const unixNano = (ms: number): string => `${BigInt(Math.round(ms * 1000)) * 1000n}`;
