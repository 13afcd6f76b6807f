import { z } from "zod";
import { ServiceError } from "@/lib/errors";
import { parsePublicId } from "@/lib/ids";
import { afterPosition, decodeKeysetCursor, encodeKeysetCursor } from "@/lib/keyset-cursor";
import type { Prisma } from "@/generated/prisma/client";
import type { Ctx } from "@/server/context";
import { assertAllowed } from "@/server/access";

export const ListAuditLogInput = z.strictObject({
  limit: z.int().min(1).max(100).default(50),
  cursor: z.string().optional(),
  /** `budget.updated`, or all of a kind: `budget.` */
  action: z.string().min(1).max(100).optional(),
  /** Who did it: `ns_usr_…`, `ns_key_…` or `system`. */
  actor: z
    .string()
    .max(100)
    .refine((text) => actorOf(text) !== undefined, "must be ns_usr_ or ns_key_ and a UUID, or system")
    .optional(),
  /** `budget`, `api_key` … */
  resourceType: z.string().min(1).max(100).optional(),
  resourceId: z.string().min(1).max(300).optional(),
  /** Not before this moment. */
  from: z.iso.datetime({ offset: true }).optional(),
  /** Before this moment. */
  to: z.iso.datetime({ offset: true }).optional(),
});
export type ListAuditLogInput = z.infer<typeof ListAuditLogInput>;

/** A public id of an actor → as the log stores it. */
function actorOf(text: string): Pick<Prisma.AuditLogWhereInput, "actorType" | "actorId"> | undefined {
  if (text === "system") return { actorType: "system" };
  const userId = parsePublicId("user", text);
  if (userId !== undefined) return { actorType: "user", actorId: userId };
  const keyId = parsePublicId("key", text);
  return keyId === undefined ? undefined : { actorType: "api_key", actorId: keyId };
}

const SELECT = {
  id: true,
  actorType: true,
  actorId: true,
  action: true,
  resourceType: true,
  resourceId: true,
  before: true,
  after: true,
  ip: true,
  createdAt: true,
} as const satisfies Prisma.AuditLogSelect;

export type AuditRecord = Prisma.AuditLogGetPayload<{ select: typeof SELECT }>;

/** Newest first. For admins, and for keys an admin gave `read`. */
export async function listAuditLog({
  ctx,
  input,
}: {
  ctx: Ctx;
  input: ListAuditLogInput;
}): Promise<{ data: AuditRecord[]; cursor: string | null }> {
  assertAllowed(ctx.principal, { key: ["read"], user: "admin" });
  const position = input.cursor === undefined ? undefined : decodeKeysetCursor(input.cursor);
  if (input.cursor !== undefined && !position) throw new ServiceError("bad_request", "This cursor is not one of ours.");
  const rows = await ctx.prisma.auditLog.findMany({
    where: {
      orgId: ctx.principal.orgId,
      ...(input.action === undefined ? {} : { action: input.action.endsWith(".") ? { startsWith: input.action } : input.action }),
      ...(input.actor === undefined ? {} : actorOf(input.actor)),
      ...(input.resourceType === undefined ? {} : { resourceType: input.resourceType }),
      ...(input.resourceId === undefined ? {} : { resourceId: input.resourceId }),
      ...(input.from === undefined && input.to === undefined
        ? {}
        : {
            createdAt: {
              ...(input.from === undefined ? {} : { gte: new Date(input.from) }),
              ...(input.to === undefined ? {} : { lt: new Date(input.to) }),
            },
          }),
      // In a list of its own: the range of time above has the same column.
      ...(position ? { AND: [afterPosition(position)] } : {}),
    },
    orderBy: [{ createdAt: "desc" }, { id: "desc" }],
    take: input.limit + 1,
    select: SELECT,
  });
  const data = rows.slice(0, input.limit);
  const last = data.at(-1);
  return { data, cursor: rows.length > data.length && last ? encodeKeysetCursor(last) : null };
}
