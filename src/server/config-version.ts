import type { Prisma } from "@/generated/prisma/client";

/**
 * Tells every process that what it holds in memory of this organisation is no longer true. Belongs in the transaction of each
 * change to keys, members, prices and limits: the version and the change become visible together, so that a process which read
 * the new version also reads the new state.
 *
 * The update locks the organisation's row until the transaction ends. Call it first where two changes of one organisation must
 * see each other (counting before creating, say), and keep what follows short.
 */
export async function bumpConfigVersion(tx: Prisma.TransactionClient, orgId: string): Promise<bigint> {
  const { configVersion } = await tx.organisation.update({
    where: { id: orgId },
    data: { configVersion: { increment: 1 } },
    select: { configVersion: true },
  });
  return configVersion;
}
