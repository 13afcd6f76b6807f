import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { nanoUsd } from "@/lib/money";
import { createTestDatabase, type TestDatabase } from "@/testing/database";
import { createOrganisation, type TestOrganisation } from "@/testing/factories";
import type { CostEventRecord } from "./cost-event";
import { listCostEvents } from "./find";
import { getSessionTimeline } from "./session-timeline";
import { ctxOf, eventAt, settleAll, viewer } from "./testing";
import { drawnOrder, getTrace, listTraces } from "./traces";

let database: TestDatabase;
let org: TestOrganisation;
const START = Date.parse("2026-11-10T10:00:00Z");
const trace = (digit: string) => digit.repeat(32);

beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());
beforeEach(async () => {
  org = await createOrganisation({ prisma: database.prisma });
});

const ctx = () => ctxOf(database.prisma, viewer(org.orgId, org.userId));
const call = (seconds: number, cost: number, fields: Partial<CostEventRecord> = {}) =>
  eventAt(START + seconds * 1_000, {
    orgId: org.orgId,
    costNano: nanoUsd(BigInt(cost) * 1_000n),
    chargedNano: nanoUsd(BigInt(cost) * 1_000n),
    costBreakdown: null,
    durationMs: 500,
    ...fields,
  });

test("a session is told in order, with what it had cost after each call, page by page", async () => {
  await settleAll(
    database,
    [3, 1, 2, 5, 4].map((seconds) => call(seconds, 10 ** seconds, { sessionId: "run" })),
  );
  const first = await getSessionTimeline({ ctx: ctx(), input: { sessionId: "run", limit: 2 } });
  const second = await getSessionTimeline({ ctx: ctx(), input: { sessionId: "run", limit: 3, cursor: first.cursor! } });
  expect(
    [...first.data, ...second.data].map(({ startOffsetMs, cumulativeMicrodollars }) => [startOffsetMs, cumulativeMicrodollars]),
  ).toEqual([
    [0, 10],
    [1_000, 110],
    [2_000, 1_110],
    [3_000, 11_110],
    [4_000, 111_110],
  ]);
  expect(second.cursor).toBeNull();
});

test("traces are listed once each, the one active last first, over any number of pages", async () => {
  const digits = ["1", "2", "3", "4", "5"];
  // Each has a call in two rounds, so that every page finds old calls of traces shown before.
  await settleAll(
    database,
    [0, 1].flatMap((round) => digits.map((digit, i) => call(round * 10 + i, 1, { traceId: trace(digit) }))),
  );
  const seen: string[] = [];
  for (let cursor: string | undefined, pages = 0; pages < 10; pages += 1) {
    const page = await listTraces({ ctx: ctx(), input: { limit: 2, ...(cursor !== undefined && { cursor }) } });
    seen.push(...page.data.map(({ traceId }) => traceId[0]!));
    if (page.cursor === null) break;
    cursor = page.cursor;
  }
  expect(seen).toEqual(["5", "4", "3", "2", "1"]);
  const [first] = (await listTraces({ ctx: ctx(), input: {} })).data;
  expect(first).toMatchObject({ eventCount: 2, totalCostMicrodollars: 2, durationMs: 10_500 });
});

test("a trace is a tree with the cost of what lies below", async () => {
  const span = (spanId: string, parentSpanId: string | null) => ({
    traceId: trace("a"),
    spanId: spanId.repeat(16),
    parentSpanId: parentSpanId?.repeat(16) ?? null,
  });
  await settleAll(database, [
    call(0, 1, span("1", null)),
    call(1, 2, span("2", "1")),
    call(2, 4, span("3", "1")),
    call(3, 8, span("4", "2")),
    call(4, 16, span("5", "9")),
  ]);
  const { nodes, summary } = await getTrace({ ctx: ctx(), input: { traceId: trace("a") } });
  expect(nodes.map(({ event, depth, subtreeMicrodollars }) => [event.spanId![0], depth, subtreeMicrodollars])).toEqual([
    ["1", 0, 15],
    ["2", 1, 10],
    ["4", 2, 8],
    ["3", 1, 4],
    ["5", 0, 16],
  ]);
  expect(nodes[1]!.parentId).toBe(nodes[0]!.event.id);
  expect(summary.totalCostMicrodollars).toBe(31);
  await expect(getTrace({ ctx: ctx(), input: { traceId: trace("b") } })).rejects.toMatchObject({ code: "not_found" });
});

// Span ids are written by callers: a circle must not hang the server, nor make calls vanish.
test("circles, spans that are their own parent and twins lose no call", () => {
  const rows = [
    { id: "a", spanId: "1", parentSpanId: "2", costNano: 1n },
    { id: "b", spanId: "2", parentSpanId: "1", costNano: 1n },
    { id: "c", spanId: "3", parentSpanId: "3", costNano: 1n },
    { id: "d", spanId: "1", parentSpanId: "1", costNano: null },
    ...Array.from({ length: 2_000 }, (_, i) => ({
      id: `chain ${i}`,
      spanId: `s${i}`,
      parentSpanId: i === 0 ? null : `s${i - 1}`,
      costNano: 1n,
    })),
  ];
  const nodes = drawnOrder(rows);
  expect(new Set(nodes.map(({ row }) => row.id)).size).toBe(rows.length);
  expect(nodes.find(({ row }) => row.id === "chain 0")!.subtreeNano).toBe(2_000n);
});

test("events are found by their cost", async () => {
  await settleAll(
    database,
    [1, 10, 100].map((cost, i) => call(i, cost)),
  );
  const costs = async (input: object) => (await listCostEvents({ ctx: ctx(), input })).data.map(({ costMicrodollars }) => costMicrodollars);
  expect(await costs({ minCostMicrodollars: 10 })).toEqual([100, 10]);
  expect(await costs({ maxCostMicrodollars: 9.9999 })).toEqual([1]);
  expect(await costs({ minCostMicrodollars: 5, maxCostMicrodollars: 10 })).toEqual([10]);
});
