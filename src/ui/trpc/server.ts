import { headers } from "next/headers";
import { type AppCaller, getServerCaller } from "@/adapters/trpc/server-caller";
import type { ErrorCode } from "@/lib/errors";

/** Set by our own server (src/adapters/peer-header.ts), which lets none through; importing it here would bundle the gateway. */
const PEER_HEADER = "x-nullspend-peer";

/**
 * The router for server components, as whoever the request's cookie says.
 * @param orgId bare UUID.
 */
export async function serverCaller(orgId?: string): Promise<AppCaller> {
  const sent = await headers();
  return getServerCaller()({ cookieHeader: sent.get("cookie") ?? undefined, orgId, ip: sent.get(PEER_HEADER) });
}

/** Our code of an error that {@link serverCaller} threw: for `notFound()` and `redirect()`. Undefined: not one of ours. */
export function codeOfCallerError(error: unknown): ErrorCode | undefined {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause instanceof Error && cause.name === "ServiceError" && "code" in cause ? (cause.code as ErrorCode) : undefined;
}
