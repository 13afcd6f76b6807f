import { ServiceError } from "@/lib/errors";
import type { CostEventRecord } from "@/server/events";
import type { Ledger, Settlement } from "@/server/ledger";
import { loadBudgets, type LoadDependencies } from "./load-budgets";

export type ReportedCharges = LoadDependencies & { ledger: Pick<Ledger, "balancesOf"> };

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
  const { budgetBook, ledger } = dependencies;
  if (!budgetBook.hasLimits(orgId)) return events.map(() => undefined);
  const configVersion = budgetBook.versionOf(orgId)!;
  try {
    return await Promise.all(
      events.map(async (event) => {
        const budgets = budgetBook.applicable(orgId, event);
        if (budgets.length === 0) return undefined;
        return { held: false as const, balanceIds: await ledger.balancesOf(budgets, event.sessionId, configVersion) };
      }),
    );
  } catch (error) {
    throw new ServiceError("budget_unavailable", "Budgets cannot be charged right now, so nothing was recorded; try again.", null, error);
  }
}
