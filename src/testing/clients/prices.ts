import type { Quantities } from "@/testing/fake-provider";

/**
 * List prices in nanodollars per token, copied by hand from the providers' pages on 2026-11-24: the suites compute what a call must
 * cost without the product's own price book. $1 per million tokens is 1,000 nanodollars per token.
 */
const NANO_PER_TOKEN = {
  "gpt-4o-mini": { input: 150, cached: 75, output: 600 },
  "gpt-4.1-mini": { input: 400, cached: 100, output: 1_600 },
  "gpt-5-mini": { input: 250, cached: 25, output: 2_000 },
  "gpt-image-1": { input: 5_000, output: 40_000 },
  "text-embedding-3-small": { input: 20, output: 0 },
  "claude-haiku-4-5": { input: 1_000, cached: 100, cacheWrite5m: 1_250, cacheWrite1h: 2_000, output: 5_000 },
} satisfies Record<string, Partial<Record<keyof Quantities, number>>>;
export type PricedModel = keyof typeof NANO_PER_TOKEN;

/** What a call must cost; reasoning is paid as output. */
export function costNano(model: PricedModel, tokens: Partial<Quantities>): bigint {
  const price: Partial<Record<keyof Quantities, number>> = NANO_PER_TOKEN[model];
  let total = 0n;
  for (const unit of ["input", "cached", "cacheWrite5m", "cacheWrite1h", "output", "reasoning"] as const) {
    const quantity = tokens[unit] ?? 0;
    const perToken = price[unit === "reasoning" ? "output" : unit];
    if (quantity > 0 && perToken === undefined) throw new Error(`${model} has no price for ${unit}`);
    total += BigInt(quantity) * BigInt(perToken ?? 0);
  }
  return total;
}
