"use client";

import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { parseAsString, useQueryState } from "nuqs";
import { CallDrawer } from "@/ui/activity/call-drawer";
import { formatCount } from "@/ui/format/count";
import { columnDecimals, formatUsd } from "@/ui/format/money";
import { Status } from "@/ui/kit/badge";
import { CopyId } from "@/ui/kit/copy-id";
import { ErrorState } from "@/ui/kit/empty-state";
import { Link } from "@/ui/kit/link";
import { LoadMore } from "@/ui/kit/load-more";
import { Meter } from "@/ui/kit/meter";
import { Money } from "@/ui/kit/money";
import { PageHeader, StatTile, StatTiles } from "@/ui/kit/page";
import { SkeletonRows } from "@/ui/kit/skeleton";
import { Table, type TableColumn } from "@/ui/kit/table";
import { Duration, Time } from "@/ui/kit/time";
import { useOrgPath } from "@/ui/shell/shell-context";
import { errorOf, useTRPC, type RouterOutputs } from "@/ui/trpc";

type Step = RouterOutputs["sessions"]["timeline"]["data"][number];
type Summary = RouterOutputs["sessions"]["get"]["summary"];

const PAGE = 100;

/** A run of an agent, call by call, with what it had cost after each. */
export function SessionPage({ sessionId }: { sessionId: string }) {
  const trpc = useTRPC();
  const path = useOrgPath();
  const [openId, setOpenId] = useQueryState("call", parseAsString);
  const session = useQuery(trpc.sessions.get.queryOptions({ sessionId }, { retry: false }));
  const timeline = useInfiniteQuery(
    trpc.sessions.timeline.infiniteQueryOptions(
      { sessionId, limit: PAGE },
      { getNextPageParam: ({ cursor }) => cursor ?? undefined, retry: false },
    ),
  );
  const steps = timeline.data?.pages.flatMap(({ data }) => data) ?? [];
  const failed = session.error ?? timeline.error;

  return (
    <>
      <PageHeader
        breadcrumbs={[{ label: "Sessions", href: path("sessions") }]}
        title={<span className="break-all">{sessionId}</span>}
        meta={<CopyId id={sessionId} what="the session’s id" short />}
        actions={
          <Link
            href={path(`activity?${new URLSearchParams({ session: sessionId.replaceAll(",", "%2C"), range: "30d" }).toString()}`)}
            className="text-small"
          >
            Show among all calls
          </Link>
        }
      />
      {failed !== null ? (
        <ErrorState
          title="The session could not be loaded"
          referenceId={errorOf(failed).reference ?? undefined}
          onRetry={() => void Promise.all([session.refetch(), timeline.refetch()])}
          retrying={session.isFetching || timeline.isFetching}
        >
          {errorOf(failed).message}
        </ErrorState>
      ) : session.data === undefined || timeline.data === undefined ? (
        <SkeletonRows rows={10} label="Loading the session" />
      ) : (
        <div className="flex flex-col gap-5">
          <Sums summary={session.data.summary} />
          <div>
            <Timeline
              steps={steps}
              totalMicrodollars={session.data.summary.totalCostMicrodollars}
              openId={openId}
              onOpen={(id) => void setOpenId(id)}
            />
            <LoadMore
              shown={steps.length}
              what="call"
              hasMore={timeline.hasNextPage}
              loading={timeline.isFetchingNextPage}
              onLoadMore={() => void timeline.fetchNextPage()}
            />
          </div>
        </div>
      )}
      <CallDrawer callId={openId} onClose={() => void setOpenId(null)} />
    </>
  );
}

function Sums({ summary }: { summary: Summary }) {
  const { startedAt, endedAt, eventCount, deniedCount, totalCostMicrodollars, totalInputTokens, totalOutputTokens, totalDurationMs } =
    summary;
  return (
    <StatTiles>
      <StatTile
        label="Cost"
        value={<Money microdollars={totalCostMicrodollars} />}
        note={`${formatUsd(eventCount === 0 ? null : totalCostMicrodollars / eventCount)} a call`}
      />
      <StatTile
        label="Calls"
        value={formatCount(eventCount)}
        note={deniedCount === 0 ? "none denied" : `${formatCount(deniedCount)} denied`}
      />
      <StatTile
        label="Tokens"
        value={formatCount(totalInputTokens + totalOutputTokens)}
        note={`${formatCount(totalInputTokens)} in, ${formatCount(totalOutputTokens)} out`}
      />
      <StatTile
        label="From first to last"
        value={<Duration ms={Date.parse(endedAt) - Date.parse(startedAt)} />}
        note={
          <>
            <Duration ms={totalDurationMs} /> in calls, since <Time value={startedAt} />
          </>
        }
      />
    </StatTiles>
  );
}

type TimelineProps = { steps: readonly Step[]; totalMicrodollars: number; openId: string | null; onOpen: (id: string) => void };

function Timeline({ steps, totalMicrodollars, openId, onOpen }: TimelineProps) {
  const path = useOrgPath();
  const decimals = columnDecimals(steps.map(({ event }) => event.costMicrodollars));
  const columns: TableColumn<Step>[] = [
    {
      id: "offset",
      header: "After",
      align: "end",
      fixed: true,
      cell: ({ startOffsetMs, event }) => (
        <span title={event.createdAt}>
          <Duration ms={startOffsetMs} />
        </span>
      ),
    },
    {
      id: "call",
      header: "Call",
      fixed: true,
      cell: ({ event }) => (
        <span className="flex flex-wrap items-center gap-x-2 gap-y-1">
          <span className="break-all">{event.toolName ?? event.model}</span>
          {event.status !== "ok" && <Status value={event.status} {...(event.denialCode !== null && { title: event.denialCode })} />}
        </span>
      ),
    },
    {
      id: "trace",
      header: "Trace",
      from: "lg",
      cell: ({ event }) =>
        event.traceId === null ? (
          <span className="text-ink-muted">–</span>
        ) : (
          <Link href={path(`traces/${event.traceId}`)} className="font-mono text-micro" title={event.traceId}>
            {event.traceId.slice(0, 8)}
          </Link>
        ),
    },
    { id: "took", header: "Time taken", align: "end", from: "md", cell: ({ event }) => <Duration ms={event.durationMs} /> },
    { id: "input", header: "Input", align: "end", from: "lg", cell: ({ event }) => formatCount(event.inputTokens) },
    { id: "output", header: "Output", align: "end", from: "lg", cell: ({ event }) => formatCount(event.outputTokens) },
    {
      id: "cost",
      header: "Cost",
      align: "end",
      fixed: true,
      cell: ({ event }) =>
        event.costBasis === "unpriced" ? (
          <span className="text-ink-muted">no price</span>
        ) : (
          <Money microdollars={event.costMicrodollars} decimals={decimals} />
        ),
    },
    {
      id: "sum",
      header: "Cost so far",
      align: "end",
      from: "sm",
      cell: ({ cumulativeMicrodollars }) => (
        <span className="inline-flex flex-col items-stretch gap-1">
          <Money microdollars={cumulativeMicrodollars} decimals={decimals} />
          <Meter
            label="Share of the session’s cost"
            value={cumulativeMicrodollars}
            max={totalMicrodollars}
            tone="neutral"
            className="h-1"
          />
        </span>
      ),
    },
  ];
  return (
    <Table
      label="Calls of the session"
      rows={steps}
      columns={columns}
      rowId={({ event }) => event.id}
      onOpen={({ event }) => onOpen(event.id)}
      openId={openId ?? undefined}
    />
  );
}
