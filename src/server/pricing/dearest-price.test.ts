import { describe, expect, it } from "vitest";
import { createDearestPrices, type DearestPriceKind } from "./dearest-price";
import { createListPriceBook } from "./list-price-book";

const NOW = Date.UTC(2026, 10, 24, 12);
const KINDS: readonly DearestPriceKind[] = ["text", "embeddings", "images", "speech", "transcription"];
const list = createListPriceBook();
const dearest = createDearestPrices(list);
const picoOf = (provider: string, kind: DearestPriceKind, unit: string): bigint | undefined =>
  dearest.findDearestPrice({ provider, kind, atMs: NOW })?.rates.find((rate) => rate.unit === unit)?.pico;

describe("createDearestPrices", () => {
  it("is exceeded by no current price of the same kind, in any unit, tier or prompt length", () => {
    for (const provider of ["openai", "anthropic"]) {
      for (const { price } of list.listPrices({ provider, atMs: NOW })) {
        const covers = KINDS.some((kind) => price.rates.every(({ unit, pico }) => (picoOf(provider, kind, unit) ?? -1n) >= pico));
        expect(covers, price.model).toBe(true);
      }
    }
  });

  it("names what was dearest on the day: o1-pro's text, the longest prompts of Claude", () => {
    expect(picoOf("openai", "text", "input")).toBe(150_000_000n);
    expect(picoOf("openai", "text", "output")).toBe(600_000_000n);
    expect(picoOf("openai", "embeddings", "input")).toBe(130_000n);
    expect(picoOf("openai", "embeddings", "output")).toBeUndefined();
    expect(picoOf("openai", "speech", "input_characters")).toBe(30_000_000n);
    expect(picoOf("openai", "transcription", "input_seconds")).toBe(100_000_000n);
    expect(picoOf("openai", "images", "image_output")).toBe(40_000_000n);
    expect(picoOf("anthropic", "text", "output")).toBe(75_000_000n);
    expect(picoOf("anthropic", "text", "cache_write_1h")).toBe(30_000_000n);
  });

  it("has nothing to stand in where a provider has no prices, and is asked once an hour", () => {
    let asked = 0;
    const counted = createDearestPrices({ listPrices: (query) => (asked++, list.listPrices(query)) });
    expect(counted.findDearestPrice({ provider: "nobody", kind: "text", atMs: NOW })).toBeUndefined();
    expect(counted.findDearestPrice({ provider: "anthropic", kind: "embeddings", atMs: NOW })).toBeUndefined();
    for (let i = 0; i < 10; i++) counted.findDearestPrice({ provider: "openai", kind: "text", atMs: NOW + i * 1000 });
    expect(asked).toBe(3);
    counted.findDearestPrice({ provider: "openai", kind: "text", atMs: NOW + 3_600_000 });
    expect(asked).toBe(4);
  });
});
