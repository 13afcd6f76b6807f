import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { settledEvent, storedEvents, type StoredEvent } from "@/testing/events";
import type { Scenario } from "@/testing/fake-provider";
import { RawConnection, requestBytes, type RawResponse } from "@/testing/raw-http";
import { costNano } from "../clients/prices";
import { eventually, startGatewayServer, type GatewayServer } from "./gateway-server";
import { startRawUpstream, type RawUpstream } from "./raw-upstream";

// What would break in production: a provider that fails in a way nobody thought of takes the process, another tenant's answer or the
// books with it. Each row of the fault matrix E is one promise.

const MODEL = "gpt-4o-mini";
const chat = (extra: object = {}): string => JSON.stringify({ model: MODEL, messages: [{ role: "user", content: "hi" }], ...extra });
const stream = chat({ stream: true, stream_options: { include_usage: true }, max_tokens: 50 });
const messages = JSON.stringify({
  model: "claude-haiku-4-5-20251001",
  stream: true,
  max_tokens: 50,
  messages: [{ role: "user", content: "hi" }],
});
const TIMEOUTS = { headersMs: 400, bodyMs: 400 };

let gateway: GatewayServer;
let rawGateway: GatewayServer;
let raw: RawUpstream;
beforeAll(async () => {
  raw = await startRawUpstream();
  gateway = await startGatewayServer({ limits: { timeouts: TIMEOUTS } });
  rawGateway = await startGatewayServer({ database: gateway.database, upstreamUrl: raw.url, limits: { timeouts: TIMEOUTS } });
});
afterAll(async () => {
  await rawGateway.close();
  await gateway.close();
  await raw.close();
});
beforeEach(() => gateway.fake.clear());
afterEach(async () => {
  for (const one of [gateway, rawGateway])
    await eventually(
      () => one.runtime.gateway.unfinished.size,
      (size) => size === 0,
    );
  expect(gateway.runtime.gateway.openCalls.size + rawGateway.runtime.gateway.openCalls.size).toBe(0);
});

type Answered = RawResponse & { event: StoredEvent };
async function call(
  scenario: Scenario | undefined,
  body = chat(),
  options: { target?: string; headers?: string[]; by?: GatewayServer } = {},
): Promise<Answered> {
  const { by = gateway } = options;
  const target = options.target ?? (body === messages ? "/v1/messages" : "/v1/chat/completions");
  if (scenario) gateway.fake.next(scenario);
  const more = [...(body === messages ? ["anthropic-version", "2023-06-01"] : []), ...(options.headers ?? [])];
  const answer = await by.send({ target, body, headers: by.headers(...more) });
  return { ...answer, event: await settledEvent(by, answer.header("x-nullspend-request-id")) };
}
const codeOf = (answer: RawResponse): unknown => (JSON.parse(answer.body.toString()) as { error: { code: unknown } }).error.code;

describe("the provider cannot be reached", () => {
  it("E1: nobody listens, no such name, no TLS: 502 in the provider's dialect, and nothing is charged", async () => {
    // Taken and given back: nobody listens there.
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    const { port } = taken.address() as AddressInfo;
    await new Promise((resolve) => taken.close(resolve));
    const allowed = `gone=http://127.0.0.1:${port},nowhere=http://nowhere.invalid,tls=https://127.0.0.1:${gateway.fake.port}`;
    const other = await startGatewayServer({
      fake: gateway.fake,
      database: gateway.database,
      env: { UPSTREAM_ALLOWLIST: allowed },
      limits: { connectMs: 1_000 },
    });
    try {
      for (const url of [`http://127.0.0.1:${port}`, "http://nowhere.invalid", `https://127.0.0.1:${gateway.fake.port}`]) {
        const answer = await call(undefined, chat(), { by: other, headers: ["X-NullSpend-Upstream", url] });
        expect(answer.status, url).toBe(502);
        expect(codeOf(answer)).toBe("upstream_unreachable");
        expect(answer.header("x-nullspend-denied")).toBeUndefined();
        expect(answer.event).toMatchObject({ status: "upstream_error", denialCode: "upstream_unreachable", httpStatus: 502, costNano: 0n });
      }
    } finally {
      await other.close();
    }
  });

  it("E2: a connection that is never made is given up after a while, and nothing is charged", async () => {
    // An address that belongs to nobody (RFC 5737). Where the machine has no way out, it is refused at once, which is the same to us.
    const other = await startGatewayServer({
      database: gateway.database,
      fake: gateway.fake,
      upstreamUrl: "http://192.0.2.1",
      limits: { connectMs: 300 },
    });
    try {
      const answer = await call(undefined, chat(), { by: other });
      expect(answer.status).toBe(502);
      expect(answer.event).toMatchObject({ status: "upstream_error", costNano: 0n });
    } finally {
      await other.close();
    }
  });
});

describe("the provider is late", () => {
  it("E3: headers that never come are 504 and charged at the bound, once, and the provider is let go", async () => {
    const answer = await call({ fault: { kind: "silence", at: "headers" } }, stream);
    expect(answer.status).toBe(504);
    expect(codeOf(answer)).toBe("upstream_timeout");
    expect(answer.header("x-should-retry")).toBe("false");
    expect(answer.event).toMatchObject({
      status: "upstream_error",
      denialCode: "upstream_timeout",
      costBasis: "bounded",
      outputTokens: 50,
    });
    await gateway.fake.log[0]!.ended;
  });

  it("E4: a first token that takes long is waited for within the limit", async () => {
    const answer = await call({ headersDelayMs: 200 }, stream);
    expect(answer.status).toBe(200);
    expect(answer.event).toMatchObject({ status: "ok", costBasis: "reported" });
  });

  it("E5: a gap between two pieces beyond the limit breaks the answer off, truncated for everyone to see", async () => {
    const answer = await call({ fault: { kind: "silence", at: { events: 3 } } }, stream);
    expect(answer.status).toBe(200);
    expect(answer.complete).toBe(false);
    expect(answer.event).toMatchObject({ status: "interrupted", costBasis: "bounded" });
    expect(answer.event.costNano).toBeGreaterThan(0n);
  });
});

describe("the provider says no", () => {
  it.each([400, 401, 403, 404, 422])("E6: %i is passed on to the byte and costs nothing", async (status) => {
    const answer = await call({ status, statusMessage: "As It Says" }, stream);
    expect(answer.status).toBe(status);
    expect(answer.statusMessage).toBe("As It Says");
    expect(answer.body.equals(Buffer.concat(gateway.fake.log[0]!.sent.body))).toBe(true);
    expect(answer.header("x-nullspend-denied")).toBeUndefined();
    expect(answer.event).toMatchObject({ status: "upstream_error", denialCode: null, httpStatus: status, costNano: 0n });
  });

  it("E7: its 429 keeps Retry-After and rate headers, and cannot be taken for ours", async () => {
    const answer = await call({
      status: 429,
      headers: ["Retry-After", "7", "x-ratelimit-remaining-requests", "0", "X-NullSpend-Denied", "1"],
    });
    expect(answer.status).toBe(429);
    expect(answer.header("retry-after")).toBe("7");
    expect(answer.header("x-ratelimit-remaining-requests")).toBe("0");
    expect(answer.header("x-nullspend-denied")).toBeUndefined();
  });

  it.each([500, 502, 503, 504, 529])("E8: %i is passed on, and costs nothing", async (status) => {
    const answer = await call({ status });
    expect(answer.status).toBe(status);
    expect(answer.body.equals(Buffer.concat(gateway.fake.log[0]!.sent.body))).toBe(true);
    expect(answer.event).toMatchObject({ status: "upstream_error", httpStatus: status, costNano: 0n });
    expect(gateway.fake.log).toHaveLength(1);
  });
});

describe("E9: answers that are not quite answers", () => {
  it("interim answers are not the answer", async () => {
    const answer = await call({ interim: "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" });
    expect(answer.status).toBe(200);
    expect(answer.header("link")).toBeUndefined();
    expect(answer.event).toMatchObject({ status: "ok", costBasis: "reported" });
  });

  it.each(["HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"])(
    "one that we did not ask for is 502: %j",
    async (interim) => {
      const answer = await call({ interim });
      expect(answer.status).toBe(502);
    },
  );

  it.each([204, 304])("%i has no body and leaves the connection in order", async (status) => {
    const answer = await call({ status });
    expect(answer.status).toBe(status);
    expect((await call({})).status).toBe(200);
  });

  it("HEAD is passed on with the length of what it does not bring", async () => {
    const answer = await gateway.send({ method: "HEAD", target: "/v1/models" });
    expect(answer.status).toBe(gateway.fake.log[0]!.sent.status);
    expect(gateway.fake.log[0]!.request.method).toBe("HEAD");
    expect((await call({})).status).toBe(200);
  });

  it.each([301, 302, 303, 307, 308])("%i is neither followed nor handed on", async (status) => {
    const answer = await call({ status, headers: ["Location", "https://elsewhere.example/"] });
    expect(answer.status).toBe(502);
    expect(answer.header("location")).toBeUndefined();
    expect(gateway.fake.log).toHaveLength(1);
    expect(answer.event).toMatchObject({ status: "upstream_error", costNano: 0n });
  });
});

describe("the provider breaks off", () => {
  it.each(["reset", "fin"] as const)("E10: %s in the middle is visible, never a made-up end, and what came is charged", async (kind) => {
    const answer = await call({ fault: { kind, at: { events: 4 } } }, stream);
    expect(answer.complete).toBe(false);
    expect(answer.body.toString()).not.toContain("[DONE]");
    expect(answer.event).toMatchObject({ status: "interrupted" });
    expect(answer.event.costNano).toBeGreaterThanOrEqual(costNano(MODEL, gateway.fake.log[0]!.billed));
  });

  it("E10: a stream that ends politely without its terminal marker is interrupted, too", async () => {
    const answer = await call({ omitTerminal: true, usage: "missing" }, stream);
    expect(answer.body.equals(Buffer.concat(gateway.fake.log[0]!.sent.body))).toBe(true);
    expect(answer.event).toMatchObject({ status: "interrupted" });
  });

  it("E11: a provider that closes its side while we still send does not hang us", async () => {
    raw.answer = (_request, socket) => void socket.end();
    const answer = await call(undefined, chat({ padding: "x".repeat(500_000) }), { by: rawGateway });
    expect(answer.status).toBe(502);
  });
});

describe("usage", () => {
  it("E12: missing: the text is counted", async () => {
    const { event } = await call({ usage: "missing", text: "one two three four five" }, stream);
    expect(event).toMatchObject({ costBasis: "counted", status: "ok" });
    expect(event.outputTokens).toBeGreaterThan(0);
    expect(event.costNano).toBeLessThanOrEqual(costNano(MODEL, { input: Buffer.byteLength(stream), output: 50 }));
  });

  it("E13: told twice: the last one counts", async () => {
    const { event } = await call({ usage: "twice", tokens: { input: 10, output: 20 } }, stream);
    expect(event).toMatchObject({ costBasis: "reported", inputTokens: 10, outputTokens: 20 });
  });

  it("E14: Anthropic's cumulative figures are not summed", async () => {
    const { event } = await call({ usage: "twice", tokens: { input: 10, output: 20 }, chunks: 5 }, messages);
    expect(event).toMatchObject({ costBasis: "reported", inputTokens: 10, outputTokens: 20 });
  });

  it("E15: told, and then the stream dies: no less than what was told", async () => {
    const { event } = await call({ tokens: { input: 1_000, output: 20 }, fault: { kind: "reset", at: { events: 4 } } }, messages);
    expect(event).toMatchObject({ status: "interrupted", inputTokens: 1_000 });
  });

  it("E16: an explicit zero is zero", async () => {
    const { event } = await call({ usage: "zero" }, stream);
    expect(event).toMatchObject({ costBasis: "reported", costNano: 0n, inputTokens: 0, outputTokens: 0 });
  });

  it("E17: the usage chunk that nobody asked for is taken out again, whatever case the content type is in", async () => {
    for (const contentType of ["text/event-stream", "Text/Event-Stream; charset=utf-8"]) {
      const answer = await call({ contentType }, chat({ stream: true }));
      expect(answer.body.toString()).not.toContain('"usage"');
      expect(answer.event).toMatchObject({ costBasis: "reported" });
    }
  });

  it.each<[string, object, object, bigint | null]>([
    ["cached tokens", { prompt_tokens_details: { cached_tokens: 40 } }, { cachedInputTokens: 40 }, 60n * 150n + 40n * 75n + 50n * 600n],
    [
      "reasoning tokens",
      { completion_tokens_details: { reasoning_tokens: 30 } },
      { reasoningTokens: 30, outputTokens: 50 },
      100n * 150n + 50n * 600n,
    ],
    [
      "predicted tokens, which are output already",
      { completion_tokens_details: { accepted_prediction_tokens: 10, rejected_prediction_tokens: 20 } },
      { outputTokens: 50 },
      100n * 150n + 50n * 600n,
    ],
    ["sound, which this model has no price for", { prompt_tokens_details: { audio_tokens: 40 } }, { inputTokens: 100 }, null],
    ["a count that nobody knows", { hologram_tokens: 7 }, {}, null],
    ["a count that nobody knows among the details", { prompt_tokens_details: { smell_tokens: 7 } }, {}, null],
    ["searches of a kind that nobody knows", { server_tool_use: { moon_requests: 1 } }, {}, null],
    ["unknown counts of zero, and words", { hologram_tokens: 0, mood: "good", later: null }, {}, 100n * 150n + 50n * 600n],
  ])("E18: usage with %s is priced, or said to have no price, and never dropped", async (_name, more, tokens, nano) => {
    const usage = { prompt_tokens: 100, completion_tokens: 50, total_tokens: 150, ...more };
    const choice = { index: 0, message: { role: "assistant", content: "Hi" }, finish_reason: "stop" };
    const body = JSON.stringify({ id: "chatcmpl-1", object: "chat.completion", model: MODEL, choices: [choice], usage });
    const chunk = (extra: object): string =>
      `data: ${JSON.stringify({ id: "c", object: "chat.completion.chunk", model: MODEL, ...extra })}\n\n`;
    const streamed =
      chunk({ choices: [{ index: 0, delta: { content: "Hi" }, finish_reason: "stop" }] }) +
      chunk({ choices: [], usage }) +
      "data: [DONE]\n\n";
    for (const answer of [await call({ body }), await call({ body: streamed, contentType: "text/event-stream" }, stream)]) {
      expect(answer.body.toString()).toContain(JSON.stringify(usage));
      expect(answer.event).toMatchObject({ ...tokens, costNano: nano, costBasis: nano === null ? "unpriced" : "reported" });
    }
  });

  it.each<[string, string, bigint | null]>([
    ["flex", "o4-mini", 100n * 550n + 50n * 2_200n],
    ["priority", "gpt-4o-mini", 100n * 250n + 50n * 1_000n],
    ["moonlight", MODEL, null],
  ])("E18: the tier %s of the answer decides the price, and one that nobody knows leaves the call without", async (tier, model, nano) => {
    const tokens = { prompt_tokens: 100, completion_tokens: 50, total_tokens: 150 };
    const choice = { index: 0, message: { role: "assistant", content: "Hi" }, finish_reason: "stop" };
    const { event } = await call(
      { body: JSON.stringify({ id: "c", object: "chat.completion", model, choices: [choice], usage: tokens, service_tier: tier }) },
      chat({ model }),
    );
    expect(event).toMatchObject({ costNano: nano, costBasis: nano === null ? "unpriced" : "reported" });
  });

  it("E18: Anthropic's unknown counts leave the call without a price, whole or streamed", async () => {
    const usage = { input_tokens: 100, output_tokens: 50, teleport_tokens: 3 };
    const whole = {
      id: "msg_1",
      type: "message",
      role: "assistant",
      model: "claude-haiku-4-5",
      content: [],
      stop_reason: "end_turn",
      usage,
    };
    const { event } = await call({ body: JSON.stringify(whole) }, messages.replace('"stream":true', '"stream":false'), {
      target: "/v1/messages",
      headers: ["anthropic-version", "2023-06-01"],
    });
    expect(event).toMatchObject({ inputTokens: 100, outputTokens: 50, costNano: null, costBasis: "unpriced" });
  });

  it("E30: a model that answers for another is priced by its own name", async () => {
    const { event } = await call({ model: "gpt-4o-2024-08-06", tokens: { input: 100, output: 10 } });
    expect(event).toMatchObject({ model: "gpt-4o-2024-08-06", requestedModel: MODEL, costNano: 350_000n });
  });
});

describe("bytes that make no sense", () => {
  const ODD = [
    "data: {not json\n\n",
    "data:\n\n",
    "nocolon\n\n",
    ": comment\n\n",
    "retry: x\nid: \0\n\n",
    "\r\r\r",
    "\r\n\r\n",
    "\uFEFFdata: {}\n\n",
    "event: error\ndata: []\n\n",
    'data: {"choices":[{"delta":{"content":"ä😀"}}]}\n\n',
    "data: [DONE]\n\n",
  ];

  it("E19, E20: any rubbish in an event stream, cut anywhere, is handed on as it is", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.oneof(
            fc.constantFrom(...ODD).map((text) => Buffer.from(text)),
            fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
          ),
          {
            minLength: 1,
            maxLength: 12,
          },
        ),
        fc.array(fc.integer({ min: 1, max: 200 }), { maxLength: 5 }),
        fc.boolean(),
        async (pieces, cut, anthropic) => {
          const body = Buffer.concat(pieces);
          const scenario: Scenario = { bodyBase64: body.toString("base64"), contentType: "text/event-stream", framing: "chunked", cut };
          const answer = await call(scenario, anthropic ? messages : stream);
          expect(answer.status).toBe(200);
          expect(answer.body.equals(body)).toBe(true);
        },
      ),
      { numRuns: 60 },
    );
  });

  it("E19: a hundred thousand blank lines", async () => {
    const body = "\n".repeat(100_000);
    const answer = await call({ body, contentType: "text/event-stream", framing: "chunked" }, stream);
    expect(answer.body.toString()).toBe(body);
  });

  it("E21: a line of 50 MB is handed on; the meter gives up on it, not the process", async () => {
    const line = Buffer.from(`data: ${"x".repeat(50_000_000)}`);
    raw.answer = (_request, socket) => {
      socket.write("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n");
      socket.end(line);
    };
    const before = process.memoryUsage().heapUsed;
    const connection = await RawConnection.connect({ port: rawGateway.port });
    let received = 0;
    connection.socket.removeAllListeners("data");
    connection.socket.on("data", (bytes: Buffer) => (received += bytes.length));
    const headers = rawGateway.headers("X-NullSpend-Session", "E21");
    await connection.send(requestBytes({ port: rawGateway.port, target: "/v1/chat/completions", headers, body: stream }));
    await eventually(
      () => received,
      (count) => count > line.length,
      20_000,
    );
    const events = await eventually(
      () => storedEvents(gateway, 0),
      (all) => all.some(({ sessionId }) => sessionId === "E21"),
    );
    const event = events.find(({ sessionId }) => sessionId === "E21")!;
    expect(event.status).toBe("interrupted");
    expect(event.costBasis).toMatch(/counted|bounded/);
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(200_000_000);
    connection.socket.destroy();
  }, 60_000);

  it("E22: more bytes than announced never reach another call", async () => {
    const rest = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison";
    for (const [together, surplus] of [
      [true, rest],
      [false, rest],
      [true, "trailing rubbish"],
      [false, "\r\n\r\n"],
    ] as const) {
      raw.answer = (_request, socket) => {
        const answer = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
        if (together) socket.write(answer + surplus);
        else socket.write(answer, () => setImmediate(() => socket.write(surplus)));
      };
      const first = await call(undefined, chat(), { by: rawGateway });
      expect(first.body.toString()).toBe("{}");
      // Whatever the provider sent before it was asked again belongs to nobody.
      await new Promise((resolve) => setTimeout(resolve, 30));
      const answers = await Promise.all(Array.from({ length: 5 }, () => call(undefined, chat(), { by: rawGateway })));
      for (const answer of answers) expect(answer.body.toString()).toBe("{}");
    }
  });

  it.each(["gzip", "br", "deflate"] as const)("E23: %s is read on the side and handed on as it is", async (encoding) => {
    const answer = await call({ encoding, tokens: { input: 11, output: 7 } }, chat(), { headers: ["Accept-Encoding", encoding] });
    expect(answer.header("content-encoding")).toBe(encoding);
    expect(answer.body.equals(Buffer.concat(gateway.fake.log[0]!.sent.body))).toBe(true);
    expect(answer.event).toMatchObject({ costBasis: "reported", inputTokens: 11, outputTokens: 7 });
  });

  it("E23: an answer encoded many times over, or a bomb, is handed on undecoded beyond what a meter needs", async () => {
    const many = Array.from({ length: 1_000 }, () => "gzip").join(", ");
    const answer = await call({ body: "not gzip", headers: ["Content-Encoding", many] });
    expect(answer.body.toString()).toBe("not gzip");
    const bomb = gzipSync(Buffer.alloc(400_000_000));
    const before = process.memoryUsage().rss;
    const bombed = await call({ bodyBase64: bomb.toString("base64"), headers: ["Content-Encoding", "gzip"] });
    expect(bombed.body.equals(bomb)).toBe(true);
    expect(process.memoryUsage().rss - before).toBeLessThan(400_000_000);
  }, 60_000);

  it("E24: a large answer streams through without being held", async () => {
    const megabytes = 128;
    const piece = Buffer.alloc(1024 * 1024, 0x61);
    raw.answer = (_request, socket) => {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: ${megabytes * piece.length}\r\n\r\n`);
      let left = megabytes;
      const more = (): void => {
        while (left-- > 0) if (!socket.write(piece)) return void socket.once("drain", more);
      };
      more();
    };
    const connection = await RawConnection.connect({ port: rawGateway.port });
    let received = 0;
    let peak = 0;
    const before = process.memoryUsage().arrayBuffers;
    connection.socket.removeAllListeners("data");
    connection.socket.on("data", (bytes: Buffer) => {
      received += bytes.length;
      peak = Math.max(peak, process.memoryUsage().arrayBuffers - before);
    });
    await connection.send(requestBytes({ port: rawGateway.port, target: "/v1/files/file-1/content", headers: rawGateway.headers() }));
    await eventually(
      () => received,
      (count) => count >= megabytes * piece.length,
      20_000,
    );
    expect(peak).toBeLessThan(80 * 1024 * 1024);
    connection.socket.destroy();
  }, 30_000);
});

describe("E25: heads", () => {
  const withHead = async (head: string): Promise<RawResponse> => {
    raw.answer = (_request, socket) => void socket.write(Buffer.from(`HTTP/1.1 ${head}\r\nContent-Length: 2\r\n\r\n{}`, "latin1"));
    return rawGateway.send({ target: "/v1/models" });
  };

  it("three hundred headers pass, and so do 60 kB in one", async () => {
    const answer = await withHead(`200 OK\r\n${Array.from({ length: 300 }, (_, i) => `x-h-${i}: ${i}`).join("\r\n")}`);
    expect(answer.status).toBe(200);
    expect(answer.rawHeaders.filter((name) => name.startsWith("x-h-"))).toHaveLength(300);
    expect((await withHead(`200 OK\r\nx-long: ${"l".repeat(60_000)}`)).header("x-long")).toHaveLength(60_000);
  });

  it("beyond 64 kB it is 502, not a crash", async () => {
    expect((await withHead(`200 OK\r\nx-long: ${"l".repeat(70_000)}`)).status).toBe(502);
  });

  it("latin-1 in values reaches the caller byte for byte; in the reason, where its bytes are not known, it costs the reason", async () => {
    const answer = await withHead("200 Schön\r\nx-name: Größe \xff");
    expect(answer.status).toBe(200);
    expect(answer.statusMessage).toBe("OK");
    expect(answer.header("x-name")).toBe("Größe \xff");
  });

  it("control characters in the reason, which Node would not send, cost the reason only", async () => {
    const answer = await withHead("200 O\x01K\x7f");
    expect(answer.status).toBe(200);
    expect(answer.body.toString()).toBe("{}");
  });

  it.each([
    "200 OK\r\nBad Name: x",
    "200 OK\r\nx: a\rb",
    "200 OK\r\nContent-Length: 5",
    "200 OK\r\nTransfer-Encoding: chunked",
    "999 Odd",
    "20 OK",
    "200 OK\r\nx\0y: 1",
    "200 OK\r\nfolded: a\r\n b",
  ])("%j is answered or refused, and never ends in a crash or a hang", async (head) => {
    const answer = await withHead(head);
    expect([200, 502, 504, 999]).toContain(answer.status);
    expect((await withHead("200 OK")).status).toBe(200);
  });

  it("Set-Cookie, hop-by-hop and what would pass for ours are not handed on", async () => {
    const answer = await withHead(
      "200 OK\r\nSet-Cookie: a=b\r\nConnection: keep-alive, x-hop\r\nX-Hop: 1\r\nX-NullSpend-Denied: 1\r\nX-Accel-Buffering: no\r\nKeep-Alive: timeout=5\r\nProxy-Authenticate: x",
    );
    for (const name of ["set-cookie", "x-hop", "x-nullspend-denied", "keep-alive", "proxy-authenticate"]) {
      expect(
        name === "keep-alive" ? answer.header(name)?.replace(/timeout=65/, "") || undefined : answer.header(name),
        name,
      ).toBeUndefined();
    }
    expect(answer.header("x-accel-buffering")).toBe("no");
  });
});

it("E26: an error that repeats the provider's key reaches its owner, and no log", async () => {
  const key = "sk-proj-CANARY1234567890abcdef";
  const answer = await call({ status: 401, body: `{"error":{"message":"Incorrect API key provided: ${key}"}}` });
  expect(answer.body.toString()).toContain(key);
  expect(gateway.logs()).not.toContain(key);
});

it("E27: a content type that lies does not mislead the meter", async () => {
  const whole = await call({ contentType: "text/event-stream", tokens: { input: 5, output: 6 } }, chat());
  expect(whole.event).toMatchObject({ costBasis: "reported", inputTokens: 5, outputTokens: 6 });
  const streamed = await call({ contentType: "application/json", tokens: { input: 5, output: 6 } }, stream);
  expect(streamed.event).toMatchObject({ costBasis: "reported", inputTokens: 5, outputTokens: 6 });
});

it("E28: an error event inside a 200 stream is passed on, and the event says so", async () => {
  const answer = await call({ inBandError: { afterEvents: 3, type: "overloaded_error", message: "Overloaded" } }, messages);
  expect(answer.body.toString()).toContain("overloaded_error");
  expect(answer.event).toMatchObject({ status: "upstream_error", httpStatus: 200 });
});

it("E29: a pooled connection that the provider closed meanwhile is not used again; nothing is sent twice", async () => {
  await call({});
  gateway.fake.resetAll();
  await eventually(
    () => gateway.fake.connections,
    (count) => count === 0,
  );
  expect((await call({})).status).toBe(200);
  expect(gateway.fake.log).toHaveLength(2);
});
