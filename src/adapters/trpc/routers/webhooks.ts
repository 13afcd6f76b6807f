import { z } from "zod";
import {
  createWebhook,
  CreateWebhookInput,
  deleteWebhook,
  getDelivery,
  getWebhook,
  listDeliveries,
  ListDeliveriesInput,
  listWebhooks,
  redeliver,
  redeliverFailed,
  RedeliverFailedInput,
  rotateWebhookSecret,
  sampleWebhookObject,
  sendTestWebhook,
  TestWebhookInput,
  updateWebhook,
  UpdateWebhookInput,
  WEBHOOK_EVENT_TYPES,
  webhookHealth,
} from "@/server/webhook";
import { orgProcedure, paged, router } from "../init";

const WebhookId = z.strictObject({ id: z.string().max(100) });
const DeliveryId = WebhookId.extend({ deliveryId: z.string().max(100) });

export const webhooksRouter = router({
  list: orgProcedure.query(({ ctx }) => listWebhooks({ ctx: ctx.verb })),
  get: orgProcedure.input(WebhookId).query(({ ctx, input }) => getWebhook({ ctx: ctx.verb, webhookId: input.id })),
  health: orgProcedure.input(WebhookId).query(({ ctx, input }) => webhookHealth({ ctx: ctx.verb, webhookId: input.id })),
  /** Every type with an example of what `data.object` holds. */
  eventTypes: orgProcedure.query(() => WEBHOOK_EVENT_TYPES.map((type) => ({ type, sample: sampleWebhookObject(type) }))),
  /** `signingSecret` is in this answer and nowhere else. */
  create: orgProcedure
    .input(CreateWebhookInput)
    .mutation(({ ctx, input }) => createWebhook({ ctx: ctx.verb, deps: ctx.runtime.webhooks.deps, input })),
  update: orgProcedure
    .input(WebhookId.extend({ changes: UpdateWebhookInput }))
    .mutation(({ ctx, input }) =>
      updateWebhook({ ctx: ctx.verb, deps: ctx.runtime.webhooks.deps, webhookId: input.id, input: input.changes }),
    ),
  delete: orgProcedure.input(WebhookId).mutation(({ ctx, input }) => deleteWebhook({ ctx: ctx.verb, webhookId: input.id })),
  rotateSecret: orgProcedure
    .input(WebhookId)
    .mutation(({ ctx, input }) => rotateWebhookSecret({ ctx: ctx.verb, deps: ctx.runtime.webhooks.deps, webhookId: input.id })),
  test: orgProcedure
    .input(TestWebhookInput.extend(WebhookId.shape))
    .mutation(({ ctx, input: { id, ...input } }) =>
      sendTestWebhook({ ctx: ctx.verb, deps: ctx.runtime.webhooks.deps, webhookId: id, input }),
    ),
  deliveries: orgProcedure
    .input(paged(ListDeliveriesInput.extend(WebhookId.shape)))
    .query(({ ctx, input: { id, ...input } }) => listDeliveries({ ctx: ctx.verb, webhookId: id, input })),
  delivery: orgProcedure
    .input(DeliveryId)
    .query(({ ctx, input }) => getDelivery({ ctx: ctx.verb, webhookId: input.id, deliveryId: input.deliveryId })),
  redeliver: orgProcedure
    .input(DeliveryId)
    .mutation(({ ctx, input }) =>
      redeliver({ ctx: ctx.verb, deps: ctx.runtime.webhooks.deps, webhookId: input.id, deliveryId: input.deliveryId }),
    ),
  redeliverFailed: orgProcedure
    .input(RedeliverFailedInput.extend(WebhookId.shape))
    .mutation(({ ctx, input: { id, ...input } }) =>
      redeliverFailed({ ctx: ctx.verb, deps: ctx.runtime.webhooks.deps, webhookId: id, input }),
    ),
});
