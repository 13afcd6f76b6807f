import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createApiKey, createOrganisation } from "@/testing/factories";
import { RawConnection, requestBytes } from "@/testing/raw-http";
import { eventually, startGatewayServer, type GatewayServer } from "./gateway-server";
import { startRawUpstream, type RawUpstream } from "./raw-upstream";

// What would break in production: an aborted answer leaves bytes on a pooled connection, and the next caller on it, another company,
// reads them. It has happened to others, and nothing is worse for a proxy.

const LONG = process.env.NULLSPEND_LONG === "1";
const CALLS = LONG ? 100_000 : 5_000;
const WORKERS = 24;

type Tenant = { name: string; rawKey: string; calls: number; whole: number };

let gateway: GatewayServer;
let upstream: RawUpstream;
const tenants: Tenant[] = [];
/** What a provider saw of a tenant's call that was not the tenant's own. */
const mixedUp: string[] = [];
beforeAll(async () => {
  upstream = await startRawUpstream();
  upstream.answer = (request, socket) => {
    const own = /\r\nx-tenant: (\w+-\d+)\r\n/i.exec(request)?.[1] ?? "nobody";
    const tag = /"tag":"(\w+-\d+)"/.exec(request)?.[1] ?? own;
    const key = /\r\nauthorization: Bearer sk-(\w+)\r\n/i.exec(request)?.[1];
    if (tag !== own || key !== own.split("-")[0]) mixedUp.push(request);
    const size = Number(/\r\nx-size: (\d+)/i.exec(request)?.[1] ?? 1);
    const framing = /\r\nx-framing: (\w+)/i.exec(request)?.[1];
    const body = `<${own}>`.repeat(size);
    if (framing === "reset") {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length + 10}\r\n\r\n${body}`, () => socket.resetAndDestroy());
    } else if (framing === "chunked") {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n`);
      for (let at = 0; at < body.length; at += 4_000) {
        const piece = body.slice(at, at + 4_000);
        socket.write(`${piece.length.toString(16)}\r\n${piece}\r\n`);
      }
      socket.write("0\r\n\r\n");
    } else {
      socket.write(
        `HTTP/1.1 ${framing === "error" ? "500 No" : "200 OK"}\r\nContent-Type: text/plain\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
      );
    }
  };
  gateway = await startGatewayServer({ upstreamUrl: upstream.url, env: { RATE_LIMIT_CALLS_PER_KEY_PER_MINUTE: "10000000" } });
  for (const name of ["red", "blue"]) {
    const org = await createOrganisation({ prisma: gateway.database.prisma });
    const { rawKey } = await createApiKey({ prisma: gateway.database.prisma, org });
    tenants.push({ name, rawKey, calls: 0, whole: 0 });
  }
});
afterAll(async () => {
  await gateway.close();
  await upstream.close();
});

const plan = fc.record({
  tenant: fc.nat(1),
  post: fc.boolean(),
  size: fc.oneof(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1_000, max: 20_000 })),
  framing: fc.constantFrom("length", "length", "chunked", "chunked", "error", "reset"),
  /** Leaves after this part of the answer; undefined: reads to the end. */
  leaveAfter: fc.constantFrom(undefined, undefined, undefined, 0, 0.01, 0.3, 0.7, 0.99),
  /** Two calls are sent on one connection before the first is answered. */
  pipelined: fc.constantFrom(false, false, false, true),
});
type Plan = typeof plan extends fc.Arbitrary<infer Value> ? Value : never;

it(
  `F13: ${CALLS} interleaved and aborted calls of two tenants on pooled connections: no byte crosses`,
  async () => {
    const plans = fc.sample(plan, { numRuns: CALLS, seed: 20_261_124 });
    let next = 0;
    const foreign: string[] = [];
    const worker = async (): Promise<void> => {
      for (let at = next++; at < plans.length; at = next++) foreign.push(...(await run(plans[at]!, at)));
    };
    await Promise.all(Array.from({ length: WORKERS }, worker));
    expect(foreign).toEqual([]);
    expect(mixedUp).toEqual([]);
    await eventually(
      () => gateway.runtime.gateway.unfinished.size,
      (size) => size === 0,
      30_000,
    );
    expect(gateway.runtime.gateway.openCalls.size).toBe(0);
    await eventually(
      () => gateway.connections(),
      (count) => count === 0,
    );
    const { rows } = await gateway.database.pool.query<{ orgs: number; events: number }>(
      "select count(distinct org_id)::int as orgs, count(*)::int as events from cost_event",
    );
    const calls = tenants.reduce((sum, tenant) => sum + tenant.calls, 0);
    console.log(
      `${calls} calls, ${tenants.map(({ whole }) => whole).join(" and ")} read whole, ${rows[0]!.events} events, ${upstream.requests.length} sent on`,
    );
    // Those who left before they were admitted, or stood in line behind one who left, may have none.
    expect(rows[0]!.events).toBeGreaterThanOrEqual(upstream.requests.length);
    expect(tenants.every(({ whole }) => whole > CALLS / 8)).toBe(true);
  },
  LONG ? 1_800_000 : 120_000,
);

/** What a caller received that was not its own. */
async function run({ tenant: index, post, size, framing, leaveAfter, pipelined }: Plan, serial: number): Promise<string[]> {
  const tenant = tenants[index]!;
  const connection = await RawConnection.connect({ port: gateway.port });
  const tags = [`${tenant.name}-${serial}`, ...(pipelined ? [`${tenant.name}-${serial}2`] : [])];
  for (const tag of tags) {
    tenant.calls += 1;
    void connection.send(
      requestBytes({
        port: gateway.port,
        target: post ? "/v1/chat/completions" : "/v1/files/file-1/content",
        headers: [
          "X-NullSpend-Key",
          tenant.rawKey,
          "Authorization",
          `Bearer sk-${tenant.name}`,
          "x-tenant",
          tag,
          "x-size",
          `${size}`,
          "x-framing",
          framing,
        ],
        ...(post && { body: `{"model":"gpt-4o-mini","stream":${framing === "chunked"},"tag":"${tag}","messages":[]}` }),
      }),
    );
  }
  const found: string[] = [];
  const check = (text: string, tag: string, whole: boolean): void => {
    const own = `<${tag}>`;
    const expected = own.repeat(Math.ceil(text.length / own.length)).slice(0, text.length);
    // Our own words, where the provider broke off before its head was through.
    if (text !== expected && !text.includes('"upstream_unreachable"')) found.push(`${tag}: ${text.slice(0, 200)}`);
    if (whole) tenant.whole += 1;
  };
  if (leaveAfter === undefined) {
    for (const tag of tags) {
      const answer = await connection.response({ method: post ? "POST" : "GET" }).catch(() => undefined);
      if (answer) check(answer.body.toString(), tag, answer.complete);
      if (answer?.complete !== true) break;
    }
  } else {
    await connection.until((received) => received.length >= leaveAfter * size * (tags[0]!.length + 2));
    const text = connection.received.toString("latin1");
    for (const [, other] of text.matchAll(/<(\w+-\d+)>/g)) if (!tags.includes(other!)) found.push(`${tags.join()}: ${other}`);
  }
  if (serial % 2 === 0) connection.reset();
  else connection.socket.destroy();
  return found;
}
