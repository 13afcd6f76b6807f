"use client";

import { useInfiniteQuery } from "@tanstack/react-query";
import { ListTree, Search } from "lucide-react";
import { useRouter } from "next/navigation";
import { debounce, parseAsString, parseAsStringLiteral, useQueryState } from "nuqs";
import { formatCount } from "@/ui/format/count";
import { columnDecimals } from "@/ui/format/money";
import { resolveRange } from "@/ui/format/range";
import { EmptyState, ErrorState, NothingMatches } from "@/ui/kit/empty-state";
import { Input } from "@/ui/kit/input";
import { Link } from "@/ui/kit/link";
import { LoadMore } from "@/ui/kit/load-more";
import { Money } from "@/ui/kit/money";
import { PageHeader } from "@/ui/kit/page";
import { RangePicker, useRange } from "@/ui/kit/range-picker";
import { Select } from "@/ui/kit/select";
import { SkeletonRows } from "@/ui/kit/skeleton";
import { Table, type TableColumn } from "@/ui/kit/table";
import { Duration, Time, useNow, useOrgZone } from "@/ui/kit/time";
import { useOrgPath } from "@/ui/shell/shell-context";
import { errorOf, useTRPC, type RouterOutputs } from "@/ui/trpc";

type Session = RouterOutputs["sessions"]["list"]["data"][number];

const SORTS = ["recent", "cost"] as const;
const SEARCH_WAIT_MS = 300;

export function SessionsPage() {
  const trpc = useTRPC();
  const path = useOrgPath();
  const router = useRouter();
  const zone = useOrgZone();
  const minute = useNow(60_000);
  const [range, setRange] = useRange("7d");
  const [sort, setSort] = useQueryState("sort", parseAsStringLiteral(SORTS).withDefault("recent").withOptions({ history: "push" }));
  const [search, setSearch] = useQueryState("search", parseAsString.withDefault(""));
  const { from, to } = resolveRange(range, minute, zone);
  const sessions = useInfiniteQuery(
    trpc.sessions.list.infiniteQueryOptions(
      {
        sort,
        limit: 50,
        from: from.toISOString(),
        ...(range.kind === "absolute" && { to: to.toISOString() }),
        ...(search.trim() !== "" && { search: search.trim() }),
      },
      { getNextPageParam: ({ cursor }) => cursor ?? undefined, placeholderData: (before) => before },
    ),
  );
  const rows = sessions.data?.pages.flatMap(({ data }) => data) ?? [];
  const decimals = columnDecimals(rows.map(({ totalCostMicrodollars }) => totalCostMicrodollars));
  const hrefOf = ({ sessionId }: Session): string => path(`sessions/${encodeURIComponent(sessionId)}`);

  const columns: TableColumn<Session>[] = [
    {
      id: "session",
      header: "Session",
      fixed: true,
      cell: (session) => (
        <Link href={hrefOf(session)} className="break-all">
          {session.sessionId}
        </Link>
      ),
    },
    { id: "last", header: "Last call", cell: ({ lastEventAt }) => <Time value={lastEventAt} style="relative" /> },
    {
      id: "length",
      header: "From first to last",
      align: "end",
      from: "md",
      cell: ({ firstEventAt, lastEventAt }) => <Duration ms={Date.parse(lastEventAt) - Date.parse(firstEventAt)} />,
    },
    { id: "calls", header: "Calls", align: "end", from: "sm", cell: ({ eventCount }) => formatCount(eventCount) },
    {
      id: "denied",
      header: "Denied",
      align: "end",
      from: "md",
      cell: ({ deniedCount }) => (deniedCount === 0 ? <span className="text-ink-muted">0</span> : formatCount(deniedCount)),
    },
    {
      id: "tokens",
      header: "Tokens",
      align: "end",
      from: "lg",
      cell: ({ totalInputTokens, totalOutputTokens }) => formatCount(totalInputTokens + totalOutputTokens),
    },
    {
      id: "cost",
      header: "Cost",
      align: "end",
      fixed: true,
      cell: ({ totalCostMicrodollars }) => <Money microdollars={totalCostMicrodollars} decimals={decimals} />,
    },
  ];

  return (
    <>
      <PageHeader
        title="Sessions"
        description="Calls that name the same session, from its first to its last: one run of an agent, one chat."
      />
      <div className="flex flex-col gap-4">
        <div className="flex flex-wrap items-center gap-2 print:hidden">
          <RangePicker range={range} onRangeChange={setRange} />
          <Select<(typeof SORTS)[number]>
            size="small"
            className="w-40"
            aria-label="Order"
            value={sort}
            onValueChange={(next) => void setSort(next)}
            options={[
              { value: "recent", label: "Latest first" },
              { value: "cost", label: "Dearest first" },
            ]}
          />
          <div className="min-w-48 flex-1">
            <Input
              type="search"
              aria-label="Search by id"
              placeholder="Part of a session’s id"
              before={<Search />}
              value={search}
              maxLength={256}
              onValueChange={(next: string) => void setSearch(next === "" ? null : next, { limitUrlUpdates: debounce(SEARCH_WAIT_MS) })}
            />
          </div>
        </div>
        {sessions.isPending ? (
          <SkeletonRows rows={8} label="Loading the sessions" />
        ) : sessions.isError ? (
          <ErrorState
            title="The sessions could not be loaded"
            referenceId={errorOf(sessions.error).reference ?? undefined}
            onRetry={() => void sessions.refetch()}
            retrying={sessions.isFetching}
          >
            {errorOf(sessions.error).message}
          </ErrorState>
        ) : rows.length === 0 ? (
          search.trim() === "" ? (
            <EmptyState title="No sessions in this time" icon={<ListTree aria-hidden />}>
              Send the header <span className="font-mono">X-NullSpend-Session</span> with the calls of one run, and they stand together
              here.
            </EmptyState>
          ) : (
            <NothingMatches what="No session" onClear={() => void setSearch(null)} />
          )
        ) : (
          <div>
            <Table
              label="Sessions"
              rows={rows}
              columns={columns}
              rowId={({ sessionId }) => sessionId}
              onOpen={(session) => router.push(hrefOf(session))}
              stale={sessions.isPlaceholderData}
            />
            <LoadMore
              shown={rows.length}
              what="session"
              hasMore={sessions.hasNextPage}
              loading={sessions.isFetchingNextPage}
              onLoadMore={() => void sessions.fetchNextPage()}
            />
          </div>
        )}
      </div>
    </>
  );
}
