import { Prisma } from "@/generated/prisma/client";
import type { Ctx } from "@/server/context";
import { insertAction, type NewAction } from "./create";
import type { ApprovalDeps } from "./deps";
import { ACTION_SELECT, type ActionRow } from "./public-action";

export type Joined = { row: ActionRow; isNew: boolean };

const UNIQUE_VIOLATION = "P2002";

/** One pending action per join key, however many calls of however many processes ask at once: the first opens it, the others join. */
export async function openOrJoin({
  ctx,
  deps,
  orgId,
  action,
}: {
  ctx: Omit<Ctx, "principal">;
  deps: ApprovalDeps;
  orgId: string;
  action: NewAction;
}): Promise<Joined> {
  const pending = (): Promise<ActionRow | null> =>
    ctx.prisma.action.findFirst({
      where: { orgId, joinKey: action.joinKey, status: "pending", expiresAt: { gt: new Date(ctx.clock.now()) } },
      select: ACTION_SELECT,
    });
  const joined = await pending();
  if (joined) return { row: joined, isNew: false };
  try {
    const system: Ctx = { ...ctx, principal: { type: "system", orgId } };
    const row = await ctx.prisma.$transaction((tx) => insertAction(tx, { ctx: system, deps, action }));
    deps.onChange({ orgId, actionId: row.id, status: row.status, budgetId: row.budgetId });
    return { row, isNew: true };
  } catch (error) {
    // Another call, perhaps of another process, was first: the index lets one pending action be.
    const other = error instanceof Prisma.PrismaClientKnownRequestError && error.code === UNIQUE_VIOLATION ? await pending() : null;
    if (!other) throw error;
    return { row: other, isNew: false };
  }
}
