import { takeToken } from "./account-token";
import { mailVerification, type AccountCtx } from "./sign-up";

/**
 * Proves an address by its mailed link, for who is signed in to its account: reading the mail alone would make a stranger's sign-up
 * with that address a proven account, whose password the stranger knows. False: the link is no longer good, or of another account.
 */
export async function verifyEmail({ ctx, userId, token }: { ctx: AccountCtx; userId: string; token: string }): Promise<boolean> {
  return ctx.prisma.$transaction(async (tx) => {
    const taken = await takeToken(tx, { clock: ctx.clock, token, purpose: "verify_email", userId });
    if (!taken) return false;
    await tx.user.updateMany({ where: { id: userId, emailVerified: null }, data: { emailVerified: new Date(ctx.clock.now()) } });
    return true;
  });
}

/** Mails the link again to who is signed in. Nothing happens where the address is proven. */
export async function resendVerification({ ctx, userId }: { ctx: AccountCtx; userId: string }): Promise<void> {
  await ctx.prisma.$transaction(async (tx) => {
    const user = await tx.user.findUnique({ where: { id: userId }, select: { id: true, email: true, emailVerified: true } });
    if (user?.email == null || user.emailVerified) return;
    await mailVerification(tx, { ctx, user: { id: user.id, email: user.email } });
  });
}
