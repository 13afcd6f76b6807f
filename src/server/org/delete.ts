import { randomBytes } from "node:crypto";
import { ServiceError } from "@/lib/errors";
import { publicId } from "@/lib/ids";
import { assertAllowed } from "@/server/access";
import { recordChange } from "@/server/audit";
import type { Ctx } from "@/server/context";
import type { OrgDeps } from "./deps";
import { lockOrganisation } from "./locked-org";

/**
 * Ends an organisation. Its keys are unknown within a second on every process and its members find it gone; calls that have begun
 * run to their end and are settled. The rows stay as a tombstone: money that was spent does not become unspent.
 */
export async function deleteOrganisation({
  ctx,
  input,
  deps,
}: {
  ctx: Ctx;
  input: { name: string };
  deps: Pick<OrgDeps, "publish">;
}): Promise<{ id: string; deletedAt: Date }> {
  assertAllowed(ctx.principal, { key: "session_only", user: "owner" });
  const { orgId } = ctx.principal;
  const deletedAt = new Date(ctx.clock.now());
  const memberIds = await ctx.prisma.$transaction(async (tx) => {
    await lockOrganisation(tx, ctx, "owner");
    const { name, slug, isPersonal } = await tx.organisation.findUniqueOrThrow({
      where: { id: orgId },
      select: { name: true, slug: true, isPersonal: true },
    });
    if (isPersonal) throw new ServiceError("conflict", "A personal organisation goes with its account: delete the account instead.");
    if (input.name.trim() !== name) throw new ServiceError("bad_request", `Type the organisation's name, ${name}, to delete it.`);
    // The slug becomes free; the tombstone keeps a trace of it.
    const tombstone = `${slug.slice(0, 40)}-deleted-${randomBytes(4).toString("hex")}`;
    await tx.organisation.update({ where: { id: orgId }, data: { deletedAt, slug: tombstone }, select: { id: true } });
    await tx.invitation.updateMany({ where: { orgId, acceptedAt: null, revokedAt: null }, data: { revokedAt: deletedAt } });
    await recordChange(tx, {
      ctx,
      action: "org.deleted",
      resourceType: "org",
      resourceId: publicId("org", orgId),
      before: { name, slug },
      after: null,
    });
    return (await tx.membership.findMany({ where: { orgId }, select: { userId: true } })).map(({ userId }) => userId);
  });
  for (const userId of memberIds) deps.publish({ type: "member.removed", orgId, userId });
  return { id: orgId, deletedAt };
}
