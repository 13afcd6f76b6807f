import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { findProvider } from "@pydantic/genai-prices";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { costOfUsage } from "@/server/metering/cost-of-usage";
import { createTestDatabase, type TestDatabase } from "@/testing/database";
import { createListPriceStore, decidePriceProposal, fetchText, ListPriceBook, listPriceProposals, refreshListPrices } from ".";

// A refresh that takes a slip of the list for a price makes every bill of a model wrong at once, for everybody.

let database: TestDatabase;
let book: ListPriceBook;
const warnings: string[] = [];
const log = { warn: (_details: object, message: string) => void warnings.push(message) };

beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());
beforeEach(async () => {
  book = new ListPriceBook();
  warnings.length = 0;
  await database.prisma.price.deleteMany();
  await database.prisma.priceProposal.deleteMany();
});

type RemoteModel = { id: string; match: object; prices: unknown };
type RemoteProvider = { id: string; name: string; pricing_urls: string[]; models: RemoteModel[] };

/** The list as it is published: the package's own data as JSON, with what a test changes. */
function published(change: (providers: { openai: RemoteProvider; anthropic: RemoteProvider }) => void = () => {}): string {
  const copy = (id: string): RemoteProvider => JSON.parse(JSON.stringify(findProvider({ providerId: id }))) as RemoteProvider;
  const providers = { openai: copy("openai"), anthropic: copy("anthropic") };
  change(providers);
  return JSON.stringify(Object.values(providers));
}
const modelOf = (provider: RemoteProvider, id: string): RemoteModel => provider.models.find((model) => model.id === id)!;
function setPrices(provider: RemoteProvider, id: string, prices: object): void {
  const model = modelOf(provider, id);
  model.prices = { ...(model.prices as object), ...prices };
}

const refresh = (text: string) => refreshListPrices({ prisma: database.prisma, fetch: async () => text });
const rows = () => database.prisma.price.findMany({ where: { orgId: null }, orderBy: { createdAt: "asc" } });

async function costNow(model: string, provider = "openai", atMs = Date.now() + 600_000): Promise<bigint | undefined> {
  await createListPriceStore({ prisma: database.prisma, book, log }).load();
  const price = book.findPrice({ provider, model, atMs, orgId: "" });
  const cost = price && costOfUsage({ quantities: { input: 1000, output: 1000 }, price });
  return cost?.priced ? cost.receipt.cost : undefined;
}

describe("a list that says what we know", () => {
  it("writes nothing", async () => {
    const report = await refresh(published());
    expect(report).toMatchObject({ inserted: [], held: [], validFrom: null, unreadable: [] });
    expect(report.unchanged).toBeGreaterThan(100);
    expect(await rows()).toEqual([]);
  });

  it("and knows nothing of an upstream of the allow-list is taken for the others, and the report names that one", async () => {
    const text = published(({ openai }) => setPrices(openai, "gpt-5", { input_mtok: 1 }));
    const providers = ["openai", "anthropic", "our-own-cluster"];
    const report = await refreshListPrices({ prisma: database.prisma, fetch: async () => text, providers });
    expect(report.unlisted).toEqual(["our-own-cluster"]);
    expect(report.inserted.map(({ model }) => model)).toEqual(["gpt-5"]);
  });
});

describe("a new price", () => {
  it("is a row that begins later, and the price of calls that started before stays", async () => {
    const report = await refresh(published(({ openai }) => setPrices(openai, "gpt-5", { input_mtok: 1, output_mtok: 8 })));
    expect(report.inserted).toEqual([{ provider: "openai", model: "gpt-5", changes: ["input: $1.25 → $1.00", "output: $10.00 → $8.00"] }]);
    expect(report.tiersToCheck).toEqual(["openai/gpt-5"]);
    expect(report.validFrom!.getTime()).toBeGreaterThan(Date.now() + 60_000);
    expect(await costNow("gpt-5")).toBe(9_000_000n);
    expect(await costNow("gpt-5", "openai", Date.now())).toBe(11_250_000n);
    const [row] = await rows();
    expect(row).toMatchObject({ orgId: null, provider: "openai", model: "gpt-5", withdrawnAt: null });
    expect(row!.source).toContain("https://");
  });

  it("is priced under the version of its row, with cached tokens, tools and thresholds as before", async () => {
    await refresh(
      published(({ openai }) => setPrices(openai, "gpt-5.4", { cache_read_mtok: { base: 0.2, tiers: [{ start: 272_000, price: 0.4 }] } })),
    );
    await costNow("gpt-5.4");
    const price = book.findPrice({ provider: "openai", model: "gpt-5.4-2026-03-05", atMs: Date.now() + 600_000, orgId: "" })!;
    expect(price.version).toMatch(/^list:ns_prc_[0-9a-f-]{36}$/);
    const cost = costOfUsage({ quantities: { cached_input: 272_001, web_search: 1, container_1g: 1 }, price });
    expect(cost.priced && cost.receipt.cost).toBe(272_001n * 400n + 10_000_000n + 30_000_000n);
  });

  it("is written once, however often and by how many processes at once it is seen", async () => {
    const text = published(({ openai }) => setPrices(openai, "gpt-5", { input_mtok: 1 }));
    const reports = await Promise.all(Array.from({ length: 8 }, () => refresh(text)));
    expect(reports.map((report) => report.inserted.length).toSorted((a, b) => a - b)).toEqual([0, 0, 0, 0, 0, 0, 0, 1]);
    expect((await refresh(text)).inserted).toEqual([]);
    expect(await rows()).toHaveLength(1);
  });

  it("never edits the row before it", async () => {
    await refresh(published(({ openai }) => setPrices(openai, "gpt-5", { input_mtok: 1 })));
    const [first] = await rows();
    await refresh(published(({ openai }) => setPrices(openai, "gpt-5", { input_mtok: 0.9 })));
    const all = await rows();
    expect(all).toHaveLength(2);
    expect(all[0]).toEqual(first);
    expect(await costNow("gpt-5")).toBe(10_900_000n);
  });

  it("of a model that is new is priced by its names, and not by those that begin alike", async () => {
    await refresh(
      published(({ anthropic }) =>
        anthropic.models.push({
          id: "claude-sonnet-6",
          match: { or: [{ equals: "claude-sonnet-6" }, { equals: "claude-sonnet-6.0" }, { regex: "^claude-sonnet-6-\\d{8}$" }] },
          prices: { input_mtok: 2, cache_read_mtok: 0.1, cache_write_mtok: 2.5, cache_write_1h_mtok: 4, output_mtok: 10 },
        }),
      ),
    );
    expect(await costNow("claude-sonnet-6", "anthropic")).toBe(12_000_000n);
    expect(await costNow("claude-sonnet-6-20261201", "anthropic")).toBe(12_000_000n);
    expect(await costNow("Claude-Sonnet-6.0", "anthropic")).toBe(12_000_000n);
    expect(await costNow("claude-sonnet-6-9", "anthropic")).toBeUndefined();
    expect(await costNow("claude-sonnet-5", "anthropic")).toBe(12_000_000n);
  });

  it("of a model that our overlay has keeps what only the overlay knows", async () => {
    const report = await refresh(
      published(({ openai }) =>
        openai.models.push({
          id: "gpt-6.1-terra",
          match: { equals: "gpt-6.1-terra" },
          prices: {
            input_mtok: { base: 0.9, tiers: [{ start: 272_000, price: 1.8 }] },
            cache_read_mtok: { base: 0.05, tiers: [{ start: 272_000, price: 0.1 }] },
            cache_write_mtok: { base: 1.25, tiers: [{ start: 272_000, price: 2.5 }] },
            output_mtok: { base: 5, tiers: [{ start: 272_000, price: 7.5 }] },
          },
        }),
      ),
    );
    expect(report.held).toEqual([]);
    expect(report.inserted).toEqual([
      { provider: "openai", model: "gpt-6.1-terra", changes: ["input: $1.00 → $0.90", "input from 272001 tokens: $2.00 → $1.80"] },
    ]);
    expect(await costNow("gpt-6.1-terra")).toBe(5_900_000n);
    const price = book.findPrice({ provider: "openai", model: "gpt-6.1-terra", atMs: Date.now() + 600_000, orgId: "" })!;
    expect(costOfUsage({ quantities: { cache_write_12h: 1000, web_search: 1 }, price })).toMatchObject({ receipt: { cost: 12_500_000n } });
  });
});

describe("a price that is hard to believe", () => {
  const DOUBTFUL: [name: string, prices: object, reason: string][] = [
    ["a fall by more than half", { input_mtok: 0.62 }, "input: $1.25 → $0.62"],
    ["a fall to nothing", { output_mtok: 0 }, "output: $10.00 → $0.00"],
    ["a rise to more than three times", { output_mtok: 30.01 }, "output: $10.00 → $30.01"],
    ["dollars a token", { input_mtok: 1_250_000 }, "input: $1.25 → $1250000.00"],
    ["a surcharge that is too large", { input_mtok: { base: 1.25, tiers: [{ start: 100_000, price: 12.5 }] } }, "input from 100001 tokens: $1.25 → $12.50"],
  ]; // prettier-ignore

  it.each(DOUBTFUL)("%s waits for a person", async (_name, prices, reason) => {
    const report = await refresh(published(({ openai }) => setPrices(openai, "gpt-5", prices)));
    expect(report.inserted).toEqual([]);
    expect(report.held.map(({ model }) => model)).toEqual(["gpt-5"]);
    expect(await costNow("gpt-5")).toBe(11_250_000n);
    expect((await listPriceProposals(database.prisma))[0]!.reasons).toEqual([reason]);
  });

  it.each([
    ["half is believed", { input_mtok: 0.625 }],
    ["three times is believed", { output_mtok: 30 }],
  ])("%s", async (_name, prices) => {
    const report = await refresh(published(({ openai }) => setPrices(openai, "gpt-5", prices)));
    expect([report.inserted.length, report.held.length]).toEqual([1, 0]);
  });

  it("a unit that is gone, and a new model that costs nothing, wait too", async () => {
    const report = await refresh(
      published(({ openai, anthropic }) => {
        delete (modelOf(openai, "gpt-5").prices as Record<string, unknown>)["cache_read_mtok"];
        anthropic.models.push({ id: "claude-free", match: { equals: "claude-free" }, prices: { input_mtok: 0, output_mtok: 0 } });
      }),
    );
    expect(report.held).toEqual([
      { provider: "openai", model: "gpt-5", changes: ["cached_input: no price any more"] },
      { provider: "anthropic", model: "claude-free", changes: ["input: new at $0.00", "output: new at $0.00", "every unit costs nothing"] },
    ]);
    expect(await costNow("claude-free", "anthropic")).toBeUndefined();
  });

  it("is asked about once, by however many processes", async () => {
    const text = published(({ openai }) => setPrices(openai, "gpt-5", { input_mtok: 0.1 }));
    const reports = await Promise.all([refresh(text), refresh(text), refresh(text)]);
    expect(reports.map((report) => report.held.length)).toEqual([1, 1, 1]);
    expect(await listPriceProposals(database.prisma)).toHaveLength(1);
  });

  it("accepted, comes into force, once", async () => {
    const text = published(({ openai }) => setPrices(openai, "gpt-5", { input_mtok: 0.1 }));
    await refresh(text);
    const [proposal] = await listPriceProposals(database.prisma);
    const decide = () => decidePriceProposal({ prisma: database.prisma, id: proposal!.id, decision: "accepted" });
    const outcomes = await Promise.allSettled([decide(), decide()]);
    expect(outcomes.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected"]);
    expect(await costNow("gpt-5")).toBe(10_100_000n);
    expect(await refresh(text)).toMatchObject({ inserted: [], held: [] });
    expect(await rows()).toHaveLength(1);
  });

  it("rejected, is not asked about again, while other figures are", async () => {
    const text = published(({ openai }) => setPrices(openai, "gpt-5", { input_mtok: 0.1 }));
    await refresh(text);
    const [proposal] = await listPriceProposals(database.prisma);
    await decidePriceProposal({ prisma: database.prisma, id: proposal!.id, decision: "rejected" });
    expect((await refresh(text)).held).toEqual([]);
    expect(await costNow("gpt-5")).toBe(11_250_000n);
    expect((await refresh(published(({ openai }) => setPrices(openai, "gpt-5", { input_mtok: 0.2 })))).held).toHaveLength(1);
  });
});

describe("a list that is none", () => {
  it.each([
    ["no JSON", "<html>"],
    ["another form", '{"models":[]}'],
    ["an empty list", "[]"],
    ["a provider gone", JSON.stringify([{ id: "openai", models: [{ id: "x", match: {}, prices: {} }] }])],
  ])("%s changes nothing and fails", async (_name, text) => {
    await expect(refresh(text)).rejects.toThrow();
    expect(await rows()).toEqual([]);
  });

  it("has models left out that are of a form we do not know, and the others taken", async () => {
    const report = await refresh(
      published(({ openai }) => {
        setPrices(openai, "gpt-5", { input_mtok: 1 });
        openai.models.push(
          { id: "by-the-smell", match: { equals: "by-the-smell" }, prices: { smell_mtok: 3 } },
          { id: "by-the-moon", match: { equals: "x" }, prices: [{ constraint: { type: "moon" }, prices: { input_mtok: 1 } }] },
          { id: "too-fine", match: { equals: "too-fine" }, prices: { input_mtok: 0.00000012 } },
          { id: "negative", match: { equals: "negative" }, prices: { input_mtok: -1 } },
          { id: "text", match: { equals: "text" }, prices: { input_mtok: "1" } },
        );
      }),
    );
    expect(report.unreadable).toEqual(["by-the-smell", "by-the-moon", "too-fine", "negative", "text"].map((id) => `openai/${id}`));
    expect(report.inserted.map(({ model }) => model)).toEqual(["gpt-5"]);
  });

  it("leaves what is stored and cannot be read without effect, and says so", async () => {
    await database.prisma.price.create({
      data: { orgId: null, provider: "openai", model: "gpt-5", rates: { units: { smell: [{ pico: "1", fromInputTokens: 0 }] } }, validFrom: new Date(0) },
    }); // prettier-ignore
    expect(await costNow("gpt-5")).toBe(11_250_000n);
    expect(warnings).toEqual(["a list price cannot be read and changes nothing"]);
  });
});

describe("an organisation's own prices", () => {
  it("are no list prices, and list prices are nobody's own", async () => {
    await refresh(published(({ openai }) => setPrices(openai, "gpt-5", { input_mtok: 1 })));
    expect(await database.prisma.price.count({ where: { orgId: { not: null } } })).toBe(0);
  });
});

describe("fetching", () => {
  let answer: { status: number; body: Buffer; location?: string };
  const server = createServer((_request, response) => {
    response.writeHead(answer.status, answer.location ? { location: answer.location } : {});
    response.end(answer.body);
  });
  let url: string;
  beforeAll(async () => {
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/data.json`;
  });
  afterAll(() => server.close());
  afterEach(() => server.closeAllConnections());

  it("reads a list", async () => {
    answer = { status: 200, body: Buffer.from(published()) };
    expect(await fetchText(url)).toBe(published());
  });

  it.each([
    ["more than the cap", { status: 200, body: Buffer.alloc(5000) }, /more than 1000 bytes/],
    ["a redirect", { status: 302, body: Buffer.alloc(0), location: "http://127.0.0.1:1/" }, /answered 302/],
    ["an error", { status: 500, body: Buffer.from("no") }, /answered 500/],
  ])("refuses %s", async (_name, wrong, message) => {
    answer = wrong;
    await expect(fetchText(url, { bytesMax: 1000 })).rejects.toThrow(message);
  });

  it("gives up on a server that does not answer", async () => {
    const silent = createServer(() => {});
    await new Promise<void>((done) => silent.listen(0, "127.0.0.1", done));
    const { port } = silent.address() as AddressInfo;
    await expect(fetchText(`http://127.0.0.1:${port}/`, { timeoutMs: 100 })).rejects.toThrow();
    silent.closeAllConnections();
    silent.close();
  });
});

it("the address is the one the package names", () => {
  expect(readFileSync("node_modules/@pydantic/genai-prices/dist/index.js", "utf8")).toContain(
    "https://raw.githubusercontent.com/pydantic/genai-prices/main/prices/new_data/v2/data.json",
  );
});
