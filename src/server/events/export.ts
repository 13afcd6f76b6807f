import type { Ctx } from "@/server/context";
import { csvLine } from "./csv";
import { assertMayRead, conditionsOf } from "./find";
import { CostEventFilter } from "./input";
import { parsed } from "./parse-input";
import { toPublicCostEvent, type PublicCostEvent } from "./public-cost-event";

/** Rows read at a time: an export of any length holds this many in memory. */
const PAGE_ROWS = 1_000;

const COLUMNS = [
  "id",
  "requestId",
  "createdAt",
  "status",
  "denialCode",
  "httpStatus",
  "source",
  "eventType",
  "provider",
  "model",
  "requestedModel",
  "serviceTier",
  "endpoint",
  "inputTokens",
  "outputTokens",
  "cachedInputTokens",
  "cacheWriteTokens",
  "reasoningTokens",
  "costMicrodollars",
  "costUsd",
  "chargedMicrodollars",
  "costBasis",
  "priceVersion",
  "estimatedCostMicrodollars",
  "budgetStatus",
  "stopReason",
  "toolName",
  "toolServer",
  "durationMs",
  "upstreamDurationMs",
  "timeToFirstByteMs",
  "overheadMs",
  "sessionId",
  "traceId",
  "spanId",
  "parentSpanId",
  "actionId",
  "customerId",
  "tags",
  "apiKeyId",
  "keyName",
  "userId",
] as const satisfies readonly (keyof PublicCostEvent)[];

/**
 * Every event of a filter as CSV, newest first, a header line before. Who may not read, and what is not valid, throws here and not at
 * the first line. Events that settle while the export runs are not in it.
 */
export function exportCostEvents({ ctx, input }: { ctx: Ctx; input: CostEventFilter }): AsyncGenerator<string, void, undefined> {
  assertMayRead(ctx);
  return linesOf(ctx, parsed(CostEventFilter, input));
}

async function* linesOf(ctx: Ctx, filter: CostEventFilter): AsyncGenerator<string, void, undefined> {
  yield csvLine(COLUMNS);
  let after: string | undefined;
  // Ends, because ids go down and events that are new have higher ones.
  for (;;) {
    const rows = await ctx.prisma.costEvent.findMany({
      where: { AND: [...conditionsOf(ctx, filter), ...(after === undefined ? [] : [{ id: { lt: after } }])] },
      orderBy: { id: "desc" },
      take: PAGE_ROWS,
    });
    for (const row of rows) yield lineOf(toPublicCostEvent(row));
    after = rows.at(-1)?.id;
    if (rows.length < PAGE_ROWS) return;
  }
}

function lineOf(event: PublicCostEvent): string {
  return csvLine(COLUMNS.map((name) => (name === "tags" ? JSON.stringify(event.tags) : event[name])));
}
