import { parsePublicId } from "@/lib/ids";
import type { Ctx } from "@/server/context";

type Asking = Pick<Ctx, "prisma"> & { userId: string };

/** Where somebody goes who named no organisation: the one they were in last, else their own. Undefined: they belong to none. */
export async function findHomeOfUser({ prisma, userId }: Asking): Promise<{ slug: string; hasEvents: boolean } | undefined> {
  const [user, memberships] = await Promise.all([
    prisma.user.findUnique({ where: { id: userId }, select: { preferences: true } }),
    prisma.membership.findMany({
      where: { userId, organisation: { deletedAt: null } },
      orderBy: { createdAt: "asc" },
      select: { organisation: { select: { id: true, slug: true } } },
    }),
  ]);
  const last = lastSlugOf(user?.preferences);
  const organisations = memberships.map(({ organisation }) => organisation);
  const home = organisations.find(({ slug }) => slug === last) ?? organisations[0];
  if (!home) return undefined;
  const event = await prisma.costEvent.findFirst({ where: { orgId: home.id }, select: { id: true } });
  return { slug: home.slug, hasEvents: event !== null };
}

/** The organisation of somebody's that has this action or budget. Undefined: there is none, or they are no member there. */
export async function findPlaceOf({
  prisma,
  userId,
  actionId,
  budgetId,
}: Asking & { actionId?: string | undefined; budgetId?: string | undefined }): Promise<{ slug: string } | undefined> {
  const members = { organisation: { deletedAt: null, memberships: { some: { userId } } } };
  const action = actionId === undefined ? undefined : parsePublicId("action", actionId);
  const budget = budgetId === undefined ? undefined : parsePublicId("budget", budgetId);
  const select = { organisation: { select: { slug: true } } } as const;
  const found =
    action !== undefined
      ? await prisma.action.findFirst({ where: { id: action, ...members }, select })
      : budget !== undefined
        ? await prisma.budget.findFirst({ where: { id: budget, ...members }, select })
        : null;
  return found?.organisation;
}

function lastSlugOf(preferences: unknown): string | undefined {
  if (typeof preferences !== "object" || preferences === null || !("lastOrgSlug" in preferences)) return undefined;
  return typeof preferences.lastOrgSlug === "string" ? preferences.lastOrgSlug : undefined;
}
