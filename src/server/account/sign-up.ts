import { z } from "zod";
import { isTimezone } from "@/lib/timezone";
import { Prisma, type PrismaClient } from "@/generated/prisma/client";
import type { Clock } from "@/lib/clock";
import { ServiceError } from "@/lib/errors";
import { hashPassword, PASSWORD_LENGTH_MAX } from "@/lib/password";
import { invalid, parsed } from "@/server/budget";
import { enqueueMail } from "@/server/notification";
import { createOrganisationWithOwner } from "@/server/org";
import { issueToken, LIFE_MINUTES } from "./account-token";
import { normaliseEmail } from "./email-address";

/** What verbs about accounts need; nobody may be signed in yet. */
export type AccountCtx = { prisma: PrismaClient; clock: Clock; ip: string | null; publicUrl: string; signup: "open" | "invite" };

/** Long rather than odd: length is what makes guessing hard (NIST SP 800-63B §3.1.1). */
export const PASSWORD_LENGTH_LEAST = 10;

export const NewPassword = z
  .string()
  .min(PASSWORD_LENGTH_LEAST, `must have at least ${PASSWORD_LENGTH_LEAST} characters`)
  .max(PASSWORD_LENGTH_MAX, `must have at most ${PASSWORD_LENGTH_MAX} characters`);

const name = z
  .string()
  .trim()
  .min(1, "must not be empty")
  .max(100, "must have at most 100 characters")
  .refine((text) => !/\p{Cc}/u.test(text), "must be one line");

export const SignUpInput = z.strictObject({
  email: z.string().max(320),
  password: NewPassword,
  name,
  /** The browser's, for the personal organisation. */
  timezone: z.string().max(64).optional(),
});
export type SignUpInput = z.input<typeof SignUpInput>;

/**
 * Makes an account with its personal organisation, and mails the link that proves the address.
 * @throws ServiceError `conflict` where the address has an account: signing up tells so anyway by what it does next.
 */
export async function signUp({ ctx, input }: { ctx: AccountCtx; input: SignUpInput }): Promise<{ userId: string; email: string }> {
  const { password, timezone, ...asked } = parsed(SignUpInput, input);
  const email = normaliseEmail(asked.email);
  if (email === undefined) throw invalid({ path: "email", message: "is not an e-mail address" });
  await assertMaySignUp(ctx, email);
  const passwordHash = await hashPassword(password);
  try {
    return await ctx.prisma.$transaction(async (tx) => {
      const user = await createUser(tx, { ctx, email, name: asked.name, passwordHash, emailVerified: null, timezone });
      await mailVerification(tx, { ctx, user });
      return { userId: user.id, email };
    });
  } catch (error) {
    if (error instanceof Prisma.PrismaClientKnownRequestError && error.code === "P2002") {
      throw new ServiceError("conflict", "There is an account with this address already. Sign in, or ask for a new password.");
    }
    throw error;
  }
}

/** Where sign-up is by invitation, the address must have one that is pending. */
export async function assertMaySignUp(
  { prisma, clock, signup }: Pick<AccountCtx, "prisma" | "clock" | "signup">,
  email: string,
): Promise<void> {
  if (signup === "open") return;
  const invitation = await prisma.invitation.findFirst({
    where: { email, acceptedAt: null, revokedAt: null, expiresAt: { gt: new Date(clock.now()) } },
    select: { id: true },
  });
  if (!invitation) throw new ServiceError("forbidden", "New accounts are by invitation here. Ask an admin of your organisation for one.");
}

/** A user with a personal organisation: nobody is ever without one. */
export async function createUser(
  tx: Prisma.TransactionClient,
  {
    ctx,
    timezone,
    ...columns
  }: {
    ctx: Pick<AccountCtx, "ip">;
    email: string;
    name: string | null;
    passwordHash: string | null;
    emailVerified: Date | null;
    timezone?: string | undefined;
  },
): Promise<{ id: string; email: string }> {
  const { id } = await tx.user.create({ data: columns, select: { id: true } });
  await createOrganisationWithOwner(tx, {
    name: personalName(columns.name, columns.email),
    userId: id,
    isPersonal: true,
    ip: ctx.ip,
    ...(timezone !== undefined && isTimezone(timezone) && { timezone }),
  });
  return { id, email: columns.email };
}

export async function mailVerification(
  tx: Prisma.TransactionClient,
  { ctx, user }: { ctx: Pick<AccountCtx, "clock" | "publicUrl">; user: { id: string; email: string } },
): Promise<void> {
  const { token, hash } = await issueToken(tx, { clock: ctx.clock, user, purpose: "verify_email" });
  await enqueueMail(tx, {
    dedupeKey: `verify-email:${hash}`,
    to: user.email,
    template: "verify-email",
    props: { url: `${ctx.publicUrl}/verify-email?token=${token}`, expiresInMinutes: LIFE_MINUTES.verify_email },
  });
}

function personalName(userName: string | null, email: string): string {
  return `${(userName ?? email.slice(0, email.indexOf("@"))).slice(0, 80)}'s workspace`;
}
