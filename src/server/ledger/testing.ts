import fc from "fast-check";
import type { Clock } from "@/lib/clock";
import { systemClock } from "@/lib/clock";
import { uuidv7 } from "@/lib/ids";
import type { LogFields, Logger } from "@/lib/logger";
import { nanoUsd, picoUsd } from "@/lib/money";
import type { CostEventRecord } from "@/server/events/cost-event";
import { createSettleDoor, type MeasuredSettleDoor, type SettleDoorOptions } from "./settle";

/** Helpers of the tests in this folder and of bench/settle.ts. */

/** A successful call of gpt-4o-mini. */
export function costEvent(fields: Partial<CostEventRecord> & { orgId: string }): CostEventRecord {
  const id = fields.id ?? uuidv7(Date.now());
  return {
    id,
    requestId: `chatcmpl-${id}`,
    createdAtMs: Date.now(),
    status: "ok",
    denialCode: null,
    httpStatus: 200,
    source: "proxy",
    eventType: "llm",
    provider: "openai",
    model: "gpt-4o-mini-2024-07-18",
    requestedModel: "gpt-4o-mini",
    serviceTier: "default",
    endpoint: "POST chat/completions",
    inputTokens: 120,
    outputTokens: 40,
    cachedInputTokens: 0,
    cacheWriteTokens: 0,
    reasoningTokens: 0,
    costNano: nanoUsd(42_000n),
    chargedNano: nanoUsd(42_000n),
    costBasis: "reported",
    costBreakdown: {
      input: nanoUsd(18_000n),
      cached: nanoUsd(0n),
      cacheWrite: nanoUsd(0n),
      output: nanoUsd(24_000n),
      reasoning: nanoUsd(0n),
      tools: nanoUsd(0n),
    },
    lines: [
      { unit: "input", quantity: 120, unitPricePico: picoUsd(150_000n), amountPico: picoUsd(18_000_000n) },
      { unit: "output", quantity: 40, unitPricePico: picoUsd(600_000n), amountPico: picoUsd(24_000_000n) },
    ],
    priceVersion: "test",
    estimatedNano: null,
    budgetStatus: "none",
    stopReason: "stop",
    toolCalls: null,
    toolName: null,
    toolServer: null,
    durationMs: 812.25,
    upstreamDurationMs: 800.5,
    timeToFirstByteMs: 300,
    overheadMs: 0.7,
    sessionId: null,
    traceId: null,
    spanId: null,
    parentSpanId: null,
    actionId: null,
    customerId: null,
    tags: {},
    apiKeyId: null,
    keyName: null,
    userId: null,
    ...fields,
  };
}

const optional = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(value, { nil: null });
const nano = fc.bigInt({ min: 0n, max: 10n ** 13n }).map(nanoUsd);
const tokens = optional(fc.nat(2_000_000));

/** Any event of one organisation, over a few hours and few names, so that sums meet. */
export function anyCostEvent({ orgId, keyIds, startMs }: { orgId: string; keyIds: readonly string[]; startMs: number }) {
  return fc
    .record({
      createdAtMs: fc.nat(5 * 3_600_000).map((ms) => startMs + ms),
      status: fc.constantFrom("ok", "denied", "upstream_error", "cancelled", "interrupted"),
      source: fc.constantFrom("proxy", "api", "mcp"),
      provider: fc.constantFrom("openai", "anthropic"),
      model: fc.constantFrom("small", "large", "größer/日本"),
      costNano: optional(nano),
      costBasis: fc.constantFrom("reported", "counted", "bounded", "unpriced"),
      costBreakdown: optional(fc.record({ input: nano, cached: nano, cacheWrite: nano, output: nano, reasoning: nano, tools: nano })),
      inputTokens: tokens,
      outputTokens: tokens,
      cachedInputTokens: tokens,
      cacheWriteTokens: tokens,
      reasoningTokens: tokens,
      durationMs: optional(fc.double({ min: 0, max: 100_000, noNaN: true })),
      customerId: optional(fc.constantFrom("acme", "globex")),
      sessionId: optional(fc.constantFrom("s1", "s2", "s3")),
      toolName: optional(fc.constantFrom("search", "mail")),
      apiKeyId: optional(fc.constantFrom(...keyIds)),
      tags: fc.dictionary(fc.constantFrom("team", "env", "customer", "__proto__"), fc.constantFrom("a", "b", "", "ä\u2028"), {
        maxKeys: 4,
      }),
    })
    .map((fields) => costEvent({ orgId, ...fields } as Partial<CostEventRecord> & { orgId: string }));
}

export type LogLine = { level: "debug" | "info" | "warn" | "error" | "fatal"; message: string } & LogFields;

export function recordingLog(): Logger & { lines: LogLine[] } {
  const lines: LogLine[] = [];
  const at = (level: LogLine["level"]) => (fields: LogFields, message: string) => void lines.push({ ...fields, level, message });
  const log = { lines, debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error"), fatal: at("fatal"), child: () => log };
  return log;
}

export function openDoor(options: Partial<SettleDoorOptions> & { connectionString: string; clock?: Clock }): MeasuredSettleDoor {
  return createSettleDoor({ clock: systemClock, log: recordingLog(), ...options });
}
