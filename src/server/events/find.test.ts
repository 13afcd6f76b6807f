import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { publicId, uuidv7 } from "@/lib/ids";
import { nanoUsd, picoUsd } from "@/lib/money";
import { createTestDatabase, type TestDatabase } from "@/testing/database";
import { createOrganisation } from "@/testing/factories";
import { exportCostEvents } from "./export";
import { getCostEvent, listCostEvents } from "./find";
import type { ListCostEventsInput } from "./input";
import { PublicCostEvent } from "./public-cost-event";
import { getSession, listSessions } from "./sessions";
import { ctxOf, eventAt, keyWith, settleAll, viewer } from "./testing";

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

const START_MS = Date.UTC(2026, 10, 1, 12);

async function newOrg() {
  const { orgId, userId } = await createOrganisation({ prisma: database.prisma });
  return { orgId, userId, ctx: ctxOf(database.prisma, viewer(orgId, userId)) };
}

async function allPages(list: (cursor: string | undefined) => Promise<{ data: { id: string }[]; cursor: string | null }>) {
  const ids: string[] = [];
  let cursor: string | undefined;
  for (let pages = 0; pages < 100; pages++) {
    const page = await list(cursor);
    ids.push(...page.data.map(({ id }) => id));
    if (page.cursor === null) return ids;
    cursor = page.cursor;
  }
  throw new Error("pages without end");
}

async function rejection(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => "resolved",
    (error: unknown) => error,
  );
}

describe("an event", () => {
  it("shows exactly the documented fields, ids with prefix, money exact", async () => {
    const { orgId, userId, ctx } = await newOrg();
    const [keyId, actionId] = [randomUUID(), randomUUID()];
    const event = eventAt(START_MS, {
      orgId,
      userId,
      apiKeyId: keyId,
      actionId,
      costNano: nanoUsd(42_001n),
      estimatedNano: nanoUsd(1_500_000n),
      lines: [{ unit: "input", model: "gpt-image-1", quantity: 120, unitPricePico: picoUsd(150_000n), amountPico: picoUsd(18_000_000n) }],
      toolCalls: [{ name: "search", id: null }],
      tags: { team: "a" },
    });
    await settleAll(database, [event]);
    const shown = await getCostEvent({ ctx, input: { id: publicId("event", event.id) } });
    expect(PublicCostEvent.strict().parse(shown)).toEqual(shown);
    expect(shown).toMatchObject({
      id: publicId("event", event.id),
      createdAt: "2026-11-01T12:00:00.000Z",
      apiKeyId: publicId("key", keyId),
      userId: publicId("user", userId),
      actionId: publicId("action", actionId),
      costMicrodollars: 42.001,
      costUsd: "0.000042001",
      chargedMicrodollars: 42,
      estimatedCostMicrodollars: 1_500,
      costBreakdown: { input: 18, cached: 0, cacheWrite: 0, output: 24, reasoning: 0, tools: 0 },
      lines: [{ unit: "input", model: "gpt-image-1", quantity: 120, unitPrice: "0.00000015", amount: "0.000018" }],
      toolCalls: [{ name: "search", id: null }],
      tags: { team: "a" },
      overheadMs: 0.7,
    });
  });

  it("without a price shows no cost, never zero", async () => {
    const { orgId, ctx } = await newOrg();
    const event = eventAt(START_MS, { orgId, costNano: null, costBreakdown: null, lines: null, costBasis: "unpriced" });
    await settleAll(database, [event]);
    const shown = await getCostEvent({ ctx, input: { id: publicId("event", event.id) } });
    expect(shown).toMatchObject({ costMicrodollars: null, costUsd: null, costBreakdown: null, lines: null });
  });
});

describe("who sees which events", () => {
  it("another organisation's events do not exist, by id, list, session or export", async () => {
    const mine = await newOrg();
    const theirs = await newOrg();
    const event = eventAt(START_MS, { orgId: theirs.orgId, sessionId: "theirs" });
    await settleAll(database, [event]);
    expect(await rejection(getCostEvent({ ctx: mine.ctx, input: { id: publicId("event", event.id) } }))).toMatchObject({
      code: "not_found",
    });
    expect((await listCostEvents({ ctx: mine.ctx, input: {} })).data).toEqual([]);
    expect((await listSessions({ ctx: mine.ctx, input: {} })).data).toEqual([]);
    expect(await rejection(getSession({ ctx: mine.ctx, input: { sessionId: "theirs" } }))).toMatchObject({ code: "not_found" });
    const lines: string[] = [];
    for await (const line of exportCostEvents({ ctx: mine.ctx, input: {} })) lines.push(line);
    expect(lines.length).toBe(1);
  });

  it("a key with `self` sees its own events alone, with `read` all, with neither none", async () => {
    const { orgId, userId } = await newOrg();
    const [own, other] = [randomUUID(), randomUUID()];
    const events = [eventAt(START_MS, { orgId, apiKeyId: own }), eventAt(START_MS + 1, { orgId, apiKeyId: other })];
    await settleAll(database, events);
    const key = { orgId, keyId: own, userId };
    const self = ctxOf(database.prisma, keyWith(key, "proxy", "self"));
    const seen = (await listCostEvents({ ctx: self, input: {} })).data;
    expect(seen.map(({ apiKeyId }) => apiKeyId)).toEqual([publicId("key", own)]);
    const sneaking = await listCostEvents({ ctx: self, input: { apiKeyId: publicId("key", other) } });
    expect(sneaking.data).toEqual([]);
    expect(await rejection(getCostEvent({ ctx: self, input: { id: publicId("event", events[1]!.id) } }))).toMatchObject({
      code: "not_found",
    });
    expect(await rejection(listSessions({ ctx: self, input: {} }))).toMatchObject({ code: "forbidden" });

    const read = ctxOf(database.prisma, keyWith(key, "read"));
    expect((await listCostEvents({ ctx: read, input: {} })).data.length).toBe(2);
    const neither = ctxOf(database.prisma, keyWith(key, "proxy", "ingest", "manage"));
    expect(await rejection(listCostEvents({ ctx: neither, input: {} }))).toMatchObject({ code: "forbidden" });
    expect(() => exportCostEvents({ ctx: neither, input: {} })).toThrow(expect.objectContaining({ code: "forbidden" }));
  });
});

describe("listCostEvents", () => {
  it("pages through everything once, newest first, also while new events arrive", async () => {
    const { orgId, ctx } = await newOrg();
    const events = Array.from({ length: 57 }, (_, i) => eventAt(START_MS + Math.floor(i / 10), { orgId }));
    await settleAll(database, events);
    let inserted = false;
    const ids = await allPages(async (cursor) => {
      const page = await listCostEvents({ ctx, input: { limit: 10, ...(cursor === undefined ? {} : { cursor }) } });
      if (!inserted) await settleAll(database, [eventAt(START_MS + 1_000, { orgId })]);
      inserted = true;
      return page;
    });
    expect(ids).toEqual(
      events
        .map(({ id }) => publicId("event", id))
        .toSorted()
        .toReversed(),
    );
  });

  it("filters by every field, alone and together", async () => {
    const { orgId, ctx } = await newOrg();
    const keyId = randomUUID();
    const special = eventAt(START_MS + 3_600_000, {
      orgId,
      requestId: "req-1",
      apiKeyId: keyId,
      provider: "anthropic",
      model: "claude",
      source: "mcp",
      status: "denied",
      budgetStatus: "denied",
      customerId: "acme",
      traceId: "4bf92f3577b34da6a3ce929d0e0e4736",
      sessionId: "s' or 1=1 --",
      tags: { team: 'a"b', env: "prod" },
    });
    await settleAll(database, [special, eventAt(START_MS, { orgId, tags: { team: "other" } }), eventAt(START_MS + 7_200_000, { orgId })]);
    const filters: ListCostEventsInput[] = [
      { requestId: "req-1" },
      { apiKeyId: publicId("key", keyId) },
      { provider: "anthropic" },
      { model: "claude" },
      { source: "mcp" },
      { status: "denied" },
      { budgetStatus: "denied" },
      { customerId: "acme" },
      { traceId: "4bf92f3577b34da6a3ce929d0e0e4736" },
      { sessionId: "s' or 1=1 --" },
      { tags: { team: 'a"b' } },
      { tags: { team: 'a"b', env: "prod" } },
      { from: "2026-11-01T13:00:00Z", to: "2026-11-01T13:00:00.001Z" },
      { from: "2026-11-01T14:00:00+01:00", to: "2026-11-01T13:30:00Z", provider: "anthropic", tags: { env: "prod" } },
    ];
    for (const input of filters) {
      const { data } = await listCostEvents({ ctx, input });
      expect({ input, ids: data.map(({ id }) => id) }).toEqual({ input, ids: [publicId("event", special.id)] });
    }
    const matchingNothing: ListCostEventsInput[] = [
      { tags: { team: "a" } },
      { tags: { team: 'a"b', env: "dev" } },
      { to: "2026-11-01T12:00:00Z" },
      { from: "2027-01-01" },
    ];
    for (const input of matchingNothing) {
      expect((await listCostEvents({ ctx, input })).data).toEqual([]);
    }
  });

  it.each([
    [{ limit: -1 }, "limit"],
    [{ limit: 0 }, "limit"],
    [{ limit: 101 }, "limit"],
    [{ limit: 1e9 }, "limit"],
    [{ limit: 1.5 }, "limit"],
    [{ limit: NaN }, "limit"],
    [{ limit: "25" }, "limit"],
    [{ from: "yesterday" }, "from"],
    [{ from: "2026-02-30" }, "from"],
    [{ from: "2026-01-01T00:00:00" }, "from"],
    [{ from: "2026-01-02", to: "2026-01-01" }, "to"],
    [{ from: "2026-01-01", to: "2026-01-01" }, "to"],
    [{ status: "OK" }, "status"],
    [{ apiKeyId: "x" }, "apiKeyId"],
    [{ apiKeyId: "ns_evt_0190b3c4-5d6e-7f80-9a1b-2c3d4e5f6071" }, "apiKeyId"],
    [{ model: "a\0b" }, "model"],
    [{ model: "" }, "model"],
    [{ model: "x".repeat(513) }, "model"],
    [{ tags: { "a b": "1" } }, "tags.a b"],
    [{ tags: { a: 1 } }, "tags.a"],
    [{ tags: [] }, "tags"],
    [{ unknown: 1 }, ""],
    [{ cursor: "" }, "cursor"],
    [{ cursor: "AAAA" }, "cursor"],
    [{ cursor: "x".repeat(1_001) }, "cursor"],
    [{ cursor: Buffer.from('["cost-events","1 or 1=1"]').toString("base64url") }, "cursor"],
    [{ cursor: Buffer.from('["sessions",["2026-01-01T00:00:00Z","s"]]').toString("base64url") }, "cursor"],
    [null, ""],
    ["x", ""],
  ])("refuses %j and names the field", async (input, path) => {
    const { ctx } = await newOrg();
    expect(await rejection(listCostEvents({ ctx, input: input as ListCostEventsInput }))).toMatchObject({
      code: "bad_request",
      details: { issues: expect.arrayContaining([expect.objectContaining({ path })]) },
    });
  });

  it.each([{ from: "0001-01-01" }, { to: "9999-12-31T23:59:59Z" }, { from: "0001-01-01T00:00:00Z", to: "9999-12-31" }])(
    "takes dates as far off as %j",
    async (input) => {
      const { orgId, ctx } = await newOrg();
      await settleAll(database, [eventAt(START_MS, { orgId })]);
      expect((await listCostEvents({ ctx, input })).data.length).toBe(1);
    },
  );

  it("a cursor of another organisation shows nothing of it", async () => {
    const mine = await newOrg();
    const theirs = await newOrg();
    await settleAll(database, [
      ...Array.from({ length: 3 }, () => eventAt(START_MS + 5, { orgId: theirs.orgId })),
      eventAt(START_MS, { orgId: mine.orgId }),
    ]);
    const { cursor } = await listCostEvents({ ctx: theirs.ctx, input: { limit: 1 } });
    const { data } = await listCostEvents({ ctx: mine.ctx, input: { cursor: cursor! } });
    expect(data.length).toBe(1);
  });
});

describe("sessions", () => {
  it("that ended in the same millisecond are listed once each, none is skipped", async () => {
    const { orgId, ctx } = await newOrg();
    const names = Array.from({ length: 23 }, (_, i) => `s-${i}`);
    await settleAll(
      database,
      names.map((sessionId) => eventAt(START_MS, { orgId, sessionId })),
    );
    const listed = await allPages(async (cursor) => {
      const page = await listSessions({ ctx, input: { limit: 5, ...(cursor === undefined ? {} : { cursor }) } });
      return { data: page.data.map(({ sessionId }) => ({ id: sessionId })), cursor: page.cursor };
    });
    expect(listed.toSorted()).toEqual(names.toSorted());
  });

  it("are paged dearest first once each, also where many cost the same", async () => {
    const { orgId, ctx } = await newOrg();
    const names = Array.from({ length: 12 }, (_, i) => `s-${String(i).padStart(2, "0")}`);
    const events = names.map((sessionId) => eventAt(START_MS, { orgId, sessionId }));
    await settleAll(database, [...events, eventAt(START_MS, { orgId, sessionId: "s-07" })]);
    const listed = await allPages(async (cursor) => {
      const page = await listSessions({ ctx, input: { sort: "cost", limit: 5, ...(cursor === undefined ? {} : { cursor }) } });
      return { data: page.data.map(({ sessionId }) => ({ id: sessionId })), cursor: page.cursor };
    });
    expect(listed).toEqual(["s-07", ...names.filter((name) => name !== "s-07")]);
  });

  it("are found by any part of their id, read literally, and by when they were active last", async () => {
    const { orgId, ctx } = await newOrg();
    const events = [
      eventAt(START_MS, { orgId, sessionId: "Agent_1" }),
      eventAt(START_MS + 60_000, { orgId, sessionId: "agentX1" }),
      eventAt(START_MS, { orgId, sessionId: "100%\\" }),
    ];
    await settleAll(database, events);
    const found = async (input: Parameters<typeof listSessions>[0]["input"]): Promise<string[]> =>
      (await listSessions({ ctx, input })).data.map(({ sessionId }) => sessionId);
    expect(await found({ search: "agent_" })).toEqual(["Agent_1"]);
    expect(await found({ search: "0%\\" })).toEqual(["100%\\"]);
    expect(await found({ search: "%" })).toEqual(["100%\\"]);
    expect(await found({ from: new Date(START_MS + 1).toISOString() })).toEqual(["agentX1"]);
    expect(await found({ to: new Date(START_MS + 1).toISOString(), search: "AGENT" })).toEqual(["Agent_1"]);
  });

  it("sum up their events and show the first 200", async () => {
    const { orgId, ctx } = await newOrg();
    const events = Array.from({ length: 205 }, (_, i) => eventAt(START_MS + i * 1_000, { orgId, sessionId: "long" }));
    await settleAll(database, events);
    const session = await getSession({ ctx, input: { sessionId: "long" } });
    expect(session.summary).toEqual({
      eventCount: 205,
      deniedCount: 0,
      totalCostMicrodollars: 205 * 42,
      totalInputTokens: 205 * 120,
      totalOutputTokens: 205 * 40,
      totalDurationMs: 205 * 812,
      startedAt: "2026-11-01T12:00:00.000Z",
      endedAt: "2026-11-01T12:03:24.000Z",
    });
    expect(session.events.map(({ id }) => id)).toEqual(events.slice(0, 200).map(({ id }) => publicId("event", id)));
    expect(session.hasMore).toBe(true);
  });

  it("refuse a cursor of another list", async () => {
    const { ctx } = await newOrg();
    const cursor = Buffer.from(JSON.stringify(["cost-events", uuidv7(START_MS)])).toString("base64url");
    expect(await rejection(listSessions({ ctx, input: { cursor } }))).toMatchObject({ code: "bad_request" });
  });
});

describe("exportCostEvents", () => {
  it("writes every event of the filter over many pages, with formulas made harmless", async () => {
    const { orgId, ctx } = await newOrg();
    const events = Array.from({ length: 2_100 }, (_, i) => eventAt(START_MS + i, { orgId, model: i === 0 ? "=cmd|' /C calc'!A0" : "m" }));
    await settleAll(database, [...events, eventAt(START_MS, { orgId, provider: "other" })]);
    const lines: string[] = [];
    for await (const line of exportCostEvents({ ctx, input: { provider: "openai" } })) lines.push(line);
    expect(lines.length).toBe(1 + events.length);
    expect(lines.every((line) => line.endsWith("\r\n"))).toBe(true);
    expect(lines[0]).toContain("id,requestId,createdAt,");
    expect(new Set(lines.slice(1).map((line) => line.split(",")[0]))).toEqual(new Set(events.map(({ id }) => publicId("event", id))));
    expect(lines.at(-1)).toContain(",'=cmd|' /C calc'!A0,");
  });
});
