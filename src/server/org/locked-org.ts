import type { Prisma } from "@/generated/prisma/client";
import type { Role } from "@/generated/prisma/enums";
import { ServiceError } from "@/lib/errors";
import type { Ctx, Principal } from "@/server/context";
import { hasRole } from "@/server/access";
import { bumpConfigVersion } from "@/server/config-version";

/** Who acts, as the database says while the organisation is locked. A job acts as an owner. */
export type Actor = { userId: string | null; role: Role };

/**
 * Locks the organisation until the transaction ends, tells every process that it changed, and answers who acts, read anew: of two
 * owners who demote each other at once, the second finds itself no owner any more. Whatever a change of members looks at is read
 * after this.
 */
export async function lockOrganisation(tx: Prisma.TransactionClient, { principal }: Pick<Ctx, "principal">, least: Role): Promise<Actor> {
  const { orgId } = principal;
  await bumpConfigVersion(tx, orgId);
  const organisation = await tx.organisation.findUnique({ where: { id: orgId }, select: { deletedAt: true } });
  if (!organisation || organisation.deletedAt) throw noSuchOrganisation();
  const actor = await actorOf(tx, principal);
  if (!hasRole(actor.role, least)) throw new ServiceError("forbidden", `This needs the role ${least} or above.`);
  return actor;
}

async function actorOf(tx: Prisma.TransactionClient, principal: Principal): Promise<Actor> {
  if (principal.type === "system") return { userId: null, role: "owner" };
  const { orgId, userId } = principal;
  const membership = await tx.membership.findUnique({ where: { orgId_userId: { orgId, userId } }, select: { role: true } });
  if (!membership) throw noSuchOrganisation();
  return { userId, role: membership.role };
}

/** One answer for an organisation that is not theirs, that was deleted, and that never was. */
export const noSuchOrganisation = (): ServiceError => new ServiceError("not_found", "There is no such organisation.");

/** Every organisation has an owner. Call under the lock, with the owner that is about to be none. */
export async function assertAnotherOwner(
  tx: Prisma.TransactionClient,
  { orgId, userId, words }: { orgId: string; userId: string; words: string },
): Promise<void> {
  const others = await tx.membership.count({ where: { orgId, role: "owner", NOT: { userId } } });
  if (others === 0) throw new ServiceError("conflict", words);
}
