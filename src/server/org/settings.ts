import type { Prisma } from "@/generated/prisma/client";
import { ServiceError } from "@/lib/errors";
import { publicId } from "@/lib/ids";
import { microdollarsToNano } from "@/lib/money";
import { assertAllowed, hasRole } from "@/server/access";
import { recordChange } from "@/server/audit";
import type { Ctx } from "@/server/context";
import type { OrgDeps } from "./deps";
import type { UpdateOrganisationInput } from "./input";
import { lockOrganisation, noSuchOrganisation } from "./locked-org";
import { auditOfOrganisation, ORGANISATION_SELECT, toSettings, type OrganisationSettings } from "./public-organisation";
import { slugConflict } from "./slug";

export async function getOrganisationSettings({ ctx }: { ctx: Ctx }): Promise<OrganisationSettings> {
  assertAllowed(ctx.principal, { key: ["read", "self"], user: "viewer" });
  const row = await ctx.prisma.organisation.findFirst({ where: { id: ctx.principal.orgId, deletedAt: null }, select: ORGANISATION_SELECT });
  if (!row) throw noSuchOrganisation();
  return toSettings(row);
}

/** Admins change settings; where denied callers are sent to pay is the owner's (CONTRACT §12). */
export async function updateOrganisation({
  ctx,
  input,
  deps,
}: {
  ctx: Ctx;
  input: UpdateOrganisationInput;
  deps: Pick<OrgDeps, "publish">;
}): Promise<OrganisationSettings> {
  assertAllowed(ctx.principal, { key: "session_only", user: "admin" });
  const { orgId } = ctx.principal;
  try {
    const row = await ctx.prisma.$transaction(async (tx) => {
      const actor = await lockOrganisation(tx, ctx, "admin");
      if (input.upgradeUrl !== undefined && !hasRole(actor.role, "owner")) {
        throw new ServiceError("forbidden", "Only owners set the upgrade URL.");
      }
      const before = await tx.organisation.findUniqueOrThrow({ where: { id: orgId }, select: ORGANISATION_SELECT });
      const after = await tx.organisation.update({ where: { id: orgId }, data: columnsOf(input), select: ORGANISATION_SELECT });
      await recordChange(tx, {
        ctx,
        action: "org.updated",
        resourceType: "org",
        resourceId: publicId("org", orgId),
        before: auditOfOrganisation(before),
        after: auditOfOrganisation(after),
      });
      return after;
    });
    deps.publish({ type: "config.changed", orgId, area: "settings" });
    return toSettings(row);
  } catch (error) {
    throw slugConflict(error, input.slug);
  }
}

function columnsOf({ linkLimitMicrodollars, ...columns }: UpdateOrganisationInput): Prisma.OrganisationUpdateInput {
  if (linkLimitMicrodollars === undefined) return columns;
  const linkLimitNano = microdollarsToNano(linkLimitMicrodollars);
  // The schema has refused what is no amount.
  if (linkLimitNano === undefined) throw new ServiceError("bad_request", "The link limit is not an amount.");
  return { ...columns, linkLimitNano };
}
