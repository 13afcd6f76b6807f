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
  await tx.auditLog.create({ data: columnsOf(change), select: { id: true } });
}

/** The same for many changes of one transaction, in one statement. */
export async function recordChanges(tx: Prisma.TransactionClient, changes: readonly Change[]): Promise<void> {
  if (changes.length > 0) await tx.auditLog.createMany({ data: changes.map(columnsOf) });
}

function columnsOf({ ctx: { principal, ip }, action, resourceType, resourceId, before, after }: Change) {
  return {
    orgId: principal.orgId,
    actorType: principal.type,
    actorId: actorIdOf(principal),
    action,
    resourceType,
    resourceId,
    before: before ?? Prisma.DbNull,
    after: after ?? Prisma.DbNull,
    ip,
  };
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
