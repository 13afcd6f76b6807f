import type { Prisma } from "@/generated/prisma/client";
import { nanoToMicrodollars, nanoUsd } from "@/lib/money";

export const ORGANISATION_SELECT = {
  id: true,
  name: true,
  slug: true,
  isPersonal: true,
  isDemo: true,
  timezone: true,
  addStreamUsage: true,
  assumedServiceTier: true,
  upgradeUrl: true,
  linkLimitNano: true,
  createdAt: true,
  updatedAt: true,
} as const satisfies Prisma.OrganisationSelect;

type Row = Prisma.OrganisationGetPayload<{ select: typeof ORGANISATION_SELECT }>;

/** With its settings. The id is bare. */
export type OrganisationSettings = Omit<Row, "linkLimitNano"> & {
  /** Per approver and day; microdollars. */
  linkLimitMicrodollars: number;
};

export function toSettings({ linkLimitNano, ...row }: Row): OrganisationSettings {
  return { ...row, linkLimitMicrodollars: nanoToMicrodollars(nanoUsd(linkLimitNano)) };
}

/** What the audit log keeps: what people can change. */
export function auditOfOrganisation(row: Row): Prisma.InputJsonObject {
  const { name, slug, timezone, addStreamUsage, assumedServiceTier, upgradeUrl, linkLimitMicrodollars } = toSettings(row);
  return { name, slug, timezone, addStreamUsage, assumedServiceTier, upgradeUrl, linkLimitMicrodollars };
}
