/**
 * How many cost events a second one settle door makes durable, the making of the events and of their JSON included. On one machine
 * with the database, as `npm start` on an external Postgres runs it.
 *
 *   npx esbuild bench/settle.ts --bundle --platform=node --format=esm --packages=external --outfile=dist/bench/settle.mjs
 *   node dist/bench/settle.mjs [events per run]
 */
import { randomUUID } from "node:crypto";
import { systemClock } from "@/lib/clock";
import { newSpanId, newTraceId } from "@/lib/ids";
import { createSettleDoor } from "@/server/ledger";
import { costEvent, recordingLog } from "@/server/ledger/testing";
import { createTestDatabase } from "@/testing/database";

const EVENTS = Number(process.argv[2] ?? 60_000);
/** Calls under way at once: as many wait for their settlement at any time. */
const CONCURRENCY = 2_000;

const database = await createTestDatabase();
const log = recordingLog();
const door = createSettleDoor({ connectionString: database.connectionString, clock: systemClock, log });
const orgId = randomUUID();
const keyIds = Array.from({ length: 20 }, () => randomUUID());

async function run(name: string, events: number, names: number): Promise<void> {
  let next = 0;
  const before = { ...door.stats };
  const oneAfterAnother = async (): Promise<void> => {
    while (next < events) {
      const i = next++;
      const apiKeyId = keyIds[i % keyIds.length]!;
      const event = costEvent({
        orgId,
        apiKeyId,
        keyName: "bench",
        sessionId: `session-${i % names}`,
        customerId: `customer-${i % names}`,
        traceId: newTraceId(),
        spanId: newSpanId(),
        tags: { team: `team-${i % 4}`, env: "prod" },
      });
      await door.settle({ event });
    }
  };
  const startMs = performance.now();
  const cpuBefore = process.cpuUsage();
  await Promise.all(Array.from({ length: CONCURRENCY }, oneAfterAnother));
  const seconds = (performance.now() - startMs) / 1000;
  const cpu = process.cpuUsage(cpuBefore);
  const batches = door.stats.batches - before.batches;
  console.log(
    `${name}: ${Math.round(events / seconds)} events/s, ${Math.round(events / batches)} events a batch, ` +
      `${((cpu.user + cpu.system) / events).toFixed(1)} µs of Node's CPU an event`,
  );
}

/** One after another, each awaited: what a lone event waits for. */
async function latency(): Promise<void> {
  const times: number[] = [];
  for (let i = 0; i < 300; i++) {
    const startMs = performance.now();
    await door.settle({ event: costEvent({ orgId, apiKeyId: keyIds[0]! }) });
    times.push(performance.now() - startMs);
    await new Promise((resolve) => setTimeout(resolve, 12));
  }
  times.sort((a, b) => a - b);
  console.log(`a lone event: median ${times[150]!.toFixed(2)} ms, 99 % ${times[297]!.toFixed(2)} ms`);
}

await run("warm up", 5_000, 50);
await run("50 sessions and customers", EVENTS, 50);
await run("every event its own session and customer", EVENTS, EVENTS);
await latency();
if (log.lines.length > 0) console.log(log.lines);
await door.stop();
await database.drop();
