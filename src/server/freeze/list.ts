import { afterPosition, decodeKeysetCursor, encodeKeysetCursor } from "@/lib/keyset-cursor";
import { assertAllowed } from "@/server/access";
import { invalid, parsed } from "@/server/budget";
import type { Ctx } from "@/server/context";
import { ListFreezesInput } from "./input";
import { FREEZE_SELECT, toPublicFreeze, type PublicFreeze } from "./public-freeze";

/** Newest first; those in force unless lifted ones are asked for. A key with `self` but not `read` sees what refuses its own calls. */
export async function listFreezes({
  ctx,
  input,
}: {
  ctx: Ctx;
  input: ListFreezesInput;
}): Promise<{ data: PublicFreeze[]; cursor: string | null }> {
  assertAllowed(ctx.principal, { key: ["read", "self"], user: "viewer" });
  const { limit, cursor, includeLifted } = parsed(ListFreezesInput, input);
  const position = cursor === undefined ? undefined : decodeKeysetCursor(cursor);
  if (cursor !== undefined && !position) throw invalid({ path: "cursor", message: "is not one of ours" });
  const rows = await ctx.prisma.freeze.findMany({
    where: {
      AND: [
        { orgId: ctx.principal.orgId },
        includeLifted ? {} : { liftedAt: null },
        concerning(ctx),
        position ? afterPosition(position) : {},
      ],
    },
    orderBy: [{ createdAt: "desc" }, { id: "desc" }],
    take: limit + 1,
    select: FREEZE_SELECT,
  });
  const page = rows.slice(0, limit);
  const last = page.at(-1);
  return { data: page.map(toPublicFreeze), cursor: rows.length > page.length && last ? encodeKeysetCursor(last) : null };
}

function concerning({ principal }: Ctx) {
  if (principal.type !== "api_key" || principal.scopes.has("read")) return {};
  return { OR: [{ entityType: "org" }, { entityType: "api_key", entityId: principal.keyId }] };
}
