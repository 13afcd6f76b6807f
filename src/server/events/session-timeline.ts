import { z } from "zod";
import { ServiceError } from "@/lib/errors";
import { assertAllowed } from "@/server/access";
import type { Ctx } from "@/server/context";
import { decodeCursor, encodeCursor } from "./cursor";
import { cursor, text } from "./input";
import { parsed } from "./parse-input";
import { microdollars, PublicCostEvent, toPublicCostEvent } from "./public-cost-event";
import { micros } from "./sums";

export const SessionTimelineInput = z.strictObject({
  sessionId: text(256),
  limit: z.int().min(1).max(200).default(100),
  cursor: cursor.optional(),
});
export type SessionTimelineInput = z.input<typeof SessionTimelineInput>;

export const SessionTimeline = z.object({
  data: z
    .array(
      z.object({
        event: PublicCostEvent,
        startOffsetMs: z.number().meta({ description: "Since the session's first event." }),
        cumulativeMicrodollars: microdollars.meta({ description: "Cost of the session up to and with this event." }),
      }),
    )
    .meta({ description: "Oldest first." }),
  cursor: z.string().nullable(),
});
export type SessionTimeline = z.infer<typeof SessionTimeline>;

/** A session's events in order, with what the session had cost after each. */
export async function getSessionTimeline({ ctx, input }: { ctx: Ctx; input: SessionTimelineInput }): Promise<SessionTimeline> {
  assertAllowed(ctx.principal, { key: ["read"], user: "viewer" });
  const { orgId } = ctx.principal;
  const { sessionId, limit, cursor: after } = parsed(SessionTimelineInput, input);
  const position = after === undefined ? undefined : decodeCursor("session-timeline", after);
  const session = await ctx.prisma.costSession.findUnique({
    where: { orgId_sessionId: { orgId, sessionId } },
    select: { firstEventAt: true },
  });
  if (!session) throw new ServiceError("not_found", "There is no such session.");
  const own = { orgId, sessionId };
  const [before, rows] = await Promise.all([
    position === undefined ? null : ctx.prisma.costEvent.aggregate({ where: { ...own, id: { lte: position } }, _sum: { costNano: true } }),
    ctx.prisma.costEvent.findMany({
      where: { ...own, ...(position !== undefined && { id: { gt: position } }) },
      orderBy: { id: "asc" },
      take: limit + 1,
    }),
  ]);
  let cumulative = before?._sum.costNano ?? 0n;
  const page = rows.slice(0, limit);
  const data = page.map((row) => {
    cumulative += row.costNano ?? 0n;
    return {
      event: toPublicCostEvent(row),
      startOffsetMs: row.createdAt.getTime() - session.firstEventAt.getTime(),
      cumulativeMicrodollars: micros(cumulative),
    };
  });
  const last = page.at(-1);
  return { data, cursor: rows.length > limit && last ? encodeCursor("session-timeline", last.id) : null };
}
