import type { Prisma, PrismaClient } from "@/generated/prisma/client";
import type { Clock } from "@/lib/clock";
import type { Encryption } from "@/lib/encryption";
import { failpoint } from "@/lib/failpoint";
import { enqueueMail } from "@/server/notification";
import { secretContext } from "./deps";
import { wireEventId } from "./envelope";
import { parseRetryAfter, retryDelayMs } from "./retry-schedule";
import type { SendOutcome, WebhookSender } from "./send-request";
import { signatureHeaders } from "./sign";

/** Must outlive the longest attempt, or another process sends while this one still does. */
const LEASE_MS = 60_000;
/** In flight per endpoint and process. A failing endpoint gets one, so that waiting for it costs little. */
const PER_ENDPOINT = 16;
const PER_FAILING_ENDPOINT = 1;
/** Five days without one success (CONTRACT §9). */
const FAILING_MAX_MS = 5 * 24 * 3_600_000;

export type ClaimedDelivery = {
  id: string;
  org_id: string;
  endpoint_id: string;
  event_id: string;
  body: string;
  /** Of this round: since it was queued, or since a person asked for it again. */
  attempts: number;
  locked_until: Date;
  url: string;
  secret_encrypted: string;
  previous_secret_encrypted: string | null;
  previous_secret_until: Date | null;
  failing_since: Date | null;
};

export type DeliveryDeps = {
  prisma: PrismaClient;
  clock: Clock;
  encryption: Encryption;
  sender: WebhookSender;
  random: () => number;
  publicUrl: string;
};

/**
 * Takes deliveries that are due and leases them. The endpoint is read in the same statement, so that what is sent goes to the address
 * that is valid now. Each endpoint has its own few places, endpoints in order come before failing ones, and those share what is
 * left of half: however many are queued for a dead one, the others do not wait for it.
 * @param inFlight what this process sends already, by endpoint.
 */
export async function claimDeliveries(
  { prisma, clock }: Pick<DeliveryDeps, "prisma" | "clock">,
  { inFlight, most, mostFailing }: { inFlight: ReadonlyMap<string, number>; most: number; mostFailing: number },
): Promise<ClaimedDelivery[]> {
  const now = new Date(clock.now());
  const until = new Date(clock.now() + LEASE_MS);
  return prisma.$queryRaw<ClaimedDelivery[]>`
    WITH busy AS (SELECT * FROM unnest(${[...inFlight.keys()]}::uuid[], ${[...inFlight.values()]}::int[]) AS b (endpoint_id, count)),
    free AS (
      SELECT e.id, e.failing_since IS NOT NULL AS failing,
        CASE WHEN e.failing_since IS NULL THEN ${PER_ENDPOINT}::int ELSE ${PER_FAILING_ENDPOINT}::int END - coalesce(b.count, 0) AS places
      FROM webhook_endpoint e JOIN organisation o ON o.id = e.org_id AND o.deleted_at IS NULL LEFT JOIN busy b ON b.endpoint_id = e.id
      WHERE e.deleted_at IS NULL AND e.disabled_at IS NULL
    ),
    due AS (
      SELECT d.id, free.failing, d.next_attempt_at,
        row_number() OVER (PARTITION BY free.failing ORDER BY d.next_attempt_at) AS place
      FROM free CROSS JOIN LATERAL (
        SELECT id, next_attempt_at FROM webhook_delivery
        WHERE endpoint_id = free.id AND state = 'pending' AND next_attempt_at <= ${now}
          AND (locked_until IS NULL OR locked_until <= ${now})
        ORDER BY next_attempt_at LIMIT greatest(free.places, 0)
      ) AS d
    ),
    taken AS (
      SELECT id FROM webhook_delivery
      WHERE id IN (
        SELECT id FROM due WHERE NOT failing OR place <= ${mostFailing} ORDER BY failing, next_attempt_at LIMIT ${most}
      ) AND state = 'pending' AND (locked_until IS NULL OR locked_until <= ${now})
      FOR UPDATE SKIP LOCKED
    )
    UPDATE webhook_delivery AS d SET locked_until = ${until}
    FROM taken, webhook_endpoint e
    WHERE d.id = taken.id AND e.id = d.endpoint_id AND e.deleted_at IS NULL AND e.disabled_at IS NULL
    RETURNING d.id, d.org_id, d.endpoint_id, d.event_id, d.body, d.attempts, d.locked_until, e.url, e.secret_encrypted,
      e.previous_secret_encrypted, e.previous_secret_until, e.failing_since`;
}

export type DeliveryResult = { deliveryId: string; endpointId: string; orgId: string; status: string };

/** Sends one and writes down what came of it. A process that dies between the two leaves the lease, and it is sent again: same id. */
export async function deliver(deps: DeliveryDeps, delivery: ClaimedDelivery): Promise<DeliveryResult> {
  const startedAtMs = deps.clock.now();
  const begun = deps.clock.monotonic();
  failpoint("webhook-before-send");
  const outcome = await deps.sender.send({ url: delivery.url, body: delivery.body, headers: headersOf(deps, delivery, startedAtMs) });
  failpoint("webhook-before-mark");
  const status = await mark(deps, { delivery, outcome, startedAtMs, durationMs: Math.round(deps.clock.monotonic() - begun) });
  return { deliveryId: delivery.id, endpointId: delivery.endpoint_id, orgId: delivery.org_id, status };
}

function headersOf({ encryption }: DeliveryDeps, delivery: ClaimedDelivery, nowMs: number): Record<string, string> {
  const context = secretContext(delivery.org_id, delivery.endpoint_id);
  const secrets = [encryption.decrypt(delivery.secret_encrypted, context)];
  if (delivery.previous_secret_encrypted !== null && (delivery.previous_secret_until?.getTime() ?? 0) > nowMs) {
    secrets.push(encryption.decrypt(delivery.previous_secret_encrypted, context));
  }
  const signed = { id: wireEventId(delivery.event_id), timestamp: Math.floor(nowMs / 1000), body: delivery.body, secrets };
  return { ...signatureHeaders(signed), "content-type": "application/json", "user-agent": "NullSpend-Webhooks/1.0" };
}

async function mark(
  { prisma, clock, random, publicUrl }: DeliveryDeps,
  input: { delivery: ClaimedDelivery; outcome: SendOutcome; startedAtMs: number; durationMs: number },
): Promise<string> {
  const { delivery, outcome, startedAtMs, durationMs } = input;
  const now = new Date(clock.now());
  const delivered = outcome.error === null;
  const delayMs = retryDelayMs({
    attempts: delivery.attempts + 1,
    retryAfterMs: parseRetryAfter(outcome.retryAfter, clock.now()),
    random: random(),
  });
  const state = delivered ? "delivered" : delayMs === undefined || outcome.status === 410 ? "failed" : "pending";
  return prisma.$transaction(async (tx) => {
    const [last] = await tx.$queryRaw<{ number: number }[]>`
      SELECT coalesce(max(number), 0)::int AS number FROM webhook_attempt WHERE delivery_id = ${delivery.id}::uuid`;
    const number = (last?.number ?? 0) + 1;
    await tx.webhookAttempt.create({
      data: {
        orgId: delivery.org_id,
        deliveryId: delivery.id,
        number,
        startedAt: new Date(startedAtMs),
        durationMs,
        status: outcome.status,
        error: outcome.error,
        responseBody: outcome.responseBody?.replaceAll("\0", "") ?? null,
        // A round that begins after others was asked for.
        manual: delivery.attempts === 0 && number > 1,
      },
      select: { id: true },
    });
    // Only by who holds the lease, and not over what a person did meanwhile.
    const { count } = await tx.webhookDelivery.updateMany({
      where: { id: delivery.id, orgId: delivery.org_id, state: "pending", lockedUntil: delivery.locked_until },
      data: {
        state,
        attempts: delivery.attempts + 1,
        lockedUntil: null,
        lastStatus: outcome.status,
        ...(state === "pending" ? { nextAttemptAt: new Date(clock.now() + (delayMs ?? 0)) } : { finishedAt: now }),
      },
    });
    await markEndpoint(tx, { delivery, delivered, isGone: outcome.status === 410, now, publicUrl });
    return count === 0 ? "pending" : state;
  });
}

async function markEndpoint(
  tx: Prisma.TransactionClient,
  {
    delivery,
    delivered,
    isGone,
    now,
    publicUrl,
  }: { delivery: ClaimedDelivery; delivered: boolean; isGone: boolean; now: Date; publicUrl: string },
): Promise<void> {
  const { org_id: orgId, endpoint_id: endpointId, url } = delivery;
  if (delivered) {
    if (delivery.failing_since !== null) {
      await tx.webhookEndpoint.updateMany({ where: { id: endpointId, orgId }, data: { failingSince: null } });
    }
    return;
  }
  await tx.webhookEndpoint.updateMany({ where: { id: endpointId, orgId, failingSince: null, url }, data: { failingSince: now } });
  const isOver = delivery.failing_since !== null && now.getTime() - delivery.failing_since.getTime() >= FAILING_MAX_MS;
  if (!isGone && !isOver) return;
  // The address that failed, and not one that was put in its place meanwhile.
  const { count } = await tx.webhookEndpoint.updateMany({
    where: { id: endpointId, orgId, url, disabledAt: null, deletedAt: null },
    data: { disabledAt: now, disabledReason: isGone ? "gone" : "failing" },
  });
  if (count === 0) return;
  await tx.webhookDelivery.updateMany({
    where: { orgId, endpointId, state: "pending" },
    data: { state: "failed", finishedAt: now, lockedUntil: null },
  });
  await syncCostEventFlag(tx, orgId);
  await tellAdmins(tx, { orgId, endpointId, url, now, publicUrl, why: isGone ? "answered 410 (gone)" : "has failed for five days" });
}

async function tellAdmins(
  tx: Prisma.TransactionClient,
  {
    orgId,
    endpointId,
    url,
    now,
    publicUrl,
    why,
  }: { orgId: string; endpointId: string; url: string; now: Date; publicUrl: string; why: string },
): Promise<void> {
  const { name, slug, memberships } = await tx.organisation.findUniqueOrThrow({
    where: { id: orgId },
    select: {
      name: true,
      slug: true,
      memberships: { where: { role: { in: ["owner", "admin"] } }, select: { user: { select: { email: true } } } },
    },
  });
  for (const { user } of memberships) {
    if (user.email === null) continue;
    await enqueueMail(tx, {
      dedupeKey: `endpoint-disabled:${endpointId}:${now.getTime()}:${user.email}`,
      to: user.email,
      template: "endpoint-disabled",
      props: { orgName: name, endpointUrl: url, why, url: `${publicUrl}/o/${slug}/webhooks` },
      orgId,
    });
  }
}

/** Keeps organisation.cost_event_webhooks true exactly while an endpoint wants cost events. In the transaction of what changed. */
export async function syncCostEventFlag(tx: Prisma.TransactionClient, orgId: string): Promise<void> {
  await tx.$executeRaw`
    UPDATE organisation SET cost_event_webhooks = EXISTS (
      SELECT FROM webhook_endpoint WHERE org_id = ${orgId}::uuid AND deleted_at IS NULL AND disabled_at IS NULL
        AND (cardinality(event_types) = 0 OR 'cost_event.created' = ANY (event_types))
    ) WHERE id = ${orgId}::uuid`;
}
