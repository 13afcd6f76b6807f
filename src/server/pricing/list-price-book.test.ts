import { readFileSync } from "node:fs";
import { calcPrice, findProvider } from "@pydantic/genai-prices";
import { describe, expect, it } from "vitest";
import { costOfUsage } from "@/server/metering/cost-of-usage";
import type { Receipt } from "@/server/metering/receipt";
import { inputTokensTotal, outputTokensTotal, type UsageQuantities, type UsageUnit } from "@/server/metering/usage";
import { exactPico, picoToUsdPerMillion } from "./exact-amount";
import { LIST_PROVIDERS, ListPriceBook, TOOL_UNITS } from "./list-price-book";
import { OVERLAY } from "./overlay";
import { applies, PACKAGE_VERSION } from "./package-prices";
import type { PriceQuery } from "./price-book";

const NOW = Date.parse("2026-11-24T12:00:00Z");
const book = new ListPriceBook();

type Asked = Partial<Omit<PriceQuery, "provider" | "model">>;
const find = (provider: string, model: string, asked: Asked = {}) =>
  book.findPrice({ provider, model, atMs: NOW, orgId: "00000000-0000-0000-0000-000000000000", ...asked });

function receiptOf(provider: string, model: string, quantities: UsageQuantities, asked: Asked = {}): Receipt {
  const price = find(provider, model, asked);
  if (!price) throw new Error(`no price for ${provider}/${model}`);
  const result = costOfUsage({ quantities, price });
  if (!result.priced) throw new Error(`no price for ${result.missingUnits.join()} of ${model}`);
  return result.receipt;
}

type Golden = [name: string, provider: string, model: string, quantities: UsageQuantities, microdollars: number, asked?: Asked];

// The comment of each row is the sum by hand: tokens × dollars per million = microdollars.
const GOLDEN: Golden[] = [
  // OpenAI, text
  ["input and output", "openai", "gpt-5", { input: 1000, output: 500 }, 6250], // 1,250 + 5,000
  ["a dated name", "openai", "gpt-5-2025-08-07", { input: 1000, output: 500 }, 6250],
  ["cached inside input", "openai", "gpt-5", { input: 1808, cached_input: 8192, output: 300 }, 6284], // 2,260 + 1,024 + 3,000
  ["reasoning at the output rate", "openai", "gpt-5", { input: 2000, output: 100, reasoning: 640 }, 9900], // 2,500 + 1,000 + 6,400
  ["mini", "openai", "gpt-5-mini", { input: 1000, output: 1000 }, 2250], // 250 + 2,000
  ["less than a microdollar", "openai", "gpt-5-nano", { input: 1, output: 1 }, 0.45],
  ["a dated nano", "openai", "gpt-5-nano-2025-08-07", { input: 7, cached_input: 3, output: 1 }, 0.765], // 0.35 + 0.015 + 0.4
  ["one token", "openai", "gpt-4o-mini", { input: 1 }, 0.15],
  ["one cached token", "openai", "gpt-4o-mini-2024-07-18", { cached_input: 1 }, 0.075],
  ["gpt-4o", "openai", "gpt-4o", { input: 1234, output: 567 }, 8755], // 3,085 + 5,670
  ["an old snapshot with its own price", "openai", "gpt-4o-2024-05-13", { input: 1000, output: 1000 }, 20_000], // 5,000 + 15,000
  ["upper case", "openai", "GPT-4o", { input: 1000 }, 2500],
  ["web searches", "openai", "gpt-4.1", { input: 1000, output: 200, web_search: 2 }, 23_600], // 2,000 + 1,600 + 20,000
  ["file searches", "openai", "gpt-4.1-mini", { input: 100, output: 50, file_search: 3 }, 7620], // 40 + 80 + 7,500
  ["a reasoning model", "openai", "o1", { input: 100, output: 10, reasoning: 1000 }, 62_100], // 1,500 + 600 + 60,000
  ["cached tokens without a discount", "openai", "gpt-5-pro", { input: 1000, cached_input: 1000, output: 10 }, 31_200], // 15,000 + 15,000 + 1,200
  ["chatgpt alias", "openai", "gpt-5.1-chat-latest", { input: 1000, output: 1000 }, 11_250], // 1,250 + 10,000
  // OpenAI, thresholds: more than 272,000
  ["272,000 tokens are short", "openai", "gpt-5.4", { input: 272_000, output: 1000 }, 695_000], // 680,000 + 15,000
  ["272,001 are long", "openai", "gpt-5.4", { input: 272_001, output: 1000 }, 1_382_505], // 1,360,005 + 22,500
  ["cached tokens count toward it", "openai", "gpt-5.4", { input: 100_000, cached_input: 200_000, output: 2000 }, 645_000], // 500,000 + 100,000 + 45,000
  ["a dated long one", "openai", "gpt-5.4-2026-03-05", { input: 300_000 }, 1_500_000],
  ["272,000 of luna", "openai", "gpt-6-luna", { input: 272_000, output: 1000 }, 27_700], // 27,200 + 500
  ["272,001 of luna", "openai", "gpt-6-luna", { input: 272_001, output: 1000 }, 55_150.2], // 54,400.2 + 750
  ["no threshold where none is listed", "openai", "gpt-5.4-mini", { input: 300_000 }, 225_000],
  // OpenAI, cache writes and dates
  ["cache writes", "openai", "gpt-5.6-luna", { input: 100, cache_write_5m: 4000, cached_input: 10_000, output: 500 }, 1820], // 20 + 1,000 + 200 + 600
  ["before a price cut", "openai", "gpt-5.6-sol", { input: 1000, output: 1000 }, 35_000, { atMs: Date.parse("2026-08-20T23:59:59.999Z") }],
  ["from a price cut on", "openai", "gpt-5.6-sol", { input: 1000, output: 1000 }, 24_000, { atMs: Date.parse("2026-08-21T00:00:00Z") }],
  ["o3 at its old price", "openai", "o3", { input: 1000, output: 1000 }, 50_000, { atMs: Date.parse("2025-06-09T12:00:00Z") }],
  ["o3 today", "openai", "o3-2025-04-16", { input: 1000, output: 1000 }, 10_000],
  ["a model of the overlay", "openai", "gpt-6.1-terra", { input: 1000, cached_input: 1000, cache_write_5m: 1000, output: 1000 }, 7300], // 1,000 + 50 + 1,250 + 5,000
  ["its dated name", "openai", "gpt-6.1-terra-2026-10-20", { input: 1000 }, 1000],
  // OpenAI, other kinds
  ["embeddings", "openai", "text-embedding-3-small", { input: 8191 }, 163.82],
  ["large embeddings", "openai", "text-embedding-3-large", { input: 1000 }, 130],
  ["old embeddings", "openai", "text-embedding-ada-002", { input: 10 }, 1],
  ["images by token", "openai", "gpt-image-1", { input: 50, image_input: 300, image_output: 1056 }, 45_490], // 250 + 3,000 + 42,240
  ["images and text out", "openai", "gpt-image-1.5", { input: 20, output: 10, image_output: 1000 }, 32_200], // 100 + 100 + 32,000
  ["pictures to a text model", "openai", "gpt-4o", { input: 15, image_input: 85 }, 250], // 37.5 + 212.5
  ["minutes of sound", "openai", "whisper-1", { input_seconds: 61.5 }, 6150], // $0.36 an hour = 100 a second
  ["seconds of sound", "openai", "gpt-transcribe", { input_seconds: 10 }, 750], // $0.27 an hour = 75 a second
  ["transcription by token", "openai", "gpt-4o-transcribe", { audio_input: 1000, input: 10, output: 100 }, 3525], // 2,500 + 25 + 1,000
  ["sound in and out", "openai", "gpt-audio", { audio_input: 100, audio_output: 200, input: 10, output: 20 }, 16_225], // 3,200 + 12,800 + 25 + 200
  ["speech by character", "openai", "tts-1", { input_characters: 1000 }, 15_000],
  ["speech by token", "openai", "gpt-4o-mini-tts", { input: 100, audio_output: 500 }, 6060], // 60 + 6,000
  ["a fine-tune", "openai", "ft:gpt-4o-mini-2024-07-18:acme::abc", { input: 1000, output: 1000 }, 1500], // 300 + 1,200
  ["a fine-tune of gpt-4o", "openai", "ft:gpt-4o-2024-08-06:acme:bot:9x", { input: 1000, output: 1000 }, 18_750], // 3,750 + 15,000
  ["an old fine-tune", "openai", "ft:gpt-3.5-turbo-0125:acme:x:1", { input: 1000, output: 1000 }, 9000], // 3,000 + 6,000
  ["legacy completions", "openai", "gpt-3.5-turbo-instruct", { input: 1000, output: 1000 }, 3500], // 1,500 + 2,000
  ["davinci-002", "openai", "davinci-002", { input: 500, output: 500 }, 2000],
  ["free moderation", "openai", "omni-moderation-latest", { input: 1000 }, 0],
  // OpenAI, tiers
  ["default is standard", "openai", "gpt-5", { input: 1000 }, 1250, { serviceTier: "default" }],
  ["flex", "openai", "gpt-5", { input: 1000, output: 1000 }, 5625, { serviceTier: "flex" }], // 625 + 5,000
  ["flex, cached", "openai", "o4-mini", { cached_input: 1000 }, 138, { serviceTier: "flex" }],
  ["flex, long", "openai", "gpt-5.5", { input: 300_000, output: 1000 }, 1_522_500, { serviceTier: "flex" }], // 1,500,000 + 22,500
  ["priority", "openai", "gpt-5.4", { input: 1000, output: 1000 }, 35_000, { serviceTier: "priority" }], // 5,000 + 30,000
  ["priority, cached", "openai", "gpt-5.5", { input: 1000, cached_input: 1000, output: 100 }, 21_250, { serviceTier: "priority" }], // 12,500 + 1,250 + 7,500
  ["fast is priority", "openai", "gpt-5-mini", { input: 1000, output: 1000 }, 4050, { serviceTier: "fast" }], // 450 + 3,600
  ["tools in a tier", "openai", "gpt-5", { input: 1000, web_search: 1 }, 12_500, { serviceTier: "priority" }], // 2,500 + 10,000
  ["a fraction of a nanodollar is rounded up", "openai", "gpt-5-nano", { cached_input: 1 }, 0.003, { serviceTier: "batch" }], // 2.5 nano
  // Anthropic
  ["input and output", "anthropic", "claude-sonnet-4-5-20250929", { input: 1000, output: 1000 }, 18_000], // 3,000 + 15,000
  [
    "both cache writes and a read",
    "anthropic",
    "claude-opus-4-5-20251101",
    { input: 3, cache_write_5m: 1000, cache_write_1h: 2000, cached_input: 10_000, output: 100 },
    33_765, // 15 + 6,250 + 20,000 + 5,000 + 2,500
  ],
  ["hour writes at their own rate", "anthropic", "claude-sonnet-4-5", { input: 10, cache_write_1h: 1500 }, 9030], // 30 + 9,000
  [
    "searches",
    "anthropic",
    "claude-haiku-4-5",
    { input: 100, cache_write_5m: 400, cache_write_1h: 300, cached_input: 5000, output: 200, web_search: 3 },
    32_700, // 100 + 500 + 600 + 500 + 1,000 + 30,000
  ],
  ["thinking", "anthropic", "claude-opus-5", { input: 100, output: 50, reasoning: 500 }, 14_250], // 500 + 1,250 + 12,500
  ["200,000 tokens are short", "anthropic", "claude-sonnet-4-5", { input: 200_000, output: 100 }, 601_500], // 600,000 + 1,500
  ["200,001 are long", "anthropic", "claude-sonnet-4-5", { input: 1, cached_input: 200_000, output: 100 }, 122_256], // 6 + 120,000 + 2,250
  [
    "no surcharge where none exists",
    "anthropic",
    "claude-haiku-4-5",
    { input: 199_999, cached_input: 1, cache_write_5m: 10_000 },
    212_499.1,
  ], // 199,999 + 0.1 + 12,500
  [
    "the surcharge before it ended",
    "anthropic",
    "claude-opus-4-6",
    { input: 300_000, output: 10 },
    3_000_375,
    { atMs: Date.parse("2026-03-12T00:00:00Z") },
  ], // 3,000,000 + 375
  ["and after", "anthropic", "claude-opus-4-6", { input: 300_000, output: 10 }, 1_500_250, { atMs: Date.parse("2026-03-13T00:00:00Z") }], // 1,500,000 + 250
  ["cheap cache reads", "anthropic", "claude-opus-5-5", { input: 1, cached_input: 10_000, output: 1 }, 2024], // 4 + 2,000 + 20
  ["cheaper cache reads", "anthropic", "claude-fable-5-1", { cached_input: 1000 }, 250],
  ["latest", "anthropic", "claude-3-5-haiku-latest", { input: 1000, output: 1000 }, 4800], // 800 + 4,000
  ["an old model's odd write rate", "anthropic", "claude-3-haiku-20240307", { cache_write_5m: 1000 }, 300],
  ["sonnet 5.5 is not sonnet 5", "anthropic", "claude-sonnet-5-5", { cached_input: 1000 }, 100],
  ["sonnet 5", "anthropic", "claude-sonnet-5-20260630", { cached_input: 1000 }, 200],
  ["100,000 of haiku 5.5", "anthropic", "claude-haiku-5-5", { input: 100_000 }, 10_000],
  ["100,001 of haiku 5.5", "anthropic", "claude-haiku-5-5-20261001", { input: 100_001 }, 50_000.5],
  [
    "standard",
    "anthropic",
    "claude-sonnet-4-6",
    { input: 1000 },
    3000,
    { serviceTier: "standard", speed: "standard", inferenceGeo: "global" },
  ],
  ["bought capacity at list", "anthropic", "claude-sonnet-4-6", { input: 1000 }, 3000, { serviceTier: "priority" }],
  ["batch", "anthropic", "claude-sonnet-4-5", { input: 1000, output: 1000 }, 9000, { serviceTier: "batch" }], // 1,500 + 7,500
  ["in the US", "anthropic", "claude-opus-5", { input: 1000, output: 1000, web_search: 1 }, 43_000, { inferenceGeo: "us" }], // 5,500 + 27,500 + 10,000
  ["where a place means nothing", "anthropic", "claude-haiku-4-5", { input: 1000 }, 1000, { inferenceGeo: "not_available" }],
  // Nothing used
  ["nothing", "openai", "gpt-5", {}, 0],
  ["zeros", "anthropic", "claude-sonnet-5", { input: 0, output: 0, cache_write_1h: 0 }, 0],
];

// A wrong figure here is a wrong bill for every organisation.
describe("list prices, against sums by hand", () => {
  it.each(GOLDEN)("%s (%s %s)", (_name, provider, model, quantities, microdollars, asked) => {
    const receipt = receiptOf(provider, model, quantities, asked);
    expect(receipt.cost).toBe(BigInt(Math.round(microdollars * 1000)));
    const { input, cached, cacheWrite, output, tools } = receipt.breakdown;
    expect(input + cached + cacheWrite + output + tools).toBe(receipt.cost);
  });

  it("shows each unit of a Claude call on its own line", () => {
    const usage = { input: 3, cache_write_5m: 1000, cache_write_1h: 2000, cached_input: 10_000, output: 100 };
    expect(receiptOf("anthropic", "claude-opus-4-5", usage)).toEqual({
      cost: 33_765_000n,
      breakdown: { input: 15_000n, cached: 5_000_000n, cacheWrite: 26_250_000n, output: 2_500_000n, reasoning: 0n, tools: 0n },
      lines: [
        { unit: "input", quantity: 3, unitPricePico: 5_000_000n, amountPico: 15_000_000n },
        { unit: "cached_input", quantity: 10_000, unitPricePico: 500_000n, amountPico: 5_000_000_000n },
        { unit: "cache_write_5m", quantity: 1000, unitPricePico: 6_250_000n, amountPico: 6_250_000_000n },
        { unit: "cache_write_1h", quantity: 2000, unitPricePico: 10_000_000n, amountPico: 20_000_000_000n },
        { unit: "output", quantity: 100, unitPricePico: 25_000_000n, amountPico: 2_500_000_000n },
      ],
      priceVersion: `genai-prices@${PACKAGE_VERSION}`,
    });
  });
});

describe("what has no list price", () => {
  it.each([
    ["openai", "gpt-99"],
    ["openai", "claude-sonnet-4-5"],
    ["anthropic", "gpt-5"],
    ["openai", ""],
    ["openai", "x".repeat(10_000)],
    ["openai", "__proto__"],
    ["groq", "gpt-5"],
    ["my-openai-proxy", "gpt-5"],
    ["", "gpt-5"],
  ])("%s / %s is unknown, not free", (provider, model) => {
    expect(find(provider, model)).toBeUndefined();
  });

  it.each([
    ["openai", "gpt-5", { serviceTier: "scale" }],
    ["openai", "gpt-4.1", { serviceTier: "flex" }],
    ["openai", "gpt-5-nano", { serviceTier: "priority" }],
    ["openai", "gpt-5", { serviceTier: "flex", atMs: Date.parse("2026-10-11T23:59:59Z") }],
    ["openai", "text-embedding-3-small", { serviceTier: "priority" }],
    ["anthropic", "claude-opus-5", { speed: "fast", serviceTier: "batch" }],
    ["anthropic", "claude-fable-5-2", { speed: "fast" }],
    ["anthropic", "claude-opus-5", { speed: "turbo" }],
    ["openai", "gpt-5.4", { speed: "fast" }],
    ["openai", "gpt-5.4", { serviceTier: "ultrafast" }],
    ["openai", "gpt-image-2", { inferenceGeo: "eu" }],
    ["anthropic", "claude-opus-5", { serviceTier: "ultrafast" }],
    ["anthropic", "claude-opus-5", { serviceTier: "flex" }],
    ["anthropic", "claude-opus-5", { inferenceGeo: "eu" }],
    ["anthropic", "claude-haiku-4-5", { inferenceGeo: "us" }],
  ] as [string, string, Asked][])("%s %s with %o is never priced at the standard rate", (provider, model, asked) => {
    expect(find(provider, model, asked)).toBeUndefined();
    expect(find(provider, model)).toBeDefined();
  });

  it("leaves a unit without a price unpriced", () => {
    const price = find("openai", "gpt-4o")!;
    expect(costOfUsage({ quantities: { input: 10, audio_input: 10 }, price })).toEqual({ priced: false, missingUnits: ["audio_input"] });
    expect(costOfUsage({ quantities: { cache_write_1h: 1 }, price: find("openai", "gpt-6-sol")! })).toMatchObject({ priced: false });
  });
});

/** Our disjoint units as the package counts: totals that include their parts. */
function packageUsage(quantities: UsageQuantities): Record<string, number> {
  const q = (unit: UsageUnit): number => quantities[unit] ?? 0;
  return {
    input_tokens: inputTokensTotal(quantities),
    output_tokens: outputTokensTotal(quantities),
    cache_read_tokens: q("cached_input") + q("cached_audio_input") + q("cached_image_input"),
    cache_write_tokens: q("cache_write_5m") + q("cache_write_1h"),
    cache_write_1h_tokens: q("cache_write_1h"),
    output_reasoning_tokens: q("reasoning"),
    input_audio_tokens: q("audio_input") + q("cached_audio_input"),
    cache_audio_read_tokens: q("cached_audio_input"),
    output_audio_tokens: q("audio_output"),
    input_image_tokens: q("image_input") + q("cached_image_input"),
    cache_image_read_tokens: q("cached_image_input"),
    output_image_tokens: q("image_output"),
    web_searches: q("web_search"),
    storage_searches: q("file_search"),
    audio_seconds: q("input_seconds"),
    input_audio_seconds: q("input_seconds"),
  };
}

const packageModels = LIST_PROVIDERS.flatMap((provider) =>
  findProvider({ providerId: provider })!.models.map((model) => ({ provider, id: model.id, name: nameOf(model.match) ?? model.id })),
);

/** A name that the model answers to: some ids are not one themselves. */
function nameOf(match: object): string | undefined {
  if ("or" in match) return (match.or as object[]).map(nameOf).find((name) => name !== undefined);
  if ("equals" in match) return match.equals as string;
  return "starts_with" in match ? (match.starts_with as string) : undefined;
}

const overlaidUnits = (model: string): UsageUnit[] =>
  OVERLAY.filter((row) => row.model === model && row.tier === "standard").flatMap((row) => {
    const units = Object.keys(row.usdPerMillion) as UsageUnit[];
    // What is billed like a unit that the overlay replaces follows it.
    return units.flatMap((unit) =>
      unit === "cached_input" ? [unit, "cached_image_input"] : unit === "audio_input" ? [unit, "cached_audio_input"] : [unit],
    );
  });

describe("every model of the package", () => {
  it("is there: more than a hundred of two providers", () => {
    expect(packageModels.length).toBeGreaterThan(100);
  });

  it.each(packageModels)("$provider $id costs what the package says, within its float noise", ({ provider, id, name }) => {
    // Dates on both sides of every change of price in the data, and token counts on both sides of every threshold.
    for (const date of ["2024-01-01", "2025-06-10", "2026-03-12", "2026-03-14", "2026-08-01", "2026-11-24"]) {
      const timestamp = new Date(`${date}T00:00:00Z`);
      const price = find(provider, name, { atMs: timestamp.getTime() })!;
      const units = new Set(price.rates.map((rate) => rate.unit));
      for (const scale of [1, 997, 199_000, 271_000, 1_000_003]) {
        const quantities = Object.fromEntries([...units].map((unit, index) => [unit, Math.ceil(scale / (index + 1))])) as UsageQuantities;
        // Our overlay and fees say of these what the package does not, or says otherwise.
        const listed = new Set(book.listedPrice({ provider, model: id, atMs: timestamp.getTime() })!.rates.map((rate) => rate.unit));
        for (const unit of [...overlaidUnits(id), ...[...TOOL_UNITS].filter((each) => !listed.has(each))]) delete quantities[unit];
        const result = costOfUsage({ quantities, price });
        if (!result.priced) throw new Error(`${name}: ${result.missingUnits.join()}`);
        const theirs = calcPrice(packageUsage(quantities), name, { providerId: provider, timestamp })!.total_price;
        const ours = Number(result.receipt.cost) / 1e9;
        expect(Math.abs(ours - theirs), `${name} ${date} ×${scale}: ${ours} ${theirs}`).toBeLessThanOrEqual(1.01e-9 + theirs * 1e-12);
      }
    }
  });

  it.each(packageModels.filter(({ provider }) => provider === "anthropic"))(
    "$id has an hour rate wherever it has a write rate",
    ({ name }) => {
      for (const atMs of [0, NOW]) {
        const units = find("anthropic", name, { atMs })!.rates.map((rate) => rate.unit);
        expect(units.includes("cache_write_1h")).toBe(units.includes("cache_write_5m"));
      }
    },
  );

  it("is of the version that is installed", () => {
    const manifest = readFileSync("node_modules/@pydantic/genai-prices/package.json", "utf8");
    expect(JSON.parse(manifest)).toMatchObject({ version: PACKAGE_VERSION });
  });
});

describe("the overlay", () => {
  it("names a page and a day for every row", () => {
    for (const row of OVERLAY) {
      expect(row.source).toMatch(/^https:\/\//);
      expect(row.checkedOn).toMatch(/^2026-\d\d-\d\d$/);
    }
  });

  it("speaks only of models that the book has", () => {
    for (const row of OVERLAY) {
      const listed = book.listPrices({ provider: row.provider, atMs: NOW }).filter(({ price }) => price.model === row.model);
      expect(
        listed.map(({ tier }) => tier),
        row.model,
      ).toContain(row.tier);
    }
  });

  it("has each price once", () => {
    const keys = OVERLAY.map(
      (row) => `${row.provider} ${row.model} ${row.tier} ${row.validFrom ?? ""} ${Object.keys(row.usdPerMillion).join()}`,
    );
    expect(new Set(keys).size).toBe(keys.length);
  });

  it("never prices flex or batch above standard, or what is faster below it", () => {
    for (const { price, tier } of book.listPrices({ atMs: NOW })) {
      const standard = find(price.provider, OVERLAY.find((row) => row.model === price.model)?.names?.[0] ?? nameInPackage(price.model));
      for (const rate of price.rates) {
        const base = standard!.rates.find((other) => other.unit === rate.unit && other.fromInputTokens === rate.fromInputTokens);
        if (!base || TOOL_UNITS.has(rate.unit)) continue;
        // Batch tables without a cached rate give cached tokens no discount but the batch one, which can be dearer than standard.
        if (tier === "batch" && rate.unit.startsWith("cached_")) continue;
        expect(
          ["priority", "ultrafast", "fast"].includes(tier) ? rate.pico >= base.pico : rate.pico <= base.pico,
          `${price.model} ${tier} ${rate.unit}`,
        ).toBe(true);
      }
    }
  });
});

/** Fine-tunes answer to what their names begin with. */
const nameInPackage = (id: string): string =>
  OVERLAY.find((row) => row.model === id && row.prefix !== undefined)?.prefix ?? packageModels.find((model) => model.id === id)!.name;

describe("looking up", () => {
  it("is the same object each time, and quick once a name was seen", () => {
    expect(find("openai", "gpt-5-2025-08-07")).toBe(find("openai", "gpt-5"));
    const started = performance.now();
    for (let i = 0; i < 100_000; i++) book.findPrice({ provider: "openai", model: "gpt-5-2025-08-07", atMs: NOW, orgId: "o" });
    expect((performance.now() - started) / 100_000).toBeLessThan(0.01); // milliseconds; measured 0.0002
  });

  it("forgets names rather than growing without end", () => {
    const fresh = new ListPriceBook();
    for (let i = 0; i < 12_000; i++) {
      expect(fresh.findPrice({ provider: "openai", model: `made-up-${i}`, atMs: NOW, orgId: "o" })).toBeUndefined();
    }
    expect(fresh.findPrice({ provider: "openai", model: "gpt-5", atMs: NOW, orgId: "o" })).toBeDefined();
  });
});

describe("exact amounts", () => {
  it.each([
    [0.075, 1_000_000n, 75_000n],
    [2.5, 1_000_000n, 2_500_000n],
    ["0.138", 1_000_000n, 138_000n],
    [0.000001, 1_000_000n, 1n],
    [1e-6, 1_000_000n, 1n],
    [10, 1000n, 10_000_000_000n],
    [0.36, 3600n, 100_000_000n],
    [0, 1_000_000n, 0n],
    [1e21, 1_000_000n, 10n ** 27n],
  ])("%s per %s is %s pico", (usd, per, pico) => {
    expect(exactPico(usd, per)).toBe(pico);
  });

  it.each([1e-7, 0.1 + 0.2, "1.2345678", -1, Number.NaN, Number.POSITIVE_INFINITY, "", "1,5", "0x10"])(
    "%s per million is refused",
    (usd) => {
      expect(() => exactPico(usd, 1_000_000n)).toThrow();
    },
  );

  it("prints dollars per million exactly", () => {
    expect([75_000n, 2_500_000n, 1n, 0n, 10_000_000_000n].map((pico) => picoToUsdPerMillion(pico as never))).toEqual([
      "0.075", "2.50", "0.000001", "0.00", "10000.00",
    ]); // prettier-ignore
  });
});

describe("times of day", () => {
  const at = (time: string): number => Date.parse(`2026-11-24T${time}Z`);
  const night = { timeOfDay: { startSecond: 22 * 3600, endSecond: 6 * 3600 } };
  const day = { timeOfDay: { startSecond: 6 * 3600, endSecond: 22 * 3600 } };

  it("go over midnight, with their start and without their end", () => {
    expect(["21:59:59", "22:00:00", "00:00:00", "05:59:59", "06:00:00"].map((time) => applies(night, at(time)))).toEqual([
      false,
      true,
      true,
      true,
      false,
    ]);
    expect(["05:59:59", "06:00:00", "21:59:59", "22:00:00"].map((time) => applies(day, at(time)))).toEqual([false, true, true, false]);
  });
});
