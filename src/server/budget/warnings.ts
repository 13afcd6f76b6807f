import type { Prisma } from "@/generated/prisma/client";
import { parseStoredRestrictions, type KeyRestrictions } from "@/server/api-key";
import type { BudgetRow } from "./read-budgets";

/** A key that calls models, as far as it decides what its calls count toward. Unreadable restrictions deny every call. */
export type CallingKey = { id: string; userId: string; restrictions: KeyRestrictions };

/**
 * How calls could avoid a budget (DESIGN §4): who names tags, customer and session in a header may leave them out or name others.
 * Words for a person, because the remedy is a person's choice: a backend that names a customer for each call cannot lock one.
 */
export function warningsOf(budget: Pick<BudgetRow, "entityType" | "entityId" | "sessionLimitNano">, keys: readonly CallingKey[]): string[] {
  return [...entityWarnings(budget, keys), ...sessionWarnings(budget, keys)];
}

function entityWarnings({ entityType, entityId }: Pick<BudgetRow, "entityType" | "entityId">, keys: readonly CallingKey[]): string[] {
  if (entityType === "tag") {
    const name = entityId.slice(0, entityId.indexOf("="));
    const loose = keys.filter(({ restrictions }) => !Object.hasOwn(restrictions.lockedTags ?? {}, name));
    return dodges({
      loose,
      all: keys,
      isRequired: ({ restrictions }) => restrictions.require?.includes(`tag:${name}`) === true,
      what: `the tag "${name}"`,
      remedy: `lock it with lockedTags, or require it with "tag:${name}"`,
    });
  }
  if (entityType === "customer") {
    const loose = keys.filter(({ restrictions }) => restrictions.lockedCustomer === undefined);
    return dodges({
      loose,
      all: keys,
      isRequired: ({ restrictions }) => restrictions.require?.includes("customer") === true,
      what: "a customer",
      remedy: `lock it with lockedCustomer, or require it with "customer"`,
    });
  }
  return [];
}

type Dodge = {
  /** Keys that do not lock the value. */
  loose: readonly CallingKey[];
  all: readonly CallingKey[];
  isRequired: (key: CallingKey) => boolean;
  what: string;
  remedy: string;
};

function dodges({ loose, all, isRequired, what, remedy }: Dodge): string[] {
  const omitting = loose.filter((key) => !isRequired(key)).length;
  const naming = loose.length - omitting;
  const warnings: string[] = [];
  if (omitting > 0) {
    warnings.push(`Calls of ${share(omitting, all.length)} can leave out ${what} and then do not count here: ${remedy} on the key.`);
  }
  if (naming > 0)
    warnings.push(`Calls of ${share(naming, all.length)} must name ${what}, but may name another one: only locking it closes that.`);
  return warnings;
}

function sessionWarnings(
  { entityType, entityId, sessionLimitNano }: Pick<BudgetRow, "entityType" | "entityId" | "sessionLimitNano">,
  keys: readonly CallingKey[],
): string[] {
  if (sessionLimitNano === null) return [];
  const concerned = keys.filter((key) => isConcerned(key, entityType, entityId));
  const loose = concerned.filter(({ restrictions }) => restrictions.require?.includes("session") !== true).length;
  if (loose === 0) return [];
  return [
    `Calls of ${share(loose, concerned.length)} can leave out the session and then have no session limit: require it with "session" on the key.`,
  ];
}

function isConcerned(key: CallingKey, entityType: BudgetRow["entityType"], entityId: string): boolean {
  if (entityType === "api_key") return key.id === entityId;
  return entityType === "user" ? key.userId === entityId : true;
}

const share = (some: number, all: number): string => (some === all ? `all ${all} keys` : `${some} of ${all} keys`);

/** Only asked for where a budget can be avoided at all. */
export async function readCallingKeys(tx: Prisma.TransactionClient, orgId: string): Promise<CallingKey[]> {
  const rows = await tx.apiKey.findMany({
    where: { orgId, revokedAt: null, scopes: { has: "proxy" } },
    select: { id: true, userId: true, restrictions: true },
  });
  return rows.flatMap(({ restrictions, ...key }) => {
    const read = parseStoredRestrictions(restrictions);
    return read === null ? [] : [{ ...key, restrictions: read }];
  });
}

export const canBeAvoided = ({ entityType, sessionLimitNano }: Pick<BudgetRow, "entityType" | "sessionLimitNano">): boolean =>
  entityType === "tag" || entityType === "customer" || sessionLimitNano !== null;
