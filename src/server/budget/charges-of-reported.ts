import { ServiceError } from "@/lib/errors";
import type { CostEventRecord } from "@/server/events";
import type { Ledger, Settlement } from "@/server/ledger";
import type { BudgetBook } from "./budget-book";
import { loadBudgets, type LoadDependencies } from "./load-budgets";

export type ReportedCharges = LoadDependencies & ChargeDependencies;
type ChargeDependencies = { budgetBook: BudgetBook; ledger: Pick<Ledger, "balancesOf"> };

/**
 * What one cost that nothing was held for counts against: an organisation's budgets as they are held in memory, in their periods of
 * now. Undefined where none applies.
 * @throws LedgerError where the database does not answer.
 */
export async function chargesAfterTheFact(
  event: CostEventRecord,
  { budgetBook, ledger }: ChargeDependencies,
): Promise<Settlement["budgets"]> {
  const budgets = budgetBook.applicable(event.orgId, event);
  if (budgets.length === 0) return undefined;
  const configVersion = budgetBook.versionOf(event.orgId)!;
  return { held: false, balanceIds: await ledger.balancesOf(budgets, event.sessionId, configVersion) };
}

/**
 * What budgets a cost counts against that was told to us after the fact, with no hold before it. Nothing can be denied any more: it
 * is added to what is spent, past the limit if need be, and the ledger notes that as an excess of its own reason.
 *
 * @returns for each event, in their order, what its settlement says of budgets; undefined where none applies.
 * @throws ServiceError `budget_unavailable`: a cost that is not charged would be missing from its budgets for good.
 */
export async function chargesOfReported(
  orgId: string,
  events: readonly CostEventRecord[],
  dependencies: ReportedCharges,
): Promise<Settlement["budgets"][]> {
  await loadBudgets(orgId, dependencies);
  if (!dependencies.budgetBook.hasLimits(orgId)) return events.map(() => undefined);
  try {
    return await Promise.all(events.map((event) => chargesAfterTheFact(event, dependencies)));
  } catch (error) {
    throw new ServiceError("budget_unavailable", "Budgets cannot be charged right now, so nothing was recorded; try again.", null, error);
  }
}
