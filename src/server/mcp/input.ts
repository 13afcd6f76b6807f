import { z } from "zod";
import { ID_PREFIX, parsePublicId, type IdKind } from "@/lib/ids";
import { microdollarsToNano } from "@/lib/money";
import { CUSTOMER_ID, parseTags, SESSION_ID_LENGTH_MAX, TAG_VALUE_LENGTH_MAX, TAGS_MAX } from "@/server/events/attribution";

/** What MCP proxies say of tools and their calls. None of these schemas changes a type. Unknown fields are refused. */

export const DISCOVERED_MAX = 500;
export const EVENTS_MAX = 50;
const DURATION_MS_MAX = 1_000_000_000;

const isStorable = (text: string): boolean => !text.includes("\0") && !/\p{Surrogate}/u.test(text);
const name = z.string().min(1).max(200).refine(isStorable, "must not contain NUL");
const microdollars = z
  .number()
  .refine((value) => microdollarsToNano(value) !== undefined, "must be at least 0, with at most three decimals")
  .meta({ description: "Microdollars ($1 = 1,000,000), at most three decimals." });

const idText = (kind: IdKind) => z.string().refine((id) => parsePublicId(kind, id) !== undefined, `must be ${ID_PREFIX[kind]} and a UUID`);

/** Whom a call of a tool belongs to; what the key locks wins, as for model calls. */
const attribution = {
  sessionId: z.string().trim().min(1).max(SESSION_ID_LENGTH_MAX).refine(isStorable, "must not contain NUL").optional(),
  customerId: z.string().regex(CUSTOMER_ID, "must be 1 to 256 of A-Z a-z 0-9 . _ : -").optional(),
  tags: z
    .record(z.string(), z.unknown())
    .superRefine((tags, context) => {
      for (const key of parseTags(tags).dropped) {
        context.addIssue({ code: "custom", path: [key], message: "is not a valid tag, or one too many" });
      }
    })
    .optional()
    .meta({
      description: `At most ${TAGS_MAX}; values of at most ${TAG_VALUE_LENGTH_MAX} characters.`,
      override: { type: "object", additionalProperties: { type: "string" } },
    }),
  traceId: z
    .string()
    .regex(/^(?!0{32})[0-9a-f]{32}$/, "must be 32 lower-case hex digits, not all zero")
    .optional(),
};

export const McpBudgetCheckInput = z.strictObject({
  toolName: name,
  serverName: name,
  estimateMicrodollars: microdollars.optional().meta({ description: "What the call may cost; the tool's own cost when not given." }),
  ...attribution,
});
export type McpBudgetCheckInput = z.input<typeof McpBudgetCheckInput>;

const McpEventInput = z.strictObject({
  toolName: name,
  serverName: name,
  durationMs: z.number().min(0).max(DURATION_MS_MAX).optional(),
  costMicrodollars: microdollars.optional().meta({ description: "The tool's own cost when not given. A cost that an admin set wins." }),
  status: z.enum(["success", "error", "ok", "failed", "denied"]).default("success"),
  reservationId: idText("reservation").nullable().optional().meta({ description: "Of the check before the call: its hold is settled." }),
  actionId: z
    .union([z.guid(), idText("action")])
    .nullable()
    .optional(),
  idempotencyKey: name.optional().meta({ description: "A second event with this key is not counted again." }),
  ...attribution,
});

export const McpEventsInput = z.strictObject({ events: z.array(McpEventInput).min(1).max(EVENTS_MAX) });
export type McpEventsInput = z.input<typeof McpEventsInput>;
export type McpEvent = z.output<typeof McpEventInput>;

export const ListToolCostsInput = z.strictObject({
  limit: z.int().min(1).max(DISCOVERED_MAX).default(100),
  cursor: z.string().max(1_000).optional(),
  serverName: name.optional(),
});
export type ListToolCostsInput = z.input<typeof ListToolCostsInput>;

export const PutToolCostInput = z.strictObject({ serverName: name, toolName: name, costMicrodollars: microdollars });
export type PutToolCostInput = z.input<typeof PutToolCostInput>;

export const DeleteToolCostInput = z.strictObject({ serverName: name, toolName: name });
export type DeleteToolCostInput = z.input<typeof DeleteToolCostInput>;

export const DiscoverToolsInput = z
  .strictObject({
    serverName: name,
    tools: z
      .array(
        z.strictObject({
          name,
          description: z.string().max(2_000).refine(isStorable, "must not contain NUL").nullable().optional(),
          suggestedCostMicrodollars: microdollars.nullable().optional().meta({ description: "What the tool says of itself." }),
          tierCostMicrodollars: microdollars
            .nullable()
            .optional()
            .meta({ description: "What its kind of tool usually costs; counts where it says nothing." }),
          annotations: z.record(z.string(), z.unknown()).optional().meta({ description: "Taken and not kept." }),
        }),
      )
      .min(1)
      .max(DISCOVERED_MAX),
  })
  .refine(({ tools }) => new Set(tools.map((tool) => tool.name)).size === tools.length, { error: "each tool once", path: ["tools"] });
export type DiscoverToolsInput = z.input<typeof DiscoverToolsInput>;
