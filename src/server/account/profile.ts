import { z } from "zod";
import type { PrismaClient } from "@/generated/prisma/client";
import { ServiceError } from "@/lib/errors";
import { parsed } from "@/server/budget";

/** What a person chose for themselves; stored as it is. */
export const Preferences = z.strictObject({
  timezone: z.string().max(64).nullable().optional(),
  singleKeyShortcuts: z.boolean().optional(),
  density: z.enum(["comfortable", "compact"]).optional(),
  dismissed: z.array(z.string().max(64)).max(50).optional(),
  lastOrgSlug: z.string().max(100).optional(),
});
export type Preferences = z.infer<typeof Preferences>;

export const UpdateProfileInput = z.strictObject({
  name: z
    .string()
    .trim()
    .min(1)
    .max(100)
    .refine((text) => !/\p{Cc}/u.test(text), "must be one line")
    .optional(),
  preferences: Preferences.optional(),
});

export type Profile = {
  id: string;
  email: string;
  name: string | null;
  emailVerified: boolean;
  hasPassword: boolean;
  preferences: Preferences;
  createdAt: string;
};

export async function getProfile({ prisma, userId }: { prisma: PrismaClient; userId: string }): Promise<Profile> {
  const row = await prisma.user.findUnique({
    where: { id: userId },
    select: { id: true, email: true, name: true, emailVerified: true, passwordHash: true, preferences: true, createdAt: true },
  });
  if (!row) throw new ServiceError("unauthorized", "Sign in to go on.");
  return {
    id: row.id,
    email: row.email ?? "",
    name: row.name,
    emailVerified: row.emailVerified !== null,
    hasPassword: row.passwordHash !== null,
    preferences: Preferences.catch({}).parse(row.preferences),
    createdAt: row.createdAt.toISOString(),
  };
}

/** Preferences that are sent replace those of the same name; the others stay. */
export async function updateProfile({
  prisma,
  userId,
  input,
}: {
  prisma: PrismaClient;
  userId: string;
  input: z.input<typeof UpdateProfileInput>;
}): Promise<Profile> {
  const { name, preferences } = parsed(UpdateProfileInput, input);
  const before = await getProfile({ prisma, userId });
  await prisma.user.update({
    where: { id: userId },
    data: { ...(name !== undefined && { name }), ...(preferences && { preferences: { ...before.preferences, ...preferences } }) },
    select: { id: true },
  });
  return getProfile({ prisma, userId });
}
