import { ServiceError } from "@/lib/errors";
import type { Exchange } from "@/server/gateway";
import { readBody } from "@/server/gateway/read-body";

const BODY_BYTES_MAX = 1024 * 1024;
const IDLE_MS = 15_000;
const TOTAL_MS = 60_000;
const DEPTH_MAX = 100;
/** With the `u` flag whole pairs do not match. */
const LONE_SURROGATE = /\p{Surrogate}/u;

export type JsonBody = { bytes: Uint8Array; value: unknown };

/** Raised when the caller has left: there is nobody to answer. */
export class CallerGone extends Error {
  override readonly name = "CallerGone";
}

/**
 * Reads a JSON request body of at most 1 MiB, strictly: `application/json` in UTF-8, nested at most a hundred deep, no key that
 * reaches a prototype, no text that a database cannot hold (NUL, half a surrogate pair).
 */
export async function readJsonBody(exchange: Exchange, { optional }: { optional: boolean }): Promise<JsonBody> {
  const contentType = exchange.header("content-type");
  // Refused before it is read, except where there may be nothing to read.
  if (contentType !== undefined || !optional) assertJson(contentType);
  const read = await readBody(exchange, { bytesMax: BODY_BYTES_MAX, idleMs: IDLE_MS, totalMs: TOTAL_MS });
  if (read.outcome === "gone") throw new CallerGone();
  if (read.outcome === "too-slow") throw new ServiceError("bad_request", "The body did not arrive in time.");
  if (read.outcome === "too-large") throw new ServiceError("payload_too_large", "The body is larger than 1 MiB.");
  if (read.outcome === "no-room") throw new ServiceError("overloaded", "Too much is being sent here at once. Try again.");
  const bytes = read.body;
  if (bytes.length === 0 && optional) return { bytes, value: {} };
  assertJson(contentType);
  return { bytes, value: parseJson(bytes) };
}

function assertJson(contentType: string | undefined): void {
  const [type = "", ...parameters] = (contentType ?? "").split(";").map((part) => part.trim().toLowerCase());
  const isUtf8 = parameters.every((parameter) => !parameter.startsWith("charset=") || /^charset="?utf-?8"?$/.test(parameter));
  if (type === "application/json" && isUtf8) return;
  throw new ServiceError("unsupported_media_type", "Send the body as application/json in UTF-8.");
}

function parseJson(bytes: Uint8Array): unknown {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw new ServiceError("bad_request", bytes.length === 0 ? "The request needs a JSON body." : "The body is not valid JSON.");
  }
  assertHarmless(value);
  return value;
}

/** Refuses what {@link readJsonBody} refuses of decoded JSON. */
export function assertHarmless(value: unknown, depth = 0): void {
  if (typeof value === "string") return assertStorable(value);
  if (typeof value !== "object" || value === null) return;
  if (depth >= DEPTH_MAX) throw new ServiceError("bad_request", `The body is nested more than ${DEPTH_MAX} levels deep.`);
  if (Array.isArray(value)) {
    for (const item of value) assertHarmless(item, depth + 1);
    return;
  }
  for (const [key, item] of Object.entries(value)) {
    if (key === "__proto__" || (key === "constructor" && typeof item === "object" && item !== null && Object.hasOwn(item, "prototype"))) {
      throw new ServiceError("bad_request", "The body contains a key that is not allowed.");
    }
    assertStorable(key);
    assertHarmless(item, depth + 1);
  }
}

function assertStorable(text: string): void {
  if (!text.includes("\0") && !LONE_SURROGATE.test(text)) return;
  throw new ServiceError("bad_request", "The body contains text that is not valid Unicode, or NUL.");
}
