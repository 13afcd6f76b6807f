import { z } from "zod";
import { ServiceError } from "@/lib/errors";

/** As many problems as a person reads; a hostile body can hold a hundred thousand. */
const ISSUES_MAX = 20;

/** Reads a part of the request with its schema; what is wrong with it is named by path and never repeated by value. */
export function parseInput<T extends z.ZodType>(schema: T, value: unknown, part: "body" | "query" | "path"): z.output<T> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues
    .slice(0, ISSUES_MAX)
    .map(({ path, message }) => ({ path: path.map(String).join(".").slice(0, 200), message: message.slice(0, 300) }));
  const first = issues[0];
  throw new ServiceError(
    "bad_request",
    `The ${part} is not valid${first ? `: ${first.path ? `${first.path}: ` : ""}${first.message}` : ""}.`,
    { issues },
  );
}

type IntegerRange = { min: number; max: number };

/** For a verb's own schema, which takes numbers: whole numbers in these parameters are read as such, the schema says the rest. */
export function integersIn(query: Readonly<Record<string, string>>, ...names: string[]): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(query).map(([name, value]) => [name, names.includes(name) && /^\d{1,9}$/.test(value) ? Number(value) : value]),
  );
}

/** As {@link integersIn}, for amounts with decimals. */
export function decimalsIn(query: Readonly<Record<string, unknown>>, ...names: string[]): Record<string, unknown> {
  const isDecimal = (value: unknown): value is string => typeof value === "string" && /^\d{1,13}(\.\d{1,9})?$/.test(value);
  return Object.fromEntries(
    Object.entries(query).map(([name, value]) => [name, names.includes(name) && isDecimal(value) ? Number(value) : value]),
  );
}

const TAG = "tag.";

/**
 * `tag.<key>=<value>` of a query string as one field `tags`. `__proto__` stays outside, an unknown parameter: as a key of `tags` it
 * would be passed over in silence, and with it the filter.
 */
export function gatherTags(query: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const isTag = ([name]: [string, unknown]): boolean => name.startsWith(TAG) && name !== `${TAG}__proto__`;
  const entries = Object.entries(query);
  const tags = entries.filter(isTag).map(([name, value]) => [name.slice(TAG.length), value]);
  const rest = Object.fromEntries(entries.filter((entry) => !isTag(entry)));
  return tags.length === 0 ? rest : { ...rest, tags: Object.fromEntries(tags) as Record<string, unknown> };
}

/** A whole number in a query string. */
export function queryInteger({ min, max }: IntegerRange) {
  return z
    .string()
    .regex(/^\d{1,9}$/, "must be a whole number")
    .transform(Number)
    .pipe(z.int().min(min).max(max))
    .meta({ override: { type: "integer", minimum: min, maximum: max, pattern: undefined } });
}

export function queryBoolean() {
  return z.enum(["true", "false"]).transform((text) => text === "true");
}
