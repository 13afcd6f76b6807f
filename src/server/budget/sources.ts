import { z } from "zod";
import { nanoToMicrodollars, nanoUsd } from "@/lib/money";
import type { Ctx } from "@/server/context";
import { getBudget } from "./find";
import { parsePublicId } from "@/lib/ids";

const DAYS = 30;

export const BudgetSources = z
  .object({
    from: z.string().meta({ format: "date-time" }),
    to: z.string().meta({ format: "date-time" }),
    sources: z.array(
      z.object({
        source: z.enum(["proxy", "api", "mcp"]),
        totalCostMicrodollars: z.number().meta({ description: "What was charged to this budget." }),
        requestCount: z.int(),
      }),
    ),
  })
  .meta({ id: "BudgetSources" });
export type BudgetSources = z.infer<typeof BudgetSources>;

type SourceRow = { source: "proxy" | "api" | "mcp"; charged: bigint; calls: bigint };

/** Where the last thirty days' spend of a budget came from: exactly the events that were charged to it. */
export async function budgetSources({ ctx, budgetId }: { ctx: Ctx; budgetId: string }): Promise<BudgetSources> {
  const { id } = await getBudget({ ctx, budgetId });
  const to = new Date(ctx.clock.now());
  const from = new Date(to.getTime() - DAYS * 86_400_000);
  const { orgId } = ctx.principal;
  const rows = await ctx.prisma.$queryRaw<SourceRow[]>`
    SELECT e.source, sum(e.charged_nano)::bigint AS charged, count(*) AS calls
    FROM cost_event e
    WHERE e.org_id = ${orgId}::uuid AND e.id >= ${firstIdAt(from)}::uuid AND e.created_at >= ${from}
      AND e.balance_ids && ARRAY(
        SELECT b.id FROM budget_balance b
        WHERE b.org_id = ${orgId}::uuid AND b.budget_id = ${parsePublicId("budget", id)}::uuid AND b.session_id IS NULL)
    GROUP BY e.source ORDER BY charged DESC, e.source`;
  return {
    from: from.toISOString(),
    to: to.toISOString(),
    sources: rows.map(({ source, charged, calls }) => ({
      source,
      totalCostMicrodollars: nanoToMicrodollars(nanoUsd(charged)),
      requestCount: Number(calls),
    })),
  };
}

/** Ids of events are UUIDv7, whose order is that of time, or of usage that came later, which are above all of them. */
function firstIdAt(time: Date): string {
  const hex = time.getTime().toString(16).padStart(12, "0");
  return `${hex.slice(0, 8)}-${hex.slice(8)}-0000-0000-000000000000`;
}
