import { randomBytes } from "node:crypto";
import type { Prisma, PrismaClient } from "@/generated/prisma/client";
import type { Clock } from "@/lib/clock";
import { ServiceError } from "@/lib/errors";
import { isUuid } from "@/lib/ids";
import type { Bus } from "@/server/bus";

/** However busy, a session ends so long after signing in. */
export const SESSION_MS = 30 * 24 * 3_600_000;
/** One that nobody has used for so long ends too. */
export const SESSION_IDLE_MS = 14 * 24 * 3_600_000;
/** `lastSeenAt` is written at most so often: a page asks many things at once, and a row per question would be a write per read. */
const SEEN_EVERY_MS = 60_000;
const USER_AGENT_LENGTH_MAX = 512;

/** Who is signed in, as the session's row says now. */
export type LiveSession = {
  sessionId: string;
  userId: string;
  /** Empty for accounts of a provider that tells no address. */
  email: string;
  emailVerified: boolean;
  name: string | null;
};

/** From where somebody signs in, for the list of sessions. */
export type Visitor = { ip: string | null; userAgent: string | null };

export type SessionDeps = { prisma: PrismaClient; clock: Clock; bus: Pick<Bus, "publish"> };

/** Begins a session. Every sign-in has one of its own, so an id that somebody knew before is worth nothing after. @returns its id. */
export async function startSession(
  tx: Prisma.TransactionClient,
  { userId, visitor, nowMs }: { userId: string; visitor: Visitor; nowMs: number },
): Promise<string> {
  const now = new Date(nowMs);
  const { id } = await tx.session.create({
    data: {
      userId,
      // The cookie names the row; nothing is ever looked up by this. The column has to be unique.
      sessionToken: randomBytes(32).toString("hex"),
      expires: new Date(nowMs + SESSION_MS),
      createdAt: now,
      lastSeenAt: now,
      ip: visitor.ip,
      userAgent: visitor.userAgent?.slice(0, USER_AGENT_LENGTH_MAX) ?? null,
    },
    select: { id: true },
  });
  return id;
}

/** Asked on every request and every socket, so that ending a session works at once. */
export async function findLiveSession(
  { prisma, clock }: Omit<SessionDeps, "bus">,
  { sessionId, userId }: { sessionId: string; userId: string },
): Promise<LiveSession | undefined> {
  if (!isUuid(sessionId)) return undefined;
  const row = await prisma.session.findUnique({
    where: { id: sessionId },
    select: { userId: true, expires: true, lastSeenAt: true, user: { select: { email: true, emailVerified: true, name: true } } },
  });
  const nowMs = clock.now();
  if (!row || row.userId !== userId || row.expires.getTime() <= nowMs) return undefined;
  if (nowMs - row.lastSeenAt.getTime() > SESSION_IDLE_MS) return undefined;
  if (nowMs - row.lastSeenAt.getTime() >= SEEN_EVERY_MS) {
    // Of several requests at once one writes.
    await prisma.session.updateMany({ where: { id: sessionId, lastSeenAt: row.lastSeenAt }, data: { lastSeenAt: new Date(nowMs) } });
  }
  const { email, emailVerified, name } = row.user;
  return { sessionId, userId, email: email ?? "", emailVerified: emailVerified !== null, name };
}

export type SessionRecord = {
  id: string;
  /** The one that asks. */
  isCurrent: boolean;
  /** ISO 8601. */
  createdAt: string;
  lastSeenAt: string;
  expiresAt: string;
  ip: string | null;
  userAgent: string | null;
};

/** The person's own, the most recently used first. */
export async function listSessions({ prisma, clock }: Omit<SessionDeps, "bus">, who: LiveSession): Promise<SessionRecord[]> {
  const nowMs = clock.now();
  const rows = await prisma.session.findMany({
    where: { userId: who.userId, expires: { gt: new Date(nowMs) }, lastSeenAt: { gt: new Date(nowMs - SESSION_IDLE_MS) } },
    orderBy: { lastSeenAt: "desc" },
    take: 100,
    select: { id: true, createdAt: true, lastSeenAt: true, expires: true, ip: true, userAgent: true },
  });
  return rows.map(({ id, createdAt, lastSeenAt, expires, ip, userAgent }) => ({
    id,
    isCurrent: id === who.sessionId,
    createdAt: createdAt.toISOString(),
    lastSeenAt: lastSeenAt.toISOString(),
    expiresAt: expires.toISOString(),
    ip,
    userAgent,
  }));
}

/** Ends one of the person's own sessions, this one included. */
export async function revokeSession({ prisma, bus }: SessionDeps, who: LiveSession, { sessionId }: { sessionId: string }): Promise<void> {
  const { count } = isUuid(sessionId) ? await prisma.session.deleteMany({ where: { id: sessionId, userId: who.userId } }) : { count: 0 };
  if (count === 0) throw new ServiceError("not_found", "This session has ended already.");
  tellEnded(bus, who.userId, [sessionId]);
}

/** Ends all sessions of a user, but for one where it is named. Sockets hear of it after the transaction: call the answer then. */
export async function endSessionsOf(
  tx: Prisma.TransactionClient,
  { userId, exceptSessionId }: { userId: string; exceptSessionId?: string },
): Promise<(bus: Pick<Bus, "publish">) => number> {
  const where = { userId, ...(exceptSessionId !== undefined && { id: { not: exceptSessionId } }) };
  const rows = await tx.session.findMany({ where, select: { id: true } });
  const ids = rows.map(({ id }) => id);
  await tx.session.deleteMany({ where: { id: { in: ids } } });
  return (bus) => {
    tellEnded(bus, userId, ids);
    return ids.length;
  };
}

/** @returns how many sessions ended, this one included. */
export async function signOutEverywhere({ prisma, bus }: SessionDeps, { userId }: { userId: string }): Promise<number> {
  const tell = await prisma.$transaction((tx) => endSessionsOf(tx, { userId }));
  return tell(bus);
}

/** Signing out: the row goes, and with it what the cookie was worth. A session that has ended already is fine. */
export async function endSession(
  { prisma, bus }: SessionDeps,
  { sessionId, userId }: { sessionId: string; userId: string },
): Promise<void> {
  const { count } = await prisma.session.deleteMany({ where: { id: sessionId, userId } });
  if (count > 0) tellEnded(bus, userId, [sessionId]);
}

function tellEnded(bus: Pick<Bus, "publish">, userId: string, sessionIds: readonly string[]): void {
  for (const sessionId of sessionIds) bus.publish({ type: "session.ended", orgId: null, userId, sessionId });
}
