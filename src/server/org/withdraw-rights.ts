import type { Prisma } from "@/generated/prisma/client";

/**
 * What a person who is no member any more must not keep: keys, links in mails that let approve, a place in approval policies (one
 * that named nobody else then asks everybody who has the right), and the buttons in Slack. Sign-in sessions are the person's own
 * and stay; what they see here is decided by the membership, at every request.
 */
export async function withdrawRights(
  tx: Prisma.TransactionClient,
  { orgId, userId, now }: { orgId: string; userId: string; now: Date },
): Promise<{ revokedKeys: number; changedPolicies: number }> {
  const keys = await tx.apiKey.updateMany({ where: { orgId, userId, revokedAt: null }, data: { revokedAt: now } });
  await tx.actionToken.updateMany({ where: { userId, usedAt: null, action: { orgId } }, data: { usedAt: now } });
  const changedPolicies = await tx.$executeRaw`
    UPDATE approval_policy SET approver_ids = array_remove(approver_ids, ${userId}::uuid), updated_at = ${now}
    WHERE org_id = ${orgId}::uuid AND ${userId}::uuid = ANY(approver_ids)`;
  await tx.slackUser.deleteMany({ where: { orgId, userId } });
  return { revokedKeys: keys.count, changedPolicies };
}
