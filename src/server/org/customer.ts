import { assertAllowed } from "@/server/access";
import { recordChange } from "@/server/audit";
import type { Ctx } from "@/server/context";
import type { OrgDeps } from "./deps";
import type { UpdateCustomerInput } from "./input";
import { lockOrganisation } from "./locked-org";

export type CustomerRecord = { id: string; upgradeUrl: string | null };

/**
 * Sets where denials of one customer point, instead of the organisation's address. A customer need not have been seen before: the
 * address can be there before the first call. In force on every process within a second.
 */
export async function updateCustomer({
  ctx,
  input: { id, upgradeUrl },
  deps,
}: {
  ctx: Ctx;
  input: UpdateCustomerInput;
  deps: Pick<OrgDeps, "publish">;
}): Promise<CustomerRecord> {
  assertAllowed(ctx.principal, { key: "session_only", user: "owner" });
  const { orgId } = ctx.principal;
  const customer = await ctx.prisma.$transaction(async (tx) => {
    await lockOrganisation(tx, ctx, "owner");
    const where = { orgId_id: { orgId, id } };
    const before = await tx.customer.findUnique({ where, select: { upgradeUrl: true } });
    const after = await tx.customer.upsert({
      where,
      create: { orgId, id, upgradeUrl },
      update: { upgradeUrl },
      select: { id: true, upgradeUrl: true },
    });
    await recordChange(tx, {
      ctx,
      action: "customer.updated",
      resourceType: "customer",
      resourceId: id,
      before: { upgradeUrl: before?.upgradeUrl ?? null },
      after: { upgradeUrl: after.upgradeUrl },
    });
    return after;
  });
  deps.publish({ type: "config.changed", orgId, area: "settings" });
  return customer;
}
