import { ServiceError } from "@/lib/errors";
import type { Role } from "@/generated/prisma/enums";
import type { Ctx } from "@/server/context";
import { assertAllowed } from "@/server/access";

export type OrganisationRecord = {
  id: string;
  name: string;
  slug: string;
  isPersonal: boolean;
  timezone: string;
  createdAt: Date;
  updatedAt: Date;
};

const SELECT = { id: true, name: true, slug: true, isPersonal: true, timezone: true, createdAt: true, updatedAt: true } as const;

/** The organisation that asks. */
export async function getOrganisation({ ctx }: { ctx: Pick<Ctx, "prisma" | "principal"> }): Promise<OrganisationRecord> {
  assertAllowed(ctx.principal, { key: ["read", "self"], user: "viewer" });
  const organisation = await ctx.prisma.organisation.findFirst({ where: { id: ctx.principal.orgId, deletedAt: null }, select: SELECT });
  if (!organisation) throw new ServiceError("not_found", "There is no such organisation.");
  return organisation;
}

/** What a user belongs to, with the role held there. */
export async function listOrganisationsOfUser({
  prisma,
  userId,
}: Pick<Ctx, "prisma"> & { userId: string }): Promise<(OrganisationRecord & { role: Role })[]> {
  const memberships = await prisma.membership.findMany({
    where: { userId, organisation: { deletedAt: null } },
    orderBy: { createdAt: "asc" },
    select: { role: true, organisation: { select: SELECT } },
  });
  return memberships.map(({ role, organisation }) => ({ ...organisation, role }));
}
