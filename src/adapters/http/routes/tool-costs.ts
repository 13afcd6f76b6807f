import { z } from "zod";
import {
  DeleteToolCostInput,
  deleteToolCost,
  DISCOVERED_MAX,
  DiscoverToolsInput,
  discoverTools,
  listToolCosts,
  PublicToolCost,
  PutToolCostInput,
  putToolCost,
} from "@/server/mcp";
import { queryInteger } from "../parse-input";
import { ok, route } from "../route";
import { cursorParam, dataOf, pageOf } from "../schemas";

const tag = "MCP";

export const toolCostRoutes = [
  route({
    method: "GET",
    path: "/api/tool-costs",
    operationId: "listToolCosts",
    tag,
    summary: "What calls of MCP tools are taken to cost, by server and tool",
    access: { key: ["read", "self", "ingest", "proxy"], user: "viewer" },
    query: z.strictObject({
      limit: queryInteger({ min: 1, max: DISCOVERED_MAX }).default(100),
      cursor: cursorParam,
      serverName: z.string().min(1).max(200).optional(),
    }),
    answers: [{ status: 200, description: "A page of tools.", schema: pageOf(PublicToolCost) }],
    handle: async ({ ctx, query }) => ok(await listToolCosts({ ctx, input: query })),
  }),
  route({
    method: "POST",
    path: "/api/tool-costs",
    operationId: "putToolCost",
    tag,
    summary: "Say what a call of a tool costs",
    description: "It wins over what the tool announces and over what is reported.",
    access: { key: ["manage"], user: "admin" },
    body: PutToolCostInput,
    answers: [{ status: 200, description: "The tool.", schema: dataOf(PublicToolCost) }],
    handle: async ({ ctx, body }) => ok({ data: await putToolCost({ ctx, input: body }) }),
  }),
  route({
    method: "DELETE",
    path: "/api/tool-costs",
    operationId: "deleteToolCost",
    tag,
    summary: "Go back to what a tool announces",
    access: { key: ["manage"], user: "admin" },
    query: DeleteToolCostInput,
    answers: [{ status: 200, description: "The tool, with the cost it has now.", schema: dataOf(PublicToolCost) }],
    handle: async ({ ctx, query }) => ok({ data: await deleteToolCost({ ctx, input: query }) }),
  }),
  route({
    method: "POST",
    path: "/api/tool-costs/discover",
    operationId: "discoverTools",
    tag,
    summary: "Tell which tools an MCP server offers",
    description: "New tools are taken to cost what they announce; known ones keep their cost.",
    access: { key: ["ingest", "proxy", "manage"], user: "admin" },
    body: DiscoverToolsInput,
    answers: [
      {
        status: 200,
        description: "How many were new.",
        schema: dataOf(z.object({ discovered: z.int(), known: z.int() })),
      },
    ],
    handle: async ({ ctx, body }) => ok({ data: await discoverTools({ ctx, input: body }) }),
  }),
];
