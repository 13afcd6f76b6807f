import type { PrismaClient } from "@/generated/prisma/client";
import type { Clock } from "@/lib/clock";
import type { Encryption } from "@/lib/encryption";
import type { Logger } from "@/lib/logger";
import { claimDeliveries, deliver, type DeliveryResult } from "./deliver";
import type { WebhookDeps } from "./deps";
import { FAN_OUT_BATCH, fanOut } from "./fan-out";
import { createWebhookSender, type WebhookSender } from "./send-request";
import type { UrlPolicy } from "./url-policy";

/** A process's side of webhooks: what verbs need, and the worker. Any number of processes may work at once. */
export interface Webhooks {
  readonly deps: WebhookDeps;
  start(): void;
  /** Waits for what is being sent, at most as long as an attempt takes. */
  stop(): Promise<void>;
}

export type WebhooksOptions = {
  prisma: PrismaClient;
  clock: Clock;
  log: Pick<Logger, "warn">;
  encryption: Encryption;
  policy: UrlPolicy;
  /** For the links in mails. */
  publicUrl: string;
  /** Tells sockets. */
  publish?: (result: DeliveryResult) => void;
  sender?: WebhookSender;
  random?: () => number;
  everyMs?: number;
};

/** How late an event leaves at most that another process wrote, and that nothing woke this one for. */
const EVERY_MS = 250;
/** Attempts at once in a process; failing endpoints take half of them at most. */
const IN_FLIGHT_MAX = 128;
const CLEAN_UP_EVERY_MS = 3_600_000;
/** Deliveries can be seen and sent again for so long. */
const KEEP_MS = 30 * 24 * 3_600_000;
const CLEAN_UP_BATCH = 5_000;

export function createWebhooks(options: WebhooksOptions): Webhooks {
  const { prisma, clock, log, encryption, policy, publicUrl, publish = () => {}, random = Math.random, everyMs = EVERY_MS } = options;
  const sender = options.sender ?? createWebhookSender({ allowPrivate: policy.allowPrivate });
  const sending = new Map<Promise<void>, string>();
  const failingInFlight = new Set<Promise<void>>();
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> | undefined;
  let isWoken = false;
  let isStopped = false;
  let cleanedAtMs = 0;

  async function look(): Promise<void> {
    while ((await fanOut({ prisma, clock })) === FAN_OUT_BATCH && !isStopped) await claim();
    await claim();
    await cleanUp();
  }

  async function claim(): Promise<void> {
    const most = IN_FLIGHT_MAX - sending.size;
    if (most <= 0 || isStopped) return;
    const inFlight = new Map<string, number>();
    for (const endpointId of sending.values()) inFlight.set(endpointId, (inFlight.get(endpointId) ?? 0) + 1);
    const mostFailing = Math.max(0, IN_FLIGHT_MAX / 2 - failingInFlight.size);
    const claimed = await claimDeliveries({ prisma, clock }, { inFlight, most, mostFailing });
    for (const delivery of claimed) {
      const attempt: Promise<void> = deliver({ prisma, clock, encryption, sender, random, publicUrl }, delivery)
        .then(publish)
        // The lease runs out, and it is tried again under the same id.
        .catch((error: unknown) => log.warn({ err: error, component: "webhooks" }, "an attempt could not be made or written down"))
        .finally(() => {
          sending.delete(attempt);
          failingInFlight.delete(attempt);
          wake();
        });
      sending.set(attempt, delivery.endpoint_id);
      if (delivery.failing_since !== null) failingInFlight.add(attempt);
    }
  }

  async function cleanUp(): Promise<void> {
    if (clock.now() - cleanedAtMs < CLEAN_UP_EVERY_MS) return;
    cleanedAtMs = clock.now();
    const before = new Date(clock.now() - KEEP_MS);
    await prisma.$executeRaw`
      WITH gone AS (
        DELETE FROM webhook_delivery WHERE id IN (
          SELECT id FROM webhook_delivery WHERE finished_at < ${before} AND state <> 'pending' LIMIT ${CLEAN_UP_BATCH}
        ) RETURNING id
      )
      DELETE FROM webhook_attempt WHERE delivery_id IN (SELECT id FROM gone)`;
    await prisma.$executeRaw`
      DELETE FROM outbox_event WHERE id IN (SELECT id FROM outbox_event WHERE sent_at < ${before} LIMIT ${CLEAN_UP_BATCH})`;
  }

  function wake(): void {
    if (isStopped || timer === undefined) return;
    isWoken = true;
    running ??= (async () => {
      while (isWoken && !isStopped) {
        isWoken = false;
        await look();
      }
    })()
      .catch((error: unknown) => log.warn({ err: error, component: "webhooks" }, "deliveries could not be looked at; it is tried again"))
      .finally(() => {
        running = undefined;
      });
  }

  return {
    deps: { encryption, policy, wake },
    start() {
      timer ??= setInterval(wake, everyMs).unref();
    },
    async stop() {
      isStopped = true;
      clearInterval(timer);
      await running;
      await Promise.all(sending.keys());
      await sender.close();
    },
  };
}
