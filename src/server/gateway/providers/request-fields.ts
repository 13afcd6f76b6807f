import { type JsonPaths, JsonScanner, isObject, parseJson } from "@/server/metering/json-scanner";
import type { ReadRequestResult, RequestFacts } from "./provider";

export type RequestIssue = { path: string; message: string };

/** Longest value of a field that decides a price; a model name or a tier is never near it. */
const FIELD_BYTES_MAX = 64 * 1024;
const SESSION_CHARACTERS_MAX = 256;

/**
 * The fields of a request body that decide its price, typed. A field of the wrong type is an issue and never "not set": a cap
 * that cannot be read must not become no cap.
 */
export class RequestFields {
  readonly #read: (path: string) => unknown;
  readonly issues: RequestIssue[] = [];

  /** @param read a field's value; undefined when it is not there. */
  constructor(read: (path: string) => unknown) {
    this.#read = read;
  }

  /** Undefined when the field is missing or null, which providers take for the same. */
  raw(path: string): unknown {
    return this.#read(path) ?? undefined;
  }

  text(path: string): string | undefined {
    const value = this.raw(path);
    if (value === undefined) return undefined;
    if (typeof value === "string" && value !== "" && value.length <= 256) return value;
    return this.#refuse(path, "must be a text of 1 to 256 characters");
  }

  flag(path: string): boolean | undefined {
    const value = this.raw(path);
    if (value === undefined || typeof value === "boolean") return value;
    return this.#refuse(path, "must be true or false");
  }

  count(path: string, min: number): number | undefined {
    const value = this.raw(path);
    if (value === undefined) return undefined;
    if (typeof value === "number" && Number.isSafeInteger(value) && value >= min) return value;
    return this.#refuse(path, `must be a whole number of ${min} or more`);
  }

  /** An object or nothing; its members have paths of their own. */
  expectObject(path: string): void {
    const value = this.raw(path);
    if (value !== undefined && !isObject(value)) this.#refuse(path, "must be an object");
  }

  #refuse(path: string, message: string): undefined {
    this.issues.push({ path, message });
    return undefined;
  }
}

/** A value that no field accepts. */
const NOT_READABLE = Symbol("not readable");

const OPEN_OBJECT = 0x7b;

export type JsonRequest = { ok: true; fields: RequestFields; scanner: JsonScanner } | Extract<ReadRequestResult, { ok: false }>;

/** Finds the fields that decide the price in a JSON body. The body itself is neither changed nor parsed as a whole. */
export function readJsonRequest(body: Uint8Array, paths: JsonPaths): JsonRequest {
  const scanner = new JsonScanner(paths, { strictKeys: true });
  scanner.push(body);
  scanner.end();
  if (scanner.problem === "too-deep") return badRequest("the request body is nested too deeply", "", "may be nested 100 levels deep");
  if (!scanner.complete || !scanner.isObject) return badRequest("the request body is not a JSON object", "", "must be a JSON object");
  if (scanner.ambiguous.size > 0) return ambiguousBody([...scanner.ambiguous]);

  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  const fields = new RequestFields((path) => {
    const range = scanner.range(path);
    if (!range) return undefined;
    // Long objects (messages, tools) are never read here; a long value of a field that is would be of the wrong type.
    if (range.end - range.start > FIELD_BYTES_MAX) return bytes[range.start] === OPEN_OBJECT ? {} : NOT_READABLE;
    const value = parseJson(bytes.toString("utf8", range.start, range.end));
    return value === undefined ? NOT_READABLE : value;
  });
  return { ok: true, fields, scanner };
}

export function badRequest(message: string, path: string, issue: string): Extract<ReadRequestResult, { ok: false }> {
  return { ok: false, code: "bad_request", message: `${message}.`, issues: [{ path, message: issue }] };
}

export function ambiguousBody(paths: readonly string[]): Extract<ReadRequestResult, { ok: false }> {
  return {
    ok: false,
    code: "ambiguous_body",
    message: `the request body names ${paths.join(", ")} more than once, or in another case, so that it can be read in two ways.`,
    issues: paths.map((path) => ({ path, message: "must stand once, in lower case" })),
  };
}

/** The facts, unless a field that decides the price could not be read. */
export function factsOrIssues(facts: RequestFacts, issues: readonly RequestIssue[]): ReadRequestResult {
  if (issues.length === 0) return { ok: true, facts };
  const [first] = issues;
  return { ok: false, code: "bad_request", message: `${first!.path} ${first!.message}.`, issues: [...issues] };
}

/** Facts of a body that passes unread. */
export const UNREAD_FACTS: Readonly<RequestFacts> = {
  stream: false,
  choices: 1,
  asksStreamUsage: false,
  thinksUnseen: false,
  background: false,
};

/** Leaves out what is undefined, so that an absent fact is absent. */
export function definedOnly<T extends object>(values: { [Key in keyof T]: T[Key] | undefined }): T {
  const defined: Partial<T> = {};
  for (const key in values) {
    const value = values[key];
    if (value !== undefined) defined[key] = value;
  }
  // Every member that T requires is in `values` with a type that is not undefined, or the caller would not compile.
  return defined as T;
}

/** Claude Code names its session inside `metadata.user_id`: as JSON with `session_id`, or after `_session_` in older versions. */
export function sessionIdOf(userId: unknown): string | undefined {
  if (typeof userId !== "string" || userId.length > 4096) return undefined;
  const parsed = userId.startsWith("{") ? parseJson(userId) : undefined;
  const found = isObject(parsed) ? parsed["session_id"] : /(?:^|_)session_([A-Za-z0-9-]+)$/.exec(userId)?.[1];
  const trimmed = typeof found === "string" ? found.trim() : "";
  return trimmed !== "" && trimmed.length <= SESSION_CHARACTERS_MAX && !/\p{Cc}/u.test(trimmed) ? trimmed : undefined;
}
