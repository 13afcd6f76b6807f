import { z } from "zod";
import { ServiceError } from "@/lib/errors";
import { afterPosition, decodeKeysetCursor, encodeKeysetCursor } from "@/lib/keyset-cursor";
import type { Prisma } from "@/generated/prisma/client";
import type { Ctx } from "@/server/context";
import { assertAllowed } from "@/server/access";

export const ListAuditLogInput = z.strictObject({
  limit: z.int().min(1).max(100).default(50),
  cursor: z.string().optional(),
  action: z.string().min(1).max(100).optional(),
});
export type ListAuditLogInput = z.infer<typeof ListAuditLogInput>;

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
    where: { orgId: ctx.principal.orgId, action: input.action, ...(position ? afterPosition(position) : {}) },
    orderBy: [{ createdAt: "desc" }, { id: "desc" }],
    take: input.limit + 1,
    select: SELECT,
  });
  const data = rows.slice(0, input.limit);
  const last = data.at(-1);
  return { data, cursor: rows.length > data.length && last ? encodeKeysetCursor(last) : null };
}
