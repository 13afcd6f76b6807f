import { decode } from "next-auth/jwt";
import type { LiveSession } from "@/server/account";
import type { Runtime } from "@/server/runtime";
import { readCookie, sessionCookieName } from "./session-cookie";

export type SessionReader = (request: { cookieHeader: string | undefined }) => Promise<LiveSession | undefined>;

/**
 * Who a `Cookie` header says is signed in, for everything outside next-auth: tRPC, REST and sockets. The cookie names a row, and the
 * row is asked for every time: signing out works at once, everywhere.
 */
export function createSessionReader(runtime: Pick<Runtime, "accounts" | "secrets">, publicUrl: () => string): SessionReader {
  return async ({ cookieHeader }) => {
    const cookie = readCookie(cookieHeader, sessionCookieName(publicUrl()));
    const sessionId = cookie === undefined ? undefined : await sessionIdOf(cookie, runtime.secrets.nextAuthSecret);
    return sessionId === undefined ? undefined : runtime.accounts.findLiveSession(sessionId);
  };
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** Undefined for what was not encrypted with our secret, whatever it claims about itself. */
async function sessionIdOf(cookie: string, secret: string): Promise<string | undefined> {
  try {
    const token = await decode({ token: cookie, secret });
    return typeof token?.sid === "string" && UUID.test(token.sid) ? token.sid : undefined;
  } catch {
    return undefined;
  }
}
