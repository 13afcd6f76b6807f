import type { Prisma } from "@/generated/prisma/client";
import { ServiceError } from "@/lib/errors";
import { parsePublicId } from "@/lib/ids";
import { assertAllowed } from "@/server/access";
import type { Ctx } from "@/server/context";
import { decodeCursor, encodeCursor } from "./cursor";
import { CostEventFilter as EventFilter, GetCostEventInput, ListCostEventsInput, type CostEventFilter } from "./input";
import { parsed } from "./parse-input";
import { toPublicCostEvent, type PublicCostEvent } from "./public-cost-event";

/** Newest first. A key that has `self` but not `read` sees its own events alone. */
export async function listCostEvents({
  ctx,
  input,
}: {
  ctx: Ctx;
  input: ListCostEventsInput;
}): Promise<{ data: PublicCostEvent[]; cursor: string | null }> {
  assertMayRead(ctx);
  const { limit, cursor, ...filter } = parsed(ListCostEventsInput, input);
  const where = cursor === undefined ? [] : [{ id: { lt: decodeCursor("cost-events", cursor) } }];
  const rows = await ctx.prisma.costEvent.findMany({
    where: { AND: [...conditionsOf(ctx, filter), ...where] },
    orderBy: { id: "desc" },
    take: limit + 1,
  });
  const page = rows.slice(0, limit);
  const last = page.at(-1);
  return { data: page.map(toPublicCostEvent), cursor: rows.length > limit && last ? encodeCursor("cost-events", last.id) : null };
}

/** An event that may not be seen, or is not settled yet, is as absent as one that never was. */
export async function getCostEvent({ ctx, input }: { ctx: Ctx; input: GetCostEventInput }): Promise<PublicCostEvent> {
  assertMayRead(ctx);
  const id = parsePublicId("event", parsed(GetCostEventInput, input).id);
  const row = await ctx.prisma.costEvent.findFirst({ where: { AND: [...conditionsOf(ctx, {}), { id: id! }] } });
  if (!row) throw new ServiceError("not_found", "There is no such cost event.");
  return toPublicCostEvent(row);
}

/** How many rows an export of this filter will have. Reads all of them: for a progress bar, not for a page. */
export async function countCostEvents({ ctx, input }: { ctx: Ctx; input: CostEventFilter }): Promise<{ count: number }> {
  assertMayRead(ctx);
  const filter = parsed(EventFilter, input);
  return { count: await ctx.prisma.costEvent.count({ where: { AND: conditionsOf(ctx, filter) } }) };
}

export function assertMayRead({ principal }: Ctx): void {
  assertAllowed(principal, { key: ["read", "self"], user: "viewer" });
}

/**
 * Ids are made from the clock at about the time an event is dated, and run ahead of it after the clock was set back. A range of times
 * is narrowed by ids first, this much wider, because they are what is indexed.
 */
const ID_SLACK_MS = 3_600_000;

/** Ids that events dated from `fromMs` on, or before `toMs`, can have. */
export const firstIdFrom = (fromMs: number): string => firstIdAt(fromMs - ID_SLACK_MS);
const firstIdAfter = (toMs: number): string => firstIdAt(toMs + ID_SLACK_MS);

/** What the caller may see and asks for. Always names the organisation. */
export function conditionsOf({ principal }: Ctx, filter: CostEventFilter): Prisma.CostEventWhereInput[] {
  const conditions: Prisma.CostEventWhereInput[] = [{ orgId: principal.orgId }];
  if (principal.type === "api_key" && !principal.scopes.has("read")) conditions.push({ apiKeyId: principal.keyId });
  const { from, to, tags, apiKeyId, userId, minCostMicrodollars, maxCostMicrodollars, ...equal } = filter;
  if (from !== undefined) conditions.push({ createdAt: { gte: new Date(from) }, id: { gte: firstIdFrom(Date.parse(from)) } });
  if (to !== undefined) conditions.push({ createdAt: { lt: new Date(to) }, id: { lt: firstIdAfter(Date.parse(to)) } });
  if (apiKeyId !== undefined) conditions.push({ apiKeyId: parsePublicId("key", apiKeyId)! });
  if (userId !== undefined) conditions.push({ userId: parsePublicId("user", userId)! });
  // What a bound says below a nanodollar no cost can tell.
  if (minCostMicrodollars !== undefined) conditions.push({ costNano: { gte: BigInt(Math.ceil(minCostMicrodollars * 1_000)) } });
  if (maxCostMicrodollars !== undefined) conditions.push({ costNano: { lte: BigInt(Math.floor(maxCostMicrodollars * 1_000)) } });
  for (const [key, value] of Object.entries(tags ?? {})) conditions.push({ tags: { path: [key], equals: value } });
  conditions.push(equal);
  return conditions;
}

/** The lowest UUIDv7 of a millisecond. Times outside what one can hold count as its ends. */
export function firstIdAt(ms: number): string {
  const time = Math.min(Math.max(Math.trunc(ms), 0), 2 ** 48 - 1)
    .toString(16)
    .padStart(12, "0");
  return `${time.slice(0, 8)}-${time.slice(8)}-7000-8000-000000000000`;
}
