import { z } from "zod";
import { assertNever } from "@/lib/errors";
import { ID_PREFIX, publicId } from "@/lib/ids";
import { nanoToMicrodollars, nanoUsd } from "@/lib/money";
import { ENTITY_TYPES, HOLDS, POLICIES, RESET_INTERVALS, UNPRICED_POLICIES } from "./input";
import type { BudgetEntityType } from "./matching";
import { periodEdgesAt } from "./period-edges";
import type { BudgetRow } from "./read-budgets";

const timestamp = z.string().meta({ format: "date-time", description: "ISO 8601, UTC." });
const microdollars = z.number().meta({ description: "Microdollars ($1 = 1,000,000), at most three decimals." });

/** A budget as REST, tRPC and sockets show it (CONTRACT §11). */
export const PublicBudget = z
  .object({
    id: z.string().meta({ examples: [`${ID_PREFIX.budget}0190b3c4-5d6e-7f80-9a1b-2c3d4e5f6071`] }),
    entityType: z.enum(ENTITY_TYPES),
    entityId: z.string().meta({ description: "`org`, `ns_usr_…`, `ns_key_…`, `key=value` or the customer's id." }),
    models: z.array(z.string()),
    providers: z.array(z.string()),
    maxBudgetMicrodollars: microdollars,
    policy: z.enum(POLICIES),
    resetInterval: z.enum(RESET_INTERVALS),
    timezone: z.string().meta({ description: "In force: the organisation's where the budget names none." }),
    anchorDay: z.int().nullable(),
    thresholdPercentages: z.array(z.int()),
    velocityLimitMicrodollars: microdollars.nullable(),
    velocityWindowSeconds: z.int(),
    velocityCooldownSeconds: z.int(),
    sessionLimitMicrodollars: microdollars.nullable(),
    holds: z.enum(HOLDS),
    unpricedPolicy: z.enum(UNPRICED_POLICIES),
    currentLimitMicrodollars: microdollars.meta({ description: "The limit of this period, with what was approved for it." }),
    spendMicrodollars: microdollars.meta({ description: "Settled in this period; never includes holds." }),
    reservedMicrodollars: microdollars.meta({ description: "Held for calls that are not settled yet." }),
    remainingMicrodollars: microdollars.meta({ description: "Limit − spend − reserved, never below 0." }),
    excessMicrodollars: microdollars.meta({ description: "By how much spend and holds stand above the limit." }),
    excessReasons: z
      .array(z.enum(["provider", "reported", "limit_lowered", "policy_changed", "soft", "expected"]))
      .meta({ description: "Why they could get above it in this period." }),
    currentPeriodStart: timestamp,
    currentPeriodEnd: timestamp.nullable().meta({ description: "Null: this period has no end." }),
    velocityCurrentMicrodollars: microdollars
      .nullable()
      .meta({ description: "What the current window holds; null: no velocity limit, or nothing counted yet." }),
    velocityCoolUntil: timestamp.nullable().meta({ description: "Calls are denied until then; null: the breaker is closed." }),
    warnings: z.array(z.string()).meta({ description: "Ways in which calls could avoid this budget, and what closes them." }),
    createdAt: timestamp,
    updatedAt: timestamp,
  })
  .meta({ id: "Budget" });
export type PublicBudget = z.infer<typeof PublicBudget>;

const micros = (nano: bigint): number => nanoToMicrodollars(nanoUsd(nano));
const optionalMicros = (nano: bigint | null): number | null => (nano === null ? null : micros(nano));
const positive = (nano: bigint): bigint => (nano > 0n ? nano : 0n);

export function toPublicBudget(row: BudgetRow, warnings: readonly string[]): PublicBudget {
  const { limit, spent, reserved } = amountsOf(row);
  const period = periodOf(row);
  return {
    id: publicId("budget", row.id),
    entityType: row.entityType,
    entityId: publicEntityId(row.entityType, row.entityId),
    models: row.models,
    providers: row.providers,
    maxBudgetMicrodollars: micros(row.maxNano),
    policy: row.policy,
    resetInterval: row.resetInterval,
    timezone: row.timezone ?? row.orgTimezone,
    anchorDay: row.anchorDay,
    thresholdPercentages: row.thresholds,
    velocityLimitMicrodollars: optionalMicros(row.velocityLimitNano),
    velocityWindowSeconds: row.velocityWindowSeconds,
    velocityCooldownSeconds: row.velocityCooldownSeconds,
    sessionLimitMicrodollars: optionalMicros(row.sessionLimitNano),
    holds: row.holds,
    unpricedPolicy: row.unpricedPolicy,
    currentLimitMicrodollars: micros(limit),
    spendMicrodollars: micros(spent),
    reservedMicrodollars: micros(reserved),
    remainingMicrodollars: micros(positive(limit - spent - reserved)),
    excessMicrodollars: micros(positive(spent + reserved - limit)),
    excessReasons: row.excessReasons,
    currentPeriodStart: period.start.toISOString(),
    currentPeriodEnd: period.end?.toISOString() ?? null,
    velocityCurrentMicrodollars: row.velocityLimitNano === null ? null : optionalMicros(row.velocityCurrentNano),
    velocityCoolUntil: row.velocityLimitNano === null ? null : (row.velocityCoolUntil?.toISOString() ?? null),
    warnings: [...warnings],
    createdAt: row.createdAt.toISOString(),
    updatedAt: row.updatedAt.toISOString(),
  };
}

/** A period that no call has opened yet has nothing in it. */
export function amountsOf(row: BudgetRow): { limit: bigint; spent: bigint; reserved: bigint } {
  return row.balance === null
    ? { limit: row.maxNano, spent: 0n, reserved: 0n }
    : { limit: row.balance.limitNano, spent: row.balance.spentNano, reserved: row.balance.reservedNano };
}

/** As the ledger opened it; before a call has, as the calendar says. Counting starts when the budget is created. */
export function periodOf(row: BudgetRow): { start: Date; end: Date | null } {
  if (row.balance !== null) return { start: later(row.balance.startsAt, row.createdAt), end: row.balance.endsAt };
  if (row.resetInterval === "none") return { start: row.createdAt, end: null };
  const edges = periodEdgesAt(
    { interval: row.resetInterval, timezone: row.timezone ?? row.orgTimezone, anchorDay: row.anchorDay },
    row.now.getTime(),
  );
  return { start: later(new Date(edges.startsAtMs), row.createdAt), end: new Date(edges.endsAtMs) };
}

const later = (a: Date, b: Date): Date => (a > b ? a : b);

export function publicEntityId(type: BudgetEntityType, bareId: string): string {
  switch (type) {
    case "user":
      return publicId("user", bareId);
    case "api_key":
      return publicId("key", bareId);
    case "org":
    case "tag":
    case "customer":
      return bareId;
    default:
      return assertNever(type);
  }
}
