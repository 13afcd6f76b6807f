import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it, onTestFinished } from "vitest";
import type { CostEventRecord } from "@/server/events/cost-event";
import { startChaosProxy, type ChaosProxy } from "@/testing/chaos-proxy";
import { createTestDatabase, hasRealPostgres, type TestDatabase } from "@/testing/database";
import type { MeasuredSettleDoor, SettleLimits } from "./settle";
import { costEvent, openDoor, recordingLog } from "./testing";

// What would break in production: money that was spent while the database was away is missing from every budget, or is there twice.

const onRealPostgres = it.skipIf(!(await hasRealPostgres()));

let database: TestDatabase;
let proxy: ChaosProxy;
beforeAll(async () => {
  database = await createTestDatabase();
  const { hostname, port } = new URL(database.connectionString);
  proxy = await startChaosProxy({ host: hostname, port: Number(port || 5432) });
});
afterAll(async () => {
  await proxy.close();
  await database.drop();
});

/** Short, so that a black hole is noticed within a test. */
const IMPATIENT: Partial<SettleLimits> = { connectTimeoutMs: 300, statementTimeoutMs: 300, lockTimeoutMs: 150, retryDelayMsMax: 50 };

function newDoor(limits: Partial<SettleLimits> = {}) {
  const url = new URL(database.connectionString);
  url.hostname = "127.0.0.1";
  url.port = String(proxy.port);
  const log = recordingLog();
  const door = openDoor({ connectionString: url.href, log, limits: { ...IMPATIENT, batchIntervalMs: 0, ...limits } });
  onTestFinished(async () => {
    Object.assign(proxy.chaos, { refuse: false, blackHole: false, latencyMs: 0, sliceBytes: 0, answerBytesMax: Infinity });
    await door.stop();
  });
  return { door, log };
}

/** Resolves when `condition` holds; the bound is a failure, not a pace. */
async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let waitedMs = 0; waitedMs < 20_000; waitedMs += 5) {
    if (await condition()) return;
    await sleep(5);
  }
  throw new Error("waited in vain");
}

async function expectExactlyOnce(orgId: string, events: readonly CostEventRecord[]): Promise<void> {
  const stored = await database.prisma.costEvent.findMany({ where: { orgId }, select: { id: true }, orderBy: { id: "asc" } });
  expect(stored.map(({ id }) => id)).toEqual(events.map(({ id }) => id).toSorted());
  const { _sum } = await database.prisma.costRollup.aggregate({ where: { orgId, dimension: "total" }, _sum: { calls: true } });
  expect(_sum.calls).toBe(BigInt(events.length));
}

const settleMany = (door: MeasuredSettleDoor, orgId: string, count: number) => {
  const events = Array.from({ length: count }, () => costEvent({ orgId }));
  return { events, settled: Promise.all(events.map((event) => door.settle({ event }))) };
};

onRealPostgres("the backend is killed again and again in the middle of batches: every event exactly once", async () => {
  const orgId = randomUUID();
  const { door } = newDoor({ batchEventsMax: 20 });
  const { events, settled } = settleMany(door, orgId, 3_000);
  let kills = 0;
  const killer = (async () => {
    // A number of kills, not one for every batch: a connection that always dies gets nothing done.
    while (door.backlog > 0 && kills < 25) {
      const { rows } = await database.pool.query<{ killed: boolean }>(
        `select pg_terminate_backend(pid) as killed from pg_stat_activity
         where application_name = 'nullspend-ledger' and datname = current_database() and state = 'active'`,
      );
      kills += rows.length;
    }
  })();
  await Promise.all([settled, killer]);
  expect(kills).toBeGreaterThan(3);
  expect(door.stats.retries).toBeGreaterThan(3);
  await expectExactlyOnce(orgId, events);
});

onRealPostgres("the commit succeeds and its answer is lost: the retry changes nothing", async () => {
  const orgId = randomUUID();
  const { door } = newDoor();
  await door.settle({ event: costEvent({ orgId: randomUUID() }) });
  proxy.chaos.answerBytesMax = 0;
  const { events, settled } = settleMany(door, orgId, 100);
  await until(async () => (await database.prisma.costEvent.count({ where: { orgId } })) === 100);
  await until(() => door.stats.retries > 0);
  expect(door.backlog).toBe(100);
  proxy.chaos.answerBytesMax = Infinity;
  await settled;
  await expectExactlyOnce(orgId, events);
});

onRealPostgres("a black hole that swallows without a word: the statement is given up, and all is settled when it ends", async () => {
  const orgId = randomUUID();
  const { door, log } = newDoor();
  const before = settleMany(door, orgId, 10);
  await before.settled;
  proxy.chaos.blackHole = true;
  const during = settleMany(door, orgId, 500);
  await until(() => door.stats.retries >= 2);
  expect(door.backlog).toBe(500);
  expect(log.lines.filter(({ level }) => level === "warn").length).toBe(1);
  proxy.chaos.blackHole = false;
  await during.settled;
  await expectExactlyOnce(orgId, [...before.events, ...during.events]);
  expect(log.lines.at(-1)).toMatchObject({ level: "info" });
});

onRealPostgres("nobody listens, then somebody does: events wait in memory and keep their order", async () => {
  const orgId = randomUUID();
  const { door } = newDoor({ batchEventsMax: 7 });
  Object.assign(proxy.chaos, { refuse: true });
  proxy.resetAll();
  const order: string[] = [];
  const events = Array.from({ length: 100 }, () => costEvent({ orgId }));
  const settled = Promise.all(events.map((event) => door.settle({ event }).then(({ id }) => order.push(id))));
  await until(() => door.stats.retries >= 3);
  proxy.chaos.refuse = false;
  await settled;
  expect(order).toEqual(events.map(({ id }) => id));
  await expectExactlyOnce(orgId, events);
});

onRealPostgres("a connection that dies while it is idle is replaced unnoticed", async () => {
  const orgId = randomUUID();
  const { door } = newDoor();
  const first = settleMany(door, orgId, 1);
  await first.settled;
  proxy.resetAll();
  await until(() => proxy.connections === 0);
  const second = settleMany(door, orgId, 1);
  await second.settled;
  await expectExactlyOnce(orgId, [...first.events, ...second.events]);
});

onRealPostgres("somebody holds a sum's row: settling waits, retries and goes on", async () => {
  const orgId = randomUUID();
  const { door } = newDoor();
  const first = settleMany(door, orgId, 1);
  await first.settled;
  const other = await database.pool.connect();
  await other.query("begin");
  await other.query("select 1 from cost_rollup where org_id = $1 for update", [orgId]);
  const second = settleMany(door, orgId, 50);
  await until(() => door.stats.retries >= 2);
  await other.query("rollback");
  other.release();
  await second.settled;
  await expectExactlyOnce(orgId, [...first.events, ...second.events]);
});

onRealPostgres("batches that take longer than a statement may are cut smaller until they pass", async () => {
  const orgId = randomUUID();
  const { door } = newDoor();
  // 5 ms an event: 200 of them do not fit into the 300 ms of a statement.
  await database.pool.query(`
    create function slow() returns trigger language plpgsql as $$ begin perform pg_sleep(0.005); return new; end $$;
    create trigger slow before insert on cost_event for each row execute function slow()`);
  onTestFinished(async () => void (await database.pool.query("drop trigger slow on cost_event; drop function slow")));
  const { events, settled } = settleMany(door, orgId, 200);
  await settled;
  expect(door.stats.batches).toBeGreaterThan(2);
  await expectExactlyOnce(orgId, events);
});

onRealPostgres("drain gives up after its time and says how many are left; stop then ends at once, even in a black hole", async () => {
  const orgId = randomUUID();
  const { door, log } = newDoor({ connectTimeoutMs: 60_000, statementTimeoutMs: 60_000 });
  proxy.chaos.blackHole = true;
  const { settled } = settleMany(door, orgId, 5);
  const refused = expect(settled).rejects.toMatchObject({ code: "shutting_down" });
  expect(await door.drain(50)).toBe(5);
  await door.stop();
  await refused;
  expect(log.lines).toContainEqual(expect.objectContaining({ level: "error", count: 5 }));
});
