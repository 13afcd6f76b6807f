import type { Prisma } from "@/generated/prisma/client";
import { ServiceError } from "@/lib/errors";
import { bumpConfigVersion } from "@/server/config-version";
import { API_KEY_SELECT } from "./record";

type Found = Prisma.ApiKeyGetPayload<{ select: typeof API_KEY_SELECT }>;

/**
 * The key of this organisation, read after the organisation was locked: of two changes of one key, the second sees the first.
 * A key of another organisation is as absent as one that never was.
 */
export async function getApiKeyForChange(tx: Prisma.TransactionClient, { orgId, keyId }: { orgId: string; keyId: string }): Promise<Found> {
  await bumpConfigVersion(tx, orgId);
  const row = await tx.apiKey.findFirst({ where: { id: keyId, orgId }, select: API_KEY_SELECT });
  if (!row) throw new ServiceError("not_found", "There is no such key.");
  return row;
}

export function assertNotRevoked(key: { revokedAt: Date | null }): void {
  if (key.revokedAt) throw new ServiceError("conflict", "This key is revoked. Make a new one.");
}
