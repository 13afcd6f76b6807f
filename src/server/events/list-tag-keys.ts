import { z } from "zod";
import { assertAllowed } from "@/server/access";
import type { Ctx } from "@/server/context";

export const TagKeys = z.array(z.string()).meta({ id: "TagKeys", description: "Tag keys of the last 30 days, in order of their names." });

const TAG_KEYS_MAX = 200;
const SEEN_WITHIN_DAYS = 30;

/**
 * The tag keys that calls named lately. Hops through the roll-ups' index from one dimension to the next instead of reading every row
 * between, so that it costs as much as there are keys.
 */
export async function listTagKeys({ ctx }: { ctx: Ctx }): Promise<string[]> {
  assertAllowed(ctx.principal, { key: ["read"], user: "viewer" });
  const { orgId } = ctx.principal;
  const since = new Date(ctx.clock.now() - SEEN_WITHIN_DAYS * 86_400_000);
  const rows = await ctx.prisma.$queryRaw<{ dimension: string }[]>`
    WITH RECURSIVE dimensions AS (
      (SELECT dimension FROM cost_rollup WHERE org_id = ${orgId}::uuid ORDER BY dimension LIMIT 1)
      UNION ALL
      SELECT (
        SELECT following.dimension FROM cost_rollup AS following
        WHERE following.org_id = ${orgId}::uuid AND following.dimension > dimensions.dimension ORDER BY following.dimension LIMIT 1
      ) FROM dimensions WHERE dimensions.dimension IS NOT NULL
    )
    SELECT dimension FROM dimensions
    WHERE starts_with(dimension, 'tag:') AND EXISTS (
      SELECT FROM cost_rollup AS recent
      WHERE recent.org_id = ${orgId}::uuid AND recent.dimension = dimensions.dimension AND recent.hour >= ${since}::timestamptz
    )
    LIMIT ${TAG_KEYS_MAX}`;
  return rows.map(({ dimension }) => dimension.slice("tag:".length)).toSorted();
}
