import { createHash } from "node:crypto";
import type { AddressInfo, Socket } from "node:net";
import { answerAnthropic, anthropicError } from "./anthropic";
import { jsonAnswer, NO_TOKENS, type Answer } from "./answer";
import { Gates } from "./gates";
import { answerOpenAi, openAiError } from "./openai";
import { parseScenario, SCENARIO_HEADER, ScenarioInput, type Quantities, type Scenario } from "./scenario";
import { sendAnswer, type Outcome, type Sent } from "./send-answer";
import { createWireServer, type WireRequest } from "./wire-server";

/** One exchange in the ground-truth log. Money and bytes are scored against this, never against our own tables. */
export type FakeExchange = {
  /** 1, 2, 3 … in order of arrival. */
  id: number;
  /** Which connection it came over; two exchanges of one connection share it. */
  connection: number;
  provider: "openai" | "anthropic";
  request: WireRequest;
  scenario: Scenario;
  startedAtMs: number;
  endedAtMs: number | undefined;
  sent: Sent;
  outcome: "open" | Outcome;
  /** What the provider bills for it; nothing while it is open. */
  billed: Quantities;
  /** Resolves when the exchange has ended, one way or the other. */
  ended: Promise<void>;
};

export type FakeProvider = {
  /** Base for both providers, without `/v1`. */
  url: string;
  port: number;
  log: FakeExchange[];
  /** Requests whose caller left before the body was complete; they are not in the log. */
  readonly truncatedRequests: number;
  /** `clear` replaces them. */
  readonly gates: Gates;
  /** What the next request without a scenario header gets; queues up. */
  next(...scenarios: Scenario[]): void;
  /** What every request gets where nothing else is said. */
  setDefault(scenario: Scenario): void;
  /** The first exchange, past or future, that the test is looking for. */
  exchange(matches: (exchange: FakeExchange) => boolean): Promise<FakeExchange>;
  /** Forgets the log and queued scenarios, and opens all gates. */
  clear(): void;
  /** Open connections. */
  readonly connections: number;
  /** Breaks every connection, as a provider's restart does. */
  resetAll(): void;
  close(): Promise<void>;
};

/** A provider at the wire: both APIs on one port, told apart as by the product (`anthropic-version` or `x-api-key`). */
export async function startFakeProvider(options: { port?: number; host?: string; logMax?: number } = {}): Promise<FakeProvider> {
  const host = options.host ?? "127.0.0.1";
  const logMax = options.logMax ?? Number.MAX_SAFE_INTEGER;
  const log: FakeExchange[] = [];
  const queue: Scenario[] = [];
  const watchers = new Set<(exchange: FakeExchange) => void>();
  const sockets = new Set<Socket>();
  let defaults: Scenario = {};
  let exchanges = 0;
  let truncatedRequests = 0;
  let gates = new Gates();

  const server = createWireServer({
    onHead: () => {},
    onTruncated: () => {
      truncatedRequests++;
    },
    onRequest: async (request, socket, connection) => {
      const provider = isAnthropic(request) ? "anthropic" : "openai";
      const header = request.header(SCENARIO_HEADER);
      let scenario: Scenario;
      let answer: Answer | undefined;
      try {
        scenario = { ...defaults, ...(header === undefined ? queue.shift() : parseScenario(header)) };
      } catch (error) {
        scenario = {};
        answer = jsonAnswer({ status: 500, headers: [], body: { fakeProvider: `wrong scenario: ${String(error)}` } });
      }
      const id = ++exchanges;
      let end!: () => void;
      const exchange: FakeExchange = {
        id,
        connection,
        provider,
        request,
        scenario,
        startedAtMs: Date.now(),
        endedAtMs: undefined,
        sent: { status: 0, rawHeaders: [], body: [], bodyBytes: 0, eventsSent: 0, wireBytes: 0 },
        outcome: "open",
        billed: NO_TOKENS,
        ended: new Promise<void>((resolve) => {
          end = resolve;
        }),
      };
      log.push(exchange);
      if (log.length > logMax) log.shift();
      for (const watch of watchers) watch(exchange);
      answer ??= answerTo({ request, provider, scenario, serial: id });
      const result = await sendAnswer({ request, answer, scenario, socket, gates, sent: exchange.sent });
      exchange.outcome = result.outcome;
      exchange.billed = result.billed;
      exchange.endedAtMs = Date.now();
      end();
      return result.next;
    },
  });
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port ?? 0, host, resolve);
  });
  // Listening on TCP, so the address is an object.
  const { port } = server.address() as AddressInfo;

  return {
    url: `http://${host}:${port}`,
    port,
    log,
    get gates() {
      return gates;
    },
    get truncatedRequests() {
      return truncatedRequests;
    },
    get connections() {
      return sockets.size;
    },
    next: (...scenarios) => {
      queue.push(...scenarios.map((scenario) => ScenarioInput.parse(scenario)));
    },
    setDefault: (scenario) => {
      defaults = ScenarioInput.parse(scenario);
    },
    exchange: (matches) =>
      new Promise((resolve) => {
        const found = log.find(matches);
        if (found) return resolve(found);
        const watch = (exchange: FakeExchange): void => {
          if (!matches(exchange)) return;
          watchers.delete(watch);
          resolve(exchange);
        };
        watchers.add(watch);
      }),
    clear: () => {
      log.length = 0;
      queue.length = 0;
      defaults = {};
      gates.releaseAll();
      gates = new Gates();
    },
    resetAll: () => {
      for (const socket of sockets) socket.resetAndDestroy();
    },
    close: async () => {
      gates.releaseAll();
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

const isAnthropic = (request: WireRequest): boolean =>
  request.header("anthropic-version") !== undefined ||
  request.header("x-api-key") !== undefined ||
  request.target.startsWith("/v1/messages");

function answerTo(input: { request: WireRequest; provider: "openai" | "anthropic"; scenario: Scenario; serial: number }): Answer {
  const { request, provider, scenario, serial } = input;
  const path = request.target.split("?", 1)[0]!;
  const id = createHash("sha256")
    .update(scenario.seed ?? `serial ${serial}`)
    .digest("hex")
    .slice(0, 24);
  const call = { request, path, scenario, id };

  if (scenario.echo) {
    const { method, target, rawHeaders, bodyBytes, bodySha256 } = request;
    return jsonAnswer({ status: scenario.status ?? 200, headers: [], body: { method, target, rawHeaders, bodyBytes, bodySha256 } });
  }
  const literal = scenario.bodyBase64 === undefined ? scenario.body : Buffer.from(scenario.bodyBase64, "base64");
  if (literal !== undefined) {
    const plain = provider === "openai" ? answerOpenAi(call) : answerAnthropic(call);
    const bytes = typeof literal === "string" ? Buffer.from(literal) : literal;
    const status = scenario.status ?? 200;
    return {
      status,
      statusMessage: "",
      headers: plain.headers,
      events: [{ bytes, produced: { output: 0, reasoning: 0 } }],
      streams: false,
      bill: status >= 400 ? NO_TOKENS : plain.bill,
    };
  }
  if (scenario.status !== undefined && scenario.status >= 300) {
    const { type, message } = ERRORS[scenario.status] ?? { type: "api_error", message: `Answer with status ${scenario.status}` };
    return provider === "openai"
      ? openAiError(call, scenario.status, {
          type: OPENAI_TYPES[scenario.status] ?? "server_error",
          message,
          code: OPENAI_CODES[scenario.status] ?? null,
        })
      : anthropicError(call, scenario.status, { type, message });
  }
  const answer = provider === "openai" ? answerOpenAi(call) : answerAnthropic(call);
  return scenario.status === undefined ? answer : { ...answer, status: scenario.status };
}

/** Anthropic's error type per status, and a sentence as either provider would write it. */
const ERRORS: Readonly<Record<number, { type: string; message: string }>> = {
  400: { type: "invalid_request_error", message: "The request is not valid." },
  401: { type: "authentication_error", message: "The API key is not valid." },
  403: { type: "permission_error", message: "The API key may not do this." },
  404: { type: "not_found_error", message: "There is no such model." },
  413: { type: "request_too_large", message: "The request is too large." },
  422: { type: "invalid_request_error", message: "The request could not be processed." },
  429: { type: "rate_limit_error", message: "Too many requests, slow down." },
  500: { type: "api_error", message: "The server had an error." },
  503: { type: "overloaded_error", message: "The engine is overloaded." },
  529: { type: "overloaded_error", message: "Overloaded" },
};
const OPENAI_TYPES: Readonly<Record<number, string>> = {
  400: "invalid_request_error",
  401: "invalid_request_error",
  403: "invalid_request_error",
  404: "invalid_request_error",
  422: "invalid_request_error",
  429: "requests",
};
const OPENAI_CODES: Readonly<Record<number, string>> = { 401: "invalid_api_key", 404: "model_not_found", 429: "rate_limit_exceeded" };
