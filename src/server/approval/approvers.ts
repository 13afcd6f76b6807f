import type { Prisma } from "@/generated/prisma/client";
import type { Role } from "@/generated/prisma/enums";
import { ServiceError } from "@/lib/errors";
import { hasRole } from "@/server/access";
import type { ActionRow } from "./public-action";

export type Approver = { userId: string; email: string; name: string | null; role: Role; isApprover: boolean };

/** Whom an action concerns: what its policy says, and whether owners and admins were called in since. */
export type Circle = {
  orgId: string;
  /** Bare user ids; empty: everybody who has the right. */
  approverIds: readonly string[];
  escalated: boolean;
  fourEyes: boolean;
  requesterId: string | null;
};

/** Owners, admins and members with the approver right (CONTRACT §10); never a key. */
const hasRight = ({ role, isApprover }: Pick<Approver, "role" | "isApprover">): boolean =>
  hasRole(role, "admin") || (isApprover && hasRole(role, "member"));

/** Undefined: this member may decide. Else why not, in words. */
export function whyNot(member: Pick<Approver, "userId" | "role" | "isApprover">, circle: Omit<Circle, "orgId">): string | undefined {
  if (!hasRight(member)) return "Owners, admins and members with the approver right decide approvals.";
  if (circle.fourEyes && member.userId === circle.requesterId) return "Somebody else has to decide what you or your key asked for.";
  if (circle.approverIds.length === 0 || circle.approverIds.includes(member.userId)) return undefined;
  return circle.escalated && hasRole(member.role, "admin") ? undefined : "The policy names other people to decide this.";
}

export async function circleOf(tx: Prisma.TransactionClient, row: ActionRow): Promise<Circle> {
  const policy =
    row.policyId === null
      ? null
      : await tx.approvalPolicy.findFirst({ where: { id: row.policyId, orgId: row.orgId }, select: { approverIds: true } });
  return {
    orgId: row.orgId,
    approverIds: policy?.approverIds ?? [],
    escalated: row.escalatedAt !== null,
    fourEyes: row.fourEyes,
    requesterId: row.requesterId,
  };
}

/** Everybody who may decide, as the database says now. */
export async function approversOf(tx: Prisma.TransactionClient, circle: Circle): Promise<Approver[]> {
  const members = await tx.membership.findMany({
    where: { orgId: circle.orgId, OR: [{ role: { in: ["owner", "admin"] } }, { isApprover: true }] },
    select: { userId: true, role: true, isApprover: true, user: { select: { email: true, name: true, emailVerified: true } } },
    orderBy: { createdAt: "asc" },
  });
  return members.flatMap(({ userId, role, isApprover, user }) =>
    user.email === null || whyNot({ userId, role, isApprover }, circle) !== undefined
      ? []
      : [{ userId, role, isApprover, email: user.email, name: user.name }],
  );
}

/** @throws ServiceError `forbidden` with the reason, for a person who is no approver of this action. */
export async function assertMayDecide(tx: Prisma.TransactionClient, { row, userId }: { row: ActionRow; userId: string }): Promise<void> {
  const member = await tx.membership.findUnique({
    where: { orgId_userId: { orgId: row.orgId, userId } },
    select: { role: true, isApprover: true },
  });
  const reason = member ? whyNot({ userId, ...member }, await circleOf(tx, row)) : "You are not a member of this organisation.";
  if (reason !== undefined) throw new ServiceError("forbidden", reason);
}
