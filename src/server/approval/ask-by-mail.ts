import type { Prisma } from "@/generated/prisma/client";
import { ID_PREFIX, publicId } from "@/lib/ids";
import { nanoToUsdString, nanoUsd } from "@/lib/money";
import { getBudget } from "@/server/budget";
import type { Ctx } from "@/server/context";
import { enqueueMail } from "@/server/notification";
import { approversOf, circleOf } from "./approvers";
import type { ApprovalDeps } from "./deps";
import { createLink } from "./links";
import type { ActionRow } from "./public-action";

/** Payload fields that are shown in a mail, as far as they are short texts or numbers. */
const FACTS_MAX = 8;
const FACT_LENGTH_MAX = 200;

/**
 * Writes a mail with a link and a code of its own to everybody who may decide, in the action's transaction. Whoever was asked before
 * gets a reminder with a new link; the older one stays good.
 */
export function createAskByMail({
  publicUrl,
  secret,
  clock,
}: {
  publicUrl: string;
  secret: string;
  clock: Ctx["clock"];
}): ApprovalDeps["ask"] {
  return async (tx, { row, reason }) => {
    const approvers = await approversOf(tx, await circleOf(tx, row));
    if (approvers.length === 0) return;
    const org = await tx.organisation.findUniqueOrThrow({ where: { id: row.orgId }, select: { name: true, linkLimitNano: true } });
    const facts = await factsOf(tx, { row, clock });
    for (const { userId, email } of approvers) {
      const { token, code } = await createLink(tx, { row, userId, secret });
      await enqueueMail(tx, {
        dedupeKey: `approval-request:${row.id}:${userId}:${reason}`,
        to: email,
        orgId: row.orgId,
        template: "approval-request",
        props: {
          orgName: org.name,
          title: titleOf(row),
          reason,
          facts,
          url: `${publicUrl}/approve/${token}`,
          code: row.requestedNano !== null && row.requestedNano <= org.linkLimitNano ? code : null,
          expiresAt: row.expiresAt,
        },
      });
    }
  };
}

const usd = (nano: bigint): string => `$${nanoToUsdString(nanoUsd(nano))}`;

/** One line: who wants what. */
export function titleOf({ agentId, actionType, requestedNano }: Pick<ActionRow, "agentId" | "actionType" | "requestedNano">): string {
  const agent = agentId.slice(0, 60);
  const amount = requestedNano === null ? "" : usd(requestedNano);
  if (actionType === "budget_increase") return `${agent} asks for ${amount} more`;
  if (actionType === "llm_call") return `${agent} wants to make a call${amount === "" ? "" : ` of up to ${amount}`}`;
  return `${agent} proposes ${actionType}${amount === "" ? "" : ` (${amount})`}`;
}

async function factsOf(tx: Prisma.TransactionClient, { row, clock }: { row: ActionRow; clock: Ctx["clock"] }): Promise<[string, string][]> {
  const facts: [string, string][] = [["Type", row.actionType]];
  if (row.requestedNano !== null) facts.push(["Amount", usd(row.requestedNano)]);
  if (row.budgetId !== null) facts.push(...(await budgetFacts(tx, { row, budgetId: row.budgetId, clock })));
  const payload = row.payload as Record<string, unknown>;
  for (const [name, value] of Object.entries(payload)) {
    if (facts.length >= FACTS_MAX) break;
    if (typeof value !== "string" && typeof value !== "number" && typeof value !== "boolean") continue;
    if (HIDDEN.has(name)) continue;
    facts.push([name.slice(0, 60), String(value).slice(0, FACT_LENGTH_MAX)]);
  }
  facts.push(...(await runFacts(tx, row)));
  return facts;
}

/** Said in words already, or of no use to a person. */
const HIDDEN: ReadonlySet<string> = new Set([
  "requestedAmountMicrodollars",
  "currentLimitMicrodollars",
  "estimatedCostMicrodollars",
  "bodyHash",
  "budgetId",
]);

async function budgetFacts(
  tx: Prisma.TransactionClient,
  { row, budgetId, clock }: { row: ActionRow; budgetId: string; clock: Ctx["clock"] },
): Promise<[string, string][]> {
  const system: Ctx = { prisma: tx as Ctx["prisma"], clock, principal: { type: "system", orgId: row.orgId }, ip: null };
  const budget = await getBudget({ ctx: system, budgetId: publicId("budget", budgetId) });
  const micros = (amount: number): bigint => BigInt(Math.round(amount * 1_000));
  const limit = micros(budget.currentLimitMicrodollars);
  const entity =
    budget.entityType === "org" ? "the organisation" : budget.entityId.replace(ID_PREFIX.key, "key ").replace(ID_PREFIX.user, "member ");
  return [
    ["Budget", `${budget.resetInterval === "none" ? "" : `${budget.resetInterval} `}budget of ${entity}`],
    ["Limit now", `${usd(limit)}, ${usd(micros(budget.spendMicrodollars))} spent`],
    ["Limit after", usd(limit + (row.requestedNano ?? 0n))],
  ];
}

/** What the run has cost so far. */
async function runFacts(tx: Prisma.TransactionClient, row: ActionRow): Promise<[string, string][]> {
  if (row.sessionId === null) return [];
  const session = await tx.costSession.findUnique({
    where: { orgId_sessionId: { orgId: row.orgId, sessionId: row.sessionId } },
    select: { calls: true, costNano: true },
  });
  return [
    ["Session", row.sessionId],
    ...(session ? [["So far", `${session.calls} calls, ${usd(session.costNano)}`] satisfies [string, string]] : []),
  ];
}
