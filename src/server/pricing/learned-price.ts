import { z } from "zod";
import { publicId } from "@/lib/ids";
import { nanoUsd, picoUsd, type NanoUsd } from "@/lib/money";
import type { Prisma } from "@/generated/prisma/client";
import { isUsageUnit } from "@/server/metering/cost-of-usage";
import type { Rate } from "./price-book";

/** A list price that the refresh job found and wrote down: a row of `price` without an organisation. */
export type LearnedPrice = {
  provider: string;
  model: string;
  /** Exact names, lower case, and beginnings of names, where the package does not know the model. */
  names: readonly string[];
  prefixes: readonly string[];
  rates: readonly Rate[];
  perCall: NanoUsd;
  validFromMs: number;
  version: string;
  source: string;
};

const Digits = z.string().regex(/^\d{1,18}$/);
const StoredRate = z.strictObject({ pico: Digits, fromInputTokens: z.int().min(0) });

/**
 * The column `rates` of a list price. Unlike an organisation's own price it has thresholds and, for models that the package does
 * not know, names.
 */
export const StoredListRates = z.strictObject({
  units: z.record(z.string(), z.array(StoredRate).min(1)),
  perCall: Digits.optional(),
  names: z.array(z.string()).optional(),
  prefixes: z.array(z.string()).optional(),
});
export type StoredListRates = z.infer<typeof StoredListRates>;

export const LEARNED_SELECT = {
  id: true,
  provider: true,
  model: true,
  rates: true,
  source: true,
  validFrom: true,
  createdAt: true,
} as const satisfies Prisma.PriceSelect;

/** Undefined when the stored rates cannot be read: the row then changes nothing. */
export function learnedPriceOf(row: Prisma.PriceGetPayload<{ select: typeof LEARNED_SELECT }>): LearnedPrice | undefined {
  const stored = StoredListRates.safeParse(row.rates);
  if (!stored.success) return undefined;
  const rates: Rate[] = [];
  for (const [unit, entries] of Object.entries(stored.data.units)) {
    if (!isUsageUnit(unit)) return undefined;
    for (const { pico, fromInputTokens } of entries) rates.push({ unit, pico: picoUsd(BigInt(pico)), fromInputTokens });
  }
  const version = `list:${publicId("price", row.id)}`;
  return {
    provider: row.provider,
    model: row.model,
    names: stored.data.names ?? [],
    prefixes: stored.data.prefixes ?? [],
    rates,
    perCall: nanoUsd(BigInt(stored.data.perCall ?? "0")),
    validFromMs: row.validFrom.getTime(),
    version,
    source: row.source ?? version,
  };
}

/** How rates are written down. */
export function storedListRates(price: Pick<LearnedPrice, "rates" | "perCall" | "names" | "prefixes">): StoredListRates {
  const units: Record<string, { pico: string; fromInputTokens: number }[]> = {};
  for (const { unit, pico, fromInputTokens } of price.rates) (units[unit] ??= []).push({ pico: pico.toString(), fromInputTokens });
  return {
    units,
    ...(price.perCall > 0n && { perCall: price.perCall.toString() }),
    ...(price.names.length > 0 && { names: [...price.names] }),
    ...(price.prefixes.length > 0 && { prefixes: [...price.prefixes] }),
  };
}
