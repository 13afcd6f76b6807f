import { getApiKey } from "@/server/api-key";
import type { Ctx } from "@/server/context";
import { budgetsOfKey } from "./budgets-of-key";
import { toPublicBudget, type PublicBudget } from "./public-budget";

/**
 * Every budget that calls of a key count against, closest to the wall first: of the organisation, of its owner, of itself, and of the
 * tags and customer that it brings. What single calls name beside that is not known before they come.
 * @param keyId bare.
 */
export async function listBudgetsOfKey({ ctx, keyId }: { ctx: Ctx; keyId: string }): Promise<PublicBudget[]> {
  const { id, userId, name, restrictions } = await getApiKey({ ctx, keyId });
  const rows = await budgetsOfKey(ctx, { keyId: id, userId, name, restrictions });
  return rows.toSorted((a, b) => Number(b.utilization - a.utilization)).map((row) => toPublicBudget(row, []));
}
