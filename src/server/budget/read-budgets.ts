import { Prisma } from "@/generated/prisma/client";
import type { BudgetPolicy, UnpricedPolicy } from "./budget-book";
import type { BudgetEntityType } from "./matching";
import type { ResetInterval } from "./period-edges";

export type ExcessReason = "provider" | "reported" | "limit_lowered" | "policy_changed" | "soft" | "expected";

/** A budget with the balance of its current period, as one statement found them. */
export type BudgetRow = {
  id: string;
  entityType: BudgetEntityType;
  entityId: string;
  models: string[];
  providers: string[];
  maxNano: bigint;
  policy: BudgetPolicy;
  resetInterval: ResetInterval;
  /** Null: the organisation's. */
  timezone: string | null;
  orgTimezone: string;
  anchorDay: number | null;
  thresholds: number[];
  velocityLimitNano: bigint | null;
  velocityWindowSeconds: number;
  velocityCooldownSeconds: number;
  sessionLimitNano: bigint | null;
  holds: "bound" | "expected";
  unpricedPolicy: UnpricedPolicy;
  createdAt: Date;
  updatedAt: Date;
  /** Null: no call has opened this period yet. */
  balance: { id: bigint; startsAt: Date; endsAt: Date | null; limitNano: bigint; spentNano: bigint; reservedNano: bigint } | null;
  excessReasons: ExcessReason[];
  /** Null: nothing was counted yet. */
  velocityCurrentNano: bigint | null;
  /** Null: calls are let through. */
  velocityCoolUntil: Date | null;
  /** Spent and held, in millionths of the limit. */
  utilization: bigint;
  /** The database's clock at the statement. */
  now: Date;
};

type Sql = ReturnType<typeof Prisma.sql>;

export type BudgetSelection = {
  orgId: string;
  /** A condition over `b` and `utilization`. */
  where?: Sql;
  orderBy?: Sql;
  limit?: number;
};

type SelectedRow = Omit<BudgetRow, "balance" | "velocityCurrentNano"> & {
  balanceId: bigint | null;
  startsAt: Date | null;
  endsAt: Date | null;
  limitNano: bigint | null;
  spentNano: bigint | null;
  reservedNano: bigint | null;
  velocityCurrentNano: bigint | null;
};

/** The living budgets of an organisation. Which period is the current one is the database clock's word. */
export async function readBudgets(
  tx: Prisma.TransactionClient,
  { orgId, where = Prisma.sql`TRUE`, orderBy = Prisma.sql`"createdAt" DESC, id DESC`, limit }: BudgetSelection,
): Promise<BudgetRow[]> {
  const rows = await tx.$queryRaw<SelectedRow[]>`
    SELECT * FROM (
      SELECT b.id, b.entity_type AS "entityType", b.entity_id AS "entityId",
        coalesce(b.models, ARRAY[]::text[]) AS models, coalesce(b.providers, ARRAY[]::text[]) AS providers, b.max_nano AS "maxNano", b.policy,
        b.reset_interval AS "resetInterval", b.timezone, o.timezone AS "orgTimezone", b.anchor_day::int AS "anchorDay", b.thresholds,
        b.velocity_limit_nano AS "velocityLimitNano", b.velocity_window_seconds AS "velocityWindowSeconds",
        b.velocity_cooldown_seconds AS "velocityCooldownSeconds", b.session_limit_nano AS "sessionLimitNano", b.holds,
        b.unpriced_policy AS "unpricedPolicy", b.created_at AS "createdAt", b.updated_at AS "updatedAt",
        balance.id AS "balanceId", balance.starts_at AS "startsAt", balance.ends_at AS "endsAt", balance.limit_nano AS "limitNano",
        balance.spent_nano AS "spentNano", balance.reserved_nano AS "reservedNano",
        ARRAY(SELECT DISTINCT x.reason FROM budget_excess x WHERE x.balance_id = balance.id ORDER BY x.reason) AS "excessReasons",
        velocity.current AS "velocityCurrentNano", velocity.cool_until AS "velocityCoolUntil",
        least(999999999999999999, trunc((coalesce(balance.spent_nano, 0)::numeric + coalesce(balance.reserved_nano, 0)) * 1000000
          / greatest(coalesce(balance.limit_nano, b.max_nano), 1)))::bigint AS utilization,
        clock_timestamp() AS now
      FROM budget b
      JOIN organisation o ON o.id = b.org_id
      LEFT JOIN LATERAL (
        SELECT bb.* FROM budget_balance bb
        WHERE bb.org_id = b.org_id AND bb.budget_id = b.id AND bb.session_id IS NULL
          AND bb.starts_at <= clock_timestamp() AND (bb.ends_at IS NULL OR clock_timestamp() < bb.ends_at)
        ORDER BY bb.starts_at DESC LIMIT 1
      ) balance ON TRUE
      LEFT JOIN LATERAL (
        SELECT CASE WHEN v.cool_until > clock_timestamp() THEN v.cool_until END AS cool_until,
          velocity_sum(v.buckets, v.head,
            velocity_bucket(floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint, v.window_seconds)) AS current
        FROM budget_velocity v WHERE v.budget_id = b.id AND v.org_id = b.org_id
      ) velocity ON TRUE
      WHERE b.org_id = ${orgId}::uuid AND b.deleted_at IS NULL
    ) AS b
    WHERE ${where}
    ORDER BY ${orderBy}
    ${limit === undefined ? Prisma.empty : Prisma.sql`LIMIT ${limit}`}`;
  return rows.map(toBudgetRow);
}

function toBudgetRow({ balanceId, startsAt, endsAt, limitNano, spentNano, reservedNano, ...row }: SelectedRow): BudgetRow {
  if (balanceId === null) return { ...row, balance: null };
  // The columns of a balance that is there are not null.
  return {
    ...row,
    balance: { id: balanceId, startsAt: startsAt!, endsAt, limitNano: limitNano!, spentNano: spentNano!, reservedNano: reservedNano! },
  };
}
