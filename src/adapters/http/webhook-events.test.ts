import { randomBytes } from "node:crypto";
import { Webhook } from "standardwebhooks";
import { afterAll, beforeAll, expect, test } from "vitest";
import { systemClock } from "@/lib/clock";
import { createEncryption } from "@/lib/encryption";
import { parsePublicId } from "@/lib/ids";
import { createApprovalBackground } from "@/server/approval";
import type { Principal } from "@/server/context";
import { WEBHOOK_EVENT_TYPES, WEBHOOK_PAYLOADS, type WebhookEventType } from "@/server/webhook";
import { startReceiver, startWebhooks, type Receiver } from "@/server/webhook/testing";
import { verifyWebhook } from "@/server/webhook/verify-webhook";
import { createTestDatabase, type TestDatabase } from "@/testing/database";
import { createApiKey, createOrganisation, type TestApiKey, type TestOrganisation } from "@/testing/factories";
import { startRestServer, type RestTestServer } from "@/testing/rest-server";

// What would break in production: a type is documented and chosen, and never comes.

let database: TestDatabase;
let server: RestTestServer;
let receiver: Receiver;
let webhooks: ReturnType<typeof startWebhooks>;
let org: TestOrganisation;
let admin: TestApiKey;
let agent: TestApiKey;
let principal: Principal | undefined;

beforeAll(async () => {
  database = await createTestDatabase();
  const encryption = createEncryption({ current: randomBytes(32) });
  webhooks = startWebhooks({ prisma: database.prisma, encryption });
  receiver = await startReceiver();
  server = await startRestServer(database, { webhooks, sessionOf: async () => principal });
  org = await createOrganisation({ prisma: database.prisma });
  admin = await createApiKey({ prisma: database.prisma, org, scopes: ["read", "manage"] });
  agent = await createApiKey({ prisma: database.prisma, org, scopes: ["proxy", "ingest", "self"] });
});
afterAll(async () => {
  await webhooks.stop();
  await receiver.close();
  await server.close();
  await database.drop();
});

type Data = Record<string, string>;
const asAdmin = async (what: string, body: object = {}): Promise<Data> => {
  const { status, json, text } = await server.send(what, { key: admin.rawKey, body });
  expect(status, text).toBeLessThan(300);
  return (json as { data: Data }).data;
};
async function asPerson(what: string, body: object = {}): Promise<void> {
  principal = { type: "user", orgId: org.orgId, userId: org.userId, role: "owner" };
  const { status, text } = await server.send(what, { body, headers: { "sec-fetch-site": "same-origin", cookie: "session=test" } });
  principal = undefined;
  expect(status, text).toBeLessThan(300);
}
/** A tool's call: held, and settled when there was room. */
async function call(microdollars: number, body: object = {}): Promise<number> {
  const tool = { serverName: "github", toolName: "search" };
  const answer = await server.send("POST /v1/mcp/budget/check", {
    key: agent.rawKey,
    body: { ...tool, estimateMicrodollars: microdollars, ...body },
  });
  const { reservationId } = answer.json as { reservationId?: string | null };
  if (answer.status === 200) {
    const event = { ...tool, ...(reservationId && { reservationId }), costMicrodollars: microdollars, ...body };
    expect((await server.send("POST /v1/mcp/events", { key: agent.rawKey, body: { events: [event] } })).status).toBeLessThan(300);
  }
  return answer.status;
}
const typesNow = (): WebhookEventType[] => receiver.received.map(({ body }) => (JSON.parse(body) as { type: WebhookEventType }).type);
const arrives = (type: WebhookEventType, count = 1) =>
  expect.poll(() => typesNow().filter((each) => each === type).length, { timeout: 5_000, interval: 20, message: type }).toBe(count);

test("each type is caused by its real trigger and arrives once, validly signed in both schemes, with the fields of its schema", async () => {
  const { id: webhookId, signingSecret } = await asAdmin("POST /api/webhooks", { url: receiver.url });
  await asAdmin(`POST /api/webhooks/${webhookId}/test`);
  await arrives("test.ping");

  const budget = await asAdmin("POST /api/budgets", {
    entityType: "api_key",
    entityId: `ns_key_${agent.keyId}`,
    maxBudgetMicrodollars: 100,
    resetInterval: "daily",
    thresholdPercentages: [50, 90],
  });
  expect(await call(60)).toBe(200);
  await arrives("cost_event.created");
  await arrives("budget.threshold.warning");
  expect(await call(35)).toBe(200);
  await arrives("budget.threshold.critical");
  expect([await call(50), await call(50)]).toEqual([429, 429]);
  await arrives("budget.exceeded");
  await arrives("request.blocked", 2);

  const increase = await server.send("POST /api/actions", {
    key: agent.rawKey,
    body: {
      agentId: "agent",
      actionType: "budget_increase",
      payload: { entityType: "api_key", entityId: `ns_key_${agent.keyId}`, requestedAmountMicrodollars: 50, reason: "more" },
    },
  });
  await arrives("action.created");
  const actionOf = ({ json }: { json: unknown }): string => (json as { data: { id: string } }).data.id;
  await asPerson(`POST /api/actions/${actionOf(increase)}/approve`);
  await arrives("action.approved");
  await arrives("budget.increased");
  const propose = (expiresInSeconds?: number) =>
    server.send("POST /api/actions", {
      key: agent.rawKey,
      body: { agentId: "agent", actionType: "send_email", payload: { to: "a@example.com" }, ...(expiresInSeconds && { expiresInSeconds }) },
    });
  await asPerson(`POST /api/actions/${actionOf(await propose())}/reject`, { reason: "no" });
  await arrives("action.rejected");

  // By the clock, without a further call: the day is over.
  await database.pool.query(
    "update budget_balance set starts_at = now() - interval '2 days', ends_at = now() - interval '1 day' where budget_id = $1",
    [parsePublicId("budget", budget.id!)],
  );
  await server.deps.ledger.sweep();
  await arrives("budget.reset");
  await asAdmin(`PATCH /api/budgets/${budget.id}`, { maxBudgetMicrodollars: 1_000_000 });

  await asAdmin("POST /api/budgets", { entityType: "customer", entityId: "acme", maxBudgetMicrodollars: 1 });
  expect(await call(5, { customerId: "acme" })).toBe(429);
  await arrives("customer_budget.exceeded");
  await asAdmin("POST /api/budgets", { entityType: "tag", entityId: "team=a", maxBudgetMicrodollars: 1 });
  expect(await call(5, { tags: { team: "a" } })).toBe(429);
  await arrives("tag_budget.exceeded");
  await asAdmin("POST /api/budgets", { entityType: "org", maxBudgetMicrodollars: 1_000_000, sessionLimitMicrodollars: 10 });
  expect([await call(8, { sessionId: "s" }), await call(8, { sessionId: "s" })]).toEqual([200, 429]);
  await arrives("session.limit_exceeded");

  await asAdmin("POST /api/budgets", {
    entityType: "user",
    entityId: `ns_usr_${org.userId}`,
    maxBudgetMicrodollars: 1_000_000,
    velocityLimitMicrodollars: 10,
  });
  expect([await call(8), await call(8)]).toEqual([200, 429]);
  await arrives("velocity.exceeded");
  await database.pool.query(
    "update budget_velocity set cool_until = now() - interval '1 second' where org_id = $1 and cool_until is not null",
    [org.orgId],
  );
  await server.deps.ledger.sweep();
  await arrives("velocity.recovered");
  await database.pool.query("update action set expires_at = now() - interval '1 second' where org_id = $1 and id = $2", [
    org.orgId,
    parsePublicId("action", actionOf(await propose())),
  ]);
  await createApprovalBackground({ prisma: database.prisma, clock: systemClock, deps: server.deps.approvals.deps }).run();
  await arrives("action.expired");

  expect(new Set(typesNow())).toEqual(new Set(WEBHOOK_EVENT_TYPES));
  expect(new Set(receiver.received.map(({ id }) => id)).size).toBe(receiver.received.length);
  for (const { body, headers } of receiver.received) {
    new Webhook(signingSecret!).verify(body, headers as Record<string, string>);
    const { type, data } = verifyWebhook({ body, headers, secret: signingSecret! });
    const parsed = WEBHOOK_PAYLOADS[type as WebhookEventType].safeParse(data?.object);
    expect({ type, problem: parsed.error?.issues }).toEqual({ type, problem: undefined });
  }
}, 60_000);
