import { nanoUsd } from "@/lib/money";
import type { BudgetedCall } from "@/server/budget";
import type { CostEventRecord } from "@/server/events";
import { MCP_PROVIDER, modelOf, type ToolCaller } from "./caller";

type ToolEventInput = {
  caller: ToolCaller;
  call: BudgetedCall;
  tool: { serverName: string; toolName: string };
  sessionId: string | null;
  traceId: string | null;
  id: string;
  nowMs: number;
};

/** The event of a tool's call as far as it is known before the call: no tokens, and no cost yet. */
export function toolEvent({ caller, call, tool, sessionId, traceId, id, nowMs }: ToolEventInput): CostEventRecord {
  return {
    orgId: caller.orgId,
    id,
    requestId: id,
    createdAtMs: nowMs,
    status: "ok",
    denialCode: null,
    httpStatus: null,
    source: "mcp",
    eventType: "tool",
    provider: MCP_PROVIDER,
    model: modelOf(tool),
    requestedModel: null,
    serviceTier: null,
    endpoint: null,
    inputTokens: 0,
    outputTokens: 0,
    cachedInputTokens: 0,
    cacheWriteTokens: 0,
    reasoningTokens: 0,
    costNano: nanoUsd(0n),
    chargedNano: nanoUsd(0n),
    costBasis: "reported",
    costBreakdown: null,
    lines: null,
    priceVersion: null,
    estimatedNano: null,
    budgetStatus: "none",
    stopReason: null,
    toolCalls: null,
    toolName: tool.toolName,
    toolServer: tool.serverName,
    durationMs: null,
    upstreamDurationMs: null,
    timeToFirstByteMs: null,
    overheadMs: null,
    sessionId,
    traceId,
    spanId: null,
    parentSpanId: null,
    actionId: null,
    customerId: call.customerId,
    tags: call.tags,
    apiKeyId: caller.keyId,
    keyName: caller.keyName,
    userId: caller.userId,
  };
}
