import type { Prisma } from "@/generated/prisma/client";
import { SCOPES, type KeyRestrictions, type Scope } from "./identity";
import { parseStoredRestrictions } from "./restrictions";

/** A key as its verbs give it back: everything but the secret. Ids are bare. */
export type ApiKeyRecord = {
  id: string;
  /** The owner. */
  userId: string;
  name: string;
  /** First characters of the current secret. */
  keyPrefix: string;
  /** As granted; the owner's role may cut them down at each call. */
  scopes: Scope[];
  /** Null: what is stored cannot be read, so the key is denied everything. */
  restrictions: KeyRestrictions | null;
  expiresAt: Date | null;
  revokedAt: Date | null;
  lastUsedAt: Date | null;
  createdAt: Date;
};

export const API_KEY_SELECT = {
  id: true,
  userId: true,
  name: true,
  scopes: true,
  restrictions: true,
  expiresAt: true,
  revokedAt: true,
  lastUsedAt: true,
  createdAt: true,
  // The newest is the one that does not end by itself; `hash` breaks ties of one millisecond the same way every time.
  secrets: {
    select: { prefix: true },
    orderBy: [{ expiresAt: { sort: "desc", nulls: "first" } }, { createdAt: "desc" }, { hash: "asc" }],
    take: 1,
  },
} as const satisfies Prisma.ApiKeySelect;

type ApiKeyRow = Prisma.ApiKeyGetPayload<{ select: typeof API_KEY_SELECT }>;

export function toApiKeyRecord(row: ApiKeyRow): ApiKeyRecord {
  const { secrets, restrictions, scopes, ...rest } = row;
  return {
    ...rest,
    keyPrefix: secrets[0]?.prefix ?? "",
    scopes: SCOPES.filter((scope) => scopes.includes(scope)),
    restrictions: parseStoredRestrictions(restrictions),
  };
}

/** What the audit log keeps of a key. */
export function auditOfApiKey(row: ApiKeyRow): Prisma.InputJsonObject {
  return {
    name: row.name,
    keyPrefix: row.secrets[0]?.prefix ?? "",
    scopes: row.scopes,
    restrictions: row.restrictions as Prisma.InputJsonValue,
    expiresAt: row.expiresAt?.toISOString() ?? null,
    revokedAt: row.revokedAt?.toISOString() ?? null,
  };
}
