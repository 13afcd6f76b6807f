"use client";

import { ChartColumn, Download, Table2 } from "lucide-react";
import { useId, useMemo, useState, type ReactNode } from "react";
import {
  Bar,
  CartesianGrid,
  ComposedChart,
  Line,
  ReferenceLine,
  ResponsiveContainer,
  Tooltip,
  XAxis,
  YAxis,
  type TooltipContentProps,
} from "recharts";
import { formatCompact, formatCount, formatPercent } from "@/ui/format/count";
import { csvText, saveAsFile } from "@/ui/format/csv";
import { columnDecimals, formatUsd, plainUsd } from "@/ui/format/money";
import { formatDuration, formatTime, type TimeStyle } from "@/ui/format/time";
import { IconButton } from "./button";
import { cn } from "./cn";
import { OTHER_ID, seriesColours } from "./series-colour";
import { useOrgZone } from "./time";

/** Microdollars, a number of things, milliseconds, or a share between 0 and 1. */
export type ChartUnit = "usd" | "count" | "ms" | "share";

export type ChartSeries = { id: string; label: string };

export type ChartBucket = {
  /** Start of the bucket, ISO 8601. */
  start: string;
  /** By series id. For sums a missing value is zero; for averages it is a gap. */
  values: Readonly<Record<string, number | null>>;
  /** Time has not run out in it: drawn dotted, and said. */
  incomplete?: boolean;
};

export type ChartMark = { value: number; label: string; tone?: "limit" | "warning" };
export type ChartEvent = { at: string; label: string };

type TimeSeriesProps = {
  /** What it shows: "Spend by model". */
  label: string;
  /** Bars are stacked and add up; lines stand for themselves. */
  kind: "bars" | "lines";
  unit: ChartUnit;
  /** Largest first; what is too small for a line of its own under the id OTHER_ID. */
  series: readonly ChartSeries[];
  buckets: readonly ChartBucket[];
  bucket: "minute" | "hour" | "day";
  /** Days and hours are read in this zone; the organisation's unless given. */
  zone?: string;
  /** Limits and thresholds. */
  marks?: readonly ChartMark[];
  /** What happened: a budget changed, an approval. */
  events?: readonly ChartEvent[];
  /** Charts with the same id share the marker of time. */
  syncId?: string;
  /** A click on a bucket or a point. */
  onPickBucket?: (start: string) => void;
  /** A click on a name in the legend. */
  onPickSeries?: (id: string) => void;
  /** Says that there are more: "showing 8 of 487". */
  note?: ReactNode;
  height?: number;
  /** Old data stays, dimmed, while new data loads. */
  stale?: boolean;
};

const print: Readonly<Record<ChartUnit, (value: number | null | undefined) => string>> = {
  usd: (value) => formatUsd(value),
  count: formatCount,
  ms: formatDuration,
  share: formatPercent,
};

const printAxis: Readonly<Record<ChartUnit, (value: number, top: number) => string>> = {
  usd: (value, top) =>
    value === 0
      ? "$0"
      : top >= 10_000_000_000
        ? formatUsd(value, { compact: true })
        : formatUsd(value, { decimals: columnDecimals([top / 4]) }),
  count: (value) => formatCompact(value),
  ms: (value) => formatDuration(value),
  share: (value) => formatPercent(value),
};

const TICK: Readonly<Record<TimeSeriesProps["bucket"], TimeStyle>> = { minute: "time", hour: "time", day: "day" };
const FULL: Readonly<Record<TimeSeriesProps["bucket"], TimeStyle>> = { minute: "datetime", hour: "datetime", day: "date" };

/**
 * Values over time. Straight segments, no animation, one unit; the last bucket dotted while it is incomplete; the same entity in the
 * same colour everywhere; as a table on demand, and in one sentence for screen readers.
 */
export function TimeSeries(props: TimeSeriesProps) {
  const {
    label,
    kind,
    unit,
    series,
    buckets,
    bucket,
    marks = [],
    events = [],
    syncId,
    onPickBucket,
    onPickSeries,
    note,
    height = 260,
  } = props;
  const orgZone = useOrgZone();
  const zone = props.zone ?? orgZone;
  const [asTable, setAsTable] = useState(false);
  const base = useId();
  const hatch = `${base}hatch`.replaceAll(/[^\w-]/g, "");
  const colours = useMemo(() => seriesColours(series.map((each) => each.id)), [series]);
  const summary = summaryOf(props, zone);

  const data = useMemo(
    () =>
      buckets.map((each, at) => {
        const row: Record<string, number | string | boolean | null> = { start: each.start, incomplete: each.incomplete === true };
        for (const { id } of series) {
          const value = each.values[id] ?? (kind === "bars" ? 0 : null);
          // The way into an incomplete bucket is a dotted line of its own.
          const tail = kind === "lines" && (each.incomplete === true || buckets[at + 1]?.incomplete === true);
          row[`main:${id}`] = kind === "lines" && each.incomplete === true ? null : value;
          row[`tail:${id}`] = tail ? value : null;
        }
        return row;
      }),
    [buckets, series, kind],
  );

  const top = Math.max(
    0,
    ...marks.map((mark) => mark.value),
    ...buckets.map((each) => {
      const values = series.map(({ id }) => each.values[id] ?? 0);
      return kind === "bars" ? values.reduce((sum, value) => sum + value, 0) : Math.max(0, ...values);
    }),
  );

  return (
    <figure className={cn("min-w-0 transition-opacity", props.stale === true && "opacity-60 delay-400")} aria-label={label}>
      <div className="mb-2 flex items-start justify-between gap-3">
        <Legend series={series} colours={colours} onPick={onPickSeries} note={note} />
        <div className="flex shrink-0 print:hidden">
          <IconButton size="small" label={asTable ? "Show as chart" : "Show as table"} onClick={() => setAsTable(!asTable)}>
            {asTable ? <ChartColumn aria-hidden className="size-4" /> : <Table2 aria-hidden className="size-4" />}
          </IconButton>
          <IconButton size="small" label="Download as CSV" onClick={() => download(props)}>
            <Download aria-hidden className="size-4" />
          </IconButton>
        </div>
      </div>
      {asTable ? (
        <ChartTable {...props} zone={zone} />
      ) : (
        <div style={{ height }} className="min-w-0 text-micro">
          <ResponsiveContainer width="100%" height="100%" initialDimension={{ width: 640, height }}>
            <ComposedChart
              data={data}
              accessibilityLayer
              {...(syncId === undefined ? {} : { syncId })}
              margin={{ top: 8, right: 8, bottom: 0, left: 0 }}
              barCategoryGap={buckets.length > 60 ? 1 : "20%"}
              onClick={(state) => {
                const picked = typeof state.activeLabel === "string" ? state.activeLabel : undefined;
                if (picked !== undefined) onPickBucket?.(picked);
              }}
              className={onPickBucket === undefined ? "" : "[&_.recharts-surface]:cursor-pointer"}
            >
              <defs>
                {series.map(({ id }, at) => (
                  <pattern key={id} id={`${hatch}${at}`} width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
                    <rect width="2" height="5" fill={colours.get(id)} />
                  </pattern>
                ))}
              </defs>
              <CartesianGrid vertical={false} stroke="var(--line)" />
              <XAxis
                dataKey="start"
                tickFormatter={(start: string) => formatTime(new Date(start), TICK[bucket], zone)}
                tick={{ fill: "var(--ink-muted)", fontSize: 12 }}
                tickLine={false}
                axisLine={{ stroke: "var(--line-strong)" }}
                minTickGap={28}
                interval="preserveStartEnd"
              />
              <YAxis
                // As wide as its longest label: tiny money has many digits.
                width={Math.max(64, printAxis[unit](top, top).length * 8 + 12)}
                domain={[0, top === 0 ? 1 : "auto"]}
                tickFormatter={(value: number) => printAxis[unit](value, top)}
                tick={{ fill: "var(--ink-muted)", fontSize: 12 }}
                tickLine={false}
                axisLine={false}
                tickCount={5}
                allowDecimals={unit !== "count"}
              />
              <Tooltip
                isAnimationActive={false}
                cursor={kind === "bars" ? { fill: "var(--line)", opacity: 0.5 } : { stroke: "var(--line-strong)" }}
                content={(tooltip: TooltipContentProps) => (
                  <ChartTooltip
                    tooltip={tooltip}
                    buckets={buckets}
                    series={series}
                    colours={colours}
                    unit={unit}
                    kind={kind}
                    bucket={bucket}
                    zone={zone}
                  />
                )}
              />
              {marks.map((mark) => (
                <ReferenceLine
                  key={mark.label}
                  y={mark.value}
                  ifOverflow="extendDomain"
                  stroke={mark.tone === "warning" ? "var(--warning)" : "var(--danger)"}
                  strokeDasharray="6 3"
                  label={{ ...OVER_BARS, value: mark.label, position: "insideBottomRight", fill: "var(--ink)", fontSize: 12 }}
                />
              ))}
              {events.map((event) => (
                <ReferenceLine
                  key={`${event.at} ${event.label}`}
                  x={bucketOf(event.at, buckets)}
                  stroke="var(--ink-muted)"
                  strokeDasharray="2 3"
                  label={{ ...OVER_BARS, value: event.label, position: "insideTopRight", fill: "var(--ink-muted)", fontSize: 11 }}
                />
              ))}
              {kind === "bars"
                ? series.map(({ id, label: name }, at) => (
                    <Bar
                      key={id}
                      dataKey={`main:${id}`}
                      name={name}
                      stackId="all"
                      isAnimationActive={false}
                      fill={colours.get(id) ?? "var(--series-other)"}
                      shape={(bar: BarShape) => (
                        <BarRect {...bar} colour={colours.get(id) ?? "var(--series-other)"} hatch={`url(#${hatch}${at})`} />
                      )}
                    />
                  ))
                : series.flatMap(({ id, label: name }) =>
                    (["main", "tail"] as const).map((part) => (
                      <Line
                        key={`${part}:${id}`}
                        type="linear"
                        dataKey={`${part}:${id}`}
                        name={name}
                        stroke={colours.get(id) ?? "var(--series-other)"}
                        strokeWidth={2}
                        strokeDasharray={part === "tail" ? "2 4" : undefined}
                        dot={buckets.length === 1}
                        activeDot={{ r: 3 }}
                        connectNulls={false}
                        isAnimationActive={false}
                      />
                    )),
                  )}
            </ComposedChart>
          </ResponsiveContainer>
        </div>
      )}
      <figcaption className="sr-only">{summary}</figcaption>
    </figure>
  );
}

/** Text on top of bars keeps a rim of the ground. */
const OVER_BARS = { stroke: "var(--surface)", strokeWidth: 4, style: { paintOrder: "stroke" } } as const;

type BarShape = { x?: number | string; y?: number | string; width?: number | string; height?: number | string; payload?: unknown };

function BarRect({ x, y, width, height, payload, colour, hatch }: BarShape & { colour: string; hatch: string }) {
  const size = { x: Number(x ?? 0), y: Number(y ?? 0), width: Math.max(0, Number(width ?? 0)), height: Math.max(0, Number(height ?? 0)) };
  if (size.height === 0) return <g />;
  const incomplete = typeof payload === "object" && payload !== null && "incomplete" in payload && payload.incomplete === true;
  return (
    <rect
      {...size}
      fill={incomplete ? hatch : colour}
      stroke={incomplete ? colour : "none"}
      strokeDasharray={incomplete ? "2 2" : undefined}
    />
  );
}

function bucketOf(at: string, buckets: readonly ChartBucket[]): string {
  const time = new Date(at).getTime();
  return buckets.findLast((each) => new Date(each.start).getTime() <= time)?.start ?? buckets[0]?.start ?? at;
}

type LegendProps = {
  series: readonly ChartSeries[];
  colours: ReadonlyMap<string, string>;
  onPick: ((id: string) => void) | undefined;
  note: ReactNode;
};

function Legend({ series, colours, onPick, note }: LegendProps) {
  if (series.length < 2 && note === undefined) return <span />;
  return (
    <ul className="flex min-w-0 flex-wrap items-center gap-x-3 gap-y-1 text-micro">
      {series.map(({ id, label }) => {
        const mark = <span aria-hidden className="size-2.5 shrink-0 rounded-[2px]" style={{ background: colours.get(id) }} />;
        return (
          <li key={id} className="min-w-0">
            {onPick === undefined || id === OTHER_ID ? (
              <span className="flex min-h-6 min-w-0 items-center gap-1.5 text-ink-muted">
                {mark}
                <span className="truncate">{label}</span>
              </span>
            ) : (
              <button
                type="button"
                title={`Show ${label} only`}
                onClick={() => onPick(id)}
                className="flex min-h-6 max-w-full cursor-pointer items-center gap-1.5 rounded-control text-ink-muted hover:text-ink hover:underline"
              >
                {mark}
                <span className="truncate">{label}</span>
              </button>
            )}
          </li>
        );
      })}
      {note !== undefined && <li className="text-ink-muted">{note}</li>}
    </ul>
  );
}

type ChartTooltipProps = Pick<TimeSeriesProps, "buckets" | "series" | "unit" | "kind" | "bucket"> & {
  tooltip: TooltipContentProps;
  colours: ReadonlyMap<string, string>;
  zone: string;
};

function ChartTooltip({ tooltip, buckets, series, colours, unit, kind, bucket, zone }: ChartTooltipProps) {
  const picked = tooltip.active ? buckets.find((each) => each.start === tooltip.label) : undefined;
  if (picked === undefined) return null;
  const values = series
    .map(({ id, label }) => ({ id, label, value: picked.values[id] ?? (kind === "bars" ? 0 : null) }))
    .filter(({ value }) => value !== null && (kind === "lines" || value !== 0 || series.length === 1))
    .sort((one, other) => (other.value ?? 0) - (one.value ?? 0));
  const total = values.reduce((sum, { value }) => sum + (value ?? 0), 0);
  return (
    <div className="max-w-72 rounded-control border border-line bg-surface px-3 py-2 text-micro text-ink shadow-popup">
      <p className="font-medium">
        {formatTime(new Date(picked.start), FULL[bucket], zone)}
        {picked.incomplete === true && <span className="font-normal text-ink-muted"> so far</span>}
      </p>
      <ul className="mt-1 flex flex-col gap-0.5">
        {values.slice(0, 10).map(({ id, label, value }) => (
          <li key={id} className="flex items-center gap-2">
            <span aria-hidden className="size-2 shrink-0 rounded-[2px]" style={{ background: colours.get(id) }} />
            <span className="min-w-0 truncate text-ink-muted">{label}</span>
            <span className="ml-auto pl-3 tabular-nums">{print[unit](value)}</span>
          </li>
        ))}
      </ul>
      {kind === "bars" && values.length > 1 && (
        <p className="mt-1 flex justify-between gap-3 border-t border-line pt-1 font-medium">
          Total <span className="tabular-nums">{print[unit](total)}</span>
        </p>
      )}
      {values.length === 0 && <p className="text-ink-muted">Nothing</p>}
    </div>
  );
}

function ChartTable({ label, unit, series, buckets, bucket, zone, kind, height = 260 }: TimeSeriesProps & { zone: string }) {
  return (
    <div
      className="overflow-auto rounded-control border border-line focus-visible:-outline-offset-2"
      style={{ maxHeight: height }}
      tabIndex={0}
      role="region"
      aria-label={`${label}, as a table`}
    >
      <table className="w-full text-small">
        <caption className="sr-only">{label}</caption>
        <thead className="sticky top-0 bg-sunken text-ink-muted">
          <tr>
            <th scope="col" className="px-3 py-1.5 text-left font-medium whitespace-nowrap">
              Time ({zone})
            </th>
            {series.map(({ id, label: name }) => (
              <th key={id} scope="col" className="px-3 py-1.5 text-right font-medium whitespace-nowrap">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {buckets.toReversed().map((each) => (
            <tr key={each.start} className="border-t border-line">
              <th scope="row" className="px-3 py-1 text-left font-normal whitespace-nowrap">
                {formatTime(new Date(each.start), FULL[bucket], zone)}
                {each.incomplete === true && <span className="text-ink-muted"> so far</span>}
              </th>
              {series.map(({ id }) => (
                <td key={id} className="px-3 py-1 text-right whitespace-nowrap tabular-nums">
                  {print[unit](each.values[id] ?? (kind === "bars" ? 0 : null))}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** One sentence for who does not see the picture. */
function summaryOf({ label, kind, unit, series, buckets, bucket }: TimeSeriesProps, zone: string): string {
  if (buckets.length === 0) return `${label}: nothing in this range.`;
  const sums = buckets.map((each) => series.reduce((sum, { id }) => sum + (each.values[id] ?? 0), 0));
  const highest = sums.indexOf(Math.max(...sums));
  const at = buckets[highest];
  const parts = [`${label}, ${buckets.length} points from ${formatTime(new Date(buckets[0]!.start), FULL[bucket], zone)}`];
  if (kind === "bars") parts.push(`total ${print[unit](sums.reduce((sum, value) => sum + value, 0))}`);
  if (at !== undefined && series.length > 0)
    parts.push(`highest ${print[unit](sums[highest])} at ${formatTime(new Date(at.start), FULL[bucket], zone)}`);
  if (buckets.at(-1)?.incomplete === true) parts.push("the last one is not over yet");
  return `${parts.join("; ")}.`;
}

function download({ label, unit, series, buckets }: TimeSeriesProps): void {
  const unitName = { usd: "USD", count: "count", ms: "ms", share: "share" }[unit];
  const rows = [
    ["start", ...series.map((each) => `${each.label} (${unitName})`)],
    ...buckets.map((each) => [
      each.start,
      ...series.map(({ id }) => {
        const value = each.values[id] ?? null;
        // Money as text of all its digits; never below zero here, so nothing is taken for a formula.
        return unit === "usd" && value !== null ? plainUsd(value) : value;
      }),
    ]),
  ];
  const name = `${label.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-")}.csv`;
  saveAsFile({ name, text: csvText(rows), type: "text/csv;charset=utf-8" });
}

type SparklineProps = {
  /** In one sentence, for who does not see it. */
  label: string;
  values: readonly number[];
  /** Dots the last segment. */
  incomplete?: boolean;
  className?: string;
};

/** The shape of a few values, without axes. */
export function Sparkline({ label, values, incomplete = false, className }: SparklineProps) {
  const width = 100;
  const height = 28;
  const top = Math.max(...values, 0);
  const points = values.map((value, at): readonly [number, number] => [
    values.length === 1 ? width : (at / (values.length - 1)) * width,
    top === 0 ? height - 1 : height - 1 - (value / top) * (height - 2),
  ]);
  const text = (list: readonly (readonly [number, number])[]): string => list.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" ");
  return (
    <svg
      role="img"
      aria-label={label}
      viewBox={`0 0 ${width} ${height}`}
      preserveAspectRatio="none"
      className={cn("h-7 w-full text-accent", className)}
    >
      <polyline
        points={text(incomplete ? points.slice(0, -1) : points)}
        fill="none"
        stroke="currentColor"
        strokeWidth="1.5"
        vectorEffect="non-scaling-stroke"
      />
      {incomplete && points.length > 1 && (
        <polyline
          points={text(points.slice(-2))}
          fill="none"
          stroke="currentColor"
          strokeWidth="1.5"
          strokeDasharray="2 2"
          vectorEffect="non-scaling-stroke"
        />
      )}
    </svg>
  );
}
