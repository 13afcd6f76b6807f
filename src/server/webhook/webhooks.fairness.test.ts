import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createEncryption } from "@/lib/encryption";
import { createTestDatabase, type TestDatabase } from "@/testing/database";
import { createOrganisation } from "@/testing/factories";
import { parsePublicId } from "@/lib/ids";
import { createWebhook } from "./index";
import { createWebhookSender } from "./send-request";
import { ALLOW_ALL, adminCtx, startReceiver, startWebhooks } from "./testing";

// What would break in production: one customer's dead server delays what all others are told.

const QUEUED = 100_000;
const encryption = createEncryption({ current: randomBytes(32) });
let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

test("L10: with 100,000 queued for an endpoint that hangs, others get theirs within a second at p99", async () => {
  const [deadOrg, org] = [await createOrganisation({ prisma: database.prisma }), await createOrganisation({ prisma: database.prisma })];
  const [dead, alive] = [await startReceiver(), await startReceiver()];
  dead.answer = () => {};
  const deps = { encryption, policy: ALLOW_ALL, wake: () => {} };
  const { id } = await createWebhook({ ctx: adminCtx(database.prisma, deadOrg), deps, input: { url: dead.url } });
  await createWebhook({ ctx: adminCtx(database.prisma, org), deps, input: { url: alive.url } });
  await database.pool.query(
    `insert into webhook_delivery (org_id, endpoint_id, event_id, event_type, body, next_attempt_at)
     select $1, $2, gen_random_uuid(), 'budget.exceeded', '{}', now() - interval '1 hour' from generate_series(1, $3::int)`,
    [deadOrg.orgId, parsePublicId("webhook", id), QUEUED],
  );
  await database.pool.query("analyze webhook_delivery");
  const sender = createWebhookSender({ allowPrivate: true, timeoutMs: 2_000 });
  const webhooks = startWebhooks({ prisma: database.prisma, encryption, more: { sender, everyMs: 250 } });
  await expect.poll(() => dead.received.length, { timeout: 5_000 }).toBeGreaterThan(0);

  const written = new Map<string, number>();
  for (let n = 0; n < 200; n += 1) {
    const row = await database.prisma.outboxEvent.create({
      data: { orgId: org.orgId, type: "budget.exceeded", payload: { n } },
      select: { id: true },
    });
    written.set(`evt_${row.id}`, performance.now());
    await sleep(20);
  }
  await expect.poll(() => alive.received.length, { timeout: 10_000 }).toBe(200);
  const latencies = alive.received.map(({ id: eventId, at }) => at - written.get(eventId)!).toSorted((a, b) => a - b);
  const figures = { p50: latencies[100]!, p99: latencies[197]!, max: latencies[199]! };
  process.stdout.write(`webhooks beside ${QUEUED} queued for a dead endpoint: ${JSON.stringify(figures)} ms\n`);
  expect(figures.p99).toBeLessThan(1_000);
  await dead.close();
  await webhooks.stop();
  await alive.close();
}, 60_000);
