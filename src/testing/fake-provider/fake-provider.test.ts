import { createHash } from "node:crypto";
import { gunzipSync } from "node:zlib";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { RawConnection, rawRequest, requestBytes } from "@/testing/raw-http";
import { countTokens, scenarioHeader, startFakeProvider, type FakeProvider, type Scenario } from ".";

let fake: FakeProvider;
let openai: OpenAI;
let anthropic: Anthropic;
beforeAll(async () => {
  fake = await startFakeProvider();
  openai = new OpenAI({ baseURL: `${fake.url}/v1`, apiKey: "sk-test", maxRetries: 0 });
  anthropic = new Anthropic({ baseURL: fake.url, apiKey: "sk-ant-test", maxRetries: 0 });
});
afterAll(() => fake.close());
beforeEach(() => fake.clear());

const chatBody = (extra: object = {}): string =>
  JSON.stringify({ model: "gpt-4o-mini", stream: true, messages: [{ role: "user", content: "hi" }], ...extra });
const chat = (scenario: Scenario, extra: object = {}) =>
  rawRequest({
    port: fake.port,
    target: "/v1/chat/completions",
    headers: ["Authorization", "Bearer sk-test", ...Object.entries(scenarioHeader(scenario)).flat()],
    body: chatBody(extra),
  });
const dataLines = (body: Buffer): string[] => [...body.toString().matchAll(/^data: (.*)$/gm)].map((match) => match[1]!);

describe("OpenAI's wire", () => {
  it("tells stream usage only to who asked, as one chunk without choices, and null before", async () => {
    const asked = dataLines((await chat({}, { stream_options: { include_usage: true } })).body);
    expect(asked.at(-1)).toBe("[DONE]");
    const chunks = asked.slice(0, -1).map((line) => JSON.parse(line) as { choices: unknown[]; usage?: unknown });
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { completion_tokens: expect.any(Number) as number } });
    expect(chunks.slice(0, -1).every((chunk) => chunk.usage === null && chunk.choices.length === 1)).toBe(true);
    const plain = (await chat({})).body.toString();
    expect(plain).not.toContain('"usage"');
  });

  it("is understood by the official client in every mode", async () => {
    const message = { role: "user" as const, content: "hi" };
    const whole = await openai.chat.completions.create({ model: "gpt-4o-mini", messages: [message] });
    expect(whole.model).toBe("gpt-4o-mini-2024-07-18");
    expect(whole.usage?.completion_tokens).toBe(countTokens(whole.choices[0]!.message.content!));
    let text = "";
    for await (const chunk of await openai.chat.completions.create({ model: "gpt-4o-mini", messages: [message], stream: true })) {
      text += chunk.choices[0]?.delta.content ?? "";
    }
    expect(text).toBe(whole.choices[0]!.message.content);
    const response = await openai.responses.create({ model: "gpt-4.1-mini", input: "hi" });
    expect(response.output_text).toBe(text);
    const streamed = await openai.responses.stream({ model: "gpt-4.1-mini", input: "hi" }).finalResponse();
    expect(streamed.output_text).toBe(text);
    expect(streamed.usage).toEqual(response.usage);
    expect((await openai.embeddings.create({ model: "text-embedding-3-small", input: "hi" })).data[0]!.embedding).toEqual([
      0.125, -0.25, 0.5, 0.0625,
    ]);
    expect((await openai.models.list()).data.length).toBeGreaterThan(3);
    expect((await openai.images.generate({ model: "gpt-image-1", prompt: "a cat" })).usage?.output_tokens).toBe(272);
  });

  it("cuts the answer at the caller's cap, and bills what it produced", async () => {
    const capped = await openai.chat.completions.create({
      model: "gpt-4o-mini",
      max_tokens: 5,
      messages: [{ role: "user", content: "hi" }],
    });
    expect(capped.choices[0]!.finish_reason).toBe("length");
    expect(capped.usage?.completion_tokens).toBe(5);
    expect(fake.log[0]!.billed.output).toBe(5);
  });

  it("refuses an unknown key in the provider's own shape", async () => {
    const stranger = new OpenAI({ baseURL: `${fake.url}/v1`, apiKey: "sk-invalid", maxRetries: 0 });
    await expect(stranger.models.list()).rejects.toBeInstanceOf(OpenAI.AuthenticationError);
  });
});

describe("Anthropic's wire", () => {
  const ask = { model: "claude-haiku-4-5-20251001", max_tokens: 100, messages: [{ role: "user" as const, content: "hi" }] };

  it("is understood by the official client in every mode", async () => {
    const whole = await anthropic.messages.create(ask);
    const streamed = await anthropic.messages.stream(ask).finalMessage();
    expect(streamed.content).toEqual(whole.content);
    expect(streamed.usage.output_tokens).toBe(whole.usage.output_tokens);
    fake.next({ tools: [{ name: "weather", arguments: '{"city":"Paris"}' }], thinking: "I should look at the weather." });
    const tool = await anthropic.messages.stream(ask).finalMessage();
    expect(tool.content.map((block) => block.type)).toEqual(["thinking", "tool_use"]);
    expect(tool.stop_reason).toBe("tool_use");
    expect((await anthropic.messages.countTokens({ model: ask.model, messages: ask.messages })).input_tokens).toBeGreaterThan(0);
    expect((await anthropic.models.list()).data.length).toBe(3);
  });

  it("tells cumulative output in message_delta, and the input with the start", async () => {
    fake.next({ tokens: { input: 10, cached: 200, cacheWrite5m: 30, output: 40 }, usage: "twice" });
    const answer = await rawRequest({
      port: fake.port,
      target: "/v1/messages",
      headers: ["x-api-key", "sk-ant-test", "anthropic-version", "2023-06-01"],
      body: JSON.stringify({ ...ask, stream: true }),
    });
    const events = dataLines(answer.body).map(
      (line) => JSON.parse(line) as { type: string; usage?: { output_tokens: number }; message?: { usage: unknown } },
    );
    expect(events[0]!.message!.usage).toMatchObject({ input_tokens: 10, cache_read_input_tokens: 200, cache_creation_input_tokens: 30 });
    expect(events.filter((event) => event.type === "message_delta").map((event) => event.usage!.output_tokens)).toEqual([20, 40]);
    expect(events.at(-1)!.type).toBe("message_stop");
  });
});

describe("the ground-truth log", () => {
  it("keeps the request as it came: order, case, duplicates, chunked body", async () => {
    const body = Buffer.from('{ "model" : "gpt-4o-mini",\n "messages":[] }');
    await rawRequest({
      port: fake.port,
      target: "/v1/chat/completions?a=1&a=%2F",
      headers: ["aUTHORIZATION", "Bearer sk-test", "X-Twice", "1", "X-Twice", "2"],
      body,
      chunkBytes: 7,
    });
    const [exchange] = fake.log;
    expect(exchange!.request.target).toBe("/v1/chat/completions?a=1&a=%2F");
    expect(exchange!.request.rawHeaders.slice(2)).toEqual([
      "aUTHORIZATION",
      "Bearer sk-test",
      "X-Twice",
      "1",
      "X-Twice",
      "2",
      "Transfer-Encoding",
      "chunked",
    ]);
    expect(exchange!.request.body.equals(body)).toBe(true);
    expect(exchange!.request.bodySha256).toBe(createHash("sha256").update(body).digest("hex"));
  });

  it("knows every byte it sent", async () => {
    const answer = await chat({});
    expect(Buffer.concat(fake.log[0]!.sent.body).equals(answer.body)).toBe(true);
    expect(fake.log[0]!.sent.wireBytes).toBe(answer.wire.length);
    expect(fake.log[0]!.sent.rawHeaders).toEqual(answer.rawHeaders);
  });

  it("bills what was produced when the caller leaves, or everything if it does not notice", async () => {
    for (const keepsGenerating of [false, true]) {
      fake.clear();
      fake.next({ tokens: { output: 80 }, chunks: 8, holds: [{ at: 4, gate: "middle" }], keepsGenerating });
      const connection = await RawConnection.connect({ port: fake.port });
      await connection.send(
        requestBytes({ port: fake.port, target: "/v1/chat/completions", headers: ["Authorization", "Bearer k"], body: chatBody() }),
      );
      await fake.gates.reached("middle");
      connection.reset();
      await fake.log[0]!.ended;
      // Role, then three pieces of ten tokens.
      expect(fake.log[0]).toMatchObject({ outcome: "aborted", billed: { output: keepsGenerating ? 80 : 30 } });
    }
  });
});

describe("the wire, bent", () => {
  it("cuts bytes wherever asked without changing them", async () => {
    const whole = (await chat({ seed: "same", text: "short ä" })).body;
    for (const cut of ["byte", [1, 2, 50, 51], { coalesce: 3 }] as const) {
      const pieces = await chat({ seed: "same", text: "short ä", cut: typeof cut === "object" && "length" in cut ? [...cut] : cut });
      expect(pieces.body.equals(whole)).toBe(true);
      expect(pieces.complete).toBe(true);
    }
  });

  it("compresses event by event", async () => {
    const whole = (await chat({ seed: "same" })).body;
    const packed = await chat({ seed: "same", encoding: "gzip" });
    expect(packed.header("content-encoding")).toBe("gzip");
    expect(gunzipSync(packed.body).equals(whole)).toBe(true);
  });

  it("ends badly in every way it is told to", async () => {
    const cut = await chat({ fault: { kind: "fin", at: { events: 3 } } });
    expect(cut.complete).toBe(false);
    expect(dataLines(cut.body)).toHaveLength(3);
    const short = await chat({ framing: "content-length", fault: { kind: "fin", at: { bytes: 10 } } });
    expect(short).toMatchObject({ complete: false, body: { length: 10 } });
    await expect(chat({ fault: { kind: "reset", at: "headers" } })).rejects.toThrow(/ECONNRESET/);
    const polite = await chat({ framing: "close", omitTerminal: true });
    expect(dataLines(polite.body)).not.toContain("[DONE]");
    const error = await chat({ inBandError: { afterEvents: 2, type: "server_error", message: "boom" } });
    expect(dataLines(error.body).at(-1)).toContain("boom");
    expect(fake.log.map((exchange) => exchange.outcome)).toEqual(["faulted", "faulted", "faulted", "complete", "complete"]);
  });

  it("answers several requests on one connection, and says so", async () => {
    const connection = await RawConnection.connect({ port: fake.port });
    for (let i = 0; i < 3; i++) {
      await connection.send(requestBytes({ port: fake.port, target: "/v1/models", headers: ["Authorization", "Bearer k"] }));
      expect((await connection.response()).status).toBe(200);
    }
    connection.hangUp();
    expect(new Set(fake.log.map((exchange) => exchange.connection)).size).toBe(1);
  });
});
