import { z } from "zod";
import { NewPassword, SignUpInput } from "@/server/account";
import { publicProcedure, router } from "../init";

const Token = z.string().max(200);

/** For whoever is not signed in yet. Signing in itself is next-auth's, under `/api/auth`. */
export const authRouter = router({
  /** In which ways this instance lets people in. */
  ways: publicProcedure.query(({ ctx: { runtime, user } }) => ({
    github: runtime.env.signIn.github !== undefined,
    google: runtime.env.signIn.google !== undefined,
    signup: runtime.env.signup,
    /** Mail stays on this machine, where `/dev/mailbox` shows it. */
    hasMailbox: runtime.env.mail.delivery.via === "mailbox",
    isSignedIn: user !== undefined,
  })),
  signUp: publicProcedure.input(SignUpInput).mutation(async ({ ctx: { runtime, ip }, input }) => {
    const { email } = await runtime.accounts.signUp({ ip }, input);
    return { email };
  }),
  /** One answer whether there is such an account or not. */
  requestPasswordReset: publicProcedure
    .input(z.strictObject({ email: z.string().max(320) }))
    .mutation(async ({ ctx: { runtime, ip }, input }) => {
      await runtime.accounts.requestPasswordReset({ ip }, input.email);
      return { asked: true };
    }),
  /** `done` is false where the link is no longer good. */
  resetPassword: publicProcedure
    .input(z.strictObject({ token: Token, password: NewPassword }))
    .mutation(async ({ ctx: { runtime, ip }, input }) => ({ done: await runtime.accounts.resetPassword({ ip }, input) })),
});
