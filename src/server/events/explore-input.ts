import { z } from "zod";
import { isTimezone } from "@/lib/timezone";
import { isTagKey, TAG_VALUE_LENGTH_MAX, TAGS_MAX } from "./attribution";
import { GROUPS, publicIdText, text, withPeriod } from "./input";

export const METRICS = ["cost", "calls", "tokens", "denied"] as const;
export type Metric = (typeof METRICS)[number];
export const BUCKETS = ["hour", "day", "week", "month"] as const;
export type Bucket = (typeof BUCKETS)[number];

/** Names of what roll-ups are grouped by; `session` is not among them. */
export const dimensionInput = z
  .string()
  .max(68)
  .refine(
    (name) => (GROUPS as readonly string[]).includes(name) || (name.startsWith("tag:") && isTagKey(name.slice(4))),
    `must be ${GROUPS.join(", ")} or tag:<key>`,
  );
const dimension = z
  .string()
  .max(68)
  .refine(
    (name) => (GROUPS as readonly string[]).includes(name) || name === "session" || (name.startsWith("tag:") && isTagKey(name.slice(4))),
    `must be ${GROUPS.join(", ")}, session or tag:<key>`,
  );

export const ExploreFilter = z.strictObject({
  apiKeyId: publicIdText("key").optional(),
  userId: publicIdText("user").optional(),
  customerId: text(256).optional(),
  model: text(700).optional().meta({ description: "`provider/model`." }),
  provider: text(200).optional(),
  source: z.enum(["proxy", "api", "mcp"]).optional(),
  tool: text(200).optional(),
  sessionId: text(256).optional(),
  tags: z
    .record(z.string().max(64).refine(isTagKey, "is not a tag key"), z.string().max(TAG_VALUE_LENGTH_MAX))
    .refine((tags) => Object.keys(tags).length <= TAGS_MAX, `at most ${TAGS_MAX} tags`)
    .optional(),
});
export type ExploreFilter = z.infer<typeof ExploreFilter>;

/** Hours are drawn for a month at most: more points than pixels help nobody. */
const HOURS_MAX = 33 * 24;

export const ExploreInput = withPeriod({
  metric: z.enum(METRICS).default("cost"),
  groupBy: dimension.optional().meta({ description: "None: the total alone." }),
  bucket: z.enum(BUCKETS).default("day"),
  timezone: z
    .string()
    .max(64)
    .refine(isTimezone, "must be a time zone's IANA name")
    .optional()
    .meta({ description: "The organisation's when not given." }),
  top: z.int().min(1).max(50).default(10),
  compare: z.boolean().default(false).meta({ description: "With the period of the same length before." }),
  filter: ExploreFilter.optional(),
}).refine(
  ({ bucket, period, from, to }) => {
    if (bucket !== "hour") return true;
    if (from === undefined) return period !== "90d";
    return (to === undefined ? Date.now() : Date.parse(to)) - Date.parse(from) <= HOURS_MAX * 3_600_000;
  },
  { error: "hours are shown for at most 33 days", path: ["bucket"] },
);
export type ExploreInput = z.input<typeof ExploreInput>;
