/**
 * The fake provider as its own process: `node fake-provider.mjs [--port 4010] [--control-port 4011] [--log-max 1000]`.
 * Prints one line of JSON with its addresses when it is ready. The control port is apart, so that nothing about the provider's
 * own side is special: GET /log, POST /next, POST /default (a scenario as JSON), POST /release?gate=name, POST /clear.
 */
import http from "node:http";
import type { AddressInfo } from "node:net";
import { parseArgs } from "node:util";
import { startFakeProvider, type FakeExchange } from "./fake-provider";
import { parseScenario } from "./scenario";

const { values } = parseArgs({
  options: { port: { type: "string" }, "control-port": { type: "string" }, "log-max": { type: "string" }, host: { type: "string" } },
});
const fake = await startFakeProvider({
  port: Number(values.port ?? 0),
  host: values.host ?? "127.0.0.1",
  logMax: Number(values["log-max"] ?? 1000),
});

/** The log as JSON: bodies as text, bytes sent as a count. */
const shown = (exchange: FakeExchange): object => ({
  id: exchange.id,
  connection: exchange.connection,
  provider: exchange.provider,
  method: exchange.request.method,
  target: exchange.request.target,
  rawHeaders: exchange.request.rawHeaders,
  body: exchange.request.body.toString("utf8"),
  bodySha256: exchange.request.bodySha256,
  startedAtMs: exchange.startedAtMs,
  endedAtMs: exchange.endedAtMs ?? null,
  status: exchange.sent.status,
  eventsSent: exchange.sent.eventsSent,
  bodyBytesSent: exchange.sent.bodyBytes,
  outcome: exchange.outcome,
  billed: exchange.billed,
});

const control = http.createServer((request, response) => {
  const url = new URL(request.url ?? "/", "http://control");
  const pieces: Buffer[] = [];
  request.on("data", (piece: Buffer) => pieces.push(piece));
  request.on("end", () => {
    try {
      const answer = handle(`${request.method} ${url.pathname}`, url, Buffer.concat(pieces).toString("utf8"));
      response.writeHead(answer === undefined ? 404 : 200, { "content-type": "application/json" }).end(JSON.stringify(answer ?? null));
    } catch (error) {
      response.writeHead(400, { "content-type": "text/plain" }).end(String(error));
    }
  });
});

function handle(route: string, url: URL, body: string): unknown {
  switch (route) {
    case "GET /log":
      return fake.log.map(shown);
    case "POST /next":
      fake.next(parseScenario(body));
      return { ok: true };
    case "POST /default":
      fake.setDefault(parseScenario(body));
      return { ok: true };
    case "POST /release":
      fake.gates.release(url.searchParams.get("gate") ?? "");
      return { ok: true };
    case "POST /clear":
      fake.clear();
      return { ok: true };
    default:
      return undefined;
  }
}

control.listen(Number(values["control-port"] ?? 0), "127.0.0.1", () => {
  const { port } = control.address() as AddressInfo;
  console.log(JSON.stringify({ url: fake.url, port: fake.port, controlUrl: `http://127.0.0.1:${port}` }));
});
for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => process.exit(0));
