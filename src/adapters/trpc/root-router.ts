import { router } from "./init";
import { actionsRouter } from "./routers/actions";
import { approvalPoliciesRouter } from "./routers/approval-policies";
import { auditRouter } from "./routers/audit";
import { authRouter } from "./routers/auth";
import { budgetsRouter } from "./routers/budgets";
import { decisionsRouter } from "./routers/decisions";
import { eventsRouter } from "./routers/events";
import { freezesRouter } from "./routers/freezes";
import { integrityRouter } from "./routers/integrity";
import { invitationsRouter } from "./routers/invitations";
import { keysRouter } from "./routers/keys";
import { meRouter } from "./routers/me";
import { membersRouter } from "./routers/members";
import { orgsRouter } from "./routers/orgs";
import { overviewRouter } from "./routers/overview";
import { pricesRouter } from "./routers/prices";
import { reportsRouter } from "./routers/reports";
import { shellRouter } from "./routers/shell";
import { sessionsRouter } from "./routers/sessions";
import { tracesRouter } from "./routers/traces";
import { toolCostsRouter } from "./routers/tool-costs";
import { webhooksRouter } from "./routers/webhooks";

/** Everything the dashboard asks, one router per area. Each procedure is a verb of `server`, the same that REST calls. */
export const appRouter = router({
  actions: actionsRouter,
  approvalPolicies: approvalPoliciesRouter,
  audit: auditRouter,
  auth: authRouter,
  budgets: budgetsRouter,
  decisions: decisionsRouter,
  events: eventsRouter,
  freezes: freezesRouter,
  integrity: integrityRouter,
  invitations: invitationsRouter,
  keys: keysRouter,
  me: meRouter,
  members: membersRouter,
  orgs: orgsRouter,
  overview: overviewRouter,
  prices: pricesRouter,
  reports: reportsRouter,
  sessions: sessionsRouter,
  shell: shellRouter,
  toolCosts: toolCostsRouter,
  webhooks: webhooksRouter,
  traces: tracesRouter,
});

export type AppRouter = typeof appRouter;
export type AppCaller = ReturnType<AppRouter["createCaller"]>;
