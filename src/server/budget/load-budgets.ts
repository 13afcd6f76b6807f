import type { PrismaClient } from "@/generated/prisma/client";
import { ServiceError } from "@/lib/errors";
import type { Logger } from "@/lib/logger";
import type { BudgetBook } from "./budget-book";

export type LoadDependencies = { prisma: PrismaClient; budgetBook: BudgetBook; log: Pick<Logger, "warn"> };

/**
 * For callers that do not come with a version of their own, as calls through the gateway do: asks the database which one is in
 * force and makes the book know it. @returns the version that the book then holds.
 * @throws ServiceError `budget_unavailable`: not knowing is never "no budgets".
 */
export async function loadBudgets(orgId: string, { prisma, budgetBook, log }: LoadDependencies): Promise<bigint> {
  try {
    const { configVersion } = await prisma.organisation.findUniqueOrThrow({ where: { id: orgId }, select: { configVersion: true } });
    await budgetBook.ensureLoaded(orgId, configVersion);
    return budgetBook.versionOf(orgId) ?? configVersion;
  } catch (error) {
    log.warn({ err: error, orgId }, "budgets could not be read");
    throw new ServiceError("budget_unavailable", "Budgets cannot be checked right now; try again.", null, error);
  }
}
