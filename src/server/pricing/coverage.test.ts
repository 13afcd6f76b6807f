import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { publicId } from "@/lib/ids";
import { createTestDatabase, type TestDatabase } from "@/testing/database";
import { createOrganisation, type TestOrganisation } from "@/testing/factories";
import { listIncompletePrices, listUnpricedModels, ListPriceBook } from ".";

const NOW = Date.parse("2026-11-24T12:00:00Z");
const HOUR = 3_600_000;
const book = new ListPriceBook();

let database: TestDatabase;
let acme: TestOrganisation;
let other: TestOrganisation;

beforeAll(async () => {
  database = await createTestDatabase();
  acme = await createOrganisation({ prisma: database.prisma });
  other = await createOrganisation({ prisma: database.prisma });
  const zero = {
    deniedCalls: 0n, failedCalls: 0n, costNano: 0n, inputCostNano: 0n, cachedCostNano: 0n, cacheWriteCostNano: 0n, outputCostNano: 0n,
    reasoningCostNano: 0n, toolsCostNano: 0n, inputTokens: 0n, outputTokens: 0n, cachedInputTokens: 0n, cacheWriteTokens: 0n,
    reasoningTokens: 0n, durationMs: 0n,
  }; // prettier-ignore
  const row = (orgId: string, value: string, hoursAgo: number, calls: bigint, unpricedCalls: bigint, dimension = "model") => ({
    ...zero,
    orgId,
    dimension,
    value,
    hour: new Date(NOW - hoursAgo * HOUR),
    calls,
    unpricedCalls,
  });
  await database.prisma.costRollup.createMany({
    data: [
      row(acme.orgId, "openai/gpt-99", 1, 10n, 10n),
      row(acme.orgId, "openai/gpt-99", 30, 5n, 5n),
      row(acme.orgId, "openai/gpt-99", 31 * 24, 1000n, 1000n),
      row(acme.orgId, "openai/gpt-5", 2, 100n, 3n),
      row(acme.orgId, "openai/gpt-4o", 2, 100n, 0n),
      row(acme.orgId, "openai", 2, 100n, 100n, "provider"),
      row(other.orgId, "openrouter/meta/llama-9:free", 2, 7n, 7n),
    ],
  });
});
afterAll(() => database.drop());

describe("models in traffic without a full price", () => {
  it("are listed by organisation, the most called first, over the last 30 days", async () => {
    const found = await listUnpricedModels({ prisma: database.prisma, book, nowMs: NOW });
    expect(found.map(({ orgId, provider, model, calls, unpricedCalls, missing }) => [orgId, provider, model, calls, unpricedCalls, missing])).toEqual([
      [publicId("org", acme.orgId), "openai", "gpt-99", 15, 15, "model"],
      [publicId("org", other.orgId), "openrouter", "meta/llama-9:free", 7, 7, "model"],
      [publicId("org", acme.orgId), "openai", "gpt-5", 100, 3, "part"],
    ]); // prettier-ignore
    expect(found[0]!.lastHour).toEqual(new Date(NOW - HOUR));
  });

  it("are one organisation's only, when asked for one", async () => {
    const found = await listUnpricedModels({ prisma: database.prisma, book, nowMs: NOW, orgId: other.orgId });
    expect(found.map(({ model }) => model)).toEqual(["meta/llama-9:free"]);
  });
});

describe("prices of the book that are not whole", () => {
  // A list that only shrinks: whoever adds a model without its units sees it here.
  it("are these, and no others", () => {
    const found = listIncompletePrices({ book, atMs: NOW });
    expect(found.map(({ provider, model, tier, missingUnits }) => `${provider}/${model} ${tier}: ${missingUnits.join()}`)).toEqual([
      "openai/gpt-5-image standard: image_output",
      "openai/gpt-5-image-mini standard: image_output",
      "openai/gpt-5.4-image-2 standard: image_output,web_search,file_search,container_1g",
      "anthropic/claude-v1 standard: cache_write_5m,cache_write_1h",
    ]);
  });
});
