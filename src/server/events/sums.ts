import { Prisma } from "@/generated/prisma/client";
import { nanoToMicrodollars, nanoUsd } from "@/lib/money";

/**
 * Sums over roll-up rows. They leave the database as text: a sum of bigints is a numeric there, which has no type of its own here.
 */
export const SUMS = Prisma.sql`
  coalesce(sum(calls), 0)::text AS calls,
  coalesce(sum(denied_calls), 0)::text AS denied_calls,
  coalesce(sum(failed_calls), 0)::text AS failed_calls,
  coalesce(sum(unpriced_calls), 0)::text AS unpriced_calls,
  coalesce(sum(cost_nano), 0)::text AS cost_nano,
  coalesce(sum(input_cost_nano), 0)::text AS input_cost_nano,
  coalesce(sum(cached_cost_nano), 0)::text AS cached_cost_nano,
  coalesce(sum(cache_write_cost_nano), 0)::text AS cache_write_cost_nano,
  coalesce(sum(output_cost_nano), 0)::text AS output_cost_nano,
  coalesce(sum(reasoning_cost_nano), 0)::text AS reasoning_cost_nano,
  coalesce(sum(tools_cost_nano), 0)::text AS tools_cost_nano,
  coalesce(sum(input_tokens), 0)::text AS input_tokens,
  coalesce(sum(output_tokens), 0)::text AS output_tokens,
  coalesce(sum(cached_input_tokens), 0)::text AS cached_input_tokens,
  coalesce(sum(cache_write_tokens), 0)::text AS cache_write_tokens,
  coalesce(sum(reasoning_tokens), 0)::text AS reasoning_tokens,
  coalesce(sum(duration_ms), 0)::text AS duration_ms`;

export type SumsRow = Record<
  | "calls"
  | "denied_calls"
  | "failed_calls"
  | "unpriced_calls"
  | "cost_nano"
  | "input_cost_nano"
  | "cached_cost_nano"
  | "cache_write_cost_nano"
  | "output_cost_nano"
  | "reasoning_cost_nano"
  | "tools_cost_nano"
  | "input_tokens"
  | "output_tokens"
  | "cached_input_tokens"
  | "cache_write_tokens"
  | "reasoning_tokens"
  | "duration_ms",
  string
>;

export const micros = (nano: string | bigint): number => nanoToMicrodollars(nanoUsd(BigInt(nano)));

/** What every group of calls has in common in an answer. */
export function presentSums(row: SumsRow) {
  const calls = BigInt(row.calls);
  return {
    totalCostMicrodollars: micros(row.cost_nano),
    requestCount: Number(calls),
    deniedCount: Number(row.denied_calls),
    failedCount: Number(row.failed_calls),
    unpricedCount: Number(row.unpriced_calls),
    avgCostMicrodollars: calls === 0n ? 0 : micros(BigInt(row.cost_nano) / calls),
    inputTokens: Number(row.input_tokens),
    outputTokens: Number(row.output_tokens),
    cachedInputTokens: Number(row.cached_input_tokens),
    cacheWriteTokens: Number(row.cache_write_tokens),
    reasoningTokens: Number(row.reasoning_tokens),
    avgDurationMs: calls === 0n ? 0 : Number(BigInt(row.duration_ms) / calls),
  };
}

const NAMES = [...SUMS.sql.matchAll(/AS (\w+)/g)].map((match) => match[1]!);
/** Numbers that were summed up, as they leave the database. */
export const SUM_TEXTS = Prisma.raw(NAMES.map((name) => `${name}::text AS ${name}`).join(", "));
