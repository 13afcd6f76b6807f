import { presentAuditEntry } from "@/adapters/http/routes/audit-log";
import { listAuditLog, ListAuditLogInput, namesOfActors } from "@/server/audit";
import { orgProcedure, paged, router } from "../init";

export const auditRouter = router({
  list: orgProcedure.input(paged(ListAuditLogInput)).query(async ({ ctx, input }) => {
    const { data, cursor } = await listAuditLog({ ctx: ctx.verb, input });
    const names = await namesOfActors({ ctx: ctx.verb, records: data });
    return {
      data: data.map((record) => ({
        ...presentAuditEntry(record),
        /** Null for `system`, and for who is gone. */
        actorName: record.actorId === null ? null : (names.get(record.actorId) ?? null),
      })),
      cursor,
    };
  }),
});
