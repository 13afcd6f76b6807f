export type LoadOrder = {
  port: number;
  path: string;
  headers: Record<string, string>;
  body: string;
  connections: number;
  seconds: number;
};

export type LoadResult = {
  /** Answers with status 200, within the time. */
  requests: number;
  errors: number;
  firstError?: string;
  perSecond: number;
  p50Ms: number;
  p99Ms: number;
};

/** @param sorted ascending. @returns 0 for no values. */
export function percentile(sorted: ArrayLike<number>, share: number): number {
  if (sorted.length === 0) return 0;
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!;
}

/** Of an odd count, the middle one; of an even count, the lower of the two. */
export function medianBy<T>(items: readonly T[], value: (item: T) => number): T {
  const sorted = [...items].sort((a, b) => value(a) - value(b));
  const middle = sorted[Math.floor((sorted.length - 1) / 2)];
  if (middle === undefined) throw new Error("no items");
  return middle;
}
