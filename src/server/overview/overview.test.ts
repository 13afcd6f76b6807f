import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { nanoUsd } from "@/lib/money";
import { createBudget } from "@/server/budget";
import type { CostEventRecord } from "@/server/events";
import { clockAt, ctxOf, eventAt, settleAll, viewer } from "@/server/events/testing";
import { createTestDatabase, type TestDatabase } from "@/testing/database";
import { createApiKey, createOrganisation, type TestApiKey, type TestOrganisation } from "@/testing/factories";
import { getBurnRate, getMovers, getSpendOverview } from ".";

let database: TestDatabase;
let org: TestOrganisation;
let key: TestApiKey;
/** 00:30 on the 11th of November in Berlin. */
const NOW = Date.parse("2026-11-10T23:30:00Z");

beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());
beforeEach(async () => {
  org = await createOrganisation({ prisma: database.prisma, timezone: "Europe/Berlin" });
  key = await createApiKey({ prisma: database.prisma, org });
});

const ctx = (nowMs = NOW) => ctxOf(database.prisma, viewer(org.orgId, org.userId), clockAt(nowMs));
const call = (time: string | number, cost: number, fields: Partial<CostEventRecord> = {}) =>
  eventAt(typeof time === "number" ? time : Date.parse(time), {
    orgId: org.orgId,
    costNano: nanoUsd(BigInt(cost) * 1_000n),
    chargedNano: nanoUsd(BigInt(cost) * 1_000n),
    costBreakdown: null,
    apiKeyId: key.keyId,
    ...fields,
  });

test("today and the month are the organisation's, and what was denied was not spent", async () => {
  await settleAll(database, [
    call("2026-10-31T22:30:00Z", 1), // 23:30 on the 31st
    call("2026-10-31T23:30:00Z", 10), // 00:30 on the 1st
    call("2026-11-10T22:59:00Z", 100), // 23:59 yesterday
    call("2026-11-10T23:10:00Z", 1_000), // 00:10 today
    call("2026-11-10T23:20:00Z", 0, { status: "denied", denialCode: "budget_exceeded", estimatedNano: nanoUsd(7_000n) }),
    call("2026-11-05T12:00:00Z", 0, { status: "denied", denialCode: "budget_exceeded", estimatedNano: nanoUsd(5_000n) }),
  ]);
  const answer = await getSpendOverview({ ctx: ctx() });
  expect(answer.today).toMatchObject({
    from: "2026-11-10T23:00:00.000Z",
    spendMicrodollars: 1_000,
    calls: 2,
    deniedCalls: 1,
    notSpentMicrodollars: 7,
  });
  expect(answer.month).toMatchObject({ from: "2026-10-31T23:00:00.000Z", spendMicrodollars: 1_110, calls: 5, notSpentMicrodollars: 12 });
});

test("periods are compared by as many whole hours as have passed", async () => {
  const at = Date.parse("2026-11-10T12:30:00Z"); // 13:30 in Berlin
  await settleAll(database, [
    call("2026-11-09T11:30:00Z", 100), // yesterday, inside
    call("2026-11-09T12:10:00Z", 900), // yesterday, in the hour that runs today
    call("2026-11-10T11:00:00Z", 150),
    call("2026-11-10T12:10:00Z", 5), // the hour that runs
  ]);
  const { today } = await getSpendOverview({ ctx: ctx(at) });
  expect(today.comparison).toMatchObject({ spendMicrodollars: 100, currentMicrodollars: 150, changeRatio: 0.5 });
  expect(today.comparison.to).toBe("2026-11-09T12:00:00.000Z");
});

test("a month is compared with as much of the one before, never past its end", async () => {
  const { month } = await getSpendOverview({ ctx: ctx(Date.parse("2026-03-31T12:00:00Z")) });
  expect(month.comparison.to).toBe("2026-02-28T23:00:00.000Z");
  expect(month.comparison.changeRatio).toBeNull();
});

test("a forecast says how it was made, and says nothing before it can", async () => {
  expect((await getSpendOverview({ ctx: ctx() })).forecast).toMatchObject({ monthMicrodollars: null, basisHours: 0 });
  // 10 an hour since the 9th, 00:00: 47 whole hours up to 23:00 on the 10th, of which the last is not over.
  const hours = Array.from({ length: 47 }, (_, i) => call(Date.parse("2026-11-09T00:05:00Z") + i * 3_600_000, 10));
  await settleAll(database, hours);
  const { forecast, month } = await getSpendOverview({ ctx: ctx() });
  expect(forecast).toMatchObject({
    basisHours: 47,
    method: "Spent so far, and the hourly average of the last 47 hours for the rest of the month.",
  });
  // Until 2026-11-30T23:00Z there are 480 hours left.
  expect(forecast.monthMicrodollars).toBe(month.spendMicrodollars + 480 * 10);
});

test("movers are those whose spend changed most, up or down, with each day of both periods", async () => {
  await settleAll(database, [
    call("2026-11-09T12:00:00Z", 100, { customerId: "up" }),
    call("2026-11-02T12:00:00Z", 300, { customerId: "down" }),
    call("2026-11-02T12:00:00Z", 50, { customerId: "same" }),
    call("2026-11-09T12:00:00Z", 50, { customerId: "same" }),
  ]);
  const { movers } = await getMovers({ ctx: ctx(), input: { dimension: "customer" } });
  expect(movers.map(({ key: name, changeMicrodollars }) => [name, changeMicrodollars])).toEqual([
    ["down", -300],
    ["up", 100],
  ]);
  expect(movers[0]!.points).toHaveLength(14);
  expect(movers[0]!.points.indexOf(300)).toBe(4);
});

test("the burn rate is that of the last minutes, and a limit without spend is never reached", async () => {
  const admin = { ...ctx(), principal: { type: "user", orgId: org.orgId, userId: org.userId, role: "owner" } } as const;
  await createBudget({ ctx: admin, input: { entityType: "org", maxBudgetMicrodollars: 10_000_000 } });
  await settleAll(database, [call(NOW - 60_000, 500), call(NOW - 120_000, 500), call(NOW - 600_000, 9_000)]);
  const answer = await getBurnRate({ ctx: ctx() });
  expect(answer).toMatchObject({ windowSeconds: 300, perMinuteMicrodollars: 200, callsPerMinute: 0.4, nearest: null });
  expect(answer.budgets[0]).toMatchObject({ perMinuteMicrodollars: 0, secondsToLimit: null });
});
