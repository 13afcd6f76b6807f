import { createHash, randomUUID } from "node:crypto";
import { createClient } from "redis";
import type { Clock } from "@/lib/clock";
import type { Logger } from "@/lib/logger";
import type { Bus, BusLink } from "./bus";
import { parseBusMessage, type BusMessage } from "./messages";

export type RedisLinkOptions = {
  bus: Bus;
  url: string;
  /** Shared by the processes of one installation, unknown to others on the same Redis. Only its digest is used. */
  installationSecret: string;
  clock: Clock;
  log: Pick<Logger, "info" | "warn">;
};

export type RedisLink = {
  /** Whether messages go to other processes now. */
  readonly connected: boolean;
  stop(): Promise<void>;
};

/** What is looked at is said again so often; whoever has not said it for three times as long is taken to be gone. */
const ANNOUNCE_MS = 2_000;
const FORGET_MS = 3 * ANNOUNCE_MS;
const CONNECT_MS = 2_000;
const RECONNECT_MS_MAX = 2_000;
/** A connection that went silent is noticed by it. */
const PING_MS = 2_000;
const SILENT_MS = 3 * PING_MS;
/** Commands that wait for a slow Redis; what is beyond them is dropped. */
const WAITING_MAX = 1_000;

type Envelope = { from: string; message?: unknown; watching?: unknown; hello?: true };

/**
 * Carries the bus over Redis publish/subscribe. While Redis is away every process tells itself alone; nothing is kept for later and
 * nothing else of the process depends on it.
 */
export function connectRedis({ bus, url, installationSecret, clock, log }: RedisLinkOptions): RedisLink {
  const from = randomUUID();
  const channel = `nullspend:${createHash("sha256").update(`bus:${installationSecret}`).digest("hex").slice(0, 24)}`;
  const elsewhere = new Map<string, { orgIds: ReadonlySet<string>; saidAtMs: number }>();
  let watchedElsewhere = new Map<string, number>();
  let watchedHere: readonly string[] = [];
  let isFailing = false;

  const options = {
    url,
    disableOfflineQueue: true,
    commandsQueueMaxLength: WAITING_MAX,
    pingInterval: PING_MS,
    socket: {
      connectTimeout: CONNECT_MS,
      socketTimeout: SILENT_MS,
      reconnectStrategy: (retries: number) => Math.min(RECONNECT_MS_MAX, 50 * 2 ** Math.min(retries, 10)),
    },
  };
  const publisher = createClient(options);
  const subscriber = createClient({ ...options, disableOfflineQueue: false });

  const failed = (error: unknown): void => {
    if (isFailing) return;
    isFailing = true;
    log.warn({ err: error, component: "redis" }, "Redis cannot be reached; what happens on other processes is not shown live meanwhile");
  };
  const recovered = (): void => {
    if (!publisher.isReady || !subscriber.isReady) return;
    if (isFailing) log.info({ component: "redis" }, "Redis is reached again");
    isFailing = false;
    put({ hello: true });
    announce();
  };

  function put(content: Omit<Envelope, "from">): void {
    if (!publisher.isReady) return;
    publisher.publish(channel, JSON.stringify({ from, ...content })).catch(failed);
  }

  const announce = (): void => put({ watching: watchedHere });

  /** Counted anew at every change, which is rare, so that asking costs one look-up. */
  function countElsewhere(): void {
    const counts = new Map<string, number>();
    for (const { orgIds } of elsewhere.values()) for (const orgId of orgIds) counts.set(orgId, (counts.get(orgId) ?? 0) + 1);
    watchedElsewhere = counts;
  }

  function receive(text: string): void {
    const envelope = parseEnvelope(text);
    if (!envelope || envelope.from === from) return;
    if (envelope.hello) announce();
    if (Array.isArray(envelope.watching)) {
      const orgIds = new Set(envelope.watching.filter((orgId): orgId is string => typeof orgId === "string"));
      if (orgIds.size > 0) elsewhere.set(envelope.from, { orgIds, saidAtMs: clock.monotonic() });
      else elsewhere.delete(envelope.from);
      countElsewhere();
    }
    const message = envelope.message === undefined ? undefined : parseBusMessage(envelope.message);
    if (message) bus.publishLocally(message);
  }

  const heartbeat = setInterval(() => {
    const deadline = clock.monotonic() - FORGET_MS;
    let forgot = false;
    for (const [process, { saidAtMs }] of elsewhere) if (saidAtMs < deadline) forgot = elsewhere.delete(process) || forgot;
    if (forgot) countElsewhere();
    if (watchedHere.length > 0) announce();
  }, ANNOUNCE_MS);
  heartbeat.unref();

  for (const client of [publisher, subscriber]) {
    client.on("error", failed);
    client.on("ready", recovered);
    client.connect().catch(failed);
  }
  // The client subscribes again by itself after each reconnect.
  subscriber.subscribe(channel, receive).catch(failed);

  const link: BusLink = {
    send(message: BusMessage) {
      if (publisher.isReady && isToldElsewhere(message)) put({ message });
    },
    announce(orgIds) {
      watchedHere = orgIds;
      announce();
    },
    isWatchedElsewhere: (orgId) => watchedElsewhere.has(orgId),
    get hasWatchersElsewhere() {
      return watchedElsewhere.size > 0;
    },
  };
  /** Ends of memberships and sessions always: a process whose announcement was lost must still close its sockets. */
  function isToldElsewhere(message: BusMessage): boolean {
    return message.type === "session.ended" || message.type === "member.removed" || watchedElsewhere.has(message.orgId);
  }
  const disconnect = bus.connect(link);

  return {
    get connected() {
      return publisher.isReady && subscriber.isReady;
    },
    async stop() {
      clearInterval(heartbeat);
      disconnect();
      publisher.destroy();
      subscriber.destroy();
    },
  };
}

function parseEnvelope(text: string): Envelope | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && "from" in value && typeof value.from === "string") return value as Envelope;
  } catch {
    // Not one of ours.
  }
  return undefined;
}
