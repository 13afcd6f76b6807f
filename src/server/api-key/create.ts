import type { Prisma } from "@/generated/prisma/client";
import { ServiceError } from "@/lib/errors";
import { publicId } from "@/lib/ids";
import { recordChange } from "@/server/audit";
import type { Ctx } from "@/server/context";
import { assertAllowed } from "@/server/access";
import { bumpConfigVersion } from "@/server/config-version";
import { assertMayGrant } from "./authority";
import { assertInFuture } from "./assert-in-future";
import type { CreateApiKeyInput } from "./input";
import { hashRawKey, newRawKey, prefixOfRawKey } from "./raw-key";
import { API_KEY_SELECT, auditOfApiKey, toApiKeyRecord, type ApiKeyRecord } from "./record";
import { DEFAULT_SCOPES } from "./scopes";

/** Live keys of one owner. Far above any real use; it keeps a loop in a script from filling the table. */
const KEYS_PER_OWNER_MAX = 1000;

/** `rawKey` is the only time the secret is seen. */
export type CreatedApiKey = ApiKeyRecord & { rawKey: string };

/**
 * Makes a key that belongs to whoever asks: the person, or the owner of the asking key.
 * @param ownerUserId for `system`, which owns nothing itself.
 */
export async function createApiKey({
  ctx,
  input,
  ownerUserId,
}: {
  ctx: Ctx;
  input: CreateApiKeyInput;
  ownerUserId?: string;
}): Promise<CreatedApiKey> {
  assertAllowed(ctx.principal, { key: ["manage"], user: "member" });
  const userId = ctx.principal.type === "system" ? ownerUserId : ctx.principal.userId;
  if (userId === undefined) throw new ServiceError("bad_request", "Say who the key belongs to.");
  return ctx.prisma.$transaction((tx) => insertApiKey(tx, { ctx, input, userId, rawKey: newRawKey() }));
}

/** For a key whose secret somebody else chose (a headless first run). */
export async function insertApiKey(
  tx: Prisma.TransactionClient,
  { ctx, input, userId, rawKey }: { ctx: Omit<Ctx, "prisma">; input: CreateApiKeyInput; userId: string; rawKey: string },
): Promise<CreatedApiKey> {
  const { orgId } = ctx.principal;
  const { name, scopes = DEFAULT_SCOPES, expiresAt = null, ...restrictions } = input;
  assertInFuture(expiresAt, ctx.clock);
  // Locks the organisation, so that two requests cannot both count themselves below the limit.
  await bumpConfigVersion(tx, orgId);
  const owner = await tx.membership.findUnique({ where: { orgId_userId: { orgId, userId } }, select: { role: true } });
  if (!owner) throw new ServiceError("forbidden", "The key's owner is not a member of this organisation.");
  assertMayGrant({ principal: ctx.principal, scopes, ownerRole: owner.role });
  const live = await tx.apiKey.count({ where: { orgId, userId, revokedAt: null } });
  if (live >= KEYS_PER_OWNER_MAX)
    throw new ServiceError("limit_exceeded", `A member has at most ${KEYS_PER_OWNER_MAX} keys: revoke some first.`);
  const row = await tx.apiKey.create({
    data: {
      orgId,
      userId,
      name,
      scopes: [...scopes],
      restrictions,
      expiresAt,
      createdAt: new Date(ctx.clock.now()),
      secrets: { create: { hash: hashRawKey(rawKey), prefix: prefixOfRawKey(rawKey) } },
    },
    select: API_KEY_SELECT,
  });
  await recordChange(tx, {
    ctx,
    action: "api_key.created",
    resourceType: "api_key",
    resourceId: publicId("key", row.id),
    before: null,
    after: auditOfApiKey(row),
  });
  return { ...toApiKeyRecord(row), rawKey };
}
