"use client";

import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { filterWords, intervalWords, useEntityNames } from "@/ui/budgets/entity";
import { formatCount, formatPercent, plural } from "@/ui/format/count";
import { formatDuration } from "@/ui/format/time";
import { resolveRange, bucketFor } from "@/ui/format/range";
import { Status } from "@/ui/kit/badge";
import { Sparkline, TimeSeries } from "@/ui/kit/charts";
import { EmptyState, ErrorState } from "@/ui/kit/empty-state";
import { Link } from "@/ui/kit/link";
import { BudgetBar } from "@/ui/kit/meter";
import { Money } from "@/ui/kit/money";
import { Card, PageHeader, StatTile, StatTiles } from "@/ui/kit/page";
import { RangePicker, useRange } from "@/ui/kit/range-picker";
import { SkeletonRows } from "@/ui/kit/skeleton";
import { Time, useNow, useOrgZone } from "@/ui/kit/time";
import { useOrgPath } from "@/ui/shell/shell-context";
import { errorOf, useTRPC, type RouterOutputs } from "@/ui/trpc";

/** Numbers move in steps; twice a second would be read by nobody. */
const TICK_MS = 1_000;
const FEED = 12;
const BUDGETS = 4;

export function OverviewPage() {
  const trpc = useTRPC();
  const spend = useQuery(trpc.overview.spend.queryOptions(undefined, { refetchInterval: TICK_MS }));
  const burn = useQuery(trpc.overview.burnRate.queryOptions(undefined, { refetchInterval: TICK_MS }));
  return (
    <>
      <PageHeader title="Overview" description="What agents spend, as they spend it." />
      <div className="flex flex-col gap-6">
        {spend.isPending || burn.isPending ? (
          <SkeletonRows rows={3} label="Loading the sums" />
        ) : spend.isError || burn.isError ? (
          <ErrorState
            title="The sums could not be loaded"
            referenceId={errorOf(spend.error ?? burn.error).reference ?? undefined}
            onRetry={() => {
              void spend.refetch();
              void burn.refetch();
            }}
            retrying={spend.isFetching}
          >
            {errorOf(spend.error ?? burn.error).message}
          </ErrorState>
        ) : (
          <Tiles spend={spend.data} burn={burn.data} />
        )}
        <SpendChart />
        <div className="grid gap-6 lg:grid-cols-2">
          {burn.data !== undefined && <NearestBudgets burn={burn.data} />}
          <TopMovers />
        </div>
        <Feed />
      </div>
    </>
  );
}

type Spend = RouterOutputs["overview"]["spend"];
type Burn = RouterOutputs["overview"]["burnRate"];

function Tiles({ spend, burn }: { spend: Spend; burn: Burn }) {
  const path = useOrgPath();
  const nearest = burn.nearest;
  return (
    <StatTiles>
      <StatTile
        label="Today"
        value={<Money microdollars={spend.today.spendMicrodollars} />}
        note={
          <>
            {spend.reservedMicrodollars > 0 && (
              <>
                <Money microdollars={spend.reservedMicrodollars} /> held in flight ·{" "}
              </>
            )}
            {changeWords(spend.today.comparison.changeRatio, "yesterday")}
          </>
        }
      />
      <StatTile
        label="This month"
        value={<Money microdollars={spend.month.spendMicrodollars} />}
        note={changeWords(spend.month.comparison.changeRatio, "the month before")}
      />
      <StatTile
        label="Month at this pace"
        value={spend.forecast.monthMicrodollars === null ? "–" : <Money microdollars={spend.forecast.monthMicrodollars} />}
        note={
          <span title={spend.forecast.method}>
            {spend.forecast.monthMicrodollars === null ? "needs a day of calls" : spend.forecast.method}
          </span>
        }
      />
      <StatTile
        label="A minute"
        value={<Money microdollars={burn.perMinuteMicrodollars} />}
        note={
          nearest === null
            ? `${formatCount(Math.round(burn.callsPerMinute))} calls a minute`
            : nearest.secondsToLimit === 0
              ? "a limit is reached"
              : `nearest limit in ${formatDuration(nearest.secondsToLimit * 1_000)}`
        }
      />
      <StatTile
        label="Denied today"
        value={formatCount(spend.today.deniedCalls)}
        note={
          <>
            <Money microdollars={spend.today.notSpentMicrodollars} /> not spent
          </>
        }
        href={`${path("activity")}?status=denied`}
      />
    </StatTiles>
  );
}

function changeWords(ratio: number | null, than: string): string {
  if (ratio === null) return `nothing to compare with ${than}`;
  if (ratio === 0) return `as much as ${than}`;
  return `${formatPercent(Math.abs(ratio))} ${ratio > 0 ? "more" : "less"} than ${than}`;
}

function SpendChart() {
  const trpc = useTRPC();
  const zone = useOrgZone();
  const [range, setRange] = useRange("7d");
  const minute = useNow(60_000);
  const interval = useMemo(() => resolveRange(range, minute, zone), [range, minute, zone]);
  const bucket = bucketFor(interval) === "day" ? ("day" as const) : ("hour" as const);
  const explored = useQuery(
    trpc.reports.explore.queryOptions(
      { metric: "cost", groupBy: "model", bucket, from: interval.from.toISOString(), to: interval.to.toISOString(), top: 6 },
      { refetchInterval: 10_000, placeholderData: (before) => before },
    ),
  );
  return (
    <Card title="Spend by model" actions={<RangePicker range={range} onRangeChange={setRange} />}>
      {explored.isPending ? (
        <SkeletonRows rows={6} label="Loading the chart" />
      ) : explored.isError ? (
        <ErrorState
          title="The chart could not be loaded"
          referenceId={errorOf(explored.error).reference ?? undefined}
          onRetry={() => void explored.refetch()}
        >
          {errorOf(explored.error).message}
        </ErrorState>
      ) : (
        <ExploredChart explored={explored.data} bucket={bucket} stale={explored.isPlaceholderData} />
      )}
    </Card>
  );
}

function ExploredChart({
  explored,
  bucket,
  stale,
}: {
  explored: RouterOutputs["reports"]["explore"];
  bucket: "hour" | "day";
  stale: boolean;
}) {
  const { buckets, incompleteFrom, groups, other } = explored;
  const isRest = other !== null && other.points.some((point) => point > 0);
  return (
    <TimeSeries
      label="Spend by model"
      kind="bars"
      unit="usd"
      bucket={bucket}
      series={[...groups.map(({ value, key }) => ({ id: value, label: key })), ...(isRest ? [{ id: "other", label: "Other" }] : [])]}
      buckets={buckets.map((start, at) => ({
        start,
        incomplete: incompleteFrom !== null && at >= incompleteFrom,
        values: {
          ...Object.fromEntries(groups.map(({ value, points }) => [value, points[at] ?? 0])),
          ...(isRest && { other: other.points[at] ?? 0 }),
        },
      }))}
      stale={stale}
    />
  );
}

function NearestBudgets({ burn }: { burn: Burn }) {
  const path = useOrgPath();
  const nameOf = useEntityNames();
  const nearest = burn.budgets.slice(0, BUDGETS);
  return (
    <Card title="Closest to the wall" actions={<Link href={path("budgets")}>All budgets</Link>}>
      {nearest.length === 0 ? (
        <EmptyState title="No budgets yet">
          <Link href={`${path("budgets")}?new=true`}>Make one</Link>, and an agent that runs away is stopped before it costs more.
        </EmptyState>
      ) : (
        <ul className="flex flex-col gap-4">
          {nearest.map(({ budget, secondsToLimit }) => (
            <li key={budget.id}>
              <div className="mb-1.5 flex flex-wrap justify-between gap-x-3 text-small">
                <span className="min-w-0 font-medium break-words">
                  {nameOf(budget)}
                  {filterWords(budget) === "" ? "" : `, ${filterWords(budget)}`}
                </span>
                <span className="text-ink-muted tabular-nums">
                  <Money microdollars={budget.spendMicrodollars} /> of <Money microdollars={budget.currentLimitMicrodollars} />{" "}
                  {intervalWords(budget.resetInterval)}
                  {secondsToLimit === null ? "" : secondsToLimit === 0 ? ", reached" : `, ${formatDuration(secondsToLimit * 1_000)} left`}
                </span>
              </div>
              <BudgetBar
                label={`Budget of ${nameOf(budget)}`}
                spent={budget.spendMicrodollars}
                reserved={budget.reservedMicrodollars}
                limit={budget.currentLimitMicrodollars}
                thresholds={budget.thresholdPercentages}
              />
            </li>
          ))}
        </ul>
      )}
    </Card>
  );
}

function TopMovers() {
  const trpc = useTRPC();
  const path = useOrgPath();
  const movers = useQuery(trpc.overview.movers.queryOptions({ dimension: "api_key", days: 7, limit: 5 }, { refetchInterval: 60_000 }));
  return (
    <Card title="What changed most in seven days" actions={<Link href={path("explorer")}>Explore</Link>}>
      {movers.data === undefined ? (
        movers.isError ? (
          <ErrorState title="This could not be loaded" onRetry={() => void movers.refetch()}>
            {errorOf(movers.error).message}
          </ErrorState>
        ) : (
          <SkeletonRows rows={4} label="Loading" />
        )
      ) : movers.data.movers.length === 0 ? (
        <EmptyState title="Nothing to compare yet">Keys stand here once they spend more, or less, than the week before.</EmptyState>
      ) : (
        <ul className="divide-y divide-line">
          {movers.data.movers.map(({ key, value, changeMicrodollars, spendMicrodollars, points }) => (
            <li key={value} className="grid grid-cols-[minmax(0,1fr)_6rem_auto] items-center gap-3 py-2 text-small">
              <Link href={`${path("activity")}?key=${encodeURIComponent(value)}&range=7d`} className="truncate">
                {key}
              </Link>
              <Sparkline label={`Spend of ${key}, day by day`} values={points} incomplete />
              <span className="text-right tabular-nums">
                <Money microdollars={spendMicrodollars} />
                <span className="block text-micro text-ink-muted">
                  {changeMicrodollars >= 0 ? "+" : "−"}
                  <Money microdollars={Math.abs(changeMicrodollars)} />
                </span>
              </span>
            </li>
          ))}
        </ul>
      )}
    </Card>
  );
}

function Feed() {
  const trpc = useTRPC();
  const path = useOrgPath();
  const calls = useQuery(trpc.events.list.queryOptions({ limit: FEED }, { refetchInterval: TICK_MS }));
  return (
    <Card title="Calls as they settle" actions={<Link href={path("activity")}>All calls</Link>} flush>
      {calls.data === undefined ? (
        <div className="p-4">
          <SkeletonRows rows={6} label="Loading the calls" />
        </div>
      ) : calls.data.data.length === 0 ? (
        <EmptyState title="No calls yet">
          <Link href={path("get-started")}>Connect a client</Link>, and each call stands here as it settles.
        </EmptyState>
      ) : (
        <ul className="divide-y divide-line" aria-label={plural(calls.data.data.length, "newest call")}>
          {calls.data.data.map((call) => (
            <li
              key={call.id}
              className="grid grid-cols-[auto_minmax(0,1fr)_auto] items-center gap-x-3 gap-y-0.5 px-4 py-2 text-small sm:px-5"
            >
              <Status value={call.status} />
              <Link href={`${path("activity")}?call=${call.id}`} className="min-w-0 truncate">
                {call.toolName ?? call.model}
                {call.keyName === null ? "" : ` · ${call.keyName}`}
              </Link>
              <span className="text-right tabular-nums">
                <Money microdollars={call.costMicrodollars} />
                <span className="block text-micro text-ink-muted">
                  <Time value={call.createdAt} style="time-seconds" />
                </span>
              </span>
            </li>
          ))}
        </ul>
      )}
    </Card>
  );
}
