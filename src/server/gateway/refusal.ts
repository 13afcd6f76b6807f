import type { ErrorCode } from "@/lib/errors";
import { HTTP_STATUS } from "@/lib/errors";
import type { DenialShape, Provider } from "./providers/provider";

/** An answer of our own instead of the provider's. A refusal is an answer, not an error: it is returned, never thrown. */
export type Refusal = {
  code: ErrorCode;
  status: number;
  /** One sentence that a person reads in their agent's window. */
  message: string;
  details: Readonly<Record<string, unknown>> | null;
  /** Where it depends on the moment when a retry can help. */
  retryAfterSeconds?: number;
  /** Of a denial by a budget, which decides its own: `x-should-retry`, `retry-after` and our mark. */
  headers?: readonly string[];
  upgradeUrl?: string;
};

export function refusal(code: ErrorCode, message: string, details: Readonly<Record<string, unknown>> | null = null): Refusal {
  return { code, status: HTTP_STATUS[code], message: `NullSpend: ${message}`, details };
}

/**
 * `x-should-retry` decides for the official SDKs and Claude Code before they look at the status; `Retry-After` is set only where
 * a retry can help within seconds (CONTRACT §6).
 */
const RETRY_HEADERS: Partial<Record<ErrorCode, readonly string[]>> = {
  // Claude Code tries a plain 401 again for minutes before it shows why.
  unauthorized: ["x-should-retry", "false"],
  mandate_violation: ["x-should-retry", "false"],
  forbidden: ["x-should-retry", "false"],
  bad_request: ["x-should-retry", "false"],
  invalid_upstream: ["x-should-retry", "false"],
  unpriced_endpoint: ["x-should-retry", "false"],
  unpriced_model: ["x-should-retry", "false"],
  ambiguous_body: ["x-should-retry", "false"],
  concurrency_exceeded: ["retry-after", "1"],
  upstream_timeout: ["x-should-retry", "false"],
  budget_unavailable: ["x-should-retry", "true", "retry-after", "1"],
  overloaded: ["x-should-retry", "true", "retry-after", "1"],
  shutting_down: ["x-should-retry", "true", "retry-after", "1"],
};

/** Methods of the providers' APIs. Others (`TRACE` would hand back what was sent) reach nobody. */
export const FORWARDED_METHODS: readonly string[] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];

const TOO_SLOW_STATUS = 408;

/** The caller began a body and does not go on with it. */
export function bodyTooSlow(): Refusal {
  return { ...refusal("bad_request", "the request body did not arrive in time."), status: TOO_SLOW_STATUS };
}

/** Failures of the way to the provider; everything else of ours is a denial. */
const NOT_A_DENIAL: ReadonlySet<ErrorCode> = new Set(["upstream_unreachable", "upstream_timeout"]);

export function refusalHeaders(refused: Refusal): string[] {
  if (refused.headers) return [...refused.headers];
  // A body that arrives in time may be accepted, whatever its code says of others.
  const headers = refused.status === TOO_SLOW_STATUS ? [] : [...(RETRY_HEADERS[refused.code] ?? [])];
  if (!NOT_A_DENIAL.has(refused.code)) headers.push("X-NullSpend-Denied", "1");
  if (refused.retryAfterSeconds !== undefined) headers.push("retry-after", String(refused.retryAfterSeconds));
  if (refused.code === "method_not_allowed") headers.push("allow", FORWARDED_METHODS.join(", "));
  if (refused.code === "shutting_down" || refused.status === TOO_SLOW_STATUS) headers.push("connection", "close");
  return headers;
}

export function refusalBody(provider: Provider, refused: Refusal, requestId: string): Buffer {
  const { status, code, message, details, upgradeUrl } = refused;
  const shape: DenialShape = { status, code, message, details, requestId, ...(upgradeUrl === undefined ? {} : { upgradeUrl }) };
  return Buffer.from(provider.errorBody(shape));
}
