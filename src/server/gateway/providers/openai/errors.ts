import type { DenialShape, Endpoint } from "../provider";

/** Codes that mean there is no more money, whatever their status: SDKs and agents know `insufficient_quota` as final. */
const QUOTA_CODES: ReadonlySet<string> = new Set([
  "budget_exceeded",
  "customer_budget_exceeded",
  "tag_budget_exceeded",
  "session_limit_exceeded",
  "plan_limit_exceeded",
  "approval_required",
]);

/** CONTRACT §6. */
function errorType({ status, code }: DenialShape): string {
  if (QUOTA_CODES.has(code)) return "insufficient_quota";
  if (status === 401) return "authentication_error";
  if (status === 403 || status === 423) return "permission_error";
  if (status === 429) return "rate_limit_exceeded";
  return status >= 500 ? "server_error" : "invalid_request_error";
}

function errorObject(denial: DenialShape): Record<string, unknown> {
  return {
    message: denial.message,
    type: errorType(denial),
    param: null,
    code: denial.code,
    details: denial.details,
    ...(denial.upgradeUrl === undefined ? {} : { upgrade_url: denial.upgradeUrl }),
  };
}

export const openaiErrorBody = (denial: DenialShape): string => JSON.stringify({ error: errorObject(denial) });

/**
 * Chat and completions end with an `error` chunk. Streams of typed events (Responses, pictures, transcripts) end with an `error`
 * event; its `error` member is what the official SDKs raise.
 */
export function openaiInBandError({
  endpoint,
  denial,
  sequenceNumber,
}: {
  endpoint: Endpoint;
  denial: DenialShape;
  sequenceNumber?: number;
}): string {
  if (endpoint.name === "chat/completions" || endpoint.name === "completions") return `data: ${openaiErrorBody(denial)}\n\n`;
  const event = {
    type: "error",
    sequence_number: sequenceNumber ?? 0,
    code: denial.code,
    message: denial.message,
    param: null,
    error: errorObject(denial),
  };
  return `event: error\ndata: ${JSON.stringify(event)}\n\n`;
}
