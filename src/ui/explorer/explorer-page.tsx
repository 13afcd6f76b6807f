"use client";

import { useQuery } from "@tanstack/react-query";
import { Download, Link2 } from "lucide-react";
import { parseAsBoolean, parseAsString, parseAsStringLiteral, useQueryState } from "nuqs";
import { useMemo } from "react";
import { formatCount, formatPercent, plural } from "@/ui/format/count";
import { saveAsFile } from "@/ui/format/csv";
import { formatUsd } from "@/ui/format/money";
import { printRange, resolveRange, type Range } from "@/ui/format/range";
import { Button } from "@/ui/kit/button";
import { TimeSeries, type ChartBucket, type ChartSeries } from "@/ui/kit/charts";
import { Switch } from "@/ui/kit/choice";
import { EmptyState, ErrorState, NothingMatches } from "@/ui/kit/empty-state";
import { FilterBar, useFilters } from "@/ui/kit/filter-bar";
import { Link } from "@/ui/kit/link";
import { Money } from "@/ui/kit/money";
import { Card, Notice, PageHeader, StatTile, StatTiles } from "@/ui/kit/page";
import { RangePicker, useRange } from "@/ui/kit/range-picker";
import { Select } from "@/ui/kit/select";
import { OTHER_ID } from "@/ui/kit/series-colour";
import { SkeletonRows } from "@/ui/kit/skeleton";
import { Time, useNow, useOrgZone } from "@/ui/kit/time";
import { toast } from "@/ui/kit/toast";
import { copyText } from "@/ui/lib/copy-text";
import { useOrgPath } from "@/ui/shell/shell-context";
import { errorOf, useTRPC } from "@/ui/trpc";
import { csvOf } from "./csv";
import { GroupTable } from "./group-table";
import {
  activityQuery,
  BUCKETS,
  bucketsFor,
  changeWords,
  exploreFilterOf,
  FILTER_IDS,
  filterDefinitions,
  filterOfGroup,
  groupOptions,
  groupWord,
  isGroup,
  METRIC_WORDS,
  METRICS,
  unitOf,
  usualBucket,
  type Bucket,
  type Exploration,
  type Metric,
} from "./question";

/** Roll-ups know hours, so an hour alone would be one bar. */
const RANGES = ["24h", "7d", "30d", "mtd"] as const;
const TOPS = ["5", "10", "25", "50"] as const;
const BUCKET_WORDS: Readonly<Record<Bucket, string>> = { hour: "By hour", day: "By day", week: "By week", month: "By month" };
/** So many groups have colours of their own; the table has all that were asked for. */
const SERIES_MAX = 8;

export function ExplorerPage() {
  const trpc = useTRPC();
  const path = useOrgPath();
  const zone = useOrgZone();
  const [range, setRange] = useRange("7d");
  const [metric, setMetric] = useQueryState("metric", parseAsStringLiteral(METRICS).withDefault("cost").withOptions({ history: "push" }));
  const [groupText, setGroup] = useQueryState("group", parseAsString.withDefault("model").withOptions({ history: "push" }));
  const [bucketChosen, setBucket] = useQueryState("bucket", parseAsStringLiteral(BUCKETS).withOptions({ history: "push" }));
  const [top, setTop] = useQueryState("top", parseAsStringLiteral(TOPS).withDefault("10").withOptions({ history: "push" }));
  const [compare, setCompare] = useQueryState("compare", parseAsBoolean.withDefault(true));
  const state = useFilters(FILTER_IDS);
  const keys = useQuery(trpc.keys.list.queryOptions({ limit: 100 }));
  const members = useQuery(trpc.members.list.queryOptions());
  const tagKeys = useQuery(trpc.events.tagKeys.queryOptions());
  const tags = useMemo(() => tagKeys.data ?? [], [tagKeys.data]);
  const definitions = useMemo(
    () =>
      filterDefinitions({
        keys: keys.data?.data ?? [],
        users: (members.data?.members ?? []).map(({ userId, name, email }) => ({ id: userId, name: name ?? email ?? userId })),
        tagKeys: tags,
      }),
    [keys.data, members.data, tags],
  );

  const group = isGroup(groupText) ? groupText : "model";
  const now = useNow(60_000);
  const interval = resolveRange(range, now, zone);
  const possible = bucketsFor(interval);
  const bucket = bucketChosen !== null && possible.includes(bucketChosen) ? bucketChosen : usualBucket(interval);
  const answer = useQuery(
    trpc.reports.explore.queryOptions(
      {
        metric,
        bucket,
        top: Number(top),
        compare,
        filter: exploreFilterOf(state.filters),
        from: interval.from.toISOString(),
        // A relative range ends with the hour that runs, which is the server's to know.
        ...(range.kind === "absolute" && { to: interval.to.toISOString() }),
        ...(group !== "none" && { groupBy: group }),
      },
      { placeholderData: (before) => before },
    ),
  );

  const calls = activityQuery({ filters: state.filters, range: printRange(range) });
  const groups = groupOptions(group.startsWith("tag:") && !tags.includes(group.slice(4)) ? [...tags, group.slice(4)] : tags);

  async function copyLink(): Promise<void> {
    if (await copyText(window.location.href)) toast.success("Link copied", { description: "It opens this very view for your team." });
    else toast.error("The link could not be copied", { description: "Copy it from the address bar." });
  }

  return (
    <>
      <PageHeader
        title="Explorer"
        description={`What was spent on what, and since when. Days are those of ${zone}.`}
        actions={
          <>
            <Button icon={<Link2 aria-hidden className="size-4" />} onClick={() => void copyLink()}>
              Copy link
            </Button>
            <Button
              icon={<Download aria-hidden className="size-4" />}
              disabled={answer.data === undefined}
              onClick={() => answer.data !== undefined && download(answer.data)}
            >
              CSV
            </Button>
          </>
        }
      />
      <div className="flex flex-col gap-4">
        <div className="flex flex-wrap items-center gap-2 print:hidden">
          <RangePicker range={range} onRangeChange={setRange} names={RANGES} />
          <Select<Metric>
            size="small"
            className="w-36"
            aria-label="What is counted"
            value={metric}
            onValueChange={(next) => void setMetric(next)}
            options={METRICS.map((value) => ({ value, label: METRIC_WORDS[value] }))}
          />
          <Select
            size="small"
            className="w-44"
            aria-label="Grouped by"
            value={group}
            onValueChange={(next) => void setGroup(next)}
            options={groups}
          />
          <Select<Bucket>
            size="small"
            className="w-32"
            aria-label="Length of a bar"
            value={bucket}
            onValueChange={(next) => void setBucket(next)}
            options={possible.map((value) => ({ value, label: BUCKET_WORDS[value] }))}
          />
          <Select<(typeof TOPS)[number]>
            size="small"
            className="w-28"
            aria-label="How many groups"
            value={top}
            onValueChange={(next) => void setTop(next)}
            options={TOPS.map((value) => ({ value, label: `Top ${value}` }))}
          />
          <Switch label="Compare" checked={compare} onCheckedChange={(next) => void setCompare(next)} />
        </div>
        <FilterBar what="spend" definitions={definitions} state={state} />
        {answer.isPending ? (
          <SkeletonRows rows={10} label="Adding up" />
        ) : answer.isError ? (
          <ErrorState
            title="This could not be added up"
            referenceId={errorOf(answer.error).reference ?? undefined}
            onRetry={() => void answer.refetch()}
            retrying={answer.isFetching}
          >
            {errorOf(answer.error).message}
          </ErrorState>
        ) : answer.data.total.requestCount === 0 ? (
          state.count > 0 ? (
            <NothingMatches what="No call" onClear={state.clear} />
          ) : (
            <EmptyState title="No calls in this time">
              Choose a longer range, or <Link href={path("get-started")}>connect a client</Link>.
            </EmptyState>
          )
        ) : (
          <>
            {!answer.data.complete && (
              <Notice tone="warning" title="Not everything is counted">
                Two filters of different kinds are counted call by call, the newest first
                {answer.data.coveredFrom === null ? "" : ": this reaches back to "}
                {answer.data.coveredFrom !== null && <Time value={answer.data.coveredFrom} />}. A shorter range is complete.
              </Notice>
            )}
            <Totals answer={answer.data} />
            <Card
              title={titleOf(metric, group)}
              actions={
                calls !== undefined && (
                  <Link href={path(`activity?${calls}`)} className="text-small">
                    Show the calls
                  </Link>
                )
              }
            >
              <Chart
                answer={answer.data}
                stale={answer.isPlaceholderData}
                onPickBucket={(start) => {
                  const next = rangeOfBucket(answer.data, start);
                  if (next !== undefined) {
                    void setBucket(null);
                    setRange(next);
                  }
                }}
                onPickSeries={(value) => {
                  const filter = filterOfGroup(group, value);
                  if (filter !== undefined) state.set(filter.id, [filter.value]);
                }}
              />
            </Card>
            {group !== "none" && (
              <GroupTable
                answer={answer.data}
                stale={answer.isPlaceholderData}
                onPick={(value) => {
                  const filter = filterOfGroup(group, value);
                  if (filter !== undefined) state.set(filter.id, [filter.value]);
                }}
                callsHref={(value) => {
                  const filter = filterOfGroup(group, value);
                  if (filter === undefined) return undefined;
                  const query = activityQuery({
                    filters: { ...state.filters, [filter.id]: filter.id === "tag" ? [...state.filters.tag, filter.value] : [filter.value] },
                    range: printRange(range),
                  });
                  return query === undefined ? undefined : path(`activity?${query}`);
                }}
              />
            )}
          </>
        )}
      </div>
    </>
  );
}

const titleOf = (metric: Metric, group: string): string =>
  group === "none"
    ? METRIC_WORDS[metric]
    : `${METRIC_WORDS[metric]} by ${groupWord(group).replace(/^./, (letter) => letter.toLowerCase())}`;

/** A click on a bar shows what was in it. Undefined for the shortest bars. */
function rangeOfBucket({ buckets, period, bucket }: Exploration, start: string): Range | undefined {
  const at = buckets.indexOf(start);
  if (at === -1 || (bucket === "hour" && buckets.length === 1)) return undefined;
  const from = new Date(Math.max(Date.parse(start), Date.parse(period.from)));
  const to = new Date(Math.min(Date.parse(buckets[at + 1] ?? period.to), Date.parse(period.to)));
  return { kind: "absolute", from, to };
}

function download(answer: Exploration): void {
  const name = `nullspend-${answer.metric}-${(answer.groupBy ?? "total").replaceAll(/[^a-z0-9]+/gi, "-")}-${answer.period.from.slice(0, 10)}.csv`;
  saveAsFile({ name, text: csvOf(answer), type: "text/csv;charset=utf-8" });
}

function Totals({ answer }: { answer: Exploration }) {
  const { total, metric } = answer;
  const share = total.inputTokens === 0 ? null : total.cachedInputTokens / total.inputTokens;
  return (
    <StatTiles>
      <StatTile
        label={METRIC_WORDS[metric]}
        value={<Amount metric={metric} value={total.metric} />}
        note={
          total.previous !== null && (
            <>
              {changeWords(total.metric, total.previous.value)} on the time before (
              {metric === "cost" ? formatUsd(total.previous.value) : formatCount(total.previous.value)})
            </>
          )
        }
      />
      <StatTile
        label="Calls"
        value={formatCount(total.requestCount)}
        note={total.deniedCount > 0 ? `${formatCount(total.deniedCount)} denied` : "none denied"}
      />
      <StatTile label="A call" value={<Money microdollars={total.avgCostMicrodollars} />} note="on average" />
      <StatTile
        label="Input from the cache"
        value={formatPercent(share)}
        note={
          total.unpricedCount > 0
            ? `${plural(total.unpricedCount, "call")} without a price`
            : `${formatCount(total.cachedInputTokens)} tokens`
        }
      />
    </StatTiles>
  );
}

function Amount({ metric, value }: { metric: Metric; value: number }) {
  return metric === "cost" ? <Money microdollars={value} /> : <>{formatCount(value)}</>;
}

type ChartProps = {
  answer: Exploration;
  stale: boolean;
  onPickBucket: (start: string) => void;
  onPickSeries: (value: string) => void;
};

function Chart({ answer, stale, onPickBucket, onPickSeries }: ChartProps) {
  const { metric, groupBy, groups, other, total, buckets, bucket, incompleteFrom } = answer;
  const own = groups.slice(0, SERIES_MAX);
  const rest = groups.slice(SERIES_MAX);
  const hasOther = rest.length > 0 || other.metric > 0;
  const series: ChartSeries[] =
    groupBy === null
      ? [{ id: "total", label: METRIC_WORDS[metric] }]
      : [...own.map(({ value, key }) => ({ id: value, label: key })), ...(hasOther ? [{ id: OTHER_ID, label: "Other" }] : [])];
  const rows = buckets.map((start, at): ChartBucket => {
    const values: Record<string, number> =
      groupBy === null ? { total: total.points[at] ?? 0 } : Object.fromEntries(own.map(({ value, points }) => [value, points[at] ?? 0]));
    if (hasOther) values[OTHER_ID] = rest.reduce((sum, { points }) => sum + (points[at] ?? 0), other.points[at] ?? 0);
    return { start, incomplete: incompleteFrom !== null && at >= incompleteFrom, values };
  });
  const all = groups.length + other.count;
  return (
    <TimeSeries
      label={titleOf(metric, groupBy ?? "none")}
      kind="bars"
      unit={unitOf(metric)}
      series={series}
      buckets={rows}
      bucket={bucket === "hour" ? "hour" : "day"}
      onPickBucket={onPickBucket}
      onPickSeries={onPickSeries}
      stale={stale}
      height={280}
      {...(groupBy !== null && all > own.length && { note: `${own.length} of ${formatCount(all)} in colour` })}
    />
  );
}
