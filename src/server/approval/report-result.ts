import type { Prisma } from "@/generated/prisma/client";
import { parsePublicId, publicId } from "@/lib/ids";
import { assertAllowed } from "@/server/access";
import { recordChange } from "@/server/audit";
import { parsed } from "@/server/budget";
import type { Ctx } from "@/server/context";
import { assertIsTheirs } from "./cancel";
import { assertCanFollow, lockAction } from "./change-action";
import type { ApprovalDeps } from "./deps";
import { noSuchAction } from "./find";
import { ActionResultInput } from "./input";
import { ACTION_SELECT, toPublicAction, type PublicAction } from "./public-action";

/**
 * The agent says that it carries an approved action out (`executing`), and then how it went. Saying `executing` first is what makes an
 * approval usable once: of two workers that try, one is told that the action is taken.
 */
export async function reportActionResult({
  ctx,
  actionId,
  input,
  deps,
}: {
  ctx: Ctx;
  actionId: string;
  input: ActionResultInput;
  deps: ApprovalDeps;
}): Promise<PublicAction> {
  assertAllowed(ctx.principal, { key: ["ingest"], user: "key_only" });
  const { status, result, errorMessage } = parsed(ActionResultInput, input);
  const id = parsePublicId("action", actionId);
  if (id === undefined) throw noSuchAction();
  const { orgId } = ctx.principal;
  const row = await ctx.prisma.$transaction(async (tx) => {
    const { row: before } = await lockAction(tx, { orgId, actionId: id });
    assertIsTheirs(ctx, before);
    assertCanFollow(before, status);
    const after = await tx.action.update({
      where: { id, orgId },
      data: {
        status,
        ...(status === "executing" ? {} : { executedAt: new Date(ctx.clock.now()) }),
        ...(result !== undefined && { result: result as Prisma.InputJsonObject }),
        ...(errorMessage !== undefined && { errorMessage }),
      },
      select: ACTION_SELECT,
    });
    await recordChange(tx, {
      ctx,
      action: `action.${status}`,
      resourceType: "action",
      resourceId: publicId("action", id),
      before: { status: before.status },
      after: { status },
    });
    return after;
  });
  deps.onChange({ orgId, actionId: id, status: row.status, budgetId: row.budgetId });
  return toPublicAction(row, deps.publicUrl);
}
