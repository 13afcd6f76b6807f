import { ServiceError } from "@/lib/errors";
import { afterPosition, decodeKeysetCursor, encodeKeysetCursor } from "@/lib/keyset-cursor";
import type { Ctx } from "@/server/context";
import { assertAllowed } from "@/server/access";
import type { ListApiKeysInput } from "./input";
import { API_KEY_SELECT, toApiKeyRecord, type ApiKeyRecord } from "./record";

/** Newest first. A key that has `self` but not `read` sees itself alone. */
export async function listApiKeys({
  ctx,
  input,
}: {
  ctx: Ctx;
  input: ListApiKeysInput;
}): Promise<{ data: ApiKeyRecord[]; cursor: string | null }> {
  assertAllowed(ctx.principal, { key: ["read", "self"], user: "viewer" });
  const position = input.cursor === undefined ? undefined : decodeKeysetCursor(input.cursor);
  if (input.cursor !== undefined && !position) throw new ServiceError("bad_request", "This cursor is not one of ours.");
  const rows = await ctx.prisma.apiKey.findMany({
    where: {
      orgId: ctx.principal.orgId,
      ...onlyItself(ctx),
      ...(input.includeRevoked ? {} : { revokedAt: null }),
      ...(position ? afterPosition(position) : {}),
    },
    orderBy: [{ createdAt: "desc" }, { id: "desc" }],
    take: input.limit + 1,
    select: API_KEY_SELECT,
  });
  const page = rows.slice(0, input.limit);
  const last = page.at(-1);
  return { data: page.map(toApiKeyRecord), cursor: rows.length > page.length && last ? encodeKeysetCursor(last) : null };
}

/** A key that may not be seen is as absent as one that never was. */
export async function getApiKey({ ctx, keyId }: { ctx: Ctx; keyId: string }): Promise<ApiKeyRecord> {
  assertAllowed(ctx.principal, { key: ["read", "self"], user: "viewer" });
  const row = await ctx.prisma.apiKey.findFirst({
    where: { AND: [{ id: keyId, orgId: ctx.principal.orgId }, onlyItself(ctx)] },
    select: API_KEY_SELECT,
  });
  if (!row) throw new ServiceError("not_found", "There is no such key.");
  return toApiKeyRecord(row);
}

function onlyItself({ principal }: Ctx): { id?: string } {
  return principal.type === "api_key" && !principal.scopes.has("read") ? { id: principal.keyId } : {};
}
