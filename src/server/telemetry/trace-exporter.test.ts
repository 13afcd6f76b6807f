import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { nanoUsd } from "@/lib/money";
import { costEvent, recordingLog } from "@/server/ledger/testing";
import { eventually } from "@/testing/faults/gateway-server";
import type { OtlpAttribute, OtlpSpan } from "./span-of-call";
import { createTraceExporter, type TraceLimits } from "./trace-exporter";

type Received = { path: string; headers: Record<string, unknown>; serviceName: unknown; spans: OtlpSpan[] };
type Answer = { status: number; body?: string };

/** A receiver as a collector has one. */
async function startReceiver(answer: (request: number) => Answer | Promise<Answer> = () => ({ status: 200 })) {
  const received: Received[] = [];
  const server = createServer((request, response) => {
    const pieces: Buffer[] = [];
    request.on("data", (piece: Buffer) => pieces.push(piece));
    request.on("end", () => {
      const { resourceSpans } = JSON.parse(Buffer.concat(pieces).toString());
      const [{ resource, scopeSpans }] = resourceSpans;
      const serviceName = valueOf(resource.attributes, "service.name");
      received.push({ path: request.url!, headers: request.headers, serviceName, spans: scopeSpans[0].spans });
      void Promise.resolve(answer(received.length)).then(({ status, body }) => response.writeHead(status).end(body ?? "{}"));
    });
  });
  await listen(server);
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { received, server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/traces` };
}

const listen = (server: Server, port = 0): Promise<void> => new Promise((resolve) => void server.listen(port, "127.0.0.1", resolve));

function exporterTo(url: string, limits: Partial<TraceLimits> = {}) {
  const log = recordingLog();
  const exporter = createTraceExporter({
    url,
    headers: { authorization: "Bearer receiver" },
    serviceName: "spend",
    log,
    limits: { intervalMs: 10, retryDelayMs: 1, stopMs: 500, ...limits },
  });
  onTestFinished(() => exporter.stop());
  return { exporter, log };
}

function valueOf(attributes: readonly OtlpAttribute[], key: string): unknown {
  const value = attributes.find((attribute) => attribute.key === key)?.value;
  return value && Object.values(value)[0];
}

const orgId = "0190b3c4-5d6e-7f80-9a1b-2c3d4e5f6071";
const traced = {
  orgId,
  endpoint: "chat/completions",
  traceId: "4bf92f3577b34da6a3ce929d0e0e4736",
  spanId: "00f067aa0ba902b7",
  parentSpanId: "a0f067aa0ba902b7",
};

test("a call is one span below its caller's, with GenAI names and its exact cost", async () => {
  const { received, url } = await startReceiver();
  const { exporter } = exporterTo(url);
  const event = costEvent({
    ...traced,
    createdAtMs: 1_795_500_000_123,
    durationMs: 812.25,
    cachedInputTokens: 20,
    costNano: nanoUsd(42_001n),
    sessionId: "s1",
    customerId: "acme",
    tags: { team: "search" },
  });
  exporter.record(event);
  await eventually(
    () => exporter.stats.exported,
    (count) => count === 1,
  );
  expect(received[0]).toMatchObject({ path: "/v1/traces", serviceName: "spend" });
  expect(received[0]!.headers).toMatchObject({ authorization: "Bearer receiver", "content-type": "application/json" });
  const span = received[0]!.spans[0]!;
  expect(span).toMatchObject({
    traceId: traced.traceId,
    spanId: traced.spanId,
    parentSpanId: traced.parentSpanId,
    name: "chat gpt-4o-mini",
    kind: 3,
    startTimeUnixNano: "1795500000123000000",
    endTimeUnixNano: "1795500000935250000",
    status: { code: 0 },
  });
  const attributes = Object.fromEntries(span.attributes.map(({ key }) => [key, valueOf(span.attributes, key)]));
  expect(attributes).toMatchObject({
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o-mini",
    "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
    "gen_ai.conversation.id": "s1",
    "gen_ai.usage.input_tokens": "120",
    "gen_ai.usage.output_tokens": "40",
    "gen_ai.usage.cache_read.input_tokens": "20",
    "gen_ai.response.time_to_first_chunk": 0.3,
    "gen_ai.response.finish_reasons": { values: [{ stringValue: "stop" }] },
    "http.response.status_code": "200",
    "nullspend.cost.microdollars": 42.001,
    "nullspend.cost.basis": "reported",
    "nullspend.customer.id": "acme",
    "nullspend.tag.team": "search",
    "nullspend.org.id": `ns_org_${orgId}`,
  });
});

test("a denied call is a span that failed, of no answering model; one without a price has no cost", async () => {
  const { received, url } = await startReceiver();
  const { exporter } = exporterTo(url);
  const denied = { status: "denied", denialCode: "budget_exceeded", httpStatus: 429, timeToFirstByteMs: null, parentSpanId: null } as const;
  exporter.record(costEvent({ ...traced, ...denied }));
  exporter.record(costEvent({ ...traced, costNano: null, costBasis: "unpriced" }));
  exporter.record(costEvent({ ...traced, traceId: null }));
  await exporter.stop();
  const [first, second, ...more] = received.flatMap(({ spans }) => spans);
  expect(more).toEqual([]);
  expect(first).toMatchObject({ status: { code: 2 } });
  expect(first).not.toHaveProperty("parentSpanId");
  expect(valueOf(first!.attributes, "error.type")).toBe("budget_exceeded");
  expect(valueOf(first!.attributes, "gen_ai.response.model")).toBeUndefined();
  expect(valueOf(second!.attributes, "nullspend.cost.microdollars")).toBeUndefined();
  expect(valueOf(second!.attributes, "nullspend.cost.basis")).toBe("unpriced");
});

test("stop sends what is left, in batches", async () => {
  const { received, url } = await startReceiver();
  const { exporter } = exporterTo(url, { intervalMs: 60_000, batchMax: 100 });
  for (let i = 0; i < 99; i += 1) exporter.record(costEvent(traced));
  expect(received).toEqual([]);
  await exporter.stop();
  expect(received.map(({ spans }) => spans.length)).toEqual([99]);
  exporter.record(costEvent(traced));
  expect(exporter.stats).toEqual({ exported: 99, dropped: 1 });
});

test("a receiver that is away costs spans, counted, and no waiting; when it is back spans arrive again", async () => {
  const { server, received, url } = await startReceiver();
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  const { exporter, log } = exporterTo(url, { attemptsMax: 2 });
  exporter.record(costEvent(traced));
  exporter.record(costEvent(traced));
  await eventually(
    () => exporter.stats.dropped,
    (count) => count === 2,
  );
  expect(log.lines).toMatchObject([{ level: "warn", component: "telemetry" }]);
  await listen(server, port);
  exporter.record(costEvent(traced));
  await eventually(
    () => received.length,
    (count) => count === 1,
  );
});

test("while the receiver is slow the queue stays bounded and the rest is dropped", async () => {
  let open = (): void => {};
  const opened = new Promise<void>((resolve) => (open = resolve));
  const { received, url } = await startReceiver(() => opened.then(() => ({ status: 200 })));
  const { exporter } = exporterTo(url, { batchMax: 5, queueMax: 10 });
  for (let i = 0; i < 5; i += 1) exporter.record(costEvent(traced));
  await eventually(
    () => received.length,
    (count) => count === 1,
  );
  for (let i = 0; i < 30; i += 1) exporter.record(costEvent(traced));
  expect(exporter.stats.dropped).toBe(20);
  open();
  await eventually(
    () => exporter.stats.exported,
    (count) => count === 15,
  );
});

test("stop does not wait for a receiver that never answers", async () => {
  const { received, url } = await startReceiver(() => new Promise(() => {}));
  const { exporter } = exporterTo(url, { stopMs: 50, batchMax: 1 });
  for (let i = 0; i < 3; i += 1) exporter.record(costEvent(traced));
  await eventually(
    () => received.length,
    (count) => count === 1,
  );
  await exporter.stop();
  expect(exporter.stats).toEqual({ exported: 0, dropped: 3 });
});

test("what the receiver asks to have again is sent again; what it refuses is not", async () => {
  const answers: Answer[] = [
    { status: 503 },
    { status: 200 },
    { status: 400 },
    { status: 200, body: '{"partialSuccess":{"rejectedSpans":"1"}}' },
  ];
  const { received, url } = await startReceiver((request) => answers[request - 1]!);
  const { exporter } = exporterTo(url, { batchMax: 1 });
  for (const total of [1, 2, 3]) {
    exporter.record(costEvent(traced));
    await eventually(
      () => exporter.stats.exported + exporter.stats.dropped,
      (count) => count === total,
    );
  }
  expect(exporter.stats).toEqual({ exported: 1, dropped: 2 });
  expect(received).toHaveLength(4);
});
