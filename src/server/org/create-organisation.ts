import { randomBytes } from "node:crypto";
import type { Prisma } from "@/generated/prisma/client";
import { publicId } from "@/lib/ids";
import { recordChange } from "@/server/audit";

const SLUG_LENGTH_MAX = 40;

/** Makes an organisation that belongs to a user. @returns its id. */
export async function createOrganisationWithOwner(
  tx: Prisma.TransactionClient,
  {
    name,
    userId,
    isPersonal,
    timezone = "UTC",
    slug = newSlug(name),
    ip,
  }: { name: string; userId: string; isPersonal: boolean; timezone?: string; slug?: string; ip: string | null },
): Promise<string> {
  const { id: orgId } = await tx.organisation.create({
    data: { name, slug, isPersonal, timezone, memberships: { create: { userId, role: "owner" } } },
    select: { id: true },
  });
  await recordChange(tx, {
    ctx: { principal: { type: "user", orgId, userId, role: "owner" }, ip },
    action: "org.created",
    resourceType: "org",
    resourceId: publicId("org", orgId),
    before: null,
    after: { name, isPersonal, timezone },
  });
  return orgId;
}

/** Readable and unique without asking: 32 random bits follow the name, and the column's unique index has the last word. */
function newSlug(name: string): string {
  const words = name
    .normalize("NFKD")
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .slice(0, SLUG_LENGTH_MAX)
    .replace(/^-+|-+$/g, "");
  return `${words || "org"}-${randomBytes(4).toString("hex")}`;
}
