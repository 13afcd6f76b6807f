import type { PrismaClient } from "@/generated/prisma/client";
import type { Clock } from "@/lib/clock";
import { failpoint } from "@/lib/failpoint";
import { webhookBody, type PayloadMode } from "./envelope";
import { isWebhookEventType, type WebhookObject } from "./event-types";

const BATCH = 500;
const TRANSACTION_MS = 15_000;

type OutboxRow = { id: string; org_id: string; type: string; payload: WebhookObject; created_at: Date };
type EndpointRow = { id: string; org_id: string; event_types: string[]; payload_mode: PayloadMode };

/**
 * Makes a delivery of each outbox event for each endpoint that wants it. Deliveries and the mark that the event is done commit
 * together, and one endpoint can have one event once, so a process that dies here loses and doubles nothing. Any number of processes
 * may run it. Answers how many events it took; fewer than {@link FAN_OUT_BATCH}: there are no more.
 */
export async function fanOut({ prisma, clock }: { prisma: PrismaClient; clock: Clock }): Promise<number> {
  // Asked four times a second by every process: what is mostly answered no needs no transaction.
  const [waiting] = await prisma.$queryRaw<unknown[]>`SELECT 1 FROM outbox_event WHERE sent_at IS NULL LIMIT 1`;
  if (waiting === undefined) return 0;
  return prisma.$transaction(
    async (tx) => {
      const events = await tx.$queryRaw<OutboxRow[]>`
        SELECT id, org_id, type, payload, created_at FROM outbox_event
        WHERE sent_at IS NULL ORDER BY created_at LIMIT ${BATCH} FOR UPDATE SKIP LOCKED`;
      if (events.length === 0) return 0;
      const orgIds = [...new Set(events.map(({ org_id }) => org_id))];
      // Shared locks: an endpoint that is being deleted or switched off is seen as it will be.
      const endpoints = await tx.$queryRaw<EndpointRow[]>`
        SELECT id, org_id, event_types, payload_mode FROM webhook_endpoint
        WHERE org_id = ANY (${orgIds}::uuid[]) AND deleted_at IS NULL AND disabled_at IS NULL
        ORDER BY id FOR SHARE`;
      const now = new Date(clock.now());
      const data = events.flatMap(({ id, org_id: orgId, type, payload: stored, created_at: createdAt }) => {
        if (!isWebhookEventType(type)) return [];
        return endpoints
          .filter(({ org_id, event_types: wanted }) => org_id === orgId && (wanted.length === 0 || wanted.includes(type)))
          .map(({ id: endpointId, payload_mode: payloadMode }) => ({
            orgId,
            endpointId,
            eventId: id,
            eventType: type,
            body: webhookBody({ id, type, createdAtMs: createdAt.getTime(), stored, payloadMode }),
            nextAttemptAt: now,
            createdAt: now,
          }));
      });
      if (data.length > 0) await tx.webhookDelivery.createMany({ data, skipDuplicates: true });
      failpoint("webhook-before-fan-out-commit");
      await tx.$executeRaw`UPDATE outbox_event SET sent_at = ${now} WHERE id = ANY (${events.map(({ id }) => id)}::uuid[])`;
      return events.length;
    },
    { timeout: TRANSACTION_MS },
  );
}

export const FAN_OUT_BATCH = BATCH;
