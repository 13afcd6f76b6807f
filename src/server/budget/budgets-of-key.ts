import { Prisma } from "@/generated/prisma/client";
import { parseStoredRestrictions, type KeyRestrictions } from "@/server/api-key";
import type { Ctx } from "@/server/context";
import { attribute } from "@/server/events";
import { ServiceError } from "@/lib/errors";
import { readBudgets, type BudgetRow } from "./read-budgets";

export type KeyOfCaller = { keyId: string; userId: string; name: string; restrictions: KeyRestrictions | null };

/** The key that asks, with its restrictions as they are now. */
export async function getKeyOfCaller({ prisma, principal }: Pick<Ctx, "prisma" | "principal">): Promise<KeyOfCaller> {
  if (principal.type !== "api_key") throw new ServiceError("forbidden", "This needs an API key.");
  const row = await prisma.apiKey.findFirst({
    where: { id: principal.keyId, orgId: principal.orgId },
    select: { name: true, restrictions: true },
  });
  if (!row) throw new ServiceError("unauthorized", "This key is not known.");
  return {
    keyId: principal.keyId,
    userId: principal.userId,
    name: row.name,
    restrictions: parseStoredRestrictions(row.restrictions),
  };
}

/**
 * The budgets that every call of a key counts against, or does unless the call says otherwise: of the organisation, of its owner, of
 * itself, and of the tags and customer that the key brings with it. What a single call names beside that is the call's own.
 */
export function concerningKey(key: Pick<KeyOfCaller, "keyId" | "userId" | "restrictions">): ReturnType<typeof Prisma.sql> {
  const { tags, customerId } = attribute({ tags: {}, customerId: undefined, restrictions: key.restrictions ?? {} });
  const pairs = Object.entries(tags).map(([name, value]) => `${name}=${value}`);
  return Prisma.sql`(
    "entityType" = 'org'
    OR ("entityType" = 'user' AND "entityId" = ${key.userId})
    OR ("entityType" = 'api_key' AND "entityId" = ${key.keyId})
    OR ("entityType" = 'tag' AND "entityId" = ANY(${pairs}::text[]))
    OR ("entityType" = 'customer' AND "entityId" = ${customerId}::text)
  )`;
}

export async function budgetsOfKey({ prisma, principal }: Pick<Ctx, "prisma" | "principal">, key: KeyOfCaller): Promise<BudgetRow[]> {
  return readBudgets(prisma, { orgId: principal.orgId, where: concerningKey(key) });
}
