import { getSession, GetSessionInput, listSessions, ListSessionsInput } from "@/server/events";
import { orgProcedure, paged, router } from "../init";

export const sessionsRouter = router({
  list: orgProcedure.input(paged(ListSessionsInput)).query(({ ctx, input }) => listSessions({ ctx: ctx.verb, input })),
  get: orgProcedure.input(GetSessionInput).query(({ ctx, input }) => getSession({ ctx: ctx.verb, input })),
});
