// Next alone imports this: in plain Node the providers are objects, not functions (src/adapters/auth/README.md).
import { PrismaAdapter } from "@next-auth/prisma-adapter";
import type { NextAuthOptions } from "next-auth";
import type { Adapter, AdapterUser } from "next-auth/adapters";
import { decode, encode } from "next-auth/jwt";
import CredentialsProvider from "next-auth/providers/credentials";
import EmailProvider from "next-auth/providers/email";
import GitHubProvider from "next-auth/providers/github";
import GoogleProvider from "next-auth/providers/google";
import { getRuntime } from "@/adapters/runtime";
import { safeCallback } from "./safe-callback";
import { sessionCookie } from "./cookies";
import { SESSION_MAX_AGE_S, tokenOf } from "./session-token";

/** A link in a mail is good for so long (ASVS 6.5.5). */
const LINK_MINUTES = 10;

export type AuthRequest = { ip: string | null; userAgent: string | null };

/** A function, not a constant: route modules are evaluated while the pages are built, when there is no runtime. */
export function authOptions(request: AuthRequest): NextAuthOptions {
  const { prisma, accounts, env, log, secrets } = getRuntime();
  const origin = process.env.NEXTAUTH_URL ?? `http://localhost:${env.port}`;
  const base = PrismaAdapter(prisma as never) as Adapter;
  return {
    secret: secrets.nextAuthSecret,
    adapter: {
      ...base,
      // With a personal organisation, and only where the address may sign up.
      async createUser(user: Omit<AdapterUser, "id">) {
        const { email, name = null, emailVerified } = user;
        const created = await accounts.createUser({ email: email.toLowerCase(), name, emailVerified });
        return { ...user, ...created, emailVerified };
      },
      async updateUser(user: Partial<AdapterUser> & Pick<AdapterUser, "id">) {
        // Somebody may have signed up with an address that is not theirs: the first proof of it ends what they could do.
        if (user.emailVerified) await accounts.dropUnproven(user.id);
        return base.updateUser!(user);
      },
    },
    session: { strategy: "jwt", maxAge: SESSION_MAX_AGE_S },
    jwt: {
      encode,
      // Asked before anything looks at the cookie: one whose session has ended names nobody, not even to link an account to.
      async decode(parameters) {
        const token = await decode(parameters);
        const named = tokenOf(token);
        return named && (await accounts.findLiveSession(named)) ? token : null;
      },
    },
    pages: { signIn: "/signin", verifyRequest: "/signin/check-mail", error: "/signin" },
    cookies: { sessionToken: sessionCookie(env.publicUrl) },
    providers: [
      CredentialsProvider({
        name: "Password",
        credentials: { email: { type: "email" }, password: { type: "password" } },
        async authorize(credentials) {
          const { email, password } = credentials ?? {};
          if (typeof email !== "string" || typeof password !== "string") return null;
          return (await accounts.authenticatePassword({ ip: request.ip }, { email, password })) ?? null;
        },
      }),
      EmailProvider({
        from: "unused",
        maxAge: LINK_MINUTES * 60,
        normalizeIdentifier: (identifier) => identifier.trim().toLowerCase(),
        async sendVerificationRequest({ identifier, url }) {
          // Through a page with a button: what fetches links in mails would use it up, and be signed in.
          const link = new URL(url);
          const page = new URL("/signin/link", origin);
          for (const name of ["token", "email", "callbackUrl"]) page.searchParams.set(name, link.searchParams.get(name) ?? "");
          await accounts.mailSignInLink({ email: identifier, url: page.href, expiresInMinutes: LINK_MINUTES });
        },
      }),
      ...(env.signIn.github ? [GitHubProvider({ ...env.signIn.github })] : []),
      ...(env.signIn.google ? [GoogleProvider({ ...env.signIn.google })] : []),
    ],
    callbacks: {
      signIn({ account, profile }) {
        // An address that the provider has not proven is somebody's claim.
        return account?.provider !== "google" || (profile as { email_verified?: boolean } | undefined)?.email_verified === true;
      },
      async jwt({ token, user }) {
        if (user) {
          const sid = await accounts.startSession(user.id, request);
          return { sub: user.id, sid };
        }
        const named = tokenOf(token);
        if (!named || !(await accounts.findLiveSession(named))) throw new Error("SESSION_ENDED");
        return token;
      },
      async session({ session, token }) {
        const named = tokenOf(token);
        const live = named && (await accounts.findLiveSession(named));
        session.user = { name: live?.name ?? null, email: live?.email ?? null };
        return session;
      },
      redirect: ({ url }) => new URL(safeCallback(url, origin), origin).href,
    },
    events: {
      async signOut({ token }) {
        const named = tokenOf(token);
        if (named) await accounts.endSession(named);
      },
    },
    logger: {
      error(code, metadata) {
        // Somebody came with the cookie of a session that has ended: an answer, not a fault.
        if (code === "JWT_SESSION_ERROR") return;
        log.warn({ err: metadata instanceof Error ? metadata : metadata.error, component: `next-auth ${code}` }, "sign-in failed");
      },
      warn() {},
      debug() {},
    },
  };
}
