import { z } from "zod";
import { ServiceError } from "@/lib/errors";
import { ChangePasswordInput, type LiveSession, UpdateProfileInput } from "@/server/account";
import type { TrpcContext } from "../context";
import { router, userProcedure } from "../init";

/** The session that asks, with what its row says now. */
async function liveSession({
  runtime,
  user,
}: {
  runtime: TrpcContext["runtime"];
  user: NonNullable<TrpcContext["user"]>;
}): Promise<LiveSession> {
  const live = await runtime.accounts.findLiveSession(user);
  if (!live) throw new ServiceError("unauthorized", "Sign in to go on.");
  return live;
}

/** A person's own account. */
export const meRouter = router({
  profile: userProcedure.query(({ ctx }) => ctx.runtime.accounts.getProfile(ctx.user.userId)),
  updateProfile: userProcedure
    .input(UpdateProfileInput)
    .mutation(({ ctx, input }) => ctx.runtime.accounts.updateProfile(ctx.user.userId, input)),
  changePassword: userProcedure.input(ChangePasswordInput).mutation(async ({ ctx, input }) => {
    await ctx.runtime.accounts.changePassword(ctx.user, input);
    return {};
  }),
  resendVerification: userProcedure.mutation(async ({ ctx }) => {
    await ctx.runtime.accounts.resendVerification(ctx.user.userId);
    return {};
  }),
  sessions: userProcedure.query(async ({ ctx }) => ctx.runtime.accounts.listSessions(await liveSession(ctx))),
  revokeSession: userProcedure.input(z.strictObject({ sessionId: z.string().max(100) })).mutation(async ({ ctx, input }) => {
    await ctx.runtime.accounts.revokeSession(await liveSession(ctx), input.sessionId);
    return {};
  }),
  signOutEverywhere: userProcedure.mutation(async ({ ctx }) => ({
    ended: await ctx.runtime.accounts.signOutEverywhere(ctx.user.userId),
  })),
  deleteAccount: userProcedure.mutation(async ({ ctx }) => {
    await ctx.runtime.accounts.deleteAccount(ctx.user.userId);
    return {};
  }),
});
