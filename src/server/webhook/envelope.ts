import { webhookObject, type WebhookEventType, type WebhookObject } from "./event-types";

export const WEBHOOK_API_VERSION = "2026-04-01";
/** Larger bodies are sent as a reference: receivers and what stands before them refuse big ones. */
const BODY_BYTES_MAX = 256 * 1024;

export type PayloadMode = "full" | "thin";

/** The exact text to sign and send. @param id the outbox event's. @param createdAtMs Unix milliseconds. */
export function webhookBody({
  id,
  type,
  createdAtMs,
  stored,
  payloadMode,
}: {
  id: string;
  type: WebhookEventType;
  createdAtMs: number;
  stored: WebhookObject;
  payloadMode: PayloadMode;
}): string {
  const head = { id: wireEventId(id), type, api_version: WEBHOOK_API_VERSION, created_at: Math.floor(createdAtMs / 1000) };
  const related = relatedObject(stored);
  if (payloadMode === "thin" && type === "cost_event.created" && related) return JSON.stringify({ ...head, related_object: related });
  const full = JSON.stringify({ ...head, data: { object: webhookObject(type, stored) } });
  return related && Buffer.byteLength(full) > BODY_BYTES_MAX ? JSON.stringify({ ...head, related_object: related }) : full;
}

export const wireEventId = (id: string): string => `evt_${id}`;

/** What the event is about, where REST can be asked for it. */
function relatedObject({
  action_id: actionId,
  id: eventId,
  request_id: requestId,
}: WebhookObject): { id: string; type: string; url: string } | undefined {
  const event = [eventId, requestId].find((id): id is string => typeof id === "string" && id.startsWith("ns_evt_"));
  if (event !== undefined) return { id: event, type: "cost_event", url: `/api/cost-events/${event}` };
  return typeof actionId === "string" ? { id: actionId, type: "action", url: `/api/actions/${actionId}` } : undefined;
}
