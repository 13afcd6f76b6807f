import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { ServiceError } from "@/lib/errors";
import { parsePublicId, publicId, uuidv7 } from "@/lib/ids";
import { microdollarsToNano, nanoUsd, type NanoUsd } from "@/lib/money";
import { assertAllowed } from "@/server/access";
import { chargesOfReported, parsed, type ReportedCharges } from "@/server/budget";
import type { Ctx } from "@/server/context";
import type { CostEventRecord, EventStatus } from "@/server/events";
import type { Ledger, SettleDoor, SettleResult } from "@/server/ledger";
import { budgetedCallOf, getToolCaller, type ToolCaller } from "./caller";
import { McpEventsInput, type McpEvent } from "./input";
import { findToolCosts, toolKey, type KnownToolCost } from "./tool-costs";
import { toolEvent } from "./tool-event";

export const McpEventsAccepted = z
  .object({
    accepted: z.int().meta({ description: "How many were taken, those reported before included." }),
    inserted: z.int().meta({ description: "How many had not been reported before." }),
    ids: z.array(z.string()).meta({ description: "In the order of the input." }),
  })
  .meta({ id: "McpEventsAccepted" });
export type McpEventsAccepted = z.infer<typeof McpEventsAccepted>;

type Dependencies = ReportedCharges & {
  ledger: Pick<Ledger, "forget">;
  settleDoor: SettleDoor;
  /** How long a caller waits for the database; what was taken is stored all the same. */
  waitMsMax?: number;
};

const WAIT_MS_MAX = 15_000;

/**
 * Records calls of tools and settles what was held for them. What a key requires is not asked here: the call was made, and a cost
 * that is refused would be missing everywhere.
 */
export async function reportToolEvents(
  {
    ctx,
    input,
    attemptId,
  }: { ctx: Ctx; input: McpEventsInput; /** The same for every attempt of one request. */ attemptId?: string | undefined },
  dependencies: Dependencies,
): Promise<McpEventsAccepted> {
  assertAllowed(ctx.principal, { key: ["ingest"], user: "key_only" });
  const { events: reports } = parsed(McpEventsInput, input);
  const caller = await getToolCaller(ctx);
  const [costs, holds] = await Promise.all([findToolCosts(ctx, reports), findHolds(ctx, caller, reports)]);
  const events = reports.map((report, index) =>
    toEvent({ ctx, caller, report, cost: costs.get(toolKey(report)), holds, fallbackKey: attemptId && `${attemptId}:${index}` }),
  );
  const { settleDoor, ledger, waitMsMax = WAIT_MS_MAX } = dependencies;
  const charges = await chargesOfReported(caller.orgId, events, dependencies);
  if (!settleDoor.accepting) throw new ServiceError("overloaded", "Too much waits to be stored. Try again in a second.");
  const settled = events.map((event, index) => {
    if (!holds.has(event.id)) return settleDoor.settle({ event, budgets: charges[index] });
    ledger.forget(event.id);
    return settleDoor.settle({ event, budgets: { held: true } });
  });
  const results = await within(waitMsMax, Promise.all(settled));
  return {
    accepted: results.length,
    inserted: results.filter(({ outcome }) => outcome === "recorded").length,
    ids: results.map(({ id }) => publicId("event", id)),
  };
}

/** What was checked before the call; whose it is was settled then. */
type Hold = { id: string; estimateNano: NanoUsd; sessionId: string | null; customerId: string | null; tags: Record<string, string> };

/**
 * The holds that these events settle: only what this key had checked. The id of a hold is that of an event, and a key that could
 * name any would end another key's call at a cost of its own choosing.
 */
async function findHolds({ prisma }: Ctx, caller: ToolCaller, reports: readonly McpEvent[]): Promise<ReadonlyMap<string, Hold>> {
  const ids = reports.flatMap(({ reservationId }) => parsePublicId("reservation", reservationId ?? "") ?? []);
  if (ids.length === 0) return new Map();
  const rows = await prisma.reservation.findMany({
    where: { orgId: caller.orgId, callId: { in: ids } },
    select: { callId: true, draft: true },
  });
  const own = rows.flatMap(({ callId: id, draft }): Hold[] => {
    const read = Draft.safeParse(JSON.parse(draft));
    if (!read.success || read.data.api_key_id !== caller.keyId) return [];
    const { estimated_nano, session_id: sessionId, customer_id: customerId, tags } = read.data;
    return [{ id, estimateNano: nanoUsd(BigInt(estimated_nano)), sessionId, customerId, tags }];
  });
  return new Map(own.map((hold) => [hold.id, hold]));
}

/** What the ledger keeps of a call before it is made, as far as it matters here; columns that are null are left out. */
const Draft = z.object({
  source: z.literal("mcp"),
  api_key_id: z.string(),
  estimated_nano: z.coerce.string().regex(/^\d+$/),
  session_id: z.string().nullable().default(null),
  customer_id: z.string().nullable().default(null),
  tags: z.record(z.string(), z.string()).default({}),
});

type ToEventInput = {
  ctx: Ctx;
  caller: ToolCaller;
  report: McpEvent;
  cost: KnownToolCost | undefined;
  holds: ReadonlyMap<string, Hold>;
  fallbackKey: string | undefined;
};

function toEvent({ ctx, caller, report, cost, holds, fallbackKey }: ToEventInput): CostEventRecord {
  const nowMs = ctx.clock.now();
  const hold = holds.get(parsePublicId("reservation", report.reservationId ?? "") ?? "");
  const id = hold?.id ?? uuidv7(nowMs);
  const { customerId, tags, ...call } = budgetedCallOf(caller, report);
  const counted = hold ?? { sessionId: report.sessionId ?? null, customerId, tags };
  const status = STATUS[report.status];
  return {
    ...toolEvent({
      caller,
      // The budgets that held it are those of what the check said.
      call: { ...call, customerId: counted.customerId, tags: counted.tags },
      tool: report,
      sessionId: counted.sessionId,
      traceId: report.traceId ?? null,
      id,
      nowMs,
    }),
    // The reservation names the call whether or not its hold is still there: a repeated report finds the first one by it.
    requestId: report.reservationId != null ? `${report.reservationId}:${caller.keyId}` : (report.idempotencyKey ?? fallbackKey ?? id),
    status,
    ...costOf({ report, status, known: cost, hold }),
    estimatedNano: hold?.estimateNano ?? null,
    budgetStatus: hold ? "approved" : "none",
    durationMs: report.durationMs ?? null,
    actionId: bareActionId(report.actionId),
  };
}

const STATUS: Readonly<Record<McpEvent["status"], EventStatus>> = {
  success: "ok",
  ok: "ok",
  error: "upstream_error",
  failed: "upstream_error",
  denied: "denied",
};

type Cost = Pick<CostEventRecord, "costNano" | "chargedNano" | "costBasis">;

/** An admin's word, else the caller's, else the tool's own, else what was held; a tool that nobody priced is not free but unpriced. */
function costOf({
  report,
  status,
  known,
  hold,
}: {
  report: McpEvent;
  status: EventStatus;
  known: KnownToolCost | undefined;
  hold: Hold | undefined;
}): Cost {
  const reported = (nano: NanoUsd): Cost => ({ costNano: nano, chargedNano: nano, costBasis: "reported" });
  if (status === "denied") return reported(nanoUsd(0n));
  if (known?.isManual) return reported(known.costNano);
  const given = report.costMicrodollars === undefined ? undefined : microdollarsToNano(report.costMicrodollars);
  if (given !== undefined) return reported(given);
  if (known) return reported(known.costNano);
  if (hold) return { costNano: hold.estimateNano, chargedNano: hold.estimateNano, costBasis: "bounded" };
  return { costNano: null, chargedNano: nanoUsd(0n), costBasis: "unpriced" };
}

function bareActionId(actionId: string | null | undefined): string | null {
  if (actionId == null) return null;
  return parsePublicId("action", actionId) ?? actionId.toLowerCase();
}

async function within(waitMsMax: number, settled: Promise<SettleResult[]>): Promise<SettleResult[]> {
  const timeout = new AbortController();
  const late = sleep(waitMsMax, "late" as const, { signal: timeout.signal }).catch(() => "late" as const);
  const results = await Promise.race([settled, late]).finally(() => timeout.abort());
  if (results !== "late") return results;
  throw new ServiceError(
    "budget_unavailable",
    "The database does not answer. The events are kept and stored when it does; report them again only with the same idempotencyKey or reservationId.",
  );
}
