import { z } from "zod";
// The module and not the door of events: events stands on what stands on this.
import { CUSTOMER_ID, isTagKey, TAG_VALUE_LENGTH_MAX, TAGS_MAX } from "@/server/events/attribution";
import type { KeyRestrictions } from "./identity";

const LIST_MAX = 50;
export const MAX_CONCURRENT_DEFAULT = 2000;

const tagKey = z.string().refine(isTagKey, "a tag key is 1 to 64 of A-Z a-z 0-9 _ - and does not begin with _ns_");
const tagValue = z.string().max(TAG_VALUE_LENGTH_MAX).refine(hasNoNul, "must not contain NUL");
const tags = z.record(tagKey, tagValue).refine((value) => Object.keys(value).length <= TAGS_MAX, `at most ${TAGS_MAX} tags`);
const pattern = (max: number) => z.string().min(1).max(max).refine(hasNoNul, "must not contain NUL");
const requirement = z.string().refine(isRequirement, "must be `customer`, `session` or `tag:<key>`");

function hasNoNul(value: string): boolean {
  return !value.includes("\0");
}

function isRequirement(value: string): boolean {
  if (value === "customer" || value === "session") return true;
  return value.startsWith("tag:") && isTagKey(value.slice("tag:".length));
}

/** The restrictions of CONTRACT §2 as a caller gives them and as they are stored. Absent: unrestricted; an empty list denies everything. */
export const RestrictionsInput = z.strictObject({
  allowedModels: z
    .array(pattern(200))
    .max(LIST_MAX)
    .optional()
    .meta({ description: "Patterns with `*`, matched against the whole model name." }),
  allowedProviders: z.array(pattern(100)).max(LIST_MAX).optional(),
  defaultTags: tags.optional().meta({ description: "Merged under the tags of each call." }),
  lockedTags: tags.optional().meta({ description: "Win over the tags of each call and do not count toward its ten." }),
  lockedCustomer: z.string().regex(CUSTOMER_ID, "a customer is 1 to 256 of A-Z a-z 0-9 . _ : -").optional(),
  require: z
    .array(requirement)
    .max(LIST_MAX)
    .optional()
    .meta({ description: "What each call must name: `customer`, `session` or `tag:<key>`." }),
  maxConcurrent: z
    .int()
    .min(1)
    .max(100_000)
    .optional()
    .meta({ description: `Calls in flight at once; ${MAX_CONCURRENT_DEFAULT} when not given.` }),
  denialStatus: z
    .union([z.literal(429), z.literal(402)])
    .optional()
    .meta({ description: "HTTP status of budget denials; 429 when not given." }),
});
export type RestrictionsInput = z.infer<typeof RestrictionsInput>;

/**
 * Reads the stored column. Null where it cannot be read: the caller then denies, because a restriction that was not understood
 * may have been the one that mattered. Strict, so that a field of a newer version denies too.
 */
export function parseStoredRestrictions(stored: unknown): KeyRestrictions | null {
  const parsed = RestrictionsInput.safeParse(stored);
  if (!parsed.success) return null;
  return {
    ...parsed.data,
    maxConcurrent: parsed.data.maxConcurrent ?? MAX_CONCURRENT_DEFAULT,
    denialStatus: parsed.data.denialStatus ?? 429,
  };
}
