import type { Role } from "@/generated/prisma/enums";
import { ServiceError } from "@/lib/errors";
import type { Principal } from "@/server/context";
import { hasRole } from "@/server/access";
import type { Scope } from "./identity";
import { effectiveScopes, PRIVILEGED_SCOPES } from "./scopes";

const isPrivileged = (scopes: readonly string[]): boolean => PRIVILEGED_SCOPES.some((scope) => scopes.includes(scope));

/**
 * Who may hand out scopes (CONTRACT §2): a person from member on, or a key with `manage`; `read` and `manage` only an admin or
 * owner in a session. Nobody gives more than the owner of the key could use.
 */
export function assertMayGrant({
  principal,
  scopes,
  ownerRole,
}: {
  principal: Principal;
  scopes: readonly Scope[];
  ownerRole: Role;
}): void {
  if (isPrivileged(scopes)) {
    if (principal.type === "api_key")
      throw new ServiceError("forbidden", "A key cannot grant `read` or `manage`: an admin does, in the dashboard.");
    if (principal.type === "user" && !hasRole(principal.role, "admin")) {
      throw new ServiceError("forbidden", "Only admins and owners grant `read` and `manage`.");
    }
  }
  const usable = effectiveScopes(scopes, ownerRole);
  const excess = scopes.find((scope) => !usable.has(scope));
  if (excess) throw new ServiceError("forbidden", `The owner of this key is a ${ownerRole}, whose keys cannot have the scope "${excess}".`);
}

/** What is to be done to a key that is there: `end` only takes away, `change` may also give. */
type Deed = "change" | "end";

/**
 * Who may change which key. People: admins and owners any, members their own as long as it holds no privileged scope. Keys with
 * `manage`: any other key, never themselves; and one that holds `read` or `manage` only to end it, because rotating it or putting
 * off its expiry would amount to granting what only a session grants.
 */
export function assertMayChange(principal: Principal, key: { id: string; userId: string; scopes: readonly string[] }, deed: Deed): void {
  switch (principal.type) {
    case "system":
      return;
    case "user":
      if (hasRole(principal.role, "admin")) return;
      if (hasRole(principal.role, "member") && key.userId === principal.userId && !isPrivileged(key.scopes)) return;
      throw new ServiceError("forbidden", "Members change only their own keys; the others belong to the admins.");
    case "api_key":
      if (!principal.scopes.has("manage")) throw new ServiceError("forbidden", 'This key lacks the scope "manage".');
      if (key.id === principal.keyId) throw new ServiceError("forbidden", "A key cannot change itself.");
      if (deed === "change" && isPrivileged(key.scopes)) {
        throw new ServiceError("forbidden", "A key cannot change keys that hold `read` or `manage`: an admin does, in the dashboard.");
      }
      return;
  }
}
