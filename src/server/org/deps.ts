import { RateLimiterMemory } from "rate-limiter-flexible";
import { DenialError, HTTP_STATUS } from "@/lib/errors";
import type { Bus, BusMessage } from "@/server/bus";

/** What verbs about organisations need of the process, beside their context. */
export type OrgDeps = {
  /** The origin of links in mails, without a slash at the end. */
  publicUrl: string;
  /** After the commit: screens are told, and sockets of whoever is gone end. */
  publish(message: BusMessage): void;
  tokenGuesses: TokenGuesses;
};

/**
 * Slows whoever tries invitation links, by address. A right one is never counted, and callers without an address are not counted
 * together: one of them would lock out all.
 */
export interface TokenGuesses {
  /** @throws ServiceError `rate_limited` where too many have failed. */
  assertMayTry(ip: string | null): Promise<void>;
  failed(ip: string | null): Promise<void>;
}

const WRONG_TOKENS_MAX = 30;
const WITHIN_SECONDS = 600;

export function createOrgDeps({ publicUrl, bus }: { publicUrl: string; bus: Pick<Bus, "publish"> }): OrgDeps {
  return { publicUrl, publish: (message) => bus.publish(message), tokenGuesses: createTokenGuesses() };
}

function createTokenGuesses(): TokenGuesses {
  const limiter = new RateLimiterMemory({ points: WRONG_TOKENS_MAX, duration: WITHIN_SECONDS });
  return {
    async assertMayTry(ip) {
      const state = ip === null ? null : await limiter.get(ip);
      if (!state || state.consumedPoints < WRONG_TOKENS_MAX) return;
      const seconds = Math.max(1, Math.ceil(state.msBeforeNext / 1_000));
      throw new DenialError({
        code: "rate_limited",
        message: `Too many invitation links from this address do not exist. Try again in ${Math.ceil(seconds / 60)} minutes.`,
        details: { retryAfterSeconds: seconds },
        status: HTTP_STATUS.rate_limited,
        headers: ["retry-after", String(seconds)],
      });
    },
    async failed(ip) {
      if (ip !== null) await limiter.penalty(ip);
    },
  };
}
