import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { costOfUsage } from "@/server/metering/cost-of-usage";
import type { UsageQuantities } from "@/server/metering/usage";
import { ListPriceBook, LIST_TIERS, TOOL_UNITS } from "./list-price-book";
import { listProviderOf, openaiRegionOf } from "./list-providers";

const NOW = Date.parse("2026-11-24T12:00:00Z");
const ORG = "00000000-0000-0000-0000-000000000000";
const book = new ListPriceBook();

/** Names that operators may give to upstreams of the allow-list. */
const PROVIDERS = [
  "openai",
  "anthropic",
  "openrouter",
  "groq",
  "mistral",
  "deepseek",
  "together",
  "azure",
  "google",
  "x-ai",
  "fireworks",
  "perplexity",
  "cohere",
  "cerebras",
  "aws",
  "moonshotai",
  "novita",
  "zai",
  "minimax",
] as const;

describe.each(PROVIDERS)("every price of %s", (provider) => {
  const listed = book.listPrices({ provider, atMs: NOW });

  it("is there", () => {
    expect(listed.length).toBeGreaterThan(0);
  });

  // A unit that a price lists and that cannot be priced would make calls unpriced that need not be.
  it("prices every unit that it lists, alone and together with all others, at every threshold", () => {
    for (const { price } of listed) {
      const units = [...new Set(price.rates.map((rate) => rate.unit))];
      const all = Object.fromEntries(units.map((unit) => [unit, 7])) as UsageQuantities;
      const thresholds = [...new Set(price.rates.map((rate) => rate.fromInputTokens))];
      const usages: UsageQuantities[] = [all, {}, ...units.map((unit) => ({ [unit]: 3 }))];
      for (const from of thresholds) if (from > 0) usages.push({ ...all, input: from - 1 }, { ...all, input: from });
      for (const quantities of usages) {
        const cost = costOfUsage({ quantities, price });
        expect(cost.priced, `${price.model} ${JSON.stringify(quantities)}`).toBe(true);
        if (cost.priced) expect(cost.receipt.cost >= 0n).toBe(true);
      }
    }
  });

  it("costs nothing only where the list says so", () => {
    for (const { price } of listed) {
      for (const rate of price.rates) expect(rate.pico >= 0n, `${price.model} ${rate.unit}`).toBe(true);
    }
  });
});

const models = (["openai", "anthropic"] as const).flatMap((provider) =>
  [...new Set(book.listPrices({ provider, atMs: NOW }).map(({ price }) => price.model))].map((model) => ({ provider, model })),
);
/** Words that answers use, and any other. */
const tierArb = fc.oneof(
  fc.constantFrom("default", "standard", "auto", "flex", "priority", "fast", "batch", "ultrafast", "scale", "on_demand"),
  fc.string({ maxLength: 12 }),
);
const STANDARD = new Set(["", "default", "standard", "auto"]);

describe("tiers", () => {
  // Half price too little, or ten times too little, on every call of the tier.
  it("have the price of the tier that served, or none: never standard for a word that is not standard's", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...models),
        tierArb,
        fc.option(fc.constantFrom("fast", "standard", "slow", "")),
        ({ provider, model }, serviceTier, speed) => {
          const query = { provider, model, atMs: NOW, orgId: ORG };
          const standard = book.findPrice(query);
          const price = book.findPrice({ ...query, serviceTier, ...(speed !== null && { speed }) });
          const isStandard = STANDARD.has(serviceTier) || (provider === "anthropic" && serviceTier === "priority");
          const isNormalSpeed = speed === null || speed === "" || speed === "standard";
          if (isStandard && isNormalSpeed) expect(price).toBe(standard);
          else if (price !== undefined) {
            expect(price).not.toBe(standard);
            const tiers = book.listPrices({ provider, atMs: NOW }).filter((each) => each.price.model === price.model);
            const tier = tiers.find((each) => each.price === price)?.tier;
            expect(tier).toBe(isNormalSpeed ? (serviceTier === "fast" ? "priority" : serviceTier) : "fast");
          }
        },
      ),
      { numRuns: 3000 },
    );
  });

  it("charge the same for tools", () => {
    for (const { provider, model } of models) {
      const rates = LIST_TIERS.flatMap((serviceTier) => {
        const price = book.findPrice({ provider, model, serviceTier, atMs: NOW, orgId: ORG });
        return price?.rates.filter((rate) => TOOL_UNITS.has(rate.unit)) ?? [];
      });
      for (const unit of TOOL_UNITS)
        expect(new Set(rates.filter((rate) => rate.unit === unit).map((rate) => rate.pico)).size).toBeLessThan(2);
    }
  });
});

describe("providers of the allow-list", () => {
  it.each([
    ["groq", "groq"],
    ["openrouter", "openrouter"],
    ["xai", "x-ai"],
    ["gemini", "google"],
    ["together-ai", "together"],
    ["azure-openai", "azure"],
    ["openai-eu", "openai"],
  ])("%s has the prices of %s", (name, id) => {
    expect(listProviderOf(name)?.id).toBe(id);
  });

  it.each(["my-openai-proxy", "openai2", "anthropic-vertex", "openai-mars", "litellm", "", "__proto__", "constructor", "GROQ"])(
    "%s has nobody's",
    (name) => {
      expect(listProviderOf(name)).toBeUndefined();
      expect(book.findPrice({ provider: name, model: "gpt-5", atMs: NOW, orgId: ORG })).toBeUndefined();
    },
  );

  it("is priced by its own list, not by that of the model's maker", () => {
    const price = (provider: string, model: string) => book.findPrice({ provider, model, atMs: NOW, orgId: ORG });
    expect(price("groq", "gpt-5")).toBeUndefined();
    expect(price("azure", "claude-opus-5")).toBeUndefined();
    expect(price("openrouter", "openai/gpt-5")?.provider).toBe("openrouter");
    expect(price("groq", "llama-3.3-70b-versatile")?.provider).toBe("groq");
  });

  it.each([
    ["https://eu.api.openai.com/v1", "eu"],
    ["https://us.api.openai.com", "us"],
    ["https://api.openai.com/v1", undefined],
    ["https://eu.api.openai.com.example.com", undefined],
    ["not a url", undefined],
  ])("the region of %s is %s", (url, region) => {
    expect(openaiRegionOf(url)).toBe(region);
  });

  it("charges for the region that the whole installation calls", () => {
    const regional = new ListPriceBook({ openaiRegion: "eu" });
    const query = { provider: "openai", model: "gpt-6-sol", atMs: NOW, orgId: ORG };
    const input = (from: ListPriceBook) => from.findPrice(query)!.rates.find((rate) => rate.unit === "input")!.pico;
    expect(input(regional) * 10n).toBe(input(book) * 11n);
  });
});
