import { getSession, GetSessionInput, getSessionTimeline, listSessions, ListSessionsInput, SessionTimelineInput } from "@/server/events";
import { orgProcedure, paged, router } from "../init";

export const sessionsRouter = router({
  list: orgProcedure.input(paged(ListSessionsInput)).query(({ ctx, input }) => listSessions({ ctx: ctx.verb, input })),
  /** Oldest first, with what the session had cost after each event. */
  timeline: orgProcedure.input(paged(SessionTimelineInput)).query(({ ctx, input }) => getSessionTimeline({ ctx: ctx.verb, input })),
  get: orgProcedure.input(GetSessionInput).query(({ ctx, input }) => getSession({ ctx: ctx.verb, input })),
});
