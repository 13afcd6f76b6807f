import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { settledEvent, shownEvent } from "@/testing/events";
import { ADAPTERS, startProduct, type Product } from "@/testing/server";

// Who comes from Helicone changes the URL and adds a header. If their other headers were lost, their reports by user and session would
// be empty; if one went on, a key of Helicone's would reach a provider.

/** As Helicone's manual has it, in the client's own settings. */
const HELICONE = {
  "Helicone-Auth": "Bearer sk-helicone-secret",
  "Helicone-Property-Team": "search",
  "Helicone-Property-Environment": "production",
  "Helicone-User-Id": "user-42",
  "Helicone-Session-Id": "session-7",
  "Helicone-Session-Name": "Trip planning",
  "Helicone-Session-Path": "/plan/flights",
  "Helicone-Cache-Enabled": "true",
  "Helicone-Retry-Enabled": "true",
};

describe.each(ADAPTERS)("a client set up for Helicone, through the %s adapter", (adapter) => {
  let product: Product;
  let last: Headers;
  beforeAll(async () => {
    product = await startProduct({ adapter });
    product.fake.setDefault({ tokens: { input: 100, output: 10 } });
  });
  afterAll(() => product.stop());

  const seeing: typeof fetch = async (input, init) => {
    const answer = await fetch(input, init);
    last = answer.headers;
    return answer;
  };
  const settings = (own: Record<string, string> = {}) => ({
    defaultHeaders: { ...HELICONE, "X-NullSpend-Key": product.apiKey, ...own },
    fetch: seeing,
  });
  const openai = (own?: Record<string, string>): OpenAI =>
    new OpenAI({ baseURL: `${product.origin}/v1`, apiKey: "sk-test-openai", ...settings(own) });
  const anthropic = (own?: Record<string, string>): Anthropic =>
    new Anthropic({ baseURL: product.origin, apiKey: "sk-ant-test", ...settings(own) });
  const messages = [{ role: "user" as const, content: "hi" }];

  it.each([
    {
      client: "openai",
      // 100 × 150 + 10 × 600
      costNano: 21_000n,
      call: () => openai().chat.completions.create({ model: "gpt-4o-mini", messages }),
    },
    {
      client: "anthropic",
      // 100 × 1,000 + 10 × 5,000
      costNano: 150_000n,
      call: () => anthropic().messages.create({ model: "claude-haiku-4-5-20251001", max_tokens: 50, messages }),
    },
  ])("$client works by URL and header alone, and its event has tags, customer and session", async ({ costNano, call }) => {
    await call();
    const requestId = last.get("x-nullspend-request-id");
    const event = await settledEvent(product, requestId);
    expect(event).toMatchObject({ status: "ok", costNano, sessionId: "session-7" });
    const shown = await shownEvent(product, requestId);
    expect(shown).toMatchObject({ customerId: "user-42", sessionId: "session-7" });
    // Names of headers have no case: the openai client and Next write them in lower case, others as they were given (docs/clients.md).
    const tags = Object.entries(shown.tags as Record<string, string>).map(([name, value]) => [name.toLowerCase(), value]);
    expect(Object.fromEntries(tags)).toEqual({ team: "search", environment: "production" });
    const { head } = product.fake.log.at(-1)!.request;
    expect(head.toString().toLowerCase()).not.toContain("helicone");
    expect(head.toString()).not.toContain("ns_live_sk_");
  });

  it("lets our own headers win where both say something", async () => {
    const own = {
      "Helicone-Property-plan": "free",
      "X-NullSpend-Customer": "acme",
      "X-NullSpend-Session": "ours",
      "X-NullSpend-Tags": JSON.stringify({ plan: "paid" }),
    };
    await openai(own).chat.completions.create({ model: "gpt-4o-mini", messages });
    const requestId = last.get("x-nullspend-request-id");
    await settledEvent(product, requestId);
    expect(await shownEvent(product, requestId)).toMatchObject({ customerId: "acme", sessionId: "ours", tags: { plan: "paid" } });
  });

  it("does not take Helicone's own key for ours", async () => {
    const client = new OpenAI({ baseURL: `${product.origin}/v1`, apiKey: "sk-test-openai", defaultHeaders: HELICONE });
    const calls = product.fake.log.length;
    const error: unknown = await client.chat.completions.create({ model: "gpt-4o-mini", messages }).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(OpenAI.AuthenticationError);
    expect(product.fake.log).toHaveLength(calls);
  });
});
