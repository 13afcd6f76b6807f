import { z } from "zod";
import { HTTP_STATUS } from "@/lib/errors";
import {
  ACTION_STATUSES,
  ActionResultInput,
  ApprovalPolicies,
  ApprovalPoliciesInput,
  approveAction,
  ApproveInput,
  cancelAction,
  createAction,
  CreateActionInput,
  getAction,
  getActionRow,
  getApprovalPolicies,
  isFinal,
  listActionCosts,
  listActions,
  PublicAction,
  rejectAction,
  RejectInput,
  reportActionResult,
  setApprovalPolicies,
  statusOf,
} from "@/server/approval";
import { PublicCostEvent } from "@/server/events";
import { queryInteger } from "../parse-input";
import { created, ok, route } from "../route";
import { cursorParam, dataOf, pageOf } from "../schemas";

const tag = "Actions";
const params = z.strictObject({ id: z.string().max(100) });
const SEEN_BY = { key: ["read", "self"], user: "viewer" } as const;
const DECIDED_BY = { key: "session_only", user: "member" } as const;
const WAIT_SECONDS_MAX = 60;

const NewAction = PublicAction.pick({ id: true, status: true, expiresAt: true, requestUrl: true }).meta({ id: "NewAction" });

/** `pending` and `pending,approved` alike. */
const statuses = z
  .string()
  .transform((text) => text.split(","))
  .pipe(z.array(z.enum(ACTION_STATUSES)).min(1).max(ACTION_STATUSES.length))
  .meta({ override: { type: "string", pattern: undefined } });

export const actionRoutes = [
  route({
    method: "POST",
    path: "/api/actions",
    operationId: "createAction",
    tag,
    summary: "Propose something that a person decides",
    description:
      "Approvers are told at once by mail and Slack. Ask `GET /api/actions/{id}?wait=30` until it is decided; report with " +
      "`POST /api/actions/{id}/result`. `requestUrl` is for people and carries no rights.",
    access: { key: ["ingest"], user: "member" },
    body: CreateActionInput,
    answers: [{ status: 201, description: "It waits for a decision.", schema: dataOf(NewAction) }],
    async handle({ ctx, body, deps }) {
      const { id, status, expiresAt, requestUrl } = await createAction({ ctx, input: body, deps: deps.approvals.deps });
      return created({ data: { id, status, expiresAt, requestUrl } });
    },
  }),
  route({
    method: "GET",
    path: "/api/actions",
    operationId: "listActions",
    tag,
    summary: "List actions, newest first",
    description: "A key that has `self` but not `read` sees what it proposed itself.",
    access: SEEN_BY,
    query: z.strictObject({
      limit: queryInteger({ min: 1, max: 100 }).default(50),
      cursor: cursorParam,
      status: statuses.optional(),
      statuses: statuses.optional(),
      actionType: z.string().max(64).optional(),
      agentId: z.string().max(255).optional(),
    }),
    answers: [{ status: 200, description: "A page of actions.", schema: pageOf(PublicAction) }],
    handle: async ({ ctx, query: { status, statuses: several, ...query }, deps }) =>
      ok(await listActions({ ctx, input: { ...query, statuses: several ?? status }, publicUrl: deps.approvals.deps.publicUrl })),
  }),
  route({
    method: "GET",
    path: "/api/actions/{id}",
    operationId: "getAction",
    tag,
    summary: "Get an action, or wait until it changes",
    description: "`wait` holds the answer for up to so many seconds while the action stays as it is.",
    access: SEEN_BY,
    params,
    query: z.strictObject({ wait: queryInteger({ min: 0, max: WAIT_SECONDS_MAX }).default(0) }),
    answers: [{ status: 200, description: "The action.", schema: dataOf(PublicAction) }],
    async handle({ ctx, params: { id }, query: { wait }, deps }) {
      const { deps: approvals, watch } = deps.approvals;
      const row = await getActionRow({ ctx, actionId: id });
      const status = statusOf(row);
      if (wait > 0 && !isFinal(status)) {
        await watch.changed({ orgId: row.orgId, actionId: row.id, from: status, timeoutMs: wait * 1_000 });
      }
      return ok({ data: await getAction({ ctx, actionId: id, publicUrl: approvals.publicUrl }) });
    },
  }),
  route({
    method: "GET",
    path: "/api/actions/{id}/costs",
    operationId: "listActionCosts",
    tag,
    summary: "The cost events that name this action",
    access: SEEN_BY,
    params,
    answers: [{ status: 200, description: "Oldest first, at most a thousand.", schema: z.object({ data: z.array(PublicCostEvent) }) }],
    handle: async ({ ctx, params: { id } }) => ok({ data: await listActionCosts({ ctx, actionId: id }) }),
  }),
  route({
    method: "POST",
    path: "/api/actions/{id}/approve",
    operationId: "approveAction",
    tag,
    summary: "Approve, in full or another amount",
    description:
      `People only. A raised limit is in force when this answers. Decided once: the second decision is answered ` +
      `${HTTP_STATUS.stale_action} \`stale_action\` with the first one's outcome.`,
    access: DECIDED_BY,
    params,
    body: ApproveInput,
    bodyOptional: true,
    answers: [{ status: 200, description: "The action.", schema: dataOf(PublicAction) }],
    handle: async ({ ctx, params: { id }, body, deps }) =>
      ok({ data: await approveAction({ ctx, actionId: id, input: body, deps: deps.approvals.deps }) }),
  }),
  route({
    method: "POST",
    path: "/api/actions/{id}/reject",
    operationId: "rejectAction",
    tag,
    summary: "Reject, with a reason",
    access: DECIDED_BY,
    params,
    body: RejectInput,
    bodyOptional: true,
    answers: [{ status: 200, description: "The action.", schema: dataOf(PublicAction) }],
    handle: async ({ ctx, params: { id }, body, deps }) =>
      ok({ data: await rejectAction({ ctx, actionId: id, input: body, deps: deps.approvals.deps }) }),
  }),
  route({
    method: "POST",
    path: "/api/actions/{id}/cancel",
    operationId: "cancelAction",
    tag,
    summary: "Withdraw an action that nobody has decided yet",
    access: { key: ["ingest"], user: "member" },
    params,
    answers: [{ status: 200, description: "The action.", schema: dataOf(PublicAction) }],
    handle: async ({ ctx, params: { id }, deps }) => ok({ data: await cancelAction({ ctx, actionId: id, deps: deps.approvals.deps }) }),
  }),
  route({
    method: "POST",
    path: "/api/actions/{id}/result",
    operationId: "reportActionResult",
    tag,
    summary: "Say that an approved action is carried out, and how it went",
    description: "`executing` first, which one worker alone can say; then `executed` with a result, or `failed` with a message.",
    access: { key: ["ingest"], user: "key_only" },
    params,
    body: ActionResultInput,
    answers: [{ status: 200, description: "The action.", schema: dataOf(PublicAction) }],
    handle: async ({ ctx, params: { id }, body, deps }) =>
      ok({ data: await reportActionResult({ ctx, actionId: id, input: body, deps: deps.approvals.deps }) }),
  }),
  route({
    method: "GET",
    path: "/api/approval-policies",
    operationId: "getApprovalPolicies",
    tag,
    summary: "Which actions and calls need a person",
    access: { key: "session_only", user: "viewer" },
    answers: [{ status: 200, description: "In the order in which they are tried.", schema: dataOf(ApprovalPolicies) }],
    handle: async ({ ctx }) => ok({ data: await getApprovalPolicies({ ctx }) }),
  }),
  route({
    method: "PUT",
    path: "/api/approval-policies",
    operationId: "setApprovalPolicies",
    tag,
    summary: "Replace them all",
    access: { key: "session_only", user: "admin" },
    body: ApprovalPoliciesInput,
    answers: [{ status: 200, description: "As they are now.", schema: dataOf(ApprovalPolicies) }],
    handle: async ({ ctx, body }) => ok({ data: await setApprovalPolicies({ ctx, input: body }) }),
  }),
];
