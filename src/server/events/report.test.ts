import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parsePublicId, publicId } from "@/lib/ids";
import { createTestDatabase, type TestDatabase } from "@/testing/database";
import { createApiKey, createOrganisation } from "@/testing/factories";
import type { KeyRestrictions, Scope } from "@/server/api-key";
import { getCostEvent } from "./find";
import type { ReportCostEventInput } from "./input";
import { reportCostEvent, reportCostEvents } from "./report";
import { ctxOf, keyWith, newDoor } from "./testing";

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

async function newKey(restrictions: Partial<KeyRestrictions> = {}, scopes: Scope[] = ["ingest", "self"]) {
  const org = await createOrganisation({ prisma: database.prisma });
  const key = await createApiKey({ prisma: database.prisma, org, restrictions });
  return { ...org, ...key, ctx: ctxOf(database.prisma, keyWith({ orgId: org.orgId, ...key }, ...scopes)) };
}

const REPORT: ReportCostEventInput = { provider: "custom", model: "m", costMicrodollars: 1_500.125 };

const rejection = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => "resolved",
    (error: unknown) => error,
  );

describe("reportCostEvent", () => {
  it("stores what was told, on the reporting key, as a reported cost", async () => {
    const { ctx, keyId, keyName, userId } = await newKey();
    const reported = await reportCostEvent(
      {
        ctx,
        input: {
          ...REPORT,
          inputTokens: 10,
          outputTokens: 0,
          durationMs: 12.5,
          sessionId: " s1 ",
          traceId: "4bf92f3577b34da6a3ce929d0e0e4736",
          eventType: "tool",
          toolName: "search",
          toolServer: "mcp",
          costBreakdown: { input: 1_000, output: 500.125, reasoning: 100 },
          tags: { team: "a" },
          customer: "acme",
        },
      },
      { settleDoor: newDoor(database) },
    );
    expect(reported.deduplicated).toBe(false);
    const event = await getCostEvent({ ctx, input: { id: reported.id } });
    expect(event).toMatchObject({
      id: reported.id,
      requestId: reported.id,
      createdAt: reported.createdAt,
      source: "api",
      status: "ok",
      eventType: "tool",
      costBasis: "reported",
      costMicrodollars: 1_500.125,
      chargedMicrodollars: 1_500.125,
      inputTokens: 10,
      outputTokens: 0,
      cachedInputTokens: null,
      durationMs: 12.5,
      sessionId: "s1",
      toolName: "search",
      costBreakdown: { input: 1_000, cached: 0, cacheWrite: 0, output: 500.125, reasoning: 100, tools: 0 },
      tags: { team: "a" },
      customerId: "acme",
      apiKeyId: publicId("key", keyId),
      userId: publicId("user", userId),
      keyName,
    });
  });

  it("a second report with one idempotency key is the first event; without one it is another", async () => {
    const { ctx } = await newKey();
    const settleDoor = newDoor(database);
    const input = { ...REPORT, idempotencyKey: "order-1" };
    const first = await reportCostEvent({ ctx, input }, { settleDoor });
    expect(await reportCostEvent({ ctx, input }, { settleDoor })).toEqual({ ...first, deduplicated: true });
    const others = await Promise.all([1, 2].map(() => reportCostEvent({ ctx, input: REPORT }, { settleDoor })));
    expect(new Set([first.id, ...others.map(({ id }) => id)]).size).toBe(3);
  });

  // A unique index without the organisation let one tenant's key suppress another's event, and told it that event's id.
  it("the idempotency keys of two organisations never meet", async () => {
    const [mine, theirs] = [await newKey(), await newKey()];
    const settleDoor = newDoor(database);
    const input = { ...REPORT, idempotencyKey: "order-1" };
    const results = [
      await reportCostEvent({ ctx: mine.ctx, input }, { settleDoor }),
      await reportCostEvent({ ctx: theirs.ctx, input }, { settleDoor }),
    ];
    expect(results.map(({ deduplicated }) => deduplicated)).toEqual([false, false]);
  });

  it("default and locked tags and the locked customer of the key apply", async () => {
    const { ctx } = await newKey({ defaultTags: { env: "prod", team: "d" }, lockedTags: { dept: "x" }, lockedCustomer: "acme" });
    const input = { ...REPORT, tags: { team: "own", dept: "evil" }, customerId: "evil" };
    const { id } = await reportCostEvent({ ctx, input }, { settleDoor: newDoor(database) });
    expect(await getCostEvent({ ctx, input: { id } })).toMatchObject({
      tags: { team: "own", env: "prod", dept: "x" },
      customerId: "acme",
    });
  });

  it("a person from member on may report; viewers and keys without `ingest` may not", async () => {
    const { orgId, userId, keyId } = await newKey();
    const settleDoor = newDoor(database);
    const asUser = (role: "viewer" | "member") => ctxOf(database.prisma, { type: "user", orgId, userId, role });
    const { id } = await reportCostEvent({ ctx: asUser("member"), input: REPORT }, { settleDoor });
    expect(await getCostEvent({ ctx: asUser("viewer"), input: { id } })).toMatchObject({
      apiKeyId: null,
      userId: publicId("user", userId),
    });
    expect(await rejection(reportCostEvent({ ctx: asUser("viewer"), input: REPORT }, { settleDoor }))).toMatchObject({ code: "forbidden" });
    const reader = ctxOf(database.prisma, keyWith({ orgId, userId, keyId }, "read", "proxy"));
    expect(await rejection(reportCostEvent({ ctx: reader, input: REPORT }, { settleDoor }))).toMatchObject({ code: "forbidden" });
  });

  it("a key whose restrictions cannot be read is denied", async () => {
    const { ctx, keyId } = await newKey();
    await database.prisma.apiKey.update({ where: { id: keyId }, data: { restrictions: { newer: true } } });
    expect(await rejection(reportCostEvent({ ctx, input: REPORT }, { settleDoor: newDoor(database) }))).toMatchObject({
      code: "mandate_violation",
    });
  });

  it("parts that rounding made differ are made to add up; parts that contradict the cost are refused", async () => {
    const { ctx } = await newKey();
    const settleDoor = newDoor(database);
    const report = (input: number, output: number, reasoning = 0) =>
      reportCostEvent({ ctx, input: { ...REPORT, costMicrodollars: 10, costBreakdown: { input, output, reasoning } } }, { settleDoor });
    const { id } = await report(7, 4);
    expect((await getCostEvent({ ctx, input: { id } })).costBreakdown).toMatchObject({ input: 6, output: 4 });
    expect(await rejection(report(10, 10))).toMatchObject({ code: "bad_request" });
    expect(await rejection(report(0, 0))).toMatchObject({ code: "bad_request" });
    expect(await rejection(report(8, 2, 9))).toMatchObject({ code: "bad_request" });
  });

  it.each([
    [{ costMicrodollars: -1 }, "costMicrodollars"],
    [{ costMicrodollars: NaN }, "costMicrodollars"],
    [{ costMicrodollars: Infinity }, "costMicrodollars"],
    [{ costMicrodollars: 0.0001 }, "costMicrodollars"],
    [{ costMicrodollars: 9_000_000_000_001 }, "costMicrodollars"],
    [{ costMicrodollars: "1" }, "costMicrodollars"],
    [{ costMicrodollars: undefined }, "costMicrodollars"],
    [{ provider: "" }, "provider"],
    [{ provider: "a/b" }, "provider"],
    [{ provider: "x".repeat(101) }, "provider"],
    [{ model: "a\0b" }, "model"],
    [{ inputTokens: -1 }, "inputTokens"],
    [{ inputTokens: 1.5 }, "inputTokens"],
    [{ inputTokens: 2 ** 31 }, "inputTokens"],
    [{ durationMs: -1 }, "durationMs"],
    [{ traceId: "0".repeat(32) }, "traceId"],
    [{ traceId: "4BF92F3577B34DA6A3CE929D0E0E4736" }, "traceId"],
    [{ sessionId: "  " }, "sessionId"],
    [{ sessionId: "x".repeat(257) }, "sessionId"],
    [{ eventType: "other" }, "eventType"],
    [{ customerId: "a b" }, "customerId"],
    [{ customerId: "a", customer: "b" }, "customer"],
    [{ tags: { "a b": "1" } }, "tags.a b"],
    [{ tags: { a: 1 } }, "tags.a"],
    [{ tags: Object.fromEntries(Array.from({ length: 11 }, (_, i) => [`k${i}`, "v"])) }, "tags.k10"],
    [{ tags: "a" }, "tags"],
    [{ costBreakdown: { input: -1 } }, "costBreakdown.input"],
    [{ costBreakdown: { other: 1 } }, "costBreakdown"],
    [{ orgId: "0190b3c4-5d6e-7f80-9a1b-2c3d4e5f6071" }, ""],
    [{ source: "proxy" }, ""],
  ])("refuses %j and names the field", async (fields, path) => {
    const { ctx } = await newKey();
    const input = { ...REPORT, ...fields } as ReportCostEventInput;
    expect(await rejection(reportCostEvent({ ctx, input }, { settleDoor: newDoor(database) }))).toMatchObject({
      code: "bad_request",
      details: { issues: expect.arrayContaining([expect.objectContaining({ path })]) },
    });
    expect(await database.prisma.costEvent.count({ where: { orgId: ctx.principal.orgId } })).toBe(0);
  });

  it("while too much waits to be stored, refuses; when the database stays away, says so in time", async () => {
    const { ctx } = await newKey();
    const full = newDoor(database, { limits: { backlogEventsMax: 0 } });
    expect(await rejection(reportCostEvent({ ctx, input: REPORT }, { settleDoor: full }))).toMatchObject({ code: "overloaded" });
    const away = newDoor(database, { connectionString: "postgres://postgres@127.0.0.1:1/none" });
    expect(await rejection(reportCostEvent({ ctx, input: REPORT }, { settleDoor: away, waitMsMax: 20 }))).toMatchObject({
      code: "budget_unavailable",
    });
  });
});

describe("reportCostEvents", () => {
  // The sum of a batch was once charged to every tag that one of its events named.
  it("counts each event on its own, to its own tags and customer", async () => {
    const { ctx, orgId } = await newKey();
    const events = [
      { ...REPORT, costMicrodollars: 1, tags: { team: "a" }, customerId: "x" },
      { ...REPORT, costMicrodollars: 10, tags: { team: "b" } },
      { ...REPORT, costMicrodollars: 100, tags: { team: "a", env: "prod" }, customerId: "y" },
    ];
    const { inserted, ids } = await reportCostEvents({ ctx, input: { events } }, { settleDoor: newDoor(database) });
    expect(inserted).toBe(3);
    expect(new Set(ids.map((id) => parsePublicId("event", id))).size).toBe(3);
    const rollups = await database.prisma.costRollup.findMany({
      where: { orgId },
      select: { dimension: true, value: true, costNano: true },
    });
    const sums = Object.fromEntries(rollups.map(({ dimension, value, costNano }) => [`${dimension}=${value}`, costNano]));
    expect(sums).toMatchObject({
      "total=all": 111_000n,
      "tag:team=a": 101_000n,
      "tag:team=b": 10_000n,
      "tag:env=prod": 100_000n,
      "customer=x": 1_000n,
      "customer=y": 100_000n,
    });
  });

  it("gives the earlier id where an event was told before, in an earlier batch or in this one", async () => {
    const { ctx } = await newKey();
    const settleDoor = newDoor(database);
    const event = (idempotencyKey: string) => ({ ...REPORT, idempotencyKey });
    const first = await reportCostEvents({ ctx, input: { events: [event("a"), event("b")] } }, { settleDoor });
    const second = await reportCostEvents({ ctx, input: { events: [event("b"), event("c"), event("c"), event("a")] } }, { settleDoor });
    expect(second.inserted).toBe(1);
    expect([second.ids[0], second.ids[3]]).toEqual([first.ids[1], first.ids[0]]);
    expect(second.ids[1]).toBe(second.ids[2]);
  });

  it("one invalid event refuses the whole batch and is named by its place", async () => {
    const { ctx, orgId } = await newKey();
    const events = [REPORT, { ...REPORT, costMicrodollars: -1 }];
    expect(await rejection(reportCostEvents({ ctx, input: { events } }, { settleDoor: newDoor(database) }))).toMatchObject({
      code: "bad_request",
      details: { issues: expect.arrayContaining([expect.objectContaining({ path: "events.1.costMicrodollars" })]) },
    });
    expect(await database.prisma.costEvent.count({ where: { orgId } })).toBe(0);
  });

  it.each([0, 101])("refuses %i events", async (count) => {
    const { ctx } = await newKey();
    const events = Array.from({ length: count }, () => REPORT);
    expect(await rejection(reportCostEvents({ ctx, input: { events } }, { settleDoor: newDoor(database) }))).toMatchObject({
      code: "bad_request",
    });
  });
});
