import { z } from "zod";
import { Prisma } from "@/generated/prisma/client";
import { microdollarsToNano, nanoToMicrodollars, nanoUsd } from "@/lib/money";
import { ServiceError } from "@/lib/errors";
import { assertAllowed } from "@/server/access";
import { bareBudgetEntityId, CreateBudgetInput, periodEdgesAt } from "@/server/budget";
import type { Ctx } from "@/server/context";
import { equalsIn, firstIdAt, parsed } from "@/server/events";

const shape = CreateBudgetInput.shape;
/** The part of a budget that decides what it would have stopped. Fields as where a budget is made. */
export const PreviewBudgetInput = z
  .strictObject({
    entityType: shape.entityType,
    entityId: shape.entityId,
    models: shape.models,
    providers: shape.providers,
    maxBudgetMicrodollars: shape.maxBudgetMicrodollars,
    resetInterval: shape.resetInterval,
    timezone: shape.timezone,
    anchorDay: shape.anchorDay,
  })
  .refine(({ entityType, entityId }) => bareBudgetEntityId(entityType, entityId) !== undefined, {
    error: "does not name an entity of this type",
    path: ["entityId"],
  });
export type PreviewBudgetInput = z.input<typeof PreviewBudgetInput>;

export const BudgetPreview = z
  .object({
    from: z.string(),
    to: z.string(),
    stoppedCalls: z.int().meta({ description: "Calls that would not have been let through." }),
    stoppedMicrodollars: z.number().meta({ description: "What they cost." }),
    firstStoppedAt: z.string().nullable(),
    highestPeriodMicrodollars: z.number().meta({ description: "The dearest period: a limit above it would have stopped nothing." }),
    periods: z.array(
      z.object({
        from: z.string(),
        to: z.string(),
        spendMicrodollars: z.number(),
        calls: z.int(),
        stoppedCalls: z.int(),
        stoppedMicrodollars: z.number(),
        stoppedFrom: z.string().nullable(),
      }),
    ),
    complete: z.boolean().meta({ description: "False: too many calls match to look at all; the figures begin at `from`." }),
  })
  .meta({ id: "BudgetPreview" });
export type BudgetPreview = z.infer<typeof BudgetPreview>;

const DAYS = 30;
const HOUR_MS = 3_600_000;
const EVENTS_MAX = 10_000;

type Hour = { hour: Date; calls: bigint; cost: bigint };
type Entity = { dimension: string; value: string; narrow: Prisma.Sql | null };

/**
 * Replays the last thirty days against a limit: in each period, calls are let through until what they cost has reached it. An
 * approximation in one way: a hard budget also holds money for calls in flight, and so stops a little earlier.
 */
export async function previewBudget({ ctx, input }: { ctx: Ctx; input: PreviewBudgetInput }): Promise<BudgetPreview> {
  assertAllowed(ctx.principal, { key: ["read"], user: "viewer" });
  const asked = parsed(PreviewBudgetInput, input);
  const entity = entityOf(asked);
  const to = new Date(ctx.clock.now());
  const { hours, complete } = await hoursOf(ctx, {
    entity,
    from: new Date(Math.ceil((to.getTime() - DAYS * 24 * HOUR_MS) / HOUR_MS) * HOUR_MS),
  });
  const from = complete ? new Date(to.getTime() - DAYS * 24 * HOUR_MS) : (hours[0]?.hour ?? to);
  const edgesOf = await periodsOf(ctx, asked);
  const limit = microdollarsToNano(asked.maxBudgetMicrodollars)!;
  const periods = await replay(ctx, { entity, hours, limit, edgesOf });
  const present = (nano: bigint): number => nanoToMicrodollars(nanoUsd(nano));
  return {
    from: from.toISOString(),
    to: to.toISOString(),
    stoppedCalls: Number(periods.reduce((sum, period) => sum + period.stoppedCalls, 0n)),
    stoppedMicrodollars: present(periods.reduce((sum, period) => sum + period.stoppedCost, 0n)),
    firstStoppedAt: periods.find(({ stoppedFrom }) => stoppedFrom !== null)?.stoppedFrom?.toISOString() ?? null,
    highestPeriodMicrodollars: present(periods.reduce((highest, { cost }) => (cost > highest ? cost : highest), 0n)),
    periods: periods.map((period) => ({
      from: new Date(Math.max(period.startsAtMs, from.getTime())).toISOString(),
      to: new Date(Math.min(period.endsAtMs, to.getTime())).toISOString(),
      spendMicrodollars: present(period.cost),
      calls: Number(period.calls),
      stoppedCalls: Number(period.stoppedCalls),
      stoppedMicrodollars: present(period.stoppedCost),
      stoppedFrom: period.stoppedFrom?.toISOString() ?? null,
    })),
    complete,
  };
}

function entityOf({ entityType, entityId, models = [], providers = [] }: z.output<typeof PreviewBudgetInput>): Entity {
  const id = bareBudgetEntityId(entityType, entityId)!;
  const conditions: Prisma.Sql[] = [];
  if (providers.length > 0) conditions.push(Prisma.sql`provider = ANY(${providers})`);
  // Budgets match the model that was asked for; `*` stands for anything, everything else for itself.
  if (models.length > 0) {
    const likes = models.map((pattern) => pattern.replace(/[\\%_]/g, "\\$&").replaceAll("*", "%"));
    conditions.push(Prisma.sql`coalesce(requested_model, model) LIKE ANY(${likes})`);
  }
  const narrow = conditions.length === 0 ? null : Prisma.join(conditions, " AND ");
  if (entityType === "org") return { dimension: "total", value: "all", narrow };
  if (entityType !== "tag") return { dimension: entityType, value: id, narrow };
  const separator = id.indexOf("=");
  return { dimension: `tag:${id.slice(0, separator)}`, value: id.slice(separator + 1), narrow };
}

/** By the hour, oldest first: from roll-ups, or where models or providers narrow the budget from the newest events that match. */
async function hoursOf(ctx: Ctx, { entity, from }: { entity: Entity; from: Date }): Promise<{ hours: Hour[]; complete: boolean }> {
  const { orgId } = ctx.principal;
  if (entity.narrow === null) {
    const hours = await ctx.prisma.$queryRaw<Hour[]>`
      SELECT hour, calls - denied_calls AS calls, cost_nano AS cost FROM cost_rollup
      WHERE org_id = ${orgId}::uuid AND dimension = ${entity.dimension} AND value = ${entity.value} AND hour >= ${from}::timestamptz
      ORDER BY hour`;
    return { hours, complete: true };
  }
  const rows = await ctx.prisma.$queryRaw<(Hour & { looked: bigint })[]>`
    WITH looked AS MATERIALIZED (
      SELECT created_at, charged_nano FROM cost_event
      WHERE org_id = ${orgId}::uuid AND id >= ${firstIdAt(from.getTime() - HOUR_MS)}::uuid AND created_at >= ${from}::timestamptz
        AND status <> 'denied' AND ${matches(entity)}
      ORDER BY id DESC LIMIT ${EVENTS_MAX}
    )
    SELECT date_trunc('hour', created_at, 'UTC') AS hour, count(*) AS calls, sum(charged_nano)::bigint AS cost, (SELECT count(*) FROM looked) AS looked
    FROM looked GROUP BY 1 ORDER BY 1`;
  const complete = Number(rows[0]?.looked ?? 0) < EVENTS_MAX;
  // The oldest hour was cut somewhere in its middle.
  return { hours: complete ? rows : rows.slice(1), complete };
}

function matches({ dimension, value, narrow }: Entity): Prisma.Sql {
  const own = dimension === "total" ? Prisma.sql`TRUE` : equalsIn(dimension, value);
  return narrow === null ? own : Prisma.sql`${own} AND ${narrow}`;
}

type EdgesOf = (atMs: number) => { startsAtMs: number; endsAtMs: number };

async function periodsOf({ prisma, principal }: Ctx, asked: z.output<typeof PreviewBudgetInput>): Promise<EdgesOf> {
  const interval = asked.resetInterval ?? "none";
  if (interval === "none") return () => ({ startsAtMs: 0, endsAtMs: 8_640_000_000_000_000 });
  const org = await prisma.organisation.findUnique({ where: { id: principal.orgId }, select: { timezone: true } });
  if (!org) throw new ServiceError("not_found", "There is no such organisation.");
  return (atMs) => periodEdgesAt({ interval, timezone: asked.timezone ?? org.timezone, anchorDay: asked.anchorDay ?? null }, atMs);
}

type Period = {
  startsAtMs: number;
  endsAtMs: number;
  cost: bigint;
  calls: bigint;
  stoppedCalls: bigint;
  stoppedCost: bigint;
  stoppedFrom: Date | null;
};

async function replay(
  ctx: Ctx,
  { entity, hours, limit, edgesOf }: { entity: Entity; hours: readonly Hour[]; limit: bigint; edgesOf: EdgesOf },
): Promise<Period[]> {
  const periods: Period[] = [];
  for (const { hour, calls, cost } of hours) {
    let period = periods.at(-1);
    if (!period || hour.getTime() >= period.endsAtMs) {
      period = { ...edgesOf(hour.getTime()), cost: 0n, calls: 0n, stoppedCalls: 0n, stoppedCost: 0n, stoppedFrom: null };
      periods.push(period);
    }
    if (period.stoppedFrom !== null) {
      period.stoppedCalls += calls;
      period.stoppedCost += cost;
    } else if (period.cost + cost >= limit) {
      const after = await afterLimit(ctx, { entity, hour, spendable: limit - period.cost });
      if (after) Object.assign(period, { stoppedCalls: after.calls, stoppedCost: after.cost, stoppedFrom: after.from });
    }
    period.cost += cost;
    period.calls += calls;
  }
  return periods;
}

/** The calls of one hour that come after its spend has reached an amount. */
async function afterLimit(
  { prisma, principal }: Ctx,
  { entity, hour, spendable }: { entity: Entity; hour: Date; spendable: bigint },
): Promise<{ calls: bigint; cost: bigint; from: Date } | null> {
  const end = new Date(hour.getTime() + HOUR_MS);
  const [row] = await prisma.$queryRaw<{ calls: bigint; cost: bigint; from: Date | null }[]>`
    SELECT count(*) AS calls, coalesce(sum(charged_nano), 0)::bigint AS cost, min(created_at) AS from FROM (
      SELECT created_at, charged_nano, coalesce(sum(charged_nano) OVER (ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS before
      FROM cost_event
      WHERE org_id = ${principal.orgId}::uuid AND id >= ${firstIdAt(hour.getTime() - HOUR_MS)}::uuid AND id < ${firstIdAt(end.getTime() + HOUR_MS)}::uuid
        AND created_at >= ${hour}::timestamptz AND created_at < ${end}::timestamptz AND status <> 'denied' AND ${matches(entity)}
    ) AS running
    WHERE before >= ${spendable}`;
  return row?.from ? { calls: row.calls, cost: row.cost, from: row.from } : null;
}
