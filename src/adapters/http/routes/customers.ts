import { z } from "zod";
import { CustomerId, updateCustomer, UpgradeUrlInput } from "@/server/org";
import { ok, route } from "../route";
import { dataOf } from "../schemas";

const Customer = z
  .object({
    id: z.string(),
    upgradeUrl: z
      .string()
      .nullable()
      .meta({ description: "Where denials send this customer instead of to the organisation's address; `{customer_id}` is replaced." }),
  })
  .meta({ id: "Customer" });

export const customerRoutes = [
  route({
    method: "PATCH",
    path: "/api/customers/{id}",
    operationId: "updateCustomer",
    tag: "Organisations",
    summary: "Set where denials send one customer who wants to buy more",
    description: "Session only; needs the role owner. Null: the organisation's address again. The customer need not have called before.",
    access: { key: "session_only", user: "owner" },
    params: z.strictObject({ id: CustomerId }),
    body: UpgradeUrlInput,
    answers: [{ status: 200, description: "The customer.", schema: dataOf(Customer) }],
    async handle({ ctx, deps, params, body }) {
      return ok({ data: await updateCustomer({ ctx, input: { id: params.id, ...body }, deps: deps.orgs }) });
    },
  }),
];
