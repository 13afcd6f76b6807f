"use client";

import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Download, Pause, Play } from "lucide-react";
import { parseAsString, useQueryState } from "nuqs";
import { useMemo, useState } from "react";
import { formatCount, plural } from "@/ui/format/count";
import { columnDecimals } from "@/ui/format/money";
import { resolveRange } from "@/ui/format/range";
import { Status } from "@/ui/kit/badge";
import { Button } from "@/ui/kit/button";
import { EmptyState, ErrorState, NothingMatches } from "@/ui/kit/empty-state";
import { FilterBar, useFilters } from "@/ui/kit/filter-bar";
import { Link } from "@/ui/kit/link";
import { Money } from "@/ui/kit/money";
import { PageHeader } from "@/ui/kit/page";
import { RangePicker, useRange } from "@/ui/kit/range-picker";
import { SkeletonRows } from "@/ui/kit/skeleton";
import { Table, type TableColumn } from "@/ui/kit/table";
import { Duration, Time, useNow, useOrgZone } from "@/ui/kit/time";
import { useOrgPath, useShell } from "@/ui/shell/shell-context";
import { errorOf, useTRPC, type RouterOutputs } from "@/ui/trpc";
import { CALL_FILTER_IDS, callFilterDefinitions, callFilterOf, exportQueryOf } from "./call-filters";
import { CallDrawer } from "./call-drawer";
import { useExport } from "./use-export";

export type Call = RouterOutputs["events"]["list"]["data"][number];

const REFRESH_MS = 1_000;
const PAGE = 100;

export function ActivityPage() {
  const trpc = useTRPC();
  const path = useOrgPath();
  const { org } = useShell();
  const zone = useOrgZone();
  const [range, setRange] = useRange("24h");
  const state = useFilters(CALL_FILTER_IDS);
  const [openId, setOpenId] = useQueryState("call", parseAsString);
  const [tailing, setTailing] = useState(true);
  const keys = useQuery(trpc.keys.list.queryOptions({ limit: 100 }));
  const definitions = useMemo(() => callFilterDefinitions(keys.data?.data ?? []), [keys.data]);
  const minute = useNow(60_000);
  const filter = useMemo(() => {
    // A relative range ends now, whenever that is: only its beginning is asked for.
    const { from, to } = resolveRange(range, minute, zone);
    const bounds = { from: from.toISOString(), ...(range.kind === "absolute" && { to: to.toISOString() }) };
    return { ...callFilterOf(state.filters), ...bounds };
  }, [range, state.filters, zone, minute]);
  const calls = useInfiniteQuery(
    trpc.events.list.infiniteQueryOptions(
      { ...filter, limit: PAGE },
      {
        getNextPageParam: ({ cursor }) => cursor ?? undefined,
        refetchInterval: tailing ? REFRESH_MS : false,
        placeholderData: (before) => before,
      },
    ),
  );
  const count = useQuery(trpc.events.count.queryOptions(filter, { placeholderData: (before) => before }));
  const download = useExport(org.id);
  const rows = useMemo(() => calls.data?.pages.flatMap(({ data }) => data) ?? [], [calls.data]);
  const decimals = columnDecimals(rows.map(({ costMicrodollars }) => costMicrodollars));

  const columns: TableColumn<Call>[] = [
    {
      id: "time",
      header: "Time",
      width: "10.5rem",
      fixed: true,
      cell: ({ createdAt }) => <Time value={createdAt} style="datetime-seconds" />,
    },
    {
      id: "status",
      header: "Status",
      width: "8.5rem",
      cell: ({ status, denialCode }) => <Status value={status} {...(denialCode !== null && { title: denialCode })} />,
    },
    { id: "model", header: "Model", cell: ({ model, toolName }) => <span className="block truncate">{toolName ?? model}</span> },
    {
      id: "key",
      header: "Key",
      width: "9rem",
      from: "lg",
      cell: ({ keyName }) => <span className="block truncate">{keyName ?? "–"}</span>,
    },
    {
      id: "customer",
      header: "Customer",
      width: "9rem",
      hiddenAtFirst: true,
      cell: ({ customerId }) => <span className="block truncate">{customerId ?? "–"}</span>,
    },
    { id: "input", header: "Input", width: "5rem", align: "end", from: "lg", cell: ({ inputTokens }) => formatCount(inputTokens) },
    { id: "output", header: "Output", width: "5rem", align: "end", from: "lg", cell: ({ outputTokens }) => formatCount(outputTokens) },
    {
      id: "duration",
      header: "Time taken",
      width: "6.5rem",
      align: "end",
      from: "md",
      cell: ({ durationMs }) => <Duration ms={durationMs} />,
    },
    {
      id: "cost",
      header: "Cost",
      width: "7.5rem",
      align: "end",
      fixed: true,
      cell: ({ costMicrodollars, costBasis }) =>
        costBasis === "unpriced" ? (
          <span className="text-ink-muted">no price</span>
        ) : (
          <Money microdollars={costMicrodollars} decimals={decimals} />
        ),
    },
  ];

  return (
    <>
      <PageHeader
        title="Activity"
        description="Every call that passed authentication, denied ones included, with its receipt."
        actions={
          <>
            <Button
              icon={tailing ? <Pause aria-hidden className="size-4" /> : <Play aria-hidden className="size-4" />}
              onClick={() => setTailing(!tailing)}
            >
              {tailing ? "Pause" : "Go on"}
            </Button>
            <Button
              icon={<Download aria-hidden className="size-4" />}
              loading={download.isRunning}
              onClick={() => void download.start(exportQueryOf(filter))}
            >
              {download.isRunning
                ? `${formatCount(download.rows)}${count.data === undefined ? "" : ` of ${formatCount(count.data.count)}`}`
                : "CSV"}
            </Button>
          </>
        }
      />
      <div className="flex flex-col gap-3">
        <div className="flex flex-wrap items-start gap-3">
          <RangePicker range={range} onRangeChange={setRange} />
          <FilterBar what="calls" definitions={definitions} state={state} className="min-w-60 flex-1" />
        </div>
        {download.problem !== undefined && <ErrorState title="The CSV could not be made">{download.problem}</ErrorState>}
        {calls.isPending ? (
          <SkeletonRows rows={12} label="Loading the calls" />
        ) : calls.isError ? (
          <ErrorState
            title="The calls could not be loaded"
            referenceId={errorOf(calls.error).reference ?? undefined}
            onRetry={() => void calls.refetch()}
            retrying={calls.isFetching}
          >
            {errorOf(calls.error).message}
          </ErrorState>
        ) : (
          <Table
            label="Calls"
            rows={rows}
            columns={columns}
            rowId={({ id }) => id}
            onOpen={({ id }) => void setOpenId(id)}
            openId={openId ?? undefined}
            virtualHeight="calc(100dvh - 18rem)"
            onEndReached={() => {
              if (calls.hasNextPage && !calls.isFetchingNextPage) void calls.fetchNextPage();
            }}
            stale={calls.isPlaceholderData}
            options
            toolbar={
              <span role="status" className="text-small text-ink-muted">
                {count.data === undefined ? "" : plural(count.data.count, "call")}
              </span>
            }
            empty={
              state.count > 0 ? (
                <NothingMatches what="No call" onClear={state.clear} />
              ) : (
                <EmptyState title="No calls in this time">
                  Send one through the gateway, or <Link href={path("get-started")}>connect a client</Link>.
                </EmptyState>
              )
            }
          />
        )}
      </div>
      <CallDrawer callId={openId} onClose={() => void setOpenId(null)} />
    </>
  );
}
