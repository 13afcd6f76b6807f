import { z } from "zod";
import type { Prisma } from "@/generated/prisma/client";
import { ID_PREFIX, publicId, type IdKind } from "@/lib/ids";
import { nanoToMicrodollars, nanoToUsdString, nanoUsd } from "@/lib/money";

const timestamp = z.string().meta({ format: "date-time", description: "ISO 8601, UTC." });
const idOf = (kind: IdKind) => z.string().meta({ examples: [`${ID_PREFIX[kind]}0190b3c4-5d6e-7f80-9a1b-2c3d4e5f6071`] });
export const microdollars = z.number().meta({ description: "Microdollars ($1 = 1,000,000), at most three decimals." });
const usd = z.string().meta({ description: "Dollars, an exact decimal.", examples: ["0.000042"] });
const text = z.string().nullable();
const tokens = z.int().nullable().meta({ description: "Null: unknown." });
const milliseconds = z.number().nullable();

/** What a cost is made of, in microdollars. */
export const CostBreakdown = z.object({
  input: microdollars,
  cached: microdollars,
  cacheWrite: microdollars,
  output: microdollars,
  reasoning: microdollars.meta({ description: "Part of `output`." }),
  tools: microdollars,
});

/** The fields of CONTRACT §7. */
export const PublicCostEvent = z
  .object({
    id: idOf("event"),
    requestId: z.string().meta({ description: "The provider's request id, else ours." }),
    createdAt: timestamp,
    status: z.enum(["ok", "denied", "upstream_error", "cancelled", "interrupted"]),
    denialCode: text,
    httpStatus: z.int().nullable(),
    source: z.enum(["proxy", "api", "mcp"]),
    eventType: z.enum(["llm", "tool", "custom"]),
    provider: z.string(),
    model: z.string().meta({ description: "The model that served." }),
    requestedModel: text,
    serviceTier: text,
    endpoint: text,
    inputTokens: tokens.meta({ description: "Cache reads and writes included. Null: unknown." }),
    outputTokens: tokens,
    cachedInputTokens: tokens,
    cacheWriteTokens: tokens,
    reasoningTokens: tokens,
    costMicrodollars: microdollars.nullable().meta({ description: "Null: there is no price for it (costBasis `unpriced`)." }),
    costUsd: usd.nullable(),
    chargedMicrodollars: microdollars.meta({ description: "What budgets were charged; differs from the cost for unpriced calls only." }),
    costBasis: z.enum(["reported", "counted", "bounded", "unpriced"]),
    costBreakdown: CostBreakdown.nullable().meta({ description: "input + cached + cacheWrite + output + tools = costMicrodollars." }),
    lines: z
      .array(
        z.object({
          unit: z.string(),
          model: z.string().optional().meta({ description: "Where the line is of another model than the one that answered." }),
          quantity: z.number(),
          unitPrice: usd.meta({ description: "Dollars for one unit, an exact decimal." }),
          amount: usd.meta({ description: "quantity × unitPrice in dollars, exact; the cost is their sum, rounded up once." }),
        }),
      )
      .nullable()
      .meta({ description: "The receipt." }),
    priceVersion: text,
    estimatedCostMicrodollars: microdollars.nullable(),
    budgetStatus: z.enum(["none", "approved", "denied"]),
    stopReason: text,
    toolCalls: z.array(z.object({ name: z.string(), id: text })).nullable(),
    toolName: text,
    toolServer: text,
    durationMs: milliseconds,
    upstreamDurationMs: milliseconds,
    timeToFirstByteMs: milliseconds,
    overheadMs: milliseconds,
    sessionId: text,
    traceId: text,
    spanId: text,
    parentSpanId: text,
    actionId: idOf("action").nullable(),
    customerId: text,
    tags: z.record(z.string(), z.string()),
    apiKeyId: idOf("key").nullable(),
    keyName: text.meta({ description: "The key's name at the time of the call." }),
    userId: idOf("user").nullable(),
  })
  .meta({ id: "CostEvent" });
export type PublicCostEvent = z.infer<typeof PublicCostEvent>;

export type CostEventRow = Prisma.CostEventGetPayload<object>;

// The settle door is the only writer of these columns; what it writes is what these read.
const StoredBreakdown = z.object({
  input: z.coerce.bigint(),
  cached: z.coerce.bigint(),
  cacheWrite: z.coerce.bigint(),
  output: z.coerce.bigint(),
  reasoning: z.coerce.bigint(),
  tools: z.coerce.bigint(),
});
const StoredLines = z.array(
  z.object({
    unit: z.string(),
    model: z.string().optional(),
    // A quantity that is no number was written as null.
    quantity: z.number().nullable(),
    unitPricePico: z.coerce.bigint(),
    amountPico: z.coerce.bigint(),
  }),
);
const StoredToolCalls = z.array(z.object({ name: z.string(), id: z.string().nullable() }));
const StoredTags = z.record(z.string(), z.string());

const micros = (nano: bigint): number => nanoToMicrodollars(nanoUsd(nano));
const optionalMicros = (nano: bigint | null): number | null => (nano === null ? null : micros(nano));
const optionalId = (kind: IdKind, id: string | null): string | null => (id === null ? null : publicId(kind, id));
/** What is a JSON column's absence in the database is null here, also where the JSON itself is `null`. */
const stored = <T extends z.ZodType>(schema: T, value: unknown): z.output<T> | null =>
  value === null || value === undefined ? null : schema.parse(value);
/** Single precision, widened again, reads 0.699999988079071 where 0.7 was measured. */
const ms = (value: number | null): number | null => (value === null ? null : Math.round(value * 1000) / 1000);

/** An event as REST, tRPC, sockets and webhooks show it. */
export function toPublicCostEvent(row: CostEventRow): PublicCostEvent {
  const breakdown = stored(StoredBreakdown, row.costBreakdown);
  return {
    id: publicId("event", row.id),
    requestId: row.requestId === row.id ? publicId("event", row.id) : row.requestId,
    createdAt: row.createdAt.toISOString(),
    status: row.status as PublicCostEvent["status"],
    denialCode: row.denialCode,
    httpStatus: row.httpStatus,
    source: row.source as PublicCostEvent["source"],
    eventType: row.eventType as PublicCostEvent["eventType"],
    provider: row.provider,
    model: row.model,
    requestedModel: row.requestedModel,
    serviceTier: row.serviceTier,
    endpoint: row.endpoint,
    inputTokens: row.inputTokens,
    outputTokens: row.outputTokens,
    cachedInputTokens: row.cachedInputTokens,
    cacheWriteTokens: row.cacheWriteTokens,
    reasoningTokens: row.reasoningTokens,
    costMicrodollars: optionalMicros(row.costNano),
    costUsd: row.costNano === null ? null : nanoToUsdString(nanoUsd(row.costNano)),
    chargedMicrodollars: micros(row.chargedNano),
    costBasis: row.costBasis as PublicCostEvent["costBasis"],
    costBreakdown: breakdown && {
      input: micros(breakdown.input),
      cached: micros(breakdown.cached),
      cacheWrite: micros(breakdown.cacheWrite),
      output: micros(breakdown.output),
      reasoning: micros(breakdown.reasoning),
      tools: micros(breakdown.tools),
    },
    lines:
      stored(StoredLines, row.lines)?.map(({ unit, model, quantity, unitPricePico, amountPico }) => ({
        unit,
        ...(model !== undefined && { model }),
        quantity: quantity ?? 0,
        unitPrice: picoToUsdString(unitPricePico),
        amount: picoToUsdString(amountPico),
      })) ?? null,
    priceVersion: row.priceVersion,
    estimatedCostMicrodollars: optionalMicros(row.estimatedNano),
    budgetStatus: row.budgetStatus as PublicCostEvent["budgetStatus"],
    stopReason: row.stopReason,
    toolCalls: stored(StoredToolCalls, row.toolCalls),
    toolName: row.toolName,
    toolServer: row.toolServer,
    durationMs: ms(row.durationMs),
    upstreamDurationMs: ms(row.upstreamDurationMs),
    timeToFirstByteMs: ms(row.timeToFirstByteMs),
    overheadMs: ms(row.overheadMs),
    sessionId: row.sessionId,
    traceId: row.traceId,
    spanId: row.spanId,
    parentSpanId: row.parentSpanId,
    actionId: optionalId("action", row.actionId),
    customerId: row.customerId,
    tags: StoredTags.parse(row.tags),
    apiKeyId: optionalId("key", row.apiKeyId),
    keyName: row.keyName,
    userId: optionalId("user", row.userId),
  };
}

/** Exact decimal dollars, at least two decimals: 150,000 → "0.00000015". */
export function picoToUsdString(pico: bigint): string {
  const fraction = (pico % 1_000_000_000_000n).toString().padStart(12, "0").replace(/0+$/, "").padEnd(2, "0");
  return `${pico / 1_000_000_000_000n}.${fraction}`;
}
