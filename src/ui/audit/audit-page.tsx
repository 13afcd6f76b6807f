"use client";

import { useInfiniteQuery } from "@tanstack/react-query";
import { Bot, Download, ScrollText, Server, UserRound } from "lucide-react";
import { parseAsString, useQueryState } from "nuqs";
import { useMemo, useState } from "react";
import { csvText, saveAsFile } from "@/ui/format/csv";
import { formatCount } from "@/ui/format/count";
import { resolveRange } from "@/ui/format/range";
import { Button } from "@/ui/kit/button";
import { CopyId } from "@/ui/kit/copy-id";
import { Drawer } from "@/ui/kit/drawer";
import { EmptyState, ErrorState, NothingMatches } from "@/ui/kit/empty-state";
import { FormError } from "@/ui/kit/field";
import { FilterBar, useFilters, type FilterDefinition } from "@/ui/kit/filter-bar";
import { LoadMore } from "@/ui/kit/load-more";
import { KeyValueList, PageHeader } from "@/ui/kit/page";
import { RangePicker, useRange } from "@/ui/kit/range-picker";
import { SkeletonRows } from "@/ui/kit/skeleton";
import { Table, type TableColumn } from "@/ui/kit/table";
import { Time, useNow, useOrgZone } from "@/ui/kit/time";
import { useHasRole, useShell } from "@/ui/shell/shell-context";
import { errorOf, useTRPC, useTRPCClient, type RouterInputs, type RouterOutputs } from "@/ui/trpc";
import { changesBetween } from "./changes";
import { actionWords, KNOWN_ACTIONS, KNOWN_RESOURCES, resourceWord } from "./words";

type Entry = RouterOutputs["audit"]["list"]["data"][number];
type Query = Omit<RouterInputs["audit"]["list"], "cursor" | "limit">;

const FILTER_IDS = ["action", "actor", "resource", "id"] as const;
const FILTERS: readonly (FilterDefinition & { id: (typeof FILTER_IDS)[number] })[] = [
  { id: "action", label: "Action", single: true, options: KNOWN_ACTIONS, example: "budget." },
  {
    id: "actor",
    label: "By",
    single: true,
    example: "ns_usr_…",
    parse: (text) => (/^(system|ns_(usr|key)_[0-9a-f-]{36})$/.test(text) ? text : undefined),
  },
  { id: "resource", label: "On a", single: true, options: KNOWN_RESOURCES },
  { id: "id", label: "Id", single: true, example: "ns_bgt_…" },
];

/** At most so many rows in one file; an export of more is made in parts, by time. */
const EXPORT_ROWS_MAX = 20_000;
const PAGE_ROWS = 100;

export function AuditPage() {
  const admin = useHasRole("admin");
  return (
    <>
      <PageHeader
        title="Audit log"
        description="Who changed what. Every change is written down together with the change itself, and stays."
      />
      {admin ? (
        <Log />
      ) : (
        <ErrorState title="The audit log is for admins and owners">Ask one of them to look, or to make you an admin.</ErrorState>
      )}
    </>
  );
}

function useAuditQuery(): Query {
  const { filters } = useFilters(FILTER_IDS);
  const [range] = useRange("30d");
  const zone = useOrgZone();
  // The end moves with the clock, but not the question: a list that is read anew each second never settles.
  const now = useNow(300_000);
  return useMemo(() => {
    const { from, to } = resolveRange(range, now, zone);
    return {
      ...(filters.action[0] === undefined ? {} : { action: filters.action[0] }),
      ...(filters.actor[0] === undefined ? {} : { actor: filters.actor[0] }),
      ...(filters.resource[0] === undefined ? {} : { resourceType: filters.resource[0] }),
      ...(filters.id[0] === undefined ? {} : { resourceId: filters.id[0] }),
      from: from.toISOString(),
      ...(range.kind === "absolute" ? { to: to.toISOString() } : {}),
    };
  }, [filters, now, range, zone]);
}

const COLUMNS: readonly TableColumn<Entry>[] = [
  { id: "at", header: "Time", fixed: true, cell: (entry) => <Time value={entry.createdAt} style="datetime-seconds" /> },
  { id: "who", header: "Who", cell: (entry) => <Actor entry={entry} /> },
  { id: "action", header: "What", fixed: true, cell: (entry) => <span className="font-medium">{actionWords(entry.action)}</span> },
  {
    id: "resource",
    header: "On",
    cell: (entry) => (
      <span className="inline-flex items-center gap-1.5 whitespace-nowrap">
        <span className="text-ink-muted">{resourceWord(entry.resourceType)}</span> <CopyId id={entry.resourceId} short />
      </span>
    ),
    from: "md",
  },
  { id: "changes", header: "Changes", cell: (entry) => <Summary entry={entry} />, from: "lg" },
  { id: "ip", header: "Address", cell: (entry) => <span className="font-mono text-micro">{entry.ip ?? "–"}</span>, hiddenAtFirst: true },
];

function Log() {
  const trpc = useTRPC();
  const filters = useFilters(FILTER_IDS);
  const [range, setRange] = useRange("30d");
  const [openId, setOpenId] = useQueryState("entry", parseAsString);
  const query = useAuditQuery();
  const log = useInfiniteQuery(
    trpc.audit.list.infiniteQueryOptions({ ...query, limit: PAGE_ROWS }, { getNextPageParam: (page) => page.cursor ?? undefined }),
  );
  const entries = useMemo(() => log.data?.pages.flatMap((page) => page.data) ?? [], [log.data]);
  const open = entries.find((entry) => entry.id === openId);

  return (
    <div className="flex flex-col gap-3">
      <div className="flex flex-wrap items-start gap-3">
        <FilterBar what="changes" definitions={FILTERS} state={filters} className="min-w-56 grow" />
        <RangePicker range={range} onRangeChange={setRange} names={["24h", "7d", "30d", "mtd"]} />
        <Export query={query} />
      </div>
      {log.isPending ? (
        <SkeletonRows label="Loading the audit log" />
      ) : log.isError && entries.length === 0 ? (
        <ErrorState
          title="The audit log could not be loaded"
          referenceId={errorOf(log.error).reference ?? undefined}
          onRetry={() => void log.refetch()}
          retrying={log.isFetching}
        >
          {errorOf(log.error).message}
        </ErrorState>
      ) : (
        <>
          <Table
            label="Audit log"
            rows={entries}
            columns={COLUMNS}
            rowId={(entry) => entry.id}
            onOpen={(entry) => void setOpenId(entry.id)}
            openId={openId ?? undefined}
            options
            toolbar="Newest first. Open a row for what it was before and after."
            stale={log.isPlaceholderData}
            empty={
              filters.count > 0 ? (
                <NothingMatches what="No change" onClear={filters.clear} />
              ) : (
                <EmptyState title="Nothing was changed in this time" icon={<ScrollText />}>
                  Keys, budgets, members, prices and settings are listed here when somebody changes them.
                </EmptyState>
              )
            }
          />
          {log.isError && <FormError>{errorOf(log.error).message}</FormError>}
          {entries.length > 0 && (
            <LoadMore
              shown={entries.length}
              what="change"
              hasMore={log.hasNextPage}
              loading={log.isFetchingNextPage}
              onLoadMore={() => void log.fetchNextPage()}
            />
          )}
        </>
      )}
      <Drawer
        open={open !== undefined}
        onOpenChange={(next) => {
          if (!next) void setOpenId(null);
        }}
        modal={false}
        title={open === undefined ? "" : actionWords(open.action)}
        description={open === undefined ? undefined : <Time value={open.createdAt} style="datetime-seconds" />}
      >
        {open !== undefined && <Details entry={open} />}
      </Drawer>
    </div>
  );
}

function Actor({ entry }: { entry: Entry }) {
  const Icon = { user: UserRound, api_key: Bot, system: Server }[entry.actorType] ?? Server;
  const fallback = { user: "Somebody who is gone", api_key: "A key that is gone", system: "NullSpend" }[entry.actorType] ?? entry.actorType;
  return (
    <span className="inline-flex min-w-0 items-center gap-1.5">
      <Icon aria-hidden className="size-3.5 shrink-0 text-ink-muted" />
      <span className="min-w-0 break-words">
        {entry.actorType === "api_key" && <span className="sr-only">Key </span>}
        {entry.actorName ?? fallback}
      </span>
    </span>
  );
}

function Summary({ entry }: { entry: Entry }) {
  const changes = changesBetween(entry.before, entry.after);
  if (entry.before === null || entry.after === null || changes.length === 0) return <span className="text-ink-muted">–</span>;
  return <span className="text-ink-muted">{changes.map(({ field }) => field).join(", ")}</span>;
}

function Details({ entry }: { entry: Entry }) {
  const changes = changesBetween(entry.before, entry.after);
  return (
    <div className="flex flex-col gap-6">
      <KeyValueList
        items={[
          { key: "Who", value: <Actor entry={entry} /> },
          { key: "Their id", value: entry.actorId === null ? "–" : <CopyId id={entry.actorId} /> },
          { key: "From address", value: <span className="font-mono text-micro">{entry.ip ?? "not known"}</span> },
          { key: "Action", value: <code className="font-mono text-micro">{entry.action}</code> },
          { key: resourceWord(entry.resourceType), value: <CopyId id={entry.resourceId} /> },
          { key: "Entry", value: <CopyId id={entry.id} /> },
        ]}
      />
      <section>
        <h3 className="mb-2 text-small font-semibold">
          {entry.before === null ? "What it became" : entry.after === null ? "What it was" : "What changed"}
        </h3>
        {changes.length === 0 ? (
          <p className="text-small text-ink-muted">No field has another value.</p>
        ) : (
          <ul className="divide-y divide-line rounded-control border border-line">
            {changes.map(({ field, before, after }) => (
              <li key={field} className="px-3 py-2">
                <p className="font-mono text-micro text-ink-muted">{field}</p>
                {before !== undefined && (
                  <p className="flex gap-2 text-small">
                    <span aria-hidden className="w-3 shrink-0 text-danger">
                      −
                    </span>
                    <span className="min-w-0 break-all">
                      <span className="sr-only">Before: </span>
                      <del className="no-underline">{before === "" ? "(empty)" : before}</del>
                    </span>
                  </p>
                )}
                {after !== undefined && (
                  <p className="flex gap-2 text-small">
                    <span aria-hidden className="w-3 shrink-0 text-positive">
                      +
                    </span>
                    <span className="min-w-0 break-all">
                      <span className="sr-only">After: </span>
                      <ins className="no-underline">{after === "" ? "(empty)" : after}</ins>
                    </span>
                  </p>
                )}
              </li>
            ))}
          </ul>
        )}
      </section>
    </div>
  );
}

/** Reads all pages of what is filtered, and says how far it is. */
function Export({ query }: { query: Query }) {
  const client = useTRPCClient();
  const { org } = useShell();
  const [rows, setRows] = useState<number>();
  const [problem, setProblem] = useState<string>();

  async function run(): Promise<void> {
    setRows(0);
    setProblem(undefined);
    const lines: (string | null)[][] = [
      ["time", "actor_type", "actor_id", "actor_name", "action", "resource_type", "resource_id", "before", "after", "ip", "id"],
    ];
    try {
      for (let cursor: string | null | undefined; cursor !== null && lines.length <= EXPORT_ROWS_MAX;) {
        const page: RouterOutputs["audit"]["list"] = await client.audit.list.query({
          ...query,
          limit: PAGE_ROWS,
          ...(cursor === undefined ? {} : { cursor }),
        });
        for (const entry of page.data)
          lines.push([
            entry.createdAt,
            entry.actorType,
            entry.actorId,
            entry.actorName,
            entry.action,
            entry.resourceType,
            entry.resourceId,
            entry.before === null ? null : JSON.stringify(entry.before),
            entry.after === null ? null : JSON.stringify(entry.after),
            entry.ip,
            entry.id,
          ]);
        setRows(lines.length - 1);
        cursor = page.cursor;
      }
      saveAsFile({ name: `${org.slug}-audit-log.csv`, text: csvText(lines), type: "text/csv;charset=utf-8" });
      if (lines.length > EXPORT_ROWS_MAX)
        setProblem(`The file holds the latest ${formatCount(EXPORT_ROWS_MAX)} changes. Choose a shorter range for the others.`);
    } catch (error) {
      setProblem(`The export stopped. ${errorOf(error).message}`);
    } finally {
      setRows(undefined);
    }
  }

  return (
    <div>
      <Button disabled={rows !== undefined} onClick={() => void run()} icon={<Download aria-hidden className="size-4" />}>
        {rows === undefined ? "CSV" : `${formatCount(rows)} rows…`}
      </Button>
      <FormError>{problem}</FormError>
    </div>
  );
}
