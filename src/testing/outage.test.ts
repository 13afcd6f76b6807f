import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { startChaosProxy, type ChaosProxy } from "@/testing/chaos-proxy";
import { createTestDatabase, hasRealPostgres, NEEDS_REAL_POSTGRES, type TestDatabase } from "@/testing/database";
import { storedEvents } from "@/testing/events";
import { scenarioHeader, startFakeProvider, type FakeProvider, type Scenario } from "@/testing/fake-provider";
import { headerList, RawConnection, rawRequest, requestBytes, type RawResponse } from "@/testing/raw-http";
import { ADAPTERS, startProduct, type Product } from "@/testing/server";

// What would break in production: a database fails over, or a release is rolled out, while hundreds of streams are open. Streams must
// not notice, and no call that reached the provider may go unrecorded.

const BODY = JSON.stringify({ model: "gpt-4o-mini", stream: true, messages: [{ role: "user", content: "hi" }] });

const request = (product: Product, scenario: Scenario = {}): Parameters<typeof rawRequest>[0] => ({
  port: product.port,
  target: "/v1/chat/completions",
  headers: [
    ...headerList(`X-NullSpend-Key: ${product.apiKey}`, "Authorization: Bearer sk-test", "Content-Type: application/json"),
    ...Object.entries(scenarioHeader(scenario)).flat(),
  ],
  body: BODY,
});

/** Streams that the provider holds in the middle. */
async function openStreams(product: Product, fake: FakeProvider, count: number): Promise<Promise<RawResponse>[]> {
  const answers: Promise<RawResponse>[] = [];
  for (let i = 0; i < count; i++) {
    const connection = await RawConnection.connect({ port: product.port });
    void connection.send(requestBytes(request(product, { holds: [{ at: 4, gate: "middle" }] })));
    answers.push(connection.response({ method: "POST" }).finally(() => connection.socket.destroy()));
  }
  await fake.gates.reached("middle", count);
  return answers;
}

/** The provider's own list of calls, and ours: the same, once each. */
async function expectEveryCallOnce(product: Product, fake: FakeProvider): Promise<void> {
  const calls = fake.log.map(({ sent }) => sent.rawHeaders[sent.rawHeaders.indexOf("x-request-id") + 1]!);
  const events = await storedEvents(product, calls.length);
  expect(events.map(({ requestId }) => requestId).sort()).toEqual(calls.sort());
  expect(events.every(({ costBasis, status }) => costBasis === "reported" && status === "ok")).toBe(true);
}

// The embedded database has no address that a proxy could stand before.
const skips = !(await hasRealPostgres());
if (skips) console.log(`Outages are not tried: ${NEEDS_REAL_POSTGRES}`);

let fake: FakeProvider;
let database: TestDatabase;
let proxy: ChaosProxy;
let product: Product;
beforeEach(async () => {
  fake = await startFakeProvider();
  database = await createTestDatabase();
  const { hostname, port } = new URL(database.connectionString);
  proxy = await startChaosProxy({ host: hostname, port: Number(port || 5432) });
});
afterEach(async () => {
  fake.gates.releaseAll();
  await product.stop();
  await proxy.close();
  await database.drop();
  await fake.close();
});

const startBehindProxy = async (adapter: Product["adapter"]): Promise<Product> => {
  const url = new URL(database.connectionString);
  url.host = `127.0.0.1:${proxy.port}`;
  return (product = await startProduct({ adapter, fake, database, databaseUrl: url.href }));
};

const OUTAGE_MS = 10_000;

describe.skipIf(skips).each(ADAPTERS)("the database goes away for ten seconds, through the %s adapter", (adapter) => {
  it.each([
    ["swallows every byte", () => (proxy.chaos.blackHole = true)],
    ["breaks all connections and refuses new ones", () => ((proxy.chaos.refuse = true), proxy.resetAll())],
  ])("%s: streams go on, new calls are recorded or refused in time, and afterwards every call has one event", async (_, goAway) => {
    await startBehindProxy(adapter);
    const streams = await openStreams(product, fake, 20);
    goAway();
    const until = performance.now() + OUTAGE_MS;
    const during: Promise<{ status: number; ms: number }>[] = [];
    let released = false;
    while (performance.now() < until) {
      const startedAt = performance.now();
      during.push(rawRequest(request(product)).then(({ status }) => ({ status, ms: performance.now() - startedAt })));
      if (!released && performance.now() > until - OUTAGE_MS / 2) {
        released = true;
        fake.gates.release("middle");
      }
      await sleep(50);
    }
    // Streams end while the database is still away.
    for (const answer of await Promise.all(streams)) {
      expect(answer).toMatchObject({ status: 200, complete: true });
      expect(answer.body.toString()).toContain("data: [DONE]");
    }
    proxy.chaos.blackHole = false;
    proxy.chaos.refuse = false;
    // What was swallowed is gone, as after a failover: the old connections are dead.
    proxy.resetAll();

    const answers = await Promise.all(during);
    for (const { status, ms } of answers) {
      expect([200, 503]).toContain(status);
      expect(ms).toBeLessThan(5_000);
    }
    const refused = answers.filter(({ status }) => status === 503).length;
    expect(refused).toBeGreaterThan(0);
    // A refused call has not reached the provider.
    expect(fake.log).toHaveLength(streams.length + answers.length - refused);

    const backAt = performance.now();
    while ((await rawRequest(request(product))).status !== 200) {
      expect(performance.now() - backAt, "milliseconds until the first good answer").toBeLessThan(10_000);
      await sleep(50);
    }
    await expectEveryCallOnce(product, fake);
  });
});

describe.skipIf(skips)("SIGTERM while streams are open", () => {
  it("lets them finish, takes no new call, records all of them and exits 0", async () => {
    await startBehindProxy("node");
    const streams = await openStreams(product, fake, 30);
    const kept = await RawConnection.connect({ port: product.port });
    product.signal("SIGTERM");
    // The process has heard it when it is not ready any more.
    for (;;) {
      const ready = await rawRequest({ port: product.port, target: "/api/ready" }).catch(() => undefined);
      if (ready?.status !== 200) break;
    }
    void kept.send(requestBytes(request(product)));
    const late = await kept.response({ method: "POST" }).catch(() => undefined);
    if (late) expect(late.status).toBe(503);
    expect(fake.log).toHaveLength(streams.length);
    fake.gates.release("middle");
    for (const answer of await Promise.all(streams)) {
      expect(answer).toMatchObject({ status: 200, complete: true });
      expect(answer.body.toString()).toContain("data: [DONE]");
    }
    expect(await product.exited).toEqual({ code: 0, signal: null });
    await expectEveryCallOnce(product, fake);
  });

  it("records callers who leave during the drain, too", async () => {
    await startBehindProxy("node");
    const connections: RawConnection[] = [];
    for (let i = 0; i < 10; i++) {
      const connection = await RawConnection.connect({ port: product.port });
      void connection.send(requestBytes(request(product, { holds: [{ at: 4, gate: "middle" }] })));
      connections.push(connection);
    }
    await fake.gates.reached("middle", connections.length);
    product.signal("SIGTERM");
    for (const connection of connections) connection.reset();
    expect(await product.exited).toEqual({ code: 0, signal: null });
    const events = await storedEvents(product, connections.length);
    expect(events).toHaveLength(connections.length);
    expect(events.map(({ status }) => status)).toEqual(connections.map(() => "cancelled"));
  });
});
