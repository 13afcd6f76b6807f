const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/** Waits after the first, second … failed attempt (CONTRACT §9): ten attempts in about 75 hours. */
const DELAYS_MS = [5 * SECOND, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR] as const;
export const ATTEMPTS_MAX = DELAYS_MS.length + 1;
/** Either way, so that what failed together does not come back together. */
const JITTER = 0.1;
const RETRY_AFTER_MAX_MS = 24 * HOUR;

/**
 * Milliseconds until the next attempt; undefined: there is none.
 * @param attempts that have failed.
 * @param retryAfterMs what the receiver asked for; it can lengthen the wait, up to a day, and not shorten it.
 * @param random 0 up to 1.
 */
export function retryDelayMs({
  attempts,
  retryAfterMs = 0,
  random,
}: {
  attempts: number;
  retryAfterMs?: number;
  random: number;
}): number | undefined {
  const delay = DELAYS_MS[attempts - 1];
  if (delay === undefined) return undefined;
  return Math.max(Math.round(delay * (1 - JITTER + 2 * JITTER * random)), Math.min(retryAfterMs, RETRY_AFTER_MAX_MS));
}

/** `Retry-After` in milliseconds: seconds or a date (RFC 9110 §10.2.3). Undefined where it is neither. */
export function parseRetryAfter(value: string | undefined, nowMs: number): number | undefined {
  if (value === undefined) return undefined;
  if (/^\d{1,9}$/.test(value.trim())) return Number(value) * SECOND;
  const at = Date.parse(value);
  return Number.isNaN(at) ? undefined : Math.max(0, at - nowMs);
}
