import { ServiceError } from "@/lib/errors";
import type { Ctx } from "@/server/context";
import { createOrganisationWithOwner } from "./create-organisation";
import type { CreateOrganisationInput } from "./input";
import { ORGANISATION_SELECT, toSettings, type OrganisationSettings } from "./public-organisation";
import { slugConflict } from "./slug";

/** Far above any real use: it keeps a script from filling the table. */
const OWNED_MAX = 50;

/** A team organisation that belongs to the signed-in person who asks. */
export async function createOrganisation({
  ctx,
  userId,
  input,
}: {
  ctx: Pick<Ctx, "prisma" | "ip">;
  userId: string;
  input: CreateOrganisationInput;
}): Promise<OrganisationSettings> {
  const { name, slug, timezone } = input;
  try {
    return await ctx.prisma.$transaction(async (tx) => {
      // Locks the person: two requests at once do not both find room for one more.
      await tx.$executeRaw`SELECT 1 FROM app_user WHERE id = ${userId}::uuid FOR UPDATE`;
      const owned = await tx.membership.count({ where: { userId, role: "owner", organisation: { deletedAt: null } } });
      if (owned >= OWNED_MAX) throw new ServiceError("limit_exceeded", `A person owns at most ${OWNED_MAX} organisations.`);
      const id = await createOrganisationWithOwner(tx, { name, userId, isPersonal: false, timezone, ip: ctx.ip, ...(slug && { slug }) });
      return toSettings(await tx.organisation.findUniqueOrThrow({ where: { id }, select: ORGANISATION_SELECT }));
    });
  } catch (error) {
    throw slugConflict(error, slug);
  }
}
