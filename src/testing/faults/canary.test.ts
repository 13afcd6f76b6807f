import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Scenario } from "@/testing/fake-provider";
import { RawConnection, rawRequest, requestBytes, type RawResponse } from "@/testing/raw-http";
import { databaseByAnotherPath } from "./database-path";
import { eventually, startGatewayServer, type GatewayServer } from "./gateway-server";

// What would break in production: a provider's key or a customer's prompt in a log, a row, a metric or somebody else's error message.
// Others leaked through tracebacks, access logs and the texts of their 429s. Nothing is looked for by pattern: each place where a
// secret can stand gets words that stand nowhere else.

const canaries = new Map<string, string>();
/** Words that can be found wherever they end up; `what` says where they were put. */
function canary(what: string, shape: (word: string) => string = (word) => word): string {
  const word = `CANARY${randomBytes(8).toString("hex")}`;
  canaries.set(word, what);
  return shape(word);
}

let gateway: GatewayServer;
let closeAll: () => Promise<void>;
let path: Awaited<ReturnType<typeof databaseByAnotherPath>>;
/** Everything that we said ourselves. What a provider says to its own caller is not ours to judge. */
const ownAnswers: string[] = [];
beforeAll(async () => {
  const first = await startGatewayServer();
  path = await databaseByAnotherPath(first.database.connectionString);
  gateway = await startGatewayServer({
    database: first.database,
    fake: first.fake,
    databaseUrl: path.url,
    limits: { timeouts: { headersMs: 300, bodyMs: 300 }, bodyBytesMax: 100_000, upload: { idleMs: 300, bodyMs: 1_000 } },
    env: { METRICS_TOKEN: "metrics-token", TRUSTED_PROXIES: "127.0.0.1" },
  });
  const own = gateway;
  closeAll = async () => {
    await own.close();
    await path.close();
    await first.close();
  };
});
afterAll(() => closeAll());

type Sent = { target?: string; method?: string; headers?: string[]; body?: string; key?: string };

/** A call with a canary in every place that must be kept out of everything. */
function planted(
  kind: string,
  { target = "/v1/chat/completions", method, headers = [], body, key = gateway.apiKey }: Sent,
): Parameters<typeof rawRequest>[0] {
  const words = (what: string): string => canary(`${kind}: ${what}`);
  const whole = {
    model: "gpt-4o-mini",
    stream: true,
    messages: [
      { role: "system", content: words("system prompt") },
      {
        role: "user",
        content: [
          { type: "text", text: words("prompt") },
          { type: "image_url", image_url: { url: `https://x.example/${words("image url")}` } },
        ],
      },
    ],
    tools: [
      { type: "function", function: { name: "f", description: words("tool description"), parameters: { title: words("tool schema") } } },
    ],
    user: words("user field"),
    metadata: { note: words("metadata") },
    [words("unknown field")]: words("value of an unknown field"),
  };
  return {
    port: gateway.port,
    target: `${target}${target.includes("?") ? "&" : "?"}q=${words("query")}`,
    ...(method !== undefined && { method }),
    headers: [
      ...(key === "" ? [] : ["X-NullSpend-Key", key]),
      "Authorization",
      `Bearer sk-proj-${words("provider key")}`,
      "OpenAI-Organization",
      words("organisation header"),
      "Cookie",
      `session=${words("cookie")}`,
      "X-Custom",
      words("custom header"),
      "User-Agent",
      words("user agent"),
      "Referer",
      `https://x.example/${words("referer")}`,
      "X-Forwarded-For",
      `203.0.113.${canaries.size % 250}`,
      ...headers,
    ],
    ...(method !== "GET" && { body: body ?? JSON.stringify(whole) }),
  };
}

const ours = (answer: RawResponse): boolean =>
  answer.header("x-nullspend-denied") !== undefined || answer.body.toString().includes("NullSpend:");

it("N1: provider keys, our keys and prompts are in no row, log line, metric or answer of ours, whatever fails", async () => {
  const { fake } = gateway;
  // What the provider says back: its own caller may read that, nobody else.
  const says = (kind: string): Scenario => ({
    text: canary(`${kind}: answer`),
    tools: [{ name: "f", arguments: JSON.stringify({ a: canary(`${kind}: tool arguments`) }) }],
    headers: ["x-provider-note", canary(`${kind}: answer header`), "Set-Cookie", canary(`${kind}: answer cookie`)],
  });
  const error = (kind: string, status: number): Scenario => ({
    status,
    body: JSON.stringify({
      error: {
        message: `Incorrect key sk-proj-${canary(`${kind}: error message`)}`,
        type: "x",
        param: canary(`${kind}: error param`),
        code: null,
      },
    }),
  });
  const send = async (kind: string, scenario: Scenario | undefined, sent: Sent = {}): Promise<void> => {
    if (scenario) fake.next(scenario);
    const answer = await rawRequest(planted(kind, sent)).catch(() => undefined);
    if (answer && ours(answer)) ownAnswers.push(`${kind}\n${answer.wire.toString("latin1")}`);
  };

  await send("success", says("success"));
  await send("whole answer", says("whole answer"), {
    target: "/v1/responses",
    body: JSON.stringify({ model: "gpt-4.1-mini", input: canary("whole answer: input") }),
  });
  for (const status of [400, 401, 403, 404, 429, 500, 503]) await send(`provider ${status}`, error(`provider ${status}`, status));
  await send("redirect", { status: 307, headers: ["Location", `https://x.example/${canary("redirect: location")}`] });
  await send("timeout before the head", { fault: { kind: "silence", at: "headers" } });
  await send("timeout in the stream", { ...says("timeout in the stream"), fault: { kind: "silence", at: { events: 3 } } });
  await send("reset before the head", { fault: { kind: "reset", at: "headers" } });
  await send("reset in the stream", { ...says("reset in the stream"), fault: { kind: "reset", at: { events: 3 } } });
  await send("error in the stream", {
    ...says("error in the stream"),
    inBandError: { afterEvents: 3, type: "overloaded_error", message: canary("error in the stream: message") },
  });
  await send("not HTTP", { statusMessage: canary("not HTTP: reason"), headers: ["Content-Length", "1", "Content-Length", "2"] });
  await send("not JSON", undefined, { body: `{"model": ${canary("not JSON: body")}` });
  await send("ambiguous", undefined, { body: `{"model":"a","model":"${canary("ambiguous: model")}"}` });
  await send("wrong type", undefined, {
    body: `{"model":"gpt-4o-mini","max_tokens":"${canary("wrong type: cap")}","messages":"${canary("wrong type: messages")}"}`,
  });
  await send("too large", undefined, { body: JSON.stringify({ model: "gpt-4o-mini", input: canary("too large: body").repeat(10_000) }) });
  await send("encoded", undefined, { headers: ["Content-Encoding", canary("encoded: encoding")] });
  await send("another type", undefined, { headers: ["Content-Type", `text/html; x=${canary("another type: type")}`] });
  await send("bad version", undefined, { headers: ["NullSpend-Version", "2020-01-01"] });
  await send("bad upstream", undefined, { headers: ["X-NullSpend-Upstream", `https://${canary("bad upstream: url")}.example`] });
  await send("no such path", undefined, { target: `/v1/..%2f${canary("no such path: path")}` });
  await send("no such method", undefined, { method: "PROPFIND" });
  await send("wrong key", undefined, { key: canary("wrong key: key") });
  await send("key of the right form", undefined, {
    key: canary("key of the right form", (word) => `ns_live_sk_${word.toLowerCase().padEnd(32, "0").slice(0, 32)}`),
  });
  await send("composite key", undefined, {
    key: "",
    headers: ["x-api-key", `${gateway.apiKey}:sk-ant-${canary("composite key: provider key")}`],
  });
  await send("broken composite key", undefined, {
    key: "",
    headers: ["x-api-key", `${gateway.apiKey}x:sk-ant-${canary("broken composite key: provider key")}`],
  });
  await send("key in the address", undefined, { target: `/v1/models?key=${gateway.apiKey}`, method: "GET" });
  await send("file", says("file"), {
    target: "/v1/files",
    body: canary("file: content"),
    headers: ["Content-Type", "multipart/form-data; boundary=b"],
  });
  await send("form", undefined, {
    target: "/v1/audio/transcriptions",
    headers: ["Content-Type", "multipart/form-data; boundary=b"],
    body: `--b\r\nContent-Disposition: form-data; name="file"; filename="${canary("form: file name")}"\r\n\r\n${canary("form: file")}\r\n--b\r\nContent-Disposition: form-data; name="prompt"\r\n\r\n${canary("form: prompt")}\r\n--b--\r\n`,
  });
  await send("anthropic", says("anthropic"), {
    target: "/v1/messages",
    headers: ["anthropic-version", "2023-06-01", "x-api-key", canary("anthropic: x-api-key")],
    body: JSON.stringify({ model: "claude-haiku-4-5", max_tokens: 9, messages: [{ role: "user", content: canary("anthropic: prompt") }] }),
  });
  await send("anthropic error", error("anthropic error", 400), { target: "/v1/messages", headers: ["anthropic-version", "2023-06-01"] });
  await send("upgrade", undefined, { headers: ["Connection", "Upgrade", "Upgrade", "websocket"] });

  // The caller leaves, half way up and half way down.
  const leaving = await RawConnection.connect({ port: gateway.port });
  fake.next({ ...says("left"), holds: [{ at: 2, gate: "canary" }] });
  await leaving.send(requestBytes(planted("left", {})));
  await fake.gates.reached("canary");
  leaving.reset();
  fake.gates.release("canary");
  const half = await RawConnection.connect({ port: gateway.port });
  await half.send(requestBytes(planted("half", {})).subarray(0, -20));
  await half.response({ method: "POST" }).catch(() => {});

  // The database goes away: statements fail with the key's hash and the event in them.
  path.chaos.refuse = true;
  path.resetAll();
  await send("database away", says("database away"));
  await send("database away, unknown key", undefined, { key: `ns_live_sk_${randomBytes(16).toString("hex")}` });
  path.chaos.refuse = false;
  // Something of ours throws in the middle of a call.
  const { pricing } = gateway.runtime.gateway;
  gateway.runtime.gateway.pricing = {
    prepare: () => {
      throw new Error("thrown for the test");
    },
    price: (call) => pricing.price(call),
  };
  await send("thrown", undefined);
  gateway.runtime.gateway.pricing = pricing;

  await eventually(
    () => gateway.runtime.gateway.unfinished.size,
    (size) => size === 0,
    20_000,
  );
  expect(ownAnswers.length).toBeGreaterThan(20);
  canaries.set(gateway.apiKey, "our key");
  canaries.set(gateway.adminKey, "our key with all rights");

  const get = async (target: string, headers: string[]): Promise<string> =>
    (await rawRequest({ port: gateway.port, target, headers })).wire.toString("latin1");
  const places = {
    "a row": await dump(gateway),
    "a log line": gateway.logs(),
    "a metric": await get("/metrics", ["Authorization", "Bearer metrics-token"]),
    REST:
      (await get("/api/cost-events?limit=100", ["X-NullSpend-Key", gateway.adminKey])) +
      (await get("/api/keys", ["X-NullSpend-Key", gateway.adminKey])),
    "an answer of ours": ownAnswers.join("\n"),
  };
  expect(places["a row"]).toContain("gpt-4o-mini");
  expect(places["a metric"]).toContain("nullspend_");
  expect(places.REST).toContain("upstream_timeout");
  const leaks: string[] = [];
  for (const [place, text] of Object.entries(places)) {
    for (const [word, what] of canaries) if (text.toLowerCase().includes(word.toLowerCase())) leaks.push(`${what}, in ${place}`);
  }
  expect(leaks).toEqual([]);
  console.log(
    `${canaries.size} canaries, ${ownAnswers.length} answers of ours, ${Object.values(places).reduce((sum, text) => sum + text.length, 0)} characters searched: 0 found`,
  );
}, 120_000);

/** Every row of every table, as text. */
async function dump({ database }: GatewayServer): Promise<string> {
  const { rows: tables } = await database.pool.query<{ name: string }>(
    "select quote_ident(table_schema) || '.' || quote_ident(table_name) as name from information_schema.tables where table_type = 'BASE TABLE' and table_schema not in ('pg_catalog', 'information_schema')",
  );
  const texts = await Promise.all(
    tables.map(async ({ name }) => {
      const { rows } = await database.pool.query<{ text: string }>(`select row_to_json(t)::text as text from ${name} t`);
      return `${name}\n${rows.map(({ text }) => text).join("\n")}`;
    }),
  );
  return texts.join("\n");
}
