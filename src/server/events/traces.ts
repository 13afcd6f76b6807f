import { z } from "zod";
import { ServiceError } from "@/lib/errors";
import { assertAllowed } from "@/server/access";
import type { Ctx } from "@/server/context";
import { decodeCursor, encodeCursor } from "./cursor";
import { cursor, pageSize } from "./input";
import { parsed } from "./parse-input";
import { microdollars, PublicCostEvent, toPublicCostEvent } from "./public-cost-event";
import { micros } from "./sums";

const timestamp = z.string().meta({ format: "date-time" });
const traceId = z.string().regex(/^[0-9a-f]{32}$/, "must be 32 lower-case hex digits");

export const ListTracesInput = z.strictObject({ limit: pageSize, cursor: cursor.optional() });
export type ListTracesInput = z.input<typeof ListTracesInput>;
export const GetTraceInput = z.strictObject({ traceId });
export type GetTraceInput = z.input<typeof GetTraceInput>;

export const TraceRow = z
  .object({
    traceId: z.string(),
    eventCount: z.int(),
    deniedCount: z.int(),
    failedCount: z.int(),
    totalCostMicrodollars: microdollars,
    startedAt: timestamp,
    lastEventAt: timestamp,
    durationMs: z.number().meta({ description: "From the first call's start to the last one's end." }),
    sessionId: z.string().nullable().meta({ description: "Of its first event." }),
  })
  .meta({ id: "Trace" });
export type TraceRow = z.infer<typeof TraceRow>;

/** Of one trace; a longer one is told to be. */
const TRACE_EVENTS_MAX = 1_000;

export const TraceDetail = z
  .object({
    traceId: z.string(),
    summary: TraceRow,
    nodes: z
      .array(
        z.object({
          event: PublicCostEvent,
          parentId: z.string().nullable().meta({ description: "The parent's event id; null for roots." }),
          depth: z.int(),
          startOffsetMs: z.number(),
          subtreeMicrodollars: microdollars.meta({ description: "With everything below it." }),
        }),
      )
      .meta({ description: "The tree in the order it is drawn: each node before its children, siblings by time." }),
    hasMore: z.boolean().meta({ description: `True: only the first ${TRACE_EVENTS_MAX} events are here.` }),
  })
  .meta({ id: "TraceDetail" });
export type TraceDetail = z.infer<typeof TraceDetail>;

const ACCESS = { key: ["read"], user: "viewer" } as const;
/** Events that one page looks at for traces it has not shown yet. */
const EVENTS_LOOKED_AT = 5_000;

type Row = {
  trace_id: string;
  calls: bigint;
  denied: bigint;
  failed: bigint;
  cost: string;
  started_at: Date;
  last_at: Date;
  duration_ms: number;
  session_id: string | null;
};

/** The trace that was active last comes first. A page may hold fewer than asked for, and still be followed by others. */
export async function listTraces({
  ctx,
  input,
}: {
  ctx: Ctx;
  input: ListTracesInput;
}): Promise<{ data: TraceRow[]; cursor: string | null }> {
  assertAllowed(ctx.principal, ACCESS);
  const { limit, cursor: after } = parsed(ListTracesInput, input);
  const { orgId } = ctx.principal;
  const position = after === undefined ? "ffffffff-ffff-ffff-ffff-ffffffffffff" : decodeCursor("traces", after);
  // A trace stands where its newest event is; one that has a newer event than the page begins with was on an earlier page.
  const newest = await ctx.prisma.$queryRaw<{ trace_id: string; last_id: string; oldest_id: string; looked: bigint }[]>`
    WITH looked AS MATERIALIZED (
      SELECT trace_id, id FROM cost_event WHERE org_id = ${orgId}::uuid AND id < ${position}::uuid ORDER BY id DESC LIMIT ${EVENTS_LOOKED_AT}
    ), edge AS (SELECT (SELECT id FROM looked ORDER BY id LIMIT 1) AS oldest_id, count(*) AS looked FROM looked),
    found AS (
      SELECT DISTINCT ON (trace_id) trace_id, id FROM looked WHERE trace_id IS NOT NULL ORDER BY trace_id, id DESC
    )
    SELECT found.trace_id, found.id::text AS last_id, edge.oldest_id::text AS oldest_id, edge.looked
    FROM edge LEFT JOIN found ON NOT EXISTS (
      SELECT FROM cost_event AS newer WHERE newer.org_id = ${orgId}::uuid AND newer.trace_id = found.trace_id AND newer.id >= ${position}::uuid
    )
    ORDER BY found.id DESC NULLS LAST LIMIT ${limit + 1}`;
  const found = newest.filter((row) => row.trace_id !== null);
  const page = found.slice(0, limit);
  const rows = await summariesOf(
    ctx,
    page.map((row) => row.trace_id),
  );
  const next = nextPosition({ found, page, limit, edge: newest[0] });
  return {
    data: page.flatMap(({ trace_id }) => rows.get(trace_id) ?? []),
    cursor: next === undefined ? null : encodeCursor("traces", next),
  };
}

type Found = { last_id: string };
type Edge = { oldest_id: string | null; looked: bigint } | undefined;

function nextPosition({ found, page, limit, edge }: { found: Found[]; page: Found[]; limit: number; edge: Edge }): string | undefined {
  if (found.length > limit) return page.at(-1)!.last_id;
  return Number(edge?.looked ?? 0) >= EVENTS_LOOKED_AT ? (edge?.oldest_id ?? undefined) : undefined;
}

async function summariesOf({ prisma, principal }: Ctx, traceIds: string[]): Promise<Map<string, TraceRow>> {
  if (traceIds.length === 0) return new Map();
  const rows = await prisma.$queryRaw<Row[]>`
    SELECT trace_id, count(*) AS calls, count(*) FILTER (WHERE status = 'denied') AS denied,
      count(*) FILTER (WHERE status NOT IN ('ok', 'denied')) AS failed, coalesce(sum(cost_nano), 0)::text AS cost,
      min(created_at) AS started_at, max(created_at) AS last_at,
      extract(epoch FROM max(created_at + coalesce(duration_ms, 0) * interval '1 millisecond') - min(created_at))::float8 * 1000 AS duration_ms,
      (array_agg(session_id ORDER BY id))[1] AS session_id
    FROM cost_event WHERE org_id = ${principal.orgId}::uuid AND trace_id = ANY(${traceIds}) GROUP BY trace_id`;
  return new Map(rows.map((row) => [row.trace_id, toTraceRow(row)]));
}

function toTraceRow(row: Row): TraceRow {
  return {
    traceId: row.trace_id,
    eventCount: Number(row.calls),
    deniedCount: Number(row.denied),
    failedCount: Number(row.failed),
    totalCostMicrodollars: micros(row.cost),
    startedAt: row.started_at.toISOString(),
    lastEventAt: row.last_at.toISOString(),
    durationMs: Math.round(row.duration_ms * 1_000) / 1_000,
    sessionId: row.session_id,
  };
}

export async function getTrace({ ctx, input }: { ctx: Ctx; input: GetTraceInput }): Promise<TraceDetail> {
  assertAllowed(ctx.principal, ACCESS);
  const { traceId: id } = parsed(GetTraceInput, input);
  const [summaries, rows] = await Promise.all([
    summariesOf(ctx, [id]),
    ctx.prisma.costEvent.findMany({
      where: { orgId: ctx.principal.orgId, traceId: id },
      orderBy: { id: "asc" },
      take: TRACE_EVENTS_MAX + 1,
    }),
  ]);
  const summary = summaries.get(id);
  if (!summary) throw new ServiceError("not_found", "There is no such trace.");
  const shown = rows.slice(0, TRACE_EVENTS_MAX);
  const startedAt = Date.parse(summary.startedAt);
  return {
    traceId: id,
    summary,
    nodes: drawnOrder(shown).map(({ row, parent, depth, subtreeNano }) => ({
      event: toPublicCostEvent(row),
      parentId: parent === null ? null : toPublicCostEvent(parent).id,
      depth,
      startOffsetMs: row.createdAt.getTime() - startedAt,
      subtreeMicrodollars: micros(subtreeNano),
    })),
    hasMore: rows.length > TRACE_EVENTS_MAX,
  };
}

type Span = { id: string; spanId: string | null; parentSpanId: string | null; costNano: bigint | null };
export type TreeNode<T> = { row: T; parent: T | null; depth: number; subtreeNano: bigint };

/**
 * Spans in the order a tree is drawn. Callers write the ids: a parent that is not here, is the span itself, or would close a circle
 * counts as none; of two spans with one id the first is the parent.
 */
export function drawnOrder<T extends Span>(rows: readonly T[]): TreeNode<T>[] {
  const bySpan = new Map<string, T>();
  for (const row of rows) if (row.spanId !== null && !bySpan.has(row.spanId)) bySpan.set(row.spanId, row);
  const parentOf = new Map<T, T>();
  for (const row of rows) {
    const parent = row.parentSpanId === null ? undefined : bySpan.get(row.parentSpanId);
    if (parent && parent !== row && !isAbove(row, parent, parentOf)) parentOf.set(row, parent);
  }
  const childrenOf = new Map<T | null, T[]>();
  for (const row of rows) {
    const parent = parentOf.get(row) ?? null;
    childrenOf.set(parent, [...(childrenOf.get(parent) ?? []), row]);
  }
  const nodes: TreeNode<T>[] = [];
  // A stack of our own: a thousand spans may be a chain.
  const open = (childrenOf.get(null) ?? []).toReversed().map((row) => ({ row, depth: 0 }));
  for (let next = open.pop(); next; next = open.pop()) {
    const { row, depth } = next;
    nodes.push({ row, parent: parentOf.get(row) ?? null, depth, subtreeNano: row.costNano ?? 0n });
    for (const child of (childrenOf.get(row) ?? []).toReversed()) open.push({ row: child, depth: depth + 1 });
  }
  const nodeOf = new Map(nodes.map((node) => [node.row, node]));
  // Children come after their parents, so from the end each sum is whole before it is handed up.
  for (const node of nodes.toReversed()) {
    if (node.parent !== null) nodeOf.get(node.parent)!.subtreeNano += node.subtreeNano;
  }
  return nodes;
}

function isAbove<T>(row: T, start: T, parentOf: ReadonlyMap<T, T>): boolean {
  for (let at: T | undefined = start; at; at = parentOf.get(at)) if (at === row) return true;
  return false;
}
