/** Which budgets a call counts against. Pure. */

export type BudgetEntityType = "org" | "user" | "api_key" | "tag" | "customer";

/** The part of a budget that decides what it applies to. */
export type BudgetScope = {
  entityType: BudgetEntityType;
  /** `org`: the word `org`; `user`, `api_key`: bare UUID; `tag`: `key=value`; `customer`: the id. */
  entityId: string;
  /** Patterns with `*` over the model's name; empty: every model. */
  models: readonly string[];
  /** Empty: every provider. */
  providers: readonly string[];
};

/** What of a call budgets are matched by. */
export type BudgetedCall = {
  userId: string | null;
  apiKeyId: string | null;
  customerId: string | null;
  tags: Readonly<Record<string, string>>;
  provider: string;
  model: string | null;
};

/** @param matchesModel the one matcher of model patterns, so that budgets and restrictions read patterns alike. */
export function isBudgetApplicable(
  scope: BudgetScope,
  call: BudgetedCall,
  matchesModel: (pattern: string, model: string) => boolean,
): boolean {
  if (!isEntity(scope, call)) return false;
  if (scope.providers.length > 0 && !scope.providers.includes(call.provider)) return false;
  // A call that names no model could be served by any: a budget on some models must not be dodged by leaving it out.
  return scope.models.length === 0 || call.model === null || scope.models.some((pattern) => matchesModel(pattern, call.model!));
}

function isEntity({ entityType, entityId }: BudgetScope, call: BudgetedCall): boolean {
  switch (entityType) {
    case "org":
      return true;
    case "user":
      return call.userId === entityId;
    case "api_key":
      return call.apiKeyId === entityId;
    case "customer":
      return call.customerId === entityId;
    case "tag": {
      const separator = entityId.indexOf("=");
      const key = entityId.slice(0, separator);
      return Object.hasOwn(call.tags, key) && call.tags[key] === entityId.slice(separator + 1);
    }
  }
}
