import { ServiceError } from "@/lib/errors";
import { parsePublicId, publicId } from "@/lib/ids";
import { assertAllowed, hasRole } from "@/server/access";
import { recordChange } from "@/server/audit";
import type { Ctx } from "@/server/context";
import { assertIsPending, lockAction } from "./change-action";
import type { ApprovalDeps } from "./deps";
import { noSuchAction } from "./find";
import { ACTION_SELECT, toPublicAction, type ActionRow, type PublicAction } from "./public-action";

/** Whoever asked withdraws it: the key that proposed it, the person who did, or an admin. */
export async function cancelAction({ ctx, actionId, deps }: { ctx: Ctx; actionId: string; deps: ApprovalDeps }): Promise<PublicAction> {
  assertAllowed(ctx.principal, { key: ["ingest"], user: "member" });
  const id = parsePublicId("action", actionId);
  if (id === undefined) throw noSuchAction();
  const { orgId } = ctx.principal;
  const row = await ctx.prisma.$transaction(async (tx) => {
    const { row: before, isPastEnd } = await lockAction(tx, { orgId, actionId: id });
    assertIsTheirs(ctx, before);
    assertIsPending(before, isPastEnd);
    const cancelled = await tx.action.update({
      where: { id, orgId },
      data: { status: "cancelled", decidedAt: new Date(ctx.clock.now()) },
      select: ACTION_SELECT,
    });
    await recordChange(tx, {
      ctx,
      action: "action.cancelled",
      resourceType: "action",
      resourceId: publicId("action", id),
      before: { status: "pending" },
      after: { status: "cancelled" },
    });
    return cancelled;
  });
  deps.onChange({ orgId, actionId: id, status: row.status, budgetId: row.budgetId });
  return toPublicAction(row, deps.publicUrl);
}

/** A key acts on what it proposed itself; another key's action does not exist for it. */
export function assertIsTheirs({ principal }: Ctx, row: ActionRow): void {
  switch (principal.type) {
    case "api_key":
      if (row.apiKeyId !== principal.keyId) throw noSuchAction();
      return;
    case "user":
      if (row.requesterId === principal.userId || hasRole(principal.role, "admin")) return;
      throw new ServiceError("forbidden", "Only who asked for it, or an admin, can withdraw it.");
    case "system":
  }
}
