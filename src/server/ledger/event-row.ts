import type { Clock } from "@/lib/clock";
import type { CostEventRecord, ToolCall } from "@/server/events/cost-event";
import type { CostBreakdown, ReceiptLine } from "@/server/metering/receipt";
import type { Settlement } from "./settle-door";

/** An event as `settle_calls` takes it. */
export type EventRow = {
  /** A JSON object whose keys are columns of cost_event. */
  json: string;
  /** Two events that could collide in a unique index have the same key: batches are sorted by it, so that processes do not deadlock. */
  lockKey: string;
};

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
/** Postgres stores neither NUL in text nor half of a surrogate pair in JSON. With the `u` flag whole pairs do not match. */
const UNSTORABLE = /[\0\p{Surrogate}]/gu;
/** Quicker, and never true of what is Latin: whole pairs match, too. */
const MAYBE_UNSTORABLE = /[\0\ud800-\udfff]/;
const REPLACEMENT = "\ufffd";

const NAME_LENGTH_MAX = 256;
/** An index entry of three such columns has to stay below 2,704 bytes in UTF-8. */
const ID_LENGTH_MAX = 512;
const LIST_LENGTH_MAX = 128;
const TAGS_MAX = 64;
const INT4_MAX = 2_147_483_647;
const INT8_MAX = 9_223_372_036_854_775_807n;
const DURATION_MS_MAX = 1e12;
const YEAR_2100_MS = 4_102_444_800_000;

/**
 * Makes a row that the database will take, whatever a caller or a provider wrote into the event's texts: one that it refused would
 * hold up every event behind it. Null fields are left out.
 */
export function eventRow(event: CostEventRecord, clock: Clock, budgets?: Settlement["budgets"]): EventRow {
  const requestId = text(event.requestId, ID_LENGTH_MAX) || event.id;
  const provider = text(event.provider, NAME_LENGTH_MAX) || "unknown";
  const json = JSON.stringify({
    org_id: event.orgId,
    id: event.id,
    request_id: requestId,
    created_at: timestamp(event.createdAtMs, clock),
    status: event.status,
    denial_code: optionalText(event.denialCode, NAME_LENGTH_MAX),
    http_status: httpStatus(event.httpStatus),
    source: event.source,
    event_type: event.eventType,
    provider,
    model: text(event.model, NAME_LENGTH_MAX) || "unknown",
    requested_model: optionalText(event.requestedModel, NAME_LENGTH_MAX),
    service_tier: optionalText(event.serviceTier, NAME_LENGTH_MAX),
    endpoint: optionalText(event.endpoint, NAME_LENGTH_MAX),
    input_tokens: count(event.inputTokens),
    output_tokens: count(event.outputTokens),
    cached_input_tokens: count(event.cachedInputTokens),
    cache_write_tokens: count(event.cacheWriteTokens),
    reasoning_tokens: count(event.reasoningTokens),
    cost_nano: amount(event.costNano),
    charged_nano: amount(event.chargedNano) ?? "0",
    cost_basis: event.costBasis,
    cost_breakdown: breakdown(event.costBreakdown),
    lines: event.lines?.map(receiptLine),
    price_version: optionalText(event.priceVersion, NAME_LENGTH_MAX),
    estimated_nano: amount(event.estimatedNano),
    budget_status: event.budgetStatus,
    stop_reason: optionalText(event.stopReason, NAME_LENGTH_MAX),
    tool_calls: event.toolCalls?.slice(0, LIST_LENGTH_MAX).map(toolCall),
    tool_name: optionalText(event.toolName, NAME_LENGTH_MAX),
    tool_server: optionalText(event.toolServer, NAME_LENGTH_MAX),
    duration_ms: duration(event.durationMs),
    upstream_duration_ms: duration(event.upstreamDurationMs),
    time_to_first_byte_ms: duration(event.timeToFirstByteMs),
    overhead_ms: duration(event.overheadMs),
    session_id: optionalText(event.sessionId, ID_LENGTH_MAX),
    trace_id: optionalText(event.traceId, ID_LENGTH_MAX),
    span_id: optionalText(event.spanId, NAME_LENGTH_MAX),
    parent_span_id: optionalText(event.parentSpanId, NAME_LENGTH_MAX),
    action_id: uuid(event.actionId),
    customer_id: optionalText(event.customerId, NAME_LENGTH_MAX),
    tags: tags(event.tags),
    api_key_id: uuid(event.apiKeyId),
    key_name: optionalText(event.keyName, NAME_LENGTH_MAX),
    user_id: uuid(event.userId),
    held: budgets?.held ? true : undefined,
    balance_ids: budgets?.held === false ? budgets.balanceIds.map(String) : undefined,
  });
  return { json, lockKey: event.source === "proxy" ? event.id : `${event.source}\0${event.orgId}\0${provider}\0${requestId}` };
}

/** What must not be lost of an event that the database refused as a whole: who, when, what model and how much. */
export function withoutDetails(event: CostEventRecord): CostEventRecord {
  return {
    ...event,
    requestId: event.id,
    provider: plain(event.provider),
    model: plain(event.model),
    requestedModel: null,
    serviceTier: null,
    endpoint: null,
    costBreakdown: null,
    lines: null,
    priceVersion: null,
    stopReason: null,
    toolCalls: null,
    toolName: null,
    toolServer: null,
    durationMs: null,
    upstreamDurationMs: null,
    timeToFirstByteMs: null,
    overheadMs: null,
    sessionId: null,
    traceId: null,
    spanId: null,
    parentSpanId: null,
    actionId: null,
    customerId: null,
    tags: {},
    keyName: null,
  };
}

/** For `JSON.stringify`: no text that Postgres would refuse, and amounts as text. */
export const storable = (_key: string, value: unknown): unknown =>
  typeof value === "string" ? text(value, ID_LENGTH_MAX) : typeof value === "bigint" ? value.toString() : value;

const plain = (value: string): string => value.replace(/[^\w./:-]/g, "_").slice(0, 100);

function text(value: string, lengthMax: number): string {
  const short = value.length > lengthMax ? value.slice(0, lengthMax) : value;
  return MAYBE_UNSTORABLE.test(short) ? short.replace(UNSTORABLE, REPLACEMENT) : short;
}

const optionalText = (value: string | null, lengthMax: number): string | undefined => (value === null ? undefined : text(value, lengthMax));

const uuid = (value: string | null): string | undefined => (value !== null && UUID.test(value) ? value : undefined);

let lastTimestamp = { ms: -1, text: "" };

/** Under load many events have the same millisecond, and writing it out takes longer than comparing. */
function timestamp(ms: number, clock: Clock): string {
  const stored = ms >= 0 && ms < YEAR_2100_MS ? ms : clock.now();
  if (lastTimestamp.ms !== stored) lastTimestamp = { ms: stored, text: new Date(stored).toISOString() };
  return lastTimestamp.text;
}

const httpStatus = (value: number | null): number | undefined =>
  value !== null && Number.isInteger(value) && value >= 100 && value <= 999 ? value : undefined;

function count(value: number | null): number | undefined {
  if (value === null || Number.isNaN(value)) return undefined;
  return Math.min(Math.max(Math.trunc(value), 0), INT4_MAX);
}

function amount(value: bigint | null): string | undefined {
  if (value === null) return undefined;
  if (value < 0n) return "0";
  return (value > INT8_MAX ? INT8_MAX : value).toString();
}

/** Whole microseconds: the columns are single precision, which refuses what is too small for it as well as what is too large. */
function duration(value: number | null): number | undefined {
  if (value === null || Number.isNaN(value)) return undefined;
  return Math.round(Math.min(Math.max(value, 0), DURATION_MS_MAX) * 1000) / 1000;
}

// Amounts inside JSON are decimal strings: a JSON number is a double to whoever reads it.
function breakdown(value: CostBreakdown | null) {
  if (value === null) return undefined;
  return {
    input: amount(value.input),
    cached: amount(value.cached),
    cacheWrite: amount(value.cacheWrite),
    output: amount(value.output),
    reasoning: amount(value.reasoning),
    tools: amount(value.tools),
  };
}

function receiptLine({ unit, model, quantity, unitPricePico, amountPico }: ReceiptLine) {
  return {
    unit,
    model: model === undefined ? undefined : text(model, NAME_LENGTH_MAX),
    quantity,
    unitPricePico: unitPricePico.toString(),
    amountPico: amountPico.toString(),
  };
}

function toolCall({ name, id }: ToolCall): ToolCall {
  return { name: text(name, NAME_LENGTH_MAX), id: id === null ? null : text(id, NAME_LENGTH_MAX) };
}

const NO_TAGS = {};

function tags(value: Readonly<Record<string, string>>): Record<string, string> {
  const entries = Object.entries(value).slice(0, TAGS_MAX);
  if (entries.length === 0) return NO_TAGS;
  return Object.fromEntries(entries.map(([key, each]) => [text(key, NAME_LENGTH_MAX), text(each, NAME_LENGTH_MAX)]));
}
