import type { LiveSession } from "@/server/account";
import type { Runtime } from "@/server/runtime";
import { readCookie, sessionCookie } from "./cookies";
import { openSession } from "./session-token";

export type LiveSessionOf = (request: { cookieHeader: string | undefined }) => Promise<LiveSession | undefined>;

/**
 * Who a `Cookie` header says is signed in, for everything outside next-auth: tRPC, REST, sockets and pages. The cookie names a row, and
 * the row is asked for every time: signing out works at once, everywhere.
 */
export function createLiveSession({ accounts, secrets, env }: Pick<Runtime, "accounts" | "secrets" | "env">): LiveSessionOf {
  const { name } = sessionCookie(env.publicUrl);
  return async ({ cookieHeader }) => {
    const named = await openSession(readCookie(cookieHeader, name), secrets.nextAuthSecret);
    return named && accounts.findLiveSession(named);
  };
}
