import type { PrismaClient } from "@/generated/prisma/client";
import type { Principal } from "@/server/context";

const ORG_HEADER = "x-nullspend-org";
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/**
 * Who a REST call in a session acts as: in the organisation that the header names, or else in the one the person was in last, or
 * has belonged to longest. The role is the membership's of now. Undefined: not signed in, or not a member there.
 */
export function createRestSession({
  prisma,
  liveSession,
}: {
  prisma: PrismaClient;
  liveSession: (request: { cookieHeader: string | undefined }) => Promise<{ userId: string } | undefined>;
}): (exchange: { header(name: string): string | undefined }) => Promise<Principal | undefined> {
  return async (exchange) => {
    const session = await liveSession({ cookieHeader: exchange.header("cookie") });
    if (!session) return undefined;
    const named = exchange
      .header(ORG_HEADER)
      ?.trim()
      .replace(/^ns_org_/, "");
    if (named !== undefined && !UUID.test(named)) return undefined;
    const memberships = await prisma.membership.findMany({
      where: { userId: session.userId, ...(named !== undefined && { orgId: named }), organisation: { deletedAt: null } },
      orderBy: { createdAt: "asc" },
      take: 200,
      select: { orgId: true, role: true, user: { select: { preferences: true } } },
    });
    const lastOrgId = lastOrganisationOf(memberships[0]?.user.preferences);
    const membership = memberships.find(({ orgId }) => orgId === lastOrgId) ?? memberships[0];
    return membership && { type: "user", orgId: membership.orgId, userId: session.userId, role: membership.role };
  };
}

/** Which organisation a person was in last, from what is kept in `preferences`. */
function lastOrganisationOf(preferences: unknown): string | undefined {
  if (typeof preferences !== "object" || preferences === null || !("lastOrgId" in preferences)) return undefined;
  return typeof preferences.lastOrgId === "string" ? preferences.lastOrgId : undefined;
}
