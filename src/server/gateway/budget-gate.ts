import type { Clock } from "@/lib/clock";
import type { Logger } from "@/lib/logger";
import { type NanoUsd, ZERO_NANO, nanoToMicrodollars, nanoUsd } from "@/lib/money";
import {
  type BudgetBook,
  type DecisionLog,
  type Denial,
  type HeldBudget,
  type HeldFreeze,
  type HeldLimit,
  amountsOfLimits,
  balanceIdsOfLimits,
  buildDenial,
  buildFrozenDenial,
  chargesAfterTheFact,
  decisionSnapshot,
  publicEntityId,
  stoppedByLimit,
} from "@/server/budget";
import type { KeyIdentity } from "@/server/api-key";
import type { CostEventRecord } from "@/server/events";
import type { Ledger, Settlement } from "@/server/ledger";
import {
  ANYTHING_UNSAID,
  type BoundedHold,
  type Hold,
  type HoldInput,
  type HoldLearner,
  computeHold,
  outputTokensAffordable,
  tightenHold,
} from "@/server/metering";
import { type Refusal, refusal } from "./refusal";

/** A call on its way to the ledger. */
export type GatedCall = {
  callId: string;
  identity: KeyIdentity;
  customerId: string | null;
  sessionId: string | null;
  tags: Readonly<Record<string, string>>;
  provider: string;
  model: string | null;
  hold: Omit<HoldInput, "findPrice" | "findDearestPrice">;
  draft: () => CostEventRecord;
};

export type GateAnswer =
  /** No budget applies. */
  | { outcome: "unlimited" }
  | {
      outcome: "held";
      /** What was held; null where a budget lets unpriced calls pass and nothing could be held. */
      hold: BoundedHold | null;
      estimate: NanoUsd;
      /** The floor is held: the stream has to be watched. */
      reduced: boolean;
      /** The call has no price of its own: budgets are charged at most this. */
      ceiling: NanoUsd | null;
      headers: string[];
      warnings: string[];
    }
  | {
      outcome: "denied";
      refused: Refusal;
      estimate: NanoUsd | null;
      headers: string[];
      /** What the settlement says of it, where a limit refused the call. */
      denial?: Settlement["denial"];
      /** The limit that a person could raise so that the call fits; not set where no raise would help. */
      raisable?: { budget: { id: string; entityType: string; entityId: string }; balanceId: bigint; limitNano: bigint };
    };

export interface BudgetGate {
  /** Synchronous where the organisation has no limits, which costs a call nothing. */
  admit(call: GatedCall): GateAnswer | Promise<GateAnswer>;
  /** Nanodollars: the most a call may cost; null where that is not known. */
  estimate(hold: GatedCall["hold"]): NanoUsd | null;
  /** What ends a call that runs while its organisation, key or customer is frozen. */
  frozen(freeze: HeldFreeze, call: { orgId: string; customerId: string | null }): Refusal;
  /** What a settled call turned out to cost, for budgets that hold learned sizes. */
  observe(call: { keyId: string; model: string; inputBytes: number; inputNano: NanoUsd; outputNano: NanoUsd }): void;
  /**
   * What usage counts against that came back after its call, when nothing can be denied any more.
   * Rejects while the database does not answer: an event that is settled without would be missing from its budgets for good.
   */
  chargesOfLater(event: CostEventRecord, configVersion: bigint): Promise<Settlement["budgets"]>;
  readonly ledger: Ledger;
}

export type BudgetGateOptions = {
  book: BudgetBook;
  ledger: Ledger;
  learner: HoldLearner;
  decisionLog: DecisionLog;
  prices: Pick<HoldInput, "findPrice" | "findDearestPrice">;
  clock: Clock;
  log: Pick<Logger, "warn">;
  /** Of our own pages. */
  publicUrl: () => string;
};

const unavailable = (): Refusal => refusal("budget_unavailable", "budgets cannot be checked right now, so nothing is sent; try again.");

/** How often a configuration that moves meanwhile is read again before the call is given up. */
const STALE_MAX = 3;

/** Between a call and its provider: which budgets apply, how much has to be held, and whether the ledger has room for it. */
export function createBudgetGate(options: BudgetGateOptions): BudgetGate {
  const { book, ledger, learner, decisionLog, prices, clock, log, publicUrl } = options;

  function admit(call: GatedCall): GateAnswer | Promise<GateAnswer> {
    const { orgId, org } = call.identity;
    const loading = book.ensureLoaded(orgId, org.configVersion);
    if (loading) {
      return loading.then(
        () => decide(call),
        (error: unknown): GateAnswer => {
          log.warn({ err: error, orgId }, "budgets could not be read");
          return { outcome: "denied", refused: unavailable(), estimate: null, headers: [] };
        },
      );
    }
    return decide(call);
  }

  function decide(call: GatedCall): GateAnswer | Promise<GateAnswer> {
    const { identity, customerId } = call;
    const about = {
      userId: identity.userId,
      apiKeyId: identity.keyId,
      customerId,
      tags: call.tags,
      provider: call.provider,
      model: call.model,
    };
    const freeze = book.frozen(identity.orgId, about);
    if (freeze) {
      const denial = frozenDenial(freeze, identity.orgId, customerId);
      return { ...denied(denial, null, []), denial: { balanceId: null, details: denial.details } };
    }
    if (call.hold.endpoint.class === "free") return { outcome: "unlimited" };
    const budgets = book.applicable(identity.orgId, about);
    return budgets.length === 0 ? { outcome: "unlimited" } : reserve(call, budgets);
  }

  async function reserve(call: GatedCall, budgets: readonly HeldBudget[]): Promise<GateAnswer> {
    const input = withAccount(call.hold);
    let current = budgets;
    let tightened = false;
    let hold = computeHold(input);
    for (let stale = 0; stale < STALE_MAX;) {
      const sized = sizeOf(hold, current);
      if ("refused" in sized) return { outcome: "denied", refused: sized.refused, estimate: null, headers: [] };
      const result = await ledger.reserve({
        callId: call.callId,
        orgId: call.identity.orgId,
        configVersion: book.versionOf(call.identity.orgId)!,
        sessionId: call.sessionId,
        lines: current.map((budget) => ({ budget, bound: boundFor(budget, call, sized.bound) })),
        floor: sized.hold?.cut?.floor ?? null,
        draft: { ...call.draft(), estimatedNano: sized.bound, budgetStatus: "approved" },
      });
      switch (result.outcome) {
        case "held":
          ledger.keep(call.callId);
          return {
            outcome: "held",
            hold: sized.hold,
            estimate: sized.bound,
            reduced: result.reduced,
            ceiling: sized.isCeiling ? sized.bound : null,
            headers: budgetHeaders(result.limits),
            warnings: result.limits.some(isOver) ? ["over_budget"] : [],
          };
        case "denied":
          // A bound by bytes is quick and wide. Before money that is there is refused, the text is counted.
          if (!tightened && result.by.kind !== "velocity") {
            tightened = true;
            const tight = await tightenHold(input);
            if (boundOf(tight) < boundOf(hold)) {
              hold = tight;
              continue;
            }
          }
          return deny(call, sized, result.by, result.limits);
        case "stale": {
          stale += 1;
          const answer = await reload(call);
          if (!answer) return { outcome: "denied", refused: unavailable(), estimate: null, headers: [] };
          current = answer;
          if (current.length === 0) return { outcome: "unlimited" };
          continue;
        }
        case "unavailable":
          return { outcome: "denied", refused: unavailable(), estimate: null, headers: [] };
      }
    }
    return { outcome: "denied", refused: unavailable(), estimate: null, headers: [] };
  }

  /** The configuration moved since the key was looked up. Undefined: it cannot be read. */
  async function reload({ identity, customerId, tags, provider, model }: GatedCall): Promise<readonly HeldBudget[] | undefined> {
    const { orgId, userId, keyId } = identity;
    try {
      await book.ensureLoaded(orgId, (book.versionOf(orgId) ?? 0n) + 1n);
    } catch {
      return undefined;
    }
    return book.applicable(orgId, { userId, apiKeyId: keyId, customerId, tags, provider, model });
  }

  type Sized = { bound: NanoUsd; hold: BoundedHold | null; isCeiling: boolean } | { refused: Refusal };

  /** What is held, or why no hard budget can admit the call. Budgets that never deny do not refuse either. */
  function sizeOf(hold: Hold, budgets: readonly HeldBudget[]): Sized {
    const denies = budgets.some(
      ({ policy, velocity, sessionLimitNano }) => policy !== "warn" || velocity !== null || sessionLimitNano !== null,
    );
    switch (hold.outcome) {
      case "bounded":
        return { bound: hold.bound, hold, isCeiling: false };
      case "refused":
        return denies
          ? { refused: refusal(hold.code, `a budget covers this call: ${hold.message}`) }
          : { bound: ZERO_NANO, hold: null, isCeiling: false };
      case "unpriced": {
        const policies = new Set(budgets.filter(({ policy }) => policy !== "warn").map(({ unpricedPolicy }) => unpricedPolicy));
        if (policies.has("block") || (policies.has("ceiling") && hold.ceiling === null)) {
          return { refused: refusal("unpriced_model", `a budget covers this call, and ${hold.message}`) };
        }
        if (policies.has("ceiling")) return { bound: hold.ceiling!.bound, hold: hold.ceiling, isCeiling: true };
        return { bound: ZERO_NANO, hold: null, isCeiling: false };
      }
    }
  }

  function boundFor(budget: HeldBudget, call: GatedCall, bound: NanoUsd): NanoUsd {
    if (budget.holds !== "expected" || call.model === null) return bound;
    return learner.expect({ keyId: call.identity.keyId, model: call.model, inputBytes: call.hold.body?.byteLength ?? 0, bound });
  }

  function deny(call: GatedCall, sized: Exclude<Sized, { refused: Refusal }>, by: HeldLimit, limits: readonly HeldLimit[]): GateAnswer {
    const { identity, customerId } = call;
    const { budget } = by;
    const affordable = affordableTokens(sized.hold, limits);
    const denial = buildDenial({
      budget,
      stoppedBy: stoppedByLimit(by, { sessionId: call.sessionId, bound: sized.bound, nowMs: clock.now() }),
      estimateNano: sized.bound,
      affordableOutputTokens: affordable,
      decisionId: call.callId,
      denialStatus: identity.restrictions?.denialStatus ?? 429,
      publicUrl: publicUrl(),
      upgradeUrl: book.upgradeUrlOf(identity.orgId, customerId),
      customerId,
    });
    decisionLog.record({
      orgId: identity.orgId,
      eventId: call.callId,
      snapshot: decisionSnapshot({
        code: denial.code,
        message: denial.message,
        apiKeyId: identity.keyId,
        provider: call.provider,
        model: call.model,
        customerId,
        sessionId: call.sessionId,
        estimateNano: sized.bound,
        estimateLines: sized.hold?.explain() ?? ["the call has no price"],
        affordableOutputTokens: affordable,
        budgets: amountsOfLimits(limits),
        deniedBudgetId: budget.id,
      }),
      balanceIds: balanceIdsOfLimits(limits),
    });
    return {
      ...denied(denial, sized.bound, budgetHeaders(limits)),
      denial: { balanceId: by.balanceId, details: denial.details },
      ...(by.kind === "budget" &&
        by.balanceId !== null && {
          raisable: {
            budget: { id: budget.id, entityType: budget.entityType, entityId: publicEntityId(budget.entityType, budget.entityId) },
            balanceId: by.balanceId,
            limitNano: by.limit,
          },
        }),
    };
  }

  function estimate(hold: GatedCall["hold"]): NanoUsd | null {
    const computed = computeHold(withAccount(hold));
    return computed.outcome === "refused" || (computed.outcome === "unpriced" && !computed.ceiling) ? null : boundOf(computed);
  }

  /** With what the organisation says of its account at the provider. */
  function withAccount(hold: GatedCall["hold"]): HoldInput {
    const tier = book.assumedServiceTierOf(hold.orgId);
    return { ...hold, ...prices, ...(tier !== null && { unsaid: { ...ANYTHING_UNSAID, serviceTiers: [tier] } }) };
  }

  const frozenDenial = (freeze: HeldFreeze, orgId: string, customerId: string | null): Denial =>
    buildFrozenDenial(freeze, { upgradeUrl: book.upgradeUrlOf(orgId, customerId), customerId });

  async function chargesOfLater(event: CostEventRecord, configVersion: bigint): Promise<Settlement["budgets"]> {
    await book.ensureLoaded(event.orgId, configVersion);
    return chargesAfterTheFact(event, { budgetBook: book, ledger });
  }

  return {
    admit,
    estimate,
    frozen: (freeze, { orgId, customerId }) => refusalOf(frozenDenial(freeze, orgId, customerId)),
    observe: (call) => learner.observe(call),
    chargesOfLater,
    ledger,
  };
}

const boundOf = (hold: Hold): NanoUsd =>
  hold.outcome === "bounded" ? hold.bound : hold.outcome === "unpriced" && hold.ceiling ? hold.ceiling.bound : ZERO_NANO;

function denied(denial: Denial, estimate: NanoUsd | null, headers: string[]): Extract<GateAnswer, { outcome: "denied" }> {
  return { outcome: "denied", refused: refusalOf(denial), estimate, headers };
}

function refusalOf(denial: Denial): Refusal {
  return {
    code: denial.code,
    status: denial.status,
    message: `NullSpend: ${denial.message}`,
    details: denial.details,
    headers: denial.headers,
    ...(denial.upgradeUrl === null ? {} : { upgradeUrl: denial.upgradeUrl }),
  };
}

function affordableTokens(hold: BoundedHold | null, limits: readonly HeldLimit[]): number | null {
  if (!hold) return null;
  const rooms = limits.filter(({ budget, kind }) => kind !== "velocity" && budget.policy !== "warn").map(roomOf);
  if (rooms.length === 0) return null;
  const least = rooms.reduce((a, b) => (a < b ? a : b));
  return least <= 0n ? 0 : outputTokensAffordable(hold, nanoUsd(least));
}

const roomOf = ({ limit, spent, reserved }: HeldLimit): bigint => limit - spent - reserved;
const isOver = (state: HeldLimit): boolean => state.kind === "budget" && state.budget.policy === "warn" && roomOf(state) < 0n;

/** `X-NullSpend-Budget-…` of the tightest budget (CONTRACT §5); of several as tight, the first by id. */
function budgetHeaders(limits: readonly HeldLimit[]): string[] {
  let tightest: HeldLimit | undefined;
  for (const state of limits) {
    if (state.kind !== "budget") continue;
    if (!tightest || roomOf(state) < roomOf(tightest)) tightest = state;
  }
  if (!tightest) return [];
  const { entityType, entityId } = tightest.budget;
  const room = roomOf(tightest);
  const micros = (amount: bigint): string => String(nanoToMicrodollars(nanoUsd(amount)));
  const headers = [
    "X-NullSpend-Budget-Limit",
    micros(tightest.limit),
    "X-NullSpend-Budget-Spent",
    micros(tightest.spent),
    "X-NullSpend-Budget-Reserved",
    micros(tightest.reserved),
    "X-NullSpend-Budget-Remaining",
    micros(room < 0n ? 0n : room),
    "X-NullSpend-Budget-Entity",
    `${entityType}:${encodeURI(publicEntityId(entityType, entityId))}`,
  ];
  if (tightest.endsAtMs !== null) headers.push("X-NullSpend-Budget-Reset", new Date(tightest.endsAtMs).toISOString());
  return headers;
}
