import { describe, expect, it } from "vitest";
import { crossCheckPrices, ListPriceBook } from ".";

const book = new ListPriceBook();
const check = (models: object) =>
  crossCheckPrices({ book, atMs: Date.parse("2026-11-24T12:00:00Z"), fetch: async () => JSON.stringify(models) });
const openai = { litellm_provider: "openai" };

describe("a second source", () => {
  it("agrees where its figures are ours, within the noise of its binary fractions", async () => {
    const report = await check({
      "gpt-5": { ...openai, input_cost_per_token: 1.25e-6, output_cost_per_token: 1e-5, cache_read_input_token_cost: 1.2499999999999999e-7 },
      "gpt-5.4": { ...openai, input_cost_per_token_above_272k_tokens: 5e-6, input_cost_per_token_flex: 1.25e-6 },
      "claude-opus-5": { litellm_provider: "anthropic", cache_creation_input_token_cost_above_1hr: 1e-5, input_cost_per_token_batches: 2.5e-6 },
    }); // prettier-ignore
    expect(report).toMatchObject({ agreed: 7, disagreements: [], missing: [], unknownModels: [] });
  });

  it("is shown where it disagrees, by tier and threshold", async () => {
    const report = await check({
      "gpt-5.4": { ...openai, input_cost_per_token: 3e-6, output_cost_per_token_above_272k_tokens_priority: 1e-4 },
    });
    expect(report.disagreements).toEqual([
      { provider: "openai", model: "gpt-5.4", tier: "standard", unit: "input", fromInputTokens: 0, ours: "2.50", theirs: "3.00" },
      { provider: "openai", model: "gpt-5.4", tier: "priority", unit: "output", fromInputTokens: 272_001, ours: "30.00", theirs: "100.00" },
    ]);
  });

  it("is shown where it has what we have not: a unit, a tier, a model", async () => {
    const report = await check({
      "gpt-5": { ...openai, input_cost_per_audio_token: 4e-5 },
      "gpt-4.1": { ...openai, input_cost_per_token_flex: 1e-6 },
      "gpt-99": { ...openai, input_cost_per_token: 1e-6 },
      "groq/llama": { litellm_provider: "groq", input_cost_per_token: 1 },
      sample_spec: { mode: "chat" },
      "1024-x-1024/gpt-image-1.5": { ...openai, input_cost_per_pixel: 1 },
    });
    expect(report.missing.map(({ model, tier, unit, ours, theirs }) => [model, tier, unit, ours, theirs])).toEqual([
      ["gpt-5", "standard", "audio_input", null, "40.00"],
      ["gpt-4.1", "flex", "input", null, "1.00"],
    ]);
    expect(report.unknownModels).toEqual(["openai/gpt-99"]);
  });

  it("that is no list is an error, not an agreement", async () => {
    await expect(crossCheckPrices({ book, atMs: 0, fetch: async () => "[1]" })).rejects.toThrow();
    await expect(crossCheckPrices({ book, atMs: 0, fetch: () => Promise.reject(new Error("offline")) })).rejects.toThrow("offline");
  });
});
