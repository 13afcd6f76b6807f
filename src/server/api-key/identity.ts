import type { Role } from "@/generated/prisma/enums";

export const SCOPES = ["proxy", "ingest", "self", "read", "manage"] as const;
export type Scope = (typeof SCOPES)[number];

/** Key restrictions ("mandates") of CONTRACT §2. Absent = unrestricted; an empty list denies everything. */
export type KeyRestrictions = {
  /** Patterns with `*`, matched against the whole model name. */
  allowedModels?: string[];
  allowedProviders?: string[];
  defaultTags?: Record<string, string>;
  lockedTags?: Record<string, string>;
  lockedCustomer?: string;
  /** `customer`, `session` or `tag:<key>`. */
  require?: string[];
  maxConcurrent: number;
  denialStatus: 429 | 402;
};

/** Everything a call needs to know of its key, read in one statement. */
export type KeyIdentity = {
  orgId: string;
  keyId: string;
  keyName: string;
  userId: string;
  role: Role;
  /** What the key may do now: granted scopes cut down to what the owner's role allows. */
  scopes: ReadonlySet<Scope>;
  /** Null: stored restrictions could not be read; the key is denied everything that restrictions decide. */
  restrictions: KeyRestrictions | null;
  /** Unix ms; null never. The earlier of the key's and the secret's. */
  expiresAtMs: number | null;
  /** Organisation settings that calls need. */
  org: { configVersion: bigint; addStreamUsage: boolean; timezone: string };
};

/** `unavailable`: the database could not be asked in time; never to be read as "no restriction". */
export type Authentication = { outcome: "known"; identity: KeyIdentity } | { outcome: "unknown" } | { outcome: "unavailable" };

export interface KeyAuthenticator {
  /**
   * Finds who a key is. Answers synchronously when the process holds an identity that is confirmed within the last second,
   * so that the gateway's fast path does not wait a tick.
   */
  authenticate(rawKey: string): Authentication | Promise<Authentication>;
}
