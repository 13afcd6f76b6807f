import type { PrismaClient } from "@/generated/prisma/client";
import { ServiceError } from "@/lib/errors";
import { bumpConfigVersion } from "@/server/config-version";

/**
 * Deletes an account with its personal organisation. Refused while it is the only owner of an organisation with other people in it:
 * they would be left with nobody who can act.
 */
export async function deleteAccount({ prisma, userId, now }: { prisma: PrismaClient; userId: string; now: Date }): Promise<void> {
  await prisma.$transaction(async (tx) => {
    const memberships = await tx.membership.findMany({
      where: { userId, organisation: { deletedAt: null } },
      orderBy: { orgId: "asc" },
      select: { orgId: true, role: true, organisation: { select: { name: true } } },
    });
    for (const { orgId, role, organisation } of memberships) {
      // Locks the organisation: two owners who leave at once do not both find the other still there.
      await bumpConfigVersion(tx, orgId);
      const others = await tx.membership.findMany({ where: { orgId, NOT: { userId } }, select: { role: true } });
      if (role === "owner" && others.length > 0 && !others.some((other) => other.role === "owner")) {
        throw new ServiceError(
          "conflict",
          `You are the only owner of ${organisation.name}. Make somebody else its owner first, or delete it.`,
        );
      }
      if (others.length === 0) await tx.organisation.update({ where: { id: orgId }, data: { deletedAt: now }, select: { id: true } });
      await tx.apiKey.updateMany({ where: { orgId, userId, revokedAt: null }, data: { revokedAt: now } });
    }
    await tx.membership.deleteMany({ where: { userId } });
    await tx.session.deleteMany({ where: { userId } });
    await tx.account.deleteMany({ where: { userId } });
    await tx.accountToken.deleteMany({ where: { userId } });
    // The row stays, without the person: keys, events and audit rows name it.
    await tx.user.update({
      where: { id: userId },
      data: { email: null, name: "Deleted user", image: null, passwordHash: null, emailVerified: null, preferences: {} },
      select: { id: true },
    });
  });
}
