import { decode } from "next-auth/jwt";
import { SESSION_MS } from "@/server/account";

/** What the cookie carries, encrypted: which row to look at. All else is read from there. */
export type SessionToken = { sessionId: string; userId: string };

export const SESSION_MAX_AGE_S = SESSION_MS / 1000;
/** A cookie longer than this is none of ours; decrypting it would be work for nothing. */
const TOKEN_LENGTH_MAX = 4096;

/** Undefined for anything that this instance did not seal: another secret, another kind of token, an end that has passed. */
export async function openSession(token: string | undefined, secret: string): Promise<SessionToken | undefined> {
  if (token === undefined || token.length > TOKEN_LENGTH_MAX) return undefined;
  const payload = await decode({ token, secret }).catch(() => null);
  return tokenOf(payload);
}

/** Of what next-auth has decoded. */
export function tokenOf(payload: { sub?: unknown; sid?: unknown } | null | undefined): SessionToken | undefined {
  if (typeof payload?.sub !== "string" || typeof payload.sid !== "string") return undefined;
  return { sessionId: payload.sid, userId: payload.sub };
}
