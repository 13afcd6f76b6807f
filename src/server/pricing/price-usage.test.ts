import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemClock } from "@/lib/clock";
import type { Ctx } from "@/server/context";
import { createCallPricing, type PricedCall } from "@/server/gateway/price-call";
import { meterAnswer } from "@/testing/meter-answer";
import { createTestDatabase, type TestDatabase } from "@/testing/database";
import { createOrganisation, type TestOrganisation } from "@/testing/factories";
import { createOverrideStore, createPriceBook, ListPriceBook, putPriceOverride } from ".";

let database: TestDatabase;
let org: TestOrganisation;
let price: (provider: string, body: object) => Promise<PricedCall>;

beforeAll(async () => {
  database = await createTestDatabase();
  org = await createOrganisation({ prisma: database.prisma });
  const ctx: Ctx = { prisma: database.prisma, clock: systemClock, principal: { type: "system", orgId: org.orgId }, ip: null };
  for (const provider of ["openrouter", "openai"]) {
    await putPriceOverride({ ctx, input: { provider, model: "acme/own", inputUsdPerMTok: 1, outputUsdPerMTok: 2 } });
  }
  const overrides = createOverrideStore({ prisma: database.prisma });
  const pricing = createCallPricing({ priceBook: createPriceBook({ list: new ListPriceBook(), overrides }), overrides });
  const { configVersion } = await database.prisma.organisation.findUniqueOrThrow({ where: { id: org.orgId } });
  price = async (provider, body) =>
    pricing.price({
      orgId: org.orgId,
      configVersion,
      provider,
      dialect: "openai",
      endpoint: { class: "priced", name: "chat/completions", body: "json" },
      method: "POST",
      facts: undefined,
      requestBody: undefined,
      metered: meterAnswer({
        provider: "openai",
        path: "/v1/chat/completions",
        contentType: "application/json",
        pieces: [Buffer.from(JSON.stringify({ id: "1", choices: [{ message: { content: "x" }, finish_reason: "stop" }], ...body }))],
      }),
      callerLeft: false,
      startedAtMs: Date.now() + 1000,
    });
});
afterAll(() => database.drop());

const usage = { prompt_tokens: 1000, completion_tokens: 1000, total_tokens: 2000, cost: 0.5 };

describe("what decides", () => {
  it("is the organisation's own price before what the provider states", async () => {
    expect(await price("openrouter", { model: "acme/own", usage })).toMatchObject({ costNano: 3_000_000n, costBasis: "reported" });
  });

  it("is what the provider states before the list, with tokens told all the same", async () => {
    expect(await price("openrouter", { model: "openai/gpt-5", usage })).toMatchObject({
      costNano: 500_000_000n,
      chargedNano: 500_000_000n,
      costBasis: "reported",
      costBreakdown: null,
      inputTokens: 1000,
      outputTokens: 1000,
      priceVersion: "stated:openrouter",
      lines: [{ unit: "provider_cost", quantity: 1, unitPricePico: 500_000_000_000n, amountPico: 500_000_000_000n }],
    });
  });

  it("is the list where the provider states nothing, and nothing where there is no list", async () => {
    const { cost: _cost, ...silent } = usage;
    expect(await price("openrouter", { model: "openai/gpt-5", usage: silent })).toMatchObject({ costNano: 11_250_000n });
    expect(await price("my-proxy", { model: "gpt-5", usage })).toMatchObject({ costNano: null, chargedNano: 0n, costBasis: "unpriced" });
  });

  it("is never a stated cost of OpenAI's: a hostile base URL cannot set its price", async () => {
    expect(await price("openai", { model: "gpt-5", usage: { ...usage, cost: 0 } })).toMatchObject({ costNano: 11_250_000n });
  });

  it("is unpriced for a tier nobody lists, although the same model has a standard price", async () => {
    const { cost: _cost, ...silent } = usage;
    expect(await price("openai", { model: "gpt-5", service_tier: "scale", usage: silent })).toMatchObject({ costBasis: "unpriced" });
    expect(await price("openai", { model: "gpt-5", service_tier: "default", usage: silent })).toMatchObject({ costBasis: "reported" });
  });
});
