import type { Role } from "@/generated/prisma/enums";
import { ServiceError } from "@/lib/errors";
import type { Scope } from "@/server/api-key/identity";
import type { Principal } from "@/server/context";

const RANK: Readonly<Record<Role, number>> = { viewer: 0, member: 1, admin: 2, owner: 3 };

export const hasRole = (role: Role, least: Role): boolean => RANK[role] >= RANK[least];

/** What a verb asks of who calls it: any one of these scopes of a key, or at least this role of a person (CONTRACT §8). */
export type AccessRule = {
  /** `session_only`: no key may, whatever its scopes. */
  key: readonly Scope[] | "session_only";
  /** `key_only`: the verb makes no sense without a key. */
  user: Role | "key_only";
};

/** Whether a principal satisfies a rule. Jobs and the command line act as `system` and may do everything in their organisation. */
export function isAllowed(principal: Principal, rule: AccessRule): boolean {
  switch (principal.type) {
    case "system":
      return true;
    case "user":
      return rule.user !== "key_only" && hasRole(principal.role, rule.user);
    case "api_key":
      return rule.key !== "session_only" && rule.key.some((scope) => principal.scopes.has(scope));
  }
}

export function assertAllowed(principal: Principal, rule: AccessRule): void {
  if (isAllowed(principal, rule)) return;
  throw new ServiceError("forbidden", refusal(principal, rule));
}

function refusal(principal: Principal, rule: AccessRule): string {
  if (principal.type === "api_key") {
    if (rule.key === "session_only") return "An API key cannot do this: sign in to the dashboard.";
    return `This key lacks the scope ${rule.key.map((scope) => `"${scope}"`).join(" or ")}.`;
  }
  if (rule.user === "key_only") return "This needs an API key.";
  return `This needs the role ${rule.user} or above.`;
}
