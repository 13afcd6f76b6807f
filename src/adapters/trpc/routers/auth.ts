import { z } from "zod";
import { SignUpInput } from "@/server/account";
import { publicProcedure, router, userProcedure } from "../init";

/** What mailed links and forms do around signing in, which itself is next-auth's. */
export const authRouter = router({
  /** Which ways in there are. */
  ways: publicProcedure.query(({ ctx: { runtime } }) => ({
    github: runtime.env.signIn.github !== undefined,
    google: runtime.env.signIn.google !== undefined,
    isInviteOnly: runtime.env.signup === "invite",
    hasMailbox: runtime.env.mail.delivery.via === "mailbox",
  })),
  signUp: publicProcedure.input(SignUpInput).mutation(({ ctx, input }) => ctx.runtime.accounts.signUp({ ip: ctx.ip }, input)),
  /** The same answer whether or not there is such an account. */
  requestPasswordReset: publicProcedure.input(z.strictObject({ email: z.string().max(320) })).mutation(async ({ ctx, input }) => {
    await ctx.runtime.accounts.requestPasswordReset({ ip: ctx.ip }, input.email);
    return {};
  }),
  resetPassword: publicProcedure
    .input(z.strictObject({ token: z.string().max(200), password: z.string().max(1_000) }))
    .mutation(async ({ ctx, input }) => ({ done: await ctx.runtime.accounts.resetPassword({ ip: ctx.ip }, input) })),
  verifyEmail: userProcedure
    .input(z.strictObject({ token: z.string().max(200) }))
    .mutation(async ({ ctx, input }) => ({ done: await ctx.runtime.accounts.verifyEmail(ctx.user.userId, input.token) })),
});
