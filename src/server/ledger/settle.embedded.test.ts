import { randomUUID } from "node:crypto";
import { expect, it, onTestFinished } from "vitest";
import { createPool, migrate } from "@/lib/db";
import { createEmbeddedDatabase, migrationsDir } from "@/testing/database";
import { costEvent, openDoor } from "./testing";

// `npm start` on a bare clone runs on the embedded database, where no other test of this folder goes while a server is at hand.
it("the embedded database takes the same batches, counts a second settle once and finds an earlier report", async () => {
  const { connectionString, drop } = await createEmbeddedDatabase();
  await migrate({ connectionString, migrationsDir });
  const pool = createPool({ connectionString, connectionsMax: 2 });
  const door = openDoor({ connectionString });
  onTestFinished(async () => {
    await door.stop();
    await pool.end();
    await drop();
  });
  const orgId = randomUUID();
  const events = Array.from({ length: 2_000 }, (_, i) =>
    costEvent({ orgId, apiKeyId: randomUUID(), sessionId: `s${i % 9}`, tags: { team: `t${i % 3}`, text: "'\"\\日本".repeat(20) } }),
  );
  const report = () => door.settle({ event: costEvent({ orgId, source: "api", requestId: "order-1" }) });
  await Promise.all([...events, ...events.slice(0, 500)].map((event) => door.settle({ event })));
  const first = await report();
  expect(await report()).toEqual({ id: first.id, outcome: "deduplicated" });
  const { rows } = await pool.query(
    `select (select count(*)::int from cost_event where org_id = $1) as events,
       (select sum(calls)::int from cost_rollup where org_id = $1 and dimension = 'total') as calls,
       (select sum(calls)::int from cost_session where org_id = $1) as in_sessions`,
    [orgId],
  );
  expect(rows).toEqual([{ events: 2_001, calls: 2_001, in_sessions: 2_000 }]);
});
