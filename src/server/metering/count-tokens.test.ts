import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { costOfUsage } from "./cost-of-usage";
import { countTokens, estimateInputTokens } from "./count-tokens";

const { countTokens: countWhole } = await import("gpt-tokenizer/encoding/o200k_base");
const whole = (text: string): number => countWhole(text, { disallowedSpecial: new Set() });

const TEXTS = {
  English: "The quick brown fox jumps over the lazy dog; it isn't tired, is it?  It ran 1,234.56 miles.\n\n".repeat(400),
  code: [costOfUsage, countTokens, estimateInputTokens, fc.assert, fc.record].map(String).join("\n\n").repeat(5),
  JSON: JSON.stringify(
    Array.from({ length: 500 }, (_, i) => ({
      id: `call_${(i * 7919).toString(36)}`,
      at: 1_795_000_000 + i,
      tags: ["team-a", null, i / 7],
      ok: i % 2 === 0,
    })),
    null,
    1,
  ),
  Russian: "Быстрая коричневая лиса прыгает через ленивую собаку, и это предложение содержит много слов. ".repeat(300),
  Chinese: "今天天气很好，我们去公园散步。模型的价格是按令牌计算的，请注意。".repeat(300),
  Japanese: "これは日本語の文章です。トークンの数を数えます。\n".repeat(300),
  Arabic: "هذه جملة باللغة العربية لاختبار عدد الرموز. ".repeat(300),
  emoji: "Nice 👩‍👩‍👧‍👦 flag 🏳️‍🌈 and 🎉🎉🎉! ".repeat(300),
};

const LENGTH = 100_000;
// Counted whole, each of these takes the library seconds, and a few nearly a minute.
const HOSTILE = {
  "one letter": "a".repeat(LENGTH),
  blanks: " ".repeat(LENGTH),
  "line ends": "\n".repeat(LENGTH),
  dashes: "-".repeat(LENGTH),
  "two letters": "ab".repeat(LENGTH / 2),
  "one long word": "antidisestablishmentarianism".repeat(LENGTH / 28),
  "Chinese without a stop": "数据库中的令牌计数".repeat(LENGTH / 9),
  pictographs: "👩‍👩‍👧‍👦🏳️‍🌈".repeat(LENGTH / 17),
  "halves of characters": "\ud800".repeat(LENGTH),
  "accents alone": "\u0301".repeat(LENGTH),
  base64: Buffer.from(Array.from({ length: (LENGTH * 3) / 4 }, (_, i) => (i * 7919) % 256)).toString("base64"),
};

describe("countTokens", () => {
  it.each(Object.entries(TEXTS))("counts %s as the tokenizer does, for models that use it", async (_name, text) => {
    for (const model of ["gpt-5", "gpt-4o-2024-08-06", "gpt-4.1-mini", "o3", "o4-mini", "ft:gpt-4o-mini-2024-07-18:a::b", "GPT-5.4"]) {
      expect(await countTokens(text, model)).toBe(whole(text));
    }
  });

  it.each(Object.entries(TEXTS))("errs high on %s for other models and for none", async (_name, text) => {
    for (const model of ["claude-opus-5", "gpt-4", "gpt-40", "o10", "text-embedding-3-small", "llama", undefined]) {
      const estimate = await countTokens(text, model);
      expect(estimate).toBeGreaterThanOrEqual(1.55 * whole(text));
      expect(estimate).toBeLessThanOrEqual(Buffer.byteLength(text));
    }
  });

  // A caller who can make us count for a minute stops every other call of the process for that long.
  it.each(Object.entries(HOSTILE))("counts %s in time proportional to its length, a little high at most", async (_name, text) => {
    const started = performance.now();
    const tokens = await countTokens(text, "gpt-5");
    expect(performance.now() - started).toBeLessThan(2000); // 5 to 40 ms on the machine this was written on
    const sample = text.slice(0, 2000);
    expect(tokens).toBeGreaterThanOrEqual(Math.floor((whole(sample) / sample.length) * text.length * 0.9));
  });

  it("is never below the tokenizer by more than a cut changes, for any text", async () => {
    const pieces = fc.array(fc.oneof(fc.string({ unit: "binary" }), fc.string({ unit: "grapheme" }), fc.constantFrom(" ", "\n", "a".repeat(300), "数".repeat(300), "ab ", "123")), { maxLength: 40 }); // prettier-ignore
    await fc.assert(
      fc.asyncProperty(pieces, async (parts) => {
        const text = parts.join("");
        const cuts = Math.ceil(text.length / 128);
        const tokens = await countTokens(text, "gpt-5");
        expect(tokens).toBeGreaterThanOrEqual(whole(text) - 1);
        expect(tokens).toBeLessThanOrEqual(whole(text) + 3 * cuts);
      }),
      { numRuns: 150 },
    );
  });

  it("counts special tokens as the text they are", async () => {
    expect(await countTokens("<|endoftext|>", "gpt-5")).toBe(whole("<|endoftext|>"));
    expect(await countTokens("<|endoftext|>", "gpt-5")).toBeGreaterThan(1);
  });

  it("is nothing for nothing", async () => {
    expect(await countTokens("", "gpt-5")).toBe(0);
    expect(await countTokens("")).toBe(0);
  });

  it("lets other work run while it counts", async () => {
    let turns = 0;
    const counting = countTokens(TEXTS.English.repeat(5), "gpt-5");
    const timer = setInterval(() => turns++, 0);
    await counting;
    clearInterval(timer);
    expect(turns).toBeGreaterThan(0);
  });
});

const chat = (content: unknown): string => JSON.stringify({ model: "m", messages: [{ role: "user", content }] });
const picture = Buffer.alloc(3_000_000, 0x5a).toString("base64");

describe("estimateInputTokens", () => {
  it.each(Object.entries(TEXTS))("errs high on a message of %s, and not wildly", async (_name, text) => {
    for (const repeated of [text, text.repeat(Math.ceil(300_000 / text.length))]) {
      const estimate = await estimateInputTokens(Buffer.from(chat(repeated)), "gpt-5");
      expect(estimate).toBeGreaterThanOrEqual(whole(repeated));
      expect(estimate).toBeLessThanOrEqual(5 * whole(repeated) + 50);
    }
  });

  it.each(Object.entries(HOSTILE))("errs high on a message of %s, quickly", async (_name, text) => {
    const started = performance.now();
    const body = Buffer.from(chat(text.repeat(5)));
    expect(await estimateInputTokens(body, "claude-opus-5")).toBeGreaterThanOrEqual(whole(text.slice(0, 2000)) * (text.length / 2000));
    expect(performance.now() - started).toBeLessThan(2000);
  });

  it("takes a picture for a picture, in the form of either provider", async () => {
    const openai = chat([{ type: "image_url", image_url: { url: `data:image/png;base64,${picture}` } }]);
    const anthropic = chat([{ type: "image", source: { type: "base64", media_type: "image/jpeg", data: picture } }]);
    for (const body of [openai, anthropic]) {
      const tokens = await estimateInputTokens(body);
      expect(tokens).toBeGreaterThan(4000);
      expect(tokens).toBeLessThan(6000);
    }
  });

  it("counts every picture", async () => {
    const part = { type: "image", source: { type: "base64", media_type: "image/jpeg", data: picture.slice(0, 100_000) } };
    expect(await estimateInputTokens(chat([part, part, part]))).toBeGreaterThan(3 * 4900);
  });

  it("gives a document more than a picture, and unknown data as much as its text would take", async () => {
    const pdf = chat([{ type: "document", source: { type: "base64", media_type: "application/pdf", data: picture } }]);
    expect(await estimateInputTokens(pdf)).toBeGreaterThan(400_000);
    expect(await estimateInputTokens(pdf)).toBeLessThan(600_000);
    expect(await estimateInputTokens(chat(picture))).toBeGreaterThan(3_000_000);
  });

  it("is the same for bytes and text, and nothing for nothing", async () => {
    expect(await estimateInputTokens(chat("héllo"), "gpt-5")).toBe(await estimateInputTokens(Buffer.from(chat("héllo")), "gpt-5"));
    expect(await estimateInputTokens("")).toBe(0);
  });
});
