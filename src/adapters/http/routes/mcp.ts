import { McpEventsAccepted, McpEventsInput, reportToolEvents } from "@/server/mcp";
import { ok, route } from "../route";

const tag = "MCP";

export const mcpRoutes = [
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
