import { publicId } from "@/lib/ids";
import { recordChange } from "@/server/audit";
import type { Ctx } from "@/server/context";
import { assertMayChange } from "./authority";
import { getApiKeyForChange } from "./get-for-change";
import { API_KEY_SELECT, auditOfApiKey, toApiKeyRecord, type ApiKeyRecord } from "./record";

/** Ends a key for good, on every process within a second. Revoking it again changes nothing. */
export async function revokeApiKey({ ctx, keyId }: { ctx: Ctx; keyId: string }): Promise<ApiKeyRecord & { revokedAt: Date }> {
  const { orgId } = ctx.principal;
  return ctx.prisma.$transaction(async (tx) => {
    const before = await getApiKeyForChange(tx, { orgId, keyId });
    assertMayChange(ctx.principal, before, "end");
    if (before.revokedAt) return { ...toApiKeyRecord(before), revokedAt: before.revokedAt };
    const revokedAt = new Date(ctx.clock.now());
    const row = await tx.apiKey.update({ where: { id: keyId, orgId }, data: { revokedAt }, select: API_KEY_SELECT });
    await recordChange(tx, {
      ctx,
      action: "api_key.revoked",
      resourceType: "api_key",
      resourceId: publicId("key", keyId),
      before: auditOfApiKey(before),
      after: auditOfApiKey(row),
    });
    return { ...toApiKeyRecord(row), revokedAt };
  });
}
