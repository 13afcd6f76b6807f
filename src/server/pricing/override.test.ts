import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { systemClock } from "@/lib/clock";
import { isServiceError, type ServiceError } from "@/lib/errors";
import { costOfUsage } from "@/server/metering/cost-of-usage";
import type { UsageQuantities } from "@/server/metering/usage";
import type { Ctx, Principal } from "@/server/context";
import type { Scope } from "@/server/api-key/identity";
import { createTestDatabase, type TestDatabase } from "@/testing/database";
import { createMember, createOrganisation, type TestOrganisation } from "@/testing/factories";
import { createOverrideStore, createPriceBook, deletePriceOverride, ListPriceBook, listPrices, putPriceOverride } from ".";
import type { PriceBook, OverrideStore, PriceQuery, PutPriceInput } from ".";

// A negotiated price that is not used, or used for somebody else or for too long, is a wrong bill that nobody notices for weeks.

const list = new ListPriceBook();
const PRICE: PutPriceInput = { provider: "openai", model: "gpt-5", inputUsdPerMTok: 1, outputUsdPerMTok: "8" };

let database: TestDatabase;
let org: TestOrganisation;
let ctx: Ctx;
let store: OverrideStore;
let book: PriceBook;

beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());
beforeEach(async () => {
  org = await createOrganisation({ prisma: database.prisma });
  ctx = ctxOf({ type: "user", ...org, role: "admin" });
  store = createOverrideStore({ prisma: database.prisma });
  book = createPriceBook({ list, overrides: store });
});

const ctxOf = (principal: Principal): Ctx => ({ prisma: database.prisma, clock: systemClock, principal, ip: "203.0.113.7" });
const keyCtx = (scopes: Scope[]): Ctx =>
  ctxOf({ type: "api_key", ...org, keyId: "00000000-0000-4000-8000-000000000001", role: "owner", scopes: new Set(scopes) });

const put = (input: Partial<PutPriceInput> = {}) => putPriceOverride({ ctx, input: { ...PRICE, ...input } });
const remove = (model = PRICE.model) => deletePriceOverride({ ctx, input: { provider: "openai", model } });
const list100 = (input = {}) => listPrices({ ctx, list, input: { limit: 100, list: false, includeWithdrawn: false, ...input } });

async function version(orgId = org.orgId): Promise<bigint> {
  return (await database.prisma.organisation.findUniqueOrThrow({ where: { id: orgId } })).configVersion;
}

/** As the gateway settles: make sure of the newest overrides, then ask. */
async function find(query: Partial<PriceQuery> = {}) {
  const orgId = query.orgId ?? org.orgId;
  await store.ensureLoaded(orgId, await version(orgId));
  return book.findPrice({ provider: "openai", model: "gpt-5", atMs: Date.now() + 1000, ...query, orgId });
}

async function costOf(quantities: UsageQuantities, query: Partial<PriceQuery> = {}) {
  const price = await find(query);
  return price && costOfUsage({ quantities, price });
}

async function refusal(work: Promise<unknown>): Promise<ServiceError> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!isServiceError(error)) throw new Error("was not refused", { cause: error });
  return error;
}

describe("an override", () => {
  it("replaces the list price of that model and names itself on the receipt", async () => {
    const { id } = await put();
    const result = await costOf({ input: 1000, output: 1000 });
    expect(result).toMatchObject({ priced: true, receipt: { cost: 9_000_000n, priceVersion: `override:ns_prc_${id}` } });
    expect((await find({ model: "gpt-5-mini" }))?.version).toMatch(/^genai-prices@/);
  });

  it("prices cache as input and reasoning as output when it does not say otherwise", async () => {
    await put({ inputUsdPerMTok: 1, outputUsdPerMTok: 8 });
    const usage = { cached_input: 1000, cache_write_5m: 1000, cache_write_1h: 1000, reasoning: 1000 };
    expect(await costOf(usage)).toMatchObject({ receipt: { cost: 11_000_000n } });
  });

  it("prices every unit as told", async () => {
    await put({
      inputUsdPerMTok: "1",
      cachedInputUsdPerMTok: 0.1,
      cacheWrite5mUsdPerMTok: "1.25",
      cacheWrite1hUsdPerMTok: 2,
      outputUsdPerMTok: 8,
      reasoningUsdPerMTok: "4.000001",
      perCallUsd: "0.000000001",
    });
    const usage = { input: 1, cached_input: 10, cache_write_5m: 100, cache_write_1h: 1000, output: 10_000, reasoning: 1_000_000 };
    // 1,000 + 1,000 + 125,000 + 2,000,000 + 80,000,000 + 4,000,001,000 + 1 nano
    expect(await costOf(usage)).toMatchObject({ receipt: { cost: 4_082_128_001n } });
  });

  it("stands alone: no tier, threshold or unit of the list mixes in", async () => {
    await put({ model: "gpt-5.4" });
    expect(await costOf({ input: 500_000 }, { model: "gpt-5.4" })).toMatchObject({ receipt: { cost: 500_000_000n } });
    expect(await costOf({ input: 1000 }, { model: "gpt-5.4", serviceTier: "flex" })).toMatchObject({ receipt: { cost: 1_000_000n } });
    expect(await costOf({ input: 1000 }, { model: "gpt-5.4", serviceTier: "unheard-of" })).toMatchObject({ priced: true });
    expect(await costOf({ input: 1, web_search: 1, audio_input: 2 }, { model: "gpt-5.4" })).toEqual({
      priced: false,
      missingUnits: ["audio_input", "web_search"],
    });
  });

  it("prices a model and a provider that no list has", async () => {
    await put({ provider: "groq", model: "llama-9", inputUsdPerMTok: 0.05, outputUsdPerMTok: 0 });
    expect(await costOf({ input: 1000, output: 1000 }, { provider: "groq", model: "llama-9" })).toMatchObject({
      receipt: { cost: 50_000n },
    });
  });

  it("is found by its exact name alone", async () => {
    await put();
    for (const query of [{ model: "GPT-5" }, { model: "gpt-5-2025-08-07" }, { model: "gpt-5 " }, { provider: "anthropic" }]) {
      expect((await find(query))?.version ?? "none").not.toMatch(/^override/);
    }
  });

  it("is found by the requested name where the served one has none of its own", async () => {
    await put();
    const served = { model: "gpt-5-2025-08-07", requestedModel: "gpt-5" };
    expect((await find(served))?.version).toMatch(/^override/);
    const dated = await put({ model: "gpt-5-2025-08-07" });
    expect((await find(served))?.version).toBe(`override:ns_prc_${dated.id}`);
  });

  it("is of one organisation", async () => {
    await put();
    const other = await createOrganisation({ prisma: database.prisma });
    expect((await find({ orgId: other.orgId }))?.version).toMatch(/^genai-prices@/);
  });

  it("that cannot be read leaves the model unpriced rather than at list", async () => {
    const { id } = await put();
    await database.prisma.price.update({ where: { id: id! }, data: { rates: { input: "-1" } } });
    expect(await find()).toBeUndefined();
  });
});

describe("time", () => {
  it("decides by the start of the call, from the first millisecond on", async () => {
    const from = new Date(Date.now() + 3_600_000);
    await put({ validFrom: from.toISOString() });
    expect((await find({ atMs: from.getTime() - 1 }))?.version).toMatch(/^genai-prices@/);
    expect((await find({ atMs: from.getTime() }))?.version).toMatch(/^override/);
  });

  it("lets the latest price that is valid win, and keeps the earlier for the calls before", async () => {
    const base = Date.now() + 1000;
    const iso = (ms: number): string => new Date(ms).toISOString();
    const second = await put({ validFrom: iso(base + 2000) });
    const first = await put({ validFrom: iso(base + 1000) });
    const third = await put({ validFrom: iso(base + 3000) });
    const at = async (atMs: number) => (await find({ atMs }))?.version;
    expect(await at(base + 1000)).toBe(`override:ns_prc_${first.id}`);
    expect(await at(base + 2999)).toBe(`override:ns_prc_${second.id}`);
    expect(await at(base + 3000)).toBe(`override:ns_prc_${third.id}`);
  });

  it("lets the later made win of two that are valid from one instant", async () => {
    const validFrom = new Date(Date.now() + 1000).toISOString();
    for (let price = 1; price <= 5; price++) await put({ inputUsdPerMTok: price, validFrom });
    expect(await costOf({ input: 1000 }, { atMs: Date.parse(validFrom) })).toMatchObject({ receipt: { cost: 5_000_000n } });
  });

  it("is the database's for a price without a time", async () => {
    const before = await databaseNow();
    const { validFrom } = await put();
    expect(validFrom!.getTime()).toBeGreaterThanOrEqual(before);
    expect(validFrom!.getTime()).toBeLessThanOrEqual(await databaseNow());
  });

  it("cannot be in the past, but for the difference of two clocks", async () => {
    const error = await refusal(put({ validFrom: new Date(Date.now() - 120_000).toISOString() }));
    expect(error).toMatchObject({ code: "bad_request", details: { issues: [{ path: "validFrom" }] } });
    const { validFrom, createdAt } = await put({ validFrom: new Date(Date.now() - 5000).toISOString() });
    expect(createdAt!.getTime() - validFrom!.getTime()).toBeLessThan(1000);
  });

  it("ends an override that is deleted for later calls and not for earlier ones", async () => {
    const { validFrom } = await put();
    const during = validFrom!.getTime();
    await remove();
    const after = (await databaseNow()) + 1;
    expect((await find({ atMs: during }))?.version).toMatch(/^override/);
    expect((await find({ atMs: after }))?.version).toMatch(/^genai-prices@/);
  });

  it("deletes what was to follow, and does not bring an older price back", async () => {
    await put({ inputUsdPerMTok: 1 });
    await put({ inputUsdPerMTok: 2 });
    const later = Date.now() + 3_600_000;
    await put({ inputUsdPerMTok: 3, validFrom: new Date(later).toISOString() });
    await remove();
    for (const atMs of [(await databaseNow()) + 1, later + 1]) expect((await find({ atMs }))?.version).toMatch(/^genai-prices@/);
  });

  async function databaseNow(): Promise<number> {
    const [row] = await database.prisma.$queryRaw<{ now: Date }[]>`select clock_timestamp() as now`;
    return row!.now.getTime();
  }
});

describe("what is held in memory", () => {
  it("is asked of the database once per version", async () => {
    const asked = await version();
    const first = store.ensureLoaded(org.orgId, asked);
    expect(store.ensureLoaded(org.orgId, asked)).toBe(first);
    await first;
    expect(store.ensureLoaded(org.orgId, asked)).toBeUndefined();
    expect(store.ensureLoaded(org.orgId, asked - 1n)).toBeUndefined();
    await put();
    const reloading = store.ensureLoaded(org.orgId, asked + 1n);
    expect(reloading).toBeInstanceOf(Promise);
    await reloading;
    expect(book.findPrice({ provider: "openai", model: "gpt-5", atMs: Date.now() + 1000, orgId: org.orgId })?.version).toMatch(/^override/);
  });

  it("does not take a load that began before a change for one after it", async () => {
    const before = await version();
    const early = store.ensureLoaded(org.orgId, before);
    await put();
    const late = store.ensureLoaded(org.orgId, before + 1n);
    await Promise.all([early, late]);
    expect(book.findPrice({ provider: "openai", model: "gpt-5", atMs: Date.now() + 1000, orgId: org.orgId })?.version).toMatch(/^override/);
  });

  it("is never read as empty before it is there", () => {
    expect(() => book.findPrice({ provider: "openai", model: "gpt-5", atMs: 0, orgId: org.orgId })).toThrow(/not loaded/);
  });

  it("rejects when the database cannot tell, stays unknown, and works again afterwards", async () => {
    await put();
    const asked = await version();
    let broken = true;
    const flaky = new Proxy(database.prisma, {
      get: (target, property) => {
        if (broken) throw new Error("connection refused");
        return Reflect.get(target, property) as unknown;
      },
    });
    const own = createOverrideStore({ prisma: flaky });
    const query = { provider: "openai", model: "gpt-5", atMs: Date.now() + 1000, orgId: org.orgId };
    await expect(own.ensureLoaded(org.orgId, asked)).rejects.toThrow("connection refused");
    expect(() => own.find(query)).toThrow(/not loaded/);
    broken = false;
    await own.ensureLoaded(org.orgId, asked);
    expect(own.find(query)).toMatchObject({ applies: true });
  });

  it("rejects a state that is older than the version asked for", async () => {
    await expect(store.ensureLoaded(org.orgId, (await version()) + 1n)).rejects.toThrow(/older/);
  });

  it("is bounded, and what was dropped is read again", async () => {
    const small = createOverrideStore({ prisma: database.prisma, orgsMax: 1 });
    const other = await createOrganisation({ prisma: database.prisma });
    await small.ensureLoaded(org.orgId, 1n);
    await small.ensureLoaded(other.orgId, 1n);
    expect(small.ensureLoaded(other.orgId, 1n)).toBeUndefined();
    const again = small.ensureLoaded(org.orgId, 1n);
    expect(again).toBeInstanceOf(Promise);
    await again;
  });

  it("settles what an organisation leaves behind at list", async () => {
    const gone = await createOrganisation({ prisma: database.prisma });
    await database.prisma.organisation.delete({ where: { id: gone.orgId } });
    await store.ensureLoaded(gone.orgId, 1n);
    expect(book.findPrice({ provider: "openai", model: "gpt-5", atMs: Date.now(), orgId: gone.orgId })).toBeDefined();
  });
});

describe("who may change prices", () => {
  it.each(["viewer", "member"] as const)("not a %s", async (role) => {
    const userId = await createMember({ prisma: database.prisma, orgId: org.orgId, role });
    const weak = ctxOf({ type: "user", orgId: org.orgId, userId, role });
    expect((await refusal(putPriceOverride({ ctx: weak, input: PRICE }))).code).toBe("forbidden");
    expect((await refusal(deletePriceOverride({ ctx: weak, input: { provider: "openai", model: "gpt-5" } }))).code).toBe("forbidden");
    expect(await listPrices({ ctx: weak, list, input: { limit: 1, list: false, includeWithdrawn: false } })).toEqual({
      data: [],
      cursor: null,
    });
  });

  it("a key with manage, and no other", async () => {
    for (const scopes of [["proxy", "ingest", "self"], ["read"]] as Scope[][]) {
      expect((await refusal(putPriceOverride({ ctx: keyCtx(scopes), input: PRICE }))).code).toBe("forbidden");
    }
    await putPriceOverride({ ctx: keyCtx(["manage"]), input: PRICE });
    await deletePriceOverride({ ctx: keyCtx(["manage"]), input: { provider: "openai", model: "gpt-5" } });
  });

  it("a key reads them with read only", async () => {
    const input = { limit: 1, list: false, includeWithdrawn: false };
    expect((await refusal(listPrices({ ctx: keyCtx(["self", "proxy"]), list, input }))).code).toBe("forbidden");
    expect((await listPrices({ ctx: keyCtx(["read"]), list, input })).data).toEqual([]);
  });

  it("nobody in another organisation", async () => {
    await put();
    const other = await createOrganisation({ prisma: database.prisma });
    const stranger = ctxOf({ type: "user", ...other, role: "owner" });
    expect((await refusal(deletePriceOverride({ ctx: stranger, input: { provider: "openai", model: "gpt-5" } }))).code).toBe("not_found");
    expect((await listPrices({ ctx: stranger, list, input: { limit: 10, list: false, includeWithdrawn: true } })).data).toEqual([]);
  });
});

describe("a change", () => {
  it("goes up in the configuration and into the audit log with it, once", async () => {
    const before = await version();
    const first = await put();
    const second = await put({ inputUsdPerMTok: 2 });
    await remove();
    expect(await version()).toBe(before + 3n);
    const rows = await database.prisma.auditLog.findMany({ where: { orgId: org.orgId }, orderBy: [{ createdAt: "asc" }] });
    expect(rows.map((row) => [row.action, row.resourceId, row.actorType, row.actorId, row.ip])).toEqual([
      ["price.created", `ns_prc_${first.id}`, "user", org.userId, "203.0.113.7"],
      ["price.created", `ns_prc_${second.id}`, "user", org.userId, "203.0.113.7"],
      ["price.withdrawn", `ns_prc_${second.id}`, "user", org.userId, "203.0.113.7"],
    ]);
    expect(rows[1]).toMatchObject({ before: { inputUsdPerMTok: "1.00" }, after: { inputUsdPerMTok: "2.00", outputUsdPerMTok: "8.00" } });
    expect(rows[2]).toMatchObject({ before: { inputUsdPerMTok: "2.00" }, after: null });
  });

  it("that is refused leaves nothing behind", async () => {
    const before = await version();
    await refusal(put({ validFrom: "2020-01-01T00:00:00Z" }));
    await refusal(put({ inputUsdPerMTok: -1 }));
    await refusal(remove());
    expect(await version()).toBe(before);
    expect(await database.prisma.price.count({ where: { orgId: org.orgId } })).toBe(0);
    expect(await database.prisma.auditLog.count({ where: { orgId: org.orgId } })).toBe(0);
  });

  it("made by many at once is made by all, in one order", async () => {
    const made = await Promise.all(Array.from({ length: 8 }, (_, index) => put({ inputUsdPerMTok: index + 1 })));
    expect(new Set(made.map(({ createdAt }) => createdAt!.getTime())).size).toBe(8);
    const latest = made.toSorted((a, b) => b.createdAt!.getTime() - a.createdAt!.getTime())[0]!;
    expect((await find())?.version).toBe(`override:ns_prc_${latest.id}`);
  });

  it.each([
    ["inputUsdPerMTok", -1],
    ["inputUsdPerMTok", "1.2345678"],
    ["inputUsdPerMTok", 1e-7],
    ["inputUsdPerMTok", Number.NaN],
    ["inputUsdPerMTok", Number.POSITIVE_INFINITY],
    ["inputUsdPerMTok", "1e3"],
    ["inputUsdPerMTok", "1,5"],
    ["inputUsdPerMTok", ""],
    ["inputUsdPerMTok", "1000000.000001"],
    ["inputUsdPerMTok", null],
    ["outputUsdPerMTok", undefined],
    ["perCallUsd", "0.0000000001"],
    ["perCallUsd", -0.01],
    ["validFrom", "tomorrow"],
    ["validFrom", "2027-01-01"],
    ["model", ""],
    ["model", "gpt 5"],
    ["model", "x".repeat(201)],
    ["provider", "OpenAI"],
    ["surprise", 1],
  ])("with %s = %s is refused by name", async (field, value) => {
    const error = await refusal(put({ [field]: value }));
    expect(error.code).toBe("bad_request");
    const issues = error.details!["issues"] as { path: string; message: string }[];
    expect(field === "surprise" ? issues[0]!.message : issues[0]!.path).toContain(field);
  });

  it("takes exact amounts as numbers and as text", async () => {
    const record = await put({ inputUsdPerMTok: 0.000001, outputUsdPerMTok: "1000000", reasoningUsdPerMTok: 0, perCallUsd: 0.000000001 });
    expect(record).toMatchObject({
      kind: "override",
      tier: null,
      inputUsdPerMTok: "0.000001",
      cachedInputUsdPerMTok: null,
      outputUsdPerMTok: "1000000.00",
      reasoningUsdPerMTok: "0.00",
      perCallUsd: "0.000000001",
    });
    expect(record.rates.find((rate) => rate.unit === "cached_input")).toEqual({
      unit: "cached_input",
      usdPerMillion: "0.000001",
      fromInputTokens: 0,
    });
  });
});

describe("lists", () => {
  it("show overrides newest first, without the withdrawn unless asked", async () => {
    await put({ model: "a" });
    await put({ model: "b" });
    await put({ model: "c" });
    await remove("b");
    expect((await list100()).data.map(({ model }) => model)).toEqual(["c", "a"]);
    expect((await list100({ includeWithdrawn: true })).data.map(({ model }) => model)).toEqual(["c", "b", "a"]);
    expect((await list100({ model: "a" })).data).toHaveLength(1);
    expect((await list100({ provider: "anthropic" })).data).toEqual([]);
  });

  it("show each override and list price once, whatever the size of the page", async () => {
    for (const model of ["a", "b", "c"]) await put({ model });
    const whole = list.listPrices({ atMs: Date.now() }).map(({ price, tier }) => `${price.provider}/${price.model}/${tier}`);
    for (const limit of [1, 3, 7, 100]) {
      const seen: string[] = [];
      let cursor: string | null | undefined;
      for (let pages = 0; cursor !== null && pages < 400; pages++) {
        const page = await list100({ limit, list: true, ...(cursor && { cursor }) });
        expect(page.data.length).toBeLessThanOrEqual(limit);
        seen.push(...page.data.map(({ kind, provider, model, tier }) => (kind === "override" ? model : `${provider}/${model}/${tier}`)));
        cursor = page.cursor;
      }
      expect(seen).toEqual(["c", "b", "a", ...whole]);
    }
  });

  it("find list prices by any name of the model", async () => {
    const { data } = await list100({ list: true, model: "gpt-5-2025-08-07" });
    expect(data.map(({ model, tier }) => `${model} ${tier}`)).toEqual(["gpt-5 standard", "gpt-5 flex", "gpt-5 priority", "gpt-5 batch"]);
    expect(data[0]).toMatchObject({
      kind: "list",
      id: null,
      inputUsdPerMTok: "1.25",
      cachedInputUsdPerMTok: "0.125",
      outputUsdPerMTok: "10.00",
    });
    expect(data[0]!.source).toMatch(/^https:/);
  });

  it.each(["nonsense", Buffer.from("[1,2]").toString("base64url")])("refuse the cursor %s", async (cursor) => {
    expect((await refusal(list100({ cursor }))).code).toBe("bad_request");
  });
});
