import { z } from "zod";
import { Prisma } from "@/generated/prisma/client";
import { assertAllowed } from "@/server/access";
import type { Ctx } from "@/server/context";
import { atOneMoment } from "./at-one-moment";
import { columnOf, equalsIn, namesOfValues, publicValueOf, storedValueOf } from "./dimensions";
import { firstIdFrom } from "./find";
import { difference } from "./get-attribution";
import { NOTHING, presentPeriod, PublicPeriod, Sums } from "./get-cost-summary";
import { ExploreInput, type Bucket, type ExploreFilter, type Metric } from "./explore-input";
import { invalid, parsed } from "./parse-input";
import { resolvePeriod, type Period } from "./period";
import { CostBreakdown, microdollars } from "./public-cost-event";
import { dateOf, RANKED_COLUMNS, rollupRows, rowsOfRange, type HourRange } from "./rollup-ranges";
import { micros, presentSums, SUM_TEXTS, SUMS, type SumsRow } from "./sums";

const point = z.number().meta({ description: "In the metric's unit: microdollars, calls or tokens." });
const previous = z.object({ value: point, from: z.string(), to: z.string() });

export const Exploration = z
  .object({
    period: PublicPeriod,
    metric: z.enum(["cost", "calls", "tokens", "denied"]),
    groupBy: z.string().nullable(),
    bucket: z.enum(["hour", "day", "week", "month"]),
    buckets: z.array(z.string()).meta({ description: "Where each begins, ISO 8601 UTC; midnights are those of `period.timezone`." }),
    incompleteFrom: z.int().nullable().meta({ description: "Index of the bucket that is not over yet." }),
    groups: z.array(
      z
        .object({
          key: z.string().meta({ description: "What a person reads." }),
          value: z.string().meta({ description: "What names the group in filters." }),
          metric: point,
          previous: point.nullable(),
          points: z.array(point),
        })
        .extend(Sums.shape),
    ),
    other: z
      .object({
        count: z.int().meta({ description: "Groups that are not shown." }),
        metric: point,
        previous: point.nullable(),
        points: z.array(point),
      })
      .extend(Sums.shape)
      .meta({ description: "Everything else, calls that name no group included: groups and other add up to the total exactly." }),
    unnamed: z
      .object({ totalCostMicrodollars: microdollars, requestCount: z.int() })
      .meta({ description: "Calls that name no group; part of `other`." }),
    total: z
      .object({
        metric: point,
        previous: previous.nullable(),
        points: z.array(point),
        costBreakdown: CostBreakdown.nullable().meta({ description: "Null where events were counted: it is in the roll-ups alone." }),
      })
      .extend(Sums.shape),
    complete: z.boolean().meta({ description: "False: only the newest matching events were counted, from `coveredFrom` on." }),
    coveredFrom: z.string().nullable(),
  })
  .meta({ id: "Exploration" });
export type Exploration = z.infer<typeof Exploration>;

/** The metric of one group in one bucket, as text. */
type BucketRow = { value: string | null; bucket: Date; amount: string };
type GroupRow = SumsRow & { value: string };

type Unnamed = Pick<SumsRow, "cost_nano" | "calls">;

/** What the ways of counting have in common. */
type Counted = {
  groups: GroupRow[];
  groupCount: number;
  /** Of the groups shown. */
  points: BucketRow[];
  total: SumsRow;
  totalPoints: BucketRow[];
  unnamed: Unnamed;
  previous: { total: SumsRow; groups: Map<string, SumsRow> } | null;
  coveredFrom: Date | null;
  fromEvents: boolean;
};

type Question = {
  ctx: Ctx;
  period: Period;
  metric: Metric;
  bucket: Bucket;
  dimension: string | null;
  filter: { dimension: string; value: string }[];
  top: number;
  compare: boolean;
};

/**
 * A metric by group and time. From roll-ups wherever they can tell, which is exact over any range; a group within a filter of another
 * kind (models of one key) is counted from the newest matching events, at most {@link EVENTS_LOOKED_AT_MAX}, and says so.
 */
export async function explore({ ctx, input }: { ctx: Ctx; input: ExploreInput }): Promise<Exploration> {
  assertAllowed(ctx.principal, { key: ["read"], user: "viewer" });
  return atOneMoment(ctx, (snapshot) => answerOf({ ctx: snapshot, input }));
}

async function answerOf({ ctx, input }: { ctx: Ctx; input: ExploreInput }): Promise<Exploration> {
  const { metric, groupBy, bucket, timezone, top, compare, filter, ...range } = parsed(ExploreInput, input);
  const organisations = await resolvePeriod({ ctx, input: range });
  const period = { ...organisations, timezone: timezone ?? organisations.timezone };
  const buckets = await bucketsOf({ ctx, period, bucket });
  const question: Question = {
    ctx,
    period,
    metric,
    bucket,
    dimension: groupBy ?? null,
    filter: conditionsOf(filter ?? {}),
    top,
    compare,
  };
  const counted = await count(question);
  const names = await namesOfValues({ ctx, dimension: groupBy ?? "", values: counted.groups.map(({ value }) => value) });
  return present({ question, counted, buckets, names });
}

function count(question: Question): Promise<Counted> {
  const { dimension, filter } = question;
  if (dimension === "session") return countSessions(question);
  const [only] = filter;
  if (only === undefined) return countRollups(question, dimension, null);
  // One filter alone is a dimension of the roll-ups itself.
  if (filter.length === 1 && (dimension === null || dimension === only.dimension))
    return countRollups(question, only.dimension, only.value);
  return countEvents(question);
}

// From roll-ups.

async function countRollups(question: Question, dimension: string | null, value: string | null): Promise<Counted> {
  const { ctx, period, compare, metric, top } = question;
  const isGrouped = question.dimension !== null;
  const isFiltered = value !== null;
  const [now, before] = await Promise.all([
    sumsOfRange({ ctx, range: period, dimension, value, isGrouped, metric, top }),
    compare ? sumsOfRange({ ctx, range: rangeBefore(period), dimension, value, isGrouped: false, metric, top: 0 }) : null,
  ]);
  const shown = now.groups.map((group) => group.value);
  const [points, totalPoints, groupsBefore] = await Promise.all([
    isGrouped && shown.length > 0 ? pointsOf(question, dimension!, shown) : [],
    pointsOf(question, isFiltered ? dimension! : "total", [isFiltered ? value : "all"]),
    before && shown.length > 0 ? sumsOfValues({ ctx, range: rangeBefore(period), dimension: dimension!, values: shown }) : [],
  ]);
  return {
    ...now,
    points,
    totalPoints,
    unnamed: isGrouped && !isFiltered ? minus(now.total, now.named) : NOTHING,
    previous: before && { total: before.total, groups: new Map(groupsBefore.map((row) => [row.value, row])) },
    coveredFrom: null,
    fromEvents: false,
  };
}

type SumsOfRange = {
  ctx: Ctx;
  range: HourRange;
  dimension: string | null;
  value: string | null;
  isGrouped: boolean;
  metric: Metric;
  top: number;
};

/** What the groups of a range come to: ranked by little, because there may be thousands, and summed up in full for those shown. */
async function sumsOfRange(question: SumsOfRange): Promise<{ groups: GroupRow[]; groupCount: number; named: Unnamed; total: SumsRow }> {
  const { ctx, range, dimension, value, isGrouped, metric, top } = question;
  const rows = await rowsOfRange({ ctx, range });
  const values = value === null ? undefined : [value];
  const totals = rollupRows({ ctx, rows, dimension: value === null ? "total" : dimension!, ...(values && { values }) });
  const [[total], ranked] = await Promise.all([
    ctx.prisma.$queryRaw<SumsRow[]>`SELECT ${SUMS} FROM ${totals} AS rows`,
    isGrouped && dimension !== null
      ? ctx.prisma.$queryRaw<(Unnamed & { value: string | null; count: bigint })[]>`
        WITH grouped AS MATERIALIZED (
          SELECT value, sum(cost_nano) AS cost_nano, sum(calls) AS calls, ${RANKED_BY[metric]}
          FROM ${rollupRows({ ctx, rows, dimension, columns: RANKED_COLUMNS, ...(values && { values }) })} AS rows GROUP BY value
        )
        (SELECT value, cost_nano::text, calls::text, 1::bigint AS count FROM grouped ORDER BY ${orderOf(metric)} LIMIT ${top})
        UNION ALL
        SELECT NULL, coalesce(sum(cost_nano), 0)::text, coalesce(sum(calls), 0)::text, count(*) FROM grouped`
      : [],
  ]);
  const shown = ranked.flatMap((row) => row.value ?? []);
  const all = ranked.find((row) => row.value === null);
  const sums = new Map(
    shown.length === 0 || dimension === null
      ? []
      : (await sumsOfValues({ ctx, range, dimension, values: shown })).map((row) => [row.value, row]),
  );
  return {
    groups: shown.map((each) => ({ ...(sums.get(each) ?? NOTHING), value: each })),
    groupCount: Number(all?.count ?? 0),
    named: all ?? NOTHING,
    total: total ?? NOTHING,
  };
}

async function sumsOfValues(question: { ctx: Ctx; range: HourRange; dimension: string; values: string[] }): Promise<GroupRow[]> {
  const { ctx, range, dimension, values } = question;
  const rows = rollupRows({ ctx, rows: await rowsOfRange({ ctx, range }), dimension, values });
  return ctx.prisma.$queryRaw<GroupRow[]>`SELECT value, ${SUMS} FROM ${rows} AS rows GROUP BY value`;
}

/**
 * The metric of each value by bucket. A day that was summed up stands in the bucket of its noon (UTC); its hours that lie in another
 * one, because midnight is elsewhere in the asked zone, are moved. So a quarter of a year is hundreds of rows instead of thousands.
 */
async function pointsOf({ ctx, period, bucket, metric }: Question, dimension: string, values: string[]): Promise<BucketRow[]> {
  const own = Prisma.sql`org_id = ${ctx.principal.orgId}::uuid AND dimension = ${dimension} AND value = ANY(${values})`;
  const amount = Prisma.raw(ROLLUP_METRIC[metric]);
  const bucketAt = (time: Prisma.Sql): Prisma.Sql => bucketOf(bucket, period, time);
  const { days, hours } = bucket === "hour" ? { days: [], hours: [period] } : await rowsOfRange({ ctx, range: period });
  const parts = hours.map(
    ({ from, to }) => Prisma.sql`SELECT value, ${bucketAt(Prisma.sql`hour`)} AS bucket, ${amount} AS amount FROM cost_rollup
      WHERE ${own} AND hour >= ${from}::timestamptz AND hour < ${to}::timestamptz`,
  );
  const noonOf = (hour: Prisma.Sql): Prisma.Sql => bucketAt(Prisma.sql`date_trunc('day', ${hour}, 'UTC') + interval '12 hours'`);
  for (const { from, to } of days) {
    const moved = Prisma.sql`hour = ANY(ARRAY(
      SELECT at FROM generate_series(${from}::timestamptz, ${to}::timestamptz - interval '1 hour', interval '1 hour') AS at
      WHERE ${bucketAt(Prisma.sql`at`)} <> ${noonOf(Prisma.sql`at`)}
    ))`;
    parts.push(
      Prisma.sql`SELECT value, ${bucketAt(Prisma.sql`(day::timestamp AT TIME ZONE 'UTC') + interval '12 hours'`)}, ${amount} FROM cost_rollup_day
        WHERE ${own} AND day >= ${dateOf(from)}::date AND day < ${dateOf(to)}::date`,
      Prisma.sql`SELECT value, ${noonOf(Prisma.sql`hour`)}, -(${amount}) FROM cost_rollup WHERE ${own} AND ${moved}`,
      Prisma.sql`SELECT value, ${bucketAt(Prisma.sql`hour`)}, ${amount} FROM cost_rollup WHERE ${own} AND ${moved}`,
    );
  }
  return ctx.prisma.$queryRaw<BucketRow[]>`
    SELECT value, bucket, sum(amount)::text AS amount FROM (${Prisma.join(parts, " UNION ALL ")}) AS rows GROUP BY 1, 2`;
}

// From sessions: they are not in the roll-ups, and their events are few.

async function countSessions(question: Question): Promise<Counted> {
  const { ctx, period, metric, top, filter } = question;
  if (filter.length > 0) return countEvents(question);
  const { orgId } = ctx.principal;
  const inPeriod = Prisma.sql`org_id = ${orgId}::uuid AND last_event_at >= ${period.from}::timestamptz AND first_event_at < ${period.to}::timestamptz`;
  const [whole, [found], points] = await Promise.all([
    countRollups({ ...question, dimension: null }, null, null),
    ctx.prisma.$queryRaw<{ count: bigint }[]>`SELECT count(*) AS count FROM cost_session WHERE ${inPeriod}`,
    // A session that lies across an edge counts with what lies inside, so a few more than are shown are looked at.
    ctx.prisma.$queryRaw<(SumsRow & BucketRow)[]>`
      WITH candidate AS MATERIALIZED (
        SELECT session_id FROM cost_session WHERE ${inPeriod} ORDER BY ${Prisma.raw(ROLLUP_METRIC[metric])} DESC, session_id LIMIT ${top * 2}
      ), cell AS (
        SELECT event.session_id AS value, ${bucketOf(question.bucket, period, Prisma.sql`event.created_at`)} AS bucket, ${EVENT_SUMS}
        FROM candidate JOIN cost_event AS event ON event.org_id = ${orgId}::uuid AND event.session_id = candidate.session_id
        WHERE event.created_at >= ${period.from}::timestamptz AND event.created_at < ${period.to}::timestamptz
        GROUP BY 1, 2
      )
      SELECT *, (${Prisma.raw(CELL_METRIC[metric])})::text AS amount FROM cell`,
  ]);
  const sums = new Map<string, SumsRow>();
  for (const row of points) sums.set(row.value!, sum(sums.get(row.value!) ?? NOTHING, row));
  const groups = [...sums]
    .map(([value, row]) => ({ ...row, value }))
    .toSorted((a, b) => (valueOf(metric, b) > valueOf(metric, a) ? 1 : -1))
    .slice(0, top);
  return { ...whole, groups, groupCount: Number(found?.count ?? 0), points, unnamed: NOTHING };
}

// From events.

/** As many as are read within a tenth of a second, each from its own place on the disk. */
export const EVENTS_LOOKED_AT_MAX = 10_000;
/** Dimensions with an index of their own: events of one value are found without looking at the others. */
const INDEXED: ReadonlySet<string> = new Set(["api_key", "customer", "model", "session"]);

async function countEvents(question: Question): Promise<Counted> {
  const { ctx, period, dimension, filter, top, metric, bucket } = question;
  const value = dimension === null ? Prisma.sql`'all'` : columnOf(dimension);
  const conditionOf = (isIndexed: boolean): Prisma.Sql =>
    Prisma.join(
      [
        Prisma.sql`TRUE`,
        ...filter.filter((each) => INDEXED.has(each.dimension) === isIndexed).map((each) => equalsIn(each.dimension, each.value)),
      ],
      " AND ",
    );
  const rows = await ctx.prisma.$queryRaw<(SumsRow & BucketRow & { kind: string; at: Date | null; looked: bigint })[]>`
    WITH newest AS MATERIALIZED (
      SELECT ${value} AS value, created_at, status, cost_basis, cost_nano, input_tokens, output_tokens, cached_input_tokens,
        cache_write_tokens, reasoning_tokens, duration_ms, (${conditionOf(false)}) AS matches
      FROM cost_event
      WHERE org_id = ${ctx.principal.orgId}::uuid AND id >= ${firstIdFrom(period.from.getTime())}::uuid AND ${conditionOf(true)}
        AND created_at >= ${period.from}::timestamptz AND created_at < ${period.to}::timestamptz
      ORDER BY id DESC LIMIT ${EVENTS_LOOKED_AT_MAX}
    ), edge AS (SELECT count(*) AS looked, min(created_at) AS at FROM newest),
    cell AS MATERIALIZED (
      SELECT value, ${bucketOf(bucket, period, Prisma.sql`created_at`)} AS bucket, ${EVENT_SUMS} FROM newest
      WHERE matches GROUP BY 1, 2
    ), grouped AS MATERIALIZED (
      SELECT value, ${RAW_CELL_SUMS}, sum(input_tokens::numeric + output_tokens::numeric) AS tokens FROM cell GROUP BY value
    ), shown AS MATERIALIZED (
      SELECT * FROM grouped WHERE value IS NOT NULL ORDER BY ${orderOf(metric)} LIMIT ${top}
    )
    SELECT 'group' AS kind, value, NULL::timestamptz AS bucket, ${SUM_TEXTS}, NULL::text AS amount, NULL::timestamptz AS at, 0::bigint AS looked FROM shown
    UNION ALL
    SELECT 'point', value, bucket, ${SUM_TEXTS}, (${Prisma.raw(CELL_METRIC[metric])})::text, NULL, 0 FROM cell WHERE value IN (SELECT value FROM shown)
    UNION ALL
    SELECT 'total', NULL, bucket, ${CELL_SUMS}, sum(${Prisma.raw(CELL_METRIC[metric])})::text, NULL, 0 FROM cell GROUP BY bucket
    UNION ALL
    SELECT 'all', (SELECT count(*)::text FROM grouped WHERE value IS NOT NULL), NULL, sums.*, NULL, edge.at, edge.looked
    FROM edge, (SELECT ${CELL_SUMS} FROM cell) AS sums
    UNION ALL
    SELECT 'unnamed', NULL, NULL, ${CELL_SUMS}, NULL, NULL, 0 FROM cell WHERE value IS NULL`;
  const of = (kind: string) => rows.filter((row) => row.kind === kind);
  const all = of("all")[0];
  return {
    groups: dimension === null ? [] : of("group").map((row) => ({ ...row, value: row.value! })),
    groupCount: dimension === null ? 0 : Number(all?.value ?? 0),
    points: of("point"),
    total: all ?? NOTHING,
    totalPoints: of("total"),
    unnamed: of("unnamed")[0] ?? NOTHING,
    // The period before would be covered by even less.
    previous: null,
    coveredFrom: Number(all?.looked ?? 0) >= EVENTS_LOOKED_AT_MAX ? (all?.at ?? null) : null,
    fromEvents: true,
  };
}

// Words of SQL.

const NAMES = Object.keys(NOTHING) as (keyof SumsRow)[];
const each = (write: (name: keyof SumsRow) => string): Prisma.Sql => Prisma.raw(NAMES.map(write).join(", "));
/** Sums over rows whose own sums are texts already. */
const RAW_CELL_SUMS = each((name) => `coalesce(sum(${name}::numeric), 0) AS ${name}`);
const CELL_SUMS = each((name) => `coalesce(sum(${name}::numeric), 0)::text AS ${name}`);
/** {@link SUMS} over events, but for the parts of the cost: taking those out of their JSON would take longer than all the rest. */
const EVENT_SUMS = Prisma.raw(`
  count(*)::text AS calls,
  count(*) FILTER (WHERE status = 'denied')::text AS denied_calls,
  count(*) FILTER (WHERE status NOT IN ('ok', 'denied'))::text AS failed_calls,
  count(*) FILTER (WHERE cost_basis = 'unpriced')::text AS unpriced_calls,
  coalesce(sum(cost_nano), 0)::text AS cost_nano,
  ${["input_cost_nano", "cached_cost_nano", "cache_write_cost_nano", "output_cost_nano", "reasoning_cost_nano", "tools_cost_nano"].map((name) => `'0' AS ${name}`).join(", ")},
  ${["input_tokens", "output_tokens", "cached_input_tokens", "cache_write_tokens", "reasoning_tokens"].map((name) => `coalesce(sum(${name}), 0)::text AS ${name}`).join(", ")},
  coalesce(sum(round(duration_ms)), 0)::bigint::text AS duration_ms`);

/** Columns of roll-ups and sessions that make the metric. */
const ROLLUP_METRIC: Readonly<Record<Metric, string>> = {
  cost: "cost_nano",
  calls: "calls",
  tokens: "input_tokens + output_tokens",
  denied: "denied_calls",
};
/** The same over sums that are texts. */
const CELL_METRIC: Readonly<Record<Metric, string>> = {
  cost: "cost_nano::numeric",
  calls: "calls::numeric",
  tokens: "input_tokens::numeric + output_tokens::numeric",
  denied: "denied_calls::numeric",
};

/** What a ranking needs beside cost and calls, which it always has. */
const RANKED_BY: Readonly<Record<Metric, Prisma.Sql>> = {
  cost: Prisma.sql`0 AS tokens`,
  calls: Prisma.sql`0 AS tokens`,
  tokens: Prisma.sql`sum(input_tokens + output_tokens) AS tokens`,
  denied: Prisma.sql`sum(denied_calls) AS denied_calls`,
};

/** Of the table `grouped`, by name: alone, these would be the texts that are answered. */
const ORDERS: Readonly<Record<Metric, string>> = {
  cost: "grouped.cost_nano",
  calls: "grouped.calls",
  tokens: "grouped.tokens",
  denied: "grouped.denied_calls",
};
const orderOf = (metric: Metric): Prisma.Sql => Prisma.raw(`${ORDERS[metric]} DESC, grouped.calls DESC, grouped.value`);

/** Where the bucket of a time begins, in the period's time zone: days of 23 and 25 hours included. */
function bucketOf(bucket: Bucket, { timezone }: Period, time: Prisma.Sql): Prisma.Sql {
  // An hour of the roll-ups is one of UTC; zones off the hour keep it.
  if (bucket === "hour") return Prisma.sql`date_trunc('hour', ${time}, 'UTC')`;
  return Prisma.sql`date_trunc(${bucket}, ${time}, ${timezone})`;
}

async function bucketsOf({ ctx, period, bucket }: { ctx: Ctx; period: Period; bucket: Bucket }): Promise<Date[]> {
  const zone = bucket === "hour" ? "UTC" : period.timezone;
  const rows = await ctx.prisma.$queryRaw<{ bucket: Date }[]>`
    SELECT local AT TIME ZONE ${zone} AS bucket
    FROM generate_series(
      date_trunc(${bucket}, ${period.from}::timestamptz AT TIME ZONE ${zone}), ${period.to}::timestamptz AT TIME ZONE ${zone}, ${`1 ${bucket}`}::interval
    ) AS local
    WHERE local AT TIME ZONE ${zone} < ${period.to}::timestamptz
    ORDER BY 1`;
  return rows.map((row) => row.bucket);
}

// Words of answers.

function conditionsOf(filter: ExploreFilter): Question["filter"] {
  const { tags = {}, ...values } = filter;
  const names = { apiKeyId: "api_key", userId: "user", customerId: "customer", sessionId: "session" } as const;
  return [
    ...Object.entries(values).flatMap(([name, value]) => {
      if (value === undefined) return [];
      const dimension = name in names ? names[name as keyof typeof names] : name;
      if (dimension === "model" && !value.includes("/")) throw invalid({ path: "filter.model", message: "must be provider/model" });
      return [{ dimension, value: storedValueOf(dimension, value) }];
    }),
    ...Object.entries(tags).map(([key, value]) => ({ dimension: `tag:${key}`, value })),
  ];
}

const minus = (a: Unnamed, b: Unnamed): Unnamed => ({
  cost_nano: (BigInt(a.cost_nano) - BigInt(b.cost_nano)).toString(),
  calls: (BigInt(a.calls) - BigInt(b.calls)).toString(),
});

const rangeBefore = ({ from, to }: HourRange): HourRange => ({ from: new Date(from.getTime() * 2 - to.getTime()), to: from });

const valueOf = (metric: Metric, row: SumsRow): bigint => {
  switch (metric) {
    case "cost":
      return BigInt(row.cost_nano);
    case "calls":
      return BigInt(row.calls);
    case "tokens":
      return BigInt(row.input_tokens) + BigInt(row.output_tokens);
    case "denied":
      return BigInt(row.denied_calls);
  }
};

const sum = (a: SumsRow, b: SumsRow): SumsRow =>
  Object.fromEntries(NAMES.map((name) => [name, (BigInt(a[name]) + BigInt(b[name])).toString()])) as SumsRow;

function present({
  question,
  counted,
  buckets,
  names,
}: {
  question: Question;
  counted: Counted;
  buckets: Date[];
  names: Map<string, string>;
}): Exploration {
  const { ctx, period, metric, bucket, dimension } = question;
  const shown = (value: bigint): number => (metric === "cost" ? micros(value) : Number(value));
  const seriesOf = (rows: readonly BucketRow[]): bigint[] => {
    const byTime = new Map(rows.map((row) => [row.bucket.getTime(), BigInt(row.amount)]));
    return buckets.map((start) => byTime.get(start.getTime()) ?? 0n);
  };
  const totalSeries = seriesOf(counted.totalPoints);
  const groups = counted.groups.map((row) => ({ row, series: seriesOf(counted.points.filter(({ value }) => value === row.value)) }));
  const otherSums = difference(counted.total, groups.map(({ row }) => row).reduce<SumsRow>(sum, NOTHING));
  const otherSeries = totalSeries.map((value, index) => groups.reduce((left, { series }) => left - series[index]!, value));
  const before = counted.previous;
  const previousOf = (value: string): bigint | null => before && valueOf(metric, before.groups.get(value) ?? NOTHING);
  const shownBefore = groups.reduce((total, { row }) => total + (previousOf(row.value) ?? 0n), 0n);
  const { from, to } = rangeBefore(period);
  return {
    period: presentPeriod(period),
    metric,
    groupBy: dimension,
    bucket,
    buckets: buckets.map((start) => start.toISOString()),
    incompleteFrom: period.to.getTime() > ctx.clock.now() && buckets.length > 0 ? buckets.length - 1 : null,
    groups: groups.map(({ row, series }) => ({
      key: names.get(row.value) ?? row.value,
      value: publicValueOf(dimension!, row.value),
      metric: shown(valueOf(metric, row)),
      previous: before && shown(previousOf(row.value)!),
      points: series.map(shown),
      ...presentSums(row),
    })),
    other: {
      count: Math.max(counted.groupCount - groups.length, 0),
      metric: shown(valueOf(metric, otherSums)),
      previous: before && shown(valueOf(metric, before.total) - shownBefore),
      points: otherSeries.map(shown),
      ...presentSums(otherSums),
    },
    unnamed: { totalCostMicrodollars: micros(counted.unnamed.cost_nano), requestCount: Number(counted.unnamed.calls) },
    total: {
      metric: shown(valueOf(metric, counted.total)),
      previous: before && { value: shown(valueOf(metric, before.total)), from: from.toISOString(), to: to.toISOString() },
      points: totalSeries.map(shown),
      costBreakdown: counted.fromEvents
        ? null
        : {
            input: micros(counted.total.input_cost_nano),
            cached: micros(counted.total.cached_cost_nano),
            cacheWrite: micros(counted.total.cache_write_cost_nano),
            output: micros(counted.total.output_cost_nano),
            reasoning: micros(counted.total.reasoning_cost_nano),
            tools: micros(counted.total.tools_cost_nano),
          },
      ...presentSums(counted.total),
    },
    complete: counted.coveredFrom === null,
    coveredFrom: counted.coveredFrom?.toISOString() ?? null,
  };
}
