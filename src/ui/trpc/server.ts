import { headers } from "next/headers";
import { type AppCaller, getServerCaller } from "@/adapters/trpc/server-caller";
import type { ErrorCode } from "@/lib/errors";

/**
 * The router for server components, as whoever the request's cookie says.
 * @param orgId bare UUID.
 */
export async function serverCaller(orgId?: string): Promise<AppCaller> {
  const cookieHeader = (await headers()).get("cookie") ?? undefined;
  return getServerCaller()({ cookieHeader, orgId });
}

/** Our code of an error that {@link serverCaller} threw: for `notFound()` and `redirect()`. Undefined: not one of ours. */
export function codeOfCallerError(error: unknown): ErrorCode | undefined {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause instanceof Error && cause.name === "ServiceError" && "code" in cause ? (cause.code as ErrorCode) : undefined;
}
