"use client";

import { useQuery } from "@tanstack/react-query";
import { ChevronDown, ChevronRight } from "lucide-react";
import { parseAsString, useQueryState } from "nuqs";
import { useMemo, useRef, useState, type KeyboardEvent } from "react";
import { CallDrawer } from "@/ui/activity/call-drawer";
import { formatCount } from "@/ui/format/count";
import { columnDecimals } from "@/ui/format/money";
import { Status } from "@/ui/kit/badge";
import { cn } from "@/ui/kit/cn";
import { CopyId } from "@/ui/kit/copy-id";
import { ErrorState } from "@/ui/kit/empty-state";
import { Link } from "@/ui/kit/link";
import { Money } from "@/ui/kit/money";
import { Card, Notice, PageHeader, StatTile, StatTiles } from "@/ui/kit/page";
import { SkeletonRows } from "@/ui/kit/skeleton";
import { Duration, Time } from "@/ui/kit/time";
import { useOrgPath } from "@/ui/shell/shell-context";
import { errorOf, useTRPC, type RouterOutputs } from "@/ui/trpc";
import { shownNodes, withChildren } from "./tree";

type Trace = RouterOutputs["traces"]["get"];

/** Calls under the calls that made them. */
export function TracePage({ traceId }: { traceId: string }) {
  const trpc = useTRPC();
  const path = useOrgPath();
  const [openId, setOpenId] = useQueryState("call", parseAsString);
  const trace = useQuery(trpc.traces.get.queryOptions({ traceId }, { retry: false }));
  return (
    <>
      <PageHeader
        breadcrumbs={[{ label: "Sessions", href: path("sessions") }]}
        title="Trace"
        meta={<CopyId id={traceId} what="the trace’s id" />}
        actions={
          <Link href={path(`activity?trace=${encodeURIComponent(traceId)}&range=30d`)} className="text-small">
            Show among all calls
          </Link>
        }
      />
      {trace.isPending ? (
        <SkeletonRows rows={10} label="Loading the trace" />
      ) : trace.isError ? (
        <ErrorState
          title="The trace could not be loaded"
          referenceId={errorOf(trace.error).reference ?? undefined}
          onRetry={() => void trace.refetch()}
          retrying={trace.isFetching}
        >
          {errorOf(trace.error).message}
        </ErrorState>
      ) : (
        <div className="flex flex-col gap-5">
          <Sums trace={trace.data} />
          {trace.data.hasMore && (
            <Notice tone="warning">
              Only the first {formatCount(trace.data.nodes.length)} calls are drawn; the sums above are of all{" "}
              {formatCount(trace.data.summary.eventCount)}.
            </Notice>
          )}
          <Tree trace={trace.data} openId={openId} onOpen={(id) => void setOpenId(id)} />
        </div>
      )}
      <CallDrawer callId={openId} onClose={() => void setOpenId(null)} />
    </>
  );
}

function Sums({ trace: { summary } }: { trace: Trace }) {
  const path = useOrgPath();
  const failed = summary.deniedCount + summary.failedCount;
  return (
    <StatTiles>
      <StatTile label="Cost" value={<Money microdollars={summary.totalCostMicrodollars} />} />
      <StatTile
        label="Calls"
        value={formatCount(summary.eventCount)}
        note={failed === 0 ? "all answered" : `${formatCount(summary.deniedCount)} denied, ${formatCount(summary.failedCount)} failed`}
      />
      <StatTile label="Time taken" value={<Duration ms={summary.durationMs} />} note={<Time value={summary.startedAt} />} />
      {summary.sessionId !== null && (
        <StatTile
          label="Session"
          value={<span className="block truncate text-body">{summary.sessionId}</span>}
          note={<Link href={path(`sessions/${encodeURIComponent(summary.sessionId)}`)}>Open its timeline</Link>}
        />
      )}
    </StatTiles>
  );
}

type TreeProps = { trace: Trace; openId: string | null; onOpen: (id: string) => void };

/** Deeper levels are set in by no more than this many steps, so that the names keep room. */
const DEPTH_SHOWN_MAX = 8;

/** Arrows walk and fold as in every tree (WAI-ARIA); Enter opens the call. */
function Tree({ trace, openId, onOpen }: TreeProps) {
  const [folded, setFolded] = useState<ReadonlySet<string>>(new Set());
  const [active, setActive] = useState<string>();
  const list = useRef<HTMLUListElement>(null);
  const parents = useMemo(() => withChildren(trace.nodes), [trace.nodes]);
  const shown = useMemo(() => shownNodes(trace.nodes, folded), [trace.nodes, folded]);
  const decimals = columnDecimals(trace.nodes.map(({ event }) => event.costMicrodollars));
  const activeId = shown.some(({ event }) => event.id === active) ? active : shown[0]?.event.id;
  const lengthMs = Math.max(trace.summary.durationMs, 1);

  function setFold(id: string, fold: boolean): void {
    const next = new Set(folded);
    if (fold) next.add(id);
    else next.delete(id);
    setFolded(next);
  }

  function focus(id: string | null | undefined): void {
    if (id === null || id === undefined) return;
    setActive(id);
    list.current?.querySelector<HTMLElement>(`[data-node="${CSS.escape(id)}"]`)?.focus();
  }

  function onKeyDown(event: KeyboardEvent<HTMLElement>, at: number): void {
    const node = shown[at];
    if (node === undefined || event.target !== event.currentTarget || event.ctrlKey || event.metaKey || event.altKey) return;
    const { id } = node.event;
    const hasChildren = parents.has(id);
    const actions: Record<string, () => void> = {
      ArrowDown: () => focus(shown[at + 1]?.event.id),
      ArrowUp: () => focus(shown[at - 1]?.event.id),
      Home: () => focus(shown[0]?.event.id),
      End: () => focus(shown.at(-1)?.event.id),
      ArrowRight: () => (hasChildren && folded.has(id) ? setFold(id, false) : hasChildren ? focus(shown[at + 1]?.event.id) : undefined),
      ArrowLeft: () => (hasChildren && !folded.has(id) ? setFold(id, true) : focus(node.parentId)),
      Enter: () => onOpen(id),
    };
    const action = actions[event.key];
    if (action === undefined) return;
    event.preventDefault();
    action();
  }

  return (
    <Card flush title="Calls" description="Each under the call that made it. Costs in brackets are with all below.">
      <ul role="tree" aria-label="Calls of the trace" ref={list} className="divide-y divide-line text-small">
        {shown.map(({ event, depth, startOffsetMs, subtreeMicrodollars }, at) => {
          const hasChildren = parents.has(event.id);
          const open = !folded.has(event.id);
          const left = Math.min(99, (startOffsetMs / lengthMs) * 100);
          return (
            <li
              key={event.id}
              role="treeitem"
              data-node={event.id}
              aria-level={depth + 1}
              aria-selected={openId === event.id}
              {...(hasChildren && { "aria-expanded": open })}
              tabIndex={activeId === event.id ? 0 : -1}
              onFocus={() => setActive(event.id)}
              onKeyDown={(key) => onKeyDown(key, at)}
              onClick={() => onOpen(event.id)}
              className={cn(
                "cursor-pointer px-3 py-2 hover:bg-sunken focus-visible:-outline-offset-2 sm:px-4",
                openId === event.id && "bg-accent-soft hover:bg-accent-soft",
              )}
            >
              <div
                className="flex min-w-0 items-start gap-1.5"
                style={{ paddingLeft: `min(${Math.min(depth, DEPTH_SHOWN_MAX) * 1.25}rem, ${Math.min(depth, DEPTH_SHOWN_MAX) * 4}vw)` }}
              >
                {hasChildren ? (
                  <button
                    type="button"
                    // The arrow keys of the row do the same.
                    tabIndex={-1}
                    aria-label={open ? "Fold" : "Unfold"}
                    onClick={(click) => {
                      click.stopPropagation();
                      setFold(event.id, open);
                    }}
                    className="flex size-6 shrink-0 cursor-pointer items-center justify-center rounded-control text-ink-muted hover:text-ink"
                  >
                    {open ? <ChevronDown aria-hidden className="size-4" /> : <ChevronRight aria-hidden className="size-4" />}
                  </button>
                ) : (
                  <span className="w-6 shrink-0" />
                )}
                <div className="flex min-w-0 grow flex-wrap items-center justify-between gap-x-4 gap-y-0.5">
                  <span className="flex min-w-0 flex-wrap items-center gap-x-2 gap-y-1">
                    <span className="font-medium break-all">{event.toolName ?? event.model}</span>
                    {event.status !== "ok" && <Status value={event.status} />}
                    {depth > DEPTH_SHOWN_MAX && <span className="text-micro text-ink-muted">level {depth + 1}</span>}
                  </span>
                  <span className="flex flex-wrap items-center gap-x-3 text-ink-muted tabular-nums">
                    <Duration ms={event.durationMs} />
                    <span className="text-ink">
                      {event.costBasis === "unpriced" ? "no price" : <Money microdollars={event.costMicrodollars} decimals={decimals} />}
                    </span>
                    {hasChildren && (
                      <span>
                        (<Money microdollars={subtreeMicrodollars} decimals={decimals} />)
                      </span>
                    )}
                  </span>
                </div>
              </div>
              <div aria-hidden className="mt-1.5 ml-7 h-1 rounded-full bg-line">
                <div
                  className={cn(
                    "h-full min-w-0.5 rounded-full",
                    event.status === "ok" ? "bg-ink" : event.status === "denied" ? "bg-danger" : "bg-warning",
                  )}
                  style={{ marginLeft: `${left}%`, width: `${Math.min(100 - left, ((event.durationMs ?? 0) / lengthMs) * 100)}%` }}
                />
              </div>
            </li>
          );
        })}
      </ul>
    </Card>
  );
}
