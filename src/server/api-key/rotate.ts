import { publicId } from "@/lib/ids";
import { recordChange } from "@/server/audit";
import type { Ctx } from "@/server/context";
import { assertMayChange } from "./authority";
import type { CreatedApiKey } from "./create";
import { assertNotRevoked, getApiKeyForChange } from "./get-for-change";
import type { RotateApiKeyInput } from "./input";
import { hashRawKey, newRawKey, prefixOfRawKey } from "./raw-key";
import { API_KEY_SELECT, auditOfApiKey, toApiKeyRecord } from "./record";

export type RotatedApiKey = CreatedApiKey & { /** Until when the secret before this one works. */ previousSecretExpiresAt: Date };

/**
 * Gives a key a new secret; its id, history, budgets and restrictions stay. The old secret works on for the overlap, an even older
 * one keeps the end it had. With an overlap of 0 the old one is unknown within a second.
 */
export async function rotateApiKey({ ctx, keyId, input }: { ctx: Ctx; keyId: string; input: RotateApiKeyInput }): Promise<RotatedApiKey> {
  const { orgId } = ctx.principal;
  return ctx.prisma.$transaction(async (tx) => {
    const before = await getApiKeyForChange(tx, { orgId, keyId });
    assertMayChange(ctx.principal, before, "change");
    assertNotRevoked(before);
    // The database's clock decides when a secret ends, so it also says from when the overlap counts.
    const [time] = await tx.$queryRaw<[{ ends_at: Date }]>`
      SELECT date_trunc('milliseconds', clock_timestamp() + ${input.overlapSeconds} * interval '1 second') AS ends_at`;
    const previousSecretExpiresAt = time.ends_at;
    await tx.apiKeySecret.updateMany({
      where: { apiKeyId: keyId, OR: [{ expiresAt: null }, { expiresAt: { gt: previousSecretExpiresAt } }] },
      data: { expiresAt: previousSecretExpiresAt },
    });
    const rawKey = newRawKey();
    await tx.apiKeySecret.create({
      data: { hash: hashRawKey(rawKey), apiKeyId: keyId, prefix: prefixOfRawKey(rawKey) },
      select: { hash: true },
    });
    const row = await tx.apiKey.findUniqueOrThrow({ where: { id: keyId, orgId }, select: API_KEY_SELECT });
    await recordChange(tx, {
      ctx,
      action: "api_key.rotated",
      resourceType: "api_key",
      resourceId: publicId("key", keyId),
      before: auditOfApiKey(before),
      after: { ...auditOfApiKey(row), previousSecretExpiresAt: previousSecretExpiresAt.toISOString() },
    });
    return { ...toApiKeyRecord(row), rawKey, previousSecretExpiresAt };
  });
}
