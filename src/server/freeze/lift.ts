import { ServiceError } from "@/lib/errors";
import { parsePublicId } from "@/lib/ids";
import { assertAllowed } from "@/server/access";
import { recordChange } from "@/server/audit";
import { bumpConfigVersion } from "@/server/config-version";
import type { Ctx } from "@/server/context";
import { assertNotItself } from "./authority";
import { FREEZE_SELECT, toPublicFreeze, type PublicFreeze } from "./public-freeze";

/** Lifts a freeze; lifting it again changes nothing. */
export async function liftFreeze({ ctx, freezeId }: { ctx: Ctx; freezeId: string }): Promise<PublicFreeze> {
  assertAllowed(ctx.principal, { key: ["manage"], user: "admin" });
  const id = parsePublicId("freeze", freezeId);
  const { orgId } = ctx.principal;
  return ctx.prisma.$transaction(async (tx) => {
    await bumpConfigVersion(tx, orgId);
    const before = id === undefined ? null : await tx.freeze.findFirst({ where: { id, orgId }, select: FREEZE_SELECT });
    if (!before) throw new ServiceError("not_found", "There is no such freeze.");
    assertNotItself(ctx.principal, before);
    if (before.liftedAt) return toPublicFreeze(before);
    const row = await tx.freeze.update({
      where: { id: before.id, orgId },
      data: { liftedAt: new Date(ctx.clock.now()) },
      select: FREEZE_SELECT,
    });
    const freeze = toPublicFreeze(row);
    await recordChange(tx, {
      ctx,
      action: "freeze.lifted",
      resourceType: "freeze",
      resourceId: freeze.id,
      before: { entityType: freeze.entityType, entityId: freeze.entityId, reason: freeze.reason },
      after: null,
    });
    return freeze;
  });
}
