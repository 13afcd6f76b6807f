import { assertAllowed } from "@/server/access";
import { recordChange } from "@/server/audit";
import { invalid, parsed } from "@/server/budget";
import { bumpConfigVersion } from "@/server/config-version";
import type { Ctx } from "@/server/context";
import { assertNotItself } from "./authority";
import { bareFrozenEntityId, CreateFreezeInput } from "./input";
import { FREEZE_SELECT, toPublicFreeze, type PublicFreeze } from "./public-freeze";

/**
 * Refuses every call of an entity from now on, on every process within a second and in live streams. What is frozen already stays as
 * it is, with its first reason: `created` is then false.
 */
export async function createFreeze({
  ctx,
  input,
}: {
  ctx: Ctx;
  input: CreateFreezeInput;
}): Promise<{ freeze: PublicFreeze; created: boolean }> {
  assertAllowed(ctx.principal, { key: ["manage"], user: "admin" });
  const { entityType, entityId: sentId, reason } = parsed(CreateFreezeInput, input);
  const entityId = bareFrozenEntityId(entityType, sentId)!;
  assertNotItself(ctx.principal, { entityType, entityId });
  const { orgId } = ctx.principal;
  return ctx.prisma.$transaction(async (tx) => {
    // Locks the organisation: of two at once, the second finds the first.
    await bumpConfigVersion(tx, orgId);
    if (entityType === "api_key" && !(await tx.apiKey.findFirst({ where: { id: entityId, orgId }, select: { id: true } }))) {
      throw invalid({ path: "entityId", message: "there is no such key in this organisation" });
    }
    const existing = await tx.freeze.findFirst({ where: { orgId, entityType, entityId, liftedAt: null }, select: FREEZE_SELECT });
    if (existing) return { freeze: toPublicFreeze(existing), created: false };
    const row = await tx.freeze.create({
      data: { orgId, entityType, entityId, reason, createdAt: new Date(ctx.clock.now()) },
      select: FREEZE_SELECT,
    });
    const freeze = toPublicFreeze(row);
    await recordChange(tx, {
      ctx,
      action: "freeze.created",
      resourceType: "freeze",
      resourceId: freeze.id,
      before: null,
      after: { entityType: freeze.entityType, entityId: freeze.entityId, reason },
    });
    return { freeze, created: true };
  });
}
