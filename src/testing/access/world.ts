import { createHash, randomBytes, randomUUID } from "node:crypto";
import type { Role } from "@/generated/prisma/enums";
import { newTraceId, publicId, uuidv7 } from "@/lib/ids";
import { createAction } from "@/server/approval";
import { createBudget } from "@/server/budget";
import type { Ctx } from "@/server/context";
import { createFreeze } from "@/server/freeze";
import { costEvent } from "@/server/ledger/testing";
import type { Runtime } from "@/server/runtime";
import { createWebhook } from "@/server/webhook";
import { createApiKey, createMember, createOrganisation } from "../factories";

export const ROLES = ["viewer", "member", "admin", "owner"] as const satisfies readonly Role[];

/** An organisation with one of everything, and with a person in each role. Ids are public ones unless they say so. */
export type World = {
  /** Bare. */
  orgId: string;
  orgPublicId: string;
  orgName: string;
  orgSlug: string;
  /** Bare. */
  users: Readonly<Record<Role, string>>;
  /** Somebody whom a call can be about: a second member. */
  otherMemberId: string;
  keyId: string;
  budgetId: string;
  freezeId: string;
  actionId: string;
  decisionId: string;
  invitationId: string;
  invitationToken: string;
  eventId: string;
  sessionId: string;
  traceId: string;
  webhookId: string;
  deliveryId: string;
};

export async function createWorld(runtime: Runtime): Promise<World> {
  const { prisma, clock } = runtime;
  const org = await createOrganisation({ prisma });
  const { orgId } = org;
  const member = (role: Role) => createMember({ prisma, orgId, role });
  const [viewer, plain, admin, other] = await Promise.all([member("viewer"), member("member"), member("admin"), member("member")]);
  const ctx: Ctx = { prisma, clock, principal: { type: "user", orgId, userId: org.userId, role: "owner" }, ip: null };
  const byMember: Ctx = { ...ctx, principal: { type: "user", orgId, userId: plain, role: "member" } };
  const customer = `customer-${randomBytes(4).toString("hex")}`;
  const event = costEvent({ orgId, sessionId: `run-${randomUUID()}`, traceId: newTraceId() });
  const decisionId = uuidv7(Date.now());
  const token = randomBytes(32).toString("base64url");
  const [{ name, slug }, key, { budget }, { freeze }, action, invitation] = await Promise.all([
    prisma.organisation.findUniqueOrThrow({ where: { id: orgId }, select: { name: true, slug: true } }),
    createApiKey({ prisma, org }),
    createBudget({ ctx, input: { entityType: "org", maxBudgetMicrodollars: 1_000_000_000 } }),
    createFreeze({ ctx, input: { entityType: "customer", entityId: customer, reason: "test" } }),
    createAction({ ctx: byMember, input: { agentId: "agent", actionType: "send_email", payload: {} }, deps: runtime.approvals.deps }),
    prisma.invitation.create({
      data: {
        orgId,
        email: `${randomBytes(6).toString("hex")}@example.com`,
        role: "viewer",
        tokenHash: createHash("sha256").update(token).digest("hex"),
        invitedById: org.userId,
        expiresAt: new Date(Date.now() + 86_400_000),
      },
      select: { id: true },
    }),
    prisma.budgetDecision.create({ data: { id: decisionId, orgId, eventId: event.id, snapshot: SNAPSHOT } }),
    runtime.settleDoor.settle({ event }),
  ]);
  // Of a type that nothing here causes, so that nothing is sent.
  const webhook = await createWebhook({
    ctx,
    deps: runtime.webhooks.deps,
    input: { url: "https://receiver.example.com/hook", eventTypes: ["budget.reset"] },
  });
  const delivery = await prisma.webhookDelivery.create({
    data: {
      orgId,
      endpointId: webhook.id.replace("ns_wh_", ""),
      eventId: randomUUID(),
      eventType: "budget.reset",
      body: "{}",
      state: "failed",
    },
    select: { id: true },
  });
  return {
    orgId,
    webhookId: webhook.id,
    deliveryId: publicId("delivery", delivery.id),
    orgPublicId: publicId("org", orgId),
    orgName: name,
    orgSlug: slug,
    users: { viewer, member: plain, admin, owner: org.userId },
    otherMemberId: publicId("user", other),
    keyId: publicId("key", key.keyId),
    budgetId: budget.id,
    freezeId: freeze.id,
    actionId: action.id,
    decisionId: publicId("decision", decisionId),
    invitationId: publicId("invitation", invitation.id),
    invitationToken: token,
    eventId: publicId("event", event.id),
    sessionId: event.sessionId!,
    traceId: event.traceId!,
  };
}

const SNAPSHOT = {
  code: "budget_exceeded",
  message: "The budget is used up.",
  apiKeyId: null,
  provider: "openai",
  model: "gpt-4o-mini",
  customerId: null,
  sessionId: null,
  estimate: { amountMicrodollars: 1, lines: [] },
  budgets: [],
  wouldHavePassed: { amountMicrodollars: 0, outputTokens: null },
};

/** Rows whose state moves on by itself: here only their number counts. */
const SENT_IN_THE_BACKGROUND: ReadonlySet<string> = new Set(["mail", "outbox_event", "webhook_delivery"]);

/** What the database holds of an organisation, table by table: equal before and after means that nothing was touched. */
export async function fingerprintOf(runtime: Runtime, orgId: string): Promise<Record<string, string>> {
  const tables = await runtime.prisma.$queryRaw<{ name: string; column: string }[]>`
    SELECT tables.table_name::text AS name, columns.column_name::text AS column
    FROM information_schema.tables AS tables JOIN information_schema.columns AS columns USING (table_schema, table_name)
    WHERE table_schema = 'public' AND table_type = 'BASE TABLE'
      AND (columns.column_name = 'org_id' OR (tables.table_name = 'organisation' AND columns.column_name = 'id'))
    ORDER BY 1`;
  const entries = await Promise.all(
    tables.map(async ({ name, column }) => {
      const content = SENT_IN_THE_BACKGROUND.has(name) ? "count(*)::text" : "md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), ''))";
      // The names are those of our own tables, as the catalogue has them.
      const rows = await runtime.prisma.$queryRawUnsafe<{ hash: string }[]>(
        `SELECT ${content} AS hash FROM "${name}" AS t WHERE "${column}" = $1::uuid`,
        orgId,
      );
      return [name, rows[0]!.hash] as const;
    }),
  );
  return Object.fromEntries(entries);
}
