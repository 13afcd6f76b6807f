import { RateLimiterMemory } from "rate-limiter-flexible";
import { DenialError, HTTP_STATUS } from "@/lib/errors";

export type AttemptKind = "password" | "sign-up" | "mail" | "reset";

/**
 * Slows guessing and flooding, by address and by identity, in this process. An address may try more than one identity may be tried:
 * offices share one.
 */
export interface AttemptLimits {
  /** Counts an attempt. @throws ServiceError `rate_limited` */
  attempt(kind: AttemptKind, ip: string | null, identity: string | null): Promise<void>;
  /** An attempt that was counted was right after all. */
  giveBack(kind: AttemptKind, ip: string | null, identity: string | null): Promise<void>;
}

type Allowance = { perIp: number; perIdentity: number; seconds: number };
const ALLOWANCES: Readonly<Record<AttemptKind, Allowance>> = {
  password: { perIp: 50, perIdentity: 10, seconds: 600 },
  "sign-up": { perIp: 30, perIdentity: 30, seconds: 3_600 },
  mail: { perIp: 30, perIdentity: 5, seconds: 3_600 },
  reset: { perIp: 30, perIdentity: 30, seconds: 3_600 },
};

export function createAttemptLimits(allowances: Readonly<Record<AttemptKind, Allowance>> = ALLOWANCES): AttemptLimits {
  const limiters = new Map<string, RateLimiterMemory>();

  function limiterOf(kind: AttemptKind, by: "perIp" | "perIdentity"): RateLimiterMemory {
    const name = `${kind}:${by}`;
    let limiter = limiters.get(name);
    if (!limiter)
      limiters.set(name, (limiter = new RateLimiterMemory({ points: allowances[kind][by], duration: allowances[kind].seconds })));
    return limiter;
  }

  const subjects = (kind: AttemptKind, ip: string | null, identity: string | null): [RateLimiterMemory, string][] => [
    ...(ip === null ? [] : [[limiterOf(kind, "perIp"), ip] satisfies [RateLimiterMemory, string]]),
    ...(identity === null ? [] : [[limiterOf(kind, "perIdentity"), identity] satisfies [RateLimiterMemory, string]]),
  ];

  return {
    async attempt(kind, ip, identity) {
      for (const [limiter, key] of subjects(kind, ip, identity)) {
        await limiter.consume(key).catch((state: { msBeforeNext?: number }) => {
          throw tooMany(state.msBeforeNext);
        });
      }
    },
    async giveBack(kind, ip, identity) {
      for (const [limiter, key] of subjects(kind, ip, identity)) await limiter.reward(key);
    },
  };
}

function tooMany(msBeforeNext: number | undefined): DenialError {
  const seconds = Math.max(1, Math.ceil((msBeforeNext ?? 60_000) / 1_000));
  return new DenialError({
    code: "rate_limited",
    message: `Too many attempts. Try again in ${seconds > 90 ? `${Math.ceil(seconds / 60)} minutes` : `${seconds} seconds`}.`,
    details: { retryAfterSeconds: seconds },
    status: HTTP_STATUS.rate_limited,
    headers: ["retry-after", String(seconds)],
  });
}
