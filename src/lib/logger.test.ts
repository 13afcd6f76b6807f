import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createLogger, type LogFields, type Logger } from "./logger";
import { redact } from "./redact";

function capturingLogger(level: "debug" | "warn" = "debug"): { log: Logger; lines: () => Record<string, unknown>[]; text: () => string } {
  let written = "";
  const log = createLogger({ level, destination: { write: (chunk: string) => void (written += chunk) } });
  return {
    log,
    text: () => written,
    lines: () =>
      written
        .split("\n")
        .filter(Boolean)
        .map((line): Record<string, unknown> => JSON.parse(line)),
  };
}

// One leaked key in a log is an incident at every customer: whatever is handed in, a credential must not come out.
const canaries = [
  "ns_live_sk_0123456789abcdef0123456789abcdef",
  "ns_live_sk_0123456789abcdef0123456789abcdef:sk-proj-abcdefghijkl",
  "sk-proj-4rXcanary_Zk8s-92hfKJHSDkjh2398",
  "sk-ant-api03-canary-canary",
  "sk-test-1",
  "sk_live_51Hcanarycanary",
  "re_canary123_456",
  "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
  "ghp_canarycanarycanary",
  "xoxb-123-canary",
  "AIzaSyCanaryCanaryCanary",
  "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.c2lnbmF0dXJl",
  "C4n4ryC4n4ryC4n4ryC4n4ryC4n4ryC4n4ryC4n4ryC4n4ry",
];

const settings: readonly ((secret: string) => string)[] = [
  (secret) => secret,
  (secret) => `Incorrect API key provided: ${secret}. You can find your key at the provider's page.`,
  (secret) => `{"error":{"message":"bad key","apiKey":"${secret}"}}`,
  (secret) => `authorization: Bearer ${secret}`,
  (secret) => `x-api-key=${secret}&model=gpt`,
  (secret) => `GET https://host/v1/models?key=${secret} failed`,
  (secret) => `connect postgres://app:${secret}@db:5432/x`,
  (secret) => `(${secret})`,
  (secret) => `'${secret}', "${secret}"`,
];

describe("redact", () => {
  it.each(canaries)("takes out %s wherever it stands", (secret) => {
    for (const put of settings) {
      const line = redact(put(secret));
      expect(line).not.toContain(secret);
      expect(line).not.toContain(secret.slice(-8));
      expect(line).toContain("[redacted]");
    }
  });

  it.each([
    ["Bearer abc", "Bearer [redacted]"],
    ["authorization: Basic dXNlcjpwdw==", "authorization: Basic [redacted]"],
    ["password=hunter2 next", "password=[redacted] next"],
    ["redis://:p4ss@cache:6379", "redis://[redacted]@cache:6379"],
    ["postgres://u:p@ss@db/x", "postgres://[redacted]@db/x"],
    ["https://api/x?a=1&access_token=short&b=2", "https://api/x?a=1&access_token=[redacted]&b=2"],
    ['{"secret": "x"}', '{"secret": "[redacted]"}'],
  ])("takes out short ones by where they stand: %s", (from, to) => {
    expect(redact(from)).toBe(to);
  });

  it.each([
    "connect ECONNREFUSED 127.0.0.1:5432",
    "ns_evt_0c7f3c1e-8d5a-4b58-9a39-3c5f1d2e4b6a was settled late",
    'duplicate key value violates unique constraint "api_key_secret_hash_key"',
    "4bf92f3577b34da6a3ce929d0e0e4736",
    "gpt-4o-mini-2024-07-18 has no price",
    "claude-sonnet-4-5-20250929",
  ])("leaves what helps: %s", (line) => {
    expect(redact(line)).toBe(line);
  });

  it("makes one line of limited length, and never halves a credential into view", () => {
    for (let before = 240; before < 320; before++) {
      const line = redact(`${"word ".repeat(before / 5)}sk-proj-4rXcanaryZk8s92hfKJHSDkjh2398\r\n\u001B[31mforged line`);
      expect(line.length).toBeLessThanOrEqual(301);
      expect(line).not.toContain("canary");
      expect(line).not.toMatch(/\p{Cc}/u);
    }
  });

  it("takes no time over hostile text", () => {
    const started = performance.now();
    for (const unit of ["sk-", "://", "key=", "eyJ.", "a:", "Bearer ", "_", "a"]) redact(unit.repeat(200_000));
    expect(performance.now() - started).toBeLessThan(500);
  });
});

describe("createLogger", () => {
  it("writes one JSON line with level, time, fields and message", () => {
    const { log, lines } = capturingLogger();
    log.info({ requestId: "ns_evt_1", httpStatus: 200, costMicrodollars: 12.5 }, "call settled");
    expect(lines()).toEqual([
      {
        level: "info",
        time: expect.stringMatching(/^\d{4}-.*Z$/),
        requestId: "ns_evt_1",
        httpStatus: 200,
        costMicrodollars: 12.5,
        msg: "call settled",
      },
    ]);
  });

  it("drops fields that are not on the list, and values of another type", () => {
    const { log, lines } = capturingLogger();
    const smuggled = {
      prompt: "c4n4ry",
      headers: { authorization: "c4n4ry" },
      model: { text: "c4n4ry" },
      count: "c4n4ry",
      __proto__: { body: "c4n4ry" },
    };
    log.info({ provider: "openai", ...(smuggled as object) }, "call");
    expect(lines()).toEqual([{ level: "info", time: expect.any(String), provider: "openai", msg: "call" }]);
  });

  it("writes of an error only name, code, message and frames, and the same of its causes", () => {
    const { log, lines, text } = capturingLogger();
    const cause = Object.assign(new Error("key sk-proj-c4n4ryc4n4ry was refused"), { config: { headers: { authorization: "c4n4ry" } } });
    const error = Object.assign(new Error("upstream failed", { cause }), { code: "ECONNRESET", request: { body: "c4n4ry" } });
    log.error({ err: error }, "call failed");
    expect(text()).not.toContain("c4n4ry");
    expect(lines()[0]?.err).toEqual({
      name: "Error",
      code: "ECONNRESET",
      message: "upstream failed",
      stack: expect.stringContaining("logger.test.ts"),
      cause: { name: "Error", message: "key [redacted] was refused", stack: expect.any(String) },
    });
  });

  it("ends a chain of causes that goes round", () => {
    const { log, lines } = capturingLogger();
    const error = new Error("round");
    error.cause = error;
    log.error({ err: error }, "call failed");
    expect(lines()).toHaveLength(1);
  });

  it("survives whatever is thrown", () => {
    const { log, lines } = capturingLogger();
    for (const thrown of ["sk-proj-c4n4ry1", 7, null, undefined, Symbol("x"), () => 0, Object.create(null), { message: 5 }]) {
      log.error({ err: thrown }, "thrown");
    }
    expect(lines()).toHaveLength(8);
    expect(JSON.stringify(lines())).not.toContain("c4n4ry");
  });

  it("keeps a canary out of every field and of the message", () => {
    const secret = "sk-proj-c4n4ryc4n4ryc4n4ry";
    const { log, text } = capturingLogger();
    fc.assert(
      fc.property(
        fc.constantFrom("requestId", "model", "endpoint", "status", "url", "warning", "err"),
        fc.constantFrom(...settings),
        (field, put) => {
          log.child({ [field]: put(secret) } as LogFields).warn({}, put(secret));
        },
      ),
    );
    expect(text()).toContain("[redacted]");
    expect(text()).not.toContain("c4n4ry");
  });

  it("writes one line whatever a value holds", () => {
    const { log, lines } = capturingLogger();
    log.info({ model: 'gpt\n{"level":"fatal"}\u2028' }, "asked\r\nfor");
    expect(lines()).toHaveLength(1);
  });

  it("keeps to its level, children included", () => {
    const { log, lines } = capturingLogger("warn");
    log.info({}, "no");
    log.child({ orgId: "o" }).debug({}, "no");
    log.child({ orgId: "o" }).child({ keyId: "k" }).warn({}, "yes");
    expect(lines()).toMatchObject([{ orgId: "o", keyId: "k", msg: "yes" }]);
  });
});
