import { describe, expect, it } from "vitest";
import { nanoToUsdString, nanoUsd, picoUsd } from "@/lib/money";
import type { ModelPrice } from "@/server/pricing/price-book";
import { type Hold, computeHold, costWithOutput, outputTokensAffordable, tightenHold } from "./compute-hold";
import { holdInput } from "./testing";

type Json = Record<string, unknown>;
type Case = {
  name: string;
  dialect?: "openai" | "anthropic";
  endpoint?: string;
  body: Json;
  more?: Parameters<typeof holdInput>[3];
  /** In short: what was held for, in which units, and the dollars. */
  holds: string;
};

const user = (content: unknown): Json => ({ role: "user", content });
const HI = [user("hi")];
const PNG = `data:image/png;base64,${"A".repeat(100_000)}`;
const ONLY_DEFAULT = { unsaid: { serviceTiers: ["default"], inferenceGeos: ["global"] } };

/** One line: quantities, dollars, and the floor of a cut. */
function inShort(hold: Hold): string {
  switch (hold.outcome) {
    case "refused":
      return `refused ${hold.code}: ${hold.message}`;
    case "unpriced":
      return `unpriced ${hold.model ?? "-"} [${hold.missingUnits.join()}]; ${hold.ceiling ? inShort(hold.ceiling) : "no ceiling"}`;
    case "bounded": {
      const units = Object.entries(hold.quantities).map(([unit, quantity]) => `${quantity} ${unit}`);
      const cut = hold.cut ? `; from $${nanoToUsdString(hold.cut.floor)} (${hold.cut.floorOutputTokens} tokens)` : "";
      return `${units.join(" + ")} = $${nanoToUsdString(hold.bound)}${cut}`;
    }
  }
}

// The input of each is: bytes of the body (without files) + what templates add; the dollars follow from the list prices of the day.
const CASES: Case[] = [
  // 68 bytes + 96 + 8; priority: 4.25 and 17 dollars a million.
  { name: "chat", body: { model: "gpt-4o", max_tokens: 100, messages: HI }, holds: "183 input + 100 output = $0.00247775" },
  {
    name: "chat in the default tier",
    body: { model: "gpt-4o", max_tokens: 100, service_tier: "default", messages: HI },
    holds: "208 input + 100 output = $0.00152",
  },
  {
    name: "chat in the flex tier",
    body: { model: "gpt-5", max_completion_tokens: 100, service_tier: "flex", messages: HI },
    holds: "215 input + 100 output = $0.000634375",
  },
  {
    name: "chat in a tier without a price",
    body: { model: "gpt-4o", max_tokens: 100, service_tier: "scale", messages: HI },
    holds: "unpriced gpt-4o []; 206 input + 100 output = $0.0909",
  },
  {
    name: "chat without a cap",
    body: { model: "gpt-4o-mini", messages: HI },
    more: ONLY_DEFAULT,
    holds: "171 input + 16384 output = $0.00985605",
  },
  {
    name: "three answers",
    body: { model: "gpt-4o", max_tokens: 100, n: 3, messages: HI },
    more: ONLY_DEFAULT,
    holds: "189 input + 300 output = $0.0034725",
  },
  {
    name: "both caps, the larger",
    body: { model: "gpt-4o", max_tokens: 10, max_completion_tokens: 900, messages: HI },
    more: ONLY_DEFAULT,
    holds: "210 input + 900 output = $0.009525",
  },
  {
    name: "a cap that this endpoint does not know",
    body: { model: "gpt-4o", max_output_tokens: 5, messages: HI },
    more: ONLY_DEFAULT,
    holds: "188 input + 16384 output = $0.16431",
  },
  {
    name: "a stream that can be cut",
    body: { model: "gpt-4o", stream: true, max_tokens: 4_000, n: 2, messages: HI },
    more: ONLY_DEFAULT,
    holds: "204 input + 8000 output = $0.08051; from $0.00563 (512 tokens)",
  },
  {
    name: "a stream that thinks unseen",
    body: { model: "gpt-5", stream: true, max_completion_tokens: 4_000, messages: HI },
    more: ONLY_DEFAULT,
    holds: "208 input + 4000 output = $0.04026",
  },
  {
    name: "a picture inline",
    body: { model: "gpt-4o", max_tokens: 10, messages: [user([{ type: "image_url", image_url: { url: PNG } }])] },
    more: ONLY_DEFAULT,
    holds: "5227 input + 10 output = $0.0131675",
  },
  {
    name: "a picture by URL, the dearest model for them",
    body: {
      model: "gpt-4o-mini",
      max_tokens: 10,
      messages: [user([{ type: "image_url", image_url: { url: "https://example.com/a.png" } }])],
    },
    more: ONLY_DEFAULT,
    holds: "48432 input + 10 output = $0.0072708",
  },
  {
    name: "a file by id",
    body: { model: "gpt-4o", max_tokens: 10, messages: [user([{ type: "file", file: { file_id: "file-1" } }])] },
    more: ONLY_DEFAULT,
    holds: "128000 input + 10 output = $0.3201",
  },
  {
    name: "sound in and out",
    body: {
      model: "gpt-audio",
      max_tokens: 100,
      modalities: ["text", "audio"],
      messages: [user([{ type: "input_audio", input_audio: { data: "A".repeat(64_000), format: "wav" } }])],
    },
    more: ONLY_DEFAULT,
    holds: "281 input + 960 audio_input + 100 audio_output = $0.0378225",
  },
  {
    name: "a prediction",
    body: { model: "gpt-4o", stream: true, max_tokens: 1_000, prediction: { type: "content", content: "abcdefghij" }, messages: HI },
    more: ONLY_DEFAULT,
    holds: "253 input + 1010 output = $0.0107325; from $0.0032925 (266 tokens)",
  },
  {
    name: "a search model",
    body: { model: "gpt-4o-search-preview", max_tokens: 10, messages: HI },
    more: ONLY_DEFAULT,
    holds: "unpriced gpt-4o-search-preview [web_search]; 128197 input + 1 web_search + 10 output = $0.3305925",
  },
  {
    name: "a long prompt of a model with a threshold",
    body: { model: "gpt-5.4", max_completion_tokens: 10, messages: [user("a".repeat(300_000))] },
    more: ONLY_DEFAULT,
    holds: "300192 input + 10 output = $1.501185",
  },
  {
    name: "responses with earlier turns",
    endpoint: "responses",
    body: { model: "gpt-4.1", max_output_tokens: 10, previous_response_id: "resp_1", input: "hi" },
    more: ONLY_DEFAULT,
    holds: "1047576 input + 10 output = $2.095232",
  },
  {
    name: "web search within two calls",
    endpoint: "responses",
    body: { model: "gpt-5", max_output_tokens: 10, max_tool_calls: 2, tools: [{ type: "web_search" }], input: "hi" },
    more: ONLY_DEFAULT,
    holds: "800224 input + 2 web_search + 10 output = $1.02038",
  },
  {
    name: "web search without end",
    endpoint: "responses",
    body: { model: "gpt-5", tools: [{ type: "web_search" }], input: "hi" },
    holds:
      "refused bad_request: web_search may be called any number of times; set max_tool_calls so that the cost of the call has an upper bound.",
  },
  {
    name: "a container, which has no list price",
    endpoint: "responses",
    body: {
      model: "gpt-4.1",
      max_output_tokens: 10,
      max_tool_calls: 1,
      tools: [{ type: "code_interpreter", container: { type: "auto" } }],
      input: "hi",
    },
    more: ONLY_DEFAULT,
    holds: "unpriced gpt-4.1 [code_execution]; 1047836 input + 1 code_execution + 10 output = $4.015752",
  },
  {
    name: "a stored prompt and its unknown tools",
    endpoint: "responses",
    body: { model: "gpt-4.1", prompt: { id: "pmpt_1" } },
    holds:
      "refused bad_request: web_search, file_search, code_interpreter may be called any number of times; set max_tool_calls so that the cost of the call has an upper bound.",
  },
  {
    name: "a stored prompt without tools",
    endpoint: "responses",
    body: { model: "gpt-4.1", max_output_tokens: 10, prompt: { id: "pmpt_1" }, tools: [] },
    more: ONLY_DEFAULT,
    holds: "1047576 input + 10 output = $2.095232",
  },
  {
    name: "a background response",
    endpoint: "responses",
    body: { model: "gpt-5", background: true, input: "hi" },
    holds: "refused unpriced_endpoint: a response with background: true is billed after this call has ended.",
  },
  {
    name: "an MCP server without approval",
    endpoint: "responses",
    body: { model: "gpt-5", tools: [{ type: "mcp", require_approval: "never" }], input: "hi" },
    holds:
      "refused bad_request: tools of an MCP server that run without approval may be called any number of times; set require_approval to always.",
  },
  {
    name: "a model without a price",
    body: { model: "gpt-9", max_tokens: 1_000, messages: HI },
    holds: "unpriced gpt-9 []; 183 input + 1000 output = $0.62745",
  },
  {
    name: "legacy completion",
    endpoint: "completions",
    body: { model: "davinci-002", prompt: "hi" },
    more: ONLY_DEFAULT,
    holds: "133 input + 16 output = $0.000298",
  },
  {
    name: "embeddings",
    endpoint: "embeddings",
    body: { model: "text-embedding-3-small", input: ["one", "two"] },
    more: ONLY_DEFAULT,
    holds: "152 input = $0.00000304",
  },
  {
    name: "two large pictures made",
    endpoint: "images/generations",
    body: { model: "gpt-image-2", n: 2, prompt: "a hat", quality: "high", size: "1024x1024", partial_images: 0 },
    more: ONLY_DEFAULT,
    holds: "197 input + 14048 output = $0.422425",
  },
  {
    name: "speech by character",
    endpoint: "audio/speech",
    body: { model: "tts-1", input: "Hello!", voice: "alloy" },
    more: ONLY_DEFAULT,
    holds: "6 input_characters = $0.00009",
  },
  {
    name: "a transcription",
    endpoint: "audio/transcriptions",
    body: { model: "whisper-1", file: "x".repeat(50_000) },
    more: { ...ONLY_DEFAULT, endpoint: { class: "priced", name: "audio/transcriptions", body: "multipart" } },
    holds: "101 input_seconds = $0.0101",
  },
  {
    name: "Claude",
    dialect: "anthropic",
    body: { model: "claude-sonnet-4-5", max_tokens: 1_000, stream: true, messages: HI },
    holds: "177 input + 1000 output = $0.015531; from $0.004371 (256 tokens)",
  },
  {
    name: "Claude in the dearer region unless told",
    dialect: "anthropic",
    body: { model: "claude-opus-4-6", max_tokens: 100, messages: HI },
    holds: "160 input + 100 output = $0.00363",
  },
  {
    name: "Claude's cache for an hour",
    dialect: "anthropic",
    body: {
      model: "claude-sonnet-4-5",
      max_tokens: 100,
      system: [{ type: "text", text: "hi", cache_control: { type: "ephemeral", ttl: "1h" } }],
      messages: HI,
    },
    holds: "255 cache_write_1h + 100 output = $0.00303",
  },
  {
    name: "Claude thinking within a budget",
    dialect: "anthropic",
    body: {
      model: "claude-sonnet-4-5",
      stream: true,
      max_tokens: 5_000,
      thinking: { type: "enabled", budget_tokens: 2_000 },
      messages: HI,
    },
    holds: "228 input + 5000 output = $0.075684; from $0.034524 (2256 tokens)",
  },
  {
    name: "Claude thinking of itself",
    dialect: "anthropic",
    body: { model: "claude-opus-5-5", stream: true, max_tokens: 5_000, messages: HI },
    more: ONLY_DEFAULT,
    holds: "175 input + 5000 output = $0.1007",
  },
  {
    name: "Claude with a document",
    dialect: "anthropic",
    body: {
      model: "claude-haiku-4-5",
      max_tokens: 10,
      messages: [user([{ type: "document", source: { type: "base64", media_type: "application/pdf", data: "A" } }])],
    },
    more: ONLY_DEFAULT,
    holds: "200000 input + 10 output = $0.20005",
  },
  {
    name: "Claude with one search",
    dialect: "anthropic",
    body: {
      model: "claude-haiku-4-5",
      max_tokens: 10,
      tools: [{ type: "web_search_20250305", name: "web_search", max_uses: 1 }],
      messages: HI,
    },
    more: ONLY_DEFAULT,
    holds: "201466 cache_write_5m + 1 web_search + 10 output = $0.2618825",
  },
  {
    name: "Claude with searches without end",
    dialect: "anthropic",
    body: { model: "claude-haiku-4-5", max_tokens: 10, tools: [{ type: "web_search_20250305", name: "web_search" }], messages: HI },
    holds: "refused bad_request: web_search may search any number of times; set max_uses so that the cost of the call has an upper bound.",
  },
  {
    name: "Claude's fast mode, which has no list price",
    dialect: "anthropic",
    body: { model: "claude-opus-4-6", speed: "fast", max_tokens: 10, messages: HI },
    holds: "unpriced claude-opus-4-6 []; 174 input + 10 output = $0.01344",
  },
  {
    name: "Claude with a fallback",
    dialect: "anthropic",
    body: { model: "claude-opus-5", max_tokens: 10, fallbacks: [{ model: "claude-haiku-4-5" }], messages: HI },
    more: ONLY_DEFAULT,
    holds: "400 input + 20 output = $0.0015",
  },
  {
    name: "a tool that is not known",
    dialect: "anthropic",
    body: { model: "claude-opus-5", max_tokens: 10, tools: [{ type: "advisor_20260301", name: "advisor" }], messages: HI },
    holds: "refused bad_request: the tool advisor_20260301 is not known here, so that its cost has no upper bound.",
  },
];

describe("computeHold", () => {
  it.each(CASES)("holds for $name", ({ dialect = "openai", endpoint, body, more, holds }) => {
    const name = endpoint ?? (dialect === "openai" ? "chat/completions" : "messages");
    expect(inShort(computeHold(holdInput(dialect, name, body, more)))).toBe(holds);
  });

  it("holds nothing for what costs nothing, and cannot hold what is billed later or not known", () => {
    const at = (method: string, endpointClass: "free" | "deferred" | "other"): string =>
      inShort(
        computeHold(
          holdInput(
            "openai",
            "batches",
            {},
            { method, body: undefined, endpoint: { class: endpointClass, name: "batches", body: "none" } },
          ),
        ),
      );
    expect(at("POST", "free")).toBe(" = $0.00");
    expect(at("GET", "other")).toBe(" = $0.00");
    expect(at("POST", "deferred")).toContain("refused unpriced_endpoint");
    expect(at("POST", "other")).toContain("refused unpriced_endpoint");
  });

  // A number that cannot be read must not become "no limit" (a cap of "abc" once switched enforcement off).
  it.each([
    ["chat/completions", { max_tokens: "abc" }],
    ["chat/completions", { max_tokens: -1 }],
    ["chat/completions", { max_completion_tokens: {} }],
    ["responses", { max_output_tokens: 1.5 }],
    ["responses", { max_tool_calls: -1, tools: [{ type: "web_search" }] }],
  ])("refuses %s with %j", (name, body) => {
    expect(computeHold(holdInput("openai", name, { model: "gpt-4o", messages: HI, ...body }))).toMatchObject({
      outcome: "refused",
      code: "bad_request",
    });
  });

  it("refuses more than can be counted, rather than rounding it", () => {
    const hold = computeHold(holdInput("openai", "chat/completions", { model: "gpt-4o", n: Number.MAX_SAFE_INTEGER, messages: HI }));
    expect(hold).toMatchObject({ outcome: "refused", code: "bad_request" });
  });

  it("prices by an organisation's own price, without tiers, where there is one", () => {
    const price: ModelPrice = {
      provider: "openai",
      model: "gpt-4o",
      rates: [
        { unit: "input", pico: picoUsd(1_000_000n), fromInputTokens: 0 },
        { unit: "output", pico: picoUsd(2_000_000n), fromInputTokens: 0 },
      ],
      perCall: nanoUsd(500_000n),
      version: "override:1",
      source: "contract",
    };
    const hold = computeHold(
      holdInput("openai", "chat/completions", { model: "gpt-4o", max_tokens: 100, messages: HI }, { findPrice: () => price }),
    );
    // 183 × $1 + 100 × $2 a million, and half a millidollar a call.
    expect(inShort(hold)).toBe("183 input + 100 output = $0.000883");
  });

  it("has no ceiling where the provider has no prices at all", () => {
    const hold = computeHold(
      holdInput(
        "openai",
        "chat/completions",
        { model: "llama", messages: HI },
        { provider: "somewhere", findDearestPrice: () => undefined },
      ),
    );
    expect(inShort(hold)).toBe("unpriced llama []; no ceiling");
  });

  it("takes the dearest rate below a threshold too, because a shorter prompt may fall under it", () => {
    const rate = (pico: bigint, fromInputTokens: number) => ({ unit: "input" as const, pico: picoUsd(pico), fromInputTokens });
    const price: ModelPrice = {
      provider: "openai",
      model: "gpt-4o",
      rates: [rate(5_000n, 0), rate(1_000n, 50), { unit: "output", pico: picoUsd(0n), fromInputTokens: 0 }],
      perCall: nanoUsd(0n),
      version: "v",
      source: "",
    };
    const hold = computeHold(
      holdInput("openai", "chat/completions", { model: "gpt-4o", max_tokens: 1, messages: HI }, { findPrice: () => price }),
    );
    expect(hold.outcome === "bounded" && hold.bound).toBe(181n * 5n);
  });

  it("says how it was made, each feature with its figure", () => {
    const hold = computeHold(
      holdInput(
        "openai",
        "chat/completions",
        {
          model: "gpt-4o",
          max_tokens: 10,
          messages: [
            user([
              { type: "image_url", image_url: { url: PNG } },
              { type: "image_url", image_url: { url: PNG } },
            ]),
          ],
        },
        ONLY_DEFAULT,
      ),
    );
    if (hold.outcome !== "bounded") throw new Error(hold.outcome);
    expect(hold.explain()).toEqual([
      expect.stringMatching(/^text: \d+ bytes are \d+ tokens at most \(a token has at least one byte\)$/),
      "added by the provider's templates, tools and pictures: 10,112 tokens at most",
      "picture (computable): 5,000 tokens, the most this model reads of one at any size, 2 times",
      "output (computable): 10 tokens at most: the cap that was set",
      "billed as 10,275 input, 10 output at the dearest rates of genai-prices@0.1.8: $0.0257875",
    ]);
  });
});

describe("a hold that grows", () => {
  const stream = computeHold(
    holdInput("openai", "chat/completions", { model: "gpt-4o", stream: true, max_tokens: 4_000, messages: HI }, ONLY_DEFAULT),
  );
  if (stream.outcome !== "bounded" || !stream.cut) throw new Error("this stream can be cut");
  const { cut } = stream;

  it("starts at the floor, ends at the bound, and an amount buys exactly the tokens it pays for", () => {
    expect(costWithOutput(stream, cut.floorOutputTokens)).toBe(cut.floor);
    expect(costWithOutput(stream, 4_000)).toBe(stream.bound);
    for (const tokens of [0, 1, 255, 256, 3_999, 4_000]) {
      const cost = costWithOutput(stream, tokens);
      expect(outputTokensAffordable(stream, cost)).toBe(tokens);
      if (tokens > 0) expect(outputTokensAffordable(stream, nanoUsd(cost - 1n))).toBe(tokens - 1);
    }
    expect(outputTokensAffordable(stream, nanoUsd(0n))).toBe(0);
    expect(outputTokensAffordable(stream, nanoUsd(10n ** 18n))).toBe(4_000);
  });

  it("is not offered where output is not seen, goes through tools, or is not a stream", () => {
    const cutOf = (dialect: "openai" | "anthropic", name: string, body: Json): unknown => {
      const hold = computeHold(holdInput(dialect, name, { stream: true, ...body }));
      return hold.outcome === "bounded" ? hold.cut : hold.outcome;
    };
    const long = { max_tokens: 4_000, messages: HI };
    expect(cutOf("openai", "chat/completions", { model: "gpt-4o", ...long, stream: false })).toBeNull();
    expect(cutOf("openai", "chat/completions", { model: "o3", ...long })).toBeNull();
    expect(cutOf("openai", "chat/completions", { model: "gpt-4o", ...long, max_tokens: 256 })).toBeNull();
    expect(cutOf("openai", "chat/completions", { model: "gpt-audio", ...long, modalities: ["audio"] })).toBeNull();
    expect(cutOf("openai", "completions", { model: "davinci-002", max_tokens: 4_000, best_of: 2, prompt: "hi" })).toBeNull();
    expect(cutOf("anthropic", "messages", { model: "claude-opus-5", ...long })).toBeNull();
    expect(cutOf("anthropic", "messages", { model: "claude-opus-4-6", ...long, thinking: { type: "adaptive" } })).toBeNull();
    expect(cutOf("anthropic", "messages", { model: "claude-opus-5", ...long, thinking: { type: "disabled" } })).not.toBeNull();
    expect(cutOf("anthropic", "messages", { model: "claude-opus-4-6", ...long, mcp_servers: [{ url: "https://a" }] })).toBeNull();
  });
});

describe("tightenHold", () => {
  const prose = "You are a helpful assistant who answers in plain English, briefly and with examples. ".repeat(50);

  it("asks for about a quarter of the input money of English, and says so", async () => {
    const input = holdInput("openai", "chat/completions", { model: "gpt-4o", max_tokens: 1, messages: [user(prose)] }, ONLY_DEFAULT);
    const [loose, tight] = [computeHold(input), await tightenHold(input)];
    if (loose.outcome !== "bounded" || tight.outcome !== "bounded") throw new Error("both are bounded");
    console.log(`${prose.length} bytes of English: ${nanoToUsdString(loose.bound)} by bytes, ${nanoToUsdString(tight.bound)} counted`);
    expect(tight.bound * 4n).toBeLessThan(loose.bound);
    expect(tight.explain()[0]).toContain("counted with a tokenizer");
  });

  it("changes nothing where the text does not decide, and leaves files out of the text", async () => {
    const file = {
      model: "gpt-4o",
      max_tokens: 1,
      messages: [
        user([
          { type: "file", file: { file_id: "f" } },
          { type: "text", text: prose },
        ]),
      ],
    };
    const input = holdInput("openai", "chat/completions", file, ONLY_DEFAULT);
    expect(inShort(await tightenHold(input))).toBe(inShort(computeHold(input)));

    // The same characters are a picture in one place and text in the other; the text is still counted.
    const twice = (text: string): Json => ({
      model: "gpt-4o",
      max_tokens: 1,
      messages: [
        user([
          { type: "image_url", image_url: { url: PNG } },
          { type: "text", text },
        ]),
      ],
    });
    const held = async (text: string): Promise<number> => {
      const hold = await tightenHold(holdInput("openai", "chat/completions", twice(text), ONLY_DEFAULT));
      return hold.outcome === "bounded" ? hold.quantities.input! : Number.NaN;
    };
    expect((await held(PNG)) - (await held(""))).toBeGreaterThan(5_000);
    expect(await held("")).toBeLessThan(5_400);
  });
});
