import { describe, expect, it } from "vitest";
import { ListPriceBook, type OverrideStore, createPriceBook } from "@/server/pricing";
import { meterAnswer } from "@/testing/meter-answer";
import { createCallPricing, type PricedCall } from "./price-call";
import { providers } from "./providers";

// A stream that its caller left is charged at an upper bound. Below it a budget is passed unseen, far above it money is taken that was
// never spent.

const overrides: OverrideStore = { ensureLoaded: () => undefined, find: () => ({ applies: false }) };
const pricing = createCallPricing({ priceBook: createPriceBook({ list: new ListPriceBook(), overrides }), overrides });

type Block = { type: string; text?: string; thinking?: string; data?: string };

/** What a caller who left after these blocks is charged. */
async function leftAfter(blocks: readonly Block[], request: object, model = "claude-opus-5"): Promise<PricedCall> {
  const body = Buffer.from(JSON.stringify({ model, messages: [{ role: "user", content: "hi" }], stream: true, ...request }));
  const endpoint = providers.anthropic.classify("POST", "/v1/messages");
  const read = providers.anthropic.readRequest(endpoint, body);
  if (!read.ok) throw new Error(read.message);
  const usage = { input_tokens: 10, output_tokens: 1 };
  const events = [
    { type: "message_start", message: { id: "msg_1", model, usage } },
    ...blocks.map((content_block, index) => ({ type: "content_block_start", index, content_block })),
  ];
  const metered = meterAnswer({
    provider: "anthropic",
    path: "/v1/messages",
    contentType: "text/event-stream",
    pieces: events.map((event) => Buffer.from(`event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`)),
  });
  return pricing.price({
    orgId: "0190b3c4-5d6e-7f80-9a1b-2c3d4e5f6071",
    configVersion: 1n,
    provider: "anthropic",
    dialect: "anthropic",
    endpoint,
    method: "POST",
    facts: read.facts,
    requestBody: body,
    metered,
    callerLeft: true,
    startedAtMs: Date.now(),
  });
}

const TEXT = { type: "text", text: "four words of text" };

describe("a stream whose caller left", () => {
  it("is charged what was delivered, where a thinking model did not think", async () => {
    const call = await leftAfter([TEXT], { max_tokens: 5000 });
    expect(call.costBasis).toBe("bounded");
    expect(call.outputTokens).toBeLessThan(20);
  });

  it.each([
    ["a summary of its thinking", [{ type: "thinking", thinking: "In short." }, TEXT]],
    ["no text of its thinking", [{ type: "thinking", thinking: "" }, TEXT]],
    ["its thinking encrypted", [{ type: "redacted_thinking", data: "AAAA" }]],
    ["nothing yet", []],
  ])("is charged the cap where a model that thinks unasked showed %s", async (_what, blocks) => {
    expect(await leftAfter(blocks, { max_tokens: 5000 })).toMatchObject({ outputTokens: 5000, costBasis: "bounded" });
  });

  it("is charged what was delivered before the first block, of models that think only when asked", async () => {
    expect((await leftAfter([], { max_tokens: 5000 }, "claude-opus-4-5")).outputTokens).toBe(0);
    expect((await leftAfter([], { max_tokens: 5000, thinking: { type: "disabled" } })).outputTokens).toBe(0);
  });

  it("has the model's own maximum for a cap where the caller set none, and a budget above the cap on top", async () => {
    expect((await leftAfter([], { thinking: { type: "adaptive" } }, "claude-opus-4-5")).outputTokens).toBe(64_000);
    expect((await leftAfter([], {})).outputTokens).toBe(128_000);
    const thinking = { type: "enabled", budget_tokens: 6000 };
    expect((await leftAfter([], { max_tokens: 5000, thinking })).outputTokens).toBe(11_000);
  });
});
