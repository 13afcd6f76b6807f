import type { Runtime } from "@/server/runtime";

/** Who is signed in, as the session's row in the database says now. */
export type SignedIn = { sessionId: string; userId: string; email: string };

/** Reads a `Cookie` header. Undefined: nobody is signed in, or the session has ended. */
export type SessionOf = (request: { cookieHeader: string | undefined }) => Promise<SignedIn | undefined>;

/** What a request brings, before anybody has looked at who may do what. One for all calls of a batch. */
export type TrpcContext = {
  runtime: Runtime;
  user: SignedIn | undefined;
  /** The organisation the request names in `x-nullspend-org`, unchecked. */
  orgId: string | undefined;
  /** The caller's address, for the audit log. */
  ip: string | null;
  /** What a person tells us when something went wrong on our side. */
  reference: string;
};

/** The organisation a request is about, as a bare UUID. */
export const ORG_HEADER = "x-nullspend-org";
export const TRPC_PATH = "/api/trpc";
