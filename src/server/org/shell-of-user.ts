import type { Role } from "@/generated/prisma/enums";
import type { Ctx } from "@/server/context";

export type ShellOrganisation = { id: string; name: string; slug: string; isPersonal: boolean; isDemo: boolean; role: Role };

/** What stands around every page of the dashboard. Ids are bare UUIDs. */
export type Shell = {
  user: { id: string; name: string | null; email: string | null; emailVerified: boolean };
  /** What the person belongs to, their own organisation first, then by name. */
  organisations: ShellOrganisation[];
  /** The organisation of the page. */
  org: ShellOrganisation & { timezone: string };
  /** Requests that wait for a person. */
  approvalsWaiting: number;
  /** Set while all calls are refused. */
  freeze: { id: string; reason: string; createdAt: Date } | null;
  /** What has been done of the first steps. */
  started: { key: boolean; request: boolean; budget: boolean; teammate: boolean };
};

/** Undefined: there is no organisation of this name, or the person is no member; the two are not told apart. */
export async function findShellOfUser({
  prisma,
  userId,
  slug,
}: Pick<Ctx, "prisma"> & { userId: string; slug: string }): Promise<Shell | undefined> {
  const memberships = await prisma.membership.findMany({
    where: { userId, organisation: { deletedAt: null } },
    select: {
      role: true,
      user: { select: { id: true, name: true, email: true, emailVerified: true } },
      organisation: { select: { id: true, name: true, slug: true, isPersonal: true, isDemo: true, timezone: true } },
    },
  });
  const here = memberships.find(({ organisation }) => organisation.slug === slug);
  if (!here) return undefined;
  const orgId = here.organisation.id;
  const [approvalsWaiting, freeze, key, event, budget, members] = await Promise.all([
    prisma.action.count({ where: { orgId, status: "pending" } }),
    prisma.freeze.findFirst({
      where: { orgId, entityType: "org", liftedAt: null },
      select: { id: true, reason: true, createdAt: true },
    }),
    prisma.apiKey.findFirst({ where: { orgId }, select: { id: true } }),
    prisma.costEvent.findFirst({ where: { orgId }, select: { id: true } }),
    prisma.budget.findFirst({ where: { orgId }, select: { id: true } }),
    prisma.membership.count({ where: { orgId } }),
  ]);
  const { emailVerified, ...user } = here.user;
  return {
    user: { ...user, emailVerified: emailVerified !== null },
    organisations: memberships
      .map(({ role, organisation: { id, name, slug: slugOf, isPersonal, isDemo } }) => ({
        id,
        name,
        slug: slugOf,
        isPersonal,
        isDemo,
        role,
      }))
      .sort((one, other) => Number(other.isPersonal) - Number(one.isPersonal) || one.name.localeCompare(other.name, "en")),
    org: { ...here.organisation, role: here.role },
    approvalsWaiting,
    freeze,
    started: { key: key !== null, request: event !== null, budget: budget !== null, teammate: members > 1 },
  };
}
