import { originOf } from "../deps";
import { openApiDocument } from "../openapi";
import { publicRoute, type Route } from "../route";
import { actionRoutes } from "./actions";
import { auditLogRoutes } from "./audit-log";
import { budgetRoutes } from "./budgets";
import { customerRoutes } from "./customers";
import { costEventRoutes } from "./cost-events";
import { decisionRoutes } from "./decisions";
import { freezeRoutes } from "./freezes";
import { integrityRoutes } from "./integrity";
import { invitationRoutes } from "./invitations";
import { keyRoutes } from "./keys";
import { mcpRoutes } from "./mcp";
import { orgRoutes } from "./orgs";
import { policyRoutes } from "./policy";
import { priceRoutes } from "./prices";
import { serviceRoutes } from "./service";
import { traceRoutes } from "./traces";
import { toolCostRoutes } from "./tool-costs";
import { webhookRoutes } from "./webhooks";

const documents = new Map<string, string>();

const openApiRoute = publicRoute({
  method: "GET",
  path: "/openapi.json",
  operationId: "getOpenApiDocument",
  tag: "Service",
  summary: "This document",
  answers: [{ status: 200, description: "OpenAPI 3.1.", contentType: "application/json" }],
  handle: async ({ deps }) => {
    const origin = originOf(deps.env);
    const text = documents.get(origin) ?? JSON.stringify(openApiDocument(routes, origin));
    documents.set(origin, text);
    return { kind: "text", status: 200, contentType: "application/json; charset=utf-8", text };
  },
});

/** Every route of the REST API: what is dispatched and what is documented. */
export const routes: readonly Route[] = [
  ...costEventRoutes,
  ...traceRoutes,
  ...keyRoutes,
  ...priceRoutes,
  ...budgetRoutes,
  ...freezeRoutes,
  ...decisionRoutes,
  ...policyRoutes,
  ...actionRoutes,
  ...orgRoutes,
  ...invitationRoutes,
  ...customerRoutes,
  ...integrityRoutes,
  ...mcpRoutes,
  ...toolCostRoutes,
  ...webhookRoutes,
  ...auditLogRoutes,
  ...serviceRoutes,
  openApiRoute,
];
