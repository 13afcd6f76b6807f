import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MeteredOutput } from "./metered-output";
import { TEXTS } from "./testing";
import { utf8Bytes } from "./token-bound";

const { encode, decode } = await import("gpt-tokenizer/encoding/o200k_base");
/** The pieces in which a model of this vocabulary streams a text; a character split over tokens comes with its last one. */
function streamed(text: string): { pieces: string[]; tokens: number } {
  const ids = encode(text, { disallowedSpecial: new Set() });
  const pieces: string[] = [];
  let held: number[] = [];
  for (const id of ids) {
    held.push(id);
    const piece = decode(held);
    if (piece.endsWith("\ufffd")) continue;
    pieces.push(piece);
    held = [];
  }
  if (held.length > 0) pieces.push(decode(held));
  return { pieces, tokens: ids.length };
}

describe("MeteredOutput", () => {
  it.each(Object.entries(TEXTS))("is at every piece at least what was produced of %s, tightened or not", async (_kind, sample) => {
    const text = sample.repeat(Math.ceil(8_000 / sample.length));
    const { pieces, tokens } = streamed(text);
    const meter = new MeteredOutput({ model: "gpt-4o", aheadTokensMin: 0, aheadTokensMax: 0 });
    let produced = 0;
    for (const piece of pieces) {
      meter.add(piece, 0);
      produced += 1;
      if (meter.canTighten) await meter.tighten();
      expect(meter.tokensReadUpperBound).toBeGreaterThanOrEqual(produced);
    }
    await meter.tighten();
    expect(meter.tokensReadUpperBound).toBeGreaterThanOrEqual(tokens);
    expect(meter.tokensReadUpperBound).toBeLessThanOrEqual(Math.min(utf8Bytes(text), tokens * 1.35) + 64);
  });

  it("never falls below the pieces it was given, however they are cut and whenever it is tightened", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(fc.constantFrom(...Object.values(TEXTS)), fc.boolean()), { maxLength: 60 }), async (steps) => {
        const meter = new MeteredOutput({ model: "gpt-4o" });
        let tokens = 0;
        for (const [piece, tighten] of steps) {
          meter.add(piece, 0);
          tokens += encode(piece, { disallowedSpecial: new Set() }).length;
          if (tighten) await meter.tighten();
        }
        const joined = encode(steps.map(([piece]) => piece).join(""), { disallowedSpecial: new Set() }).length;
        expect(meter.tokensReadUpperBound).toBeGreaterThanOrEqual(joined);
        expect(meter.tokensReadUpperBound).toBeGreaterThanOrEqual(Math.floor(tokens * 0.9));
      }),
      { numRuns: 100 },
    );
  });

  it("adds what the provider makes until it has been stopped, more for a fast one, within bounds, and nothing after the end", () => {
    const options = { model: "gpt-4o", aheadMs: 1_000, aheadTokensMin: 100, aheadTokensMax: 500 };
    const slow = new MeteredOutput(options);
    const fast = new MeteredOutput(options);
    const burst = new MeteredOutput(options);
    for (let ms = 0; ms <= 2_000; ms += 10) {
      if (ms % 100 === 0) slow.add("word ", ms);
      fast.add("abc", ms);
      burst.add("abc".repeat(100), ms);
    }
    const ahead = (meter: MeteredOutput): number => meter.tokensUpperBound - meter.tokensReadUpperBound;
    expect(ahead(slow)).toBe(100);
    expect(ahead(fast)).toBeGreaterThan(280);
    expect(ahead(fast)).toBeLessThan(330);
    expect(ahead(burst)).toBe(500);
    burst.end();
    expect(ahead(burst)).toBe(0);
  });

  it("keeps no more text than it may count", async () => {
    const meter = new MeteredOutput({ model: "gpt-4o" });
    const chunk = "word ".repeat(2_000);
    for (let i = 0; i < 100; i++) meter.add(chunk, i);
    const before = meter.tokensReadUpperBound;
    await meter.tighten();
    const counted = 25 * chunk.length;
    // 26 chunks of 10,000 bytes were kept; the rest stays at its bytes.
    expect(before - meter.tokensReadUpperBound).toBeGreaterThan(counted / 2);
    expect(meter.tokensReadUpperBound).toBeGreaterThan(74 * chunk.length);
  });

  it("counts what surrounds tool calls, and each answer's end", () => {
    const meter = new MeteredOutput({ model: "gpt-4o", choices: 3, aheadTokensMin: 0, aheadTokensMax: 0 });
    expect(meter.tokensUpperBound).toBe(24);
    meter.addItem();
    expect(meter.tokensUpperBound).toBe(40);
  });
});
