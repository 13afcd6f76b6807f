import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { ServiceError } from "@/lib/errors";
import { publicId, uuidv7 } from "@/lib/ids";
import { microdollarsToNano, nanoUsd, type NanoUsd } from "@/lib/money";
import { assertAllowed } from "@/server/access";
import { parseStoredRestrictions, type KeyRestrictions } from "@/server/api-key";
import type { Ctx } from "@/server/context";
import type { SettleDoor, Settlement, SettleResult } from "@/server/ledger/settle-door";
import type { CostBreakdown } from "@/server/metering/receipt";
import { attribute, parseTags } from "./attribution";
import type { CostEventRecord } from "./cost-event";
import { ReportCostEventInput, ReportCostEventsInput } from "./input";
import { invalid, parsed } from "./parse-input";

export const ReportedCostEvent = z.object({
  id: z.string(),
  createdAt: z.string().meta({ format: "date-time" }),
  deduplicated: z.boolean().meta({ description: "This cost had been reported before; `id` is the earlier event's." }),
});
export type ReportedCostEvent = z.infer<typeof ReportedCostEvent>;

export const ReportedCostEvents = z.object({
  inserted: z.int().meta({ description: "How many had not been reported before." }),
  ids: z.array(z.string()).meta({ description: "In the order of the input; an earlier event's id where it had been reported before." }),
});
export type ReportedCostEvents = z.infer<typeof ReportedCostEvents>;

type Dependencies = {
  settleDoor: SettleDoor;
  /** What each event counts against, in their order. Absent: there are no budgets here. */
  chargesOf?: (orgId: string, events: readonly CostEventRecord[]) => Promise<Settlement["budgets"][]>;
  /** How long a caller waits for the database; what was taken is stored all the same. */
  waitMsMax?: number;
};

const WAIT_MS_MAX = 15_000;
const ACCESS = { key: ["ingest"], user: "member" } as const;

/** Records a cost that did not come through the gateway. Durable when this resolves. */
export async function reportCostEvent(
  { ctx, input }: { ctx: Ctx; input: ReportCostEventInput },
  dependencies: Dependencies,
): Promise<ReportedCostEvent> {
  assertAllowed(ctx.principal, ACCESS);
  const report = parsed(ReportCostEventInput, input);
  const event = toRecord({ ctx, report, path: "", reporter: await findReporter(ctx) });
  const [result] = await settleAll([event], dependencies);
  const deduplicated = result!.outcome === "deduplicated";
  return {
    id: publicId("event", result!.id),
    createdAt: (deduplicated ? await createdAtOf(ctx, result!.id) : new Date(event.createdAtMs)).toISOString(),
    deduplicated,
  };
}

/** Up to a hundred at once. Each is counted, attributed and deduplicated on its own; one that is not valid refuses them all. */
export async function reportCostEvents(
  { ctx, input }: { ctx: Ctx; input: ReportCostEventsInput },
  dependencies: Dependencies,
): Promise<ReportedCostEvents> {
  assertAllowed(ctx.principal, ACCESS);
  const { events: reports } = parsed(ReportCostEventsInput, input);
  const reporter = await findReporter(ctx);
  const events = reports.map((report, index) => toRecord({ ctx, report, path: `events.${index}.`, reporter }));
  const results = await settleAll(events, dependencies);
  return {
    inserted: results.filter(({ outcome }) => outcome === "recorded").length,
    ids: results.map(({ id }) => publicId("event", id)),
  };
}

type Reporter = {
  apiKeyId: string | null;
  keyName: string | null;
  userId: string | null;
  restrictions: Pick<KeyRestrictions, "defaultTags" | "lockedTags" | "lockedCustomer">;
};

/**
 * Who reports, and what its key says about attribution. What a key requires or allows is not asked: the money is spent, and a cost
 * that is refused would be missing everywhere.
 */
async function findReporter({ prisma, principal }: Ctx): Promise<Reporter> {
  if (principal.type === "system") return { apiKeyId: null, keyName: null, userId: null, restrictions: {} };
  if (principal.type === "user") return { apiKeyId: null, keyName: null, userId: principal.userId, restrictions: {} };
  const key = await prisma.apiKey.findFirst({
    where: { id: principal.keyId, orgId: principal.orgId },
    select: { name: true, restrictions: true },
  });
  if (!key) throw new ServiceError("unauthorized", "This key is not known.");
  const restrictions = parseStoredRestrictions(key.restrictions);
  if (restrictions === null) {
    throw new ServiceError("mandate_violation", "The restrictions of this key cannot be read, so it is denied.", {
      mandate: "restrictions",
      requested: null,
      allowed: null,
    });
  }
  return { apiKeyId: principal.keyId, keyName: key.name, userId: principal.userId, restrictions };
}

type ToRecordInput = { ctx: Ctx; report: z.output<typeof ReportCostEventInput>; path: string; reporter: Reporter };

function toRecord({ ctx, report, path, reporter }: ToRecordInput): CostEventRecord {
  const { restrictions, ...who } = reporter;
  const nowMs = ctx.clock.now();
  const id = uuidv7(nowMs);
  const costNano = nanoOf(report.costMicrodollars);
  if (report.customerId !== undefined && report.customer !== undefined && report.customerId !== report.customer) {
    throw invalid({ path: `${path}customer`, message: "differs from customerId" });
  }
  const { tags } = parseTags(report.tags);
  const attributed = attribute({ tags, customerId: report.customerId ?? report.customer, restrictions });
  return {
    orgId: ctx.principal.orgId,
    id,
    requestId: report.idempotencyKey ?? id,
    createdAtMs: nowMs,
    status: "ok",
    denialCode: null,
    httpStatus: null,
    source: "api",
    eventType: report.eventType,
    provider: report.provider,
    model: report.model,
    requestedModel: null,
    serviceTier: null,
    endpoint: null,
    inputTokens: report.inputTokens ?? null,
    outputTokens: report.outputTokens ?? null,
    cachedInputTokens: report.cachedInputTokens ?? null,
    cacheWriteTokens: report.cacheWriteTokens ?? null,
    reasoningTokens: report.reasoningTokens ?? null,
    costNano,
    chargedNano: costNano,
    costBasis: "reported",
    costBreakdown: report.costBreakdown === undefined ? null : breakdownOf(report.costBreakdown, costNano, path),
    lines: null,
    priceVersion: null,
    estimatedNano: null,
    budgetStatus: "none",
    stopReason: null,
    toolCalls: null,
    toolName: report.toolName ?? null,
    toolServer: report.toolServer ?? null,
    durationMs: report.durationMs ?? null,
    upstreamDurationMs: null,
    timeToFirstByteMs: null,
    overheadMs: null,
    sessionId: report.sessionId ?? null,
    traceId: report.traceId ?? null,
    spanId: null,
    parentSpanId: null,
    actionId: null,
    customerId: attributed.customerId,
    tags: attributed.tags,
    ...who,
  };
}

/** The schema has refused what is no amount. */
function nanoOf(microdollars: number): NanoUsd {
  const nano = microdollarsToNano(microdollars);
  if (nano === undefined) throw new Error(`not an amount: ${microdollars}`);
  return nano;
}

type Parts = NonNullable<z.output<typeof ReportCostEventInput>["costBreakdown"]>;

/** One per part: what rounding each on its own to a microdollar can make them differ from their sum. */
const ROUNDING_NANO = 5_000n;

/** Parts add up to the cost: what rounding left over goes to the largest part, and anything more is a contradiction. */
function breakdownOf(parts: Parts, cost: NanoUsd, path: string): CostBreakdown {
  const breakdown = {
    input: nanoOf(parts.input),
    cached: nanoOf(parts.cached),
    cacheWrite: nanoOf(parts.cacheWrite),
    output: nanoOf(parts.output),
    reasoning: nanoOf(parts.reasoning),
    tools: nanoOf(parts.tools),
  };
  const names = ["input", "cached", "cacheWrite", "output", "tools"] as const;
  const rest = names.reduce<bigint>((left, name) => left - breakdown[name], cost);
  const largest = names.reduce((best, name) => (breakdown[name] > breakdown[best] ? name : best));
  const adjusted = breakdown[largest] + rest;
  if (rest > ROUNDING_NANO || rest < -ROUNDING_NANO || adjusted < 0n) {
    throw invalid({ path: `${path}costBreakdown`, message: "input, cached, cacheWrite, output and tools must add up to costMicrodollars" });
  }
  const whole = { ...breakdown, [largest]: nanoUsd(adjusted) };
  if (whole.reasoning > whole.output) {
    if (whole.reasoning - whole.output > ROUNDING_NANO) {
      throw invalid({ path: `${path}costBreakdown.reasoning`, message: "is part of output and cannot be larger" });
    }
    whole.reasoning = whole.output;
  }
  return whole;
}

async function settleAll(
  events: readonly CostEventRecord[],
  { settleDoor, chargesOf, waitMsMax = WAIT_MS_MAX }: Dependencies,
): Promise<SettleResult[]> {
  // All of one organisation, and before any is settled: a report that cannot be charged is refused as a whole.
  const charges = events[0] && chargesOf ? await chargesOf(events[0].orgId, events) : [];
  if (!settleDoor.accepting) throw new ServiceError("overloaded", "Too much waits to be stored. Try again in a second.");
  const settled = Promise.all(events.map((event, index) => settleDoor.settle({ event, budgets: charges[index] })));
  const timeout = new AbortController();
  const late = sleep(waitMsMax, "late" as const, { signal: timeout.signal }).catch(() => "late" as const);
  const results = await Promise.race([settled, late]).finally(() => timeout.abort());
  if (results !== "late") return results;
  throw new ServiceError(
    "budget_unavailable",
    "The database does not answer. The report is kept and stored when it does; report it again only with the same idempotencyKey.",
  );
}

async function createdAtOf({ prisma, principal }: Ctx, id: string): Promise<Date> {
  const row = await prisma.costEvent.findUnique({ where: { orgId_id: { orgId: principal.orgId, id } }, select: { createdAt: true } });
  // Deleted by retention in between: its id still says when it was made, in its first 48 bits.
  return row?.createdAt ?? new Date(Number.parseInt(id.replaceAll("-", "").slice(0, 12), 16));
}
