import { z } from "zod";
import type { Prisma } from "@/generated/prisma/client";
import { ID_PREFIX, publicId } from "@/lib/ids";
import { WEBHOOK_API_VERSION, wireEventId, type PayloadMode } from "./envelope";
import { WEBHOOK_EVENT_TYPES, type WebhookEventType } from "./event-types";
import { DELIVERY_STATES, type DeliveryState } from "./input";

const timestamp = z.string().meta({ format: "date-time", description: "ISO 8601, UTC." });
const id = (prefix: string) => z.string().meta({ examples: [`${prefix}0190b3c4-5d6e-7f80-9a1b-2c3d4e5f6071`] });
const DISABLED_REASONS = ["manual", "gone", "failing"] as const;

export const PublicWebhook = z
  .object({
    id: id(ID_PREFIX.webhook),
    url: z.string(),
    description: z.string().nullable(),
    eventTypes: z.array(z.enum(WEBHOOK_EVENT_TYPES)).meta({ description: "Empty: all." }),
    payloadMode: z.enum(["full", "thin"]),
    apiVersion: z.string(),
    enabled: z.boolean(),
    disabledReason: z
      .enum(DISABLED_REASONS)
      .nullable()
      .meta({ description: "`gone`: it answered 410. `failing`: nothing arrived for five days." }),
    failingSince: timestamp.nullable().meta({ description: "First failure since the last success." }),
    previousSecretUntil: timestamp.nullable().meta({ description: "Until then the secret before the last rotation signs too." }),
    createdAt: timestamp,
    updatedAt: timestamp,
  })
  .meta({ id: "Webhook" });
export type PublicWebhook = z.infer<typeof PublicWebhook>;

export const NewWebhook = PublicWebhook.extend({
  signingSecret: z.string().meta({ description: "`whsec_…`. Shown this once." }),
}).meta({ id: "NewWebhook" });
export type NewWebhook = z.infer<typeof NewWebhook>;

export const WEBHOOK_SELECT = {
  id: true,
  url: true,
  description: true,
  eventTypes: true,
  payloadMode: true,
  disabledReason: true,
  disabledAt: true,
  failingSince: true,
  previousSecretUntil: true,
  createdAt: true,
  updatedAt: true,
} as const satisfies Prisma.WebhookEndpointSelect;
export type WebhookRow = Prisma.WebhookEndpointGetPayload<{ select: typeof WEBHOOK_SELECT }>;

/** The verbs of this folder are the only writers of the columns whose values are named here. */
export function toPublicWebhook(row: WebhookRow): PublicWebhook {
  return {
    id: publicId("webhook", row.id),
    url: row.url,
    description: row.description,
    eventTypes: row.eventTypes as WebhookEventType[],
    payloadMode: row.payloadMode as PayloadMode,
    apiVersion: WEBHOOK_API_VERSION,
    enabled: row.disabledAt === null,
    disabledReason: row.disabledReason as (typeof DISABLED_REASONS)[number] | null,
    failingSince: row.failingSince?.toISOString() ?? null,
    previousSecretUntil: row.previousSecretUntil?.toISOString() ?? null,
    createdAt: row.createdAt.toISOString(),
    updatedAt: row.updatedAt.toISOString(),
  };
}

export const PublicDelivery = z
  .object({
    id: id(ID_PREFIX.delivery),
    webhookId: id(ID_PREFIX.webhook),
    eventId: id("evt_"),
    eventType: z.enum(WEBHOOK_EVENT_TYPES),
    status: z.enum(DELIVERY_STATES),
    attempts: z.int().meta({ description: "Since it was queued, or last asked for again." }),
    responseStatus: z.int().nullable().meta({ description: "Of the last attempt; null: none yet, or no answer came." }),
    nextAttemptAt: timestamp.nullable(),
    finishedAt: timestamp.nullable(),
    createdAt: timestamp,
  })
  .meta({ id: "WebhookDelivery" });
export type PublicDelivery = z.infer<typeof PublicDelivery>;

export const PublicAttempt = z
  .object({
    number: z.int(),
    startedAt: timestamp,
    durationMs: z.int(),
    status: z.int().nullable().meta({ description: "Null: no answer came." }),
    error: z.string().nullable(),
    responseBody: z.string().nullable().meta({ description: "The first kilobyte, printable." }),
    manual: z.boolean().meta({ description: "A person asked for it." }),
  })
  .meta({ id: "WebhookAttempt" });
export type PublicAttempt = z.infer<typeof PublicAttempt>;

export const PublicDeliveryDetail = PublicDelivery.extend({
  body: z.string().meta({ description: "Exactly what is signed and sent." }),
  attemptList: z.array(PublicAttempt).meta({ description: "Newest first, at most 100." }),
}).meta({ id: "WebhookDeliveryDetail" });
export type PublicDeliveryDetail = z.infer<typeof PublicDeliveryDetail>;

export const DELIVERY_SELECT = {
  id: true,
  endpointId: true,
  eventId: true,
  eventType: true,
  state: true,
  attempts: true,
  lastStatus: true,
  nextAttemptAt: true,
  finishedAt: true,
  createdAt: true,
} as const satisfies Prisma.WebhookDeliverySelect;
export type DeliveryRow = Prisma.WebhookDeliveryGetPayload<{ select: typeof DELIVERY_SELECT }>;

export function toPublicDelivery(row: DeliveryRow): PublicDelivery {
  return {
    id: publicId("delivery", row.id),
    webhookId: publicId("webhook", row.endpointId),
    eventId: wireEventId(row.eventId),
    eventType: row.eventType as WebhookEventType,
    status: row.state as DeliveryState,
    attempts: row.attempts,
    responseStatus: row.lastStatus,
    nextAttemptAt: row.state === "pending" ? row.nextAttemptAt.toISOString() : null,
    finishedAt: row.finishedAt?.toISOString() ?? null,
    createdAt: row.createdAt.toISOString(),
  };
}
