export type { WebhookDeps } from "./deps";
export { getDelivery, listDeliveries, redeliver, redeliverFailed, sendTestWebhook, webhookHealth, type WebhookHealth } from "./deliveries";
export { createWebhook, deleteWebhook, getWebhook, listWebhooks, rotateWebhookSecret, updateWebhook } from "./endpoints";
export { sampleWebhookObject, WEBHOOK_EVENT_TYPES, WEBHOOK_PAYLOADS, type WebhookEventType } from "./event-types";
export {
  CreateWebhookInput,
  DELIVERY_STATES,
  ListDeliveriesInput,
  RedeliverFailedInput,
  TestWebhookInput,
  UpdateWebhookInput,
} from "./input";
export { isPublicAddress } from "./public-address";
export { NewWebhook, PublicAttempt, PublicDelivery, PublicDeliveryDetail, PublicWebhook } from "./public-webhook";
export { createWebhookSender, type WebhookSender } from "./send-request";
export { createWebhooks, type Webhooks, type WebhooksOptions } from "./webhooks";
