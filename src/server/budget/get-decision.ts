import { z } from "zod";
import { ServiceError } from "@/lib/errors";
import { parsePublicId, publicId } from "@/lib/ids";
import { assertAllowed } from "@/server/access";
import type { Ctx } from "@/server/context";
import { DecisionSnapshot } from "./decision-snapshot";

export const PublicDecision = DecisionSnapshot.extend({
  id: z.string().meta({ examples: ["ns_dec_0190b3c4-5d6e-7f80-9a1b-2c3d4e5f6071"] }),
  eventId: z.string(),
  createdAt: z.string().meta({ format: "date-time" }),
}).meta({ id: "Decision" });
export type PublicDecision = z.infer<typeof PublicDecision>;

/** Explains a denial. A key with `self` but not `read` is told about its own calls alone. */
export async function getDecision({ ctx, decisionId }: { ctx: Ctx; decisionId: string }): Promise<PublicDecision> {
  assertAllowed(ctx.principal, { key: ["read", "self"], user: "viewer" });
  const id = parsePublicId("decision", decisionId);
  const row = id === undefined ? null : await ctx.prisma.budgetDecision.findFirst({ where: { id, orgId: ctx.principal.orgId } });
  if (!row) throw notFound();
  const snapshot = DecisionSnapshot.parse(row.snapshot);
  if (!isTheirs(ctx, snapshot)) throw notFound();
  return {
    ...snapshot,
    id: publicId("decision", row.id),
    eventId: publicId("event", row.eventId),
    createdAt: row.createdAt.toISOString(),
  };
}

/** What may not be seen is as absent as what never was. */
function isTheirs({ principal }: Ctx, { apiKeyId }: DecisionSnapshot): boolean {
  if (principal.type !== "api_key" || principal.scopes.has("read")) return true;
  return apiKeyId === publicId("key", principal.keyId);
}

const notFound = (): ServiceError => new ServiceError("not_found", "There is no such decision.");
