import { z } from "zod";
import { Prisma } from "@/generated/prisma/client";
import { ServiceError } from "@/lib/errors";
import { parsePublicId } from "@/lib/ids";
import { assertAllowed } from "@/server/access";
import type { Ctx } from "@/server/context";
import { concerningKey, getKeyOfCaller } from "./budgets-of-key";
import { bareEntityId, ListBudgetsInput } from "./input";
import { invalid, parsed } from "./parse-input";
import { toPublicBudget, type PublicBudget } from "./public-budget";
import { readBudgets, type BudgetRow } from "./read-budgets";
import { canBeAvoided, readCallingKeys, warningsOf } from "./warnings";

const READ = { key: ["read", "self"], user: "viewer" } as const;

/** A key with `self` but not `read` sees what concerns it. */
export async function listBudgets({
  ctx,
  input,
}: {
  ctx: Ctx;
  input: ListBudgetsInput;
}): Promise<{ data: PublicBudget[]; cursor: string | null }> {
  assertAllowed(ctx.principal, READ);
  const { limit, cursor, sort, entityType, entityId } = parsed(ListBudgetsInput, input);
  const conditions = [await visible(ctx)];
  if (entityType !== undefined) conditions.push(Prisma.sql`"entityType" = ${entityType}`);
  if (entityId !== undefined) {
    const bareId = entityType === undefined ? undefined : bareEntityId(entityType, entityId);
    if (bareId === undefined) throw invalid({ path: "entityId", message: "needs an entityType that it belongs to" });
    conditions.push(Prisma.sql`"entityId" = ${bareId}`);
  }
  if (cursor !== undefined) conditions.push(afterCursor(sort, cursor));
  const rows = await readBudgets(ctx.prisma, {
    orgId: ctx.principal.orgId,
    where: Prisma.join(conditions, " AND "),
    orderBy: sort === "created" ? Prisma.sql`"createdAt" DESC, id DESC` : Prisma.sql`utilization DESC, id DESC`,
    limit: limit + 1,
  });
  const page = rows.slice(0, limit);
  const last = page.at(-1);
  return { data: await present(ctx, page), cursor: rows.length > page.length && last ? encodeCursor(sort, last) : null };
}

/** A budget that may not be seen is as absent as one that never was. */
export async function getBudget({ ctx, budgetId }: { ctx: Ctx; budgetId: string }): Promise<PublicBudget> {
  assertAllowed(ctx.principal, READ);
  const id = parsePublicId("budget", budgetId);
  if (id === undefined) throw noSuchBudget();
  const conditions = [await visible(ctx), Prisma.sql`id = ${id}::uuid`];
  const rows = await readBudgets(ctx.prisma, { orgId: ctx.principal.orgId, where: Prisma.join(conditions, " AND ") });
  const [budget] = await present(ctx, rows);
  if (!budget) throw noSuchBudget();
  return budget;
}

/** Who may change a budget is shown what became of it, also where it may not read the others. */
export const asReader = (ctx: Ctx): Ctx => ({ ...ctx, principal: { type: "system", orgId: ctx.principal.orgId } });

export const noSuchBudget = (): ServiceError => new ServiceError("not_found", "There is no such budget.");

async function visible(ctx: Ctx): Promise<ReturnType<typeof Prisma.sql>> {
  if (ctx.principal.type !== "api_key" || ctx.principal.scopes.has("read")) return Prisma.sql`TRUE`;
  return concerningKey(await getKeyOfCaller(ctx));
}

async function present({ prisma, principal }: Ctx, rows: readonly BudgetRow[]): Promise<PublicBudget[]> {
  const keys = rows.some(canBeAvoided) ? await readCallingKeys(prisma, principal.orgId) : [];
  return rows.map((row) => toPublicBudget(row, warningsOf(row, keys)));
}

// A cursor names a place, not a right: every query still names its organisation. Utilization moves while somebody turns pages; a
// budget that moved past the place is then seen twice or on the next look.

const Cursor = z.union([
  z.tuple([z.literal("created"), z.iso.datetime(), z.guid()]),
  z.tuple([z.literal("utilization"), z.string().regex(/^\d{1,18}$/), z.guid()]),
]);

function encodeCursor(sort: "created" | "utilization", { createdAt, utilization, id }: BudgetRow): string {
  const position = [sort, sort === "created" ? createdAt.toISOString() : utilization.toString(), id];
  return Buffer.from(JSON.stringify(position)).toString("base64url");
}

function afterCursor(sort: "created" | "utilization", cursor: string): ReturnType<typeof Prisma.sql> {
  const [of, value, id] = decodeCursor(cursor);
  if (of !== sort) throw invalid({ path: "cursor", message: "belongs to another sort" });
  return of === "created"
    ? Prisma.sql`("createdAt", id) < (${new Date(value)}::timestamptz, ${id}::uuid)`
    : Prisma.sql`(utilization, id) < (${BigInt(value)}::bigint, ${id}::uuid)`;
}

function decodeCursor(cursor: string): z.infer<typeof Cursor> {
  try {
    const result = Cursor.safeParse(JSON.parse(Buffer.from(cursor, "base64url").toString("utf8")));
    if (result.success) return result.data;
  } catch {
    // Told below, together with what is JSON and no cursor.
  }
  throw invalid({ path: "cursor", message: "is not one of ours" });
}
