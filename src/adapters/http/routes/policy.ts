import { getPolicy, Policy } from "@/server/budget";
import { ok, route } from "../route";

const policyRoute = (path: "/api/policy" | "/v1/policy", operationId: string) =>
  route({
    method: "GET",
    path,
    operationId,
    tag: "Budgets",
    summary: "What this key may do, and how much it may still spend",
    description: "Only what applies to the key that asks. `/v1/policy` is the same, for clients that know the gateway alone.",
    access: { key: ["self", "read"], user: "key_only" },
    answers: [{ status: 200, description: "The key's policy.", schema: Policy }],
    handle: async ({ ctx, deps }) => ok(await getPolicy({ ctx, list: deps.listPriceBook })),
  });

export const policyRoutes = [policyRoute("/api/policy", "getPolicy"), policyRoute("/v1/policy", "getGatewayPolicy")];
