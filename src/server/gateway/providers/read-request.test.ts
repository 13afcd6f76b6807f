import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type ProviderName, type ReadRequestResult, providers } from ".";

function read(provider: ProviderName, path: string, body: string | Buffer, contentType = "application/json"): ReadRequestResult {
  return providers[provider].readRequest(providers[provider].classify("POST", path), Buffer.from(body), contentType);
}

const chat = (body: unknown): ReadRequestResult =>
  read("openai", "/v1/chat/completions", typeof body === "string" ? body : JSON.stringify(body));
const messages = (body: unknown): ReadRequestResult =>
  read("anthropic", "/v1/messages", typeof body === "string" ? body : JSON.stringify(body));

function facts(result: ReadRequestResult): object {
  if (!result.ok) throw new Error(result.message);
  return result.facts;
}

describe("requests to OpenAI", () => {
  it("reads what decides the price of a chat completion", () => {
    const body = {
      messages: [{ role: "user", content: `"model":"x"` }],
      model: "gpt-5.2",
      stream: true,
      stream_options: { include_usage: true },
      n: 3,
      max_completion_tokens: 100,
      max_tokens: 50,
      service_tier: "flex",
      reasoning_effort: "low",
    };
    expect(facts(chat(body))).toEqual({
      model: "gpt-5.2",
      stream: true,
      serviceTier: "flex",
      outputTokensMax: 100,
      choices: 3,
      asksStreamUsage: true,
      thinksUnseen: true,
      background: false,
      reasoningEffort: "low",
    });
  });

  it("takes null for not set, as the provider does", () => {
    const body = { model: "gpt-4o", stream: null, n: null, max_tokens: null, stream_options: null, service_tier: null };
    expect(facts(chat(body))).toEqual({
      model: "gpt-4o",
      stream: false,
      choices: 1,
      asksStreamUsage: false,
      thinksUnseen: false,
      background: false,
    });
  });

  it("reads Responses with their own names", () => {
    const body = { model: "gpt-4.1", input: "hi", background: true, max_output_tokens: 7, reasoning: { effort: "none" } };
    expect(facts(read("openai", "/v1/responses", JSON.stringify(body)))).toMatchObject({
      background: true,
      outputTokensMax: 7,
      thinksUnseen: false,
      reasoningEffort: "none",
    });
  });

  it.each([
    ["gpt-5.2", true],
    ["o4-mini", true],
    ["openai/o3", true],
    ["some-new-model", true],
    ["gpt-4o-2024-08-06", false],
    ["openai/gpt-4.1", false],
    ["gpt-5-chat-latest", false],
    ["ft:gpt-4o:org::1", false],
  ])("knows whether %s may think unseen: %s", (model, expected) => {
    expect(facts(chat({ model }))).toMatchObject({ thinksUnseen: expected });
  });

  it("counts every answer that legacy completions write", () => {
    const choices = (body: object): unknown =>
      (facts(read("openai", "/v1/completions", JSON.stringify(body))) as { choices: number }).choices;
    expect(choices({ prompt: "a", n: 2 })).toBe(2);
    expect(choices({ prompt: "a", n: 2, best_of: 5 })).toBe(5);
    expect(choices({ prompt: ["a", "b", "c"], n: 2 })).toBe(6);
    expect(choices({ prompt: [1, 2, 3] })).toBe(1);
    expect(choices({ prompt: [[1, 2], [3]] })).toBe(2);
  });

  it("counts what is to be spoken in characters, not in UTF-16 units", () => {
    expect(facts(read("openai", "/v1/audio/speech", JSON.stringify({ model: "tts-1", input: "hé😀" })))).toMatchObject({
      inputCharacters: 3,
    });
  });

  // "abc", -1 or 1e400 once switched a budget off; they are refused, never read as no limit.
  it.each([
    [`{"max_tokens":"abc"}`, "max_tokens"],
    [`{"max_tokens":"100"}`, "max_tokens"],
    [`{"max_tokens":-1}`, "max_tokens"],
    [`{"max_tokens":1e400}`, "max_tokens"],
    [`{"max_tokens":18446744073709551616}`, "max_tokens"],
    [`{"max_tokens":1.5}`, "max_tokens"],
    [`{"max_tokens":{}}`, "max_tokens"],
    [`{"max_tokens":[1]}`, "max_tokens"],
    [`{"max_tokens":true}`, "max_tokens"],
    [`{"max_tokens":01}`, "max_tokens"],
    [`{"max_completion_tokens":-0.1}`, "max_completion_tokens"],
    [`{"n":0}`, "n"],
    [`{"n":-1}`, "n"],
    [`{"n":"2"}`, "n"],
    [`{"stream":"true"}`, "stream"],
    [`{"stream":1}`, "stream"],
    [`{"model":5}`, "model"],
    [`{"model":""}`, "model"],
    [`{"model":["a"]}`, "model"],
    [`{"service_tier":1}`, "service_tier"],
    [`{"stream_options":true}`, "stream_options"],
    [`{"stream_options":{"include_usage":"yes"}}`, "stream_options.include_usage"],
    [`{"background":"no"}`, "background"],
    [`{"reasoning":"high"}`, "reasoning"],
  ])("refuses %s", (body, path) => {
    expect(chat(body)).toMatchObject({ ok: false, code: "bad_request", issues: [{ path }] });
  });

  it.each([
    "",
    "null",
    "[]",
    "1",
    `"x"`,
    "{",
    `{"model":"a"} x`,
    `{"model":"a",}`,
    `{'model':'a'}`,
    `{"a":${"[".repeat(200)}${"]".repeat(200)}}`,
    "\u0000",
    "{\u0000}",
  ])("refuses a body that is no readable object: %j", (body) => {
    expect(chat(body)).toMatchObject({ ok: false, code: "bad_request" });
  });

  it.each([
    `{"model":"cheap","model":"dear"}`,
    `{"mod\\u0065l":"cheap","model":"dear"}`,
    `{"model":"cheap","Model":"dear"}`,
    `{"max_tokens":1,"max_tokens":100000}`,
    `{"n":1,"\\u006e":128}`,
    `{"stream":false,"stream":true}`,
    `{"messages":[],"messages":[{}]}`,
    `{"stream_options":{"include_usage":true,"include_usage":false}}`,
  ])("refuses a body that can be read in two ways: %s", (body) => {
    expect(chat(body)).toMatchObject({ ok: false, code: "ambiguous_body" });
  });

  it("leaves prototypes alone", () => {
    expect(chat(`{"__proto__":{"model":"x"},"constructor":{"prototype":{"n":5}},"model":"gpt-4o"}`)).toMatchObject({
      ok: true,
      facts: { model: "gpt-4o", choices: 1 },
    });
    expect(({} as Record<string, unknown>)["model"]).toBeUndefined();
  });

  it("never throws, and never reads a cap as none", () => {
    const odd = fc.oneof(fc.jsonValue({ maxDepth: 2 }), fc.constantFrom(-1, 0, 1, 2 ** 53, 0.5));
    fc.assert(
      fc.property(odd, odd, (cap, n) => {
        const result = chat({ model: "gpt-4o", max_tokens: cap, n });
        const isCap = typeof cap === "number" && Number.isSafeInteger(cap) && cap >= 0;
        if (!result.ok) return;
        expect(result.facts.outputTokensMax).toBe(isCap ? cap : undefined);
        if (!isCap) expect(cap).toBeNull();
      }),
    );
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 100 }),
        (bytes) => void read("openai", "/v1/audio/transcriptions", Buffer.from(bytes), "multipart/form-data; boundary=x"),
      ),
    );
  });
});

describe("requests to Anthropic", () => {
  it("reads what decides the price of a message", () => {
    const body = {
      model: "claude-opus-5",
      max_tokens: 1024,
      stream: true,
      thinking: { type: "enabled", budget_tokens: 512 },
      output_config: { effort: "high" },
      speed: "fast",
      inference_geo: "us",
      service_tier: "auto",
    };
    expect(facts(messages(body))).toEqual({
      model: "claude-opus-5",
      stream: true,
      serviceTier: "auto",
      outputTokensMax: 1024,
      choices: 1,
      asksStreamUsage: false,
      thinksUnseen: true,
      background: false,
      reasoningEffort: "high",
      thinkingBudget: 512,
      speed: "fast",
      inferenceGeo: "us",
    });
    expect(facts(messages({ model: "claude-opus-5", thinking: { type: "disabled" } }))).toMatchObject({ thinksUnseen: false });
  });

  it.each([
    [`user_abc_account_123e_session_0d1f8e2a-1111-4222-8333-444455556666`, "0d1f8e2a-1111-4222-8333-444455556666"],
    [`{"device_id":"d","account_uuid":"a","session_id":"s-1"}`, "s-1"],
    [`session_xyz`, "xyz"],
    [`{"session_id":7}`, undefined],
    [`{"session_id":"a\\nb"}`, undefined],
    [`{"session_id":"${"x".repeat(300)}"}`, undefined],
    [`just-a-user`, undefined],
    [`{broken`, undefined],
  ])("finds the session in metadata.user_id %s", (userId, expected) => {
    expect((facts(messages({ model: "c", metadata: { user_id: userId } })) as { sessionId?: string }).sessionId).toBe(expected);
  });

  it.each([
    [`{"max_tokens":"abc"}`, "max_tokens"],
    [`{"thinking":"on"}`, "thinking"],
    [`{"thinking":{"type":"enabled","budget_tokens":-1}}`, "thinking.budget_tokens"],
    [`{"speed":7}`, "speed"],
  ])("refuses %s", (body, path) => {
    expect(messages(body)).toMatchObject({ ok: false, code: "bad_request", issues: [{ path }] });
  });

  it("refuses a body that can be read in two ways", () => {
    expect(messages(`{"thinking":{"type":"enabled","budget_tokens":1,"budget_tokens":99999}}`)).toMatchObject({
      ok: false,
      code: "ambiguous_body",
    });
  });
});

describe("forms", () => {
  const form = (parts: readonly [string, string][], end = "--b--\r\n"): string =>
    parts.map(([head, content]) => `--b\r\n${head}\r\n\r\n${content}\r\n`).join("") + end;
  const field = (name: string, value: string): [string, string] => [`Content-Disposition: form-data; name="${name}"`, value];
  const file: [string, string] = [
    `Content-Disposition: form-data; name="file"; filename="a \\"b\\".mp3"\r\nContent-Type: audio/mpeg`,
    `ID3\r\n--not-it\r\n\u0000{"model":"x"}`,
  ];
  const readForm = (body: string, contentType = "multipart/form-data; boundary=b"): ReadRequestResult =>
    read("openai", "/v1/audio/transcriptions", body, contentType);

  it("reads the fields that decide the price, past files that look like fields", () => {
    expect(
      facts(readForm(form([file, field("model", "gpt-4o-transcribe"), field("stream", "true"), field("language", "en")]))),
    ).toMatchObject({ model: "gpt-4o-transcribe", stream: true });
    expect(facts(readForm(form([field("model", "whisper-1")]), `multipart/form-data; charset=utf-8; boundary="b"`))).toMatchObject({
      model: "whisper-1",
    });
    expect(
      facts(read("openai", "/v1/images/edits", form([field("model", "gpt-image-1"), field("n", "3")]), "multipart/form-data; boundary=b")),
    ).toMatchObject({ choices: 3 });
  });

  it("takes JSON where the endpoint takes both", () => {
    expect(facts(read("openai", "/v1/images/edits", `{"model":"gpt-image-1","n":2}`))).toMatchObject({ model: "gpt-image-1", choices: 2 });
  });

  it.each([
    ["no boundary", form([]), "multipart/form-data"],
    ["two boundaries", form([field("model", "a")]), "multipart/form-data; boundary=b; boundary=c"],
    ["another type", form([field("model", "a")]), "text/plain; boundary=b"],
    ["line feeds alone", form([field("model", "a")]).replaceAll("\r\n", "\n"), undefined],
    ["a delimiter after a line feed alone", form([field("model", "a")]).replace("a\r\n--b", "a\n--b"), undefined],
    ["no end", form([field("model", "a")], ""), undefined],
    ["parts after its end", `${form([field("model", "a")])}${form([field("model", "dear")])}`, undefined],
    [
      "an encoded field",
      form([[`Content-Disposition: form-data; name="model"\r\nContent-Transfer-Encoding: base64`, "ZGVhcg=="]]),
      undefined,
    ],
    ["an extended name", form([[`Content-Disposition: form-data; name*=utf-8''model`, "dear"]]), undefined],
    ["two names in one part", form([[`Content-Disposition: form-data; name="x"; name="model"`, "dear"]]), undefined],
    ["a file for a field", form([[`Content-Disposition: form-data; name="model"; filename="m"`, "dear"]]), undefined],
    ["a number that is none", form([field("n", "-1")]), undefined],
    ["a part without headers", `--b\r\n\r\nx\r\n--b--\r\n`, undefined],
    ["a folded header", form([[`Content-Disposition: form-data;\r\n name="model"`, "dear"]]), undefined],
  ])("refuses a form with %s", (_name, body, contentType) => {
    expect(readForm(body, contentType ?? "multipart/form-data; boundary=b")).toMatchObject({ ok: false, code: "bad_request" });
  });

  it("refuses a field that stands twice", () => {
    expect(readForm(form([field("model", "cheap"), field("model", "dear")]))).toMatchObject({ ok: false, code: "ambiguous_body" });
  });
});
