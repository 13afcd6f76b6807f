import { z } from "zod";
import { getDecision, PublicDecision } from "@/server/budget";
import { ok, route } from "../route";
import { dataOf } from "../schemas";

export const decisionRoutes = [
  route({
    method: "GET",
    path: "/api/decisions/{id}",
    operationId: "getDecision",
    tag: "Budgets",
    summary: "Why a call was denied",
    description:
      "Every budget that applied, with what was spent and held (by which calls), the estimate and how it was made, and what would have " +
      "passed. A key that has `self` but not `read` is told about its own calls.",
    access: { key: ["read", "self"], user: "viewer" },
    params: z.strictObject({ id: z.string().max(100).meta({ description: "`decision_id` of the denial." }) }),
    answers: [{ status: 200, description: "The decision, as it stood at that moment.", schema: dataOf(PublicDecision) }],
    handle: async ({ ctx, params }) => ok({ data: await getDecision({ ctx, decisionId: params.id }) }),
  }),
];
