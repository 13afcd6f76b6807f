import type { PrismaClient } from "@/generated/prisma/client";

/** Longer than anything a mail offers; until then its key keeps it from being written again. */
const KEPT_DAYS = 30;

/** @returns how many were deleted, at most `limit`: call it again while it is as many. */
export async function deleteOldMail(prisma: PrismaClient, limit: number): Promise<number> {
  return prisma.$executeRaw`
    DELETE FROM mail WHERE id = ANY(ARRAY(
      SELECT id FROM mail WHERE created_at < now() - make_interval(days => ${KEPT_DAYS}) AND state <> 'queued'
      LIMIT ${limit} FOR UPDATE SKIP LOCKED))`;
}
