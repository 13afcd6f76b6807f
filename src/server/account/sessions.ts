import { randomBytes } from "node:crypto";
import type { PrismaClient } from "@/generated/prisma/client";
import type { Clock } from "@/lib/clock";
import { ServiceError } from "@/lib/errors";

/** Days without a visit until a browser has to sign in again. */
const LIFE_MS = 30 * 86_400_000;
const SEEN_EVERY_MS = 60_000;

type SessionCtx = { prisma: PrismaClient; clock: Clock };

/** Who is signed in, as the database says now. */
export type LiveSession = { sessionId: string; userId: string; email: string; name: string | null; emailVerified: boolean };

/** A browser signs in: a new row, whatever cookie it brought. @returns its id, which the cookie carries. */
export async function createSession(
  { prisma, clock }: SessionCtx,
  { userId, ip, userAgent }: { userId: string; ip: string | null; userAgent: string | null },
): Promise<string> {
  const now = clock.now();
  const { id } = await prisma.session.create({
    data: {
      userId,
      // The cookie is signed and names the row by its id; this column is next-auth's own way, which is not used.
      sessionToken: randomBytes(32).toString("base64url"),
      expires: new Date(now + LIFE_MS),
      ip,
      userAgent: userAgent?.slice(0, 400) ?? null,
    },
    select: { id: true },
  });
  return id;
}

/** Undefined once the row is gone: signing out, anywhere, works at the next request. */
export async function findLiveSession({ prisma, clock }: SessionCtx, sessionId: string): Promise<LiveSession | undefined> {
  const now = clock.now();
  const row = await prisma.session.findUnique({
    where: { id: sessionId },
    select: { id: true, userId: true, expires: true, lastSeenAt: true, user: { select: { email: true, name: true, emailVerified: true } } },
  });
  if (!row || row.expires.getTime() <= now) return undefined;
  if (now - row.lastSeenAt.getTime() > SEEN_EVERY_MS) {
    await prisma.session.updateMany({ where: { id: row.id }, data: { lastSeenAt: new Date(now), expires: new Date(now + LIFE_MS) } });
  }
  const { email, name, emailVerified } = row.user;
  return { sessionId: row.id, userId: row.userId, email: email ?? "", name, emailVerified: emailVerified !== null };
}

export type SessionRecord = {
  id: string;
  createdAt: string;
  lastSeenAt: string;
  ip: string | null;
  userAgent: string | null;
  isCurrent: boolean;
};

/** Last seen first. */
export async function listSessions(
  { prisma, clock }: SessionCtx,
  { userId, sessionId }: { userId: string; sessionId: string },
): Promise<SessionRecord[]> {
  const rows = await prisma.session.findMany({
    where: { userId, expires: { gt: new Date(clock.now()) } },
    orderBy: { lastSeenAt: "desc" },
    take: 100,
    select: { id: true, createdAt: true, lastSeenAt: true, ip: true, userAgent: true },
  });
  return rows.map(({ createdAt, lastSeenAt, ...row }) => ({
    ...row,
    createdAt: createdAt.toISOString(),
    lastSeenAt: lastSeenAt.toISOString(),
    isCurrent: row.id === sessionId,
  }));
}

export async function revokeSession(
  { prisma }: Pick<SessionCtx, "prisma">,
  { userId, sessionId }: { userId: string; sessionId: string },
): Promise<void> {
  const { count } = await prisma.session.deleteMany({ where: { id: sessionId, userId } });
  if (count === 0) throw new ServiceError("not_found", "There is no such session.");
}

/** @returns the ids of the sessions that ended. */
export async function signOutEverywhere(
  { prisma }: Pick<SessionCtx, "prisma">,
  { userId, except }: { userId: string; except?: string },
): Promise<string[]> {
  const rows = await prisma.session.findMany({
    where: { userId, ...(except !== undefined && { NOT: { id: except } }) },
    select: { id: true },
  });
  const ids = rows.map(({ id }) => id);
  await prisma.session.deleteMany({ where: { id: { in: ids }, userId } });
  return ids;
}
