import { z } from "zod";

const uuid = "0190b3c4-5d6e-7f80-9a1b-2c3d4e5f6071";
const text = z.string();
const amount = z.number().meta({ description: "Microdollars, at most three decimals." });
const time = z.string().meta({ format: "date-time" });
const nullable = <T extends z.ZodType>(schema: T) => schema.nullable();

const budgetEntity = {
  budget_id: text,
  budget_entity_type: z.enum(["org", "user", "api_key", "tag", "customer"]),
  budget_entity_id: text,
  customer_id: text.optional(),
  tag_key: text.optional(),
  tag_value: text.optional(),
};
const balance = {
  ...budgetEntity,
  budget_limit_microdollars: amount,
  budget_spend_microdollars: amount,
  budget_remaining_microdollars: amount,
  period_start: time,
  period_end: nullable(time),
};
const threshold = { ...balance, threshold_percent: z.number(), triggered_by_request_id: nullable(text) };
const blocked = {
  estimated_request_cost_microdollars: nullable(amount),
  provider: text,
  model: text,
  request_id: text,
  blocked_at: time,
};
const velocity = {
  ...budgetEntity,
  velocity_limit_microdollars: amount,
  velocity_window_seconds: z.int(),
  velocity_cooldown_seconds: z.int(),
  velocity_current_microdollars: amount,
};
const action = {
  action_id: text,
  status: text,
  action_type: text,
  agent_id: text,
  payload: z.unknown(),
  metadata: z.unknown(),
  api_key_id: nullable(text),
  session_id: nullable(text),
  trace_id: nullable(text),
  budget_id: nullable(text),
  requested_microdollars: nullable(amount),
  approved_microdollars: nullable(amount),
  decided_by: nullable(text),
  decided_via: nullable(text),
  note: nullable(text),
  reject_reason: nullable(text),
  created_at: time,
  decided_at: nullable(time),
  expires_at: time,
};
const count = nullable(z.int());

/** `data.object` of each type (CONTRACT §9). More fields may be added at any time. */
export const WEBHOOK_PAYLOADS = {
  "cost_event.created": z.looseObject({
    id: text,
    request_id: text,
    created_at: time,
    status: text,
    denial_code: nullable(text),
    http_status: count,
    source: text,
    event_type: text,
    provider: text,
    model: text,
    requested_model: nullable(text),
    input_tokens: count,
    output_tokens: count,
    cached_input_tokens: count,
    cache_write_tokens: count,
    reasoning_tokens: count,
    cost_microdollars: nullable(amount),
    charged_microdollars: amount,
    cost_basis: text,
    budget_status: text,
    stop_reason: nullable(text),
    duration_ms: nullable(z.number()),
    upstream_duration_ms: nullable(z.number()),
    session_id: nullable(text),
    trace_id: nullable(text),
    tool_name: nullable(text),
    tool_server: nullable(text),
    tool_calls_requested: nullable(z.array(z.looseObject({ name: text }))),
    customer_id: nullable(text),
    api_key_id: nullable(text),
    user_id: nullable(text),
    action_id: nullable(text),
    tags: z.record(text, text),
  }),
  "budget.threshold.warning": z.looseObject(threshold),
  "budget.threshold.critical": z.looseObject(threshold),
  "budget.exceeded": z.looseObject({ ...balance, ...blocked }),
  "budget.reset": z.looseObject({
    ...balance,
    previous_spend_microdollars: amount,
    new_period_start: time,
    reset_interval: text,
  }),
  "budget.increased": z.looseObject({
    ...budgetEntity,
    action_id: text,
    previous_limit_microdollars: amount,
    new_limit_microdollars: amount,
    increased_by_microdollars: amount,
    approved_by: nullable(text),
  }),
  "request.blocked": z.looseObject({
    reason: text,
    ...blocked,
    api_key_id: nullable(text),
    session_id: nullable(text),
    customer_id: nullable(text),
    details: z.unknown(),
  }),
  "action.created": z.looseObject(action),
  "action.approved": z.looseObject({ ...action, approved_by: nullable(text), approved_at: nullable(time) }),
  "action.rejected": z.looseObject({ ...action, rejected_by: nullable(text), rejected_at: nullable(time), reason: nullable(text) }),
  "action.expired": z.looseObject({ ...action, expired_at: time }),
  "velocity.exceeded": z.looseObject({ ...velocity, cooldown_seconds: z.int(), triggered_at: time, blocked_at: time }),
  "velocity.recovered": z.looseObject({ ...velocity, recovered_at: time }),
  "session.limit_exceeded": z.looseObject({
    ...budgetEntity,
    session_id: text,
    session_limit_microdollars: amount,
    session_spend_microdollars: amount,
    ...blocked,
  }),
  "tag_budget.exceeded": z.looseObject({ ...balance, tag_key: text, tag_value: text, ...blocked }),
  "customer_budget.exceeded": z.looseObject({ ...balance, customer_id: text, ...blocked }),
  "test.ping": z.looseObject({ message: text }),
} as const;

export type WebhookEventType = keyof typeof WEBHOOK_PAYLOADS;
export type WebhookObject = Record<string, unknown>;

// The keys of the table above, which has no others.
export const WEBHOOK_EVENT_TYPES = Object.keys(WEBHOOK_PAYLOADS) as [WebhookEventType, ...WebhookEventType[]];

export const isWebhookEventType = (type: string): type is WebhookEventType => Object.hasOwn(WEBHOOK_PAYLOADS, type);

/** What the outbox holds → `data.object`: names that the domain which wrote it has no reason to know. */
const BUILDERS: { readonly [T in WebhookEventType]?: (stored: WebhookObject) => WebhookObject } = {
  "budget.increased": (stored) => ({
    ...stored,
    new_limit_microdollars: stored.budget_limit_microdollars,
    increased_by_microdollars: difference(stored.budget_limit_microdollars, stored.previous_limit_microdollars),
  }),
  "action.approved": (stored) => ({ ...stored, approved_by: stored.decided_by, approved_at: stored.decided_at }),
  "action.rejected": (stored) => ({
    ...stored,
    rejected_by: stored.decided_by,
    rejected_at: stored.decided_at,
    reason: stored.reject_reason,
  }),
  "action.expired": (stored) => ({ ...stored, expired_at: stored.expires_at }),
  "velocity.exceeded": (stored) => ({ ...stored, cooldown_seconds: stored.velocity_cooldown_seconds, blocked_at: stored.triggered_at }),
};

export const webhookObject = (type: WebhookEventType, stored: WebhookObject): WebhookObject => BUILDERS[type]?.(stored) ?? stored;

/** Microdollars have three decimals at most, which the difference of two floats does not keep by itself. */
function difference(after: unknown, before: unknown): number {
  return (Math.round(Number(after) * 1_000) - Math.round(Number(before) * 1_000)) / 1_000;
}

const START = "2026-11-01T00:00:00.000Z";
const NOW = "2026-11-24T15:00:00.000Z";
const LATER = "2026-11-24T16:00:00.000Z";
const sampleEntity = { budget_id: `ns_bgt_${uuid}`, budget_entity_type: "api_key", budget_entity_id: `ns_key_${uuid}` };
const sampleBalance = {
  ...sampleEntity,
  budget_limit_microdollars: 100_000_000,
  budget_spend_microdollars: 92_500_000,
  budget_remaining_microdollars: 7_500_000,
  period_start: START,
  period_end: "2026-12-01T00:00:00.000Z",
};
const sampleBlocked = {
  estimated_request_cost_microdollars: 8_250_000,
  provider: "openai",
  model: "gpt-5",
  request_id: `ns_evt_${uuid}`,
  blocked_at: NOW,
};
const sampleThreshold = { ...sampleBalance, triggered_by_request_id: `ns_evt_${uuid}` };
const sampleVelocity = {
  ...sampleEntity,
  velocity_limit_microdollars: 5_000_000,
  velocity_window_seconds: 60,
  velocity_cooldown_seconds: 60,
  velocity_current_microdollars: 5_400_000,
};
const sampleAction = {
  action_id: `ns_act_${uuid}`,
  status: "pending",
  action_type: "send_email",
  agent_id: "support-agent",
  payload: { to: "customer@example.com", subject: "Your refund" },
  metadata: {},
  api_key_id: `ns_key_${uuid}`,
  session_id: "run-42",
  trace_id: "4bf92f3577b34da6a3ce929d0e0e4736",
  budget_id: null,
  requested_microdollars: null,
  approved_microdollars: null,
  decided_by: null,
  decided_via: null,
  note: null,
  reject_reason: null,
  created_at: NOW,
  decided_at: null,
  expires_at: LATER,
};
const sampleDecided = { ...sampleAction, decided_by: `ns_usr_${uuid}`, decided_via: "dashboard", decided_at: NOW };

/** As the outbox holds them. */
const STORED_SAMPLES: Readonly<Record<WebhookEventType, WebhookObject>> = {
  "cost_event.created": {
    id: `ns_evt_${uuid}`,
    request_id: "chatcmpl-abc123",
    created_at: NOW,
    status: "ok",
    denial_code: null,
    http_status: 200,
    source: "proxy",
    event_type: "llm",
    provider: "openai",
    model: "gpt-5",
    requested_model: "gpt-5",
    input_tokens: 1_200,
    output_tokens: 300,
    cached_input_tokens: 0,
    cache_write_tokens: 0,
    reasoning_tokens: 120,
    cost_microdollars: 4_500,
    charged_microdollars: 4_500,
    cost_basis: "reported",
    budget_status: "approved",
    stop_reason: "stop",
    duration_ms: 2_150,
    upstream_duration_ms: 2_140,
    session_id: "run-42",
    trace_id: "4bf92f3577b34da6a3ce929d0e0e4736",
    tool_name: null,
    tool_server: null,
    tool_calls_requested: null,
    customer_id: "acme",
    api_key_id: `ns_key_${uuid}`,
    user_id: `ns_usr_${uuid}`,
    action_id: null,
    tags: { team: "support" },
  },
  "budget.threshold.warning": { ...sampleThreshold, budget_spend_microdollars: 80_100_000, threshold_percent: 80 },
  "budget.threshold.critical": { ...sampleThreshold, threshold_percent: 90 },
  "budget.exceeded": { ...sampleBalance, ...sampleBlocked },
  "budget.reset": {
    ...sampleBalance,
    budget_spend_microdollars: 0,
    previous_spend_microdollars: 92_500_000,
    new_period_start: START,
    reset_interval: "monthly",
  },
  "budget.increased": {
    ...sampleEntity,
    action_id: `ns_act_${uuid}`,
    previous_limit_microdollars: 100_000_000,
    budget_limit_microdollars: 120_000_000,
    approved_by: `ns_usr_${uuid}`,
  },
  "request.blocked": {
    reason: "budget_exceeded",
    ...sampleBlocked,
    api_key_id: `ns_key_${uuid}`,
    session_id: "run-42",
    customer_id: null,
    details: { budget_id: `ns_bgt_${uuid}` },
  },
  "action.created": sampleAction,
  "action.approved": { ...sampleDecided, status: "approved" },
  "action.rejected": { ...sampleDecided, status: "rejected", reject_reason: "Not this customer." },
  "action.expired": { ...sampleAction, status: "expired" },
  "velocity.exceeded": { ...sampleVelocity, triggered_at: NOW },
  "velocity.recovered": { ...sampleVelocity, velocity_current_microdollars: 0, recovered_at: NOW },
  "session.limit_exceeded": {
    ...sampleEntity,
    session_id: "run-42",
    session_limit_microdollars: 2_000_000,
    session_spend_microdollars: 1_950_000,
    ...sampleBlocked,
  },
  "tag_budget.exceeded": {
    ...sampleBalance,
    budget_entity_type: "tag",
    budget_entity_id: "team=support",
    tag_key: "team",
    tag_value: "support",
    ...sampleBlocked,
  },
  "customer_budget.exceeded": {
    ...sampleBalance,
    budget_entity_type: "customer",
    budget_entity_id: "acme",
    customer_id: "acme",
    ...sampleBlocked,
  },
  "test.ping": { message: "It works: this is a test from NullSpend." },
};

/** An example of `data.object`, made by the same builder as the real ones. */
export const sampleWebhookObject = (type: WebhookEventType): WebhookObject => webhookObject(type, STORED_SAMPLES[type]);
