import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { PrismaClient } from "@/generated/prisma/client";
import type { Encryption } from "@/lib/encryption";
import { systemClock, type Clock } from "@/lib/clock";
import type { Ctx } from "@/server/context";
import type { WebhookDeps } from "./deps";
import { createWebhooks, type Webhooks, type WebhooksOptions } from "./webhooks";

/** Parts that tests of this folder share. */

export type Received = { id: string; headers: IncomingHttpHeaders; body: string; path: string; at: number };
export type Receiver = {
  url: string;
  received: Received[];
  /** How it answers; 200 at first. */
  answer: (response: ServerResponse, request: IncomingMessage) => void;
  close(): Promise<void>;
};

/** A customer's server. */
export async function startReceiver(): Promise<Receiver> {
  const received: Received[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const id = String(request.headers["webhook-id"]);
      received.push({
        id,
        headers: request.headers,
        body: Buffer.concat(chunks).toString(),
        path: request.url ?? "",
        at: performance.now(),
      });
      receiver.answer(response, request);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  // Listening on TCP, so the address is an object.
  const { port } = server.address() as AddressInfo;
  const receiver: Receiver = {
    url: `http://127.0.0.1:${port}`,
    received,
    answer: (response) => void response.writeHead(200).end("ok"),
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return receiver;
}

/** The system's clock, which a test can put forward. */
export function movableClock(): Clock & { forward(ms: number): void } {
  let offset = 0;
  return { now: () => Date.now() + offset, monotonic: () => systemClock.monotonic(), forward: (ms) => void (offset += ms) };
}

export const ALLOW_ALL: WebhookDeps["policy"] = { allowPrivate: true, isProduction: false, ownOrigin: "http://localhost:3000" };

export function startWebhooks(options: {
  prisma: PrismaClient;
  encryption: Encryption;
  clock?: Clock;
  more?: Partial<WebhooksOptions>;
}): Webhooks & { warnings: unknown[] } {
  const warnings: unknown[] = [];
  const webhooks = createWebhooks({
    prisma: options.prisma,
    clock: options.clock ?? systemClock,
    log: { warn: (fields: unknown) => void warnings.push(fields) },
    encryption: options.encryption,
    policy: ALLOW_ALL,
    publicUrl: "http://localhost:3000",
    random: () => 0.5,
    everyMs: 20,
    ...options.more,
  });
  webhooks.start();
  return Object.assign(webhooks, { warnings });
}

export const adminCtx = (prisma: PrismaClient, { orgId, userId }: { orgId: string; userId: string }, clock: Clock = systemClock): Ctx => ({
  prisma,
  clock,
  principal: { type: "user", orgId, userId, role: "owner" },
  ip: null,
});
