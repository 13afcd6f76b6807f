import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { costOfUsage } from "../cost-of-usage";
import type { UsageQuantities } from "../usage";
import { computeHold, costWithOutput, tightenHold } from "./compute-hold";
import { AT_MS, TEXTS, findPrice, holdInput } from "./testing";

/*
 * A provider that keeps to its own documentation, written apart from the estimate: it counts the real text, adds what its pages
 * say it adds, and then draws the dearest or any other thing it may do. What it charges must never be more than was held, or a hard
 * budget is overspent.
 */

const { countTokens: o200k } = await import("gpt-tokenizer/encoding/o200k_base");
const tokens = (text: string): number => o200k(text, { disallowedSpecial: new Set() });
/** Claude's vocabularies, as far as they are documented: up to 1.35 times the older ones, which make about 1.15 times o200k. */
const claudeTokens = (text: string): number => Math.min(Buffer.byteLength(text), Math.ceil(tokens(text) * 1.15 * 1.35));

const OPENAI_MODELS = {
  "gpt-4o": { window: 128_000, outputMax: 16_384, writes: false },
  "gpt-4o-mini": { window: 128_000, outputMax: 16_384, writes: false },
  "gpt-4.1-mini": { window: 1_047_576, outputMax: 32_768, writes: false },
  "gpt-5": { window: 400_000, outputMax: 128_000, writes: false },
  "gpt-5.4": { window: 1_050_000, outputMax: 128_000, writes: false },
  "gpt-5.6-sol": { window: 1_050_000, outputMax: 128_000, writes: true },
  "gpt-6.1-terra": { window: 1_050_000, outputMax: 128_000, writes: true },
  o3: { window: 200_000, outputMax: 100_000, writes: false },
} as const;
const CLAUDE_MODELS = {
  "claude-haiku-4-5": 200_000,
  "claude-sonnet-4-5": 1_000_000,
  "claude-opus-4-6": 1_000_000,
  "claude-haiku-5-5": 1_000_000,
  "claude-opus-5-5": 1_000_000,
} as const;

const text = fc
  .array(fc.tuple(fc.constantFrom(...Object.values(TEXTS)), fc.integer({ min: 1, max: 6 })), { minLength: 1, maxLength: 4 })
  .map((parts) => parts.map(([part, times]) => part.repeat(times)).join(""));
const anyText = fc.oneof({ weight: 4, arbitrary: text }, fc.string({ unit: "binary", maxLength: 60 }), fc.string({ unit: "grapheme" }));
/** Draws of the provider: 0 is the least it may do, 1 the most. The extremes come often. */
const draw = fc.oneof(fc.constantFrom(0, 1), fc.double({ min: 0, max: 1, noNaN: true }));
const upTo = (most: number, share: number): number => Math.min(most, Math.round(most * share));

const picture = fc.record({
  isInline: fc.boolean(),
  width: fc.integer({ min: 1, max: 8000 }),
  height: fc.integer({ min: 1, max: 8000 }),
  detail: fc.constantFrom(undefined, "low", "high", "auto"),
});
type Picture = { isInline: boolean; width: number; height: number; detail: string | undefined };
const PNG = `data:image/png;base64,${"iVBORw0KGgo".repeat(40)}`;

/** https://developers.openai.com/api/docs/guides/images-vision */
function openaiPictureTokens(model: string, { width, height, detail }: Picture): number {
  const tiles = { "gpt-4o": [85, 170], "gpt-4o-mini": [2833, 5667], "gpt-5": [70, 140], o3: [75, 150] }[model];
  if (tiles) {
    const [base, perTile] = tiles as [number, number];
    if (detail === "low") return base;
    const fit = Math.min(1, 2048 / Math.max(width, height));
    const short = Math.min(width, height) * fit;
    const scale = fit * Math.min(1, 768 / short);
    return base + perTile * Math.ceil((width * scale) / 512) * Math.ceil((height * scale) / 512);
  }
  const [patchesMax, multiplier] = model === "gpt-4.1-mini" ? [1536, 1.62] : [10_000, 1.2];
  const patches = Math.ceil(width / 32) * Math.ceil(height / 32);
  return Math.ceil(Math.min(patches, detail === "low" ? 256 : patchesMax) * multiplier);
}
/** https://platform.claude.com/docs/en/build-with-claude/vision */
const claudePictureTokens = ({ width, height }: Picture): number => Math.min(4_784, Math.ceil(width / 28) * Math.ceil(height / 28));

const toolSchema = fc.dictionary(
  fc.string({ minLength: 1, maxLength: 12 }).filter((key) => key !== "__proto__"),
  fc.record({ type: fc.constantFrom("string", "number"), description: anyText }),
  { maxKeys: 4 },
);
const callerTool = fc.record({ name: fc.stringMatching(/^[a-z_]{1,20}$/), description: anyText, properties: toolSchema });
type CallerTool = { name: string; description: string; properties: Record<string, { type: string; description: string }> };
/** As TypeScript, which is how functions are shown to the model, with what that adds. */
const toolTokens = (tool: CallerTool, count: (text: string) => number): number =>
  12 +
  count(`// ${tool.description}\ntype ${tool.name} = (_: {`) +
  Object.entries(tool.properties).reduce(
    (sum, [key, { type, description }]) => sum + 3 + count(`// ${description}\n${key}: ${type},\n`),
    0,
  );

const served = fc.record({
  input: draw,
  cached: draw,
  written: draw,
  written1h: draw,
  output: draw,
  reasoning: draw,
  found: draw,
  calls: draw,
  tier: fc.constantFrom("default", "priority", "flex"),
  geo: fc.constantFrom("global", "us"),
});
type Served = typeof served extends fc.Arbitrary<infer T> ? T : never;

const openaiRequest = fc.record({
  api: fc.constantFrom("chat/completions", "responses"),
  model: fc.constantFrom(...(Object.keys(OPENAI_MODELS) as (keyof typeof OPENAI_MODELS)[])),
  system: fc.option(anyText, { nil: undefined }),
  messages: fc.array(fc.record({ content: anyText, pictures: fc.array(picture, { maxLength: 2 }) }), { minLength: 1, maxLength: 5 }),
  tools: fc.array(callerTool, { maxLength: 3 }),
  cap: fc.option(fc.integer({ min: 1, max: 200_000 }), { nil: undefined }),
  n: fc.integer({ min: 1, max: 8 }),
  tier: fc.constantFrom(undefined, "auto", "default", "priority", "flex"),
  stream: fc.boolean(),
  prediction: fc.option(anyText, { nil: undefined }),
  previous: fc.boolean(),
  file: fc.boolean(),
  searches: fc.option(fc.integer({ min: 0, max: 4 }), { nil: undefined }),
  fileSearch: fc.boolean(),
});
type OpenaiRequest = typeof openaiRequest extends fc.Arbitrary<infer T> ? T : never;

function openaiBody(request: OpenaiRequest): Record<string, unknown> {
  const { api, model, system, messages, tools, cap, n, tier, stream, prediction, previous, file, searches, fileSearch } = request;
  const isChat = api === "chat/completions";
  const url = ({ isInline }: Picture): string => (isInline ? PNG : "https://example.com/picture.png");
  const parts = (content: string, pictures: Picture[]): unknown[] => [
    { type: isChat ? "text" : "input_text", text: content },
    ...pictures.map((one) =>
      isChat
        ? { type: "image_url", image_url: { url: url(one), detail: one.detail } }
        : { type: "input_image", image_url: url(one), detail: one.detail },
    ),
    ...(file ? [isChat ? { type: "file", file: { file_id: "file-1" } } : { type: "input_file", file_id: "file-1" }] : []),
  ];
  const turns = messages.map(({ content, pictures }) => ({
    role: "user",
    content: pictures.length > 0 || file ? parts(content, pictures) : content,
  }));
  const schema = (tool: CallerTool): Record<string, unknown> => ({
    name: tool.name,
    description: tool.description,
    parameters: { type: "object", properties: tool.properties },
  });
  const shared = { model, stream, ...(tier !== undefined && { service_tier: tier }) };
  if (isChat) {
    return {
      ...shared,
      messages: [...(system === undefined ? [] : [{ role: "system", content: system }]), ...turns],
      ...(tools.length > 0 && { tools: tools.map((tool) => ({ type: "function", function: schema(tool) })) }),
      ...(cap !== undefined && { max_completion_tokens: cap }),
      n,
      ...(prediction !== undefined && { prediction: { type: "content", content: prediction } }),
    };
  }
  return {
    ...shared,
    ...(system !== undefined && { instructions: system }),
    input: turns,
    tools: [
      ...tools.map((tool) => ({ type: "function", ...schema(tool) })),
      ...(searches === undefined ? [] : [{ type: "web_search" }]),
      ...(searches !== undefined && fileSearch ? [{ type: "file_search", vector_store_ids: ["vs_1"] }] : []),
    ],
    ...(searches !== undefined && { max_tool_calls: searches }),
    ...(cap !== undefined && { max_output_tokens: cap }),
    ...(previous && { previous_response_id: "resp_1" }),
  };
}

/** Splits input into what was read anew, from the cache and written to it. */
function splitInput(total: number, draws: Served, writes: boolean, writes1h: boolean): UsageQuantities {
  const cached = upTo(total, draws.cached);
  const written = writes ? upTo(total - cached, draws.written) : 0;
  const hour = writes1h ? upTo(written, draws.written1h) : 0;
  return { input: total - cached - written, cached_input: cached, cache_write_5m: written - hour, cache_write_1h: hour };
}

function openaiCharge(request: OpenaiRequest, draws: Served): { quantities: UsageQuantities; tier: string } | undefined {
  const { api, model, system, messages, tools, cap, n, tier, prediction, previous, file, searches, fileSearch } = request;
  const isChat = api === "chat/completions";
  const limits = OPENAI_MODELS[model];
  let input = 3 + (system === undefined ? 0 : 3 + tokens(system));
  for (const { content, pictures } of messages) {
    input += 4 + tokens(content) + pictures.reduce((sum, one) => sum + openaiPictureTokens(model, one), 0);
  }
  input += tools.length > 0 ? 16 + tools.reduce((sum, tool) => sum + toolTokens(tool, tokens), 0) : 0;
  if (file || (!isChat && previous)) input = Math.max(input, upTo(limits.window, draws.found));
  // The provider would answer with an error, which costs nothing.
  if (input > limits.window) return undefined;
  const calls = !isChat && searches !== undefined ? upTo(searches, draws.calls) : 0;
  for (let turn = 0; turn < calls; turn++) input += upTo(limits.window, draws.found);

  const most = Math.min(cap ?? limits.outputMax, limits.window) * (isChat ? n : 1);
  const output = upTo(most, draws.output) + (isChat && prediction !== undefined ? tokens(prediction) * n : 0);
  const reasoning = upTo(output, draws.reasoning);
  const fileSearches = fileSearch ? upTo(calls, draws.found) : 0;
  return {
    quantities: {
      ...splitInput(input, draws, limits.writes, false),
      output: output - reasoning,
      reasoning,
      web_search: calls - fileSearches,
      file_search: fileSearches,
    },
    tier:
      tier === undefined || tier === "auto"
        ? draws.tier === "flex"
          ? "default"
          : draws.tier
        : tier === "priority" && draws.tier === "default"
          ? "default"
          : tier,
  };
}

const claudeRequest = fc.record({
  model: fc.constantFrom(...(Object.keys(CLAUDE_MODELS) as (keyof typeof CLAUDE_MODELS)[])),
  system: fc.option(anyText, { nil: undefined }),
  messages: fc.array(fc.record({ content: anyText, pictures: fc.array(picture, { maxLength: 2 }) }), { minLength: 1, maxLength: 5 }),
  tools: fc.array(callerTool, { maxLength: 3 }),
  cap: fc.integer({ min: 1, max: 128_000 }),
  budget: fc.option(fc.integer({ min: 1024, max: 64_000 }), { nil: undefined }),
  cache: fc.constantFrom(undefined, "5m", "1h"),
  document: fc.boolean(),
  searches: fc.option(fc.integer({ min: 0, max: 5 }), { nil: undefined }),
  geo: fc.constantFrom(undefined, "global", "us"),
  stream: fc.boolean(),
});
type ClaudeRequest = typeof claudeRequest extends fc.Arbitrary<infer T> ? T : never;

function claudeBody(request: ClaudeRequest): Record<string, unknown> {
  const { model, system, messages, tools, cap, budget, cache, document, searches, geo, stream } = request;
  const control = cache === undefined ? {} : { cache_control: { type: "ephemeral", ...(cache === "1h" && { ttl: "1h" }) } };
  const [media, data] = PNG.slice(5).split(";base64,");
  return {
    model,
    stream,
    max_tokens: cap,
    ...(geo !== undefined && { inference_geo: geo }),
    ...(budget !== undefined && { thinking: { type: "enabled", budget_tokens: budget } }),
    ...(system !== undefined && { system: [{ type: "text", text: system, ...control }] }),
    messages: messages.map(({ content, pictures }) => ({
      role: "user",
      content: [
        { type: "text", text: content, ...(system === undefined && control) },
        ...pictures.map(({ isInline }) => ({
          type: "image",
          source: isInline ? { type: "base64", media_type: media, data } : { type: "url", url: "https://example.com/a.png" },
        })),
        ...(document ? [{ type: "document", source: { type: "base64", media_type: "application/pdf", data: "JVBERi0=".repeat(40) } }] : []),
      ],
    })),
    tools: [
      ...tools.map((tool) => ({
        name: tool.name,
        description: tool.description,
        input_schema: { type: "object", properties: tool.properties },
      })),
      ...(searches === undefined ? [] : [{ type: "web_search_20250305", name: "web_search", max_uses: searches }]),
    ],
  };
}

function claudeCharge(request: ClaudeRequest, draws: Served): { quantities: UsageQuantities; geo: string } | undefined {
  const { model, system, messages, tools, cap, budget, cache, document, searches, geo } = request;
  const window = CLAUDE_MODELS[model];
  let input = system === undefined ? 0 : claudeTokens(system) + 4;
  for (const { content, pictures } of messages) {
    input += 4 + claudeTokens(content) + pictures.reduce((sum, one) => sum + claudePictureTokens(one), 0);
  }
  if (tools.length > 0 || searches !== undefined) input += 804 + tools.reduce((sum, tool) => sum + toolTokens(tool, claudeTokens), 0);
  if (document) input = Math.max(input, upTo(window, draws.found));
  if (input > window) return undefined;
  const calls = searches === undefined ? 0 : upTo(searches, draws.calls);
  for (let turn = 0; turn < Math.min(calls, 10); turn++) input += upTo(window, draws.found);
  const most = Math.min(window, budget !== undefined && budget >= cap ? cap + budget : cap);
  const output = upTo(most, draws.output);
  const reasoning = upTo(Math.min(output, budget ?? output), draws.reasoning);
  return {
    quantities: {
      ...splitInput(input, draws, cache !== undefined, cache === "1h"),
      output: output - reasoning,
      reasoning,
      web_search: calls,
    },
    geo: geo ?? draws.geo,
  };
}

const RUNS = Number(process.env["HOLD_RUNS"] ?? 2_000);

describe("a hold is never less than what the provider can charge", () => {
  it("OpenAI: chat and responses, with every feature drawn at random", { timeout: 300_000 }, async () => {
    let held = 0;
    await fc.assert(
      fc.asyncProperty(openaiRequest, fc.array(served, { minLength: 1, maxLength: 4 }), async (request, draws) => {
        const input = holdInput("openai", request.api, openaiBody(request));
        const hold = computeHold(input);
        const tight = await tightenHold(input);
        for (const one of draws) {
          const charge = openaiCharge(request, one);
          if (!charge) continue;
          const price = findPrice({ provider: "openai", model: request.model, serviceTier: charge.tier, atMs: AT_MS, orgId: "" });
          if (!price) continue;
          const cost = costOfUsage({ quantities: charge.quantities, price });
          if (!cost.priced) continue;
          const bound = hold.outcome === "unpriced" ? hold.ceiling : hold;
          const tightBound = tight.outcome === "unpriced" ? tight.ceiling : tight;
          expect(bound?.outcome).toBe("bounded");
          if (bound?.outcome !== "bounded" || tightBound?.outcome !== "bounded") return;
          expect(bound.bound).toBeGreaterThanOrEqual(cost.receipt.cost);
          expect(tightBound.bound).toBeGreaterThanOrEqual(cost.receipt.cost);
          expect(tightBound.bound).toBeLessThanOrEqual(bound.bound);
          expect(bound.bound).toBe(costWithOutput(bound, bound.outputTokensBound));
          if (bound.cut) expect(bound.cut.floor).toBeLessThan(bound.bound);
          held += 1;
        }
      }),
      { numRuns: RUNS },
    );
    console.log(`OpenAI: ${held} charges held for`);
    expect(held).toBeGreaterThan(RUNS / 2);
  });

  it("Anthropic: messages, with every feature drawn at random", { timeout: 300_000 }, async () => {
    let held = 0;
    await fc.assert(
      fc.asyncProperty(claudeRequest, fc.array(served, { minLength: 1, maxLength: 4 }), async (request, draws) => {
        const input = holdInput("anthropic", "messages", claudeBody(request));
        const hold = computeHold(input);
        const tight = await tightenHold(input);
        for (const one of draws) {
          const charge = claudeCharge(request, one);
          if (!charge) continue;
          const price = findPrice({ provider: "anthropic", model: request.model, inferenceGeo: charge.geo, atMs: AT_MS, orgId: "" });
          if (!price) continue;
          const cost = costOfUsage({ quantities: charge.quantities, price });
          if (!cost.priced) throw new Error(`no price for ${cost.missingUnits.join()}`);
          if (hold.outcome !== "bounded" || tight.outcome !== "bounded") {
            // A region that a model is not served in has no price.
            expect(hold.outcome).toBe("unpriced");
            continue;
          }
          expect(hold.bound).toBeGreaterThanOrEqual(cost.receipt.cost);
          expect(tight.bound).toBeGreaterThanOrEqual(cost.receipt.cost);
          expect(tight.bound).toBeLessThanOrEqual(hold.bound);
          held += 1;
        }
      }),
      { numRuns: RUNS },
    );
    console.log(`Anthropic: ${held} charges held for`);
    expect(held).toBeGreaterThan(RUNS / 2);
  });

  it("grows with the cap and with the number of answers, and has no cap of its own", () => {
    fc.assert(
      fc.property(openaiRequest, fc.integer({ min: 1, max: 100_000 }), fc.integer({ min: 1, max: 100_000 }), (request, a, b) => {
        const boundOf = (change: Partial<OpenaiRequest>): bigint => {
          const hold = computeHold(holdInput("openai", request.api, openaiBody({ ...request, ...change })));
          const bounded = hold.outcome === "unpriced" ? hold.ceiling : hold;
          if (bounded?.outcome !== "bounded") throw new Error(hold.outcome);
          return bounded.bound;
        };
        const [less, more] = [Math.min(a, b), Math.max(a, b)];
        // The body is as long, so that only the cap differs.
        const [small, large] = [100_000 + less, 100_000 + more];
        expect(boundOf({ cap: large })).toBeGreaterThanOrEqual(boundOf({ cap: small }));
        expect(boundOf({ n: 8 })).toBeGreaterThanOrEqual(boundOf({ n: 2 }));
        if (request.api === "chat/completions") expect(boundOf({ n: 9 })).toBeGreaterThan(boundOf({ n: 8 }));
      }),
      { numRuns: 300 },
    );
  });

  const anyJson = fc.jsonValue({ maxDepth: 4 });
  it("answers any body with a bound that is finite, or a refusal, and never throws", () => {
    const keys = ["messages", "input", "tools", "max_tokens", "max_tool_calls", "thinking", "system", "prompt", "fallbacks", "modalities", "prediction", "max_output_tokens", "mcp_servers", "context_management", "size", "partial_images"]; // prettier-ignore
    fc.assert(
      fc.property(
        fc.dictionary(fc.oneof(fc.constantFrom(...keys), fc.string()), anyJson),
        fc.constantFrom(
          ...(["chat/completions", "responses", "responses/compact", "completions", "embeddings", "images/generations", "images/edits", "audio/speech", "audio/transcriptions"].map((name) => ["openai", name, "gpt-4o"] as const)), // prettier-ignore
          ["anthropic", "messages", "claude-opus-5"] as const,
        ),
        (body, [dialect, name, model]) => {
          const hold = computeHold(holdInput(dialect, name, { ...body, model }));
          const bounded = hold.outcome === "unpriced" ? hold.ceiling : hold;
          if (bounded === null || bounded.outcome === "refused") return;
          expect(bounded.bound).toBeGreaterThanOrEqual(0n);
          expect(bounded.withoutOutputPico).toBeGreaterThanOrEqual(0n);
          for (const quantity of Object.values(bounded.quantities)) expect(Number.isSafeInteger(quantity) && quantity >= 0).toBe(true);
          expect(Number.isSafeInteger(bounded.outputTokensBound)).toBe(true);
        },
      ),
      { numRuns: 3_000 },
    );
  });
});
