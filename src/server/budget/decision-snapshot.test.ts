import { expect, test } from "vitest";
import { nanoUsd } from "@/lib/money";
import type { HeldBudget } from "./budget-book";
import { decisionSnapshot, DecisionSnapshot, type AmountsOfBudget } from "./decision-snapshot";

const budget = (changes: Partial<HeldBudget> = {}): HeldBudget => ({
  id: "0190b3c4-5d6e-7f80-9a1b-2c3d4e5f6071",
  orgId: "o",
  entityType: "org",
  entityId: "org",
  entityName: null,
  models: [],
  providers: [],
  maxNano: nanoUsd(10_000n),
  policy: "strict_block",
  period: { interval: "daily", timezone: "UTC", anchorDay: null },
  thresholds: [],
  velocity: null,
  sessionLimitNano: null,
  holds: "bound",
  unpricedPolicy: "ceiling",
  ...changes,
});
const amounts = (spent: bigint, reserved: bigint, changes: Partial<AmountsOfBudget> = {}): AmountsOfBudget => ({
  budget: budget(),
  limitNano: nanoUsd(10_000n),
  spentNano: nanoUsd(spent),
  reservedNano: nanoUsd(reserved),
  resetsAtMs: null,
  ...changes,
});
const passed = (...budgets: AmountsOfBudget[]): number => {
  const snapshot = decisionSnapshot({
    code: "budget_exceeded",
    message: "",
    apiKeyId: null,
    provider: "openai",
    model: null,
    customerId: null,
    sessionId: null,
    estimateNano: null,
    estimateLines: [],
    affordableOutputTokens: null,
    budgets,
    deniedBudgetId: "",
  });
  expect(DecisionSnapshot.parse(JSON.parse(JSON.stringify(snapshot)))).toEqual(snapshot);
  return snapshot.wouldHavePassed.amountMicrodollars;
};

test("what would have passed is the room of the tightest, and never less than nothing", () => {
  expect(passed(amounts(4_000n, 1_000n))).toBe(5);
  expect(passed(amounts(4_000n, 1_000n), amounts(9_999n, 0n))).toBe(0.001);
  expect(passed(amounts(12_000n, 1_000n))).toBe(0);
});

test("a budget that only warns has room for anything, but its session and velocity limits do not", () => {
  const warn = budget({ policy: "warn", velocity: { limitNano: nanoUsd(3_000n), windowSeconds: 60, cooldownSeconds: 60 } });
  expect(passed(amounts(4_000n, 0n), amounts(99_000n, 0n, { budget: budget({ policy: "warn" }) }))).toBe(6);
  expect(passed(amounts(4_000n, 0n, { budget: warn, velocity: { currentNano: nanoUsd(1_000n), coolUntilMs: null } }))).toBe(2);
  expect(passed(amounts(4_000n, 0n, { budget: warn, velocity: { currentNano: nanoUsd(0n), coolUntilMs: 1 } }))).toBe(0);
  const session = { limitNano: nanoUsd(1_500n), spentNano: nanoUsd(500n), reservedNano: nanoUsd(500n) };
  expect(passed(amounts(0n, 0n, { budget: budget({ policy: "warn" }), session }))).toBe(0.5);
});
