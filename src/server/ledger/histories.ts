import fc from "fast-check";

/** What can happen to a ledger, in numbers small enough that everything meets everything. Used by the property tests. */

export type Step =
  | { do: "reserve"; budgets: number[]; session: string | null; bound: bigint; floor: bigint | null; isTool: boolean }
  | { do: "burst"; budgets: number[]; session: string | null; bounds: bigint[] }
  | { do: "extend"; call: number; total: bigint }
  | { do: "settle"; call: number; charged: bigint }
  | { do: "report"; budgets: number[]; session: string | null; charged: bigint }
  | { do: "expire"; call: number }
  | { do: "release"; call: number }
  | { do: "raise"; budget: number; by: bigint }
  | { do: "editMax"; budget: number; max: bigint }
  | { do: "editKind"; budget: number; kind: 0 | 1 | 2 }
  | { do: "editThresholds"; budget: number; thresholds: number[] }
  | { do: "editSession"; budget: number; limit: bigint | null }
  | { do: "reset"; budget: number }
  | { do: "endPeriod"; budget: number }
  | { do: "delete"; budget: number }
  /** The process dies, and another one takes over. */
  | { do: "crash" };

export const BUDGETS = [
  { kind: 0, max: 100n, thresholds: [50, 80, 95], sessionLimit: null },
  { kind: 1, max: 120n, thresholds: [90], sessionLimit: null },
  { kind: 2, max: 80n, thresholds: [10, 20], sessionLimit: 30n },
  { kind: 0, max: 150n, thresholds: [], sessionLimit: 60n },
] as const;

const amount = (most: bigint) => fc.bigInt({ min: 0n, max: most });
const budget = fc.nat(BUDGETS.length - 1);
const budgets = fc.uniqueArray(budget, { minLength: 1, maxLength: BUDGETS.length });
const session = fc.constantFrom(null, null, "a", "b");
const call = fc.nat(40);

export const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      do: fc.constant("reserve" as const),
      budgets,
      session,
      bound: amount(60n),
      floor: fc.option(amount(20n), { nil: null }),
      isTool: fc.boolean(),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("burst" as const),
      budgets,
      session,
      bounds: fc.array(amount(40n), { minLength: 2, maxLength: 8 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("extend" as const), call, total: amount(80n) }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant("settle" as const), call, charged: amount(70n) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("report" as const), budgets, session, charged: amount(50n) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("expire" as const), call }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("release" as const), call }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("raise" as const), budget, by: amount(50n) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("editMax" as const), budget, max: fc.bigInt({ min: 1n, max: 200n }) }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("editKind" as const), budget, kind: fc.constantFrom(0 as const, 1 as const, 2 as const) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("editThresholds" as const),
      budget,
      thresholds: fc.uniqueArray(fc.integer({ min: 1, max: 100 }), { maxLength: 4 }).map((each) => each.toSorted((a, b) => a - b)),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("editSession" as const), budget, limit: fc.option(amount(60n), { nil: null }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("reset" as const), budget }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("endPeriod" as const), budget }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("delete" as const), budget }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("crash" as const) }) },
);
