import { readFileSync } from "node:fs";
import { parseEnv } from "node:util";
import { describe, expect, it } from "vitest";
import { EnvError, readEnv, variableNames } from "./env";

const nextAuthSecret = "tQ8vZr1LxWc5Jm0HsYb7Ek3Nf9Gd2Pu6";
const encryptionKey = "9f2c81d4e07b63a5f8190c2d7e4b5a6f30d1c2b3a4958677e6f5d4c3b2a19080";
const external = { DATABASE_URL: "postgres://app:pw@db/nullspend", NEXTAUTH_SECRET: nextAuthSecret, ENCRYPTION_KEY: encryptionKey };

function problemsOf(source: Record<string, string>): Record<string, string> {
  try {
    readEnv(source);
  } catch (error) {
    if (error instanceof EnvError) return Object.fromEntries(error.problems.map(({ name, problem }) => [name, problem]));
    throw error;
  }
  return {};
}

describe("readEnv", () => {
  it("needs nothing: the embedded database, the providers' own addresses, port 3000", () => {
    const env = readEnv({});
    expect(env.database).toEqual({ kind: "embedded", dataDir: ".data" });
    expect(env.port).toBe(3000);
    expect(env.nodeEnv).toBe("production");
    expect(env.signup).toBe("open");
    expect(env.gateway).toMatchObject({
      openaiUpstreamUrl: "https://api.openai.com",
      anthropicUpstreamUrl: "https://api.anthropic.com",
      upstreamAllowlist: [],
      trustedProxies: [],
      bodyBytesMax: 64 * 1024 * 1024,
      authFailuresPerMinuteMax: 30,
      callsPerKeyPerMinuteMax: 60_000,
    });
    expect(env.mail).toEqual({ delivery: { via: "mailbox" }, devMailbox: false });
    expect(env.stripe).toBeUndefined();
    expect(env.metricsToken).toBeUndefined();
  });

  it("treats an empty or blank value as absent", () => {
    const blank = Object.fromEntries(variableNames.map((name, i) => [name, i % 2 ? "" : "  "]));
    expect(readEnv(blank)).toEqual(readEnv({}));
  });

  it("reports all problems at once, each by its name", () => {
    const problems = problemsOf({
      PORT: "http",
      LOG_LEVEL: "loud",
      DATABASE_URL: "mysql://db/x",
      TRUSTED_PROXIES: "10.0.0.0/8, everyone",
      SLACK_CLIENT_ID: "123",
      NULLSPEND_INIT_API_KEY: "ns_live_sk_short",
    });
    expect(Object.keys(problems).sort()).toEqual([
      "DATABASE_URL",
      "ENCRYPTION_KEY",
      "LOG_LEVEL",
      "NEXTAUTH_SECRET",
      "NULLSPEND_INIT_API_KEY",
      "PORT",
      "SLACK_CLIENT_SECRET",
      "TRUSTED_PROXIES",
    ]);
    expect(problems.PORT).toBe("is not usable, expected a whole number from 0 to 65535");
  });

  // A secret that is printed by the very message that refuses it ends up in the log of the host.
  it("never repeats a value in its message", () => {
    const canary = "c4n4ry";
    const names = variableNames.filter((name) => !["DATA_DIR"].includes(name));
    try {
      readEnv(Object.fromEntries(names.map((name) => [name, `${canary} \u0000`])));
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(EnvError);
      expect(String(error)).not.toContain(canary);
    }
  });

  it("asks for both secrets by name when a database is given", () => {
    expect(problemsOf({ DATABASE_URL: external.DATABASE_URL })).toEqual({
      NEXTAUTH_SECRET: expect.stringContaining("is missing"),
      ENCRYPTION_KEY: expect.stringContaining("is missing"),
    });
    expect(readEnv(external).secrets).toEqual({ nextAuthSecret, encryptionKey: Buffer.from(encryptionKey, "hex") });
  });

  it.each(["changeme", "secret", "short", "x".repeat(64)])("refuses the secret %s on either database", (value) => {
    for (const source of [{ ...external }, {}]) {
      expect(Object.keys(problemsOf({ ...source, NEXTAUTH_SECRET: value, ENCRYPTION_KEY: value }))).toEqual([
        "NEXTAUTH_SECRET",
        "ENCRYPTION_KEY",
      ]);
    }
  });

  it("takes an upstream with or without the /v1 that providers print", () => {
    for (const url of ["http://127.0.0.1:9/v1", "http://127.0.0.1:9/v1/", "http://127.0.0.1:9", "http://127.0.0.1:9/"]) {
      expect(readEnv({ OPENAI_UPSTREAM_URL: url }).gateway.openaiUpstreamUrl).toBe("http://127.0.0.1:9");
    }
    expect(readEnv({ ANTHROPIC_UPSTREAM_URL: "https://proxy.corp/anthropic/" }).gateway.anthropicUpstreamUrl).toBe(
      "https://proxy.corp/anthropic",
    );
  });

  it.each(["ftp://host", "https://user:pw@host", "https://host?x=1", "host", "https://host#x"])("refuses %s as an upstream", (url) => {
    expect(problemsOf({ OPENAI_UPSTREAM_URL: url })).toHaveProperty("OPENAI_UPSTREAM_URL");
    expect(problemsOf({ UPSTREAM_ALLOWLIST: `x=${url}` })).toHaveProperty("UPSTREAM_ALLOWLIST");
  });

  it("reads the allow-list as names and addresses, and one address only once", () => {
    expect(
      readEnv({ UPSTREAM_ALLOWLIST: "groq=https://api.groq.com/openai/v1, local=http://127.0.0.1:8000," }).gateway.upstreamAllowlist,
    ).toEqual([
      { name: "groq", url: "https://api.groq.com/openai" },
      { name: "local", url: "http://127.0.0.1:8000" },
    ]);
    expect(problemsOf({ UPSTREAM_ALLOWLIST: "a=https://host,b=https://host/v1" })).toHaveProperty("UPSTREAM_ALLOWLIST");
  });

  it("reads trusted proxies as ranges", () => {
    expect(readEnv({ TRUSTED_PROXIES: "10.0.0.0/8, 192.0.2.1,::1 ,fd00::/8" }).gateway.trustedProxies).toEqual([
      "10.0.0.0/8",
      "192.0.2.1/32",
      "::1/128",
      "fd00::/8",
    ]);
    for (const range of ["10.0.0.0/33", "0x0a.1", "host", "1.2.3"]) {
      expect(problemsOf({ TRUSTED_PROXIES: range })).toHaveProperty("TRUSTED_PROXIES");
    }
  });

  it("sends spans to the general address with a path, to the one for traces as it is, and to nobody by default", () => {
    expect(readEnv({}).telemetry).toBeUndefined();
    const OTEL_EXPORTER_OTLP_HEADERS = "authorization=Bearer%20abc, x-team=a";
    expect(readEnv({ OTEL_EXPORTER_OTLP_ENDPOINT: "http://otel:4318/", OTEL_EXPORTER_OTLP_HEADERS }).telemetry).toEqual({
      tracesUrl: "http://otel:4318/v1/traces",
      headers: { authorization: "Bearer abc", "x-team": "a" },
      serviceName: "nullspend",
    });
    const both = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://otel:4318", OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "https://traces.corp/in" };
    expect(readEnv(both).telemetry?.tracesUrl).toBe("https://traces.corp/in");
    for (const headers of ["a", "a=%", "a=%0d%0ab:c"]) {
      expect(problemsOf({ OTEL_EXPORTER_OTLP_HEADERS: headers })).toHaveProperty("OTEL_EXPORTER_OTLP_HEADERS");
    }
  });

  it("accepts a public address only as an origin", () => {
    expect(readEnv({ NEXTAUTH_URL: "https://spend.example.com/" }).publicUrl).toBe("https://spend.example.com");
    expect(problemsOf({ NEXTAUTH_URL: "https://spend.example.com/api/auth" })).toHaveProperty("NEXTAUTH_URL");
  });

  it("wants settings that only work together to be complete", () => {
    expect(Object.keys(problemsOf({ STRIPE_SECRET_KEY: "sk_live_x" }))).toEqual(["STRIPE_WEBHOOK_SECRET", "STRIPE_PRO_PRICE_ID"]);
    expect(Object.keys(problemsOf({ RESEND_API_KEY: "re_x" }))).toEqual(["EMAIL_FROM"]);
    expect(Object.keys(problemsOf({ RESEND_API_KEY: "re_x", SMTP_URL: "smtp://mail", EMAIL_FROM: "a@b.c" }))).toEqual(["SMTP_URL"]);
    expect(Object.keys(problemsOf({ S3_ENDPOINT: "https://s3.corp" }))).toEqual(["S3_BUCKET", "S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY"]);
    expect(Object.keys(problemsOf({ GITHUB_ID: "x" }))).toEqual(["GITHUB_SECRET"]);
    expect(Object.keys(problemsOf({ NULLSPEND_INIT_USER_PASSWORD: "long enough" }))).toEqual(["NULLSPEND_INIT_USER_EMAIL"]);
  });

  it("does not give agents the administrator's key", () => {
    const key = `ns_live_sk_${"0123456789abcdef".repeat(2)}`;
    expect(readEnv({ NULLSPEND_INIT_API_KEY: key }).init.apiKey).toBe(key);
    expect(problemsOf({ NULLSPEND_INIT_API_KEY: key, NULLSPEND_INIT_ADMIN_KEY: key })).toHaveProperty("NULLSPEND_INIT_ADMIN_KEY");
  });
});

describe(".env.example", () => {
  const text = readFileSync(new URL("../../.env.example", import.meta.url), "utf8");

  it("names every variable there is and no other", () => {
    const named = [...text.matchAll(/^#?\s?([A-Z][A-Z0-9_]+)=/gm)].map((match) => match[1]);
    expect(new Set(named)).toEqual(new Set(variableNames.filter((name) => name !== "NODE_ENV")));
  });

  it("starts as it is, and its commented values are usable or refused by name", () => {
    expect(() => readEnv(parseEnv(text))).not.toThrow();
    const filledIn = parseEnv(text.replace(/^# ?(?=[A-Z][A-Z0-9_]+=)/gm, ""));
    const problems = problemsOf(filledIn as Record<string, string>);
    expect(Object.keys(problems).sort()).toEqual(["ENCRYPTION_KEY", "NEXTAUTH_SECRET", "SMTP_URL"]);
  });
});
