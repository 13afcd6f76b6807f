import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually, type GatewayServer, startGatewayServer } from "@/testing/faults/gateway-server";
import type { OtlpSpan } from "./span-of-call";

const CANARY = "prompt-canary-5b1f";
const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT = "a0f067aa0ba902b7";

const bodies: string[] = [];
const receiver = createServer((request, response) => {
  const pieces: Buffer[] = [];
  request.on("data", (piece: Buffer) => pieces.push(piece));
  request.on("end", () => {
    bodies.push(Buffer.concat(pieces).toString());
    response.end("{}");
  });
});
let gateway: GatewayServer;

beforeAll(async () => {
  await new Promise<void>((resolve) => receiver.listen(0, "127.0.0.1", resolve));
  const { port } = receiver.address() as AddressInfo;
  gateway = await startGatewayServer({ env: { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`, METRICS_TOKEN: "metrics" } });
});
afterAll(async () => {
  await gateway.close();
  receiver.closeAllConnections();
  receiver.close();
});

const spans = (): OtlpSpan[] => bodies.flatMap((body) => JSON.parse(body).resourceSpans[0].scopeSpans[0].spans as OtlpSpan[]);

test("forwarded and denied calls arrive as spans below the caller's, with no word of the prompt, and metrics count them", async () => {
  const body = (model: string) => JSON.stringify({ model, messages: [{ role: "user", content: CANARY }] });
  const traceparent = ["traceparent", `00-${TRACE}-${PARENT}-01`];
  const forwarded = await gateway.send({
    method: "POST",
    target: "/v1/chat/completions",
    headers: gateway.headers(...traceparent),
    body: body("gpt-4o-mini"),
  });
  expect(forwarded.status).toBe(200);
  const denied = await gateway.send({
    method: "POST",
    target: "/v1/chat/completions",
    headers: gateway.headers(...traceparent, "nullspend-version", "1999-01-01"),
    body: body("gpt-4o-mini"),
  });
  expect(denied.status).toBe(400);
  const [first, second] = await eventually(spans, ({ length }) => length === 2);
  const events = await gateway.database.prisma.costEvent.findMany({ orderBy: { createdAt: "asc" } });
  for (const [index, span] of [first!, second!].entries()) {
    expect(span).toMatchObject({ traceId: TRACE, parentSpanId: PARENT, spanId: events[index]!.spanId });
  }
  expect(second!.status.code).toBe(2);
  expect(bodies.join("")).not.toContain(CANARY);
  expect(bodies.join("")).not.toContain("sk-provider");

  const metrics = await gateway.send({ method: "GET", target: "/metrics", headers: ["authorization", "Bearer metrics"] });
  const text = metrics.body.toString();
  for (const line of [
    'nullspend_settlements_total{outcome="recorded"} 2',
    'nullspend_settlements_total{outcome="refused"} 0',
    "nullspend_settlement_retries_total 0",
    "nullspend_settlement_backlog 0",
    'nullspend_spans_total{outcome="exported"} 2',
    "nullspend_overhead_milliseconds_count 2",
    "nullspend_time_to_first_byte_milliseconds_count 1",
  ]) {
    expect(text).toContain(line);
  }
});
