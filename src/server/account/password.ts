import { z } from "zod";
import { ServiceError } from "@/lib/errors";
import { hashPassword, verifyPassword } from "@/lib/password";
import { invalid, parsed } from "@/server/budget";
import { enqueueMail } from "@/server/notification";
import { issueToken, LIFE_MINUTES, takeToken } from "./account-token";
import { normaliseEmail } from "./email-address";
import { NewPassword, type AccountCtx } from "./sign-up";

/** Costs what verifying a right one costs, so that the time of an answer does not tell whether there is such an account. */
const NOBODYS_HASH = hashPassword("nobody has this password");

/** Who this is; undefined for a wrong password and an unknown address alike. */
export async function authenticatePassword({
  ctx,
  email: text,
  password,
}: {
  ctx: Pick<AccountCtx, "prisma">;
  email: string;
  password: string;
}): Promise<{ id: string; email: string; name: string | null } | undefined> {
  const email = normaliseEmail(text);
  const user =
    email === undefined
      ? null
      : await ctx.prisma.user.findUnique({ where: { email }, select: { id: true, email: true, name: true, passwordHash: true } });
  const isRight = await verifyPassword(password, user?.passwordHash ?? (await NOBODYS_HASH));
  return isRight && user?.passwordHash != null && user.email !== null ? { id: user.id, email: user.email, name: user.name } : undefined;
}

/** Mails a link where the address has an account. Says nothing of whether it has. */
export async function requestPasswordReset({ ctx, email: text }: { ctx: AccountCtx; email: string }): Promise<void> {
  const email = normaliseEmail(text);
  if (email === undefined) return;
  await ctx.prisma.$transaction(async (tx) => {
    const user = await tx.user.findUnique({ where: { email }, select: { id: true } });
    if (!user) return;
    const { token, hash } = await issueToken(tx, { clock: ctx.clock, user: { id: user.id, email }, purpose: "reset_password" });
    await enqueueMail(tx, {
      dedupeKey: `reset-password:${hash}`,
      to: email,
      template: "reset-password",
      props: { url: `${ctx.publicUrl}/reset-password?token=${token}`, expiresInMinutes: LIFE_MINUTES.reset_password },
    });
  });
}

/**
 * Sets a new password by a mailed link, which also proves the address, and ends every session.
 * @returns whose sessions ended; undefined: the link is no longer good.
 */
export async function resetPassword({
  ctx,
  token,
  password,
}: {
  ctx: AccountCtx;
  token: string;
  password: string;
}): Promise<{ userId: string } | undefined> {
  const passwordHash = await hashPassword(parsed(NewPassword, password));
  return ctx.prisma.$transaction(async (tx) => {
    const taken = await takeToken(tx, { clock: ctx.clock, token, purpose: "reset_password" });
    if (!taken) return undefined;
    const { userId, email } = taken;
    await tx.user.update({ where: { id: userId }, data: { passwordHash }, select: { id: true } });
    await tx.user.updateMany({ where: { id: userId, emailVerified: null }, data: { emailVerified: new Date(ctx.clock.now()) } });
    await tx.session.deleteMany({ where: { userId } });
    await tellChanged(tx, { ctx, email, dedupe: `${userId}:${ctx.clock.now()}` });
    return { userId };
  });
}

export const ChangePasswordInput = z.strictObject({ currentPassword: z.string().max(1_000).optional(), newPassword: NewPassword });

/** Needs the current one where there is one. Which sessions end with it is the caller's to say. */
export async function changePassword({
  ctx,
  userId,
  input,
}: {
  ctx: AccountCtx;
  userId: string;
  input: z.input<typeof ChangePasswordInput>;
}): Promise<void> {
  const { currentPassword, newPassword } = parsed(ChangePasswordInput, input);
  const user = await ctx.prisma.user.findUnique({ where: { id: userId }, select: { email: true, passwordHash: true } });
  if (!user) throw new ServiceError("unauthorized", "Sign in to go on.");
  if (user.passwordHash !== null && !(await verifyPassword(currentPassword ?? "", user.passwordHash))) {
    throw invalid({ path: "currentPassword", message: "is not your current password" });
  }
  const passwordHash = await hashPassword(newPassword);
  await ctx.prisma.$transaction(async (tx) => {
    await tx.user.update({ where: { id: userId }, data: { passwordHash }, select: { id: true } });
    if (user.email !== null) await tellChanged(tx, { ctx, email: user.email, dedupe: `${userId}:${ctx.clock.now()}` });
  });
}

async function tellChanged(
  tx: Parameters<typeof enqueueMail>[0],
  { ctx, email, dedupe }: { ctx: AccountCtx; email: string; dedupe: string },
): Promise<void> {
  await enqueueMail(tx, {
    dedupeKey: `password-changed:${dedupe}`,
    to: email,
    template: "password-changed",
    props: { url: `${ctx.publicUrl}/forgot-password` },
  });
}
