import { z } from "zod";
import { DenialError } from "@/lib/errors";
import { newTraceId, publicId, uuidv7 } from "@/lib/ids";
import { microdollarsToNano, nanoUsd, type NanoUsd } from "@/lib/money";
import { assertAllowed } from "@/server/access";
import {
  amountsOfLimits,
  balanceIdsOfLimits,
  buildDenial,
  buildFrozenDenial,
  decisionSnapshot,
  invalid,
  loadBudgets,
  parsed,
  stoppedByLimit,
  type BudgetedCall,
  type DecisionLog,
  type Denial,
} from "@/server/budget";
import type { Ctx } from "@/server/context";
import type { CostEventRecord } from "@/server/events";
import type { SettleDoor } from "@/server/ledger";
import { assertNamesWhatIsRequired, budgetedCallOf, getToolCaller, modelOf, type ToolCaller } from "./caller";
import { McpBudgetCheckInput } from "./input";
import { findToolCosts, toolKey } from "./tool-costs";
import { toolEvent } from "./tool-event";
import { holdForTool, type ToolHoldDenied, type ToolHoldDependencies } from "./tool-holds";

export const McpBudgetCheck = z
  .object({
    allowed: z.literal(true),
    reservationId: z.string().nullable().meta({ description: "To be named in the call's event; null: no budget applies." }),
    traceId: z.string(),
  })
  .meta({ id: "McpBudgetCheck" });
export type McpBudgetCheck = z.infer<typeof McpBudgetCheck>;

export type McpDependencies = ToolHoldDependencies & {
  settleDoor: SettleDoor;
  decisionLog: DecisionLog;
  /** Of our own pages, for links in denials. */
  publicUrl: string;
};

/**
 * Asks whether a tool may be called, and holds what the call may cost. The same ledger and the same rules as for calls of models.
 * @throws DenialError with the words and fields that a denied call of a model gets.
 */
export async function checkToolBudget(
  { ctx, input }: { ctx: Ctx; input: McpBudgetCheckInput },
  dependencies: McpDependencies,
): Promise<McpBudgetCheck> {
  assertAllowed(ctx.principal, { key: ["ingest", "proxy"], user: "key_only" });
  const check = parsed(McpBudgetCheckInput, input);
  const caller = await getToolCaller(ctx);
  const call = budgetedCallOf(caller, check);
  const sessionId = check.sessionId ?? null;
  assertNamesWhatIsRequired(caller, call, sessionId);
  const estimateNano = await estimateOf(ctx, check);
  const nowMs = ctx.clock.now();
  const traceId = check.traceId ?? newTraceId();
  const draft: CostEventRecord = {
    ...toolEvent({ caller, call, tool: check, sessionId, traceId, id: uuidv7(nowMs), nowMs }),
    estimatedNano: estimateNano,
    budgetStatus: "approved",
  };
  const asked: Asked = { caller, call, sessionId, draft, estimateNano };

  await loadBudgets(caller.orgId, dependencies);
  const { budgetBook } = dependencies;
  const freeze = budgetBook.frozen(caller.orgId, call);
  if (freeze) {
    const { customerId } = call;
    const denial = buildFrozenDenial(freeze, { upgradeUrl: budgetBook.upgradeUrlOf(caller.orgId, customerId), customerId });
    return deny({ asked, denial, balanceId: null }, dependencies);
  }
  const answer = await holdForTool({ draft, call, sessionId, amountNano: estimateNano }, dependencies);
  switch (answer.outcome) {
    case "unlimited":
      return { allowed: true, reservationId: null, traceId };
    case "held":
      return { allowed: true, reservationId: publicId("reservation", draft.id), traceId };
    case "denied":
      return denyByBudget(asked, answer, dependencies);
  }
}

type Asked = { caller: ToolCaller; call: BudgetedCall; sessionId: string | null; draft: CostEventRecord; estimateNano: NanoUsd };

/** What an admin said wins over what the caller says, where it is more: an agent must not talk its way under a limit. */
async function estimateOf(ctx: Ctx, check: z.output<typeof McpBudgetCheckInput>): Promise<NanoUsd> {
  const known = (await findToolCosts(ctx, [check])).get(toolKey(check));
  const given = check.estimateMicrodollars === undefined ? undefined : microdollarsToNano(check.estimateMicrodollars);
  if (known?.isManual) return given !== undefined && given > known.costNano ? given : known.costNano;
  const estimate = given ?? known?.costNano;
  if (estimate === undefined) throw invalid({ path: "estimateMicrodollars", message: "is needed: nobody has said what this tool costs" });
  return estimate;
}

function denyByBudget(asked: Asked, denied: ToolHoldDenied, dependencies: McpDependencies): Promise<never> {
  const { caller, call, sessionId, draft, estimateNano } = asked;
  const { by, limits } = denied;
  const { budget } = by;
  const denial = buildDenial({
    budget,
    stoppedBy: stoppedByLimit(by, { sessionId, bound: estimateNano, nowMs: draft.createdAtMs }),
    estimateNano,
    affordableOutputTokens: null,
    decisionId: draft.id,
    denialStatus: caller.restrictions.denialStatus,
    publicUrl: dependencies.publicUrl,
    upgradeUrl: dependencies.budgetBook.upgradeUrlOf(caller.orgId, call.customerId),
    customerId: call.customerId,
  });
  const snapshot = decisionSnapshot({
    code: denial.code,
    message: denial.message,
    apiKeyId: caller.keyId,
    provider: call.provider,
    model: call.model,
    customerId: call.customerId,
    sessionId,
    estimateNano,
    estimateLines: [`one call of the tool ${modelOf({ serverName: draft.toolServer ?? "", toolName: draft.toolName ?? "" })}`],
    affordableOutputTokens: null,
    budgets: amountsOfLimits(limits),
    deniedBudgetId: budget.id,
  });
  dependencies.decisionLog.record({ orgId: caller.orgId, eventId: draft.id, snapshot, balanceIds: balanceIdsOfLimits(limits) });
  return deny({ asked, denial, balanceId: by.balanceId }, dependencies);
}

/** A denied call has its event too, without cost. It is told to others with that, and not waited for. */
async function deny(
  { asked: { draft }, denial, balanceId }: { asked: Asked; denial: Denial; balanceId: bigint | null },
  { settleDoor }: McpDependencies,
): Promise<never> {
  const event: CostEventRecord = {
    ...draft,
    status: "denied",
    denialCode: denial.code,
    httpStatus: denial.status,
    budgetStatus: "denied",
    costNano: nanoUsd(0n),
    chargedNano: nanoUsd(0n),
  };
  if (settleDoor.accepting) void settleDoor.settle({ event, denial: { balanceId, details: denial.details } });
  const { upgradeUrl } = denial;
  const details = upgradeUrl === null ? denial.details : { ...denial.details, upgrade_url: upgradeUrl };
  throw new DenialError({ ...denial, details, message: denial.message.charAt(0).toUpperCase() + denial.message.slice(1) });
}
