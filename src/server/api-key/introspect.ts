import { ServiceError } from "@/lib/errors";
import type { Ctx } from "@/server/context";
import { SCOPES, type Scope } from "./identity";

export type Introspection = { orgId: string; userId: string; keyId: string; scopes: Scope[] };

/** Who this key is and what it can do now. Every key may ask that of itself, whatever its scopes. */
export function introspect({ principal }: Pick<Ctx, "principal">): Introspection {
  if (principal.type !== "api_key") throw new ServiceError("forbidden", "This needs an API key.");
  const { orgId, userId, keyId } = principal;
  return { orgId, userId, keyId, scopes: SCOPES.filter((scope) => principal.scopes.has(scope)) };
}
