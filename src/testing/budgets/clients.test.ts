import Anthropic from "@anthropic-ai/sdk";
import { createOpenAI } from "@ai-sdk/openai";
import { APICallError, generateText, RetryError } from "ai";
import OpenAI from "openai";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { openDoor, type Door } from "@/testing/clients/door";
import { startProduct, type Product } from "@/testing/server";
import { createSpender, priceByCall, rest, send, type Spender } from "./spender";

// What would break in production: an agent takes its denial for a passing fault, tries again for minutes, and shows its person a stack
// trace instead of what stopped it.

const CENT = "agent-one-cent";
const messages = [{ role: "user" as const, content: "hi" }];
/** Less than any of these calls may cost. */
const TINY_MICRODOLLARS = 1;

let product: Product;
let tiny: Spender;
let tiny402: Spender;
let door: Door;
beforeAll(async () => {
  product = await startProduct();
  await priceByCall(product, CENT, "0.01");
  tiny = await createSpender(product, { limitMicrodollars: TINY_MICRODOLLARS, resetInterval: "monthly" });
  tiny402 = await createSpender(product, { limitMicrodollars: TINY_MICRODOLLARS, restrictions: { denialStatus: 402 } });
});
afterAll(async () => {
  await product?.stop();
});
beforeEach(async () => {
  product.fake.clear();
  door = await openDoor(product.origin);
});
afterEach(async () => {
  // A denied call has sent nothing, however often it was tried.
  expect(product.fake.log).toHaveLength(0);
  await door.close();
});

const thrown = async (call: PromiseLike<unknown>): Promise<unknown> => {
  try {
    await call;
  } catch (error) {
    return error;
  }
  throw new Error("the call was not denied");
};

const openai = ({ key }: Spender): OpenAI => new OpenAI({ baseURL: `${door.origin}/v1`, apiKey: `${key}:sk-provider` });
const anthropic = ({ key }: Spender): Anthropic => new Anthropic({ baseURL: door.origin, apiKey: `${key}:sk-provider` });

describe("a client with its own retries", () => {
  it.each([
    ["chat.completions.create", (client: OpenAI) => client.chat.completions.create({ model: "gpt-4o-mini", messages })],
    ["a stream", (client: OpenAI) => client.chat.completions.create({ model: "gpt-4o-mini", messages, stream: true })],
    ["responses.create", (client: OpenAI) => client.responses.create({ model: "gpt-4.1-mini", input: "hi" })],
  ])("openai raises its rate limit error at the first try: %s", async (_, call) => {
    const error = await thrown(call(openai(tiny)));
    expect(error).toBeInstanceOf(OpenAI.RateLimitError);
    expect(error).toMatchObject({ status: 429, code: "budget_exceeded", type: "insufficient_quota" });
    expect((error as Error).message).toMatch(/NullSpend: .*budget.*\$/);
    expect(door.requests).toBe(1);
  });

  it.each([false, true])("anthropic raises its rate limit error at the first try (stream: %s)", async (stream) => {
    const error = await thrown(anthropic(tiny).messages.create({ model: "claude-haiku-4-5", max_tokens: 100, messages, stream }));
    expect(error).toBeInstanceOf(Anthropic.RateLimitError);
    expect(error).toMatchObject({
      status: 429,
      error: { type: "error", error: { type: "rate_limit_error", details: { error_code: "budget_exceeded" } } },
    });
    expect((error as Error).message).toMatch(/NullSpend: .*budget.*\$/);
    expect(door.requests).toBe(1);
  });

  it("the AI SDK, which looks at the status alone, tries once where the key says 402", async () => {
    const provider = createOpenAI({ baseURL: `${door.origin}/v1`, apiKey: `${tiny402.key}:sk-provider` });
    const error = await thrown(generateText({ model: provider.chat("gpt-4o-mini"), prompt: "hi" }));
    expect(RetryError.isInstance(error)).toBe(false);
    expect(APICallError.isInstance(error) && error.statusCode).toBe(402);
    expect((error as Error).message).toMatch(/NullSpend: .*budget.*\$/);
    expect(door.requests).toBe(1);
  });
});

describe("a denial", () => {
  it("says what stopped the call, when that ends and what would have fitted, and its decision explains it", async () => {
    const error = (await thrown(openai(tiny).chat.completions.create({ model: "gpt-4o-mini", messages, max_tokens: 100 }))) as {
      error: { details: Record<string, unknown> };
      headers: Headers;
      message: string;
    };
    const { details } = error.error;
    expect(details).toMatchObject({
      entity_type: "api_key",
      entity_id: `ns_key_${tiny.keyId}`,
      budget_id: tiny.budgetId,
      budget_limit_microdollars: TINY_MICRODOLLARS,
      budget_spend_microdollars: 0,
      budget_reserved_microdollars: 0,
      affordable_output_tokens: 0,
      resets_at: expect.stringMatching(/^\d{4}-\d\d-01T00:00:00\.000Z$/) as string,
      request_url: expect.stringContaining(product.origin) as string,
    });
    expect(details["estimated_cost_microdollars"]).toBeGreaterThan(TINY_MICRODOLLARS);
    expect(error.headers.get("retry-after")).toBeNull();
    expect(error.headers.get("x-should-retry")).toBe("false");
    const { data } = await rest(product, "GET", `/api/decisions/${String(details["decision_id"])}`);
    expect(data).toMatchObject({
      code: "budget_exceeded",
      estimate: { amountMicrodollars: details["estimated_cost_microdollars"] },
      budgets: [{ id: tiny.budgetId, limitMicrodollars: TINY_MICRODOLLARS, remainingMicrodollars: TINY_MICRODOLLARS, denied: true }],
      wouldHavePassed: { amountMicrodollars: TINY_MICRODOLLARS, outputTokens: 0 },
    });
  });
});

it("every call tells the tightest budget, admitted and denied", async () => {
  const spender = await createSpender(product, { limitMicrodollars: 25_000, resetInterval: "daily" });
  const told: Record<string, string | undefined>[] = [];
  for (let i = 0; i < 3; i++) {
    const answer = await send(product, spender, { body: { model: CENT, messages } });
    const of = (name: string): string | undefined => answer.header(`x-nullspend-budget-${name}`);
    told.push({ status: String(answer.status), limit: of("limit"), remaining: of("remaining") });
    expect(of("entity")).toBe(`api_key:ns_key_${spender.keyId}`);
    expect(of("reset")).toMatch(/T00:00:00\.000Z$/);
    expect(Number(of("spent")) + Number(of("reserved")) + Number(of("remaining"))).toBe(25_000);
  }
  expect(told).toEqual([
    { status: "200", limit: "25000", remaining: "15000" },
    { status: "200", limit: "25000", remaining: "5000" },
    { status: "429", limit: "25000", remaining: "5000" },
  ]);
  product.fake.clear();
});
