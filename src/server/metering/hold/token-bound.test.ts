import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { TEXTS } from "./testing";
import { tokensAtMost, utf8Bytes } from "./token-bound";

const { countTokens: o200k } = await import("gpt-tokenizer/encoding/o200k_base");
const exact = (text: string): number => o200k(text, { disallowedSpecial: new Set() });
/** What Claude's largest vocabulary makes of text, as far as it is documented (1.35 × 1.15). */
const CLAUDE_FACTOR = 1.55;

describe("tokensAtMost", () => {
  const rows: Record<string, string | number>[] = [];

  it.each(Object.entries(TEXTS))(
    "bounds %s, for OpenAI by its own vocabulary and for Claude with what is documented",
    async (kind, sample) => {
      const text = sample.repeat(40);
      const tokens = exact(text);
      const openai = await tokensAtMost(text, "gpt-5");
      const claude = await tokensAtMost(text, "claude-opus-5");
      const bytes = utf8Bytes(text);
      rows.push({
        kind,
        bytes,
        o200k: tokens,
        "bytes / o200k": (bytes / tokens).toFixed(2),
        "tight / o200k": (openai / tokens).toFixed(3),
        "Claude's / o200k": (claude / tokens).toFixed(2),
      });
      expect(openai).toBeGreaterThanOrEqual(tokens);
      expect(openai).toBeLessThanOrEqual(bytes);
      expect(claude).toBeGreaterThanOrEqual(Math.min(bytes, Math.ceil(tokens * CLAUDE_FACTOR)));
      expect(claude).toBeLessThanOrEqual(bytes);
      if (rows.length === Object.keys(TEXTS).length) console.table(rows);
    },
  );

  it("is never below the vocabulary for any text, nor above the bytes", async () => {
    const piece = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.string({ unit: "grapheme" }),
      fc.constantFrom(...Object.values(TEXTS), " ", "\n", "a".repeat(300), "数".repeat(300)),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 30 }), async (pieces) => {
        const text = pieces.join("");
        const bound = await tokensAtMost(text, "gpt-4o");
        expect(bound).toBeGreaterThanOrEqual(exact(text));
        expect(bound).toBeLessThanOrEqual(utf8Bytes(text));
      }),
      { numRuns: 1_000 },
    );
  });

  it("bounds texts that are counted in slices", async () => {
    for (const sample of Object.values(TEXTS)) {
      const text = sample.repeat(Math.ceil(20_000 / sample.length));
      expect(await tokensAtMost(text, "gpt-5")).toBeGreaterThanOrEqual(exact(text));
    }
  });

  // A tokenizer that works on tens of megabytes stops every other call of the process.
  it("takes what is too long to count by its bytes", async () => {
    const text = "word ".repeat(300_000);
    expect(await tokensAtMost(text, "gpt-5")).toBe(text.length);
  });
});
