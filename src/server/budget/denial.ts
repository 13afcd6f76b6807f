import { assertNever, type ErrorCode, HTTP_STATUS } from "@/lib/errors";
import { publicId } from "@/lib/ids";
import { nanoToMicrodollars, nanoToUsdString, nanoUsd, type NanoUsd } from "@/lib/money";
import type { HeldBudget, HeldFreeze } from "./budget-book";
import type { ResetInterval } from "./period-edges";
import { publicEntityId } from "./public-budget";

export type DenialCode = Extract<
  ErrorCode,
  "budget_exceeded" | "customer_budget_exceeded" | "tag_budget_exceeded" | "session_limit_exceeded" | "velocity_exceeded" | "frozen"
>;

/** An answer instead of the provider's, ready for the surface that was called: it adds its own shape and nothing else. */
export type Denial = {
  code: DenialCode;
  status: number;
  /** One sentence, without a capital and without our name, as the gateway puts `NullSpend: ` before it. */
  message: string;
  /** CONTRACT §6, snake_case. */
  details: Readonly<Record<string, unknown>>;
  /** `x-should-retry`, `retry-after` and `x-nullspend-denied`: name, value, name, value … */
  headers: readonly string[];
  /** Beside the message in every dialect; null: none is set. */
  upgradeUrl: string | null;
};

/** What the ledger said no with. Amounts as they were before this call. */
export type StoppedBy =
  | {
      kind: "budget";
      limitNano: NanoUsd;
      spentNano: NanoUsd;
      reservedNano: NanoUsd;
      /** Unix ms; null: this period has no end. */
      resetsAtMs: number | null;
    }
  | { kind: "session"; sessionId: string; limitNano: NanoUsd; spentNano: NanoUsd; reservedNano: NanoUsd }
  | {
      kind: "velocity";
      limitNano: NanoUsd;
      currentNano: NanoUsd;
      windowSeconds: number;
      /** How long calls are still denied. Null: the breaker is closed and only this call is too large or too early. */
      cooldownSeconds: number | null;
    };

export type DenialInput = {
  budget: Pick<HeldBudget, "id" | "entityType" | "entityId" | "entityName" | "models" | "providers" | "period">;
  stoppedBy: StoppedBy;
  /** What the call would have had held; null: nothing was estimated. */
  estimateNano: NanoUsd | null;
  /** Output tokens that would have fitted; null: not known, or not what decides. */
  affordableOutputTokens: number | null;
  /** Bare; null: nothing is kept to explain. */
  decisionId: string | null;
  denialStatus: 429 | 402;
  /** The origin of our own pages, without a slash at the end. */
  publicUrl: string;
  /** The organisation's (or customer's) setting; `{customer_id}` is replaced. */
  upgradeUrl: string | null;
  customerId: string | null;
};

/** A wait of this long is one that a client can sit out: it is told when to come back, and nothing tells it not to. */
const COOLDOWN_WORTH_WAITING_S = 60;
const NAME_LENGTH_MAX = 60;

export function buildDenial(input: DenialInput): Denial {
  const code = codeOf(input);
  return {
    code,
    status: code === "velocity_exceeded" ? HTTP_STATUS[code] : input.denialStatus,
    message: messageOf(input),
    details: detailsOf(input),
    headers: ["X-NullSpend-Denied", "1", ...retryHeaders(input.stoppedBy)],
    upgradeUrl: input.upgradeUrl === null ? null : upgradeUrlFor(input.upgradeUrl, input.customerId),
  };
}

/** What a freeze answers: a person put it there, so a retry cannot help until one lifts it. */
export function buildFrozenDenial(
  freeze: Pick<HeldFreeze, "entityType" | "entityId" | "reason">,
  { upgradeUrl, customerId }: Pick<DenialInput, "upgradeUrl" | "customerId">,
): Denial {
  const reason = freeze.reason.trim().replace(/[.!?]+$/, "");
  return {
    code: "frozen",
    status: HTTP_STATUS.frozen,
    message: `calls of ${frozenEntity(freeze)} are frozen${reason === "" ? "" : ` (${reason})`} until an admin lifts the freeze.`,
    details: {
      entity_type: freeze.entityType,
      entity_id: publicEntityId(freeze.entityType, freeze.entityId),
      reason: freeze.reason,
    },
    headers: ["X-NullSpend-Denied", "1", "x-should-retry", "false"],
    upgradeUrl: upgradeUrl === null ? null : upgradeUrlFor(upgradeUrl, customerId),
  };
}

function codeOf({ budget, stoppedBy }: DenialInput): DenialCode {
  switch (stoppedBy.kind) {
    case "session":
      return "session_limit_exceeded";
    case "velocity":
      return "velocity_exceeded";
    case "budget":
      if (budget.entityType === "customer") return "customer_budget_exceeded";
      return budget.entityType === "tag" ? "tag_budget_exceeded" : "budget_exceeded";
    default:
      return assertNever(stoppedBy);
  }
}

// CONTRACT §6: official clients obey `x-should-retry` before they look at the status, and LangChain retries where `Retry-After` is.
function retryHeaders(stoppedBy: StoppedBy): string[] {
  if (stoppedBy.kind !== "velocity") return ["x-should-retry", "false"];
  const seconds = secondsToWait(stoppedBy);
  return seconds !== null && seconds <= COOLDOWN_WORTH_WAITING_S ? ["retry-after", String(seconds)] : ["x-should-retry", "false"];
}

/** Null where waiting does not help: a call that is larger than the whole window never fits. */
function secondsToWait({ cooldownSeconds }: Extract<StoppedBy, { kind: "velocity" }>): number | null {
  return cooldownSeconds === null ? null : Math.max(1, Math.ceil(cooldownSeconds));
}

function detailsOf(input: DenialInput): Record<string, unknown> {
  const { budget, stoppedBy, estimateNano, affordableOutputTokens, decisionId, publicUrl } = input;
  const about = {
    entity_type: budget.entityType,
    entity_id: publicEntityId(budget.entityType, budget.entityId),
    budget_id: publicId("budget", budget.id),
  };
  const after = {
    estimated_cost_microdollars: estimateNano === null ? null : nanoToMicrodollars(estimateNano),
    affordable_output_tokens: affordableOutputTokens,
    decision_id: decisionId === null ? null : publicId("decision", decisionId),
    request_url: requestUrlOf({ publicUrl, budgetId: budget.id, decisionId }),
  };
  switch (stoppedBy.kind) {
    case "budget":
      return {
        ...about,
        ...namedEntity(budget),
        budget_limit_microdollars: nanoToMicrodollars(stoppedBy.limitNano),
        budget_spend_microdollars: nanoToMicrodollars(stoppedBy.spentNano),
        budget_reserved_microdollars: nanoToMicrodollars(stoppedBy.reservedNano),
        resets_at: stoppedBy.resetsAtMs === null ? null : new Date(stoppedBy.resetsAtMs).toISOString(),
        ...after,
      };
    case "session":
      return {
        ...about,
        session_id: stoppedBy.sessionId,
        session_spend_microdollars: nanoToMicrodollars(stoppedBy.spentNano),
        session_reserved_microdollars: nanoToMicrodollars(stoppedBy.reservedNano),
        session_limit_microdollars: nanoToMicrodollars(stoppedBy.limitNano),
        ...after,
      };
    case "velocity": {
      const limit = nanoToMicrodollars(stoppedBy.limitNano);
      const current = nanoToMicrodollars(stoppedBy.currentNano);
      return {
        ...about,
        limit_microdollars: limit,
        window_seconds: stoppedBy.windowSeconds,
        current_microdollars: current,
        cooldown_seconds: secondsToWait(stoppedBy),
        limitMicrodollars: limit,
        windowSeconds: stoppedBy.windowSeconds,
        currentMicrodollars: current,
        ...after,
      };
    }
    default:
      return assertNever(stoppedBy);
  }
}

function namedEntity({ entityType, entityId }: DenialInput["budget"]): Record<string, string> {
  if (entityType === "customer") return { customer_id: entityId };
  if (entityType !== "tag") return {};
  const separator = entityId.indexOf("=");
  return { tag_key: entityId.slice(0, separator), tag_value: entityId.slice(separator + 1) };
}

/** Opens the dashboard, behind sign-in, with the question filled in. It carries no rights. */
export function requestUrlOf(about: { publicUrl: string; budgetId: string; decisionId: string | null }): string {
  const query = new URLSearchParams({ budget: publicId("budget", about.budgetId) });
  if (about.decisionId !== null) query.set("decision", publicId("decision", about.decisionId));
  return `${about.publicUrl}/app/requests/new?${query.toString()}`;
}

function upgradeUrlFor(template: string, customerId: string | null): string {
  return template.replaceAll("{customer_id}", customerId === null ? "" : encodeURIComponent(customerId));
}

// The sentence.

function messageOf(input: DenialInput): string {
  const link = requestUrlOf({ publicUrl: input.publicUrl, budgetId: input.budget.id, decisionId: input.decisionId });
  return `${whatStopped(input)}; ask for more at ${link}`;
}

function whatStopped({ budget, stoppedBy, estimateNano, affordableOutputTokens }: DenialInput): string {
  const need = estimateNano === null ? "" : `this call may cost ${usd(estimateNano)}`;
  switch (stoppedBy.kind) {
    case "budget": {
      const { limitNano, spentNano, reservedNano, resetsAtMs } = stoppedBy;
      const held = reservedNano > 0n ? `, ${usd(reservedNano)} held for calls in flight` : "";
      const affordable =
        affordableOutputTokens !== null && affordableOutputTokens > 0 ? `, ${affordableOutputTokens} output tokens would fit` : "";
      const reset = resetsAtMs === null ? "it does not reset by itself" : `it resets on ${instantIn(budget.period.timezone, resetsAtMs)}`;
      const state = spentNano + reservedNano >= limitNano ? "is used up" : "has no room for this call";
      const parenthesis = [`${usd(spentNano)} of ${usd(limitNano)} spent${held}`, need + affordable]
        .filter((part) => part !== "")
        .join("; ");
      return `${budgetInWords(budget)} ${state} (${parenthesis}); ${reset}`;
    }
    case "session": {
      const { limitNano, spentNano, reservedNano, sessionId } = stoppedBy;
      const held = reservedNano > 0n ? `, ${usd(reservedNano)} held` : "";
      const parenthesis = [`${usd(spentNano)} of ${usd(limitNano)} spent${held}`, need].filter((part) => part !== "").join("; ");
      return `the session ${quoted(sessionId)} has reached its limit in ${budgetInWords(budget)} (${parenthesis}); a new session may go on`;
    }
    case "velocity": {
      const { limitNano, currentNano, windowSeconds } = stoppedBy;
      const seconds = secondsToWait(stoppedBy);
      const wait =
        seconds !== null
          ? `calls are let through again in ${seconds} s`
          : estimateNano !== null && estimateNano > limitNano
            ? "a call this large never fits into it"
            : "try again when older calls have left the window";
      const parenthesis = [`${usd(currentNano)} of ${usd(limitNano)} in ${windowSeconds} s`, need].filter((part) => part !== "").join("; ");
      return `money is spent faster than ${budgetInWords(budget)} allows (${parenthesis}); ${wait}`;
    }
    default:
      return assertNever(stoppedBy);
  }
}

const PERIOD_IN_WORDS: Readonly<Record<ResetInterval, string>> = {
  none: "budget",
  daily: "daily budget",
  weekly: "weekly budget",
  monthly: "monthly budget",
  yearly: "yearly budget",
};

/** "the monthly budget of the key "agent" for gpt-5* calls". */
export function budgetInWords(budget: DenialInput["budget"]): string {
  const filter = [budget.models.join(", "), budget.providers.join(", ")].filter((part) => part !== "").join(" at ");
  return `the ${PERIOD_IN_WORDS[budget.period.interval]} of ${entityInWords(budget)}${filter === "" ? "" : ` for ${cut(filter)}`}`;
}

function entityInWords({
  entityType,
  entityId,
  entityName,
}: Pick<DenialInput["budget"], "entityType" | "entityId" | "entityName">): string {
  switch (entityType) {
    case "org":
      return "this organisation";
    case "user":
      return entityName === null ? "the key's owner" : `the member ${quoted(entityName)}`;
    case "api_key":
      return entityName === null ? "this key" : `the key ${quoted(entityName)}`;
    case "tag":
      return `the tag ${quoted(entityId)}`;
    case "customer":
      return `the customer ${quoted(entityId)}`;
    default:
      return assertNever(entityType);
  }
}

function frozenEntity({ entityType, entityId }: Pick<HeldFreeze, "entityType" | "entityId">): string {
  switch (entityType) {
    case "org":
      return "this organisation";
    case "api_key":
      return "this key";
    case "customer":
      return `the customer ${quoted(entityId)}`;
    default:
      return assertNever(entityType);
  }
}

/** Names are chosen by callers: what could end the sentence or the line is taken out. */
const quoted = (text: string): string => `"${cut(text.replace(/[\p{Cc}\p{Zl}\p{Zp}"]/gu, " "))}"`;
const cut = (text: string): string => (text.length > NAME_LENGTH_MAX ? `${text.slice(0, NAME_LENGTH_MAX - 1)}…` : text);

const usd = (nano: NanoUsd): string => `$${nanoToUsdString(nanoUsd(nano))}`;

const instantFormats = new Map<string, Intl.DateTimeFormat>();

/** "1 December 2026 at 00:00 (Europe/Berlin)". */
function instantIn(timezone: string, atMs: number): string {
  let format = instantFormats.get(timezone);
  if (!format) {
    format = new Intl.DateTimeFormat("en-GB", {
      timeZone: timezone,
      day: "numeric",
      month: "long",
      year: "numeric",
      hour: "2-digit",
      minute: "2-digit",
      hourCycle: "h23",
    });
    instantFormats.set(timezone, format);
  }
  const part = Object.fromEntries(format.formatToParts(atMs).map(({ type, value }) => [type, value]));
  return `${part.day} ${part.month} ${part.year} at ${part.hour}:${part.minute} (${timezone})`;
}
