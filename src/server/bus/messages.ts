import { z } from "zod";
import { publicId } from "@/lib/ids";
import { nanoToMicrodollars } from "@/lib/money";
import type { CostEventRecord } from "@/server/events/cost-event";

const microdollars = z.number();
const text = z.string().nullable();
const count = z.number().nullable();

/** A call as the activity table shows it: public ids, microdollars, milliseconds. */
export const FeedRow = z.strictObject({
  id: z.string(),
  createdAt: z.string(),
  status: z.enum(["ok", "denied", "upstream_error", "cancelled", "interrupted"]),
  denialCode: text,
  httpStatus: z.int().nullable(),
  source: z.enum(["proxy", "api", "mcp"]),
  eventType: z.enum(["llm", "tool", "custom"]),
  provider: z.string(),
  model: z.string(),
  toolName: text,
  inputTokens: count,
  outputTokens: count,
  cachedInputTokens: count,
  costMicrodollars: microdollars.nullable(),
  costBasis: z.enum(["reported", "counted", "bounded", "unpriced"]),
  durationMs: count,
  timeToFirstByteMs: count,
  sessionId: text,
  traceId: text,
  customerId: text,
  tags: z.record(z.string(), z.string()),
  apiKeyId: text,
  keyName: text,
  userId: text,
});
export type FeedRow = z.infer<typeof FeedRow>;

/** One message holds at most so many calls; where more settled at once, `omitted` says how many are not in it. */
export const FEED_ROWS_MAX = 100;
const feed = { calls: z.array(FeedRow).max(FEED_ROWS_MAX), omitted: z.int().nonnegative() };

const id = z.string();
/** What each message says beside `orgId` and `type`. None holds a secret; all but the last group reach the browsers of the organisation. */
const BODIES = {
  /** Of the organisation's day in its own time zone. */
  "spend.tick": {
    todayMicrodollars: microdollars,
    reservedMicrodollars: microdollars,
    callsInFlight: z.int(),
    perMinuteMicrodollars: microdollars,
  },
  "call.settled": feed,
  /** Those among the settled calls that were refused. */
  "call.denied": feed,
  /** The budget as it is now has to be read; null: several, or not known which. */
  "budget.changed": { budgetId: id.nullable(), change: z.enum(["created", "updated", "deleted", "spent"]) },
  "action.changed": { actionId: id, status: z.string() },
  "velocity.changed": { budgetId: id.nullable() },
  "request.problem": {
    apiKeyId: id,
    kind: z.enum(["wrong_path", "key_in_wrong_header", "provider_unauthorized", "provider_key_missing"]),
    detail: z.string(),
    createdAt: z.string(),
  },
  "webhook.delivery": { deliveryId: id, endpointId: id, status: z.string() },
  /** Keys, freezes, prices, members, settings. */
  "config.changed": { area: z.enum(["keys", "freezes", "prices", "members", "settings", "policies", "webhooks"]) },
  /** Left, was removed, or has another role now. */
  "member.removed": { userId: id },
  /** `sessionId` null: all of this person's. */
  "session.ended": { userId: id, sessionId: id.nullable() },
} as const;

export type BusMessageType = keyof typeof BODIES;
export type BusMessage = {
  [T in BusMessageType]: { orgId: T extends "session.ended" ? string | null : string; type: T } & z.infer<z.ZodObject<(typeof BODIES)[T]>>;
}[BusMessageType];
export type BusMessageOf<T extends BusMessageType> = Extract<BusMessage, { type: T }>;
/** What a browser is told: its organisation is known to it. */
export type LiveEvent<T extends LiveEventType> = Omit<BusMessageOf<T>, "orgId" | "type">;

/** Those that are sent to browsers. `member.removed` and `session.ended` end sockets instead. */
export const LIVE_EVENT_TYPES = [
  "spend.tick",
  "call.settled",
  "call.denied",
  "budget.changed",
  "action.changed",
  "velocity.changed",
  "request.problem",
  "webhook.delivery",
  "config.changed",
] as const satisfies readonly BusMessageType[];
export type LiveEventType = (typeof LIVE_EVENT_TYPES)[number];

const schemas = new Map<string, z.ZodType>(
  Object.entries(BODIES).map(([type, body]) => [
    type,
    z.strictObject({ orgId: type === "session.ended" ? z.uuid().nullable() : z.uuid(), type: z.literal(type), ...body }),
  ]),
);

/** What another process sent; undefined when this version does not know it. */
export function parseBusMessage(value: unknown): BusMessage | undefined {
  const type = typeof value === "object" && value !== null && "type" in value ? value.type : undefined;
  const parsed = typeof type === "string" ? schemas.get(type)?.safeParse(value) : undefined;
  // The schemas are made of the same table as the type.
  return parsed?.success ? (parsed.data as BusMessage) : undefined;
}

export function feedRow(event: CostEventRecord): FeedRow {
  return {
    id: publicId("event", event.id),
    createdAt: new Date(event.createdAtMs).toISOString(),
    status: event.status,
    denialCode: event.denialCode,
    httpStatus: event.httpStatus,
    source: event.source,
    eventType: event.eventType,
    provider: event.provider,
    model: event.model,
    toolName: event.toolName,
    inputTokens: event.inputTokens,
    outputTokens: event.outputTokens,
    cachedInputTokens: event.cachedInputTokens,
    costMicrodollars: event.costNano === null ? null : nanoToMicrodollars(event.costNano),
    costBasis: event.costBasis,
    durationMs: event.durationMs,
    timeToFirstByteMs: event.timeToFirstByteMs,
    sessionId: event.sessionId,
    traceId: event.traceId,
    customerId: event.customerId,
    tags: { ...event.tags },
    apiKeyId: event.apiKeyId === null ? null : publicId("key", event.apiKeyId),
    keyName: event.keyName,
    userId: event.userId === null ? null : publicId("user", event.userId),
  };
}
