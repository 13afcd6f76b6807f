import type { PrismaClient } from "@/generated/prisma/client";
import { nanoUsd, type NanoUsd } from "@/lib/money";
import { matchesModelPattern } from "@/server/model-pattern";
import { createVersionedOrgCache } from "@/server/versioned-org-cache";
import { isBudgetApplicable, type BudgetEntityType, type BudgetedCall, type BudgetScope } from "./matching";
import type { PeriodRule } from "./period-edges";

export type BudgetPolicy = "strict_block" | "soft_block" | "warn";
export type UnpricedPolicy = "ceiling" | "block" | "allow";

/** A budget as calls are decided by it. What is spent and held stands in the ledger. */
export type HeldBudget = BudgetScope & {
  id: string;
  orgId: string;
  /** The key's or user's name, for what a person reads; null where the entity has none. */
  entityName: string | null;
  /** Per period, without what was approved for this one. */
  maxNano: NanoUsd;
  policy: BudgetPolicy;
  /** In the organisation's time zone where the budget names none. */
  period: PeriodRule;
  thresholds: readonly number[];
  velocity: { limitNano: NanoUsd; windowSeconds: number; cooldownSeconds: number } | null;
  sessionLimitNano: NanoUsd | null;
  holds: "bound" | "expected";
  unpricedPolicy: UnpricedPolicy;
};

export type HeldFreeze = {
  id: string;
  entityType: "org" | "api_key" | "customer";
  /** `org`, bare UUID of the key, or the customer's id. */
  entityId: string;
  reason: string;
};

/** Of which kinds an organisation has limits at all: what decides whether a call is looked at closer. */
export type LimitsOfOrg = {
  any: boolean;
  /** Invalid tags are then refused instead of dropped (CONTRACT §3). */
  strictTag: boolean;
  /** The same for customers. */
  strictCustomer: boolean;
};

/** The organisations' budgets and freezes, held in memory by the version of their configuration. */
export interface BudgetBook {
  /**
   * Makes sure that the rest of this book knows an organisation as of a version of its configuration. Undefined when it does
   * already, which is nearly always: `await` then costs nothing but a check.
   *
   * @returns a promise that rejects when the database could not tell, or told something older. That is never "no budgets": the
   * call is answered 503.
   */
  ensureLoaded(orgId: string, configVersion: bigint): Promise<void> | undefined;
  /**
   * The budgets that a call counts against, in the order of their ids.
   * @throws when the organisation was not loaded, as all below do: a bug of the caller that must not end in "no limit".
   */
  applicable(orgId: string, call: BudgetedCall): readonly HeldBudget[];
  hasLimits(orgId: string): boolean;
  limitsOf(orgId: string): LimitsOfOrg;
  /** What refuses a call outright; the widest freeze first. */
  frozen(orgId: string, call: Pick<BudgetedCall, "apiKeyId" | "customerId">): HeldFreeze | undefined;
  /** Where a denied caller can buy more: the customer's own address, or else the organisation's. Null also while nothing is held. */
  upgradeUrlOf(orgId: string, customerId: string | null): string | null;
  /** The service tier of OpenAI calls that name none; null, the dearest, also while nothing is held. */
  assumedServiceTierOf(orgId: string): string | null;
  /** The version that is held, which may be newer than what was asked for. Undefined: nothing is held. */
  versionOf(orgId: string): bigint | undefined;
}

type Held = {
  configVersion: bigint;
  limits: LimitsOfOrg;
  /** By entity, so that ten thousand customers' budgets cost a call one look. */
  byEntity: ReadonlyMap<string, readonly HeldBudget[]>;
  freezes: ReadonlyMap<string, HeldFreeze>;
  assumedServiceTier: string | null;
  upgradeUrl: string | null;
  /** Of those customers that have one of their own. */
  upgradeUrlByCustomer: ReadonlyMap<string, string>;
};

/** The longest held leave first; they are read again when needed. */
const ORGS_MAX = 50_000;
/** A call waits for this before it is answered 503. */
const LOAD_TIMEOUT_MS = 1_500;

export function createBudgetBook({
  prisma,
  orgsMax = ORGS_MAX,
  loadTimeoutMs = LOAD_TIMEOUT_MS,
}: {
  prisma: PrismaClient;
  orgsMax?: number;
  loadTimeoutMs?: number;
}): BudgetBook {
  const cache = createVersionedOrgCache<Held>({
    what: "budgets",
    timeoutMs: loadTimeoutMs,
    orgsMax,
    async read(orgId) {
      const held = await read(prisma, orgId);
      if (!held) throw new Error(`the organisation ${orgId} is gone`);
      return held;
    },
  });

  function heldOf(orgId: string): Held {
    const held = cache.find(orgId);
    if (!held) throw new Error(`budgets of ${orgId} were not loaded before they were asked for`);
    return held;
  }

  return {
    ensureLoaded: cache.ensureLoaded,
    applicable: (orgId, call) => applicableOf(heldOf(orgId), call),
    hasLimits: (orgId) => heldOf(orgId).limits.any,
    limitsOf: (orgId) => heldOf(orgId).limits,
    frozen(orgId, { apiKeyId, customerId }) {
      const { freezes } = heldOf(orgId);
      if (freezes.size === 0) return undefined;
      return (
        freezes.get(entityKey("org", "org")) ??
        (apiKeyId === null ? undefined : freezes.get(entityKey("api_key", apiKeyId))) ??
        (customerId === null ? undefined : freezes.get(entityKey("customer", customerId)))
      );
    },
    upgradeUrlOf(orgId, customerId) {
      const held = cache.find(orgId);
      if (!held) return null;
      return (customerId === null ? undefined : held.upgradeUrlByCustomer.get(customerId)) ?? held.upgradeUrl;
    },
    assumedServiceTierOf: (orgId) => cache.find(orgId)?.assumedServiceTier ?? null,
    versionOf: (orgId) => cache.find(orgId)?.configVersion,
  };
}

const NONE: readonly HeldBudget[] = [];

function applicableOf({ byEntity, limits }: Held, call: BudgetedCall): readonly HeldBudget[] {
  if (!limits.any) return NONE;
  const keys = [entityKey("org", "org")];
  if (call.userId !== null) keys.push(entityKey("user", call.userId));
  if (call.apiKeyId !== null) keys.push(entityKey("api_key", call.apiKeyId));
  if (call.customerId !== null) keys.push(entityKey("customer", call.customerId));
  for (const [key, value] of Object.entries(call.tags)) keys.push(entityKey("tag", `${key}=${value}`));
  return keys
    .flatMap((key) => byEntity.get(key) ?? NONE)
    .filter((budget) => isBudgetApplicable(budget, call, matchesModelPattern))
    .sort((a, b) => (a.id < b.id ? -1 : 1));
}

const entityKey = (type: BudgetEntityType, id: string): string => `${type}\n${id}`;

type LoadedRow = {
  config_version: bigint;
  timezone: string;
  assumed_service_tier: string | null;
  upgrade_url: string | null;
  /** Address by customer. */
  customers: Record<string, string> | null;
  budgets: LoadedBudget[] | null;
  freezes: HeldFreeze[] | null;
};
/** Amounts come as text: a JSON number is a double. */
type LoadedBudget = {
  id: string;
  entity_type: BudgetEntityType;
  entity_id: string;
  entity_name: string | null;
  models: string[];
  providers: string[];
  max_nano: string;
  policy: BudgetPolicy;
  reset_interval: PeriodRule["interval"];
  timezone: string | null;
  anchor_day: number | null;
  thresholds: number[];
  velocity_limit_nano: string | null;
  velocity_window_seconds: number;
  velocity_cooldown_seconds: number;
  session_limit_nano: string | null;
  holds: "bound" | "expected";
  unpriced_policy: UnpricedPolicy;
};

/** One statement, one snapshot: the version and what it announces belong together. */
async function read(prisma: PrismaClient, orgId: string): Promise<Held | undefined> {
  const [row] = await prisma.$queryRaw<LoadedRow[]>`
    SELECT o.config_version, o.timezone, o.assumed_service_tier, o.upgrade_url,
      (SELECT json_object_agg(c.id, c.upgrade_url) FROM customer c WHERE c.org_id = o.id AND c.upgrade_url IS NOT NULL) AS customers,
      (SELECT json_agg(json_build_object(
          'id', b.id, 'entity_type', b.entity_type, 'entity_id', b.entity_id,
          'entity_name', CASE b.entity_type
            WHEN 'api_key' THEN (SELECT k.name FROM api_key k WHERE k.org_id = b.org_id AND k.id::text = b.entity_id)
            WHEN 'user' THEN (SELECT u.name FROM app_user u WHERE u.id::text = b.entity_id) END,
          'models', coalesce(b.models, '{}'), 'providers', coalesce(b.providers, '{}'), 'max_nano', b.max_nano::text, 'policy', b.policy,
          'reset_interval', b.reset_interval, 'timezone', b.timezone, 'anchor_day', b.anchor_day, 'thresholds', b.thresholds,
          'velocity_limit_nano', b.velocity_limit_nano::text, 'velocity_window_seconds', b.velocity_window_seconds,
          'velocity_cooldown_seconds', b.velocity_cooldown_seconds, 'session_limit_nano', b.session_limit_nano::text,
          'holds', b.holds, 'unpriced_policy', b.unpriced_policy))
        FROM budget b WHERE b.org_id = o.id AND b.deleted_at IS NULL) AS budgets,
      (SELECT json_agg(json_build_object('id', f.id, 'entityType', f.entity_type, 'entityId', f.entity_id, 'reason', f.reason)
          ORDER BY f.created_at DESC, f.id)
        FROM "freeze" f WHERE f.org_id = o.id AND f.lifted_at IS NULL) AS freezes
    FROM organisation o WHERE o.id = ${orgId}::uuid`;
  if (!row) return undefined;
  const budgets = (row.budgets ?? []).map((budget) => toHeldBudget(budget, orgId, row.timezone));
  const isStrict = (type: BudgetEntityType): boolean =>
    budgets.some(({ entityType, policy }) => entityType === type && policy === "strict_block");
  return {
    configVersion: row.config_version,
    limits: { any: budgets.length > 0, strictTag: isStrict("tag"), strictCustomer: isStrict("customer") },
    byEntity: groupByEntity(budgets),
    freezes: new Map((row.freezes ?? []).map((freeze) => [entityKey(freeze.entityType, freeze.entityId), freeze])),
    assumedServiceTier: row.assumed_service_tier,
    upgradeUrl: row.upgrade_url,
    upgradeUrlByCustomer: new Map(Object.entries(row.customers ?? {})),
  };
}

function groupByEntity(budgets: readonly HeldBudget[]): Map<string, HeldBudget[]> {
  const groups = new Map<string, HeldBudget[]>();
  for (const budget of budgets) {
    const key = entityKey(budget.entityType, budget.entityId);
    const group = groups.get(key);
    if (group) group.push(budget);
    else groups.set(key, [budget]);
  }
  return groups;
}

function toHeldBudget(row: LoadedBudget, orgId: string, orgTimezone: string): HeldBudget {
  return {
    id: row.id,
    orgId,
    entityType: row.entity_type,
    entityId: row.entity_id,
    entityName: row.entity_name,
    models: row.models,
    providers: row.providers,
    maxNano: nanoUsd(BigInt(row.max_nano)),
    policy: row.policy,
    period: { interval: row.reset_interval, timezone: row.timezone ?? orgTimezone, anchorDay: row.anchor_day },
    thresholds: row.thresholds,
    velocity:
      row.velocity_limit_nano === null
        ? null
        : {
            limitNano: nanoUsd(BigInt(row.velocity_limit_nano)),
            windowSeconds: row.velocity_window_seconds,
            cooldownSeconds: row.velocity_cooldown_seconds,
          },
    sessionLimitNano: row.session_limit_nano === null ? null : nanoUsd(BigInt(row.session_limit_nano)),
    holds: row.holds,
    unpricedPolicy: row.unpriced_policy,
  };
}
