import { z } from "zod";
import { WEBHOOK_EVENT_TYPES } from "./event-types";

const url = z.string().trim().min(1).max(2_000);
const description = z
  .string()
  .trim()
  .max(200)
  .refine((text) => !text.includes("\0") && !/\p{Surrogate}/u.test(text), "must not contain NUL");
const eventTypes = z
  .array(z.enum(WEBHOOK_EVENT_TYPES))
  .max(WEBHOOK_EVENT_TYPES.length)
  .refine((types) => new Set(types).size === types.length, "must name each type once")
  .meta({ description: "Empty: all, future ones included." });
const payloadMode = z.enum(["full", "thin"]).meta({ description: "`thin`: cost events carry a reference instead of their content." });

export const CreateWebhookInput = z.strictObject({
  url,
  description: description.nullable().default(null),
  eventTypes: eventTypes.default([]),
  payloadMode: payloadMode.default("full"),
});
export type CreateWebhookInput = z.input<typeof CreateWebhookInput>;

/** Changes only what is sent. `enabled: true` also after we switched it off. */
export const UpdateWebhookInput = z
  .strictObject({
    url: url.optional(),
    description: description.nullable().optional(),
    eventTypes: eventTypes.optional(),
    payloadMode: payloadMode.optional(),
    enabled: z.boolean().optional(),
  })
  .refine((input) => Object.values(input).some((value) => value !== undefined), "nothing to change");
export type UpdateWebhookInput = z.input<typeof UpdateWebhookInput>;

export const TestWebhookInput = z.strictObject({ type: z.enum(WEBHOOK_EVENT_TYPES).default("test.ping") });
export type TestWebhookInput = z.input<typeof TestWebhookInput>;

export const DELIVERY_STATES = ["pending", "delivered", "failed", "cancelled"] as const;
export type DeliveryState = (typeof DELIVERY_STATES)[number];

export const ListDeliveriesInput = z.strictObject({
  limit: z.int().min(1).max(100).default(50),
  cursor: z.string().max(1_000).optional(),
  state: z.enum(DELIVERY_STATES).optional(),
  eventType: z.enum(WEBHOOK_EVENT_TYPES).optional(),
  from: z.iso.datetime().optional(),
  to: z.iso.datetime().optional(),
});
export type ListDeliveriesInput = z.input<typeof ListDeliveriesInput>;

export const RedeliverFailedInput = z.strictObject({ since: z.iso.datetime() });
export type RedeliverFailedInput = z.input<typeof RedeliverFailedInput>;
