import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, expect, it, onTestFinished } from "vitest";
import { nanoUsd, picoUsd } from "@/lib/money";
import type { CostEventRecord } from "@/server/events/cost-event";
import { createTestDatabase, type TestDatabase } from "@/testing/database";
import { costEvent, openDoor, recordingLog } from "./testing";

// What would break in production: one event that the database refuses stops every event behind it, of every organisation.

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

function newDoor() {
  const log = recordingLog();
  const door = openDoor({ connectionString: database.connectionString, log });
  onTestFinished(() => door.stop());
  return { door, log };
}

const HOSTILE_TEXTS = [
  "\0",
  "a\0b",
  "y\ud800",
  "\udc00x",
  "x".repeat(100_000),
  "\u{1f4b8}".repeat(50_000),
  "é".repeat(9_999),
  "\\u0000",
  "'\"\\$1",
];
const HOSTILE_NUMBERS = [NaN, Infinity, -Infinity, -1, 1.5, 2 ** 31, 2 ** 53, 1e300, 5e-324, -0];

const everyText = (value: string): Partial<CostEventRecord> => ({
  requestId: value,
  denialCode: value,
  provider: value,
  model: value,
  requestedModel: value,
  serviceTier: value,
  endpoint: value,
  priceVersion: value,
  stopReason: value,
  toolCalls: [{ name: value, id: value }],
  toolName: value,
  toolServer: value,
  sessionId: value,
  traceId: value,
  spanId: value,
  parentSpanId: value,
  actionId: value,
  customerId: value,
  tags: { [value]: value, __proto__x: value },
  apiKeyId: value,
  keyName: value,
  userId: value,
});

const everyNumber = (value: number): Partial<CostEventRecord> => ({
  createdAtMs: value,
  httpStatus: value,
  inputTokens: value,
  outputTokens: value,
  cachedInputTokens: value,
  cacheWriteTokens: value,
  reasoningTokens: value,
  durationMs: value,
  upstreamDurationMs: value,
  timeToFirstByteMs: value,
  overheadMs: value,
  lines: [{ unit: "input", quantity: value, unitPricePico: picoUsd(1n), amountPico: picoUsd(10n ** 40n) }],
});

it("hostile texts, numbers and amounts are stored as far as they can be, none is refused", async () => {
  const orgId = randomUUID();
  const { door, log } = newDoor();
  const hostile = [
    ...HOSTILE_TEXTS.flatMap((value) => [everyText(value), { ...everyText(value), source: "api" as const }]),
    ...HOSTILE_NUMBERS.map(everyNumber),
    { costNano: nanoUsd(2n ** 70n), chargedNano: nanoUsd(-5n), estimatedNano: nanoUsd(2n ** 64n) },
  ];
  const events = hostile.map((fields) => costEvent({ orgId, ...fields }));
  await Promise.all(events.map((event) => door.settle({ event })));
  expect(log.lines).toEqual([]);
  expect(await database.prisma.costEvent.count({ where: { orgId } })).toBe(events.length);
});

// An overflowing sum would refuse every later event of its hour: a caller could switch off an organisation's accounting.
it("amounts that add up past what a sum can hold stay at its maximum, and later events are stored", async () => {
  const orgId = randomUUID();
  const { door, log } = newDoor();
  const huge = nanoUsd(2n ** 62n);
  const breakdown = { input: huge, cached: huge, cacheWrite: huge, output: huge, reasoning: huge, tools: huge };
  const settleHuge = () => door.settle({ event: costEvent({ orgId, costNano: huge, costBreakdown: breakdown, sessionId: "s" }) });
  await Promise.all([settleHuge(), settleHuge(), settleHuge()]);
  await settleHuge();
  const row = await database.prisma.costRollup.findFirstOrThrow({ where: { orgId, dimension: "total" } });
  expect(row).toMatchObject({ calls: 4n, costNano: 2n ** 63n - 1n, toolsCostNano: 2n ** 63n - 1n });
  expect(log.lines).toEqual([]);
});

it("an event that is refused whatever is done is named in the log with its cost, and every other one is stored", async () => {
  const orgId = randomUUID();
  const { door, log } = newDoor();
  const events = Array.from({ length: 200 }, () => costEvent({ orgId }));
  const poison = [17, 99, 100, 199].map((at) => (events[at] = { ...events[at]!, orgId: "not a uuid" }));
  const results = await Promise.allSettled(events.map((event) => door.settle({ event })));
  expect(results.map(({ status }) => status === "rejected")).toEqual(events.map((event) => poison.includes(event)));
  expect(await database.prisma.costEvent.count({ where: { orgId } })).toBe(196);
  expect(door.stats).toMatchObject({ recorded: 196, refused: 4 });
  expect(door.backlog).toBe(0);
  for (const { id } of poison) {
    expect(log.lines).toContainEqual(expect.objectContaining({ level: "error", requestId: id, costMicrodollars: 42, inputTokens: 120 }));
  }
});

it("an event whose details are refused keeps its money", async () => {
  const orgId = randomUUID();
  const { door, log } = newDoor();
  await database.pool.query("alter table cost_event add constraint refuse check (tool_name is distinct from 'refused')");
  onTestFinished(async () => void (await database.pool.query("alter table cost_event drop constraint refuse")));
  const keyId = randomUUID();
  const refused = costEvent({ orgId, toolName: "refused", apiKeyId: keyId, tags: { team: "a" } });
  const events = [costEvent({ orgId }), refused, costEvent({ orgId })];
  await Promise.all(events.map((event) => door.settle({ event })));
  expect(door.stats).toMatchObject({ recorded: 3, reduced: 1, refused: 0 });
  const row = await database.prisma.costEvent.findUniqueOrThrow({ where: { orgId_id: { orgId, id: refused.id } } });
  expect(row).toMatchObject({ costNano: 42_000n, apiKeyId: keyId, inputTokens: 120, toolName: null, tags: {} });
  expect(log.lines).toContainEqual(expect.objectContaining({ level: "error", requestId: refused.id }));
});
