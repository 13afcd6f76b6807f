"use client";

import { QueryClientProvider } from "@tanstack/react-query";
import { createTRPCClient, httpBatchLink } from "@trpc/client";
import { type ReactNode, useMemo } from "react";
import superjson from "superjson";
import type { AppRouter } from "@/adapters/trpc";
import { getQueryClient } from "./query-client";
import { TRPCProvider } from "./trpc";

/** As many as the server takes in one request. */
const BATCH_CALLS_MAX = 20;
/** Longer addresses are cut by some proxies; the batch is then sent in parts. */
const URL_LENGTH_MAX = 6_000;

/** A client of its own for each organisation, so that one request never mixes two. */
function clientFor(orgId: string | undefined) {
  return createTRPCClient<AppRouter>({
    links: [
      httpBatchLink({
        url: "/api/trpc",
        transformer: superjson,
        maxItems: BATCH_CALLS_MAX,
        maxURLLength: URL_LENGTH_MAX,
        headers: orgId === undefined ? {} : { "x-nullspend-org": orgId },
      }),
    ],
  });
}

/**
 * Gives the components below it `useTRPC()`.
 * @param orgId bare UUID of the organisation they show; undefined on pages of the person alone.
 */
export function TrpcProvider({ orgId, children }: { orgId?: string; children: ReactNode }) {
  const queryClient = getQueryClient();
  const prefix = orgId ?? "me";
  const trpcClient = useMemo(() => clientFor(orgId), [orgId]);
  return (
    <QueryClientProvider client={queryClient}>
      {/* The key mounts everything anew: a query that only changed its key would show the other organisation's rows until its own come. */}
      <TRPCProvider key={prefix} trpcClient={trpcClient} queryClient={queryClient} keyPrefix={prefix}>
        {children}
      </TRPCProvider>
    </QueryClientProvider>
  );
}
