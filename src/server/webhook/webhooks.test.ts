import { randomBytes, randomUUID } from "node:crypto";
import { gzipSync } from "node:zlib";
import { Webhook } from "standardwebhooks";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { createEncryption } from "@/lib/encryption";
import { createTestDatabase, type TestDatabase } from "@/testing/database";
import { createOrganisation, type TestOrganisation } from "@/testing/factories";
import {
  createWebhook,
  deleteWebhook,
  getDelivery,
  getWebhook,
  listDeliveries,
  redeliver,
  redeliverFailed,
  rotateWebhookSecret,
  sampleWebhookObject,
  sendTestWebhook,
  updateWebhook,
  WEBHOOK_EVENT_TYPES,
  WEBHOOK_PAYLOADS,
  webhookHealth,
  type NewWebhook,
  type Webhooks,
} from "./index";
import { createWebhookSender } from "./send-request";
import { adminCtx, movableClock, startReceiver, startWebhooks, type Receiver } from "./testing";
import { verifyWebhook, WebhookVerificationError } from "./verify-webhook";

// What would break in production: a customer's books miss an event, count one twice, or believe a forged one.

const HOUR_MS = 3_600_000;
const encryption = createEncryption({ current: randomBytes(32) });
let database: TestDatabase;
let org: TestOrganisation;
let receiver: Receiver;
let clock: ReturnType<typeof movableClock>;
let webhooks: Webhooks & { warnings: unknown[] };

beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());
beforeEach(async () => {
  org = await createOrganisation({ prisma: database.prisma });
  receiver = await startReceiver();
  clock = movableClock();
  webhooks = startWebhooks({ prisma: database.prisma, encryption, clock });
});
afterEach(async () => {
  await receiver.close();
  await webhooks.stop();
  await database.prisma.webhookEndpoint.updateMany({ data: { deletedAt: new Date() } });
  expect(webhooks.warnings).toEqual([]);
});

const ctx = () => adminCtx(database.prisma, org, clock);
const create = (more: Partial<Parameters<typeof createWebhook>[0]["input"]> = {}): Promise<NewWebhook> =>
  createWebhook({ ctx: ctx(), deps: webhooks.deps, input: { url: `${receiver.url}/hook`, ...more } });
const tell = (type = "budget.exceeded", payload: object = { n: 1 }) =>
  database.prisma.outboxEvent.create({ data: { orgId: org.orgId, type, payload }, select: { id: true } });
const deliveries = async (webhookId: string) => (await listDeliveries({ ctx: ctx(), webhookId, input: {} })).data;
const arrived = (count: number) => expect.poll(() => receiver.received.length, { timeout: 5_000, interval: 5 }).toBe(count);
const settledAs = (webhookId: string, expected: object) =>
  expect.poll(async () => (await deliveries(webhookId))[0], { timeout: 5_000, interval: 10 }).toMatchObject(expected);

test("an event arrives once at each endpoint that wants it, validly signed in both schemes, within a second", async () => {
  const all = await create();
  const some = await create({ url: `${receiver.url}/some`, eventTypes: ["budget.exceeded"] });
  const other = await create({ url: `${receiver.url}/other`, eventTypes: ["budget.reset"] });
  const begun = performance.now();
  const { id } = await tell();
  await arrived(2);
  expect(receiver.received[1]!.at - begun).toBeLessThan(1_000);
  for (const [path, { signingSecret }] of [["/hook", all] as const, ["/some", some] as const]) {
    const { headers, body, id: eventId } = receiver.received.find((each) => each.path === path)!;
    expect(eventId).toBe(`evt_${id}`);
    expect(headers["x-nullspend-webhook-id"]).toBe(eventId);
    expect(headers["content-type"]).toBe("application/json");
    const plain = { "webhook-id": eventId, "webhook-timestamp": headers["webhook-timestamp"] as string };
    const signature = headers["webhook-signature"] as string;
    expect(new Webhook(signingSecret).verify(body, { ...plain, "webhook-signature": signature })).toEqual(JSON.parse(body));
    expect(verifyWebhook({ body, headers, secret: signingSecret })).toMatchObject({
      id: eventId,
      type: "budget.exceeded",
      data: { object: { n: 1 } },
    });
    expect(() => verifyWebhook({ body, headers, secret: other.signingSecret })).toThrow(WebhookVerificationError);
  }
  await settledAs(all.id, { status: "delivered", attempts: 1, responseStatus: 200, nextAttemptAt: null });
  expect(await deliveries(other.id)).toEqual([]);
});

test("L11: after a rotation both secrets verify for 24 hours, then only the new one", async () => {
  const { id, signingSecret: old } = await create();
  const { signingSecret: fresh } = await rotateWebhookSecret({ ctx: ctx(), deps: webhooks.deps, webhookId: id });
  await tell();
  await arrived(1);
  clock.forward(24 * HOUR_MS + 1_000);
  await tell();
  await arrived(2);
  const [during, after] = receiver.received;
  expect((during!.headers["x-nullspend-signature"] as string).match(/v1=/g)).toHaveLength(2);
  for (const secret of [old, fresh]) {
    new Webhook(secret).verify(during!.body, during!.headers as Record<string, string>);
    verifyWebhook({ ...during!, secret });
  }
  const nowMs = clock.now();
  verifyWebhook({ ...after!, secret: fresh, nowMs });
  expect(() => verifyWebhook({ ...after!, secret: old, nowMs })).toThrow(/does not belong/);
  expect((after!.headers["webhook-signature"] as string).split(" ")).toHaveLength(1);
});

test("L12: receivers refuse altered bodies, old and future timestamps, and signatures of others; extra signatures do not help", async () => {
  const { signingSecret: secret } = await create();
  await tell();
  await arrived(1);
  const { body, headers } = receiver.received[0]!;
  const signature = headers["x-nullspend-signature"] as string;
  const sentMs = Number(headers["x-nullspend-webhook-timestamp"]) * 1000;
  const verify = (changes: Partial<Parameters<typeof verifyWebhook>[0]>) => () =>
    verifyWebhook({ body, headers: signature, secret, nowMs: sentMs, ...changes });
  for (let at = 0; at < body.length; at += 7) {
    const altered = `${body.slice(0, at)}${body[at] === "x" ? "y" : "x"}${body.slice(at + 1)}`;
    expect(verify({ body: altered })).toThrow(WebhookVerificationError);
  }
  expect(verify({ nowMs: sentMs + 301_000 })).toThrow(/too old/);
  expect(verify({ nowMs: sentMs - 301_000 })).toThrow(/future/);
  expect(verify({ headers: signature.replace(/t=\d+/, `t=${sentMs / 1000 + 1}`) })).toThrow(WebhookVerificationError);
  expect(verify({ headers: "" })).toThrow(/missing/);
  expect(verify({ headers: signature.replace("v1=", "v0=") })).toThrow(/missing/);
  expect(verify({ headers: `t=${sentMs / 1000},${`v1=${"0".repeat(64)},`.repeat(20)}` })).toThrow(/does not belong/);
  expect(verify({ nowMs: sentMs + 300_000 })).not.toThrow();
  expect(verify({ headers: signature.replace(",", `,v1=${"0".repeat(64)},`) })).not.toThrow();
});

test("L8: what fails is tried at 5 s, 5 min, 30 min, 2, 5, 10, 14, 20 and 24 h under one id, then given up; then redelivered on request", async () => {
  receiver.answer = (response) => void response.writeHead(500).end("no\u0007 \u202Ething\n");
  const { id, signingSecret } = await create();
  await tell();
  const waits: number[] = [];
  for (let attempt = 1; attempt <= 10; attempt += 1) {
    await arrived(attempt);
    await settledAs(id, { attempts: attempt, responseStatus: 500 });
    const [delivery] = await deliveries(id);
    if (delivery!.nextAttemptAt !== null) {
      waits.push(Math.round((Date.parse(delivery!.nextAttemptAt) - clock.now()) / 1000));
      clock.forward(Date.parse(delivery!.nextAttemptAt) - clock.now() + 1);
    }
  }
  const expected = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];
  expect(waits.map((wait, i) => Math.abs(wait - expected[i]!) <= 2)).toEqual(expected.map(() => true));
  const [failed] = await deliveries(id);
  expect(failed).toMatchObject({ status: "failed", attempts: 10, nextAttemptAt: null });
  expect(new Set(receiver.received.map((each) => each.id)).size).toBe(1);

  receiver.answer = (response) => void response.writeHead(204).end();
  await redeliver({ ctx: ctx(), deps: webhooks.deps, webhookId: id, deliveryId: failed!.id });
  await settledAs(id, { status: "delivered" });
  const { attemptList, body } = await getDelivery({ ctx: ctx(), webhookId: id, deliveryId: failed!.id });
  expect(attemptList.map(({ number, status, manual }) => ({ number, status, manual })).slice(0, 2)).toEqual([
    { number: 11, status: 204, manual: true },
    { number: 10, status: 500, manual: false },
  ]);
  expect(attemptList[1]).toMatchObject({ error: "answered 500", responseBody: "no\uFFFD \uFFFDthing\n" });
  expect(receiver.received[10]!.body).toBe(body);
  verifyWebhook({ ...receiver.received[10]!, secret: signingSecret, nowMs: clock.now() });
  expect((await webhookHealth({ ctx: ctx(), webhookId: id })).hours).toHaveLength(24);
});

test("L8: Retry-After lengthens the wait and does not shorten it", async () => {
  const { id } = await create();
  receiver.answer = (response) => void response.writeHead(429, { "retry-after": "3600" }).end();
  await tell();
  await settledAs(id, { attempts: 1 });
  const [delivery] = await deliveries(id);
  expect(Math.abs(Date.parse(delivery!.nextAttemptAt!) - clock.now() - HOUR_MS)).toBeLessThan(3_000);
  receiver.answer = (response) => void response.writeHead(503, { "retry-after": "0" }).end();
  clock.forward(HOUR_MS + 1_000);
  await settledAs(id, { attempts: 2 });
  expect(Date.parse((await deliveries(id))[0]!.nextAttemptAt!) - clock.now()).toBeGreaterThan(250_000);
});

test("L8: 410 switches the endpoint off, gives up what waits and tells the admins once", async () => {
  receiver.answer = (response) => void response.writeHead(410).end();
  const { id } = await create();
  await tell();
  await expect.poll(async () => (await getWebhook({ ctx: ctx(), webhookId: id })).disabledReason, { timeout: 5_000 }).toBe("gone");
  expect(await database.prisma.organisation.findUnique({ where: { id: org.orgId }, select: { costEventWebhooks: true } })).toEqual({
    costEventWebhooks: false,
  });
  expect(await database.prisma.mail.count({ where: { orgId: org.orgId } })).toBe(1);
  await tell();
  await expect.poll(() => database.prisma.outboxEvent.count({ where: { orgId: org.orgId, sentAt: null } })).toBe(0);
  expect(receiver.received).toHaveLength(1);
  await expect(sendTestWebhook({ ctx: ctx(), deps: webhooks.deps, webhookId: id, input: {} })).rejects.toThrow(/switched off/);
});

test("L9: five days of failure switch the endpoint off and tell the admins; enabled again, it gets what failed on request", async () => {
  receiver.answer = (response) => void response.writeHead(500).end();
  const { id } = await create();
  const since = new Date(clock.now() - 1_000).toISOString();
  await tell();
  await settledAs(id, { attempts: 1 });
  clock.forward(5 * 24 * HOUR_MS - 60_000);
  await settledAs(id, { attempts: 2 });
  expect((await getWebhook({ ctx: ctx(), webhookId: id })).enabled).toBe(true);
  await tell();
  clock.forward(6 * 60_000);
  await expect.poll(async () => (await getWebhook({ ctx: ctx(), webhookId: id })).disabledReason, { timeout: 5_000 }).toBe("failing");
  expect((await deliveries(id)).map(({ status }) => status)).toEqual(["failed", "failed"]);
  expect(await database.prisma.mail.count({ where: { orgId: org.orgId, subject: { contains: "switched off" } } })).toBe(1);

  receiver.answer = (response) => void response.writeHead(200).end();
  receiver.received.length = 0;
  expect(await updateWebhook({ ctx: ctx(), deps: webhooks.deps, webhookId: id, input: { enabled: true } })).toMatchObject({
    enabled: true,
    failingSince: null,
  });
  expect(await redeliverFailed({ ctx: ctx(), deps: webhooks.deps, webhookId: id, input: { since } })).toEqual({ redelivered: 2 });
  await arrived(2);
});

test("L2: a redirect is a failure and is not followed", async () => {
  const elsewhere = await startReceiver();
  const { id } = await create();
  for (const status of [301, 302, 303, 307, 308]) {
    receiver.answer = (response) => void response.writeHead(status, { location: elsewhere.url }).end();
    await sendTestWebhook({ ctx: ctx(), deps: webhooks.deps, webhookId: id, input: {} });
    await settledAs(id, { status: "pending", attempts: 1, responseStatus: status });
    clock.forward(1);
  }
  expect(elsewhere.received).toEqual([]);
  await elsewhere.close();
});

test("L3: a name that leads to a private address, now or at the second look, or to both kinds, is not connected to", async () => {
  const { port } = new URL(receiver.url);
  const answers = [
    [{ address: "127.0.0.1", family: 4 }],
    [
      { address: "93.184.215.14", family: 4 },
      { address: "127.0.0.1", family: 4 },
    ],
    [
      { address: "2606:4700::1111", family: 6 },
      { address: "::1", family: 6 },
    ],
    [{ address: "::ffff:127.0.0.1", family: 6 }],
    [],
  ];
  for (const addresses of answers) {
    const sender = createWebhookSender({ allowPrivate: false, resolve: (_, callback) => callback(null, addresses) });
    for (const host of ["rebind.example.com", "rebind.example.com."]) {
      const { status, error } = await sender.send({ url: `http://${host}:${port}/`, headers: {}, body: "{}" });
      expect({ status, error }).toEqual({ status: null, error: "the address is not on the public internet" });
    }
    await sender.close();
  }
  expect(receiver.received).toEqual([]);
});

test("L5: a proxy of the environment changes nothing", async () => {
  const proxy = await startReceiver();
  process.env.HTTP_PROXY = process.env.http_proxy = process.env.ALL_PROXY = proxy.url;
  process.env.NODE_USE_ENV_PROXY = "1";
  try {
    const sender = createWebhookSender({ allowPrivate: false });
    const { error } = await sender.send({ url: `${receiver.url}/`, headers: {}, body: "{}" });
    expect(error).toBe("the address is not on the public internet");
    await sender.close();
  } finally {
    for (const name of ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "NODE_USE_ENV_PROXY"]) delete process.env[name];
  }
  expect([proxy.received, receiver.received]).toEqual([[], []]);
  await proxy.close();
});

test("L6, L7: slow, hanging, resetting, endless, huge-headed and compressed answers cost a bounded time and a kilobyte", async () => {
  const sender = createWebhookSender({ allowPrivate: true, timeoutMs: 400 });
  const send = () => sender.send({ url: receiver.url, headers: {}, body: "{}" });
  receiver.answer = () => {};
  expect(await send()).toMatchObject({ status: null, error: "no answer within 0.4 seconds" });
  receiver.answer = (response) => void response.destroy();
  expect(await send()).toMatchObject({ status: null, error: "the connection was broken off" });
  receiver.answer = (response) => void response.writeHead(200, { "x-big": "a".repeat(40_000) }).end();
  expect(await send()).toMatchObject({ status: null, error: "the answer's headers are too large" });
  receiver.answer = (response) => {
    response.writeProcessing();
    response.writeHead(200).write("begun");
  };
  expect(await send()).toMatchObject({ status: 200, error: null, responseBody: "begun" });
  let sent = 0;
  receiver.answer = (response) => {
    response.writeHead(200);
    const more = (): void => {
      while (!response.destroyed && sent < 50_000_000 && response.write("a".repeat(65_536))) sent += 65_536;
    };
    response.on("drain", more);
    more();
  };
  const endless = await send();
  expect([endless.status, endless.responseBody?.length]).toEqual([200, 1024]);
  expect(sent).toBeLessThan(20_000_000);
  const bomb = gzipSync(Buffer.alloc(50_000_000));
  receiver.answer = (response) => void response.writeHead(200, { "content-encoding": "gzip" }).end(bomb);
  const before = process.memoryUsage.rss();
  expect(await send()).toMatchObject({ status: 200, responseBody: "(compressed, not shown)" });
  expect(process.memoryUsage.rss() - before).toBeLessThan(100_000_000);
  await sender.close();
  expect(receiver.received[0]!.headers["accept-encoding"]).toBeUndefined();
});

test("L13: what is queued goes to the new address, and to none after the endpoint or its organisation was deleted", async () => {
  const next = await startReceiver();
  receiver.answer = (response) => void response.writeHead(500).end();
  const edited = await create();
  await tell();
  await settledAs(edited.id, { attempts: 1 });
  await updateWebhook({ ctx: ctx(), deps: webhooks.deps, webhookId: edited.id, input: { url: `${next.url}/new` } });
  clock.forward(10_000);
  await settledAs(edited.id, { status: "delivered" });
  expect([receiver.received.length, next.received.length]).toEqual([1, 1]);

  next.answer = (response) => void response.writeHead(500).end();
  await tell();
  await settledAs(edited.id, { attempts: 1, status: "pending" });
  await deleteWebhook({ ctx: ctx(), webhookId: edited.id });
  expect(await database.prisma.webhookDelivery.count({ where: { orgId: org.orgId, state: "pending" } })).toBe(0);

  const ofOrg = await create({ url: `${next.url}/org` });
  await tell();
  await settledAs(ofOrg.id, { attempts: 1, status: "pending" });
  const seen = next.received.length;
  await database.prisma.organisation.update({ where: { id: org.orgId }, data: { deletedAt: new Date() } });
  clock.forward(HOUR_MS);
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect([receiver.received.length, next.received.length]).toEqual([1, seen]);
  await next.close();
});

test("L14: a body above 256 kB is sent as a reference; thin endpoints get cost events as references", async () => {
  const thin = await create({ payloadMode: "thin" });
  const full = await create({ url: `${receiver.url}/full` });
  const id = `ns_evt_${randomUUID()}`;
  await tell("cost_event.created", { id, cost_microdollars: 1 });
  await arrived(2);
  await tell("action.created", { action_id: `ns_act_${randomUUID()}`, payload: "a".repeat(300_000) });
  await arrived(4);
  const bodies = receiver.received.map(({ path, body }) => ({ path, ...(JSON.parse(body) as { related_object?: object; data?: object }) }));
  const related = { id, type: "cost_event", url: `/api/cost-events/${id}` };
  expect(bodies.find(({ path, related_object }) => path === "/hook" && related_object)?.related_object).toEqual(related);
  expect(bodies.slice(0, 2).find(({ path }) => path === "/full")).toMatchObject({ data: { object: { id } } });
  expect(bodies.slice(2).map(({ data, related_object: reference }) => [data, typeof reference])).toEqual([
    [undefined, "object"],
    [undefined, "object"],
  ]);
  expect([thin.payloadMode, full.payloadMode]).toEqual(["thin", "full"]);
});

test("a test of every type arrives with the fields that its schema names", async () => {
  const { id } = await create();
  for (const type of WEBHOOK_EVENT_TYPES) {
    WEBHOOK_PAYLOADS[type].parse(sampleWebhookObject(type));
    await sendTestWebhook({ ctx: ctx(), deps: webhooks.deps, webhookId: id, input: { type } });
  }
  await arrived(17);
  for (const { body } of receiver.received) {
    const { type, data } = JSON.parse(body) as { type: keyof typeof WEBHOOK_PAYLOADS; data: { object: { test: boolean } } };
    WEBHOOK_PAYLOADS[type].parse(data.object);
    expect(data.object.test).toBe(true);
  }
});

test("several processes send each of 500 events once", async () => {
  const others = [1, 2].map(() => startWebhooks({ prisma: database.prisma, encryption, clock }));
  await create();
  await database.prisma.outboxEvent.createMany({
    data: Array.from({ length: 500 }, (_, n) => ({ orgId: org.orgId, type: "budget.exceeded", payload: { n } })),
  });
  await expect.poll(() => receiver.received.length, { timeout: 20_000 }).toBe(500);
  await Promise.all(others.map((other) => other.stop()));
  expect(new Set(receiver.received.map(({ id }) => id)).size).toBe(500);
  expect(receiver.received).toHaveLength(500);
});

test("the secret is stored encrypted, for its own row alone, and in no audit row", async () => {
  const { id, signingSecret } = await create();
  const { secretEncrypted } = await database.prisma.webhookEndpoint.findFirstOrThrow({ where: { orgId: org.orgId } });
  expect(secretEncrypted).not.toContain(signingSecret.slice(6, 20));
  expect(() => encryption.decrypt(secretEncrypted, { orgId: org.orgId, purpose: "webhook-secret", rowId: randomUUID() })).toThrow();
  await rotateWebhookSecret({ ctx: ctx(), deps: webhooks.deps, webhookId: id });
  const audit = JSON.stringify(await database.prisma.auditLog.findMany({ where: { orgId: org.orgId } }));
  expect(audit).toContain("webhook.secret_rotated");
  expect(audit).not.toContain("whsec_");
});

test("another organisation finds neither endpoint nor delivery", async () => {
  const { id } = await create();
  await tell();
  await settledAs(id, { status: "delivered" });
  const [delivery] = await deliveries(id);
  const stranger = adminCtx(database.prisma, await createOrganisation({ prisma: database.prisma }));
  const { deps } = webhooks;
  for (const attempt of [
    () => getWebhook({ ctx: stranger, webhookId: id }),
    () => updateWebhook({ ctx: stranger, deps, webhookId: id, input: { enabled: false } }),
    () => deleteWebhook({ ctx: stranger, webhookId: id }),
    () => rotateWebhookSecret({ ctx: stranger, deps, webhookId: id }),
    () => sendTestWebhook({ ctx: stranger, deps, webhookId: id, input: {} }),
    () => listDeliveries({ ctx: stranger, webhookId: id, input: {} }),
    () => getDelivery({ ctx: stranger, webhookId: id, deliveryId: delivery!.id }),
    () => redeliver({ ctx: stranger, deps, webhookId: id, deliveryId: delivery!.id }),
  ]) {
    await expect(attempt()).rejects.toMatchObject({ code: "not_found" });
  }
});
