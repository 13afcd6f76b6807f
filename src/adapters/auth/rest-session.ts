import type { PrismaClient } from "@/generated/prisma/client";
import { isUuid } from "@/lib/ids";
import type { Principal } from "@/server/context";
import { ORG_HEADER } from "../trpc/context";

/**
 * Who a REST call in a session acts as: in the organisation that the header names, or else in the one the person has
 * belonged to longest. The role is the membership's of now. Undefined: not signed in, or not a member there.
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
    if (named !== undefined && !isUuid(named)) return undefined;
    const membership = await prisma.membership.findFirst({
      where: { userId: session.userId, ...(named !== undefined && { orgId: named }), organisation: { deletedAt: null } },
      orderBy: { createdAt: "asc" },
      select: { orgId: true, role: true },
    });
    return membership ? { type: "user", orgId: membership.orgId, userId: session.userId, role: membership.role } : undefined;
  };
}
