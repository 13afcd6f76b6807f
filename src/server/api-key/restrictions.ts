import { z } from "zod";
import type { KeyRestrictions } from "./identity";

const TAG_KEY = /^[A-Za-z0-9_-]{1,64}$/;
const CUSTOMER = /^[A-Za-z0-9._:-]{1,256}$/;
const LIST_MAX = 50;
const TAGS_MAX = 10;
export const MAX_CONCURRENT_DEFAULT = 2000;

const tagKey = z
  .string()
  .regex(TAG_KEY, "a tag key is 1 to 64 of A-Z a-z 0-9 _ -")
  .refine((key) => !key.startsWith("_ns_") && key !== "__proto__", "this tag key is reserved");
const tagValue = z.string().max(256).refine(hasNoNul, "must not contain NUL");
const tags = z.record(tagKey, tagValue).refine((value) => Object.keys(value).length <= TAGS_MAX, `at most ${TAGS_MAX} tags`);
const pattern = (max: number) => z.string().min(1).max(max).refine(hasNoNul, "must not contain NUL");
const requirement = z.string().refine(isRequirement, "must be `customer`, `session` or `tag:<key>`");

function hasNoNul(value: string): boolean {
  return !value.includes("\0");
}

function isRequirement(value: string): boolean {
  if (value === "customer" || value === "session") return true;
  return value.startsWith("tag:") && tagKey.safeParse(value.slice("tag:".length)).success;
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
  lockedCustomer: z.string().regex(CUSTOMER, "a customer is 1 to 256 of A-Z a-z 0-9 . _ : -").optional(),
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
