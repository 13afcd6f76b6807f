import { microdollarsToNano } from "@/lib/money";
import { matchesModelPattern } from "@/server/model-pattern";
import type { PolicyConditions } from "./input";

/** What a policy is asked about: a proposed action, or a call of a model that is about to be made. */
export type Subject = {
  actionType: string;
  model: string | null;
  /** Nanodollars: what is asked for, or the most the call may cost; null: unknown, which counts as above every amount. */
  amountNano: bigint | null;
  tags: Readonly<Record<string, string>>;
};

/**
 * Whether all conditions of a policy hold. One that names no action types is for proposed actions alone: calls of models need a
 * person only where somebody has said so.
 */
export function isMatch(conditions: PolicyConditions, subject: Subject): boolean {
  const { actionTypes, models, amountAboveMicrodollars, tag } = conditions;
  const namesCalls = actionTypes?.includes("llm_call") ?? models !== undefined;
  if (subject.actionType === "llm_call" ? !namesCalls : actionTypes !== undefined && !actionTypes.includes(subject.actionType))
    return false;
  const { model, amountNano } = subject;
  if (models !== undefined && (model === null || !models.some((pattern) => matchesModelPattern(pattern, model)))) return false;
  if (amountAboveMicrodollars !== undefined && amountNano !== null && amountNano <= (microdollarsToNano(amountAboveMicrodollars) ?? 0n)) {
    return false;
  }
  if (tag !== undefined) {
    const value = subject.tags[tag.key];
    if (value === undefined || (tag.value !== undefined && tag.value !== value)) return false;
  }
  return true;
}
