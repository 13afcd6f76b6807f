import { z } from "zod";
import { publicId } from "@/lib/ids";
import { nanoToMicrodollars, nanoUsd, type NanoUsd } from "@/lib/money";
import type { HeldBudget } from "./budget-book";
import { budgetInWords } from "./denial";
import { ENTITY_TYPES, HOLDS, POLICIES } from "./input";
import { publicEntityId } from "./public-budget";

const microdollars = z.number().meta({ description: "Microdollars ($1 = 1,000,000), at most three decimals." });
const timestamp = z.string().meta({ format: "date-time", description: "ISO 8601, UTC." });

export const RESERVATIONS_SHOWN_MAX = 20;

const ShownReservation = z.object({
  eventId: z.string().meta({ description: "The cost event that the call will have; the call itself may still run." }),
  amountMicrodollars: microdollars,
  model: z.string().nullable(),
  since: timestamp,
});
export type ShownReservation = z.infer<typeof ShownReservation>;

/** Why a call was denied, as it stood at that moment: kept as it is shown. */
export const DecisionSnapshot = z
  .object({
    code: z.string(),
    message: z.string(),
    apiKeyId: z.string().nullable(),
    provider: z.string(),
    model: z.string().nullable(),
    customerId: z.string().nullable(),
    sessionId: z.string().nullable(),
    estimate: z.object({
      amountMicrodollars: microdollars.nullable(),
      lines: z.array(z.string()).meta({ description: "How it was made, in words." }),
    }),
    budgets: z.array(
      z.object({
        id: z.string(),
        name: z.string().meta({ description: "In words." }),
        entityType: z.enum(ENTITY_TYPES),
        entityId: z.string(),
        policy: z.enum(POLICIES),
        holds: z.enum(HOLDS),
        limitMicrodollars: microdollars,
        spendMicrodollars: microdollars,
        reservedMicrodollars: microdollars,
        remainingMicrodollars: microdollars,
        resetsAt: timestamp.nullable(),
        session: z
          .object({ limitMicrodollars: microdollars, spendMicrodollars: microdollars, reservedMicrodollars: microdollars })
          .nullable()
          .meta({ description: "This call's session in this budget; null: no session limit, or no session." }),
        velocity: z
          .object({
            limitMicrodollars: microdollars,
            currentMicrodollars: microdollars,
            windowSeconds: z.int(),
            coolUntil: timestamp.nullable(),
          })
          .nullable()
          .meta({ description: "Null: no velocity limit." }),
        denied: z.boolean().meta({ description: "This is the budget that the denial names." }),
        reservations: z
          .array(ShownReservation)
          .max(RESERVATIONS_SHOWN_MAX)
          .meta({ description: `Calls that held money in it, the largest first, at most ${RESERVATIONS_SHOWN_MAX}.` }),
      }),
    ),
    wouldHavePassed: z.object({
      amountMicrodollars: microdollars.meta({ description: "The largest call that every one of these budgets had room for." }),
      outputTokens: z.int().nullable().meta({ description: "The largest max_tokens of this very call; null: not known." }),
    }),
  })
  .meta({ id: "DecisionSnapshot" });
export type DecisionSnapshot = z.infer<typeof DecisionSnapshot>;

export type AmountsOfBudget = {
  budget: HeldBudget;
  limitNano: NanoUsd;
  spentNano: NanoUsd;
  reservedNano: NanoUsd;
  resetsAtMs: number | null;
  session?: { limitNano: NanoUsd; spentNano: NanoUsd; reservedNano: NanoUsd };
  velocity?: { currentNano: NanoUsd; coolUntilMs: number | null };
};

export type SnapshotInput = {
  code: string;
  message: string;
  /** Bare. */
  apiKeyId: string | null;
  provider: string;
  model: string | null;
  customerId: string | null;
  sessionId: string | null;
  estimateNano: NanoUsd | null;
  /** Sentences: "1,204 input tokens at most, counted from 4,816 bytes", … */
  estimateLines: readonly string[];
  affordableOutputTokens: number | null;
  /** Every budget that applied. */
  budgets: readonly AmountsOfBudget[];
  /** Bare id of the one that the denial names. */
  deniedBudgetId: string;
};

/** Which calls held money is added by the decision log: it takes a look at the database, which a denial does not wait for. */
export function decisionSnapshot(input: SnapshotInput): DecisionSnapshot {
  return {
    code: input.code,
    message: input.message,
    apiKeyId: input.apiKeyId === null ? null : publicId("key", input.apiKeyId),
    provider: input.provider,
    model: input.model,
    customerId: input.customerId,
    sessionId: input.sessionId,
    estimate: {
      amountMicrodollars: input.estimateNano === null ? null : nanoToMicrodollars(input.estimateNano),
      lines: [...input.estimateLines],
    },
    budgets: input.budgets.map((each) => shownBudget(each, input.deniedBudgetId)),
    wouldHavePassed: {
      amountMicrodollars: nanoToMicrodollars(nanoUsd(largestThatFits(input.budgets))),
      outputTokens: input.affordableOutputTokens,
    },
  };
}

function shownBudget(amounts: AmountsOfBudget, deniedBudgetId: string): DecisionSnapshot["budgets"][number] {
  const { budget, limitNano, spentNano, reservedNano, resetsAtMs, session, velocity } = amounts;
  return {
    id: publicId("budget", budget.id),
    name: budgetInWords(budget),
    entityType: budget.entityType,
    entityId: publicEntityId(budget.entityType, budget.entityId),
    policy: budget.policy,
    holds: budget.holds,
    limitMicrodollars: nanoToMicrodollars(limitNano),
    spendMicrodollars: nanoToMicrodollars(spentNano),
    reservedMicrodollars: nanoToMicrodollars(reservedNano),
    remainingMicrodollars: nanoToMicrodollars(nanoUsd(roomIn(limitNano, spentNano + reservedNano))),
    resetsAt: isoOrNull(resetsAtMs),
    session: session
      ? {
          limitMicrodollars: nanoToMicrodollars(session.limitNano),
          spendMicrodollars: nanoToMicrodollars(session.spentNano),
          reservedMicrodollars: nanoToMicrodollars(session.reservedNano),
        }
      : null,
    velocity:
      velocity && budget.velocity
        ? {
            limitMicrodollars: nanoToMicrodollars(budget.velocity.limitNano),
            currentMicrodollars: nanoToMicrodollars(velocity.currentNano),
            windowSeconds: budget.velocity.windowSeconds,
            coolUntil: isoOrNull(velocity.coolUntilMs),
          }
        : null,
    denied: budget.id === deniedBudgetId,
    reservations: [],
  };
}

/** Budgets that only warn have room for anything. Session and velocity limits deny under every policy. */
function largestThatFits(budgets: readonly AmountsOfBudget[]): bigint {
  const rooms = budgets.flatMap(({ budget, limitNano, spentNano, reservedNano, session, velocity }) => [
    ...(budget.policy === "warn" ? [] : [roomIn(limitNano, spentNano + reservedNano)]),
    ...(session ? [roomIn(session.limitNano, session.spentNano + session.reservedNano)] : []),
    ...(velocity && budget.velocity ? [velocity.coolUntilMs === null ? roomIn(budget.velocity.limitNano, velocity.currentNano) : 0n] : []),
  ]);
  return rooms.length === 0 ? 0n : rooms.reduce((least, room) => (room < least ? room : least));
}

const roomIn = (limit: bigint, taken: bigint): bigint => (taken < limit ? limit - taken : 0n);
const isoOrNull = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString());
