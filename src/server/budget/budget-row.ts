import type { Prisma } from "@/generated/prisma/client";
import { microdollarsToNano, nanoToMicrodollars, nanoUsd, type NanoUsd } from "@/lib/money";
import type { BudgetEntityType } from "./matching";
import type { UpdateBudgetInput } from "./input";
import { invalid } from "./parse-input";
import { periodEdgesAt, type ResetInterval } from "./period-edges";
import { publicEntityId } from "./public-budget";

/** The columns that verbs change, as they are read back under the lock. */
export const BUDGET_SELECT = {
  id: true,
  entityType: true,
  entityId: true,
  models: true,
  providers: true,
  maxNano: true,
  policy: true,
  resetInterval: true,
  timezone: true,
  anchorDay: true,
  thresholds: true,
  velocityLimitNano: true,
  velocityWindowSeconds: true,
  velocityCooldownSeconds: true,
  sessionLimitNano: true,
  holds: true,
  unpricedPolicy: true,
} as const satisfies Prisma.BudgetSelect;
export type StoredBudget = Prisma.BudgetGetPayload<{ select: typeof BUDGET_SELECT }>;

export type BudgetChanges = {
  maxNano?: NanoUsd;
  policy?: string;
  resetInterval?: string;
  timezone?: string | null;
  anchorDay?: number | null;
  thresholds?: number[];
  velocityLimitNano?: NanoUsd | null;
  velocityWindowSeconds?: number;
  velocityCooldownSeconds?: number;
  sessionLimitNano?: NanoUsd | null;
  holds?: string;
  unpricedPolicy?: string;
};

/** Columns of what was sent; undefined stays as it is. */
export function changesOf(input: UpdateBudgetInput): BudgetChanges {
  return {
    maxNano: nanoOf(input.maxBudgetMicrodollars),
    policy: input.policy,
    resetInterval: input.resetInterval,
    timezone: input.timezone,
    anchorDay: input.anchorDay,
    thresholds: input.thresholdPercentages,
    velocityLimitNano: input.velocityLimitMicrodollars === null ? null : nanoOf(input.velocityLimitMicrodollars),
    velocityWindowSeconds: input.velocityWindowSeconds,
    velocityCooldownSeconds: input.velocityCooldownSeconds,
    sessionLimitNano: input.sessionLimitMicrodollars === null ? null : nanoOf(input.sessionLimitMicrodollars),
    holds: input.holds,
    unpricedPolicy: input.unpricedPolicy,
  };
}

/** The schema has refused what is no amount. */
function nanoOf(microdollars: number | undefined): NanoUsd | undefined {
  return microdollars === undefined ? undefined : microdollarsToNano(microdollars);
}

/** What one field alone cannot tell: looked at after the change has been merged into what is stored. */
export function assertAnchorFits({ resetInterval, anchorDay }: { resetInterval: string; anchorDay: number | null }): void {
  if (anchorDay === null) return;
  if (resetInterval !== "weekly" && resetInterval !== "monthly") {
    throw invalid({ path: "anchorDay", message: "only weekly and monthly budgets have one: send null" });
  }
  if (resetInterval === "weekly" && anchorDay > 7)
    throw invalid({ path: "anchorDay", message: "must be 1 (Monday) to 7 for a weekly budget" });
}

/** When the period that runs at an instant ends by a budget's calendar; null: never. */
export function periodEndAt(
  budget: Pick<StoredBudget, "resetInterval" | "timezone" | "anchorDay">,
  orgTimezone: string,
  at: Date,
): Date | null {
  // The CHECK of the input is the only way into this column.
  const interval = budget.resetInterval as ResetInterval;
  if (interval === "none") return null;
  const rule = { interval, timezone: budget.timezone ?? orgTimezone, anchorDay: budget.anchorDay };
  return new Date(periodEdgesAt(rule, at.getTime()).endsAtMs);
}

/** What the audit log keeps of a budget. */
export function auditOfBudget(row: StoredBudget): Prisma.InputJsonObject {
  const { id: _id, entityId, maxNano, thresholds, velocityLimitNano, sessionLimitNano, ...rest } = row;
  const micros = (nano: bigint | null): number | null => (nano === null ? null : nanoToMicrodollars(nanoUsd(nano)));
  return {
    ...rest,
    entityId: publicEntityId(row.entityType as BudgetEntityType, entityId),
    maxBudgetMicrodollars: micros(maxNano),
    thresholdPercentages: thresholds,
    velocityLimitMicrodollars: micros(velocityLimitNano),
    sessionLimitMicrodollars: micros(sessionLimitNano),
  };
}
