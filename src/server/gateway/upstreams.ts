import { Pool } from "undici";
import type { ProviderName } from "./providers/provider";

/** Where calls of one provider go. */
export type Upstream = {
  /** Provider name on events and in the price book. */
  name: string;
  /** The protocol spoken there. */
  dialect: ProviderName;
  pool: Pool;
  /** Path in front of `/v1/…`, without a slash at the end. */
  basePath: string;
};

export type UpstreamConfig = { name: string; dialect: ProviderName; url: string };

export interface Upstreams {
  of(provider: ProviderName): Upstream;
  /** The upstream a caller asked for by URL; undefined when it is not on the allow-list. */
  named(url: string): Upstream | undefined;
  close(): Promise<void>;
}

/** Keep-alive pools, one per base URL. `path` given to a pool is basePath + the provider path. */
export function createUpstreams(input: {
  openai: string;
  anthropic: string;
  allowList: readonly { name: string; url: string }[];
  connectTimeoutMs?: number;
}): Upstreams {
  const make = (config: UpstreamConfig): Upstream => {
    const url = new URL(config.url);
    return {
      name: config.name,
      dialect: config.dialect,
      basePath: basePathOf(url),
      pool: new Pool(url.origin, {
        connect: { timeout: input.connectTimeoutMs ?? 10_000 },
        // Shorter than the idle time providers grant, so that a call is not written to a connection that is being closed.
        keepAliveTimeout: 20_000,
        keepAliveMaxTimeout: 120_000,
        pipelining: 1,
        // Response heads of 64 kB reach the caller; Node's default of 16 kB would turn them into a failure.
        maxHeaderSize: 65_536,
      }),
    };
  };
  const openai = make({ name: "openai", dialect: "openai", url: input.openai });
  const anthropic = make({ name: "anthropic", dialect: "anthropic", url: input.anthropic });
  const named = new Map(
    input.allowList.map(({ name, url }) => {
      const dialect: ProviderName = name === "anthropic" || name.startsWith("anthropic-") ? "anthropic" : "openai";
      return [canonicalUrl(url), make({ name, dialect, url })] as const;
    }),
  );
  return {
    of: (provider) => (provider === "anthropic" ? anthropic : openai),
    named: (url) => named.get(canonicalUrl(url)),
    async close() {
      await Promise.all([openai, anthropic, ...named.values()].map((upstream) => upstream.pool.destroy()));
    },
  };
}

/** A base URL may be given with or without the `/v1` that every provider path starts with. */
function basePathOf(url: URL): string {
  const path = url.pathname.replace(/\/+$/, "");
  return path.endsWith("/v1") ? path.slice(0, -3) : path;
}

function canonicalUrl(url: string): string {
  try {
    const parsed = new URL(url);
    return parsed.origin + parsed.pathname.replace(/\/+$/, "");
  } catch {
    return "";
  }
}
