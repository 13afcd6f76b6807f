import { DenialError, HTTP_STATUS, ServiceError } from "@/lib/errors";
import { isRawKey } from "@/server/api-key";
import type { Principal } from "@/server/context";
import { type Exchange, clientAddress } from "@/server/gateway";
import type { RestDeps } from "./deps";

const SAFE_METHODS: ReadonlySet<string> = new Set(["GET", "HEAD"]);

/** Who asks. One answer for unknown, revoked, expired and missing keys, so that a guess learns nothing. */
export async function principalOf(exchange: Exchange, deps: RestDeps): Promise<Principal> {
  const rawKey = keyOf(exchange);
  if (rawKey !== undefined) return principalOfKey(rawKey, exchange, deps);
  const principal = await deps.sessionOf?.(exchange);
  if (!principal) throw unauthorized();
  // A browser sends its cookie along with any page's request; only its own word on where the page came from tells them apart.
  if (!SAFE_METHODS.has(exchange.method) && !isSameOrigin(exchange, deps.env)) {
    throw new ServiceError("forbidden", "A change made in a session must come from our own pages.");
  }
  return principal;
}

/** The key as `X-NullSpend-Key`, or as a bearer token. Undefined: none was sent. */
function keyOf(exchange: Exchange): string | undefined {
  const header = exchange.header("x-nullspend-key")?.trim();
  const bearer = /^Bearer +(ns_live_sk_\S+)$/i.exec(exchange.header("authorization") ?? "")?.[1];
  if (header !== undefined && bearer !== undefined && header !== bearer) throw unauthorized();
  return header ?? bearer;
}

async function principalOfKey(rawKey: string, exchange: Exchange, deps: RestDeps): Promise<Principal> {
  if (!isRawKey(rawKey)) throw wrongKey(exchange, deps);
  const answer = await deps.authenticator.authenticate(rawKey);
  switch (answer.outcome) {
    case "known": {
      const { orgId, keyId, userId, role, scopes } = answer.identity;
      return { type: "api_key", orgId, keyId, userId, role, scopes };
    }
    case "unknown":
      throw wrongKey(exchange, deps);
    case "unavailable":
      throw new ServiceError("budget_unavailable", "Keys cannot be checked right now. Nothing was changed; try again.");
  }
}

/** What the browser says of the page must agree, and it must say something. Without a configured origin, ours is what was asked. */
export function isSameOrigin(exchange: Exchange, env: Pick<RestDeps["env"], "publicUrl">): boolean {
  const site = exchange.header("sec-fetch-site");
  const origin = exchange.header("origin");
  if (site !== undefined && site !== "same-origin") return false;
  if (origin === undefined) return site !== undefined;
  if (env.publicUrl !== undefined) return origin === env.publicUrl;
  return URL.canParse(origin) && new URL(origin).host === exchange.header("host");
}

/** Guessing is slowed by address, over REST and the gateway together; a right key is never. */
function wrongKey(exchange: Exchange, { env, gateway }: RestDeps): ServiceError {
  const address = clientAddress(exchange, env.gateway.trustedProxies);
  const retryAfterSeconds = gateway.abuse?.failedAuthentication(address);
  if (retryAfterSeconds === undefined) return unauthorized();
  return new DenialError({
    code: "rate_limited",
    message: "Too many calls with a wrong key came from this address; try again later.",
    details: {},
    status: HTTP_STATUS.rate_limited,
    headers: ["retry-after", String(retryAfterSeconds)],
  });
}

const unauthorized = (): ServiceError => new ServiceError("unauthorized", "A valid API key is needed, in X-NullSpend-Key.");
