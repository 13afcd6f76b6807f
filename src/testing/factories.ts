import { createHash, randomBytes } from "node:crypto";
import type { PrismaClient } from "@/generated/prisma/client";
import type { Role } from "@/generated/prisma/enums";
import type { KeyRestrictions, Scope } from "@/server/api-key/identity";

export type TestOrganisation = { orgId: string; userId: string };
export type TestApiKey = { rawKey: string; keyId: string; keyName: string; hash: string; userId: string };

/** Unique names keep suites that share a database apart. */
const unique = (): string => randomBytes(6).toString("hex");

/** An organisation with its owner. */
export async function createOrganisation({
  prisma,
  timezone = "UTC",
}: {
  prisma: PrismaClient;
  timezone?: string;
}): Promise<TestOrganisation> {
  const slug = `org-${unique()}`;
  const { id: orgId } = await prisma.organisation.create({ data: { name: slug, slug, timezone }, select: { id: true } });
  const userId = await createMember({ prisma, orgId, role: "owner" });
  return { orgId, userId };
}

/** A new user with a verified address who belongs to the organisation. @returns the user's id. */
export async function createMember({ prisma, orgId, role }: { prisma: PrismaClient; orgId: string; role: Role }): Promise<string> {
  const email = `${role}-${unique()}@example.com`;
  const { id } = await prisma.user.create({
    data: { name: role, email, emailVerified: new Date(), memberships: { create: { orgId, role } } },
    select: { id: true },
  });
  return id;
}

type NewApiKey = {
  prisma: PrismaClient;
  /** Whose `userId` owns the key. */
  org: TestOrganisation;
  name?: string;
  scopes?: readonly Scope[];
  restrictions?: Partial<KeyRestrictions>;
  expiresAt?: Date;
};

/** A key as `POST /api/keys` makes it: the row, and the hash of its secret. */
export async function createApiKey({
  prisma,
  org,
  name = "test key",
  scopes = ["proxy", "ingest", "self"],
  restrictions = {},
  expiresAt,
}: NewApiKey): Promise<TestApiKey> {
  const rawKey = `ns_live_sk_${randomBytes(16).toString("hex")}`;
  const hash = createHash("sha256").update(rawKey).digest("hex");
  const { id: keyId } = await prisma.apiKey.create({
    data: {
      orgId: org.orgId,
      userId: org.userId,
      name,
      scopes: [...scopes],
      restrictions,
      expiresAt: expiresAt ?? null,
      secrets: { create: { hash, prefix: rawKey.slice(0, 19) } },
    },
    select: { id: true },
  });
  return { rawKey, keyId, keyName: name, hash, userId: org.userId };
}
