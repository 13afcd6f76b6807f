import type { PrismaClient } from "@/generated/prisma/client";
import type { Clock } from "@/lib/clock";
import { ServiceError } from "@/lib/errors";
import { enqueueMail } from "@/server/notification";
import { createAttemptLimits, type AttemptLimits } from "./attempt-limits";
import { deleteAccount } from "./delete-account";
import { normaliseEmail } from "./email-address";
import { authenticatePassword, changePassword, requestPasswordReset, resetPassword, type ChangePasswordInput } from "./password";
import { getProfile, updateProfile, type Profile, type UpdateProfileInput } from "./profile";
import {
  createSession,
  findLiveSession,
  listSessions,
  revokeSession,
  signOutEverywhere,
  type LiveSession,
  type SessionRecord,
} from "./sessions";
import { assertMaySignUp, createUser, signUp, type AccountCtx, type SignUpInput } from "./sign-up";
import { resendVerification, verifyEmail } from "./verify-email";
import type { z } from "zod";

/** A person's request, as far as it matters before anybody knows who it is. */
export type Visitor = { ip: string | null };

/** Everything a process does with accounts. Next's bundle has its own copies of modules, so it is handed this instead of importing verbs. */
export interface Accounts {
  signUp(visitor: Visitor, input: SignUpInput): Promise<{ userId: string; email: string }>;
  /** For sign-in providers, which have proven the address or not. */
  createUser(user: { email: string; name: string | null; emailVerified: Date | null }): Promise<{ id: string; email: string }>;
  verifyEmail(token: string): Promise<boolean>;
  resendVerification(userId: string): Promise<void>;
  /** Undefined for a wrong password and an unknown address alike. @throws ServiceError `rate_limited`. */
  authenticatePassword(
    visitor: Visitor,
    input: { email: string; password: string },
  ): Promise<{ id: string; email: string; name: string | null } | undefined>;
  requestPasswordReset(visitor: Visitor, email: string): Promise<void>;
  resetPassword(visitor: Visitor, input: { token: string; password: string }): Promise<boolean>;
  /** Mails a sign-in link. @throws ServiceError `rate_limited`, `forbidden` where the address may not sign up. */
  mailSignInLink(input: { email: string; url: string; expiresInMinutes: number }): Promise<void>;
  createSession(session: { userId: string; ip: string | null; userAgent: string | null }): Promise<string>;
  findLiveSession(sessionId: string): Promise<LiveSession | undefined>;
  listSessions(who: { userId: string; sessionId: string }): Promise<SessionRecord[]>;
  endSession(who: { userId: string; sessionId: string }): Promise<void>;
  endAllSessions(who: { userId: string; except?: string }): Promise<void>;
  changePassword(who: { userId: string; sessionId: string }, input: z.input<typeof ChangePasswordInput>): Promise<void>;
  getProfile(userId: string): Promise<Profile>;
  updateProfile(userId: string, input: z.input<typeof UpdateProfileInput>): Promise<Profile>;
  deleteAccount(userId: string): Promise<void>;
}

export type AccountsOptions = {
  prisma: PrismaClient;
  clock: Clock;
  publicUrl: string;
  signup: "open" | "invite";
  /** After the commit: sockets of these sessions end. `sessionId` null: all of this person's. */
  onSessionEnded(ended: { userId: string; sessionId: string | null }): void;
  limits?: AttemptLimits;
};

export function createAccounts({
  prisma,
  clock,
  publicUrl,
  signup,
  onSessionEnded,
  limits = createAttemptLimits(),
}: AccountsOptions): Accounts {
  const ctxFor = ({ ip }: Visitor): AccountCtx => ({ prisma, clock, ip, publicUrl, signup });
  const ctx = ctxFor({ ip: null });
  const sessions = { prisma, clock };

  return {
    async signUp(visitor, input) {
      await limits.attempt("sign-up", visitor.ip, null);
      return signUp({ ctx: ctxFor(visitor), input });
    },
    async createUser(user) {
      await assertMaySignUp(ctx, user.email);
      return prisma.$transaction((tx) => createUser(tx, { ctx, ...user, passwordHash: null }));
    },
    verifyEmail: (token) => verifyEmail({ ctx, token }),
    async resendVerification(userId) {
      await limits.attempt("mail", null, userId);
      await resendVerification({ ctx, userId });
    },
    async authenticatePassword(visitor, input) {
      const identity = normaliseEmail(input.email) ?? "";
      await limits.assertMayTry("password", visitor.ip, identity);
      const user = await authenticatePassword({ ctx, ...input });
      if (!user) await limits.failed("password", visitor.ip, identity);
      return user;
    },
    async requestPasswordReset(visitor, email) {
      await limits.attempt("mail", visitor.ip, normaliseEmail(email) ?? null);
      await requestPasswordReset({ ctx: ctxFor(visitor), email });
    },
    async resetPassword(visitor, input) {
      await limits.attempt("reset", visitor.ip, null);
      const done = await resetPassword({ ctx: ctxFor(visitor), ...input });
      if (done) onSessionEnded({ userId: done.userId, sessionId: null });
      return done !== undefined;
    },
    async mailSignInLink({ email, url, expiresInMinutes }) {
      const to = normaliseEmail(email);
      if (to === undefined) throw new ServiceError("bad_request", "This is not an e-mail address.");
      await limits.attempt("mail", null, to);
      const known = await prisma.user.findUnique({ where: { email: to }, select: { id: true } });
      if (!known) await assertMaySignUp(ctx, to);
      await enqueueMail(prisma, { dedupeKey: `sign-in-link:${url}`, to, template: "sign-in-link", props: { url, expiresInMinutes } });
    },
    createSession: (session) => createSession(sessions, session),
    findLiveSession: (sessionId) => findLiveSession(sessions, sessionId),
    listSessions: (who) => listSessions(sessions, who),
    async endSession(who) {
      await revokeSession(sessions, who);
      onSessionEnded(who);
    },
    async endAllSessions(who) {
      for (const sessionId of await signOutEverywhere(sessions, who)) onSessionEnded({ userId: who.userId, sessionId });
    },
    async changePassword({ userId, sessionId }, input) {
      await limits.attempt("password", null, userId);
      const before = await listSessions(sessions, { userId, sessionId });
      await changePassword({ ctx, userId, sessionId, input });
      for (const { id, isCurrent } of before) if (!isCurrent) onSessionEnded({ userId, sessionId: id });
    },
    getProfile: (userId) => getProfile({ prisma, userId }),
    updateProfile: (userId, input) => updateProfile({ prisma, userId, input }),
    async deleteAccount(userId) {
      await deleteAccount({ prisma, userId, now: new Date(clock.now()) });
      onSessionEnded({ userId, sessionId: null });
    },
  };
}
