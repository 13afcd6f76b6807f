import { ServiceError } from "@/lib/errors";

const PARAMETERS_MAX = 50;

/**
 * Reads a query string strictly: each name once (two values of one parameter are read differently by every reader), correct
 * percent-encoding, no NUL. The result has no prototype, so that `__proto__` is a name like any other and then unknown.
 */
export function readQuery(target: string): Readonly<Record<string, string>> {
  const start = target.indexOf("?");
  const query = Object.create(null) as Record<string, string>;
  if (start === -1) return query;
  const parts = target
    .slice(start + 1)
    .split("&")
    .filter((part) => part !== "");
  if (parts.length > PARAMETERS_MAX) throw new ServiceError("bad_request", `A query has at most ${PARAMETERS_MAX} parameters.`);
  for (const part of parts) {
    const equals = part.indexOf("=");
    const name = decode(equals === -1 ? part : part.slice(0, equals));
    if (Object.hasOwn(query, name)) throw invalid(name, "is given twice");
    query[name] = decode(equals === -1 ? "" : part.slice(equals + 1));
  }
  return query;
}

function decode(text: string): string {
  let decoded: string;
  try {
    decoded = decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    throw new ServiceError("bad_request", "The query is not correctly percent-encoded.");
  }
  if (decoded.includes("\0")) throw new ServiceError("bad_request", "The query contains NUL.");
  return decoded;
}

function invalid(name: string, message: string): ServiceError {
  return new ServiceError("bad_request", `The query parameter ${JSON.stringify(name.slice(0, 64))} ${message}.`, {
    issues: [{ path: name.slice(0, 64), message }],
  });
}
