/** Every code a caller can see (CONTRACT §6). */
export type ErrorCode =
  | "unauthorized"
  | "forbidden"
  | "mandate_violation"
  | "bad_request"
  | "invalid_upstream"
  | "unpriced_endpoint"
  | "unpriced_model"
  | "ambiguous_body"
  | "not_found"
  | "method_not_allowed"
  | "payload_too_large"
  | "unsupported_media_type"
  | "idempotency_conflict"
  | "unsupported_endpoint"
  | "limit_exceeded"
  | "conflict"
  | "stale_action"
  | "invalid_action_transition"
  | "action_expired"
  | "approval_required"
  | "budget_exceeded"
  | "customer_budget_exceeded"
  | "tag_budget_exceeded"
  | "session_limit_exceeded"
  | "velocity_exceeded"
  | "frozen"
  | "rate_limited"
  | "concurrency_exceeded"
  | "upstream_unreachable"
  | "upstream_timeout"
  | "budget_unavailable"
  | "overloaded"
  | "shutting_down"
  | "internal_error";

/** HTTP status of each code. */
export const HTTP_STATUS: Readonly<Record<ErrorCode, number>> = {
  unauthorized: 401,
  forbidden: 403,
  mandate_violation: 403,
  bad_request: 400,
  invalid_upstream: 400,
  unpriced_endpoint: 400,
  unpriced_model: 400,
  ambiguous_body: 400,
  not_found: 404,
  method_not_allowed: 405,
  payload_too_large: 413,
  unsupported_media_type: 415,
  idempotency_conflict: 422,
  unsupported_endpoint: 501,
  limit_exceeded: 409,
  conflict: 409,
  stale_action: 409,
  invalid_action_transition: 409,
  action_expired: 409,
  approval_required: 429,
  budget_exceeded: 429,
  customer_budget_exceeded: 429,
  tag_budget_exceeded: 429,
  session_limit_exceeded: 429,
  velocity_exceeded: 429,
  frozen: 423,
  rate_limited: 429,
  concurrency_exceeded: 429,
  upstream_unreachable: 502,
  upstream_timeout: 504,
  budget_unavailable: 503,
  overloaded: 503,
  shutting_down: 503,
  internal_error: 500,
};

/**
 * The one error our own code throws. `message` is for the person who called; what belongs in the log goes in `cause`.
 * Told apart by `name` and `code`, never by instanceof: Next's bundle has its own copy of this class.
 */
export class ServiceError extends Error {
  override readonly name = "ServiceError";
  readonly code: ErrorCode;
  readonly details: Readonly<Record<string, unknown>> | null;

  constructor(code: ErrorCode, message: string, details: Readonly<Record<string, unknown>> | null = null, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.details = details;
  }
}

/**
 * A denial of the ledger on its way out of a verb. What the code alone does not say travels with it: the status that the key
 * asked for, and headers that depend on the amounts.
 */
export class DenialError extends ServiceError {
  readonly denial: { readonly status: number; readonly headers: readonly string[] };

  constructor(denial: {
    code: ErrorCode;
    message: string;
    details: Readonly<Record<string, unknown>>;
    status: number;
    headers: readonly string[];
  }) {
    super(denial.code, denial.message, denial.details);
    this.denial = { status: denial.status, headers: denial.headers };
  }
}

export function isDenialError(error: ServiceError): error is DenialError {
  return "denial" in error;
}

export function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && error.name === "ServiceError" && "code" in error;
}

/** For the end of an exhaustive switch. */
export function assertNever(value: never): never {
  throw new Error(`unexpected value: ${JSON.stringify(value)}`);
}
