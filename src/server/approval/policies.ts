import type { Prisma } from "@/generated/prisma/client";
import { parsePublicId, publicId } from "@/lib/ids";
import { z } from "zod";
import { assertAllowed } from "@/server/access";
import { recordChange } from "@/server/audit";
import { invalid, parsed } from "@/server/budget";
import { bumpConfigVersion } from "@/server/config-version";
import type { Ctx } from "@/server/context";
import { ApprovalPoliciesInput, ApprovalPolicyInput, type PolicyConditions } from "./input";
import { isMatch, type Subject } from "./policy-match";

/** What actions and calls need a person, in the order in which they are tried; the first that matches applies. */
export const ApprovalPolicies = z
  .object({ policies: z.array(ApprovalPolicyInput.extend({ id: z.string() })) })
  .meta({ id: "ApprovalPolicies" });
export type ApprovalPolicies = z.infer<typeof ApprovalPolicies>;

const SELECT = {
  id: true,
  name: true,
  enabled: true,
  conditions: true,
  approverIds: true,
  approvalsNeeded: true,
  fourEyes: true,
  remindAfterSeconds: true,
  escalateAfterSeconds: true,
} as const satisfies Prisma.ApprovalPolicySelect;
export type PolicyRow = Prisma.ApprovalPolicyGetPayload<{ select: typeof SELECT }>;

export async function getApprovalPolicies({ ctx }: { ctx: Ctx }): Promise<ApprovalPolicies> {
  assertAllowed(ctx.principal, { key: "session_only", user: "viewer" });
  return readPolicies(ctx.prisma, ctx.principal.orgId);
}

/** Replaces them all. Actions that are pending keep what was asked for when they were made. */
export async function setApprovalPolicies({ ctx, input }: { ctx: Ctx; input: ApprovalPoliciesInput }): Promise<ApprovalPolicies> {
  assertAllowed(ctx.principal, { key: "session_only", user: "admin" });
  const { policies } = parsed(ApprovalPoliciesInput, input);
  const { orgId } = ctx.principal;
  return ctx.prisma.$transaction(async (tx) => {
    await bumpConfigVersion(tx, orgId);
    const before = await readPolicies(tx, orgId);
    const approvers = await approverIdsOf(tx, { orgId, policies });
    await tx.approvalPolicy.deleteMany({ where: { orgId } });
    await tx.approvalPolicy.createMany({
      data: policies.map((policy, position) => ({ ...policy, approverIds: approvers[position]!, orgId, position })),
    });
    const after = await readPolicies(tx, orgId);
    await recordChange(tx, {
      ctx,
      action: "approval_policies.updated",
      resourceType: "approval_policies",
      resourceId: "all",
      before,
      after,
    });
    return after;
  });
}

/** The policy that applies; undefined: none. */
export async function findPolicy(
  tx: Prisma.TransactionClient,
  { orgId, subject }: { orgId: string; subject: Subject },
): Promise<PolicyRow | undefined> {
  const rows = await tx.approvalPolicy.findMany({ where: { orgId, enabled: true }, orderBy: { position: "asc" }, select: SELECT });
  return rows.find((row) => isMatch(row.conditions as PolicyConditions, subject));
}

async function readPolicies(tx: Prisma.TransactionClient, orgId: string): Promise<ApprovalPolicies> {
  const rows = await tx.approvalPolicy.findMany({ where: { orgId }, orderBy: { position: "asc" }, select: SELECT });
  return {
    policies: rows.map(({ conditions, approverIds, ...row }) => ({
      ...row,
      conditions: conditions as PolicyConditions,
      approverIds: approverIds.map((id) => publicId("user", id)),
    })),
  };
}

/** Bare ids of members; with fewer people than approvals that are needed, nothing could ever be approved. */
async function approverIdsOf(
  tx: Prisma.TransactionClient,
  { orgId, policies }: { orgId: string; policies: z.output<typeof ApprovalPoliciesInput>["policies"] },
): Promise<string[][]> {
  const members = new Set((await tx.membership.findMany({ where: { orgId }, select: { userId: true } })).map(({ userId }) => userId));
  return policies.map(({ approverIds, approvalsNeeded }, position) => {
    const ids = [...new Set(approverIds)].map((id) => {
      const bare = parsePublicId("user", id);
      if (bare !== undefined && members.has(bare)) return bare;
      throw invalid({ path: `policies.${position}.approverIds`, message: `${id} is no member of this organisation` });
    });
    if (ids.length > 0 && ids.length < approvalsNeeded) {
      throw invalid({ path: `policies.${position}.approverIds`, message: `must name at least ${approvalsNeeded} people` });
    }
    return ids;
  });
}
