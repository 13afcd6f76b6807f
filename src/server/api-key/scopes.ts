import type { Role } from "@/generated/prisma/enums";
import { SCOPES, type Scope } from "./identity";

/**
 * The most a key can do for an owner of each role (CONTRACT §2, §12). A viewer only looks, so its keys neither call models nor
 * report costs; what concerns the key itself stays readable. `read` and `manage` are worth an admin's word and end with it.
 */
const SCOPES_OF_ROLE: Readonly<Record<Role, ReadonlySet<Scope>>> = {
  viewer: new Set(["self"]),
  member: new Set(["proxy", "ingest", "self"]),
  admin: new Set(SCOPES),
  owner: new Set(SCOPES),
};

export const DEFAULT_SCOPES = ["proxy", "ingest", "self"] as const satisfies readonly Scope[];

/** What only admins and owners grant, and only in a session. */
export const PRIVILEGED_SCOPES: readonly Scope[] = ["read", "manage"];

/** Granted scopes cut down to what the owner's role allows now. A scope this version does not know grants nothing. */
export function effectiveScopes(granted: readonly string[], role: Role): ReadonlySet<Scope> {
  const allowed = SCOPES_OF_ROLE[role];
  return new Set(SCOPES.filter((scope) => allowed.has(scope) && granted.includes(scope)));
}
