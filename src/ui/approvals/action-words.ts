import { formatUsd } from "@/ui/format/money";
import type { Tone } from "@/ui/kit/badge";
import type { RouterOutputs } from "@/ui/trpc";

export type Action = RouterOutputs["actions"]["list"]["data"][number];

/** One line: who wants what. */
export function actionTitle({ agentId, actionType, requestedAmountMicrodollars }: Action): string {
  const amount = requestedAmountMicrodollars === null ? undefined : formatUsd(requestedAmountMicrodollars);
  switch (actionType) {
    case "budget_increase":
      return `${agentId} asks for ${amount ?? "more"} more`;
    case "llm_call":
      return `${agentId} wants to make a call${amount === undefined ? "" : ` of up to ${amount}`}`;
    default:
      return `${agentId} proposes ${actionType}${amount === undefined ? "" : ` (${amount})`}`;
  }
}

export const STATUS_WORDS: Readonly<Record<Action["status"], { word: string; tone: Tone }>> = {
  pending: { word: "Waiting", tone: "warning" },
  approved: { word: "Approved", tone: "positive" },
  rejected: { word: "Rejected", tone: "danger" },
  expired: { word: "Expired", tone: "quiet" },
  cancelled: { word: "Withdrawn", tone: "quiet" },
  executing: { word: "Being done", tone: "accent" },
  executed: { word: "Done", tone: "positive" },
  failed: { word: "Failed", tone: "danger" },
};
