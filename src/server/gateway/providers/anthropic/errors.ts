import type { DenialShape } from "../provider";

/** CONTRACT §6. */
function errorType(status: number): string {
  switch (status) {
    case 401:
      return "authentication_error";
    case 402:
      return "billing_error";
    case 403:
    case 423:
      return "permission_error";
    case 404:
      return "not_found_error";
    case 429:
      return "rate_limit_error";
    case 503:
      return "overloaded_error";
    default:
      return status >= 500 ? "api_error" : "invalid_request_error";
  }
}

export function anthropicErrorBody(denial: DenialShape): string {
  return JSON.stringify({
    type: "error",
    error: {
      type: errorType(denial.status),
      message: denial.message,
      code: denial.code,
      // The SDK reads its `errorCode` from here.
      details: { ...denial.details, error_code: denial.code },
      ...(denial.upgradeUrl === undefined ? {} : { upgrade_url: denial.upgradeUrl }),
    },
    request_id: denial.requestId,
  });
}

export const anthropicInBandError = ({ denial }: { denial: DenialShape }): string =>
  `event: error\ndata: ${anthropicErrorBody(denial)}\n\n`;
