import type { KeyRestrictions } from "@/server/api-key/identity";

/**
 * The rules of CONTRACT §3 for what a call or a reported cost says of itself. One place for both, so that a tag that is accepted in
 * a header is accepted in a report, and the other way round.
 */

export const TAGS_MAX = 10;
export const TAG_KEY = /^[A-Za-z0-9_-]{1,64}$/;
export const TAG_VALUE_LENGTH_MAX = 256;
export const CUSTOMER_ID = /^[A-Za-z0-9._:-]{1,256}$/;
export const SESSION_ID_LENGTH_MAX = 256;

/** Half of a surrogate pair cannot be stored. With the `u` flag whole pairs do not match. */
const LONE_SURROGATE = /\p{Surrogate}/gu;

export type ParsedTags = {
  tags: Record<string, string>;
  /** Names of what was not accepted, cut to 64 characters; `tags` where the whole was no object. */
  dropped: string[];
};

/**
 * Reads tags from decoded JSON. What does not fit the rules is dropped entry by entry; of more than ten the first ten stay.
 * @param value Anything; undefined and null are no tags.
 */
export function parseTags(value: unknown): ParsedTags {
  if (value === undefined || value === null) return { tags: {}, dropped: [] };
  if (typeof value !== "object" || Array.isArray(value)) return { tags: {}, dropped: ["tags"] };
  const tags: Record<string, string> = {};
  const dropped: string[] = [];
  let accepted = 0;
  for (const [key, each] of Object.entries(value)) {
    const tagValue = isTagKey(key) && accepted < TAGS_MAX ? parseTagValue(each) : undefined;
    if (tagValue === undefined) {
      dropped.push(key.slice(0, 64));
    } else {
      tags[key] = tagValue;
      accepted += 1;
    }
  }
  return { tags, dropped };
}

/** The text of an `X-NullSpend-Tags` header. */
export function parseTagsJson(text: string): ParsedTags {
  try {
    return parseTags(JSON.parse(text));
  } catch {
    return { tags: {}, dropped: ["tags"] };
  }
}

/** `_ns_` is ours; `__proto__` would not become a property of an object but its prototype. */
export function isTagKey(key: string): boolean {
  return TAG_KEY.test(key) && !key.startsWith("_ns_") && key !== "__proto__";
}

function parseTagValue(value: unknown): string | undefined {
  if (typeof value !== "string" || value.length > TAG_VALUE_LENGTH_MAX || value.includes("\0")) return undefined;
  return value.replace(LONE_SURROGATE, "\ufffd");
}

/** Undefined where it is not a customer id. */
export function parseCustomer(value: unknown): string | undefined {
  return typeof value === "string" && CUSTOMER_ID.test(value) ? value : undefined;
}

/** `sessionId` null: none was named (nothing but blanks counts as none). */
export type ParsedSession = { valid: true; sessionId: string | null } | { valid: false };

export function parseSession(value: unknown): ParsedSession {
  if (value === undefined || value === null) return { valid: true, sessionId: null };
  if (typeof value !== "string") return { valid: false };
  const trimmed = value.trim();
  if (trimmed.length > SESSION_ID_LENGTH_MAX || trimmed.includes("\0")) return { valid: false };
  return { valid: true, sessionId: trimmed === "" ? null : trimmed.replace(LONE_SURROGATE, "\ufffd") };
}

export type Attribution = {
  tags: Record<string, string>;
  customerId: string | null;
  /** Default tags that found no room beside the call's own. */
  dropped: string[];
};

/**
 * What a call counts toward, once its key has had its say: default tags under the call's own (ten together), locked tags over both
 * and beside the ten, a locked customer before the named one, and the tag `customer` where no customer is named.
 */
export function attribute({
  tags,
  customerId,
  restrictions,
}: {
  /** As {@link parseTags} accepted them. */
  tags: Readonly<Record<string, string>>;
  /** As {@link parseCustomer} accepted it. */
  customerId: string | undefined;
  restrictions: Pick<KeyRestrictions, "defaultTags" | "lockedTags" | "lockedCustomer">;
}): Attribution {
  const { defaultTags = {}, lockedTags = {}, lockedCustomer } = restrictions;
  const free: Record<string, string> = {};
  const dropped: string[] = [];
  for (const [key, value] of [...Object.entries(tags), ...Object.entries(defaultTags)]) {
    if (Object.hasOwn(lockedTags, key) || Object.hasOwn(free, key)) continue;
    if (Object.keys(free).length < TAGS_MAX) free[key] = value;
    else dropped.push(key);
  }
  const effective = { ...free, ...lockedTags };
  const fallback = Object.hasOwn(effective, "customer") ? parseCustomer(effective.customer) : undefined;
  return { tags: effective, customerId: lockedCustomer ?? customerId ?? fallback ?? null, dropped };
}
