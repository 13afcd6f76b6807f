import type { z } from "zod";
import type { PrismaClient } from "@/generated/prisma/client";
import type { Clock } from "@/lib/clock";
import { ServiceError } from "@/lib/errors";
import type { Bus } from "@/server/bus";
import { enqueueMail } from "@/server/notification";
import { createAttemptLimits, type AttemptLimits } from "./attempt-limits";
import { deleteAccount } from "./delete-account";
import { normaliseEmail } from "./email-address";
import { authenticatePassword, changePassword, requestPasswordReset, resetPassword, type ChangePasswordInput } from "./password";
import { getProfile, updateProfile, type Profile, type UpdateProfileInput } from "./profile";
import {
  endSession,
  endSessionsOf,
  findLiveSession,
  type LiveSession,
  listSessions,
  revokeSession,
  type SessionRecord,
  signOutEverywhere,
  startSession,
  type Visitor as SessionVisitor,
} from "./sessions";
import { assertMaySignUp, createUser, signUp, type AccountCtx, type SignUpInput } from "./sign-up";
import { resendVerification, verifyEmail } from "./verify-email";

/** From where a request comes, as far as it matters before anybody knows who it is. */
export type Visitor = Pick<SessionVisitor, "ip">;

/** Everything a process does with accounts. Next's bundle has its own copies of modules, so it is handed this instead of importing verbs. */
export interface Accounts {
  signUp(visitor: Visitor, input: SignUpInput): Promise<{ userId: string; email: string }>;
  /** For sign-in providers, which have proven the address or not. */
  createUser(user: { email: string; name: string | null; emailVerified: Date | null }): Promise<{ id: string; email: string }>;
  verifyEmail(userId: string, token: string): Promise<boolean>;
  /** Before an address is proven for the first time by a mailed sign-in link: whoever set the password may be somebody else. */
  dropUnproven(userId: string): Promise<void>;
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
  /** A session of its own for every sign-in. @returns its id, which the cookie carries. */
  startSession(userId: string, visitor: SessionVisitor): Promise<string>;
  findLiveSession(named: { sessionId: string; userId: string }): Promise<LiveSession | undefined>;
  listSessions(who: LiveSession): Promise<SessionRecord[]>;
  /** One of the person's own. @throws ServiceError `not_found`. */
  revokeSession(who: LiveSession, sessionId: string): Promise<void>;
  /** Signing out. A session that has ended already is fine. */
  endSession(named: { sessionId: string; userId: string }): Promise<void>;
  /** @returns how many ended, this one included. */
  signOutEverywhere(userId: string): Promise<number>;
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
  /** Hears of sessions that ended, so that their sockets do. */
  bus: Pick<Bus, "publish">;
  limits?: AttemptLimits;
};

export function createAccounts({ prisma, clock, publicUrl, signup, bus, limits = createAttemptLimits() }: AccountsOptions): Accounts {
  const ctxFor = ({ ip }: Visitor): AccountCtx => ({ prisma, clock, ip, publicUrl, signup });
  const ctx = ctxFor({ ip: null });
  const sessions = { prisma, clock, bus };

  return {
    async signUp(visitor, input) {
      await limits.attempt("sign-up", visitor.ip, null);
      return signUp({ ctx: ctxFor(visitor), input });
    },
    async createUser(user) {
      await assertMaySignUp(ctx, user.email);
      return prisma.$transaction((tx) => createUser(tx, { ctx, ...user, passwordHash: null }));
    },
    verifyEmail: (userId, token) => verifyEmail({ ctx, userId, token }),
    async dropUnproven(userId) {
      const tell = await prisma.$transaction(async (tx) => {
        const { count } = await tx.user.updateMany({ where: { id: userId, emailVerified: null }, data: { passwordHash: null } });
        return count === 0 ? undefined : endSessionsOf(tx, { userId });
      });
      tell?.(bus);
    },
    async resendVerification(userId) {
      await limits.attempt("mail", null, userId);
      await resendVerification({ ctx, userId });
    },
    async authenticatePassword(visitor, input) {
      const identity = normaliseEmail(input.email) ?? "";
      // Counted before it is looked at: a hundred guesses at once are a hundred guesses.
      await limits.attempt("password", visitor.ip, identity);
      const user = await authenticatePassword({ ctx, ...input });
      if (user) await limits.giveBack("password", visitor.ip, identity);
      return user;
    },
    async requestPasswordReset(visitor, email) {
      await limits.attempt("mail", visitor.ip, normaliseEmail(email) ?? null);
      await requestPasswordReset({ ctx: ctxFor(visitor), email });
    },
    async resetPassword(visitor, input) {
      await limits.attempt("reset", visitor.ip, null);
      const done = await resetPassword({ ctx: ctxFor(visitor), ...input });
      if (done) bus.publish({ type: "session.ended", orgId: null, userId: done.userId, sessionId: null });
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
    startSession: (userId, visitor) => startSession(prisma, { userId, visitor, nowMs: clock.now() }),
    findLiveSession: (named) => findLiveSession(sessions, named),
    listSessions: (who) => listSessions(sessions, who),
    revokeSession: (who, sessionId) => revokeSession(sessions, who, { sessionId }),
    endSession: (named) => endSession(sessions, named),
    signOutEverywhere: (userId) => signOutEverywhere(sessions, { userId }),
    async changePassword({ userId, sessionId }, input) {
      await limits.attempt("password", null, userId);
      await changePassword({ ctx, userId, input });
      const tell = await prisma.$transaction((tx) => endSessionsOf(tx, { userId, exceptSessionId: sessionId }));
      tell(bus);
    },
    getProfile: (userId) => getProfile({ prisma, userId }),
    updateProfile: (userId, input) => updateProfile({ prisma, userId, input }),
    async deleteAccount(userId) {
      await deleteAccount({ prisma, userId, now: new Date(clock.now()) });
      bus.publish({ type: "session.ended", orgId: null, userId, sessionId: null });
    },
  };
}
