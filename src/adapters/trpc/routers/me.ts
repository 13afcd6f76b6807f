import { z } from "zod";
import { ChangePasswordInput, UpdateProfileInput } from "@/server/account";
import { router, userProcedure } from "../init";

/** The person who is signed in, whatever organisation they look at. */
export const meRouter = router({
  profile: userProcedure.query(({ ctx: { runtime, user } }) => runtime.accounts.getProfile(user.userId)),
  update: userProcedure
    .input(UpdateProfileInput)
    .mutation(({ ctx: { runtime, user }, input }) => runtime.accounts.updateProfile(user.userId, input)),
  sessions: userProcedure.query(({ ctx: { runtime, user } }) => runtime.accounts.listSessions(user)),
  /** Signs out one of the person's browsers, also the one that asks. */
  revoke: userProcedure
    .input(z.strictObject({ sessionId: z.string().max(100) }))
    .mutation(async ({ ctx: { runtime, user }, input }) => {
      await runtime.accounts.revokeSession(user, input.sessionId);
      return { sessionId: input.sessionId };
    }),
  signOutEverywhere: userProcedure
    .input(z.strictObject({}))
    .mutation(async ({ ctx: { runtime, user } }) => ({ ended: await runtime.accounts.signOutEverywhere(user.userId) })),
  /** Ends all other sessions. */
  changePassword: userProcedure.input(ChangePasswordInput).mutation(async ({ ctx: { runtime, user }, input }) => {
    await runtime.accounts.changePassword(user, input);
    return { changed: true };
  }),
  resendVerification: userProcedure.input(z.strictObject({})).mutation(async ({ ctx: { runtime, user } }) => {
    await runtime.accounts.resendVerification(user.userId);
    return { email: user.email };
  }),
  /** `done` is false where the link is no longer good, or was mailed to another account. */
  verifyEmail: userProcedure
    .input(z.strictObject({ token: z.string().max(200) }))
    .mutation(async ({ ctx: { runtime, user }, input }) => ({
      done: await runtime.accounts.verifyEmail({ userId: user.userId, token: input.token }),
    })),
  /** `email` repeats the account's address. */
  deleteAccount: userProcedure
    .input(z.strictObject({ email: z.string().max(320) }))
    .mutation(async ({ ctx: { runtime, user }, input }) => {
      await runtime.accounts.deleteAccount({ userId: user.userId, email: input.email });
      return { deleted: true };
    }),
  /** The organisation to land in; null where the person belongs to none. */
  home: userProcedure.query(async ({ ctx: { runtime, user } }) => (await runtime.accounts.findHome(user.userId)) ?? null),
  /** Which of the person's organisations a mailed link is about; null where none is. */
  slugOf: userProcedure
    .input(z.strictObject({ kind: z.enum(["action", "budget"]), id: z.string().max(100) }))
    .query(async ({ ctx: { runtime, user }, input }) => (await runtime.accounts.findSlugOf(user.userId, input)) ?? null),
});
