import { z } from "zod";
import { createFreeze, CreateFreezeInput, liftFreeze, listFreezes, PublicFreeze } from "@/server/freeze";
import { queryBoolean, queryInteger } from "../parse-input";
import { created, ok, route } from "../route";
import { cursorParam, dataOf, pageOf } from "../schemas";

const tag = "Freezes";

export const freezeRoutes = [
  route({
    method: "GET",
    path: "/api/freezes",
    operationId: "listFreezes",
    tag,
    summary: "What is frozen, newest first",
    description: "A key that has `self` but not `read` sees what refuses its own calls.",
    access: { key: ["read", "self"], user: "viewer" },
    query: z.strictObject({
      limit: queryInteger({ min: 1, max: 100 }).default(50),
      cursor: cursorParam,
      includeLifted: queryBoolean().default(false),
    }),
    answers: [{ status: 200, description: "A page of freezes.", schema: pageOf(PublicFreeze) }],
    handle: async ({ ctx, query }) => ok(await listFreezes({ ctx, input: query })),
  }),
  route({
    method: "POST",
    path: "/api/freezes",
    operationId: "createFreeze",
    tag,
    summary: "Refuse every call of a key, a customer or the whole organisation",
    description: "In force on every process within a second, live streams included.",
    access: { key: ["manage"], user: "admin" },
    body: CreateFreezeInput,
    answers: [
      { status: 201, description: "The freeze.", schema: dataOf(PublicFreeze) },
      { status: 200, description: "It was frozen already; that freeze, unchanged.", schema: dataOf(PublicFreeze) },
    ],
    async handle({ ctx, body }) {
      const { freeze, created: isNew } = await createFreeze({ ctx, input: body });
      return (isNew ? created : ok)({ data: freeze });
    },
  }),
  route({
    method: "DELETE",
    path: "/api/freezes/{id}",
    operationId: "liftFreeze",
    tag,
    summary: "Let calls through again",
    description: "In force on every process within a second. Lifting it again changes nothing.",
    access: { key: ["manage"], user: "admin" },
    params: z.strictObject({ id: z.string().max(100) }),
    answers: [{ status: 200, description: "The freeze, lifted.", schema: dataOf(PublicFreeze) }],
    handle: async ({ ctx, params }) => ok({ data: await liftFreeze({ ctx, freezeId: params.id }) }),
  }),
];
