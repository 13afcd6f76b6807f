import { assertNever, HTTP_STATUS, isDenialError, isServiceError, type ErrorCode } from "@/lib/errors";

export type RestError = {
  status: number;
  code: ErrorCode;
  message: string;
  details: Readonly<Record<string, unknown>> | null;
  /** Name, value, name, value … */
  headers: readonly string[];
  /** Not one of ours: to be logged whole. */
  unexpected: boolean;
};

/** Every error REST can answer, in CONTRACT §6's words. What is not ours leaves as a fixed sentence; the log has the original. */
export function restErrorOf(error: unknown, requestId: string): RestError {
  if (isServiceError(error)) {
    const { code, message, details } = error;
    if (isDenialError(error)) return { ...error.denial, code, message, details, unexpected: false };
    return { status: HTTP_STATUS[code], code, message, details, headers: retryHeaders(code), unexpected: code === "internal_error" };
  }
  if (isDatabaseAway(error)) {
    const message = "The database does not answer right now. Nothing was changed; try again.";
    return {
      status: 503,
      code: "budget_unavailable",
      message,
      details: null,
      headers: retryHeaders("budget_unavailable"),
      unexpected: true,
    };
  }
  const message = `Something went wrong on our side. Tell us the request id ${requestId}.`;
  return { status: 500, code: "internal_error", message, details: null, headers: [], unexpected: true };
}

function retryHeaders(code: ErrorCode): readonly string[] {
  switch (code) {
    case "budget_unavailable":
    case "overloaded":
    case "shutting_down":
      return ["x-should-retry", "true", "retry-after", "1"];
    case "concurrency_exceeded":
    case "conflict":
      return ["retry-after", "1"];
    case "unauthorized":
      return ["www-authenticate", 'Bearer realm="NullSpend"'];
    case "forbidden":
    case "mandate_violation":
    case "bad_request":
    case "invalid_upstream":
    case "unpriced_endpoint":
    case "unpriced_model":
    case "ambiguous_body":
    case "upstream_timeout":
    case "stale_action":
    case "invalid_action_transition":
    case "action_expired":
    case "approval_required":
    case "budget_exceeded":
    case "customer_budget_exceeded":
    case "tag_budget_exceeded":
    case "session_limit_exceeded":
    case "velocity_exceeded":
    case "frozen":
      return ["x-should-retry", "false"];
    case "not_found":
    case "method_not_allowed":
    case "payload_too_large":
    case "unsupported_media_type":
    case "idempotency_conflict":
    case "unsupported_endpoint":
    case "limit_exceeded":
    case "rate_limited":
    case "upstream_unreachable":
    case "internal_error":
      return [];
    default:
      return assertNever(code);
  }
}

/** Prisma's codes for a server that cannot be reached, timed out or closed the connection. */
const AWAY = new Set(["P1001", "P1002", "P1008", "P1017", "P2024", "P2028", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT"]);

function isDatabaseAway(error: unknown): boolean {
  return error instanceof Error && "code" in error && typeof error.code === "string" && AWAY.has(error.code);
}
