import type { Ctx } from "@/server/context";
import type { AuditRecord } from "./list";

/**
 * Names of those who made changes, by bare UUID: a person's name or address, a key's name. Who is gone has none. Only people who are
 * or were members here can have made a change here, so no name of another organisation is told.
 */
export async function namesOfActors({
  ctx,
  records,
}: {
  ctx: Pick<Ctx, "prisma" | "principal">;
  records: readonly Pick<AuditRecord, "actorType" | "actorId">[];
}): Promise<ReadonlyMap<string, string>> {
  const idsOf = (type: string): string[] => [
    ...new Set(records.flatMap(({ actorType, actorId }) => (actorType === type && actorId !== null ? [actorId] : []))),
  ];
  const [users, keys] = await Promise.all([
    ctx.prisma.user.findMany({ where: { id: { in: idsOf("user") } }, select: { id: true, name: true, email: true } }),
    ctx.prisma.apiKey.findMany({
      where: { orgId: ctx.principal.orgId, id: { in: idsOf("api_key") } },
      select: { id: true, name: true },
    }),
  ]);
  return new Map([
    ...users.flatMap(({ id, name, email }): [string, string][] => (name === null && email === null ? [] : [[id, name ?? email ?? ""]])),
    ...keys.map(({ id, name }): [string, string] => [id, name]),
  ]);
}
