import { TRPCError } from "@trpc/server";
import type { TRPC_ERROR_CODE_KEY } from "@trpc/server/rpc";
import { ZodError } from "zod";
import { restErrorOf } from "@/adapters/http/rest-error";
import { assertNever, isServiceError, ServiceError, type ErrorCode } from "@/lib/errors";

/** What the browser is told of an error, beside its message. */
export type TrpcErrorData = {
  /** Ours, as in REST; tRPC's own names are coarser. */
  code: ErrorCode;
  httpStatus: number;
  path: string | undefined;
  details: Readonly<Record<string, unknown>> | null;
  /** For errors on our side: what to tell us. */
  reference: string | null;
};

/** tRPC's nearest name for each of our codes: it decides the answer's status. */
export function trpcCodeOf(code: ErrorCode): TRPC_ERROR_CODE_KEY {
  switch (code) {
    case "bad_request":
    case "invalid_upstream":
    case "unpriced_endpoint":
    case "unpriced_model":
    case "ambiguous_body":
      return "BAD_REQUEST";
    case "unauthorized":
      return "UNAUTHORIZED";
    case "forbidden":
    case "mandate_violation":
    case "frozen":
      return "FORBIDDEN";
    case "not_found":
      return "NOT_FOUND";
    case "method_not_allowed":
      return "METHOD_NOT_SUPPORTED";
    case "payload_too_large":
      return "PAYLOAD_TOO_LARGE";
    case "unsupported_media_type":
      return "UNSUPPORTED_MEDIA_TYPE";
    case "idempotency_conflict":
      return "UNPROCESSABLE_CONTENT";
    case "limit_exceeded":
    case "conflict":
    case "stale_action":
    case "invalid_action_transition":
    case "action_expired":
      return "CONFLICT";
    case "approval_required":
    case "budget_exceeded":
    case "customer_budget_exceeded":
    case "tag_budget_exceeded":
    case "session_limit_exceeded":
    case "velocity_exceeded":
    case "rate_limited":
    case "concurrency_exceeded":
      return "TOO_MANY_REQUESTS";
    case "unsupported_endpoint":
      return "NOT_IMPLEMENTED";
    case "upstream_unreachable":
      return "BAD_GATEWAY";
    case "upstream_timeout":
      return "GATEWAY_TIMEOUT";
    case "budget_unavailable":
    case "overloaded":
    case "shutting_down":
      return "SERVICE_UNAVAILABLE";
    case "internal_error":
      return "INTERNAL_SERVER_ERROR";
    default:
      return assertNever(code);
  }
}

/** What tRPC itself found wrong, before any of our code ran, in our words. */
function codeOfTrpc(code: TRPC_ERROR_CODE_KEY): ErrorCode {
  switch (code) {
    case "PARSE_ERROR":
    case "BAD_REQUEST":
    case "PRECONDITION_FAILED":
    case "PRECONDITION_REQUIRED":
    case "UNPROCESSABLE_CONTENT":
    case "CLIENT_CLOSED_REQUEST":
    case "TIMEOUT":
      return "bad_request";
    case "UNAUTHORIZED":
      return "unauthorized";
    case "FORBIDDEN":
    case "PAYMENT_REQUIRED":
      return "forbidden";
    case "NOT_FOUND":
      return "not_found";
    case "METHOD_NOT_SUPPORTED":
      return "method_not_allowed";
    case "CONFLICT":
      return "conflict";
    case "PAYLOAD_TOO_LARGE":
      return "payload_too_large";
    case "UNSUPPORTED_MEDIA_TYPE":
      return "unsupported_media_type";
    case "TOO_MANY_REQUESTS":
      return "rate_limited";
    case "NOT_IMPLEMENTED":
      return "unsupported_endpoint";
    case "BAD_GATEWAY":
      return "upstream_unreachable";
    case "SERVICE_UNAVAILABLE":
      return "overloaded";
    case "GATEWAY_TIMEOUT":
      return "upstream_timeout";
    case "INTERNAL_SERVER_ERROR":
      return "internal_error";
    default:
      return assertNever(code);
  }
}

/** As many problems as a person reads. */
const ISSUES_MAX = 20;

/** An error as one of ours; undefined for what nobody expected. */
function serviceErrorOf(error: TRPCError): ServiceError | undefined {
  const { cause } = error;
  if (isServiceError(cause)) return cause;
  if (cause instanceof ZodError) {
    const issues = cause.issues
      .slice(0, ISSUES_MAX)
      .map(({ path, message }) => ({ path: path.map(String).join(".").slice(0, 200), message: message.slice(0, 300) }));
    const [first] = issues;
    return new ServiceError("bad_request", `The input is not valid: ${first?.path ? `${first.path}: ` : ""}${first?.message ?? ""}.`, {
      issues,
    });
  }
  if (error.code === "INTERNAL_SERVER_ERROR") return undefined;
  return new ServiceError(codeOfTrpc(error.code), error.message);
}

/** The one translator of this surface: code, words and details as in REST; what is not ours leaves as a fixed sentence and a reference. */
export function describeError(error: TRPCError, reference: string): { message: string; data: TrpcErrorData; unexpected: boolean } {
  const { code, status, message, details, unexpected } = restErrorOf(serviceErrorOf(error) ?? error.cause ?? error, reference);
  return { message, data: { code, httpStatus: status, path: undefined, details, reference: unexpected ? reference : null }, unexpected };
}

/** Gives our errors tRPC's status; everything else stays what it is. */
export function toTrpcError(error: TRPCError): TRPCError {
  return isServiceError(error.cause)
    ? new TRPCError({ code: trpcCodeOf(error.cause.code), message: error.cause.message, cause: error.cause })
    : error;
}
