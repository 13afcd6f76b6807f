import { z } from "zod";
import { publicId } from "@/lib/ids";
import { nanoUsd, picoUsd } from "@/lib/money";
import type { Prisma } from "@/generated/prisma/client";
import type { UsageUnit } from "@/server/metering/usage";
import type { ModelPrice, Rate } from "./price-book";

/** The units an override can name. Nothing else is ever priced by it: an override stands alone (CONTRACT §8). */
export const OVERRIDE_UNITS = [
  "input",
  "cached_input",
  "cache_write_5m",
  "cache_write_1h",
  "output",
  "reasoning",
] as const satisfies readonly UsageUnit[];
export type OverrideUnit = (typeof OVERRIDE_UNITS)[number];

/** What a unit costs that the override does not name. */
const PARENT: Readonly<Record<OverrideUnit, "input" | "output">> = {
  input: "input",
  cached_input: "input",
  cache_write_5m: "input",
  cache_write_1h: "input",
  output: "output",
  reasoning: "output",
};

const Pico = z
  .string()
  .regex(/^\d{1,18}$/)
  .transform((text) => picoUsd(BigInt(text)));
const Nano = z
  .string()
  .regex(/^\d{1,18}$/)
  .transform((text) => nanoUsd(BigInt(text)));

/** The column `rates`: picodollars per unit, and `perCall` in nanodollars, as decimal strings. */
export const StoredRates = z.strictObject({
  input: Pico,
  cached_input: Pico.optional(),
  cache_write_5m: Pico.optional(),
  cache_write_1h: Pico.optional(),
  output: Pico,
  reasoning: Pico.optional(),
  perCall: Nano.optional(),
});
export type StoredRates = z.infer<typeof StoredRates>;

export const OVERRIDE_SELECT = {
  id: true,
  provider: true,
  model: true,
  rates: true,
  source: true,
  validFrom: true,
  createdAt: true,
  withdrawnAt: true,
} as const satisfies Prisma.PriceSelect;
export type OverrideRow = Prisma.PriceGetPayload<{ select: typeof OVERRIDE_SELECT }>;

const OVERRIDE_VERSION = "override:";

/** An organisation's own price, which stands alone: nothing else has a say in what a call costs. */
export const isOverride = (price: ModelPrice): boolean => price.version.startsWith(OVERRIDE_VERSION);

/** Undefined when the stored rates cannot be read: the model is then unpriced, and never falls back to the list. */
export function priceOfOverride(row: OverrideRow): ModelPrice | undefined {
  const stored = StoredRates.safeParse(row.rates);
  if (!stored.success) return undefined;
  const version = `${OVERRIDE_VERSION}${publicId("price", row.id)}`;
  return {
    provider: row.provider,
    model: row.model,
    rates: OVERRIDE_UNITS.map((unit): Rate => ({ unit, pico: stored.data[unit] ?? stored.data[PARENT[unit]], fromInputTokens: 0 })),
    perCall: stored.data.perCall ?? nanoUsd(0n),
    version,
    source: row.source ?? version,
  };
}
