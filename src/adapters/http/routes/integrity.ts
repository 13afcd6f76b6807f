import { checkIntegrity, Integrity } from "@/server/budget";
import { ok, route } from "../route";
import { dataOf } from "../schemas";

export const integrityRoutes = [
  route({
    method: "GET",
    path: "/api/integrity",
    operationId: "checkIntegrity",
    tag: "Budgets",
    summary: "The ledger's invariants of this organisation, checked now",
    description: "Sums over all of the organisation's balances, holds and charged events: for alarms and audits, not for every second.",
    access: { key: ["read"], user: "admin" },
    answers: [{ status: 200, description: "Each invariant, and what breaks it.", schema: dataOf(Integrity) }],
    handle: async ({ ctx }) => ok({ data: await checkIntegrity({ ctx }) }),
  }),
];
