import { randomUUID } from "node:crypto";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { publicId } from "@/lib/ids";
import { nanoUsd } from "@/lib/money";
import { anyCostEvent, costEvent } from "@/server/ledger/testing";
import { createTestDatabase, type TestDatabase } from "@/testing/database";
import { createApiKey, createOrganisation } from "@/testing/factories";
import type { CostEventRecord } from "./cost-event";
import { Attribution, AttributionDetail, getAttribution, getAttributionDetail } from "./get-attribution";
import { CostSummary, getCostSummary } from "./get-cost-summary";
import type { AttributionInput, CostSummaryInput } from "./input";
import { listTagKeys } from "./list-tag-keys";
import { clockAt, ctxOf, eventAt, keyWith, settleAll, viewer } from "./testing";

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

const NOON_MS = Date.UTC(2026, 10, 20, 12);

async function newOrg(timezone = "UTC") {
  const org = await createOrganisation({ prisma: database.prisma, timezone });
  return { ...org, ctx: ctxOf(database.prisma, viewer(org.orgId, org.userId), clockAt(NOON_MS)) };
}

const microdollarsOf = (events: readonly CostEventRecord[]): number =>
  Number(events.reduce((sum, { costNano }) => sum + (costNano ?? 0n), 0n)) / 1000;

const rejection = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => "resolved",
    (error: unknown) => error,
  );

describe("getCostSummary", () => {
  it("agrees with the raw events in every part", async () => {
    const { orgId, userId, ctx } = await newOrg();
    const { keyId, keyName } = await createApiKey({ prisma: database.prisma, org: { orgId, userId } });
    const events = fc.sample(anyCostEvent({ orgId, keyIds: [keyId, randomUUID()], startMs: NOON_MS - 6 * 3_600_000 }), {
      numRuns: 800,
      seed: 3,
    });
    await settleAll(database, events);
    const summary = await getCostSummary({ ctx, input: { period: "7d" } });
    expect(CostSummary.strict().parse(summary)).toEqual(summary);

    expect(summary.totals).toMatchObject({
      totalCostMicrodollars: microdollarsOf(events),
      totalRequests: events.length,
      requestCount: events.length,
      deniedCount: events.filter(({ status }) => status === "denied").length,
      unpricedCount: events.filter(({ costBasis }) => costBasis === "unpriced").length,
      inputTokens: events.reduce((sum, { inputTokens }) => sum + (inputTokens ?? 0), 0),
    });
    const breakdown = events.map(({ costBreakdown }) => costBreakdown);
    expect(summary.costBreakdown.cacheWriteCost).toBe(Number(breakdown.reduce((sum, part) => sum + (part?.cacheWrite ?? 0n), 0n)) / 1000);
    for (const { provider, model, totalCostMicrodollars, requestCount } of summary.models) {
      const own = events.filter((event) => event.provider === provider && event.model === model);
      expect({ totalCostMicrodollars, requestCount }).toEqual({ totalCostMicrodollars: microdollarsOf(own), requestCount: own.length });
    }
    for (const parts of [summary.models, summary.providers, summary.sources]) {
      expect(parts.reduce((sum, { requestCount }) => sum + requestCount, 0)).toBe(events.length);
    }
    expect(summary.keys.find(({ apiKeyId }) => apiKeyId === publicId("key", keyId))).toMatchObject({ keyName });
    expect(summary.keys.find(({ apiKeyId }) => apiKeyId !== publicId("key", keyId))).toMatchObject({ keyName: null });
    expect(summary.tools.map(({ toolName }) => toolName).toSorted()).toEqual(["mail", "search"]);
    expect(summary.daily.length).toBe(7);
    expect(summary.daily.at(-1)).toMatchObject({ date: "2026-11-20", requestCount: events.length });
    expect(summary.daily[0]).toEqual({ date: "2026-11-14", totalCostMicrodollars: 0, requestCount: 0, deniedCount: 0 });
  });

  it("counts days as the organisation's time zone does, across a change of its clocks", async () => {
    const { orgId, ctx } = await newOrg("America/New_York");
    // Clocks go back on 1 November 2026: that day has 25 hours, 04:00Z to 05:00Z of the next.
    const at = (iso: string) => eventAt(Date.parse(iso), { orgId });
    await settleAll(database, [
      at("2026-11-01T03:59:00Z"),
      at("2026-11-01T04:00:00Z"),
      at("2026-11-02T04:59:00Z"),
      at("2026-11-02T05:00:00Z"),
    ]);
    const { daily, period } = await getCostSummary({ ctx, input: { period: "30d" } });
    const counts = Object.fromEntries(daily.filter(({ requestCount }) => requestCount > 0).map((day) => [day.date, day.requestCount]));
    expect(counts).toEqual({ "2026-10-31": 1, "2026-11-01": 2, "2026-11-02": 1 });
    expect(daily.length).toBe(30);
    expect(period).toMatchObject({ timezone: "America/New_York", name: "30d", from: "2026-10-22T04:00:00.000Z" });
  });

  it("an empty organisation has zeros and every day", async () => {
    const { ctx } = await newOrg();
    const summary = await getCostSummary({ ctx, input: {} });
    expect(summary.totals.totalRequests).toBe(0);
    expect(summary.daily.length).toBe(30);
    expect(summary.models).toEqual([]);
  });

  it("`from` is included and `to` is not, in whole hours", async () => {
    const { orgId, ctx } = await newOrg();
    await settleAll(database, [eventAt(NOON_MS - 1, { orgId }), eventAt(NOON_MS, { orgId }), eventAt(NOON_MS + 3_600_000, { orgId })]);
    const { totals, period } = await getCostSummary({ ctx, input: { from: "2026-11-20T12:30:00Z", to: "2026-11-20T13:00:00Z" } });
    expect(totals.totalRequests).toBe(1);
    expect(period).toMatchObject({ from: "2026-11-20T12:00:00.000Z", to: "2026-11-20T13:00:00.000Z", name: null });
  });

  it("never counts another organisation's calls", async () => {
    const mine = await newOrg();
    const theirs = await newOrg();
    await settleAll(database, [eventAt(NOON_MS, { orgId: theirs.orgId, tags: { secret: "x" }, customerId: "c" })]);
    expect((await getCostSummary({ ctx: mine.ctx, input: {} })).totals.totalRequests).toBe(0);
    expect((await getAttribution({ ctx: mine.ctx, input: { groupBy: "customer" } })).groups).toEqual([]);
    expect(await listTagKeys({ ctx: mine.ctx })).toEqual([]);
    const { models, totals } = await getAttributionDetail({ ctx: mine.ctx, input: { groupBy: "customer", value: "c" } });
    expect({ models, requestCount: totals.requestCount }).toEqual({ models: [], requestCount: 0 });
  });

  it.each([
    [{ period: "1d" }, "period"],
    [{ period: "7d", from: "2026-01-01" }, "period"],
    [{ to: "2026-01-01" }, "to"],
    [{ from: "2026-01-02", to: "2026-01-01" }, "to"],
    [{ from: "0001-01-01", to: "9999-12-31" }, "from"],
    [{ from: "2024-01-01" }, "from"],
    [{ limit: 1 }, ""],
  ])("refuses %j and names the field", async (input, path) => {
    const { ctx } = await newOrg();
    expect(await rejection(getCostSummary({ ctx, input: input as CostSummaryInput }))).toMatchObject({
      code: "bad_request",
      details: { issues: expect.arrayContaining([expect.objectContaining({ path })]) },
    });
  });

  it("needs `read` or a member of the organisation", async () => {
    const { orgId, userId } = await newOrg();
    const self = ctxOf(database.prisma, keyWith({ orgId, userId, keyId: randomUUID() }, "proxy", "self"));
    expect(await rejection(getCostSummary({ ctx: self, input: {} }))).toMatchObject({ code: "forbidden" });
    expect(await rejection(getAttribution({ ctx: self, input: { groupBy: "model" } }))).toMatchObject({ code: "forbidden" });
    expect(await rejection(listTagKeys({ ctx: self }))).toMatchObject({ code: "forbidden" });
    const read = ctxOf(database.prisma, keyWith({ orgId, userId, keyId: randomUUID() }, "read"));
    expect((await getCostSummary({ ctx: read, input: {} })).totals.totalRequests).toBe(0);
  });
});

describe("getAttribution", () => {
  const GROUPS = ["api_key", "user", "customer", "model", "provider", "source", "tool", "team", "tag:customer"];

  it("groups and what names none add up to the totals, by every dimension", async () => {
    const { orgId, userId, ctx } = await newOrg();
    const { keyId, keyName } = await createApiKey({ prisma: database.prisma, org: { orgId, userId } });
    const events = fc.sample(anyCostEvent({ orgId, keyIds: [keyId], startMs: NOON_MS - 5 * 3_600_000 }), { numRuns: 400, seed: 11 });
    await settleAll(database, events);
    for (const groupBy of GROUPS) {
      const report = await getAttribution({ ctx, input: { groupBy, period: "7d" } });
      expect(Attribution.strict().parse(report)).toEqual(report);
      expect(report.totals.totalCostMicrodollars).toBe(microdollarsOf(events));
      expect(report.groups.reduce((sum, { requestCount }) => sum + requestCount, 0)).toBe(events.length);
      expect(report.groups.reduce((sum, group) => sum + Math.round(group.totalCostMicrodollars * 1000), 0)).toBe(
        microdollarsOf(events) * 1000,
      );
      const named = report.groups.filter(({ value }) => value !== null);
      expect(named.map(({ totalCostMicrodollars }) => totalCostMicrodollars)).toEqual(
        named.map(({ totalCostMicrodollars }) => totalCostMicrodollars).toSorted((a, b) => b - a),
      );
      for (const group of named) {
        const detail = await getAttributionDetail({ ctx, input: { groupBy, value: group.value!, period: "7d" } });
        expect(AttributionDetail.strict().parse(detail)).toEqual(detail);
        expect(detail.totals.requestCount).toBe(group.requestCount);
        expect(detail.daily.reduce((sum, { requestCount }) => sum + requestCount, 0)).toBe(group.requestCount);
        expect(detail.models.reduce((sum, { requestCount }) => sum + requestCount, 0)).toBe(group.requestCount);
        expect(detail.modelsComplete).toBe(true);
      }
    }
    const byKey = await getAttribution({ ctx, input: { groupBy: "api_key" } });
    expect(byKey.groups.find(({ value }) => value !== null)).toMatchObject({
      key: keyName,
      keyId: publicId("key", keyId),
      value: publicId("key", keyId),
    });
    expect(byKey.groups.find(({ value }) => value === null)).toMatchObject({ key: "(no key)" });
  });

  it("shows the dearest groups up to the limit and says that there are more", async () => {
    const { orgId, ctx } = await newOrg();
    await settleAll(
      database,
      Array.from({ length: 12 }, (_, i) => eventAt(NOON_MS, { orgId, customerId: `c${i}`, costNano: nanoUsd(BigInt(i) * 1_000_000n) })),
    );
    const report = await getAttribution({ ctx, input: { groupBy: "customer", limit: 3 } });
    expect(report.groups.map(({ key }) => key)).toEqual(["c11", "c10", "c9"]);
    expect(report).toMatchObject({ totalGroups: 12, hasMore: true });
  });

  it.each([
    [{ groupBy: "a b" }, "groupBy"],
    [{ groupBy: "_ns_x" }, "groupBy"],
    [{ groupBy: "tag:" }, "groupBy"],
    [{ groupBy: "team'; drop table cost_event; --" }, "groupBy"],
    [{}, "groupBy"],
    [{ groupBy: "team", limit: 501 }, "limit"],
    [{ groupBy: "team", limit: -1 }, "limit"],
  ])("refuses %j and names the field", async (input, path) => {
    const { ctx } = await newOrg();
    expect(await rejection(getAttribution({ ctx, input: input as AttributionInput }))).toMatchObject({
      code: "bad_request",
      details: { issues: expect.arrayContaining([expect.objectContaining({ path })]) },
    });
  });

  it("a value that is no id of a key is refused, one that was never used is empty", async () => {
    const { ctx } = await newOrg();
    expect(await rejection(getAttributionDetail({ ctx, input: { groupBy: "api_key", value: "x" } }))).toMatchObject({
      code: "bad_request",
    });
    const detail = await getAttributionDetail({ ctx, input: { groupBy: "team", value: "x' or '1'='1" } });
    expect(detail.totals.requestCount).toBe(0);
  });
});

it("tag keys are those of the last 30 days, by name", async () => {
  const { orgId, ctx } = await newOrg();
  await settleAll(database, [
    eventAt(NOON_MS, { orgId, tags: { team: "a", env: "x" } }),
    eventAt(NOON_MS - 86_400_000, { orgId, tags: { team: "b", Zone: "" } }),
    eventAt(NOON_MS - 31 * 86_400_000, { orgId, tags: { old: "a" } }),
    costEvent({ orgId, createdAtMs: NOON_MS }),
  ]);
  expect(await listTagKeys({ ctx })).toEqual(["Zone", "env", "team"]);
});
