import { ServiceError } from "@/lib/errors";
import { publicId } from "@/lib/ids";
import { recordChange } from "@/server/audit";
import type { Ctx } from "@/server/context";
import { assertAllowed, bumpConfigVersion } from "@/server/org";
import { DeletePriceInput, parseInput } from "./input";
import { OVERRIDE_SELECT } from "./override";
import { auditOfPrice, databaseNow } from "./put-override";
import { toOverrideRecord } from "./record";

/**
 * Takes back an organisation's own price for a model, with those that were to follow: calls that start from now on are priced at
 * list. Calls that started before keep theirs.
 */
export async function deletePriceOverride({ ctx, input }: { ctx: Ctx; input: DeletePriceInput }): Promise<void> {
  assertAllowed(ctx.principal, { key: ["manage"], user: "admin" });
  const { provider, model } = parseInput(DeletePriceInput, input);
  const { orgId } = ctx.principal;

  await ctx.prisma.$transaction(async (tx) => {
    await bumpConfigVersion(tx, orgId);
    const where = { orgId, provider, model, withdrawnAt: null };
    const [latest] = await tx.price.findMany({
      where,
      orderBy: [{ createdAt: "desc" }, { id: "desc" }],
      take: 1,
      select: OVERRIDE_SELECT,
    });
    if (!latest) throw new ServiceError("not_found", `There is no price of your own for ${provider}/${model}.`);
    await tx.price.updateMany({ where, data: { withdrawnAt: await databaseNow(tx) } });
    const before = toOverrideRecord(latest);
    await recordChange(tx, {
      ctx,
      action: "price.withdrawn",
      resourceType: "price",
      resourceId: publicId("price", latest.id),
      before: before && auditOfPrice(before),
      after: null,
    });
  });
}
