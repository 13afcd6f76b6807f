import fc from "fast-check";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { settledEvent } from "@/testing/events";
import { headerList, RawConnection, rawRequest, requestBytes, type RawRequest, type RawResponse } from "@/testing/raw-http";
import { eventually, startGatewayServer, type GatewayServer } from "./gateway-server";

// What would break in production: a body that is read in two ways is priced as one model and run as another; a header that is read in
// two ways is another tenant; and what throws where nobody expected it is an outage for all. Each row of the fault matrix H is a promise.

const chat = (extra: object = {}): string =>
  JSON.stringify({ model: "gpt-4o-mini", messages: [{ role: "user", content: "hi" }], ...extra });

let gateway: GatewayServer;
beforeAll(async () => {
  gateway = await startGatewayServer({ env: { TRUSTED_PROXIES: "127.0.0.0/8", RATE_LIMIT_AUTH_FAILURES_PER_MINUTE: "30" } });
});
afterAll(() => gateway.close());
beforeEach(() => gateway.fake.clear());
afterEach(async () => {
  await eventually(
    () => gateway.runtime.gateway.unfinished.size,
    (size) => size === 0,
  );
  expect(gateway.runtime.gateway.openCalls.size).toBe(0);
});

const post = (body: string | Buffer, options: { target?: string; headers?: string[] } = {}): Promise<RawResponse> =>
  gateway.send({ target: options.target ?? "/v1/chat/completions", headers: options.headers ?? gateway.headers(), body });
const codeOf = (answer: RawResponse): unknown => (JSON.parse(answer.body.toString()) as { error: { code: unknown } }).error.code;
/** Bytes as they are, on a connection of their own; the first answer, or undefined when the connection was closed without one. */
async function sendRaw(bytes: string | Buffer, method = "POST"): Promise<RawResponse | undefined> {
  const connection = await RawConnection.connect({ port: gateway.port });
  await connection.send(bytes);
  const answer = await connection.response({ method }).catch(() => undefined);
  connection.socket.destroy();
  return answer;
}
let addresses = 0;
/** Wrong keys are counted by address: each test that needs some has one of its own. */
const newAddress = (): string => `198.51.${Math.floor(++addresses / 250)}.${(addresses % 250) + 1}`;

describe("H1: bodies that can be read in two ways", () => {
  it.each([
    '{"model":"gpt-4o-mini","model":"gpt-5-pro"}',
    '{"model":"gpt-4o-mini","\\u006dodel":"gpt-5-pro"}',
    '{"model":"gpt-4o-mini","Model":"gpt-5-pro"}',
    '{"model":"gpt-4o-mini","MODEL":"gpt-5-pro"}',
    '{"model":"gpt-4o-mini","max_tokens":1,"max_tokens":100000}',
    '{"model":"gpt-4o-mini","max\\u005ftokens":1,"max_tokens":100000}',
    '{"model":"gpt-4o-mini","n":1,"n":100}',
    '{"model":"gpt-4o-mini","stream":false,"stream":true}',
    '{"model":"gpt-4o-mini","service_tier":"flex","service_tier":"priority"}',
    '{"model":"gpt-4o-mini","stream_options":{"include_usage":true,"include_usage":false}}',
    '{"model":"gpt-4o-mini","stream_options":{"include_usage":true},"stream_options":{}}',
    '{"model":"gpt-4o-mini","messages":[],"messages":[{"role":"user","content":"hi"}]}',
  ])("%s is 400 and reaches nobody", async (body) => {
    const answer = await post(body);
    expect(answer.status).toBe(400);
    expect(codeOf(answer)).toBe("ambiguous_body");
    expect(answer.header("x-should-retry")).toBe("false");
    expect(gateway.fake.log).toHaveLength(0);
  });

  it("a key that stands twice where it decides nothing passes untouched", async () => {
    const body = '{"model":"gpt-4o-mini","metadata":{"model":"a","model":"b"},"messages":[{"role":"user","content":"hi","x":1,"x":2}]}';
    expect((await post(body)).status).toBe(200);
    expect(gateway.fake.log[0]!.request.body.toString()).toBe(body);
  });
});

describe("H2: deep, wide and large numbers", () => {
  const deep = (depth: number): string => `{"model":"gpt-4o-mini","messages":[],"x":${"[".repeat(depth)}${"]".repeat(depth)}}`;
  it.each([90, 100, 101, 10_000, 1_000_000])("%i levels: passed or 400, in no time", async (depth) => {
    const start = performance.now();
    const answer = await post(deep(depth));
    expect(answer.status).toBe(depth <= 95 ? 200 : 400);
    expect(performance.now() - start).toBeLessThan(2_000);
  });

  it("a million keys", async () => {
    const body = `{"model":"gpt-4o-mini","messages":[],"x":{${Array.from({ length: 1_000_000 }, (_, i) => `"k${i}":1`).join(",")}}}`;
    const start = performance.now();
    await post(body);
    expect(gateway.fake.log[0]!.request.bodyBytes).toBe(body.length);
    expect(performance.now() - start).toBeLessThan(5_000);
  });

  it.each([
    '"abc"',
    "-1",
    "1e400",
    "-0.5",
    "1.5",
    "18446744073709551616",
    "true",
    "[]",
    "{}",
    "9007199254740993",
    "NaN",
    "Infinity",
    "0x10",
    "01",
    "1e",
  ])("max_tokens %s is 400, never no limit", async (value) => {
    for (const field of ["max_tokens", "n"]) {
      const answer = await post(`{"model":"gpt-4o-mini","messages":[],"${field}":${value}}`);
      expect(answer.status, field).toBe(400);
      expect(codeOf(answer)).toBe("bad_request");
    }
    expect(gateway.fake.log).toHaveLength(0);
  });
});

it("H2: a bound beyond anything that can be stored still has its event", async () => {
  const body = `{"model":"gpt-4o-mini","messages":[],"n":9007199254740991,"max_tokens":9007199254740991}`;
  gateway.fake.next({ fault: { kind: "reset", at: "headers" } });
  const answer = await post(body);
  expect(answer.status).toBe(502);
  expect(await settledEvent(gateway, answer.header("x-nullspend-request-id"))).toMatchObject({
    status: "upstream_error",
    outputTokens: 2_147_483_647,
  });
});

it("H3: keys that reach prototypes reach none", async () => {
  for (const name of ["__proto__", "constructor", "prototype", "toString"]) {
    const body = `{"model":"gpt-4o-mini","messages":[],"${name}":{"polluted":1,"stream":true},"metadata":{"${name}":{"polluted":1}}}`;
    const tags = `{"${name}":"x","ok":"y"}`;
    const answer = await post(body, { headers: gateway.headers("X-NullSpend-Tags", tags, "Helicone-Property-__proto__", "z") });
    expect(answer.status).toBe(200);
    expect(gateway.fake.log.at(-1)!.request.body.toString()).toBe(body);
    expect((await post(chat(), { target: `/v1/chat/completions?${name}[polluted]=1` })).status).toBe(200);
  }
  expect(({} as Record<string, unknown>).polluted).toBeUndefined();
});

describe("H4: odd text", () => {
  const ODD = ["\0", "\ud800", "\udfff\ud800", "\u202e", "\u200b", "e\u0301", "😀", "\ufeff", "\u0085", "\u2028"];
  it.each(ODD.map((text) => [JSON.stringify(text), text]))(
    "%s in model, content, tags, session, customer: 200 or 400, and the event is written",
    async (_, text) => {
      const escaped = JSON.stringify(text);
      const answers = [
        await post(`{"model":${escaped},"messages":[]}`),
        await post(`{"model":"gpt-4o-mini","messages":[{"role":"user","content":${escaped}}]}`),
        await post(chat(), { headers: gateway.headers("X-NullSpend-Tags", `{"a":${escapedAscii(text)},${escapedAscii(text)}:"b"}`) }),
        await post(chat({ metadata: { user_id: text } })),
      ];
      for (const answer of answers) {
        expect([200, 400]).toContain(answer.status);
        await settledEvent(gateway, answer.header("x-nullspend-request-id"));
      }
    },
  );

  it.each(["\xff\xfe", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82"])(
    "bytes that are no UTF-8 (%j) pass or are 400; the event is written",
    async (bytes) => {
      const body = Buffer.from(`{"model":"m${bytes}","messages":[],"x":"${bytes}"}`, "latin1");
      for (const answer of [
        await post(body),
        await post(chat(), {
          headers: gateway.headers(
            "X-NullSpend-Session",
            `s${bytes}`,
            "X-NullSpend-Tags",
            `{"a":"${bytes}"}`,
            "X-NullSpend-Customer",
            bytes,
          ),
        }),
        await post(Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), Buffer.from(chat())])),
        await post(Buffer.from(chat(), "utf16le")),
      ]) {
        expect([200, 400]).toContain(answer.status);
        await settledEvent(gateway, answer.header("x-nullspend-request-id"));
      }
    },
  );
});

describe("H5: tags and names at their limits", () => {
  it.each([
    [`{"${"k".repeat(64)}":"${"v".repeat(256)}"}`, undefined],
    [`{"${"k".repeat(65)}":"v","a":"${"v".repeat(257)}"}`, /dropped_tag/],
    [`{"k":"${"v".repeat(50_000)}"}`, /dropped_tag: k/],
    [`{${Array.from({ length: 5_000 }, (_, i) => `"${i}":1`).join(",")}}`, /more/],
    ["[".repeat(20_000), /dropped_tag/],
    ['{"_ns_x":"1"}', /_ns_x/],
    ["null", undefined],
    ["", /dropped_tag|^$/],
  ])("%.40s", async (tags, warning) => {
    const answer = await post(chat(), { headers: gateway.headers("X-NullSpend-Tags", tags) });
    expect(answer.status).toBe(200);
    if (warning) expect(answer.header("x-nullspend-warning") ?? "").toMatch(warning);
    else expect(answer.header("x-nullspend-warning")).toBeUndefined();
    expect(Buffer.byteLength(answer.header("x-nullspend-warning") ?? "")).toBeLessThan(4_096);
    await settledEvent(gateway, answer.header("x-nullspend-request-id"));
  });

  it("a session of 256 characters is kept, 257 are 400", async () => {
    expect(
      (await post(chat(), { headers: gateway.headers("X-NullSpend-Session", "s".repeat(256)) })).header("x-nullspend-session"),
    ).toHaveLength(256);
    const answer = await post(chat(), { headers: gateway.headers("X-NullSpend-Session", "s".repeat(257)) });
    expect(answer.status).toBe(400);
    expect(gateway.fake.log).toHaveLength(1);
  });

  it("a model name of 256 characters is kept, a longer one is 400", async () => {
    expect((await post(chat({ model: "m".repeat(256) }))).status).toBe(200);
    expect((await post(chat({ model: "m".repeat(257) }))).status).toBe(400);
    expect((await post(chat({ model: "m".repeat(1_000_000) }))).status).toBe(400);
  });
});

it("H6: SQL in every header and field changes nothing, and takes no time", async () => {
  const count = async (): Promise<number> =>
    (await gateway.database.pool.query<{ n: number }>("select count(*)::int n from api_key")).rows[0]!.n;
  const before = await count();
  for (const sql of [
    "' OR '1'='1",
    "'; DROP TABLE api_key; --",
    "1' || pg_sleep(10) || '",
    "\\'; select pg_sleep(10); --",
    "$1",
    "%' --",
  ]) {
    const start = performance.now();
    const from = ["X-Forwarded-For", newAddress()];
    for (const headers of [
      ["X-NullSpend-Key", sql, "Authorization", `Bearer ${sql}`, ...from],
      ["X-NullSpend-Key", `ns_live_sk_${sql}`.slice(0, 43).padEnd(43, "0"), ...from],
      ["Authorization", `Bearer ${sql}`, ...from],
      ["x-api-key", sql, "anthropic-version", sql, ...from],
    ])
      expect((await post(chat(), { headers })).status).toBe(401);
    const names = [
      "X-NullSpend-Session",
      "X-NullSpend-Customer",
      "X-NullSpend-Trace-Id",
      "X-NullSpend-Action-Id",
      "traceparent",
      "X-NullSpend-Tags",
      "User-Agent",
    ];
    const answer = await post(chat({ model: sql, user: sql }), { headers: gateway.headers(...names.flatMap((name) => [name, sql])) });
    expect(answer.status).toBe(200);
    await settledEvent(gateway, answer.header("x-nullspend-request-id"));
    expect(performance.now() - start).toBeLessThan(3_000);
  }
  expect(await count()).toBe(before);
});

it("H8: odd queries pass to the provider as they are", async () => {
  for (const query of ["?a[b]=c&a[b]=d", "?a=1&a=2", "?%zz", "?=", "?????", "?a=%00", "?" + "q=1&".repeat(5_000)]) {
    const answer = await gateway.send({ target: `/v1/models${query}` });
    expect(answer.status, query.slice(0, 20)).toBe(200);
    expect(gateway.fake.log.at(-1)!.request.target).toBe(`/v1/models${query}`);
  }
});

it("H9, H10: mark-up and formulas are kept as they are, in the event and nowhere else", async () => {
  const model = `=HYPERLINK("x")<svg onload=alert(1)>{{7*7}}`;
  const answer = await post(chat({ model }));
  expect((await settledEvent(gateway, answer.header("x-nullspend-request-id"))).requestedModel).toBe(model);
});

it("H11: line breaks reach no header and no log line", async () => {
  for (const text of ["a\rb", "a\nb", "a\r\nX-Injected: 1", "\0"]) {
    const bytes = requestBytes({
      port: gateway.port,
      target: "/v1/chat/completions",
      headers: gateway.headers("X-NullSpend-Session", text),
      body: chat(),
    });
    const answer = await sendRaw(bytes);
    if (answer) expect(text.includes("\r\nX-") ? [200, 400] : [400]).toContain(answer.status);
  }
  const answer = await post(chat({ model: "a\r\nX-Injected: 1\r\n\r\n" }), {
    headers: gateway.headers("X-NullSpend-Tags", '{"a":"x\\r\\nX-Injected: 1","b\\r\\nX-Injected: 1":"c"}'),
  });
  expect(answer.header("x-injected")).toBeUndefined();
  expect(answer.status).toBe(200);
  for (const line of gateway.logs().split("\n").filter(Boolean)) expect(() => JSON.parse(line) as unknown).not.toThrow();
});

describe("H12: whose request it is", () => {
  const head = (target: string, hosts: string[]): string =>
    `GET ${target} HTTP/1.1\r\n${hosts.map((host) => `Host: ${host}\r\n`).join("")}X-NullSpend-Key: ${gateway.apiKey}\r\nAuthorization: Bearer sk-provider\r\n\r\n`;

  it("two Host headers, or none, are 400", async () => {
    expect((await sendRaw(head("/v1/models", ["a", "b"])))!.status).toBe(400);
    expect((await sendRaw(head("/v1/models", ["a", "a"])))!.status).toBe(400);
    expect((await sendRaw(head("/v1/models", [])))!.status).toBe(400);
    expect(gateway.fake.log).toHaveLength(0);
  });

  it("whatever Host says, the provider is asked by its own name", async () => {
    for (const host of ["a/#@evil", "evil.example", "127.0.0.1:1", "%00", "[::1]", "x".repeat(5_000)]) {
      const answer = await sendRaw(head("/v1/models", [host]));
      if (answer!.status === 200) expect(gateway.fake.log.at(-1)!.request.header("host")).toBe(`127.0.0.1:${gateway.fake.port}`);
    }
  });

  it("an absolute target is served for its path only, whatever host it names", async () => {
    const answer = await sendRaw(head("http://evil.example/v1/models?a=http://b", ["evil.example"]));
    expect(answer!.status).toBe(200);
    const { request } = gateway.fake.log[0]!;
    expect(request.target).toBe("/v1/models?a=http://b");
    expect(request.header("host")).toBe(`127.0.0.1:${gateway.fake.port}`);
    for (const target of ["http://evil.example", "http:///v1/models", "ftp://evil.example/v1/models", "*", "http://a@b:c/v1/models"]) {
      expect((await sendRaw(head(target, ["evil.example"])))?.header("location"), target).toBeUndefined();
    }
  });
});

describe("H13: framing that can be read in two ways is 400, and nothing is forwarded", () => {
  it.each([
    ["Content-Length: 5\r\nTransfer-Encoding: chunked", "0\r\n\r\nGET /v1/models HTTP/1.1\r\n\r\n"],
    ["Content-Length: 2\r\nContent-Length: 3", "{} "],
    ["Content-Length: 2, 3", "{} "],
    ["Content-Length: +2", "{}"],
    ["Content-Length: 0x2", "{}"],
    ["Content-Length : 2", "{}"],
    ["Transfer-Encoding: xchunked", "2\r\n{}\r\n0\r\n\r\n"],
    ["Transfer-Encoding: chunked, identity", "2\r\n{}\r\n0\r\n\r\n"],
    ["Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", "2\r\n{}\r\n0\r\n\r\n"],
    ["X: a\r\n b\r\nContent-Length: 2", "{}"],
    ["Transfer-Encoding: chunked", "-1\r\n{}\r\n0\r\n\r\n"],
    ["Transfer-Encoding: chunked", "2 2\r\n{}\r\n0\r\n\r\n"],
    ["Transfer-Encoding: chunked", "FFFFFFFFFFFFFFFFF\r\n{}\r\n"],
    ["Transfer-Encoding: chunked", "2\r\n{}0\r\n\r\n"],
    ["Content-Length: 2\nX: y", "{}"],
  ])("%j", async (framing, body) => {
    const bytes = `POST /v1/files HTTP/1.1\r\nHost: a\r\nX-NullSpend-Key: ${gateway.apiKey}\r\n${framing}\r\n\r\n${body}`;
    const answer = await sendRaw(bytes);
    if (answer) expect(answer.status).toBe(400);
    await eventually(
      () => gateway.runtime.gateway.unfinished.size,
      (size) => size === 0,
    );
    expect(gateway.fake.log).toHaveLength(0);
  });

  it("chunk extensions are read away, and endless ones refused", async () => {
    const start = `POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nX-NullSpend-Key: ${gateway.apiKey}\r\nAuthorization: Bearer sk\r\nTransfer-Encoding: chunked\r\n\r\n`;
    const body = chat();
    const size = body.length.toString(16);
    expect((await sendRaw(`${start}${size};a=b\r\n${body}\r\n0\r\n\r\n`))!.status).toBe(200);
    expect(gateway.fake.log[0]!.request.body.toString()).toBe(body);
    expect((await sendRaw(`${start}${size};${"e".repeat(20_000)}\r\n${body}\r\n0\r\n\r\n`))!.status).toBe(413);
  });

  it("naming the credential in Connection strips it, and adds nobody else's", async () => {
    await post(chat(), { headers: gateway.headers("Connection", "authorization, x-nullspend-key, host, content-length, content-type") });
    const { request } = gateway.fake.log[0]!;
    expect(request.header("authorization")).toBeUndefined();
    expect(request.header("host")).toBe(`127.0.0.1:${gateway.fake.port}`);
    expect(request.body.toString()).toBe(chat());
  });
});

it("H14: path tricks reach nobody", async () => {
  for (const path of [
    "//v1/models",
    "/v1//models",
    "/v1/../v1/models",
    "/v1/./models",
    "/v1/%2e%2e/models",
    "/v1/%2E%2E%2Fadmin",
    "/v1/models%00",
    "/v1/models;x=1",
    "/v1/models%2f..%2f",
    "/v1/%6dodels",
    "/v1\\models",
    "/v1/models\\..",
    "/v1/mod els".replace(" ", "%09"),
    "/v1/http://evil/",
    "/v1/Chat/Completions",
    "/v1/chat/completions/",
    "/v1/v1/v1/models",
    "/openai/anthropic/v1/models",
    "/openai/v1",
    "/v1",
    "/v1/",
    "/openai//v1/models",
    "/v1/policy/x",
    "/v1/mcp/x",
  ]) {
    const answer = await gateway.send({ target: path, method: "POST", body: chat() });
    expect([400, 404], path).toContain(answer.status);
  }
  expect(gateway.fake.log.map(({ request }) => request.target)).toEqual([]);
});

it("H14: dot segments are 400 before anybody reads them, be it for the gateway, REST or a page", async () => {
  for (const target of [
    "/x/../v1/models",
    "/_next/../v1/models",
    "/v1/../api/keys",
    "/api/health/../keys",
    "/%2e%2e/v1/models",
    "/v1/.%2E/models",
    "/.",
    "/..",
    "/a/..?x",
    "/a\\..\\v1",
  ]) {
    const answer = await sendRaw(`GET ${target} HTTP/1.1\r\nHost: a\r\nX-NullSpend-Key: ${gateway.adminKey}\r\n\r\n`, "GET");
    expect(answer!.status, target).toBe(400);
  }
  for (const target of ["/v1/models?x=/../y", "/v1/models/a..b", "/v1/models/..."])
    expect((await gateway.send({ target })).header("x-nullspend-request-id"), target).toBeDefined();
});

it("H15: an upstream of the caller's choice must be on the list, to the letter", async () => {
  for (const url of [
    "http://evil.example",
    "http://169.254.169.254",
    "file:///etc/passwd",
    "http://localhost:1",
    "",
    "x",
    "//127.0.0.1",
    "javascript:1",
    `${gateway.fake.url}@evil.example`,
    `http://evil.example#${gateway.fake.url}`,
    "http://2130706433",
    `${gateway.fake.url}/v1`,
    gateway.fake.url,
  ]) {
    const answer = await post(chat(), { headers: gateway.headers("X-NullSpend-Upstream", url) });
    expect(answer.status, url).toBe(400);
    expect(codeOf(answer)).toBe("invalid_upstream");
  }
  expect(gateway.fake.log).toHaveLength(0);
});

it("H16: text made for slow patterns is read in no time", async () => {
  const evil = [
    "a".repeat(50_000) + "!",
    "_session_".repeat(5_000),
    " ".repeat(50_000) + "x",
    ",".repeat(30_000),
    "%".repeat(50_000),
    "-".repeat(50_000),
  ];
  for (const text of evil) {
    const start = performance.now();
    const names = [
      "traceparent",
      "X-NullSpend-Trace-Id",
      "X-NullSpend-Customer",
      "Accept-Encoding",
      "Content-Type",
      "Authorization",
      "Connection",
      "X-Forwarded-For",
      "Expect-CT",
    ];
    for (const name of names) await post(chat(), { headers: ["X-NullSpend-Key", gateway.apiKey, name, text] });
    await post(chat({ model: text, user: text, metadata: { user_id: text } }));
    await post(chat(), {
      target: "/v1/audio/transcriptions",
      headers: gateway.headers("Content-Type", `multipart/form-data; boundary=${text}`),
    });
    expect(performance.now() - start, text.slice(0, 10)).toBeLessThan(2_500);
  }
});

it("H18: a body in another form than the endpoint takes is 415", async () => {
  for (const type of [
    "multipart/form-data; boundary=x",
    "application/x-www-form-urlencoded",
    "text/html",
    "application/json; charset=utf-7",
    "application/json;charset=utf-16",
    "application/json; charset=latin1",
    "image/png",
    "application/jsonp",
  ]) {
    const answer = await post(chat(), {
      headers: headerList(`X-NullSpend-Key: ${gateway.apiKey}`, "Authorization: Bearer sk", `Content-Type: ${type}`),
    });
    expect(answer.status, type).toBe(415);
    expect(codeOf(answer)).toBe("unsupported_media_type");
  }
  expect(gateway.fake.log).toHaveLength(0);
  for (const type of [
    "application/json",
    "application/json; charset=UTF-8",
    'Application/JSON; charset="utf-8"',
    "application/vnd.x+json",
    "text/plain",
  ]) {
    const answer = await post(chat(), {
      headers: headerList(`X-NullSpend-Key: ${gateway.apiKey}`, "Authorization: Bearer sk", `Content-Type: ${type}`),
    });
    expect(answer.status, type).toBe(200);
  }
  expect((await post(chat(), { headers: ["X-NullSpend-Key", gateway.apiKey, "Authorization", "Bearer sk"] })).status).toBe(200);
});

it("H19: methods that no provider has reach nobody", async () => {
  for (const method of ["TRACE", "OPTIONS", "PROPFIND", "PURGE", "LOCK", "SEARCH"]) {
    const answer = await gateway.send({ method, target: "/v1/models" });
    expect(answer.status, method).toBe(405);
    expect(answer.header("allow")).toContain("POST");
  }
  for (const method of ["get", "Get", "FOO", "G@T"])
    expect((await sendRaw(`${method} /v1/models HTTP/1.1\r\nHost: a\r\n\r\n`))!.status).toBe(400);
  expect((await sendRaw("CONNECT api.openai.com:443 HTTP/1.1\r\nHost: api.openai.com:443\r\n\r\n"))!.status).toBe(405);
  expect(gateway.fake.log).toHaveLength(0);
});

describe("who calls", () => {
  it("a wrong key is 401 thirty times a minute and address, then 429 with a time; a right key passes all the while", async () => {
    const address = newAddress();
    const wrong = (i: number, from = address): Promise<RawResponse> =>
      post(chat(), { headers: ["X-NullSpend-Key", `ns_live_sk_${String(i).padStart(32, "0")}`, "X-Forwarded-For", from] });
    const statuses = [];
    for (let i = 0; i < 40; i++) statuses.push((await wrong(i)).status);
    expect(statuses).toEqual([...Array<number>(30).fill(401), ...Array<number>(10).fill(429)]);
    const limited = await wrong(99);
    expect(codeOf(limited)).toBe("rate_limited");
    expect(Number(limited.header("retry-after"))).toBeGreaterThan(0);
    expect(Number(limited.header("retry-after"))).toBeLessThanOrEqual(60);
    expect(limited.header("x-should-retry")).toBeUndefined();
    expect((await post(chat(), { headers: gateway.headers("X-Forwarded-For", address) })).status).toBe(200);
    expect((await wrong(99, newAddress())).status).toBe(401);
    // What the caller itself puts in front of its address is not believed.
    expect((await wrong(99, `203.0.113.9, ${address}`)).status).toBe(429);
  });

  it("wrong keys over REST and through the gateway are counted together", async () => {
    const address = newAddress();
    const ask = async (target: string, key: string): Promise<number> =>
      (await gateway.send({ target, headers: ["X-NullSpend-Key", key, "X-Forwarded-For", address] })).status;
    const statuses = [];
    for (let i = 0; i < 34; i++) statuses.push(await ask(i % 2 === 0 ? "/api/keys" : "/v1/models", `ns_live_sk_${"0".repeat(32)}`));
    expect(statuses).toEqual([...Array<number>(30).fill(401), ...Array<number>(4).fill(429)]);
    expect(await ask("/api/cost-events", gateway.adminKey)).toBe(200);
  });

  it("X-Forwarded-For of a peer that is no proxy of ours is not believed", async () => {
    const direct = await startGatewayServer({
      fake: gateway.fake,
      database: gateway.database,
      env: { RATE_LIMIT_AUTH_FAILURES_PER_MINUTE: "2" },
    });
    try {
      const statuses = [];
      for (let i = 0; i < 4; i++) {
        const headers = ["X-NullSpend-Key", "wrong", "X-Forwarded-For", newAddress()];
        statuses.push((await rawRequest({ port: direct.port, target: "/v1/models", headers })).status);
      }
      expect(statuses).toEqual([401, 401, 429, 429]);
    } finally {
      await direct.close();
    }
  });

  it("a key that calls too often is 429 with a time, and others are not", async () => {
    const limited = await startGatewayServer({
      fake: gateway.fake,
      database: gateway.database,
      env: { RATE_LIMIT_CALLS_PER_KEY_PER_MINUTE: "5" },
    });
    try {
      const statuses = [];
      for (let i = 0; i < 7; i++) statuses.push((await limited.send({ target: "/v1/models" })).status);
      expect(statuses).toEqual([200, 200, 200, 200, 200, 429, 429]);
      const answer = await limited.send({ target: "/v1/models" });
      expect(codeOf(answer)).toBe("rate_limited");
      expect(answer.header("x-nullspend-denied")).toBe("1");
      expect((await settledEvent(limited, answer.header("x-nullspend-request-id"))).denialCode).toBe("rate_limited");
      expect(
        (await limited.send({ target: "/v1/models", headers: ["X-NullSpend-Key", limited.adminKey, "Authorization", "Bearer sk"] })).status,
      ).toBe(200);
    } finally {
      await limited.close();
    }
  });

  it("N2: a key in an address is 400, reaches nobody, and is in no log", async () => {
    for (const target of [
      `/v1/models?key=${gateway.apiKey}`,
      `/v1/models?key=${gateway.apiKey.replace("_", "%5F")}`,
      `/v1/models/${gateway.apiKey}`,
      `/v1/models?${encodeURIComponent(gateway.apiKey).replaceAll("_", "%5f")}`,
    ]) {
      const answer = await gateway.send({ target });
      expect(answer.status).toBe(400);
      expect(answer.body.toString()).not.toContain(gateway.apiKey);
    }
    expect(gateway.fake.log).toHaveLength(0);
    expect(gateway.logs()).not.toContain(gateway.apiKey);
  });

  it("composite credentials work in each header they may stand in, and no forwarded header holds our key", async () => {
    const composite = `${gateway.apiKey}:sk-own`;
    for (const [headers, name, value] of [
      [["Authorization", `Bearer ${composite}`], "authorization", "Bearer sk-own"],
      [["authorization", `bearer  ${composite}`], "authorization", "bearer  sk-own"],
      [["x-api-key", composite, "anthropic-version", "2023-06-01"], "x-api-key", "sk-own"],
      [["X-NullSpend-Key", gateway.apiKey, "Authorization", `Bearer ${composite}`], "authorization", "Bearer sk-own"],
      [["X-NullSpend-Key", gateway.apiKey, "X-Other", composite, "Authorization", "Bearer sk-own"], "authorization", "Bearer sk-own"],
    ] as const) {
      const answer = await gateway.send({ target: "/v1/models", headers: [...headers] });
      expect(answer.header("x-nullspend-denied")).toBeUndefined();
      const { request } = gateway.fake.log.at(-1)!;
      expect(request.header(name)).toBe(value);
      expect(request.head.toString()).not.toContain("ns_live_sk_");
    }
    const other = `ns_live_sk_${"0".repeat(32)}`;
    for (const headers of [
      ["Authorization", `Bearer ${gateway.apiKey}`],
      ["Authorization", `Bearer ${gateway.apiKey}:`],
      ["Authorization", `Bearer ${gateway.apiKey}: `],
      ["Authorization", `Bearer :${gateway.apiKey}`],
      ["Authorization", `Basic ${composite}`],
      ["Authorization", `Bearer ${composite}`, "X-NullSpend-Key", other],
      ["Authorization", `Bearer ${composite}`, "x-api-key", composite],
      ["Authorization", `Bearer ${gateway.apiKey}:${gateway.apiKey}:sk`],
      ["X-NullSpend-Key", `${gateway.apiKey}, ${gateway.apiKey}`],
      ["X-NullSpend-Key", gateway.apiKey.toUpperCase()],
    ]) {
      const answer = await gateway.send({ target: "/v1/models", headers: [...headers, "X-Forwarded-For", newAddress()] });
      expect(answer.status, headers.join(" ")).toBe(401);
      expect(answer.body.toString()).not.toContain(gateway.apiKey);
    }
  });
});

describe("what else callers say", () => {
  it("NullSpend-Version is one or none", async () => {
    expect((await post(chat(), { headers: gateway.headers("NullSpend-Version", "2026-04-01") })).status).toBe(200);
    for (const version of ["2026-04-02", "", "x".repeat(10_000)]) {
      const answer = await post(chat(), { headers: gateway.headers("NullSpend-Version", version) });
      expect(answer.status).toBe(400);
      expect(answer.body.length).toBeLessThan(1_000);
    }
  });

  it("a doubled /v1 and explicit providers find their way", async () => {
    for (const [target, reached] of [
      ["/v1/v1/models", "/v1/models"],
      ["/openai/v1/models", "/v1/models"],
      ["/anthropic/v1/models", "/v1/models"],
      ["/anthropic/v1/v1/messages", "/v1/messages"],
      ["/v1/v1/messages", "/v1/messages"],
    ] as const) {
      await gateway.send({ target, ...(reached === "/v1/messages" && { body: chat({ model: "claude-haiku-4-5", max_tokens: 5 }) }) });
      expect(gateway.fake.log.at(-1)!.request.target, target).toBe(reached);
    }
  });

  it.each([
    ["/v1/realtime?model=gpt-realtime", [], { error: { code: "unsupported_endpoint" } }],
    ["/v1/messages", [], { type: "error", error: { type: "api_error" } }],
    ["/v1/files", ["x-api-key", "k"], { type: "error" }],
    ["/openai/v1/realtime", ["x-api-key", "k"], { error: { type: "server_error" } }],
  ])("a WebSocket on %s is 501 in the provider's dialect", async (target, headers, body) => {
    const answer = await gateway.send({
      target,
      headers: [
        ...headers,
        ...headerList(
          "Connection: Upgrade",
          "Upgrade: websocket",
          "Sec-WebSocket-Version: 13",
          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        ),
      ],
    });
    expect(answer.status).toBe(501);
    expect(JSON.parse(answer.body.toString())).toMatchObject(body);
    expect(gateway.fake.log).toHaveLength(0);
  });
});

describe("H20: generated requests", () => {
  const LONG = process.env.NULLSPEND_LONG === "1";
  const RUNS = LONG ? 100_000 : 3_000;

  const word = fc.oneof(
    fc.constantFrom(
      "gpt-4o-mini",
      "model",
      "user",
      "hi",
      "__proto__",
      "",
      " ",
      "\0",
      "ä😀",
      "' OR 1=1",
      "a".repeat(300),
      "null",
      "-1",
      "1e999",
      "ns_live_sk_",
    ),
    fc.string({ maxLength: 30 }),
  );
  const value: fc.Arbitrary<unknown> = fc.oneof(
    { maxDepth: 3 },
    word,
    fc.integer(),
    fc.double(),
    fc.boolean(),
    fc.constant(null),
    fc.jsonValue({ maxDepth: 3 }),
  );
  const field = fc.constantFrom(
    "model",
    "messages",
    "max_tokens",
    "max_completion_tokens",
    "n",
    "stream",
    "stream_options",
    "service_tier",
    "tools",
    "input",
    "prompt",
    "thinking",
    "metadata",
    "system",
    "background",
    "reasoning",
    "temperature",
    "tool_choice",
    "response_format",
    "size",
    "voice",
    "MODEL",
    "stop_sequences",
  );
  const validBody = fc.constantFrom(
    chat(),
    chat({ stream: true, max_tokens: 20 }),
    JSON.stringify({
      model: "claude-haiku-4-5",
      max_tokens: 20,
      system: [{ type: "text", text: "x" }],
      messages: [{ role: "user", content: "hi" }],
    }),
    JSON.stringify({ model: "gpt-4.1-mini", input: "hi", stream: true, tools: [{ type: "web_search" }] }),
    JSON.stringify({ model: "text-embedding-3-small", input: ["a", "b"] }),
  );
  const body: fc.Arbitrary<Buffer> = fc.oneof(
    {
      weight: 4,
      arbitrary: fc
        .tuple(validBody, fc.array(fc.tuple(field, value), { maxLength: 4 }))
        .map(([text, fields]) => Buffer.from(JSON.stringify({ ...(JSON.parse(text) as object), ...Object.fromEntries(fields) }))),
    },
    // Bytes of a valid body changed, cut out, doubled.
    {
      weight: 4,
      arbitrary: fc
        .tuple(
          validBody,
          fc.array(
            fc.tuple(
              fc.nat(400),
              fc.nat(20),
              fc.oneof(
                fc.uint8Array({ maxLength: 6 }),
                fc.constantFrom('"', "{", "}", "[", "]", ",", ":", "\\u", "0", "e").map((text) => Buffer.from(text)),
              ),
            ),
            { minLength: 1, maxLength: 4 },
          ),
        )
        .map(([text, edits]) =>
          edits.reduce((bytes, [at, cut, put]) => Buffer.concat([bytes.subarray(0, at), put, bytes.subarray(at + cut)]), Buffer.from(text)),
        ),
    },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)) },
    { weight: 1, arbitrary: fc.jsonValue().map((json) => Buffer.from(JSON.stringify(json))) },
  );
  const target = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.constantFrom(
        "/v1/chat/completions",
        "/v1/messages",
        "/v1/responses",
        "/v1/embeddings",
        "/v1/completions",
        "/v1/audio/speech",
        "/v1/images/edits",
        "/v1/files",
        "/v1/batches",
        "/v1/models",
        "/anthropic/v1/files",
        "/v1/responses/resp_1",
      ),
    },
    {
      weight: 1,
      arbitrary: fc
        .array(
          fc.oneof(
            fc.constantFrom("v1", "openai", "..", "%2e", "chat", "a;b", "", "messages", "@", "%zz", "\x7f"),
            fc.stringMatching(/^[!-"$->@-~]{0,8}$/),
          ),
          { maxLength: 6 },
        )
        .map((parts) => `/v1/${parts.join("/")}`),
    },
  );
  const headerValue = fc.oneof(
    fc.constantFrom(
      "",
      "{}",
      '{"a":"b"}',
      '{"a":',
      "[]",
      "x".repeat(5_000),
      "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
      "off",
      "passthrough",
      "2026-04-01",
      "300",
      "-1",
      "gzip;q=0, *",
      "close, authorization",
      "chunked",
      "\xff\xfe",
      "1e9",
    ),
    fc.stringMatching(/^[\t -~\x80-\xff]{0,40}$/),
  );
  const headerName = fc.oneof(
    fc.constantFrom(
      "X-NullSpend-Tags",
      "X-NullSpend-Session",
      "X-NullSpend-Customer",
      "traceparent",
      "tracestate",
      "X-NullSpend-Trace-Id",
      "X-NullSpend-Action-Id",
      "X-NullSpend-Upstream",
      "X-NullSpend-Wait",
      "X-NullSpend-Usage",
      "X-NullSpend-Log",
      "NullSpend-Version",
      "Helicone-Property-A",
      "Helicone-User-Id",
      "Accept-Encoding",
      "Content-Type",
      "Content-Encoding",
      "Connection",
      "Authorization",
      "x-api-key",
      "anthropic-version",
      "Cookie",
      "X-Forwarded-For",
      "Range",
      "If-None-Match",
      "TE",
      "Keep-Alive",
    ),
    fc.stringMatching(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,20}$/),
  );
  const headers = fc.array(fc.tuple(headerName, headerValue), { maxLength: 6 });
  const request = fc.record({
    method: fc.oneof(
      { weight: 8, arbitrary: fc.constant("POST") },
      { weight: 2, arbitrary: fc.constantFrom("GET", "DELETE", "PUT", "PATCH", "HEAD", "OPTIONS", "TRACE") },
    ),
    target,
    headers,
    body,
    chunkBytes: fc.constantFrom(undefined, undefined, undefined, 7, 1_000),
    key: fc.constantFrom(...Array<"right">(12).fill("right"), "wrong" as const),
  });

  it(
    `${RUNS} of them: no 5xx of ours, no crash, memory flat`,
    async () => {
      const times: number[] = [];
      const statuses = new Map<number, number>();
      let heapAtFifth = 0;
      let count = 0;
      let connection = await RawConnection.connect({ port: gateway.port });
      const ask = async (asked: RawRequest): Promise<RawResponse> => {
        connection.pieces.length = 0;
        await connection.send(requestBytes(asked));
        const answer = await connection.response({ method: asked.method! });
        if (answer.header("connection") === "close") {
          connection.socket.destroy();
          connection = await RawConnection.connect({ port: gateway.port });
        }
        return answer;
      };
      await fc.assert(
        fc.asyncProperty(request, async (generated) => {
          const { key, method, chunkBytes } = generated;
          const withBody = !["GET", "HEAD"].includes(method);
          const more = generated.headers.flat();
          const own = key === "right" ? ["X-NullSpend-Key", gateway.apiKey] : ["X-NullSpend-Key", "ns_live_sk_x"];
          const start = performance.now();
          // The address of the wrong keys, which is the proxy's own word, varies with the generated one.
          const answer = await ask({
            port: gateway.port,
            method,
            target: generated.target,
            headers: [...own, "Authorization", "Bearer sk-provider", ...more],
            ...(withBody && { body: generated.body, ...(chunkBytes !== undefined && { chunkBytes }) }),
          });
          times.push(performance.now() - start);
          statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
          if (answer.status >= 500) {
            // The fake answers 500 to scenario headers that it cannot read; whatever is ours is a fault.
            expect(answer.header("x-nullspend-request-id"), `${answer.status} ${answer.body.toString().slice(0, 300)}`).toBeDefined();
            expect(answer.body.toString()).not.toContain("NullSpend:");
          }
          if (++count % 500 === 0) gateway.fake.clear();
          if (count === Math.floor(RUNS / 5)) heapAtFifth = heapNow();
        }),
        { numRuns: RUNS, seed: 20_261_124, endOnFailure: true },
      );
      connection.socket.destroy();
      await eventually(
        () => gateway.runtime.gateway.unfinished.size,
        (size) => size === 0,
      );
      times.sort((a, b) => a - b);
      const p99 = times[Math.floor(times.length * 0.99)]!;
      console.log(
        `${RUNS} hostile requests: p50 ${times[times.length >> 1]!.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms, statuses ${JSON.stringify([...statuses].sort(([a], [b]) => a - b))}, heap +${((heapNow() - heapAtFifth) / 1e6).toFixed(1)} MB since the first fifth`,
      );
      expect(p99).toBeLessThan(50);
      expect(heapNow() - heapAtFifth).toBeLessThan(40_000_000);
    },
    LONG ? 1_800_000 : 120_000,
  );
});

/** As JSON that stands in a header. */
const escapedAscii = (text: string): string =>
  JSON.stringify(text).replace(/[^\x20-\x7e]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);

function heapNow(): number {
  // Exposed by the suite's own flag where there is one; otherwise what has not been collected yet counts as well.
  (globalThis as { gc?: () => void }).gc?.();
  return process.memoryUsage().heapUsed;
}
