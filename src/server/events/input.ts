import { z } from "zod";
import { ID_PREFIX, parsePublicId, type IdKind } from "@/lib/ids";
import { microdollarsToNano } from "@/lib/money";
import { CUSTOMER_ID, isTagKey, parseTags, SESSION_ID_LENGTH_MAX, TAG_VALUE_LENGTH_MAX, TAGS_MAX } from "./attribution";

/**
 * What may be asked of cost events and reported to them. None of these schemas changes a type: what one of them has read, it reads
 * again. Unknown fields are refused.
 */

const TEXT_LENGTH_MAX = 512;
const TOKENS_MAX = 2_147_483_647;
const DURATION_MS_MAX = 1_000_000_000;
/** A year and a day: what a page sums up at once stays bounded. */
export const RANGE_DAYS_MAX = 367;

const noNul = (value: string): boolean => !value.includes("\0");
export const text = (lengthMax: number) => z.string().min(1).max(lengthMax).refine(noNul, "must not contain NUL");

const FIRST_MS = Date.parse("0001-01-01T00:00:00Z");
const LAST_MS = Date.parse("9999-12-31T23:59:59.999Z");
/** Postgres knows no year 0, and reads five digits in another way. An offset can lead there from a date that looks right. */
const isStorable = (text: string): boolean => Date.parse(text) >= FIRST_MS && Date.parse(text) <= LAST_MS;
const instant = z
  .union([z.iso.datetime({ offset: true }), z.iso.date()], { error: "must be an ISO 8601 time or date" })
  .refine(isStorable, "must lie in the years 1 to 9999 (UTC)")
  .meta({ description: "ISO 8601; a date alone is its first moment in UTC." });

export const publicIdText = (kind: IdKind) =>
  z
    .string()
    .refine((id) => parsePublicId(kind, id) !== undefined, `must be ${ID_PREFIX[kind]} and a UUID`)
    .meta({ examples: [`${ID_PREFIX[kind]}0190b3c4-5d6e-7f80-9a1b-2c3d4e5f6071`] });

export const cursor = z.string().max(1_000).meta({ description: "`cursor` of the page before." });
export const pageSize = z.int().min(1).max(100).default(25);

type Range = { from?: string | undefined; to?: string | undefined };
/** `from` is included, `to` is not. */
const range = { from: instant.optional(), to: instant.optional() };
const isForward = ({ from, to }: Range): boolean => from === undefined || to === undefined || Date.parse(from) < Date.parse(to);
const FORWARD = { error: "must be later than `from`", path: ["to"] };

const filter = {
  ...range,
  requestId: text(TEXT_LENGTH_MAX).optional(),
  apiKeyId: publicIdText("key").optional(),
  provider: text(TEXT_LENGTH_MAX).optional(),
  model: text(TEXT_LENGTH_MAX).optional().meta({ description: "The model that served." }),
  source: z.enum(["proxy", "api", "mcp"]).optional(),
  status: z.enum(["ok", "denied", "upstream_error", "cancelled", "interrupted"]).optional(),
  budgetStatus: z.enum(["none", "approved", "denied"]).optional(),
  userId: publicIdText("user").optional(),
  toolName: text(TEXT_LENGTH_MAX).optional(),
  minCostMicrodollars: z.number().min(0).max(9e12).optional().meta({ description: "At least so much." }),
  maxCostMicrodollars: z.number().min(0).max(9e12).optional().meta({ description: "At most so much." }),
  customerId: text(TEXT_LENGTH_MAX).optional(),
  traceId: text(TEXT_LENGTH_MAX).optional(),
  sessionId: text(TEXT_LENGTH_MAX).optional(),
  tags: z
    .record(
      z.string().max(64).refine(isTagKey, "is not a tag key"),
      z.string().max(TAG_VALUE_LENGTH_MAX).refine(noNul, "must not contain NUL"),
    )
    .refine((tags) => Object.keys(tags).length <= TAGS_MAX, `at most ${TAGS_MAX} tags`)
    .optional()
    .meta({ description: "All of them must match. In a query string: `tag.<key>=<value>`." }),
};

export const CostEventFilter = z.strictObject(filter).refine(isForward, FORWARD);
export type CostEventFilter = z.infer<typeof CostEventFilter>;

export const ListCostEventsInput = z.strictObject({ ...filter, limit: pageSize, cursor: cursor.optional() }).refine(isForward, FORWARD);
export type ListCostEventsInput = z.input<typeof ListCostEventsInput>;

export const GetCostEventInput = z.strictObject({ id: publicIdText("event") });
export type GetCostEventInput = z.input<typeof GetCostEventInput>;

const period = {
  period: z
    .enum(["7d", "30d", "90d"])
    .optional()
    .meta({ description: "Whole days in the organisation's time zone, today included; 30d when neither it nor `from` is given." }),
  ...range,
};
const isOneKind = ({ period, from, to }: Range & { period?: string | undefined }): boolean =>
  period === undefined || (from === undefined && to === undefined);
const hasFrom = ({ from, to }: Range): boolean => to === undefined || from !== undefined;
const isShort = ({ from, to }: Range, nowMs = Date.now()): boolean => {
  if (from === undefined) return true;
  const end = to === undefined ? nowMs : Date.parse(to);
  return end - Date.parse(from) <= RANGE_DAYS_MAX * 86_400_000;
};
const ONE_KIND = { error: "give either `period` or `from` and `to`", path: ["period"] };
const HAS_FROM = { error: "needs `from`", path: ["to"] };
const SHORT = { error: `at most ${RANGE_DAYS_MAX} days`, path: ["from"] };

export const withPeriod = <T extends z.ZodRawShape>(shape: T) =>
  z
    .strictObject({ ...period, ...shape })
    .refine((input) => isForward(input as Range), FORWARD)
    .refine((input) => isOneKind(input as Range), ONE_KIND)
    .refine((input) => hasFrom(input as Range), HAS_FROM)
    .refine((input) => isShort(input as Range), SHORT);

export const CostSummaryInput = withPeriod({});
export type CostSummaryInput = z.input<typeof CostSummaryInput>;
export type PeriodInput = z.infer<typeof CostSummaryInput>;

/** Names that group by a column; every other name is a tag, and `tag:<key>` always is. */
export const GROUPS = ["api_key", "user", "customer", "model", "provider", "source", "tool"] as const;
const groupBy = z
  .string()
  .max(68)
  .refine(
    (name) => (GROUPS as readonly string[]).includes(name) || isTagKey(name.startsWith("tag:") ? name.slice("tag:".length) : name),
    `must be ${GROUPS.join(", ")} or a tag key`,
  )
  .meta({ description: `${GROUPS.join(", ")}, or a tag key (\`tag:<key>\` where the key is one of these words).` });

export const AttributionInput = withPeriod({ groupBy, limit: z.int().min(1).max(500).default(100) });
export type AttributionInput = z.input<typeof AttributionInput>;

export const AttributionDetailInput = withPeriod({
  groupBy,
  value: z
    .string()
    .max(TEXT_LENGTH_MAX * 2)
    .refine(noNul, "must not contain NUL")
    .meta({ description: "`value` of a group." }),
});
export type AttributionDetailInput = z.input<typeof AttributionDetailInput>;

export const ListSessionsInput = z
  .strictObject({
    ...range,
    search: text(SESSION_ID_LENGTH_MAX).optional().meta({ description: "Part of the session's id." }),
    sort: z.enum(["recent", "cost"]).default("recent").meta({ description: "The one that was active last first, or the dearest." }),
    limit: pageSize,
    cursor: cursor.optional(),
  })
  .refine(isForward, FORWARD);
export type ListSessionsInput = z.input<typeof ListSessionsInput>;

export const GetSessionInput = z.strictObject({ sessionId: text(TEXT_LENGTH_MAX) });
export type GetSessionInput = z.input<typeof GetSessionInput>;

const tokens = z.int().min(0).max(TOKENS_MAX);
const microdollars = z
  .number()
  .min(0)
  .refine((value) => microdollarsToNano(value) !== undefined, "must have at most three decimals and be at most 9,000,000,000,000")
  .meta({ description: "Microdollars ($1 = 1,000,000), at most three decimals." });

export const ReportCostEventInput = z.strictObject({
  provider: text(100).refine((name) => !name.includes("/"), "must not contain a slash"),
  model: text(200),
  costMicrodollars: microdollars,
  inputTokens: tokens.optional().meta({ description: "Cache reads and writes included." }),
  outputTokens: tokens.optional().meta({ description: "Reasoning included." }),
  cachedInputTokens: tokens.optional(),
  cacheWriteTokens: tokens.optional(),
  reasoningTokens: tokens.optional(),
  durationMs: z.number().min(0).max(DURATION_MS_MAX).optional(),
  sessionId: z.string().trim().min(1).max(SESSION_ID_LENGTH_MAX).refine(noNul, "must not contain NUL").optional(),
  traceId: z
    .string()
    .regex(/^(?!0{32})[0-9a-f]{32}$/, "must be 32 lower-case hex digits, not all zero")
    .optional(),
  eventType: z.enum(["llm", "tool", "custom"]).default("custom"),
  toolName: text(200).optional(),
  toolServer: text(200).optional(),
  idempotencyKey: text(200).optional().meta({ description: "A second report of the same provider with this key is not counted again." }),
  costBreakdown: z
    .strictObject({
      input: microdollars.default(0),
      cached: microdollars.default(0),
      cacheWrite: microdollars.default(0),
      output: microdollars.default(0).meta({ description: "Reasoning included." }),
      reasoning: microdollars.default(0).meta({ description: "Part of `output`." }),
      tools: microdollars.default(0),
    })
    .optional()
    .meta({ description: "input + cached + cacheWrite + output + tools = costMicrodollars." }),
  tags: z
    .record(z.string(), z.unknown())
    .superRefine((tags, context) => {
      for (const key of parseTags(tags).dropped) {
        context.addIssue({ code: "custom", path: [key], message: "is not a valid tag, or one too many" });
      }
    })
    .optional()
    .meta({
      description: `At most ${TAGS_MAX}; keys of A-Z a-z 0-9 _ -, values of at most ${TAG_VALUE_LENGTH_MAX} characters.`,
      override: { type: "object", additionalProperties: { type: "string" } },
    }),
  customerId: z.string().regex(CUSTOMER_ID, "must be 1 to 256 of A-Z a-z 0-9 . _ : -").optional(),
  customer: z
    .string()
    .regex(CUSTOMER_ID, "must be 1 to 256 of A-Z a-z 0-9 . _ : -")
    .optional()
    .meta({ description: "Another name of `customerId`." }),
});
export type ReportCostEventInput = z.input<typeof ReportCostEventInput>;

export const REPORTS_MAX = 100;
export const ReportCostEventsInput = z.strictObject({ events: z.array(ReportCostEventInput).min(1).max(REPORTS_MAX) });
export type ReportCostEventsInput = z.input<typeof ReportCostEventsInput>;
