import { randomUUID } from "node:crypto";
import { ServiceError } from "@/lib/errors";
import { parsePublicId } from "@/lib/ids";
import { afterPosition, decodeKeysetCursor, encodeKeysetCursor } from "@/lib/keyset-cursor";
import { assertAllowed } from "@/server/access";
import { recordChange } from "@/server/audit";
import { invalid, parsed } from "@/server/budget";
import type { Ctx } from "@/server/context";
import type { WebhookDeps } from "./deps";
import { CHANGE, findRow, READ } from "./endpoints";
import { webhookBody } from "./envelope";
import { sampleWebhookObject } from "./event-types";
import { ListDeliveriesInput, RedeliverFailedInput, TestWebhookInput } from "./input";
import { DELIVERY_SELECT, toPublicDelivery, type PublicDelivery, type PublicDeliveryDetail } from "./public-webhook";

type WebhookId = { webhookId: string };

const ATTEMPTS_SHOWN_MAX = 100;
/** In one go; who has more asks again. */
const REDELIVER_MAX = 10_000;
const HEALTH_HOURS = 24;

/** Newest first. */
export async function listDeliveries({
  ctx,
  webhookId,
  input,
}: { ctx: Ctx; input: ListDeliveriesInput } & WebhookId): Promise<{ data: PublicDelivery[]; cursor: string | null }> {
  assertAllowed(ctx.principal, READ);
  const { limit, cursor, state, eventType, from, to } = parsed(ListDeliveriesInput, input);
  const position = cursor === undefined ? undefined : decodeKeysetCursor(cursor);
  if (cursor !== undefined && !position) throw invalid({ path: "cursor", message: "is not one of ours" });
  const { id: endpointId } = await findRow(ctx.prisma, ctx, webhookId);
  const rows = await ctx.prisma.webhookDelivery.findMany({
    where: {
      orgId: ctx.principal.orgId,
      endpointId,
      state,
      eventType,
      createdAt: { gte: from, lt: to },
      ...(position && { AND: [afterPosition(position)] }),
    },
    orderBy: [{ createdAt: "desc" }, { id: "desc" }],
    take: limit + 1,
    select: DELIVERY_SELECT,
  });
  const page = rows.slice(0, limit);
  const last = page.at(-1);
  return { data: page.map(toPublicDelivery), cursor: rows.length > page.length && last ? encodeKeysetCursor(last) : null };
}

/** With its body and attempts. */
export async function getDelivery({
  ctx,
  webhookId,
  deliveryId,
}: { ctx: Ctx; deliveryId: string } & WebhookId): Promise<PublicDeliveryDetail> {
  assertAllowed(ctx.principal, READ);
  const { id: endpointId } = await findRow(ctx.prisma, ctx, webhookId);
  const { orgId } = ctx.principal;
  const id = parsePublicId("delivery", deliveryId);
  const row =
    id === undefined
      ? null
      : await ctx.prisma.webhookDelivery.findFirst({ where: { id, orgId, endpointId }, select: { ...DELIVERY_SELECT, body: true } });
  if (!row) throw noSuchDelivery();
  const attempts = await ctx.prisma.webhookAttempt.findMany({
    where: { orgId, deliveryId: row.id },
    orderBy: { number: "desc" },
    take: ATTEMPTS_SHOWN_MAX,
    select: { number: true, startedAt: true, durationMs: true, status: true, error: true, responseBody: true, manual: true },
  });
  return {
    ...toPublicDelivery(row),
    body: row.body,
    attemptList: attempts.map((attempt) => ({ ...attempt, startedAt: attempt.startedAt.toISOString() })),
  };
}

/** Sends an example of a type to this endpoint, as a real one would be sent; `test` in it says that it is none. */
export async function sendTestWebhook({
  ctx,
  deps,
  webhookId,
  input,
}: { ctx: Ctx; deps: WebhookDeps; input: TestWebhookInput } & WebhookId): Promise<PublicDelivery> {
  assertAllowed(ctx.principal, CHANGE);
  const { type } = parsed(TestWebhookInput, input);
  const endpoint = await findEnabled(ctx, webhookId);
  const eventId = randomUUID();
  const now = new Date(ctx.clock.now());
  const delivery = await ctx.prisma.$transaction(async (tx) => {
    const row = await tx.webhookDelivery.create({
      data: {
        orgId: ctx.principal.orgId,
        endpointId: endpoint.id,
        eventId,
        eventType: type,
        body: webhookBody({
          id: eventId,
          type,
          createdAtMs: now.getTime(),
          stored: { ...sampleWebhookObject(type), test: true },
          payloadMode: endpoint.payloadMode === "thin" ? "thin" : "full",
        }),
        nextAttemptAt: now,
        createdAt: now,
      },
      select: DELIVERY_SELECT,
    });
    await recordChange(tx, {
      ctx,
      action: "webhook.tested",
      resourceType: "webhook",
      resourceId: webhookId,
      before: null,
      after: { type },
    });
    return toPublicDelivery(row);
  });
  deps.wake();
  return delivery;
}

/** Sends one again, whatever became of it: same id and body, the address of now. One that waits for its next attempt is sent at once. */
export async function redeliver({
  ctx,
  deps,
  webhookId,
  deliveryId,
}: { ctx: Ctx; deps: WebhookDeps; deliveryId: string } & WebhookId): Promise<PublicDelivery> {
  assertAllowed(ctx.principal, CHANGE);
  const endpoint = await findEnabled(ctx, webhookId);
  const id = parsePublicId("delivery", deliveryId);
  if (id === undefined) throw noSuchDelivery();
  const { orgId } = ctx.principal;
  const delivery = await ctx.prisma.$transaction(async (tx) => {
    const where = { id, orgId, endpointId: endpoint.id };
    const now = new Date(ctx.clock.now());
    // One that is being sent keeps its lease: nothing is sent twice at once.
    const { count } = await tx.webhookDelivery.updateMany({
      where: { ...where, OR: [{ lockedUntil: null }, { lockedUntil: { lte: now } }] },
      data: { state: "pending", attempts: 0, nextAttemptAt: now, lockedUntil: null, finishedAt: null },
    });
    const row = await tx.webhookDelivery.findFirst({ where, select: DELIVERY_SELECT });
    if (!row) throw noSuchDelivery();
    if (count > 0) {
      const after = { deliveryId };
      await recordChange(tx, { ctx, action: "webhook.redelivered", resourceType: "webhook", resourceId: webhookId, before: null, after });
    }
    return toPublicDelivery(row);
  });
  deps.wake();
  return delivery;
}

/** Sends again what was given up since a time, oldest first. Answers how many; 10,000 at most. */
export async function redeliverFailed({
  ctx,
  deps,
  webhookId,
  input,
}: { ctx: Ctx; deps: WebhookDeps; input: RedeliverFailedInput } & WebhookId): Promise<{ redelivered: number }> {
  assertAllowed(ctx.principal, CHANGE);
  const { since } = parsed(RedeliverFailedInput, input);
  const endpoint = await findEnabled(ctx, webhookId);
  const now = new Date(ctx.clock.now());
  const redelivered = await ctx.prisma.$transaction(async (tx) => {
    const count = await tx.$executeRaw`
      UPDATE webhook_delivery SET state = 'pending', attempts = 0, next_attempt_at = ${now}, locked_until = NULL, finished_at = NULL
      WHERE id IN (
        SELECT id FROM webhook_delivery
        WHERE org_id = ${ctx.principal.orgId}::uuid AND endpoint_id = ${endpoint.id}::uuid AND state = 'failed'
          AND created_at >= ${new Date(since)}
        ORDER BY created_at LIMIT ${REDELIVER_MAX} FOR UPDATE SKIP LOCKED
      )`;
    const after = { since, redelivered: count };
    await recordChange(tx, { ctx, action: "webhook.redelivered", resourceType: "webhook", resourceId: webhookId, before: null, after });
    return count;
  });
  deps.wake();
  return { redelivered };
}

export type WebhookHealth = {
  /** One per hour of the last day, oldest first. */
  hours: { startsAt: string; succeeded: number; failed: number }[];
  /** Milliseconds; null: nothing was answered. */
  p95DurationMs: number | null;
  pending: number;
};

/** How an endpoint did in the last day. */
export async function webhookHealth({ ctx, webhookId }: { ctx: Ctx } & WebhookId): Promise<WebhookHealth> {
  assertAllowed(ctx.principal, READ);
  const { id: endpointId } = await findRow(ctx.prisma, ctx, webhookId);
  const { orgId } = ctx.principal;
  const hourMs = 3_600_000;
  const thisHour = Math.floor(ctx.clock.now() / hourMs) * hourMs;
  const first = new Date(thisHour - (HEALTH_HOURS - 1) * hourMs);
  const [rows, [latency], pending] = await Promise.all([
    ctx.prisma.$queryRaw<{ hour: number; succeeded: number; failed: number }[]>`
      SELECT floor(extract(epoch FROM a.started_at) / 3600)::int AS hour,
        count(*) FILTER (WHERE a.error IS NULL)::int AS succeeded, count(*) FILTER (WHERE a.error IS NOT NULL)::int AS failed
      FROM webhook_delivery d JOIN webhook_attempt a ON a.delivery_id = d.id AND a.org_id = d.org_id
      WHERE d.org_id = ${orgId}::uuid AND d.endpoint_id = ${endpointId}::uuid AND a.started_at >= ${first} GROUP BY 1`,
    ctx.prisma.$queryRaw<{ p95: number | null }[]>`
      SELECT percentile_disc(0.95) WITHIN GROUP (ORDER BY a.duration_ms)::int AS p95
      FROM webhook_delivery d JOIN webhook_attempt a ON a.delivery_id = d.id AND a.org_id = d.org_id
      WHERE d.org_id = ${orgId}::uuid AND d.endpoint_id = ${endpointId}::uuid AND a.started_at >= ${first} AND a.status IS NOT NULL`,
    ctx.prisma.webhookDelivery.count({ where: { orgId, endpointId, state: "pending" } }),
  ]);
  const byHour = new Map(rows.map((row) => [row.hour, row]));
  const hours = Array.from({ length: HEALTH_HOURS }, (_, index) => {
    const startsAt = first.getTime() + index * hourMs;
    const { succeeded = 0, failed = 0 } = byHour.get(startsAt / hourMs) ?? {};
    return { startsAt: new Date(startsAt).toISOString(), succeeded, failed };
  });
  return { hours, p95DurationMs: latency?.p95 ?? null, pending };
}

async function findEnabled(ctx: Ctx, webhookId: string) {
  const row = await findRow(ctx.prisma, ctx, webhookId);
  if (row.disabledAt !== null) throw new ServiceError("conflict", "This endpoint is switched off: enable it first.");
  return row;
}

const noSuchDelivery = () => new ServiceError("not_found", "There is no such delivery.");
