import type { Prisma } from "@/generated/prisma/client";
import { ServiceError } from "@/lib/errors";
import { parsePublicId } from "@/lib/ids";
import { afterPosition, decodeKeysetCursor, encodeKeysetCursor } from "@/lib/keyset-cursor";
import { assertAllowed } from "@/server/access";
import { invalid, parsed } from "@/server/budget";
import type { Ctx } from "@/server/context";
import { toPublicCostEvent, type PublicCostEvent } from "@/server/events";
import { ListActionsInput } from "./input";
import { ACTION_SELECT, toPublicAction, type ActionRow, type PublicAction } from "./public-action";

const READ = { key: ["read", "self"], user: "viewer" } as const;
const COSTS_MAX = 1_000;

/** Newest first. A key with `self` but not `read` sees what it proposed. */
export async function listActions({
  ctx,
  input,
  publicUrl,
}: {
  ctx: Ctx;
  input: ListActionsInput;
  publicUrl: string;
}): Promise<{ data: PublicAction[]; cursor: string | null }> {
  assertAllowed(ctx.principal, READ);
  const { limit, cursor, statuses, actionType, agentId } = parsed(ListActionsInput, input);
  const position = cursor === undefined ? undefined : decodeKeysetCursor(cursor);
  if (cursor !== undefined && !position) throw invalid({ path: "cursor", message: "is not one of ours" });
  const rows = await ctx.prisma.action.findMany({
    where: {
      AND: [
        visible(ctx),
        statuses === undefined ? {} : { status: { in: statuses } },
        actionType === undefined ? {} : { actionType },
        agentId === undefined ? {} : { agentId },
        position ? afterPosition(position) : {},
      ],
    },
    orderBy: [{ createdAt: "desc" }, { id: "desc" }],
    take: limit + 1,
    select: ACTION_SELECT,
  });
  const page = rows.slice(0, limit);
  const last = page.at(-1);
  return {
    data: page.map((row) => toPublicAction(row, publicUrl)),
    cursor: rows.length > page.length && last ? encodeKeysetCursor(last) : null,
  };
}

export async function getAction({ ctx, actionId, publicUrl }: { ctx: Ctx; actionId: string; publicUrl: string }): Promise<PublicAction> {
  return toPublicAction(await getActionRow({ ctx, actionId }), publicUrl);
}

/** An action that may not be seen is as absent as one that never was. */
export async function getActionRow({ ctx, actionId }: { ctx: Ctx; actionId: string }): Promise<ActionRow> {
  assertAllowed(ctx.principal, READ);
  const id = parsePublicId("action", actionId);
  const row =
    id === undefined ? null : await ctx.prisma.action.findFirst({ where: { AND: [visible(ctx), { id }] }, select: ACTION_SELECT });
  if (!row) throw noSuchAction();
  return row;
}

/** The cost events that name this action, oldest first, at most a thousand. */
export async function listActionCosts({ ctx, actionId }: { ctx: Ctx; actionId: string }): Promise<PublicCostEvent[]> {
  const { id, orgId } = await getActionRow({ ctx, actionId });
  const rows = await ctx.prisma.costEvent.findMany({ where: { orgId, actionId: id }, orderBy: { id: "asc" }, take: COSTS_MAX });
  return rows.map(toPublicCostEvent);
}

export const noSuchAction = (): ServiceError => new ServiceError("not_found", "There is no such action.");

function visible({ principal }: Ctx): Prisma.ActionWhereInput {
  if (principal.type !== "api_key" || principal.scopes.has("read")) return { orgId: principal.orgId };
  return { orgId: principal.orgId, apiKeyId: principal.keyId };
}
