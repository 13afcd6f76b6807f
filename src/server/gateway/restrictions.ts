import type { KeyRestrictions } from "@/server/api-key/identity";
import { matchesModelPattern } from "@/server/model-pattern";
import { type Refusal, refusal } from "./refusal";

/** What of a call the key's restrictions are held against. */
export type RestrictedCall = {
  provider: string;
  /** Null for calls that name no model (files, model lists). */
  model: string | null;
  customerId: string | null;
  sessionId: string | null;
  tags: Readonly<Record<string, string>>;
};

/**
 * The key's restrictions ("mandates") against one call. An empty list denies everything; restrictions that could not be read deny
 * everything, too, since nobody can say what they allow.
 */
export function violatedRestriction(restrictions: KeyRestrictions | null, call: RestrictedCall): Refusal | undefined {
  if (restrictions === null) {
    return violation("restrictions", null, null, "the restrictions of this key cannot be read, so nothing is allowed; set them again");
  }
  const { allowedProviders, allowedModels, require } = restrictions;
  if (allowedProviders && !allowedProviders.includes(call.provider)) {
    return violation("allowed_providers", call.provider, allowedProviders, `this key may not call the provider ${call.provider}`);
  }
  if (allowedModels && call.model !== null && !allowedModels.some((pattern) => matchesModelPattern(pattern, call.model!))) {
    return violation("allowed_models", call.model, allowedModels, `this key may not call the model ${call.model.slice(0, 100)}`);
  }
  for (const requirement of require ?? []) {
    if (!isMet(requirement, call)) {
      return violation("require", requirement, require!, `this key's calls must name ${requirementInWords(requirement)}`);
    }
  }
  return undefined;
}

function violation(mandate: string, requested: string | null, allowed: readonly string[] | null, message: string): Refusal {
  return refusal("mandate_violation", `${message}.`, { mandate, requested, allowed });
}

function isMet(requirement: string, call: RestrictedCall): boolean {
  if (requirement === "customer") return call.customerId !== null;
  if (requirement === "session") return call.sessionId !== null;
  return requirement.startsWith("tag:") && Object.hasOwn(call.tags, requirement.slice(4));
}

function requirementInWords(requirement: string): string {
  if (requirement === "customer") return "a customer (X-NullSpend-Customer)";
  if (requirement === "session") return "a session (X-NullSpend-Session)";
  return `the tag "${requirement.slice(4)}" (X-NullSpend-Tags)`;
}
