import { Prisma } from "@/generated/prisma/client";
import type { Ctx } from "@/server/context";

export type Change = {
  ctx: Pick<Ctx, "principal" | "ip">;
  /** Noun and past verb, e.g. `api_key.created`. */
  action: string;
  resourceType: string;
  /** Public id (with its prefix) where the resource has one. */
  resourceId: string;
  /** What it was; null for a creation. Must hold no secret. */
  before: Prisma.InputJsonValue | null;
  /** What it became; null for a deletion. Must hold no secret. */
  after: Prisma.InputJsonValue | null;
};

/** Writes the audit row of a change. It takes the change's own transaction, so that neither is ever there without the other. */
export async function recordChange(tx: Prisma.TransactionClient, change: Change): Promise<void> {
  const { principal, ip } = change.ctx;
  await tx.auditLog.create({
    data: {
      orgId: principal.orgId,
      actorType: principal.type,
      actorId: actorIdOf(principal),
      action: change.action,
      resourceType: change.resourceType,
      resourceId: change.resourceId,
      before: change.before ?? Prisma.DbNull,
      after: change.after ?? Prisma.DbNull,
      ip,
    },
    select: { id: true },
  });
}

function actorIdOf(principal: Ctx["principal"]): string | null {
  switch (principal.type) {
    case "api_key":
      return principal.keyId;
    case "user":
      return principal.userId;
    case "system":
      return null;
  }
}
