import { z } from "zod";
import { chargesOfReported } from "@/server/budget";
import {
  AttributionDetailInput,
  AttributionDetailReport,
  AttributionInput,
  AttributionReport,
  CostEventFilter,
  type CostEventRecord,
  CostSummary,
  CostSummaryInput,
  exportCostEvents,
  getAttribution,
  getAttributionDetail,
  getCostEvent,
  GetCostEventInput,
  getCostSummary,
  getSession,
  GetSessionInput,
  listCostEvents,
  ListCostEventsInput,
  listSessions,
  ListSessionsInput,
  listTagKeys,
  PublicCostEvent,
  reportCostEvent,
  ReportCostEventInput,
  reportCostEvents,
  ReportCostEventsInput,
  ReportedCostEvent,
  ReportedCostEvents,
  SessionDetail,
  SessionRow,
  TagKeys,
} from "@/server/events";
import type { RestDeps } from "../deps";
import { decimalsIn, gatherTags, integersIn } from "../parse-input";
import { created, ok, route } from "../route";
import { dataOf, pageOf } from "../schemas";

const tag = "Cost events";
const READ = { key: ["read"], user: "viewer" } as const;
const READ_OWN = { key: ["read", "self"], user: "viewer" } as const;
const REPORT = { key: ["ingest"], user: "member" } as const;
const OWN = "A key that has `self` but not `read` sees its own events alone.";

const { value: detailValue, ...detailQuery } = AttributionDetailInput.shape;

const costsIn = (query: Readonly<Record<string, unknown>>) => decimalsIn(query, "minCostMicrodollars", "maxCostMicrodollars");

export const costEventRoutes = [
  route({
    method: "GET",
    path: "/api/cost-events",
    operationId: "listCostEvents",
    tag,
    summary: "List calls and their costs, newest first",
    description: OWN,
    access: READ_OWN,
    gatherQuery: (query) => gatherTags(costsIn(integersIn(query, "limit"))),
    query: ListCostEventsInput,
    answers: [{ status: 200, description: "A page of cost events.", schema: pageOf(PublicCostEvent) }],
    handle: async ({ ctx, query }) => ok(await listCostEvents({ ctx, input: query })),
  }),
  route({
    method: "POST",
    path: "/api/cost-events",
    operationId: "reportCostEvent",
    tag,
    summary: "Report a cost that did not come through the gateway",
    access: REPORT,
    body: ReportCostEventInput,
    answers: [
      { status: 201, description: "It is recorded.", schema: dataOf(ReportedCostEvent) },
      { status: 200, description: "It had been reported before and is not counted again.", schema: dataOf(ReportedCostEvent) },
    ],
    async handle({ ctx, deps, body, attemptId }) {
      const input = { ...body, idempotencyKey: body.idempotencyKey ?? reportKey(attemptId) };
      const data = await reportCostEvent({ ctx, input }, reportingTo(deps));
      return data.deduplicated ? ok({ data }) : created({ data });
    },
  }),
  route({
    method: "POST",
    path: "/api/cost-events/batch",
    operationId: "reportCostEvents",
    tag,
    summary: "Report up to 100 costs at once",
    description: "Each is counted and deduplicated on its own; one that is not valid refuses them all.",
    access: REPORT,
    body: ReportCostEventsInput,
    answers: [{ status: 201, description: "How many are new, and the ids of all.", schema: ReportedCostEvents }],
    async handle({ ctx, deps, body, attemptId }) {
      const events = body.events.map((event, index) => ({ ...event, idempotencyKey: event.idempotencyKey ?? reportKey(attemptId, index) }));
      return created(await reportCostEvents({ ctx, input: { events } }, reportingTo(deps)));
    },
  }),
  route({
    method: "GET",
    path: "/api/cost-events/summary",
    operationId: "getCostSummary",
    tag,
    summary: "What was spent in a period, by day and by name",
    access: READ,
    query: CostSummaryInput,
    answers: [{ status: 200, description: "The summary.", schema: dataOf(CostSummary) }],
    handle: async ({ ctx, query }) => ok({ data: await getCostSummary({ ctx, input: query }) }),
  }),
  route({
    method: "GET",
    path: "/api/cost-events/attribution",
    operationId: "getAttribution",
    tag,
    summary: "What was spent in a period by key, customer, model, provider or tag",
    access: READ,
    gatherQuery: (query) => integersIn(query, "limit"),
    query: AttributionInput,
    answers: [{ status: 200, description: "Groups, the dearest first.", schema: AttributionReport }],
    handle: async ({ ctx, query }) => ok(await getAttribution({ ctx, input: query })),
  }),
  route({
    method: "GET",
    path: "/api/cost-events/attribution/{value+}",
    operationId: "getAttributionDetail",
    tag,
    summary: "One group of an attribution, by day and model",
    access: READ,
    params: z.strictObject({ value: detailValue }),
    query: z.strictObject(detailQuery),
    answers: [{ status: 200, description: "The group.", schema: AttributionDetailReport }],
    handle: async ({ ctx, params, query }) => ok(await getAttributionDetail({ ctx, input: { ...query, ...params } })),
  }),
  route({
    method: "GET",
    path: "/api/cost-events/tag-keys",
    operationId: "listTagKeys",
    tag,
    summary: "The tag keys that calls named lately",
    access: READ,
    answers: [{ status: 200, description: "Tag keys.", schema: dataOf(TagKeys) }],
    handle: async ({ ctx }) => ok({ data: await listTagKeys({ ctx }) }),
  }),
  route({
    method: "GET",
    path: "/api/cost-events/sessions",
    operationId: "listSessions",
    tag,
    summary: "List sessions, the one that was active last first",
    access: READ,
    gatherQuery: (query) => integersIn(query, "limit"),
    query: ListSessionsInput,
    answers: [{ status: 200, description: "A page of sessions.", schema: pageOf(SessionRow) }],
    handle: async ({ ctx, query }) => ok(await listSessions({ ctx, input: query })),
  }),
  route({
    method: "GET",
    path: "/api/cost-events/sessions/{sessionId+}",
    operationId: "getSession",
    tag,
    summary: "A session with its events",
    access: READ,
    params: GetSessionInput,
    answers: [{ status: 200, description: "The session.", schema: dataOf(SessionDetail) }],
    handle: async ({ ctx, params }) => ok({ data: await getSession({ ctx, input: params }) }),
  }),
  route({
    method: "GET",
    path: "/api/cost-events/export",
    operationId: "exportCostEvents",
    tag,
    summary: "Every event of a filter as CSV",
    description: `Streams, without a limit of rows. Cells that a spreadsheet would run as a formula begin with an apostrophe. ${OWN}`,
    access: READ_OWN,
    gatherQuery: (query) => gatherTags(costsIn(query)),
    query: CostEventFilter.safeExtend({ format: z.literal("csv").default("csv") }),
    answers: [{ status: 200, description: "CSV after RFC 4180, with a header line.", contentType: "text/csv" }],
    async handle({ ctx, query }) {
      const { format: _csv, ...input } = query;
      const chunks = exportCostEvents({ ctx, input });
      return { kind: "stream", status: 200, contentType: "text/csv; charset=utf-8", fileName: "cost-events.csv", chunks };
    },
  }),
  route({
    method: "GET",
    path: "/api/cost-events/{id}",
    operationId: "getCostEvent",
    tag,
    summary: "A cost event",
    description: `404 until its call is settled. ${OWN}`,
    access: READ_OWN,
    params: GetCostEventInput,
    answers: [{ status: 200, description: "The cost event.", schema: dataOf(PublicCostEvent) }],
    handle: async ({ ctx, params }) => ok({ data: await getCostEvent({ ctx, input: params }) }),
  }),
];

/**
 * A report that was recorded by a process that died before it could answer is found again by its repeat, because the repeat brings the
 * same key to the unique index of reports.
 */
function reportKey(attemptId: string | undefined, index?: number): string | undefined {
  if (attemptId === undefined) return undefined;
  return index === undefined ? `idem_${attemptId}` : `idem_${attemptId}_${index}`;
}

/** What is reported counts against budgets like what was called. */
const reportingTo = (deps: RestDeps) => ({
  settleDoor: deps.settleDoor,
  chargesOf: (orgId: string, events: readonly CostEventRecord[]) => chargesOfReported(orgId, events, deps),
});
