import { randomUUID } from "node:crypto";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { nanoUsd, picoUsd } from "@/lib/money";
import type { CostEventRecord } from "@/server/events/cost-event";
import { createTestDatabase, type TestDatabase } from "@/testing/database";
import { createApiKey, createOrganisation } from "@/testing/factories";
import type { SettleDoorOptions } from "./settle";
import { anyCostEvent, costEvent, openDoor, recordingLog } from "./testing";

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

function newDoor(options: Partial<SettleDoorOptions> = {}) {
  const door = openDoor({ connectionString: database.connectionString, ...options });
  onTestFinished(() => door.stop());
  return door;
}

const eventCount = (orgId: string) => database.prisma.costEvent.count({ where: { orgId } });
const total = (orgId: string) => database.prisma.costRollup.findMany({ where: { orgId, dimension: "total" } });

describe("settle", () => {
  it("stores every field of an event as it was given", async () => {
    const orgId = randomUUID();
    const event = costEvent({
      orgId,
      status: "cancelled",
      denialCode: "none",
      httpStatus: 499,
      costNano: nanoUsd(9_007_199_254_740_993n),
      estimatedNano: nanoUsd(7n),
      toolCalls: [{ name: "search", id: null }],
      toolName: "search",
      toolServer: "mcp.example.com",
      sessionId: "sitzung-日本",
      traceId: "4bf92f3577b34da6a3ce929d0e0e4736",
      spanId: "00f067aa0ba902b7",
      parentSpanId: "a0f067aa0ba902b7",
      actionId: randomUUID(),
      customerId: "acme",
      tags: { team: "a", "quote\"d'": "{}[]," },
      apiKeyId: randomUUID(),
      keyName: "the key",
      userId: randomUUID(),
      lines: [
        { unit: "input", quantity: 120, unitPricePico: picoUsd(150_000n), amountPico: picoUsd(18_000_000n) },
        { unit: "output", model: "gpt-image-1", quantity: 40, unitPricePico: picoUsd(600_000n), amountPico: picoUsd(24_000_000n) },
      ],
    });
    await newDoor().settle({ event });
    const row = await database.prisma.costEvent.findUniqueOrThrow({ where: { orgId_id: { orgId, id: event.id } } });
    const { createdAtMs, lines, costBreakdown, ...rest } = event;
    expect(row).toMatchObject(rest);
    expect(row.createdAt.getTime()).toBe(createdAtMs);
    expect(row.lines).toEqual(
      lines!.map((line) => ({ ...line, unitPricePico: `${line.unitPricePico}`, amountPico: `${line.amountPico}` })),
    );
    expect(row.costBreakdown).toEqual(Object.fromEntries(Object.entries(costBreakdown!).map(([part, nano]) => [part, `${nano}`])));
  });

  // A crash between commit and acknowledgement makes every event of a batch come twice.
  it("second settle of one event changes nothing, through the same door or another", async () => {
    const orgId = randomUUID();
    const event = costEvent({ orgId, sessionId: "s", tags: { team: "a" } });
    const first = newDoor();
    expect(await first.settle({ event })).toEqual({ id: event.id, outcome: "recorded" });
    expect(await first.settle({ event })).toEqual({ id: event.id, outcome: "recorded" });
    expect(await newDoor().settle({ event })).toEqual({ id: event.id, outcome: "recorded" });
    expect(await eventCount(orgId)).toBe(1);
    const rollups = await database.prisma.costRollup.findMany({ where: { orgId } });
    expect(rollups.map(({ dimension, value, calls, costNano }) => [dimension, value, calls, costNano])).toEqual(
      expect.arrayContaining([
        ["total", "all", 1n, 42_000n],
        ["tag:team", "a", 1n, 42_000n],
      ]),
    );
    expect((await database.prisma.costSession.findFirstOrThrow({ where: { orgId } })).calls).toBe(1n);
  });

  it("the same event twice in one batch counts once", async () => {
    const orgId = randomUUID();
    const event = costEvent({ orgId });
    const door = newDoor();
    await Promise.all([door.settle({ event }), door.settle({ event })]);
    expect((await total(orgId))[0]!.calls).toBe(1n);
  });

  it("sums equal a recomputation from the raw events, for any events", async () => {
    const { orgId, userId } = await createOrganisation({ prisma: database.prisma });
    const { keyId } = await createApiKey({ prisma: database.prisma, org: { orgId, userId } });
    const startMs = Date.UTC(2026, 10, 20, 22, 30);
    const door = newDoor({ limits: { batchIntervalMs: 0, batchEventsMax: 700 } });
    const events = fc.sample(anyCostEvent({ orgId, keyIds: [keyId, randomUUID()], startMs }), { numRuns: 10_000, seed: 7 });
    await Promise.all(events.map((event) => door.settle({ event })));

    expect(await database.prisma.costRollup.findMany({ where: { orgId } })).toEqual(rollupsOf(events));
    expect(await database.prisma.costSession.findMany({ where: { orgId }, orderBy: { sessionId: "asc" } })).toEqual(sessionsOf(events));
  });

  it("tells the listener of what was recorded, in order, once, after it can be read", async () => {
    const orgId = randomUUID();
    const told: string[] = [];
    let countsAtCall: Promise<number>[] = [];
    const door = newDoor({
      onSettled: (events) => {
        told.push(...events.map(({ id }) => id));
        countsAtCall.push(eventCount(orgId));
      },
    });
    const events = Array.from({ length: 50 }, () => costEvent({ orgId }));
    await Promise.all(events.map((event) => door.settle({ event })));
    expect(told).toEqual(events.map(({ id }) => id));
    expect((await Promise.all(countsAtCall)).at(-1)).toBe(50);
  });

  it("a listener that throws disturbs nobody", async () => {
    const log = recordingLog();
    const door = newDoor({
      log,
      onSettled: () => {
        throw new Error("listener");
      },
    });
    await expect(door.settle({ event: costEvent({ orgId: randomUUID() }) })).resolves.toMatchObject({ outcome: "recorded" });
    expect(log.lines).toContainEqual(expect.objectContaining({ level: "error" }));
  });

  it("writes a key's last use at most once a minute, and never waits for who holds the key", async () => {
    const org = await createOrganisation({ prisma: database.prisma });
    const { keyId } = await createApiKey({ prisma: database.prisma, org });
    const door = newDoor();
    const settleOne = () => door.settle({ event: costEvent({ orgId: org.orgId, apiKeyId: keyId }) });
    const lastUsedAt = async () => (await database.prisma.apiKey.findUniqueOrThrow({ where: { id: keyId } })).lastUsedAt;
    await settleOne();
    const first = await lastUsedAt();
    expect(first).not.toBeNull();
    await settleOne();
    expect(await lastUsedAt()).toEqual(first);

    await database.prisma.apiKey.update({ where: { id: keyId }, data: { lastUsedAt: new Date(0) } });
    if (database.isRealPostgres) {
      const admin = await database.pool.connect();
      await admin.query("begin");
      await admin.query("select 1 from api_key where id = $1 for update", [keyId]);
      await settleOne();
      await admin.query("rollback");
      admin.release();
      expect(await lastUsedAt()).toEqual(new Date(0));
    }
    await settleOne();
    expect((await lastUsedAt())!.getTime()).toBeGreaterThan(0);
  });

  it("does not touch a key of another organisation", async () => {
    const org = await createOrganisation({ prisma: database.prisma });
    const { keyId } = await createApiKey({ prisma: database.prisma, org });
    await newDoor().settle({ event: costEvent({ orgId: randomUUID(), apiKeyId: keyId }) });
    expect((await database.prisma.apiKey.findUniqueOrThrow({ where: { id: keyId } })).lastUsedAt).toBeNull();
  });
});

describe("reported costs", () => {
  const reported = (orgId: string, fields: Partial<CostEventRecord> = {}) =>
    costEvent({ orgId, source: "api", provider: "custom", requestId: "order-1", ...fields });

  it("count once per organisation, source, provider and request id, and the second learns the first one's id", async () => {
    const orgId = randomUUID();
    const door = newDoor();
    const first = reported(orgId);
    expect(await door.settle({ event: first })).toEqual({ id: first.id, outcome: "recorded" });
    expect(await door.settle({ event: reported(orgId, { costNano: nanoUsd(1n) }) })).toEqual({ id: first.id, outcome: "deduplicated" });
    for (const other of [{ source: "mcp" as const }, { provider: "other" }, { requestId: "order-2" }, { orgId: randomUUID() }]) {
      expect((await door.settle({ event: reported(orgId, other) })).outcome).toBe("recorded");
    }
    expect(await eventCount(orgId)).toBe(4);
    expect((await total(orgId)).reduce((sum, { calls }) => sum + calls, 0n)).toBe(4n);
  });

  it("count once within a batch", async () => {
    const orgId = randomUUID();
    const door = newDoor();
    const results = await Promise.all(Array.from({ length: 5 }, () => door.settle({ event: reported(orgId) })));
    expect(new Set(results.map(({ id }) => id)).size).toBe(1);
    expect(results.map(({ outcome }) => outcome).toSorted()).toEqual([...Array(4).fill("deduplicated"), "recorded"]);
    expect(await eventCount(orgId)).toBe(1);
  });

  // Otherwise a caller could make a proxied call free by reporting a cost of zero under its request id.
  it("never replace or suppress a proxied call with the same request id", async () => {
    const orgId = randomUUID();
    const door = newDoor();
    const same = { provider: "openai", requestId: "chatcmpl-1" };
    const outcomes = [
      await door.settle({ event: reported(orgId, { ...same, costNano: nanoUsd(0n) }) }),
      await door.settle({ event: costEvent({ orgId, ...same }) }),
      await door.settle({ event: costEvent({ orgId, ...same }) }),
    ];
    expect(outcomes.map(({ outcome }) => outcome)).toEqual(["recorded", "recorded", "recorded"]);
    expect((await total(orgId))[0]).toMatchObject({ calls: 3n, costNano: 84_000n });
  });
});

describe("backlog", () => {
  it("stops accepting at its limit in events, takes what is handed over all the same, and accepts again", async () => {
    const orgId = randomUUID();
    const door = newDoor({ limits: { backlogEventsMax: 3 } });
    const results = [1, 2, 3, 4].map(() => door.settle({ event: costEvent({ orgId }) }));
    expect(door).toMatchObject({ backlog: 4, accepting: false });
    await Promise.all(results);
    expect(door).toMatchObject({ backlog: 0, accepting: true });
    expect(await eventCount(orgId)).toBe(4);
  });

  it("stops accepting at its limit in bytes", async () => {
    const door = newDoor({ limits: { backlogBytesMax: 10_000 } });
    const settled = door.settle({ event: costEvent({ orgId: randomUUID(), tags: { long: "x".repeat(256) } }) });
    expect(door.accepting).toBe(true);
    const more = Array.from({ length: 5 }, () => door.settle({ event: costEvent({ orgId: randomUUID() }) }));
    expect(door.accepting).toBe(false);
    await Promise.all([settled, ...more]);
    expect(door.accepting).toBe(true);
  });

  it("drain answers zero once everything is durable", async () => {
    const orgId = randomUUID();
    const door = newDoor();
    expect(await door.drain(0)).toBe(0);
    for (let i = 0; i < 1_234; i++) void door.settle({ event: costEvent({ orgId }) });
    expect(await door.drain(30_000)).toBe(0);
    expect(await eventCount(orgId)).toBe(1_234);
  });

  it("what comes after stop is refused and logged with its cost", async () => {
    const log = recordingLog();
    const door = newDoor({ log });
    await door.stop();
    const event = costEvent({ orgId: randomUUID() });
    await expect(door.settle({ event })).rejects.toMatchObject({ code: "shutting_down" });
    expect(log.lines).toContainEqual(expect.objectContaining({ level: "error", requestId: event.id, costMicrodollars: 42 }));
    expect(door.accepting).toBe(false);
  });
});

type Sums = Awaited<ReturnType<typeof total>>[number];

/** Matches rows with the same sums made by other means: in memory, event by event. In any order, for collations differ. */
function rollupsOf(events: readonly CostEventRecord[]) {
  const sums = new Map<string, Sums>();
  for (const event of events) {
    const hour = new Date(Math.floor(event.createdAtMs / 3_600_000) * 3_600_000);
    for (const [dimension, value] of dimensionsOf(event)) {
      const key = JSON.stringify([dimension, hour, value]);
      const sum = sums.get(key) ?? emptySums(event.orgId, hour, dimension, value);
      addTo(sum, event);
      sums.set(key, sum);
    }
  }
  return expect.toSatisfy((rows: Sums[]) => {
    expect(rows.length).toBe(sums.size);
    for (const row of rows) expect(row).toEqual(sums.get(JSON.stringify([row.dimension, row.hour, row.value])));
    return true;
  });
}

function dimensionsOf(event: CostEventRecord): [string, string][] {
  const named: [string, string | null][] = [
    ["total", "all"],
    ["api_key", event.apiKeyId],
    ["user", event.userId],
    ["model", `${event.provider}/${event.model}`],
    ["provider", event.provider],
    ["customer", event.customerId],
    ["source", event.source],
    ["tool", event.toolName],
    ...Object.entries(event.tags).map(([key, value]): [string, string] => [`tag:${key}`, value]),
  ];
  return named.filter((each): each is [string, string] => each[1] !== null);
}

const emptySums = (orgId: string, hour: Date, dimension: string, value: string): Sums => ({
  orgId,
  hour,
  dimension,
  value,
  calls: 0n,
  deniedCalls: 0n,
  failedCalls: 0n,
  unpricedCalls: 0n,
  costNano: 0n,
  inputCostNano: 0n,
  cachedCostNano: 0n,
  cacheWriteCostNano: 0n,
  outputCostNano: 0n,
  reasoningCostNano: 0n,
  toolsCostNano: 0n,
  inputTokens: 0n,
  outputTokens: 0n,
  cachedInputTokens: 0n,
  cacheWriteTokens: 0n,
  reasoningTokens: 0n,
  durationMs: 0n,
});

function addTo(sum: Sums, event: CostEventRecord): void {
  sum.calls += 1n;
  if (event.status === "denied") sum.deniedCalls += 1n;
  else if (event.status !== "ok") sum.failedCalls += 1n;
  if (event.costBasis === "unpriced") sum.unpricedCalls += 1n;
  sum.costNano += event.costNano ?? 0n;
  sum.inputCostNano += event.costBreakdown?.input ?? 0n;
  sum.cachedCostNano += event.costBreakdown?.cached ?? 0n;
  sum.cacheWriteCostNano += event.costBreakdown?.cacheWrite ?? 0n;
  sum.outputCostNano += event.costBreakdown?.output ?? 0n;
  sum.reasoningCostNano += event.costBreakdown?.reasoning ?? 0n;
  sum.toolsCostNano += event.costBreakdown?.tools ?? 0n;
  sum.inputTokens += BigInt(event.inputTokens ?? 0);
  sum.outputTokens += BigInt(event.outputTokens ?? 0);
  sum.cachedInputTokens += BigInt(event.cachedInputTokens ?? 0);
  sum.cacheWriteTokens += BigInt(event.cacheWriteTokens ?? 0);
  sum.reasoningTokens += BigInt(event.reasoningTokens ?? 0);
  sum.durationMs += wholeMs(event.durationMs);
}

function sessionsOf(events: readonly CostEventRecord[]) {
  const names = [...new Set(events.map(({ sessionId }) => sessionId))].filter((name) => name !== null).toSorted();
  return names.map((sessionId) => {
    const own = events.filter((event) => event.sessionId === sessionId);
    const times = own.map(({ createdAtMs }) => createdAtMs);
    const sum = (of: (event: CostEventRecord) => bigint) => own.reduce((all, event) => all + of(event), 0n);
    return {
      orgId: own[0]!.orgId,
      sessionId,
      firstEventAt: new Date(Math.min(...times)),
      lastEventAt: new Date(Math.max(...times)),
      calls: BigInt(own.length),
      deniedCalls: sum(({ status }) => (status === "denied" ? 1n : 0n)),
      costNano: sum(({ costNano }) => costNano ?? 0n),
      inputTokens: sum(({ inputTokens }) => BigInt(inputTokens ?? 0)),
      outputTokens: sum(({ outputTokens }) => BigInt(outputTokens ?? 0)),
      durationMs: sum(({ durationMs }) => wholeMs(durationMs)),
    };
  });
}

/** As the database rounds: the column is single precision, and a half goes to the even neighbour. */
function wholeMs(durationMs: number | null): bigint {
  if (durationMs === null) return 0n;
  const single = Math.fround(Math.round(durationMs * 1000) / 1000);
  const below = Math.floor(single);
  const rest = single - below;
  return BigInt(rest > 0.5 || (rest === 0.5 && below % 2 === 1) ? below + 1 : below);
}
