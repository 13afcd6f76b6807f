import fc from "fast-check";
import { expect, it } from "vitest";
import { BUDGETS, step, type Step } from "./histories";
import { LedgerModel } from "./model";

// What would break in production: an order of reserving, settling, dying and editing that nobody thought of takes a budget past its
// limit, or leaves money held for a call that has ended.

/** `LEDGER_HISTORIES=100000` for the long form. */
const HISTORIES = Number(process.env.LEDGER_HISTORIES ?? 5_000);

const model = (): LedgerModel => new LedgerModel(BUDGETS.map((budget) => ({ ...budget, thresholds: [...budget.thresholds] })));

function apply(ledger: LedgerModel, calls: string[], each: Step): void {
  const callOf = (place: number): string => calls[place % Math.max(1, calls.length)] ?? "none";
  const living = (budgets: readonly number[]): number[] => budgets.filter((budget) => !ledger.budgets[budget]!.deleted);
  switch (each.do) {
    case "reserve":
    case "burst": {
      const budgets = living(each.budgets);
      if (budgets.length === 0) return;
      const bounds = each.do === "burst" ? each.bounds : [each.bound];
      for (const bound of bounds) {
        const call = `call-${calls.push("") - 1}`;
        calls[calls.length - 1] = call;
        const { floor, isTool } = each.do === "burst" ? { floor: null, isTool: false } : each;
        ledger.reserve({ call, budgets, session: each.session, bound, floor, isTool });
      }
      return;
    }
    case "extend":
      return void ledger.extendTo(callOf(each.call), each.total);
    case "settle":
      return ledger.settle(callOf(each.call), each.charged);
    case "report": {
      const call = `call-${calls.push("") - 1}`;
      calls[calls.length - 1] = call;
      return ledger.report(call, living(each.budgets), each.session, each.charged);
    }
    case "expire":
      return ledger.expire(callOf(each.call));
    case "release":
      return ledger.release(callOf(each.call));
    case "raise":
      return ledger.raise(each.budget, each.by);
    case "editMax":
      return ledger.edit(each.budget, { max: each.max });
    case "editKind":
      return ledger.edit(each.budget, { kind: each.kind });
    case "editThresholds":
      return ledger.edit(each.budget, { thresholds: each.thresholds });
    case "editSession":
      return ledger.edit(each.budget, { sessionLimit: each.limit });
    case "reset":
      return ledger.reset(each.budget);
    case "endPeriod":
      return ledger.endPeriod(each.budget);
    case "delete":
      return ledger.delete(each.budget);
    case "crash":
      return;
  }
}

it(`the invariants hold after each of ${HISTORIES} histories`, { timeout: 600_000 }, () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const ledger = model();
      const calls: string[] = [];
      for (const each of steps) apply(ledger, calls, each);
      expect(ledger.violations()).toEqual([]);
    }),
    { numRuns: HISTORIES },
  );
});

it("a hard budget whose limit nobody lowered is passed only by what calls were charged above their holds", () => {
  const untouched = step.filter(
    ({ do: what }) => !["editMax", "editKind", "editSession", "raise", "report", "reset", "endPeriod", "delete"].includes(what),
  );
  fc.assert(
    fc.property(fc.array(untouched, { maxLength: 40 }), (steps) => {
      const ledger = model();
      const calls: string[] = [];
      for (const each of steps) {
        // A provider that keeps to the bound.
        const held = each.do === "settle" ? ledger.calls.get(calls[each.call % Math.max(1, calls.length)] ?? "") : undefined;
        const amounts = held?.lines.map(({ amount }) => amount) ?? [];
        const most = amounts.reduce((least, amount) => (amount < least ? amount : least), amounts[0] ?? 0n);
        apply(ledger, calls, each.do === "settle" && each.charged > most ? { ...each, charged: most } : each);
      }
      for (const { kind, spent, reserved, limit, excess } of ledger.balances) {
        if (kind === 0 || kind === 3) expect({ over: spent + reserved > limit, excess }).toEqual({ over: false, excess: 0n });
      }
    }),
    { numRuns: Math.min(HISTORIES, 20_000) },
  );
});
