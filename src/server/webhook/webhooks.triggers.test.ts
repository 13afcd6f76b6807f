import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { systemClock } from "@/lib/clock";
import { createEncryption } from "@/lib/encryption";
import { uuidv7 } from "@/lib/ids";
import { nanoUsd } from "@/lib/money";
import { createSettleDoor, type SettleDoor } from "@/server/ledger";
import { costEvent, recordingLog } from "@/server/ledger/testing";
import { createTestDatabase, type TestDatabase } from "@/testing/database";
import { createOrganisation } from "@/testing/factories";
import { createWebhook, deleteWebhook, updateWebhook, WEBHOOK_PAYLOADS } from "./index";
import { adminCtx, ALLOW_ALL, startReceiver, startWebhooks } from "./testing";

// What would break in production: a customer's copy of the books lacks calls, or every call of everybody pays for one who listens.

let database: TestDatabase;
let door: SettleDoor & { stop(): Promise<void> };
const encryption = createEncryption({ current: randomBytes(32) });
const deps = { encryption, policy: ALLOW_ALL, wake: () => {} };
beforeAll(async () => {
  database = await createTestDatabase();
  door = createSettleDoor({ connectionString: database.connectionString, clock: systemClock, log: recordingLog() });
});
afterAll(async () => {
  await door.drain(5_000);
  await door.stop();
  await database.drop();
});

async function settle(orgId: string, count: number): Promise<string[]> {
  const ids = Array.from({ length: count }, () => uuidv7(Date.now()));
  await Promise.all(
    ids.map((id) =>
      door.settle({ event: costEvent({ orgId, id, requestId: id, costNano: nanoUsd(1_500n), chargedNano: nanoUsd(1_500n) }) }),
    ),
  );
  return ids;
}

test("each settled call is told once under its event's id, with the fields of the contract, and only while somebody wants it", async () => {
  const org = await createOrganisation({ prisma: database.prisma });
  const other = await createOrganisation({ prisma: database.prisma });
  const ctx = adminCtx(database.prisma, org);
  const receiver = await startReceiver();
  const outbox = (orgId: string) => database.prisma.outboxEvent.count({ where: { orgId, type: "cost_event.created" } });

  await settle(org.orgId, 3);
  expect(await outbox(org.orgId)).toBe(0);
  const { id } = await createWebhook({ ctx, deps, input: { url: receiver.url, eventTypes: ["budget.reset"] } });
  await settle(org.orgId, 3);
  expect(await outbox(org.orgId)).toBe(0);

  await updateWebhook({ ctx, deps, webhookId: id, input: { eventTypes: ["cost_event.created"] } });
  const [ids] = await Promise.all([settle(org.orgId, 50), settle(other.orgId, 50)]);
  // Settled again: nothing more is told.
  await door.settle({ event: costEvent({ orgId: org.orgId, id: ids[0]!, requestId: ids[0]! }) });
  expect([await outbox(org.orgId), await outbox(other.orgId)]).toEqual([50, 0]);
  const webhooks = startWebhooks({ prisma: database.prisma, encryption });
  await expect.poll(() => receiver.received.length, { timeout: 10_000 }).toBe(50);
  await webhooks.stop();
  expect(new Set(receiver.received.map((each) => each.id))).toEqual(new Set(ids.map((each) => `evt_${each}`)));
  for (const { body } of receiver.received) {
    const { data } = JSON.parse(body) as { data: { object: unknown } };
    expect(WEBHOOK_PAYLOADS["cost_event.created"].parse(data.object)).toMatchObject({ cost_microdollars: 1.5 });
  }

  await deleteWebhook({ ctx, webhookId: id });
  await settle(org.orgId, 3);
  expect(await outbox(org.orgId)).toBe(50);
  await receiver.close();
});
