import type { PrismaClient } from "@/generated/prisma/client";
import { publicId } from "@/lib/ids";
import type { UsageUnit } from "@/server/metering/usage";
import { LIST_PROVIDERS, TOOL_UNITS, type ListPriceBook, type ListTier } from "./list-price-book";

/** A model that was called and could not be priced. */
export type UnpricedModel = {
  orgId: string;
  provider: string;
  model: string;
  calls: number;
  unpricedCalls: number;
  lastHour: Date;
  /** `model`: the book has no price of this name. `part`: it has one, but not for a unit, tier, region or tool that was used. */
  missing: "model" | "part";
};

const DAYS = 30;
const ROWS_MAX = 1000;

/**
 * Models seen in the last days' traffic without a full price, by organisation, the most called first. Read from the hourly sums:
 * no event is scanned.
 *
 * @param orgId one organisation; absent: all of the installation, for its operator.
 */
export async function listUnpricedModels({
  prisma,
  book,
  nowMs,
  days = DAYS,
  orgId,
}: {
  prisma: PrismaClient;
  book: ListPriceBook;
  nowMs: number;
  days?: number;
  orgId?: string;
}): Promise<UnpricedModel[]> {
  const rows = await prisma.costRollup.groupBy({
    by: ["orgId", "value"],
    where: {
      dimension: "model",
      hour: { gte: new Date(nowMs - days * 86_400_000) },
      unpricedCalls: { gt: 0 },
      ...(orgId !== undefined && { orgId }),
    },
    _sum: { calls: true, unpricedCalls: true },
    _max: { hour: true },
    orderBy: [{ _sum: { unpricedCalls: "desc" } }, { value: "asc" }],
    take: ROWS_MAX,
  });
  return rows.map(({ orgId: id, value, _sum, _max }) => {
    // Providers are named without a slash, models may have some.
    const slash = value.indexOf("/");
    const provider = value.slice(0, slash);
    const model = value.slice(slash + 1);
    return {
      orgId: publicId("org", id),
      provider,
      model,
      calls: Number(_sum.calls ?? 0n),
      unpricedCalls: Number(_sum.unpricedCalls ?? 0n),
      lastHour: _max.hour ?? new Date(0),
      missing: book.findPrice({ provider, model, atMs: nowMs, orgId: "" }) ? "part" : "model",
    };
  });
}

/** A price of the book that lacks units which answers of the model can tell. */
export type IncompletePrice = { provider: string; model: string; tier: ListTier; missingUnits: UsageUnit[] };

type Rule = { provider: string; models: RegExp; units: readonly UsageUnit[] };

/** What answers of these models can tell beside text. */
const RULES: readonly Rule[] = [
  { provider: "anthropic", models: /^claude-(?!2|instant)/, units: ["cached_input", "cache_write_5m", "cache_write_1h", "code_execution"] },
  { provider: "anthropic", models: /^claude-(?:3-[57]|opus-[45]|sonnet-[45]|haiku-[45]|fable|mythos)/, units: ["web_search"] },
  { provider: "openai", models: /audio|realtime/, units: ["audio_input", "audio_output"] },
  { provider: "openai", models: /-image/, units: ["image_input", "image_output"] },
  { provider: "openai", models: /^gpt-(?:5\.6|6)/, units: ["cache_write_5m", "cache_write_12h"] },
  { provider: "openai", models: /^gpt-[56]|^o[34]|^gpt-4o$|^gpt-4o-mini$|^gpt-4\.1/, units: ["web_search", "file_search", "container_1g"] },
  { provider: "openai", models: /search-(?:preview|api)/, units: ["web_search_preview"] },
];

/**
 * Prices of the book that are not whole: a call that uses what they lack is unpriced. Tiers are compared with the standard one.
 * It is what there is to do for whoever keeps the overlay.
 */
export function listIncompletePrices({ book, atMs }: { book: ListPriceBook; atMs: number }): IncompletePrice[] {
  return LIST_PROVIDERS.flatMap((provider) => {
    const listed = book.listPrices({ provider, atMs });
    const standardOf = new Map(listed.filter(({ tier }) => tier === "standard").map(({ price }) => [price.model, price]));
    return listed.flatMap(({ price, tier }) => {
      const has = new Set(price.rates.map((rate) => rate.unit));
      const readsText = has.has("input") && has.has("output");
      const rules = RULES.filter((rule) => readsText && rule.provider === provider && rule.models.test(price.model));
      const expected =
        tier === "standard"
          ? rules.flatMap((rule) => rule.units)
          : (standardOf.get(price.model)?.rates ?? []).map((rate) => rate.unit).filter((unit) => !TOOL_UNITS.has(unit));
      const missingUnits = [...new Set(expected)].filter((unit) => !has.has(unit));
      return missingUnits.length === 0 ? [] : [{ provider, model: price.model, tier, missingUnits }];
    });
  });
}
