import { getTrace, GetTraceInput, listTraces, ListTracesInput, TraceDetail, TraceRow } from "@/server/events";
import { integersIn } from "../parse-input";
import { ok, route } from "../route";
import { dataOf, pageOf } from "../schemas";

const tag = "Traces";
const READ = { key: ["read"], user: "viewer" } as const;

export const traceRoutes = [
  route({
    method: "GET",
    path: "/api/traces",
    operationId: "listTraces",
    tag,
    summary: "List traces; the one active last first",
    description: "A page may hold fewer than `limit` and still have a `cursor`.",
    access: READ,
    gatherQuery: (query) => integersIn(query, "limit"),
    query: ListTracesInput,
    answers: [{ status: 200, description: "A page of traces.", schema: pageOf(TraceRow) }],
    handle: async ({ ctx, query }) => ok(await listTraces({ ctx, input: query })),
  }),
  route({
    method: "GET",
    path: "/api/traces/{traceId}",
    operationId: "getTrace",
    tag,
    summary: "A trace as a tree of its calls",
    access: READ,
    params: GetTraceInput,
    answers: [{ status: 200, description: "The trace.", schema: dataOf(TraceDetail) }],
    handle: async ({ ctx, params }) => ok({ data: await getTrace({ ctx, input: params }) }),
  }),
];
