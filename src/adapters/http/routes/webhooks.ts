import { z } from "zod";
import type { Prisma } from "@/generated/prisma/client";
import {
  createWebhook,
  CreateWebhookInput,
  deleteWebhook,
  DELIVERY_STATES,
  getDelivery,
  getWebhook,
  listDeliveries,
  listWebhooks,
  NewWebhook,
  PublicDelivery,
  PublicDeliveryDetail,
  PublicWebhook,
  redeliver,
  redeliverFailed,
  RedeliverFailedInput,
  rotateWebhookSecret,
  sendTestWebhook,
  TestWebhookInput,
  updateWebhook,
  UpdateWebhookInput,
  WEBHOOK_EVENT_TYPES,
} from "@/server/webhook";
import { queryInteger } from "../parse-input";
import { created, ok, route } from "../route";
import { cursorParam, dataOf, idOf, pageOf } from "../schemas";

const tag = "Webhooks";
const read = { key: ["read"], user: "viewer" } as const;
const change = { key: ["manage"], user: "admin" } as const;
const params = z.strictObject({ id: z.string().max(100) });
const deliveryParams = params.extend({ deliveryId: z.string().max(100) });

/** A replay under one Idempotency-Key tells everything but the secret. */
function withoutSecrets(body: Prisma.InputJsonObject): Prisma.InputJsonObject {
  const { signingSecret: _, ...data } = body.data as Prisma.InputJsonObject;
  return { ...body, data };
}

export const webhookRoutes = [
  route({
    method: "GET",
    path: "/api/webhooks",
    operationId: "listWebhooks",
    tag,
    summary: "List webhook endpoints, newest first",
    access: read,
    answers: [{ status: 200, description: "All of them.", schema: pageOf(PublicWebhook) }],
    handle: async ({ ctx }) => ok({ data: await listWebhooks({ ctx }), cursor: null }),
  }),
  route({
    method: "POST",
    path: "/api/webhooks",
    operationId: "createWebhook",
    tag,
    summary: "Register a webhook endpoint",
    description: "The signing secret is in this answer and nowhere else.",
    access: change,
    body: CreateWebhookInput,
    answers: [{ status: 201, description: "The endpoint and its secret.", schema: dataOf(NewWebhook) }],
    withoutSecrets,
    handle: async ({ ctx, deps, body }) => created({ data: await createWebhook({ ctx, deps: deps.webhooks.deps, input: body }) }),
  }),
  route({
    method: "GET",
    path: "/api/webhooks/{id}",
    operationId: "getWebhook",
    tag,
    summary: "Get a webhook endpoint",
    access: read,
    params,
    answers: [{ status: 200, description: "The endpoint.", schema: dataOf(PublicWebhook) }],
    handle: async ({ ctx, params: { id } }) => ok({ data: await getWebhook({ ctx, webhookId: id }) }),
  }),
  route({
    method: "PATCH",
    path: "/api/webhooks/{id}",
    operationId: "updateWebhook",
    tag,
    summary: "Change a webhook endpoint, or switch it off and on",
    description: "Only what is sent changes. What is queued goes to the new address.",
    access: change,
    params,
    body: UpdateWebhookInput,
    answers: [{ status: 200, description: "The endpoint.", schema: dataOf(PublicWebhook) }],
    handle: async ({ ctx, deps, params: { id }, body }) =>
      ok({ data: await updateWebhook({ ctx, deps: deps.webhooks.deps, webhookId: id, input: body }) }),
  }),
  route({
    method: "DELETE",
    path: "/api/webhooks/{id}",
    operationId: "deleteWebhook",
    tag,
    summary: "Delete a webhook endpoint",
    description: "What is queued for it is not sent.",
    access: change,
    params,
    answers: [{ status: 200, description: "It is gone.", schema: dataOf(z.object({ id: idOf("webhook") })) }],
    handle: async ({ ctx, params: { id } }) => ok({ data: await deleteWebhook({ ctx, webhookId: id }) }),
  }),
  route({
    method: "POST",
    path: "/api/webhooks/{id}/rotate-secret",
    operationId: "rotateWebhookSecret",
    tag,
    summary: "Give a webhook endpoint a new secret",
    description: "For 24 hours both secrets sign every delivery.",
    access: change,
    params,
    bodyOptional: true,
    body: z.strictObject({}),
    answers: [{ status: 200, description: "The endpoint and its new secret.", schema: dataOf(NewWebhook) }],
    withoutSecrets,
    handle: async ({ ctx, deps, params: { id } }) =>
      ok({ data: await rotateWebhookSecret({ ctx, deps: deps.webhooks.deps, webhookId: id }) }),
  }),
  route({
    method: "POST",
    path: "/api/webhooks/{id}/test",
    operationId: "testWebhook",
    tag,
    summary: "Send an example of any type",
    description: "What came of it is in the delivery.",
    access: change,
    params,
    body: TestWebhookInput,
    bodyOptional: true,
    answers: [{ status: 201, description: "The delivery, on its way.", schema: dataOf(PublicDelivery) }],
    handle: async ({ ctx, deps, params: { id }, body }) =>
      created({ data: await sendTestWebhook({ ctx, deps: deps.webhooks.deps, webhookId: id, input: body }) }),
  }),
  route({
    method: "GET",
    path: "/api/webhooks/{id}/deliveries",
    operationId: "listWebhookDeliveries",
    tag,
    summary: "List deliveries, newest first",
    access: read,
    params,
    query: z.strictObject({
      limit: queryInteger({ min: 1, max: 100 }).default(50),
      cursor: cursorParam,
      state: z.enum(DELIVERY_STATES).optional(),
      eventType: z.enum(WEBHOOK_EVENT_TYPES).optional(),
      from: z.iso.datetime().optional(),
      to: z.iso.datetime().optional(),
    }),
    answers: [{ status: 200, description: "A page of deliveries.", schema: pageOf(PublicDelivery) }],
    handle: async ({ ctx, params: { id }, query }) => ok(await listDeliveries({ ctx, webhookId: id, input: query })),
  }),
  route({
    method: "POST",
    path: "/api/webhooks/{id}/deliveries/redeliver-failed",
    operationId: "redeliverFailedWebhooks",
    tag,
    summary: "Send again what was given up since a time",
    description: "At most 10,000 at once, oldest first.",
    access: change,
    params,
    body: RedeliverFailedInput,
    answers: [{ status: 200, description: "How many.", schema: dataOf(z.object({ redelivered: z.int() })) }],
    handle: async ({ ctx, deps, params: { id }, body }) =>
      ok({ data: await redeliverFailed({ ctx, deps: deps.webhooks.deps, webhookId: id, input: body }) }),
  }),
  route({
    method: "GET",
    path: "/api/webhooks/{id}/deliveries/{deliveryId}",
    operationId: "getWebhookDelivery",
    tag,
    summary: "Get a delivery with its body and attempts",
    access: read,
    params: deliveryParams,
    answers: [{ status: 200, description: "The delivery.", schema: dataOf(PublicDeliveryDetail) }],
    handle: async ({ ctx, params: { id, deliveryId } }) => ok({ data: await getDelivery({ ctx, webhookId: id, deliveryId }) }),
  }),
  route({
    method: "POST",
    path: "/api/webhooks/{id}/deliveries/{deliveryId}/redeliver",
    operationId: "redeliverWebhook",
    tag,
    summary: "Send a delivery again",
    description: "The same id and body, to the address of now.",
    access: change,
    params: deliveryParams,
    bodyOptional: true,
    body: z.strictObject({}),
    answers: [{ status: 200, description: "The delivery, on its way.", schema: dataOf(PublicDelivery) }],
    handle: async ({ ctx, deps, params: { id, deliveryId } }) =>
      ok({ data: await redeliver({ ctx, deps: deps.webhooks.deps, webhookId: id, deliveryId }) }),
  }),
];
