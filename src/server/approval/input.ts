import { z } from "zod";
import { microdollarsToNano } from "@/lib/money";
import { ACTION_STATUSES } from "./transitions";

/** What may be asked of actions (CONTRACT §10). None of these schemas changes a type: what one of them has read, it reads again. */

export const ACTION_TYPE = /^[a-z][a-z0-9_.:-]{0,63}$/;
const PAYLOAD_BYTES_MAX = 64_000;
const METADATA_BYTES_MAX = 16_000;
const RESULT_BYTES_MAX = 64_000;
const DEPTH_MAX = 20;
export const EXPIRES_IN_SECONDS_DEFAULT = 3_600;
const EXPIRES_IN_SECONDS_MAX = 2_592_000;

const storable = (text: string): boolean => !text.includes("\0") && !/\p{Surrogate}/u.test(text);
const text = (max: number) => z.string().min(1).max(max).refine(storable, "must not contain NUL or half characters");

/** An object of JSON that fits into `bytesMax` and is not nested deeper than twenty. */
const jsonObject = (bytesMax: number) =>
  z.record(z.string(), z.json()).superRefine((value, context) => {
    if (depthOf(value) > DEPTH_MAX) context.addIssue({ code: "custom", message: `must not be nested deeper than ${DEPTH_MAX}` });
    const json = JSON.stringify(value);
    if (Buffer.byteLength(json) > bytesMax) context.addIssue({ code: "custom", message: `must be at most ${bytesMax} bytes as JSON` });
    // Postgres stores neither in jsonb.
    if (/\\u0000/.test(json) || /\\ud[89a-f]/i.test(json))
      context.addIssue({ code: "custom", message: "must not contain NUL or half characters" });
  });

function depthOf(value: unknown): number {
  let depth = 0;
  let level: unknown[] = [value];
  // By level rather than by recursion: a body of a hundred thousand brackets must not overflow the stack.
  while (level.length > 0 && depth <= DEPTH_MAX) {
    const next = level.flatMap((each) => (typeof each === "object" && each !== null ? Object.values(each) : []));
    if (level.some((each) => typeof each === "object" && each !== null)) depth += 1;
    level = next;
  }
  return depth;
}

const amount = z
  .number()
  .refine((value) => (microdollarsToNano(value) ?? 0n) > 0n, "must be more than 0, with at most three decimals")
  .meta({ description: "Microdollars ($1 = 1,000,000), more than 0, at most three decimals.", examples: [5_000_000] });

export const CreateActionInput = z.strictObject({
  agentId: text(255).meta({ description: "Who proposes it, in the agent's own words." }),
  actionType: z.string().regex(ACTION_TYPE, "must be a lower-case name such as send_email or deploy:production"),
  payload: jsonObject(PAYLOAD_BYTES_MAX),
  metadata: jsonObject(METADATA_BYTES_MAX).optional().meta({ description: "`sessionId` and `traceId` link the action to the run." }),
  expiresInSeconds: z
    .int()
    .min(1)
    .max(EXPIRES_IN_SECONDS_MAX)
    .optional()
    .meta({ description: `Default ${EXPIRES_IN_SECONDS_DEFAULT}.` }),
});
export type CreateActionInput = z.input<typeof CreateActionInput>;

/** The payload of a `budget_increase`; more fields are kept and shown. */
export const BudgetIncreasePayload = z.looseObject({
  entityType: z.enum(["org", "user", "api_key", "tag", "customer"]),
  entityId: z.string().min(1).max(400).optional(),
  budgetId: z.string().max(100).optional().meta({ description: "Needed only where the entity has several budgets." }),
  requestedAmountMicrodollars: amount,
  reason: z.string().max(2_000).optional(),
});

export const ListActionsInput = z.strictObject({
  limit: z.int().min(1).max(100).default(50),
  cursor: z.string().max(1_000).optional().meta({ description: "`cursor` of the page before." }),
  statuses: z.array(z.enum(ACTION_STATUSES)).min(1).max(ACTION_STATUSES.length).optional(),
  actionType: z.string().regex(ACTION_TYPE).optional(),
  agentId: z.string().min(1).max(255).optional(),
});
export type ListActionsInput = z.input<typeof ListActionsInput>;

export const ApproveInput = z.strictObject({
  approvedAmountMicrodollars: amount.optional().meta({ description: "In place of what was asked for: less or more." }),
  until: z
    .union([z.enum(["period", "permanent"]), z.iso.datetime({ offset: true })])
    .optional()
    .meta({ description: "How long a raised limit stays: `period` (default), `permanent`, or until an instant." }),
  note: text(2_000).optional(),
});
export type ApproveInput = z.input<typeof ApproveInput>;

export const RejectInput = z.strictObject({ reason: text(2_000).optional() });
export type RejectInput = z.input<typeof RejectInput>;

export const ActionResultInput = z
  .strictObject({
    status: z.enum(["executing", "executed", "failed"]),
    result: jsonObject(RESULT_BYTES_MAX).optional(),
    errorMessage: text(4_000).optional(),
  })
  .superRefine(({ status, result, errorMessage }, context) => {
    const issue = (path: string, message: string) => context.addIssue({ code: "custom", path: [path], message });
    if (status === "executing" && result !== undefined) issue("result", "comes when it is executed");
    if (status !== "failed" && errorMessage !== undefined) issue("errorMessage", "belongs to a failed action");
    if (status === "failed" && errorMessage === undefined) issue("errorMessage", "must say what failed");
  });
export type ActionResultInput = z.input<typeof ActionResultInput>;

const conditions = z.strictObject({
  actionTypes: z.array(z.string().regex(ACTION_TYPE)).min(1).max(50).optional().meta({ description: "`llm_call` for calls of models." }),
  models: z.array(text(200)).min(1).max(50).optional().meta({ description: "Patterns with `*`; calls of models only." }),
  amountAboveMicrodollars: amount.optional().meta({ description: "The amount asked for, or the most a call may cost." }),
  tag: z.strictObject({ key: z.string().regex(/^[A-Za-z0-9_-]{1,64}$/), value: text(256).optional() }).optional(),
});
export type PolicyConditions = z.infer<typeof conditions>;

export const ApprovalPolicyInput = z.strictObject({
  name: text(100),
  enabled: z.boolean().default(true),
  conditions: conditions.default({}).meta({ description: "All that are given must match; none matches every proposed action." }),
  approverIds: z.array(z.string().max(100)).max(50).default([]).meta({ description: "Members who decide; empty: whoever may." }),
  approvalsNeeded: z.int().min(1).max(10).default(1),
  fourEyes: z.boolean().default(true).meta({ description: "Who asked, and whose key asked, does not decide." }),
  remindAfterSeconds: z.int().min(60).max(EXPIRES_IN_SECONDS_MAX).nullable().default(null),
  escalateAfterSeconds: z
    .int()
    .min(60)
    .max(EXPIRES_IN_SECONDS_MAX)
    .nullable()
    .default(null)
    .meta({ description: "Then owners and admins are asked and may decide as well." }),
});
export const ApprovalPoliciesInput = z.strictObject({ policies: z.array(ApprovalPolicyInput).max(50) });
export type ApprovalPoliciesInput = z.input<typeof ApprovalPoliciesInput>;
