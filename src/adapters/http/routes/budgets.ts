import { z } from "zod";
import {
  budgetSources,
  BudgetSources,
  budgetStatus,
  BudgetStatus,
  createBudget,
  CreateBudgetInput,
  deleteBudget,
  getBudget,
  listBudgets,
  ListBudgetsInput,
  PublicBudget,
  resetBudget,
  updateBudget,
  UpdateBudgetInput,
} from "@/server/budget";
import { integersIn } from "../parse-input";
import { created, ok, route } from "../route";
import { dataOf, idOf, pageOf, timestamp } from "../schemas";

const tag = "Budgets";
const READ = { key: ["read", "self"], user: "viewer" } as const;
const CHANGE = { key: ["manage"], user: "admin" } as const;
const params = z.strictObject({
  id: z
    .string()
    .max(100)
    .meta({ examples: ["ns_bgt_0190b3c4-5d6e-7f80-9a1b-2c3d4e5f6071"] }),
});
const OWN = "A key that has `self` but not `read` sees the budgets that concern it.";
const NOT_ITSELF = "No key changes its own budgets.";

export const budgetRoutes = [
  route({
    method: "GET",
    path: "/api/budgets",
    operationId: "listBudgets",
    tag,
    summary: "List budgets with what is spent, held and left",
    description: OWN,
    access: READ,
    gatherQuery: (query) => integersIn(query, "limit"),
    query: ListBudgetsInput,
    answers: [{ status: 200, description: "A page of budgets.", schema: pageOf(PublicBudget) }],
    handle: async ({ ctx, query }) => ok(await listBudgets({ ctx, input: query })),
  }),
  route({
    method: "POST",
    path: "/api/budgets",
    operationId: "createBudget",
    tag,
    summary: "Make a budget, or change the one of the same entity, filters and interval",
    description: `Where there is one, only what is sent changes. In force on every process within a second. ${NOT_ITSELF}`,
    access: CHANGE,
    body: CreateBudgetInput,
    answers: [
      { status: 201, description: "The new budget.", schema: dataOf(PublicBudget) },
      { status: 200, description: "The budget that was there, changed.", schema: dataOf(PublicBudget) },
    ],
    async handle({ ctx, body }) {
      const { budget, created: isNew } = await createBudget({ ctx, input: body });
      return (isNew ? created : ok)({ data: budget });
    },
  }),
  route({
    method: "GET",
    path: "/api/budgets/status",
    operationId: "getBudgetStatus",
    tag,
    summary: "What applies to this key",
    access: { key: ["self", "read"], user: "key_only" },
    answers: [
      {
        status: 200,
        description: "Budgets of the organisation, the key's owner, the key, and the tags and customer it brings.",
        schema: BudgetStatus,
      },
    ],
    handle: async ({ ctx }) => ok(await budgetStatus({ ctx })),
  }),
  route({
    method: "GET",
    path: "/api/budgets/{id}",
    operationId: "getBudget",
    tag,
    summary: "Get a budget",
    description: OWN,
    access: READ,
    params,
    answers: [{ status: 200, description: "The budget.", schema: dataOf(PublicBudget) }],
    handle: async ({ ctx, params: { id } }) => ok({ data: await getBudget({ ctx, budgetId: id }) }),
  }),
  route({
    method: "PATCH",
    path: "/api/budgets/{id}",
    operationId: "updateBudget",
    tag,
    summary: "Change a budget",
    description:
      "Only what is sent changes. A limit below what is spent is taken: nothing more is admitted. The running period keeps what it " +
      `counted; a new interval, zone or anchor lets it end where the new calendar says. ${NOT_ITSELF}`,
    access: CHANGE,
    params,
    body: UpdateBudgetInput,
    answers: [{ status: 200, description: "The budget.", schema: dataOf(PublicBudget) }],
    handle: async ({ ctx, params: { id }, body }) => ok({ data: await updateBudget({ ctx, budgetId: id, input: body }) }),
  }),
  route({
    method: "DELETE",
    path: "/api/budgets/{id}",
    operationId: "deleteBudget",
    tag,
    summary: "End a budget",
    description: `Calls in flight still settle into it. ${NOT_ITSELF}`,
    access: CHANGE,
    params,
    answers: [{ status: 200, description: "When it ended.", schema: dataOf(z.object({ id: idOf("budget"), deletedAt: timestamp })) }],
    handle: async ({ ctx, params: { id } }) => ok({ data: await deleteBudget({ ctx, budgetId: id }) }),
  }),
  route({
    method: "POST",
    path: "/api/budgets/{id}/reset",
    operationId: "resetBudget",
    tag,
    summary: "Begin a new period now",
    description: `Calls in flight settle into the period in which they were admitted. ${NOT_ITSELF}`,
    access: CHANGE,
    params,
    body: z.strictObject({}),
    bodyOptional: true,
    answers: [{ status: 200, description: "The budget in its new period.", schema: dataOf(PublicBudget) }],
    handle: async ({ ctx, params: { id } }) => ok({ data: await resetBudget({ ctx, budgetId: id }) }),
  }),
  route({
    method: "GET",
    path: "/api/budgets/{id}/sources",
    operationId: "getBudgetSources",
    tag,
    summary: "Where the last 30 days' spend of a budget came from",
    description: OWN,
    access: READ,
    params,
    answers: [{ status: 200, description: "Sums by source.", schema: dataOf(BudgetSources) }],
    handle: async ({ ctx, params: { id } }) => ok({ data: await budgetSources({ ctx, budgetId: id }) }),
  }),
];
