import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { publicId } from "@/lib/ids";
import { nanoUsd } from "@/lib/money";
import { createTestDatabase, type TestDatabase } from "@/testing/database";
import { createApiKey, createOrganisation, type TestApiKey, type TestOrganisation } from "@/testing/factories";
import type { CostEventRecord } from "./cost-event";
import { explore } from "./explore";
import type { ExploreInput } from "./explore-input";
import { makeDailySums } from "./make-daily-sums";
import { splitRange } from "./rollup-ranges";
import { clockAt, ctxOf, eventAt, settleAll, viewer } from "./testing";

let database: TestDatabase;
let org: TestOrganisation;
let key: TestApiKey;
const at = (text: string): number => Date.parse(text);
const NOW = at("2026-11-10T12:30:00Z");

beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());
beforeEach(async () => {
  org = await createOrganisation({ prisma: database.prisma, timezone: "Europe/Berlin" });
  key = await createApiKey({ prisma: database.prisma, org });
});

const call = (time: string, cost: number, fields: Partial<CostEventRecord> = {}) =>
  eventAt(at(time), {
    orgId: org.orgId,
    costNano: nanoUsd(BigInt(cost) * 1_000n),
    chargedNano: nanoUsd(BigInt(cost) * 1_000n),
    costBreakdown: null,
    apiKeyId: key.keyId,
    customerId: null,
    sessionId: null,
    tags: {},
    ...fields,
  });
const ask = (input: ExploreInput) => explore({ ctx: ctxOf(database.prisma, viewer(org.orgId, org.userId), clockAt(NOW)), input });

describe("time", () => {
  // A day of 25 hours that is cut at 24 would show its last hour on the wrong day.
  test("days begin at midnight of the asked zone, on both sides of the end of summer time", async () => {
    await settleAll(database, [
      call("2026-10-24T21:30:00Z", 1), // 23:30 on the 24th in Berlin
      call("2026-10-24T22:30:00Z", 2), // 00:30 on the 25th
      call("2026-10-25T22:30:00Z", 4), // 23:30 on the 25th, which has 25 hours
      call("2026-10-25T23:30:00Z", 8), // 00:30 on the 26th
    ]);
    const range = { from: "2026-10-23T22:00:00Z", to: "2026-10-26T23:00:00Z" };
    const berlin = await ask(range);
    expect(berlin.buckets).toEqual(["2026-10-23T22:00:00.000Z", "2026-10-24T22:00:00.000Z", "2026-10-25T23:00:00.000Z"]);
    expect(berlin.total.points).toEqual([1, 6, 8]);
    const newYork = await ask({ ...range, timezone: "America/New_York" });
    expect(newYork.total.points.reduce((a, b) => a + b)).toBe(15);
    expect(newYork.period.timezone).toBe("America/New_York");
  });

  test("weeks begin on Monday, months on the first, hours are whole", async () => {
    await settleAll(database, [call("2026-10-31T12:00:00Z", 1), call("2026-11-01T12:00:00Z", 2), call("2026-11-02T12:00:00Z", 4)]);
    const range = { from: "2026-10-30T23:00:00Z", to: "2026-11-02T23:00:00Z" };
    expect((await ask({ ...range, bucket: "month" })).total.points).toEqual([1, 6]);
    expect((await ask({ ...range, bucket: "week" })).total.points).toEqual([3, 4]);
    expect((await ask({ ...range, bucket: "hour" })).buckets).toHaveLength(72);
  });

  test("the bucket that is not over is told", async () => {
    const { buckets, incompleteFrom } = await ask({ period: "7d" });
    expect([buckets.length, incompleteFrom]).toEqual([7, 6]);
    expect((await ask({ from: "2026-11-01", to: "2026-11-03" })).incompleteFrom).toBeNull();
  });
});

describe("groups", () => {
  const customers = (time: string) => Array.from({ length: 12 }, (_, i) => call(time, 2 ** i, { customerId: `c-${i}` }));

  test("the dearest, the rest and what names none add up to the total, in sum and in each bucket", async () => {
    await settleAll(database, [
      ...customers("2026-11-08T10:00:00Z"),
      ...customers("2026-11-09T10:00:00Z"),
      call("2026-11-09T11:00:00Z", 7),
    ]);
    const answer = await ask({ period: "7d", groupBy: "customer", top: 3 });
    expect(answer.groups.map(({ value, metric }) => [value, metric])).toEqual([
      ["c-11", 4096],
      ["c-10", 2048],
      ["c-9", 1024],
    ]);
    expect(answer.other).toMatchObject({ count: 9, metric: 2 * 511 + 7, requestCount: 19 });
    expect(answer.unnamed.totalCostMicrodollars).toBe(7);
    const parts = [...answer.groups, answer.other];
    expect(parts.reduce((total, { metric }) => total + metric, 0)).toBe(answer.total.metric);
    answer.total.points.forEach((value, index) => {
      expect(parts.reduce((total, { points }) => total + points[index]!, 0)).toBe(value);
    });
  });

  test("with the period before beside it", async () => {
    await settleAll(database, [call("2026-11-02T10:00:00Z", 3, { customerId: "a" }), call("2026-11-08T10:00:00Z", 5, { customerId: "a" })]);
    const range = { from: "2026-11-05T00:00:00Z", to: "2026-11-10T00:00:00Z" };
    const answer = await ask({ ...range, groupBy: "customer", compare: true });
    expect(answer.total.previous).toEqual({ value: 3, from: "2026-10-31T00:00:00.000Z", to: "2026-11-05T00:00:00.000Z" });
    expect(answer.groups[0]).toMatchObject({ value: "a", metric: 5, previous: 3 });
    expect(answer.other.previous).toBe(0);
  });

  test.each(["calls", "tokens", "denied"] as const)("order and points follow the metric %s", async (metric) => {
    const denied = { status: "denied", costNano: nanoUsd(0n), chargedNano: nanoUsd(0n) } as const;
    await settleAll(database, [
      call("2026-11-09T10:00:00Z", 900, { customerId: "dear", inputTokens: 1, outputTokens: 1 }),
      call("2026-11-09T10:00:00Z", 1, { customerId: "busy", inputTokens: 50, outputTokens: 5, ...denied }),
      call("2026-11-09T10:00:00Z", 1, { customerId: "busy", inputTokens: 50, outputTokens: 5, ...denied }),
    ]);
    const answer = await ask({ period: "7d", groupBy: "customer", metric });
    expect(answer.groups[0]!.value).toBe("busy");
    expect(answer.groups[0]!.metric).toBe({ calls: 2, tokens: 110, denied: 2 }[metric]);
  });

  test("keys by their names, tags by their values", async () => {
    await settleAll(database, [call("2026-11-09T10:00:00Z", 5, { tags: { team: "search" } })]);
    const byKey = await ask({ period: "7d", groupBy: "api_key" });
    expect(byKey.groups[0]).toMatchObject({ key: "test key", value: publicId("key", key.keyId) });
    expect((await ask({ period: "7d", groupBy: "tag:team" })).groups[0]).toMatchObject({ key: "search", metric: 5 });
  });

  test("a session that lies across the edge counts with what lies inside", async () => {
    await settleAll(database, [
      call("2026-11-08T23:30:00Z", 100, { sessionId: "long" }),
      call("2026-11-09T00:30:00Z", 5, { sessionId: "long" }),
      call("2026-11-09T01:30:00Z", 7, { sessionId: "short" }),
      call("2026-11-09T02:30:00Z", 1),
    ]);
    const answer = await ask({ from: "2026-11-09T00:00:00Z", to: "2026-11-10T00:00:00Z", groupBy: "session" });
    expect(answer.groups.map(({ value, metric }) => [value, metric])).toEqual([
      ["short", 7],
      ["long", 5],
    ]);
    expect([answer.other.metric, answer.total.metric]).toEqual([1, 13]);
  });
});

describe("filters", () => {
  test("one alone is exact over any range; another group within it is counted from events", async () => {
    await settleAll(database, [
      call("2026-11-09T10:00:00Z", 5, { customerId: "a", model: "m-1" }),
      call("2026-11-09T11:00:00Z", 3, { customerId: "a", model: "m-2" }),
      call("2026-11-09T11:00:00Z", 100, { customerId: "b", model: "m-1" }),
    ]);
    const alone = await ask({ period: "7d", filter: { customerId: "a" } });
    expect([alone.total.metric, alone.complete]).toEqual([8, true]);
    const within = await ask({ period: "7d", groupBy: "model", filter: { customerId: "a", apiKeyId: publicId("key", key.keyId) } });
    expect(within.groups.map(({ value, metric }) => [value, metric])).toEqual([
      ["openai/m-1", 5],
      ["openai/m-2", 3],
    ]);
    expect([within.total.metric, within.complete]).toEqual([8, true]);
    expect(within.total.points.reduce((a, b) => a + b)).toBe(8);
  });

  test("nothing of another organisation is counted", async () => {
    const other = await createOrganisation({ prisma: database.prisma });
    await settleAll(database, [call("2026-11-09T10:00:00Z", 5, { orgId: other.orgId, customerId: "a" })]);
    for (const groupBy of ["customer", "model", "session"]) expect((await ask({ period: "7d", groupBy })).total.requestCount).toBe(0);
    expect((await ask({ period: "7d", groupBy: "model", filter: { customerId: "a" } })).total.requestCount).toBe(0);
  });
});

describe("sums by day", () => {
  const made = () => database.prisma.costRollupDayMade.count({ where: { orgId: org.orgId } });
  const make = (day: string) =>
    database.prisma.$queryRaw<{ made: boolean }[]>`SELECT make_rollup_day(${org.orgId}::uuid, ${day}::date) AS made`;
  // The database's clock decides which days are over, so these lie well in the past.
  const range = { from: "2026-09-01T05:00:00Z", to: "2026-09-05T07:00:00Z", groupBy: "customer", bucket: "day" } as const;
  const events = () =>
    ["01T04", "01T06", "02T00", "02T23", "03T12", "04T00", "05T06", "05T07"].map((hour, i) =>
      call(`2026-09-${hour}:30:00Z`, 2 ** i, { customerId: "a" }),
    );

  test("are the same as those by the hour, in every zone and bucket", async () => {
    await settleAll(database, events());
    const zones = ["UTC", "Europe/Berlin", "America/New_York", "Pacific/Kiritimati", "Asia/Kathmandu", "Pacific/Pago_Pago"];
    const questions = zones.flatMap((timezone) => (["day", "week", "month"] as const).map((bucket) => ({ ...range, timezone, bucket })));
    const byHour = await Promise.all(questions.map(ask));
    for (const day of ["2026-09-02", "2026-09-04"]) await make(day);
    expect(await made()).toBe(2);
    expect(await Promise.all(questions.map(ask))).toEqual(byHour);
    for (const { total, groups } of byHour) {
      expect(total.metric).toBe(0b1111110);
      expect(groups[0]!.points.reduce((a, b) => a + b)).toBe(0b1111110);
    }
  });

  test("count no longer once an hour of theirs changes, and are made again", async () => {
    await settleAll(database, events());
    await make("2026-09-02");
    await settleAll(database, [call("2026-09-02T10:00:00Z", 1_000, { customerId: "a" })]);
    expect(await made()).toBe(0);
    expect((await ask(range)).total.metric).toBe(0b1111110 + 1_000);
    await make("2026-09-02");
    expect((await ask(range)).total.metric).toBe(0b1111110 + 1_000);
  });

  test("a job makes those that are missing, once", async () => {
    await settleAll(database, events());
    await make("2026-09-02");
    expect(await makeDailySums({ prisma: database.prisma })).toBeGreaterThanOrEqual(4);
    expect(await made()).toBe(5);
    expect(await makeDailySums({ prisma: database.prisma })).toBe(0);
    expect((await ask(range)).total.metric).toBe(0b1111110);
  });

  test("a day that is not over has none", async () => {
    const today = new Date().toISOString().slice(0, 10);
    expect(await make(today)).toEqual([{ made: false }]);
  });

  test("a range is split into made days and the hours around them", () => {
    const [from, to] = [new Date("2026-09-01T05:00:00Z"), new Date("2026-09-04T03:00:00Z")];
    const days = ["2026-09-02", "2026-09-03"].map((day) => new Date(day));
    expect(splitRange({ from, to }, days).hours).toEqual([
      { from, to: days[0] },
      { from: new Date("2026-09-04"), to },
    ]);
    expect(splitRange({ from: days[0]!, to: new Date("2026-09-04") }, days).hours).toEqual([]);
    expect(splitRange({ from, to }, []).hours).toEqual([{ from, to }]);
  });
});
