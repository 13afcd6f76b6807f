import { ServiceError } from "@/lib/errors";
import { parseStoredRestrictions, type KeyRestrictions } from "@/server/api-key";
import type { BudgetedCall } from "@/server/budget";
import type { Ctx } from "@/server/context";
import { attribute, parseTags } from "@/server/events";
import { violatedRestriction } from "@/server/gateway/restrictions";

/** Tools count as a provider of their own, so that budgets can be limited to them or leave them out. */
export const MCP_PROVIDER = "mcp";

/** The key that calls tools, with what its restrictions say now. */
export type ToolCaller = {
  orgId: string;
  keyId: string;
  keyName: string;
  userId: string;
  restrictions: KeyRestrictions;
};

export async function getToolCaller({ prisma, principal }: Pick<Ctx, "prisma" | "principal">): Promise<ToolCaller> {
  if (principal.type !== "api_key") throw new ServiceError("forbidden", "This needs an API key.");
  const { orgId, keyId, userId } = principal;
  const row = await prisma.apiKey.findFirst({
    where: { id: keyId, orgId },
    select: { name: true, restrictions: true },
  });
  if (!row) throw new ServiceError("unauthorized", "This key is not known.");
  const restrictions = parseStoredRestrictions(row.restrictions);
  if (restrictions === null) {
    throw new ServiceError("mandate_violation", "The restrictions of this key cannot be read, so it is denied.", {
      mandate: "restrictions",
      requested: null,
      allowed: null,
    });
  }
  return { orgId, keyId, keyName: row.name, userId, restrictions };
}

export type ToolCall = {
  serverName: string;
  toolName: string;
  sessionId?: string | undefined;
  customerId?: string | undefined;
  tags?: Record<string, unknown> | undefined;
};

/** What a tool's call counts against: the key's locked values win over what the call says, as they do for models. */
export function budgetedCallOf(caller: ToolCaller, call: ToolCall): BudgetedCall {
  const { tags, customerId } = attribute({
    tags: parseTags(call.tags).tags,
    customerId: call.customerId,
    restrictions: caller.restrictions,
  });
  return { userId: caller.userId, apiKeyId: caller.keyId, customerId, tags, provider: MCP_PROVIDER, model: modelOf(call) };
}

export const modelOf = ({ serverName, toolName }: ToolCall): string => `${serverName}/${toolName}`;

/** Lists of models and providers are about models: a tool is neither. What calls must name, tools' calls must name too. */
export function assertNamesWhatIsRequired(caller: ToolCaller, call: BudgetedCall, sessionId: string | null): void {
  const { allowedModels: _models, allowedProviders: _providers, ...restrictions } = caller.restrictions;
  const violated = violatedRestriction(restrictions, { ...call, sessionId });
  if (violated) throw new ServiceError("mandate_violation", violated.message.replace(/^NullSpend: /, ""), violated.details);
}
