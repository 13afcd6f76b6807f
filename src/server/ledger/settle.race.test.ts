import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, expect, it, onTestFinished } from "vitest";
import type { CostEventRecord } from "@/server/events/cost-event";
import { createTestDatabase, hasRealPostgres, type TestDatabase } from "@/testing/database";
import { costEvent, openDoor, recordingLog } from "./testing";

// One door per process: several doors here are several processes. What would break in production: a deadlock between them loses
// throughput exactly when there is load, and a race counts a call twice or not at all.

const onRealPostgres = it.skipIf(!(await hasRealPostgres()));

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

function newDoors(count: number) {
  const log = recordingLog();
  const limits = { batchIntervalMs: 0, batchEventsMax: 50 };
  const doors = Array.from({ length: count }, () => openDoor({ connectionString: database.connectionString, log, limits }));
  onTestFinished(async () => void (await Promise.all(doors.map((door) => door.stop()))));
  return { doors, log };
}

const shuffled = <T>(items: readonly T[]): T[] =>
  items
    .map((item) => ({ item, at: Math.random() }))
    .toSorted((a, b) => a.at - b.at)
    .map(({ item }) => item);

async function expectCounted(orgId: string, events: readonly CostEventRecord[]): Promise<void> {
  expect(await database.prisma.costEvent.count({ where: { orgId } })).toBe(events.length);
  for (const dimension of ["total", "customer", "tag:shared"]) {
    const { _sum } = await database.prisma.costRollup.aggregate({ where: { orgId, dimension }, _sum: { calls: true, costNano: true } });
    expect(_sum).toEqual({ calls: BigInt(events.length), costNano: events.reduce((sum, { costNano }) => sum + costNano!, 0n) });
  }
  const { _sum } = await database.prisma.costSession.aggregate({ where: { orgId }, _sum: { calls: true } });
  expect(_sum.calls).toBe(BigInt(events.length));
}

onRealPostgres("two doors that settle the same events in different orders count each once, without a deadlock", async () => {
  const orgId = randomUUID();
  const { doors, log } = newDoors(2);
  const events = Array.from({ length: 2_000 }, (_, i) =>
    costEvent({ orgId, sessionId: `s${i % 7}`, customerId: `c${i % 11}`, tags: { shared: `t${i % 5}` } }),
  );
  await Promise.all(doors.flatMap((door) => shuffled(events).map((event) => door.settle({ event }))));
  await expectCounted(orgId, events);
  expect(log.lines).toEqual([]);
});

onRealPostgres("two doors that report the same costs in different orders agree on one id each, without a deadlock", async () => {
  const orgId = randomUUID();
  const { doors, log } = newDoors(2);
  const requests = Array.from({ length: 1_000 }, (_, i) => `order-${i}`);
  const results = await Promise.all(
    doors.flatMap((door) =>
      shuffled(requests).map(async (requestId) => {
        const event = costEvent({ orgId, source: "api", requestId, sessionId: "s", customerId: "c", tags: { shared: "t" } });
        return { requestId, ...(await door.settle({ event })) };
      }),
    ),
  );
  const stored = await database.prisma.costEvent.findMany({ where: { orgId }, select: { id: true, requestId: true } });
  const idOf = new Map(stored.map(({ id, requestId }) => [requestId, id]));
  expect(stored.length).toBe(requests.length);
  for (const { requestId, id } of results) expect(id).toBe(idOf.get(requestId));
  expect(results.filter(({ outcome }) => outcome === "recorded").length).toBe(requests.length);
  expect(log.lines).toEqual([]);
});

onRealPostgres("four doors on the same sums never deadlock and lose nothing", async () => {
  const orgId = randomUUID();
  const { doors, log } = newDoors(4);
  const events = Array.from({ length: 4_000 }, (_, i) =>
    costEvent({ orgId, sessionId: `s${i % 13}`, customerId: `c${i % 17}`, tags: { shared: `t${i % 3}` } }),
  );
  await Promise.all(shuffled(events).map((event, i) => doors[i % 4]!.settle({ event })));
  await expectCounted(orgId, events);
  expect(doors.reduce((sum, { stats }) => sum + stats.retries, 0)).toBe(0);
  expect(log.lines).toEqual([]);
});
