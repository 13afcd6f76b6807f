import { presentAuditEntry } from "@/adapters/http/routes/audit-log";
import { listAuditLog, ListAuditLogInput } from "@/server/audit";
import { orgProcedure, paged, router } from "../init";

export const auditRouter = router({
  list: orgProcedure.input(paged(ListAuditLogInput)).query(async ({ ctx, input }) => {
    const { data, cursor } = await listAuditLog({ ctx: ctx.verb, input });
    return { data: data.map(presentAuditEntry), cursor };
  }),
});
