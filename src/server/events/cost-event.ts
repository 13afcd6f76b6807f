import type { NanoUsd } from "@/lib/money";
import type { CostBasis, CostBreakdown, ReceiptLine } from "@/server/metering/receipt";

export type EventStatus = "ok" | "denied" | "upstream_error" | "cancelled" | "interrupted";
export type EventSource = "proxy" | "api" | "mcp";
export type EventType = "llm" | "tool" | "custom";
export type BudgetStatus = "none" | "approved" | "denied";
export type ToolCall = { name: string; id: string | null };

/**
 * One cost event as the settle door takes it (CONTRACT §7; columns: prisma CostEvent). Ids are bare UUIDs, money nanodollars,
 * times Unix milliseconds, durations milliseconds. Null = unknown or does not apply.
 */
export type CostEventRecord = {
  orgId: string;
  /** UUIDv7; settling the same id twice changes nothing. */
  id: string;
  requestId: string;
  createdAtMs: number;
  status: EventStatus;
  denialCode: string | null;
  httpStatus: number | null;
  source: EventSource;
  eventType: EventType;
  provider: string;
  model: string;
  requestedModel: string | null;
  serviceTier: string | null;
  endpoint: string | null;
  inputTokens: number | null;
  outputTokens: number | null;
  cachedInputTokens: number | null;
  cacheWriteTokens: number | null;
  reasoningTokens: number | null;
  /** Null when there is no price. */
  costNano: NanoUsd | null;
  chargedNano: NanoUsd;
  costBasis: CostBasis;
  costBreakdown: CostBreakdown | null;
  lines: ReceiptLine[] | null;
  priceVersion: string | null;
  estimatedNano: NanoUsd | null;
  budgetStatus: BudgetStatus;
  stopReason: string | null;
  toolCalls: ToolCall[] | null;
  toolName: string | null;
  toolServer: string | null;
  durationMs: number | null;
  upstreamDurationMs: number | null;
  timeToFirstByteMs: number | null;
  overheadMs: number | null;
  sessionId: string | null;
  traceId: string | null;
  spanId: string | null;
  parentSpanId: string | null;
  actionId: string | null;
  customerId: string | null;
  tags: Readonly<Record<string, string>>;
  apiKeyId: string | null;
  keyName: string | null;
  userId: string | null;
};
