import { z } from "zod";
import { assertAllowed } from "@/server/access";
import type { Ctx } from "@/server/context";
import { violationsOf, type Violation } from "@/server/ledger";

/** Every invariant by name, in the order in which they are shown. */
const CHECKS = {
  limit: "No hard limit is passed by more than its excess, which says why.",
  reserved: "What a balance holds is the sum of its reservations.",
  spent: "What a balance has spent is the sum of the events that were charged to it.",
  resolved_once: "No call is both settled and held.",
  expired: "No hold has outlived its lease unsettled.",
} as const satisfies Record<Violation["check"], string>;
const NAMES = Object.keys(CHECKS) as (keyof typeof CHECKS)[];

export const Integrity = z
  .object({
    ok: z.boolean().meta({ description: "Every check is." }),
    checkedAt: z.string().meta({ format: "date-time" }),
    checks: z.array(
      z.object({
        name: z.enum(NAMES).meta({ description: NAMES.map((name) => `\`${name}\`: ${CHECKS[name]}`).join(" ") }),
        ok: z.boolean(),
        violations: z.array(z.string()).meta({ description: "What is wrong, with the figures in nanodollars." }),
      }),
    ),
  })
  .meta({ id: "Integrity" });
export type Integrity = z.infer<typeof Integrity>;

/** The ledger's invariants for this organisation, checked now (DESIGN §4). Those that hold are named too: it is seen what was asked. */
export async function checkIntegrity({ ctx }: { ctx: Ctx }): Promise<Integrity> {
  assertAllowed(ctx.principal, { key: ["read"], user: "admin" });
  const found = await violationsOf(ctx.prisma, ctx.principal.orgId);
  const checks = NAMES.map((name) => {
    const violations = found.filter(({ check }) => check === name).map(({ message }) => message);
    return { name, ok: violations.length === 0, violations };
  });
  return { ok: found.length === 0, checkedAt: new Date(ctx.clock.now()).toISOString(), checks };
}
