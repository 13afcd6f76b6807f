import { ServiceError } from "@/lib/errors";
import type { Prisma } from "@/generated/prisma/client";
import { publicId } from "@/lib/ids";
import { recordChange } from "@/server/audit";
import type { Ctx } from "@/server/context";
import { assertInFuture } from "./assert-in-future";
import { assertMayChange, assertMayGrant } from "./authority";
import { assertNotRevoked, getApiKeyForChange } from "./get-for-change";
import type { UpdateApiKeyInput } from "./input";
import { API_KEY_SELECT, auditOfApiKey, toApiKeyRecord, type ApiKeyRecord } from "./record";
import { RestrictionsInput } from "./restrictions";

/** Changes only what `input` names; in force on every process within a second. */
export async function updateApiKey({ ctx, keyId, input }: { ctx: Ctx; keyId: string; input: UpdateApiKeyInput }): Promise<ApiKeyRecord> {
  const { orgId } = ctx.principal;
  const { name, scopes, expiresAt, ...restrictionChanges } = input;
  return ctx.prisma.$transaction(async (tx) => {
    const before = await getApiKeyForChange(tx, { orgId, keyId });
    assertMayChange(ctx.principal, before, "change");
    assertNotRevoked(before);
    if (expiresAt !== undefined) assertInFuture(expiresAt, ctx.clock);
    const added = scopes?.filter((scope) => !before.scopes.includes(scope)) ?? [];
    if (added.length > 0) {
      const owner = await tx.membership.findUnique({ where: { orgId_userId: { orgId, userId: before.userId } }, select: { role: true } });
      if (!owner) throw new ServiceError("conflict", "The key's owner has left the organisation, so nothing can be granted to it.");
      assertMayGrant({ principal: ctx.principal, scopes: added, ownerRole: owner.role });
    }
    const row = await tx.apiKey.update({
      where: { id: keyId, orgId },
      data: { name, scopes, expiresAt, restrictions: mergeRestrictions(before.restrictions, restrictionChanges) },
      select: API_KEY_SELECT,
    });
    await recordChange(tx, {
      ctx,
      action: "api_key.updated",
      resourceType: "api_key",
      resourceId: publicId("key", keyId),
      before: auditOfApiKey(before),
      after: auditOfApiKey(row),
    });
    return toApiKeyRecord(row);
  });
}

type RestrictionChanges = Omit<UpdateApiKeyInput, "name" | "scopes" | "expiresAt">;

/**
 * Undefined: leave them as they are. Where what is stored cannot be read, nobody knows what a partial change would leave in force:
 * then every restriction has to be named, which replaces them all.
 */
function mergeRestrictions(stored: Prisma.JsonValue, changes: RestrictionChanges): Prisma.InputJsonObject | undefined {
  const named = Object.entries(changes).filter(([, value]) => value !== undefined);
  if (named.length === 0) return undefined;
  const current = RestrictionsInput.safeParse(stored);
  const isComplete = Object.keys(RestrictionsInput.shape).every((field) => named.some(([key]) => key === field));
  if (!current.success && !isComplete) {
    throw new ServiceError(
      "conflict",
      "The stored restrictions of this key cannot be read. Send every restriction (null for none) to replace them.",
    );
  }
  const merged = { ...(current.success ? current.data : {}), ...Object.fromEntries(named) };
  return Object.fromEntries(Object.entries(merged).filter(([, value]) => value !== null && value !== undefined));
}
