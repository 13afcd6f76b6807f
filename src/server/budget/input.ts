import { z } from "zod";
import { isTimezone } from "@/lib/timezone";
import { ID_PREFIX, parsePublicId } from "@/lib/ids";
import { microdollarsToNano } from "@/lib/money";
import { CUSTOMER_ID, isTagKey, TAG_VALUE_LENGTH_MAX } from "@/server/events/attribution";

/** What may be asked of budgets (CONTRACT §11). None of these schemas changes a type: what one of them has read, it reads again. */

export const ENTITY_TYPES = ["org", "user", "api_key", "tag", "customer"] as const;
export const POLICIES = ["strict_block", "soft_block", "warn"] as const;
export const RESET_INTERVALS = ["none", "daily", "weekly", "monthly", "yearly"] as const;
export const HOLDS = ["bound", "expected"] as const;
export const UNPRICED_POLICIES = ["ceiling", "block", "allow"] as const;
export const THRESHOLDS_DEFAULT = [50, 80, 90, 95];

const PATTERNS_MAX = 50;

export const amount = z
  .number()
  .refine((value) => (microdollarsToNano(value) ?? 0n) > 0n, "must be more than 0, with at most three decimals")
  .meta({ description: "Microdollars ($1 = 1,000,000), more than 0, at most three decimals.", examples: [10_000_000] });

const seconds = z.int().min(10).max(3600);
const noNul = (value: string): boolean => !value.includes("\0") && !/\p{Surrogate}/u.test(value);
const isUnique = (list: readonly unknown[]): boolean => new Set(list).size === list.length;

const models = z
  .array(z.string().min(1).max(200).refine(noNul, "must not contain NUL"))
  .max(PATTERNS_MAX)
  .refine(isUnique, "each pattern once")
  .meta({ description: "Patterns with `*` over the requested model's name; empty: every model." });
const providers = z
  .array(z.string().regex(/^[a-z0-9][a-z0-9._-]{0,63}$/, "must be a provider's name in lower case, e.g. openai"))
  .max(PATTERNS_MAX)
  .refine(isUnique, "each provider once")
  .meta({ description: "Empty: every provider." });

/** What can be changed of a budget. */
const fields = {
  maxBudgetMicrodollars: amount,
  policy: z.enum(POLICIES),
  resetInterval: z.enum(RESET_INTERVALS),
  timezone: z
    .string()
    .max(64)
    .refine(isTimezone, "must be a time zone's IANA name, e.g. Europe/Berlin")
    .nullable()
    .meta({ description: "IANA name; null: the organisation's." }),
  anchorDay: z
    .int()
    .min(1)
    .max(31)
    .nullable()
    .meta({ description: "Monthly: 1–31, clamped to the month's end. Weekly: 1 (Monday) – 7. Null: the first." }),
  thresholdPercentages: z
    .array(z.int().min(1).max(100))
    .max(10)
    .refine((list) => list.every((value, index) => index === 0 || list[index - 1]! < value), "must ascend, each once")
    .meta({ description: "Percentages of the limit that are announced; empty: none." }),
  velocityLimitMicrodollars: amount.nullable().meta({ description: "Per window; null: no velocity limit." }),
  velocityWindowSeconds: seconds,
  velocityCooldownSeconds: seconds,
  sessionLimitMicrodollars: amount.nullable().meta({ description: "Per session; null: no session limit." }),
  holds: z.enum(HOLDS),
  unpricedPolicy: z.enum(UNPRICED_POLICIES),
};

const entityId = z.string().min(1).max(400).meta({
  description: "`org`; `ns_usr_…`; `ns_key_…`; a tag as `key=value`; a customer's id. May be left out for `org`.",
});

/** Identity: entity, filters and interval. What is not sent keeps its value where such a budget exists, else takes its default. */
export const CreateBudgetInput = z
  .strictObject({
    entityType: z.enum(ENTITY_TYPES),
    entityId: entityId.optional(),
    models: models.optional(),
    providers: providers.optional(),
    maxBudgetMicrodollars: fields.maxBudgetMicrodollars,
    policy: fields.policy.optional(),
    resetInterval: fields.resetInterval.optional().meta({ description: "`none` when not given." }),
    timezone: fields.timezone.optional(),
    anchorDay: fields.anchorDay.optional(),
    thresholdPercentages: fields.thresholdPercentages.optional(),
    velocityLimitMicrodollars: fields.velocityLimitMicrodollars.optional(),
    velocityWindowSeconds: fields.velocityWindowSeconds.optional(),
    velocityCooldownSeconds: fields.velocityCooldownSeconds.optional(),
    sessionLimitMicrodollars: fields.sessionLimitMicrodollars.optional(),
    holds: fields.holds.optional(),
    unpricedPolicy: fields.unpricedPolicy.optional(),
  })
  .superRefine(({ entityType, entityId }, context) => {
    const problem = entityProblem(entityType, entityId);
    if (problem !== undefined) context.addIssue({ code: "custom", path: ["entityId"], message: problem });
  });
export type CreateBudgetInput = z.input<typeof CreateBudgetInput>;

export const UpdateBudgetInput = z
  .strictObject(fields)
  .partial()
  .refine((input) => Object.values(input).some((value) => value !== undefined), "nothing to change");
export type UpdateBudgetInput = z.input<typeof UpdateBudgetInput>;

export const ListBudgetsInput = z.strictObject({
  limit: z.int().min(1).max(100).default(50),
  cursor: z.string().max(1_000).optional().meta({ description: "`cursor` of the page before." }),
  sort: z
    .enum(["created", "utilization"])
    .default("created")
    .meta({ description: "`created`: newest first. `utilization`: closest to the wall first." }),
  entityType: z.enum(ENTITY_TYPES).optional(),
  entityId: entityId.optional(),
});
export type ListBudgetsInput = z.input<typeof ListBudgetsInput>;

/** Undefined: this id names an entity of this type. Whether there is such an entity is the database's word. */
function entityProblem(entityType: (typeof ENTITY_TYPES)[number], id: string | undefined): string | undefined {
  if (bareEntityId(entityType, id) !== undefined) return undefined;
  switch (entityType) {
    case "org":
      return "must be `org` or left out";
    case "user":
      return `must be ${ID_PREFIX.user} and a UUID`;
    case "api_key":
      return `must be ${ID_PREFIX.key} and a UUID`;
    case "tag":
      return `must be key=value: a key of 1 to 64 of A-Z a-z 0-9 _ - that does not begin with _ns_, a value of at most ${TAG_VALUE_LENGTH_MAX} characters`;
    case "customer":
      return "must be 1 to 256 of A-Z a-z 0-9 . _ : -";
  }
}

/** A public entity id → as budgets store it. Undefined when it names no entity of this type. */
export function bareEntityId(entityType: (typeof ENTITY_TYPES)[number], id: string | undefined): string | undefined {
  switch (entityType) {
    case "org":
      return id === undefined || id === "org" ? "org" : undefined;
    case "user":
      return id === undefined ? undefined : parsePublicId("user", id);
    case "api_key":
      return id === undefined ? undefined : parsePublicId("key", id);
    case "customer":
      return id !== undefined && CUSTOMER_ID.test(id) ? id : undefined;
    case "tag": {
      const separator = id?.indexOf("=") ?? -1;
      if (id === undefined || separator === -1) return undefined;
      const value = id.slice(separator + 1);
      return isTagKey(id.slice(0, separator)) && value.length <= TAG_VALUE_LENGTH_MAX && noNul(value) ? id : undefined;
    }
  }
}
