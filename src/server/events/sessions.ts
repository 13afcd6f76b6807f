import { z } from "zod";
import type { CostSession, Prisma } from "@/generated/prisma/client";
import { ServiceError } from "@/lib/errors";
import { assertAllowed } from "@/server/access";
import type { Ctx } from "@/server/context";
import { decodeCursor, encodeCursor } from "./cursor";
import { GetSessionInput, ListSessionsInput } from "./input";
import { parsed } from "./parse-input";
import { microdollars, PublicCostEvent, toPublicCostEvent } from "./public-cost-event";
import { micros } from "./sums";

const timestamp = z.string().meta({ format: "date-time" });
const count = z.int();

export const SessionRow = z
  .object({
    sessionId: z.string(),
    eventCount: count,
    deniedCount: count,
    totalCostMicrodollars: microdollars,
    totalInputTokens: count,
    totalOutputTokens: count,
    totalDurationMs: count,
    firstEventAt: timestamp,
    lastEventAt: timestamp,
  })
  .meta({ id: "Session" });
export type SessionRow = z.infer<typeof SessionRow>;

/** Events of a session that are shown with it; the rest is in the list, filtered by session. */
const SESSION_EVENTS_MAX = 200;

export const SessionDetail = z
  .object({
    sessionId: z.string(),
    summary: z.object({
      eventCount: count,
      deniedCount: count,
      totalCostMicrodollars: microdollars,
      totalInputTokens: count,
      totalOutputTokens: count,
      totalDurationMs: count,
      startedAt: timestamp,
      endedAt: timestamp,
    }),
    events: z.array(PublicCostEvent).meta({ description: `The first ${SESSION_EVENTS_MAX}, oldest first.` }),
    hasMore: z.boolean(),
  })
  .meta({ id: "SessionDetail" });
export type SessionDetail = z.infer<typeof SessionDetail>;

const ACCESS = { key: ["read"], user: "viewer" } as const;

/** The session that was active last comes first, or the dearest. Of a range: those that were active in it last. */
export async function listSessions({
  ctx,
  input,
}: {
  ctx: Ctx;
  input: ListSessionsInput;
}): Promise<{ data: SessionRow[]; cursor: string | null }> {
  assertAllowed(ctx.principal, ACCESS);
  const { limit, cursor, sort, search, from, to } = parsed(ListSessionsInput, input);
  const lastEventAt = { ...(from !== undefined && { gte: new Date(from) }), ...(to !== undefined && { lt: new Date(to) }) };
  const rows = await ctx.prisma.costSession.findMany({
    where: {
      orgId: ctx.principal.orgId,
      AND: [
        { lastEventAt },
        ...(search === undefined ? [] : [{ sessionId: { contains: literally(search), mode: "insensitive" as const } }]),
        ...(cursor === undefined ? [] : [sort === "cost" ? afterCost(cursor) : afterTime(cursor)]),
      ],
    },
    orderBy: [sort === "cost" ? { costNano: "desc" } : { lastEventAt: "desc" }, { sessionId: "asc" }],
    take: limit + 1,
  });
  const page = rows.slice(0, limit);
  const last = page.at(-1);
  return { data: page.map(toSessionRow), cursor: rows.length > limit && last ? cursorAt(sort, last) : null };
}

/** Prisma hands on what LIKE reads as a pattern. */
const literally = (text: string): string => text.replaceAll(/[\\%_]/g, String.raw`\$&`);

function cursorAt(sort: "recent" | "cost", { costNano, lastEventAt, sessionId }: CostSession): string {
  if (sort === "cost") return encodeCursor("sessions-by-cost", [costNano.toString(), sessionId]);
  return encodeCursor("sessions", [lastEventAt.toISOString(), sessionId]);
}

/** By time and id, so that sessions of one millisecond are neither skipped nor repeated. */
function afterTime(cursor: string): Prisma.CostSessionWhereInput {
  const [time, sessionId] = decodeCursor("sessions", cursor);
  const lastEventAt = new Date(time);
  return { OR: [{ lastEventAt: { lt: lastEventAt } }, { lastEventAt, sessionId: { gt: sessionId } }] };
}

function afterCost(cursor: string): Prisma.CostSessionWhereInput {
  const [cost, sessionId] = decodeCursor("sessions-by-cost", cursor);
  const costNano = BigInt(cost);
  return { OR: [{ costNano: { lt: costNano } }, { costNano, sessionId: { gt: sessionId } }] };
}

export async function getSession({ ctx, input }: { ctx: Ctx; input: GetSessionInput }): Promise<SessionDetail> {
  assertAllowed(ctx.principal, ACCESS);
  const { orgId } = ctx.principal;
  const { sessionId } = parsed(GetSessionInput, input);
  const session = await ctx.prisma.costSession.findUnique({ where: { orgId_sessionId: { orgId, sessionId } } });
  if (!session) throw new ServiceError("not_found", "There is no such session.");
  const events = await ctx.prisma.costEvent.findMany({
    where: { orgId, sessionId },
    orderBy: { id: "asc" },
    take: SESSION_EVENTS_MAX + 1,
  });
  const { firstEventAt, lastEventAt, sessionId: id, ...summary } = toSessionRow(session);
  return {
    sessionId: id,
    summary: { ...summary, startedAt: firstEventAt, endedAt: lastEventAt },
    events: events.slice(0, SESSION_EVENTS_MAX).map(toPublicCostEvent),
    hasMore: events.length > SESSION_EVENTS_MAX,
  };
}

function toSessionRow(row: CostSession): SessionRow {
  return {
    sessionId: row.sessionId,
    eventCount: Number(row.calls),
    deniedCount: Number(row.deniedCalls),
    totalCostMicrodollars: micros(row.costNano),
    totalInputTokens: Number(row.inputTokens),
    totalOutputTokens: Number(row.outputTokens),
    totalDurationMs: Number(row.durationMs),
    firstEventAt: row.firstEventAt.toISOString(),
    lastEventAt: row.lastEventAt.toISOString(),
  };
}
