import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { publicId } from "@/lib/ids";
import { nanoUsd } from "@/lib/money";
import type { CostEventRecord } from "@/server/events";
import { clockAt, ctxOf, eventAt, settleAll, viewer } from "@/server/events/testing";
import { createTestDatabase, type TestDatabase } from "@/testing/database";
import { createApiKey, createOrganisation, type TestApiKey, type TestOrganisation } from "@/testing/factories";
import { previewBudget, type PreviewBudgetInput } from "./budget-preview";

let database: TestDatabase;
let org: TestOrganisation;
let key: TestApiKey;
const NOW = Date.parse("2026-11-24T12:00:00Z");

beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());
beforeEach(async () => {
  org = await createOrganisation({ prisma: database.prisma, timezone: "Europe/Berlin" });
  key = await createApiKey({ prisma: database.prisma, org });
});

const call = (time: string, cost: number, fields: Partial<CostEventRecord> = {}) =>
  eventAt(Date.parse(time), {
    orgId: org.orgId,
    apiKeyId: key.keyId,
    costNano: nanoUsd(BigInt(cost) * 1_000n),
    chargedNano: nanoUsd(BigInt(cost) * 1_000n),
    costBreakdown: null,
    ...fields,
  });
const preview = (input: PreviewBudgetInput) =>
  previewBudget({ ctx: ctxOf(database.prisma, viewer(org.orgId, org.userId), clockAt(NOW)), input });

test("says how many calls a limit would have stopped, and from when, to the call", async () => {
  await settleAll(database, [
    call("2026-11-02T10:00:00Z", 40),
    call("2026-11-20T10:10:00Z", 40),
    call("2026-11-20T10:20:00Z", 40), // reaches the limit
    call("2026-11-20T10:30:00Z", 5),
    call("2026-11-23T08:00:00Z", 7),
    call("2026-11-23T08:00:00Z", 0, { status: "denied", denialCode: "frozen" }),
  ]);
  const answer = await preview({ entityType: "org", maxBudgetMicrodollars: 100, resetInterval: "monthly" });
  expect(answer).toMatchObject({
    stoppedCalls: 2,
    stoppedMicrodollars: 12,
    firstStoppedAt: "2026-11-20T10:30:00.000Z",
    highestPeriodMicrodollars: 132,
    complete: true,
  });
  expect((await preview({ entityType: "org", maxBudgetMicrodollars: 133, resetInterval: "monthly" })).stoppedCalls).toBe(0);
});

test("each period begins anew, by the calendar of the organisation", async () => {
  // 23:30 and 00:30 in Berlin: two days, though one in UTC.
  await settleAll(database, [call("2026-11-20T22:30:00Z", 60), call("2026-11-20T22:40:00Z", 60), call("2026-11-20T23:30:00Z", 60)]);
  const daily = await preview({ entityType: "org", maxBudgetMicrodollars: 60, resetInterval: "daily" });
  expect(daily.periods.map(({ calls, stoppedCalls }) => [calls, stoppedCalls])).toEqual([
    [2, 1],
    [1, 0],
  ]);
});

test("a budget of a key, customer or tag looks at its own calls, and at its own models alone", async () => {
  await settleAll(database, [
    call("2026-11-20T10:00:00Z", 50, { customerId: "acme", tags: { team: "a=b" }, model: "gpt-x-2026", requestedModel: "gpt-x" }),
    call("2026-11-20T11:00:00Z", 50, { customerId: "acme", tags: { team: "a=b" }, model: "other", requestedModel: "other" }),
    call("2026-11-20T12:00:00Z", 50, { customerId: "else", apiKeyId: null, requestedModel: "other" }),
  ]);
  const stopped = async (input: Omit<PreviewBudgetInput, "maxBudgetMicrodollars">) =>
    (await preview({ ...input, maxBudgetMicrodollars: 50 })).stoppedCalls;
  expect(await stopped({ entityType: "org" })).toBe(2);
  expect(await stopped({ entityType: "customer", entityId: "acme" })).toBe(1);
  expect(await stopped({ entityType: "api_key", entityId: publicId("key", key.keyId) })).toBe(1);
  expect(await stopped({ entityType: "tag", entityId: "team=a=b" })).toBe(1);
  expect(await stopped({ entityType: "customer", entityId: "acme", models: ["gpt-*"] })).toBe(0);
  expect((await preview({ entityType: "org", models: ["gpt-*"], maxBudgetMicrodollars: 50 })).highestPeriodMicrodollars).toBe(50);
});
