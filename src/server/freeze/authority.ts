import { ServiceError } from "@/lib/errors";
import type { Principal } from "@/server/context";

/** No key changes itself (CONTRACT §2): one that was frozen must not be able to lift that. */
export function assertNotItself(principal: Principal, { entityType, entityId }: { entityType: string; entityId: string }): void {
  if (principal.type === "api_key" && entityType === "api_key" && entityId === principal.keyId) {
    throw new ServiceError("forbidden", "A key cannot freeze or unfreeze itself.");
  }
}
