import { checkToolBudget, McpBudgetCheck, McpBudgetCheckInput, McpEventsAccepted, McpEventsInput, reportToolEvents } from "@/server/mcp";
import { originOf } from "../deps";
import { ok, route } from "../route";

const tag = "MCP";

export const mcpRoutes = [
  route({
    method: "POST",
    path: "/v1/mcp/budget/check",
    operationId: "checkMcpBudget",
    tag,
    summary: "Ask whether a tool may be called, and hold what the call may cost",
    description:
      "The same budgets, limits and denials as for calls of models. A hold that is not settled by an event is given back after fifteen " +
      "minutes. A call that is denied is answered 429 (402 where the key says so, 423 when frozen) with the fields of every denial.",
    access: { key: ["ingest", "proxy"], user: "key_only" },
    body: McpBudgetCheckInput,
    answers: [{ status: 200, description: "The tool may be called.", schema: McpBudgetCheck }],
    handle: async ({ ctx, deps, body }) => ok(await checkToolBudget({ ctx, input: body }, { ...deps, publicUrl: originOf(deps.env) })),
  }),
  route({
    method: "POST",
    path: "/v1/mcp/events",
    operationId: "reportMcpEvents",
    tag,
    summary: "Report calls of MCP tools, and settle what was held for them",
    description:
      "A cost that is not given is the tool's own; one that an admin set wins. Repeating a report with the same `reservationId`, " +
      "`idempotencyKey` or Idempotency-Key counts nothing twice.",
    access: { key: ["ingest"], user: "key_only" },
    body: McpEventsInput,
    answers: [{ status: 200, description: "Durable.", schema: McpEventsAccepted }],
    handle: async ({ ctx, deps, body, attemptId }) => ok(await reportToolEvents({ ctx, input: body, attemptId }, deps)),
  }),
];
