import { z } from "zod";
import { publicId } from "@/lib/ids";
import { listAuditLog, type AuditRecord } from "@/server/audit";
import { queryInteger } from "../parse-input";
import { ok, route } from "../route";
import { cursorParam, idOf, pageOf, timestamp } from "../schemas";

const AuditEntry = z
  .object({
    id: idOf("audit"),
    actorType: z.enum(["user", "api_key", "system"]),
    actorId: z.string().nullable().meta({ description: "`ns_usr_…` or `ns_key_…`; null for `system`." }),
    action: z.string().meta({ examples: ["api_key.created"] }),
    resourceType: z.string(),
    resourceId: z.string(),
    before: z.record(z.string(), z.unknown()).nullable(),
    after: z.record(z.string(), z.unknown()).nullable(),
    ip: z.string().nullable(),
    createdAt: timestamp,
  })
  .meta({ id: "AuditEntry" });

export const auditLogRoutes = [
  route({
    method: "GET",
    path: "/api/audit-log",
    operationId: "listAuditLog",
    tag: "Audit",
    summary: "Who changed what, newest first",
    access: { key: ["read"], user: "admin" },
    query: z.strictObject({
      limit: queryInteger({ min: 1, max: 100 }).default(50),
      cursor: cursorParam,
      action: z.string().min(1).max(100).optional(),
    }),
    answers: [{ status: 200, description: "A page of changes.", schema: pageOf(AuditEntry) }],
    async handle({ ctx, query }) {
      const { data, cursor } = await listAuditLog({ ctx, input: query });
      return ok({ data: data.map(presentAuditEntry), cursor });
    },
  }),
];

export function presentAuditEntry({ id, actorType, actorId, before, after, createdAt, ...rest }: AuditRecord) {
  return {
    id: publicId("audit", id),
    actorType,
    actorId: actorId && publicId(actorType === "api_key" ? "key" : "user", actorId),
    ...rest,
    before,
    after,
    createdAt: createdAt.toISOString(),
  };
}
