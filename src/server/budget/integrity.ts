import { z } from "zod";
import { assertAllowed } from "@/server/access";
import type { Ctx } from "@/server/context";
import { violationsOf } from "@/server/ledger";

export const Integrity = z
  .object({
    ok: z.boolean(),
    checkedAt: z.string().meta({ format: "date-time" }),
    violations: z.array(
      z.object({
        check: z.string().meta({ description: "Which invariant.", examples: ["limit", "reserved", "spent"] }),
        message: z.string().meta({ description: "What is wrong, with the figures in nanodollars." }),
      }),
    ),
  })
  .meta({ id: "Integrity" });
export type Integrity = z.infer<typeof Integrity>;

/** The ledger's invariants for this organisation, checked now (DESIGN §4). */
export async function checkIntegrity({ ctx }: { ctx: Ctx }): Promise<Integrity> {
  assertAllowed(ctx.principal, { key: ["read"], user: "admin" });
  const violations = await violationsOf(ctx.prisma, ctx.principal.orgId);
  return {
    ok: violations.length === 0,
    checkedAt: new Date(ctx.clock.now()).toISOString(),
    violations: violations.map(({ check, message }) => ({ check, message })),
  };
}
