import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { headersToForward, readCredentials, reduceAcceptEncoding } from "./request-headers";

const KEY = `ns_live_sk_${"0123456789abcdef".repeat(2)}`;
const OTHER_KEY = `ns_live_sk_${"f".repeat(32)}`;
const DECODABLE = new Set(["gzip", "br", "deflate"]);

const credentials = (headers: Record<string, string>) => readCredentials((name) => headers[name]);
const forward = (rawHeaders: string[], composite: { header: string; providerValue: string } | null = null, identityOnly = false) =>
  headersToForward({ rawHeaders, composite, decodable: DECODABLE, identityOnly });

describe("credentials", () => {
  it("takes the key from its own header and leaves the provider's alone", () => {
    expect(credentials({ "x-nullspend-key": KEY, authorization: "Bearer sk-test" })).toEqual({ ok: true, rawKey: KEY, composite: null });
  });

  it("splits a composite credential after character 43, in the bearer and in x-api-key", () => {
    expect(credentials({ authorization: `Bearer ${KEY}:sk-test:with:colons` })).toEqual({
      ok: true,
      rawKey: KEY,
      composite: { header: "authorization", providerValue: "Bearer sk-test:with:colons" },
    });
    expect(credentials({ "x-api-key": `${KEY}:sk-ant-test` })).toEqual({
      ok: true,
      rawKey: KEY,
      composite: { header: "x-api-key", providerValue: "sk-ant-test" },
    });
  });

  it("accepts the same key in both places", () => {
    expect(credentials({ "x-nullspend-key": KEY, "x-api-key": `${KEY}:sk-ant-test` })).toMatchObject({ ok: true, rawKey: KEY });
  });

  it.each([
    ["nothing at all", {}],
    ["an empty provider part", { authorization: `Bearer ${KEY}:` }],
    ["a provider part of blanks", { authorization: `Bearer ${KEY}:  ` }],
    ["no provider part", { authorization: `Bearer ${KEY}` }],
    ["an empty key part", { authorization: `Bearer :sk-test`, "x-nullspend-key": "" }],
    ["two different keys", { "x-nullspend-key": OTHER_KEY, authorization: `Bearer ${KEY}:sk-test` }],
    ["a key one character short", { authorization: `Bearer ${KEY.slice(0, -1)}:sk-test` }],
    ["a key in upper case", { "x-nullspend-key": KEY.toUpperCase() }],
    ["two keys in one header", { "x-nullspend-key": `${KEY}, ${KEY}` }],
    ["a composite under another scheme", { authorization: `Basic ${KEY}:sk-test` }],
    ["composites in both headers", { authorization: `Bearer ${KEY}:a`, "x-api-key": `${KEY}:b` }],
    ["our key again in the provider part", { authorization: `Bearer ${KEY}:${KEY}` }],
  ])("refuses %s", (_what, headers) => {
    expect(credentials(headers as Record<string, string>)).toEqual({ ok: false });
  });
});

describe("forwarded headers", () => {
  it("keeps order, case and repeats of what belongs to the provider", () => {
    const sent = [
      "Content-Type",
      "application/json",
      "OpenAI-Beta",
      "a",
      "openai-beta",
      "b",
      "X-Stainless-Lang",
      "js",
      "traceparent",
      "00-a",
    ];
    expect(forward(sent)).toEqual(sent);
  });

  it("drops what belongs to the connection, to a browser, to a proxy in front, and to us", () => {
    const dropped = [
      "Host",
      "Connection",
      "Keep-Alive",
      "Transfer-Encoding",
      "TE",
      "Trailer",
      "Upgrade",
      "Proxy-Authorization",
      "Expect",
      "Cookie",
      "Origin",
      "Referer",
      "Forwarded",
      "X-Forwarded-For",
      "x-forwarded-anything",
      "X-Real-IP",
      "Content-Length",
      "X-NullSpend-Key",
      "X-NullSpend-Tags",
      "NullSpend-Version",
      "Helicone-Auth",
      "Helicone-Property-App",
    ];
    expect(forward(dropped.flatMap((name) => [name, "v"]))).toEqual([]);
  });

  it("drops what the Connection header names", () => {
    expect(forward(["Connection", "close, X-Private", "X-Private", "1", "X-Public", "2"])).toEqual(["X-Public", "2"]);
  });

  it("never forwards our key, wherever the caller puts it", () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (before, after) => {
        const forwarded = forward(["Authorization", `Bearer ${KEY}`, "X-Anything", `${before}${KEY}${after}`, "X-Other", "kept"]);
        expect(forwarded).toEqual(["X-Other", "kept"]);
      }),
    );
  });

  it("replaces a composite credential by the provider's part", () => {
    const composite = { header: "authorization", providerValue: "Bearer sk-test" };
    expect(forward(["Authorization", `Bearer ${KEY}:sk-test`], composite)).toEqual(["Authorization", "Bearer sk-test"]);
  });

  it("asks for identity where bytes must be edited, whatever the caller asked for", () => {
    expect(forward(["Accept-Encoding", "gzip"], null, true)).toEqual(["Accept-Encoding", "identity"]);
    expect(forward([], null, true)).toEqual(["accept-encoding", "identity"]);
  });
});

describe("Accept-Encoding", () => {
  it.each([
    ["gzip, deflate, br, zstd", "gzip, deflate, br"],
    ["zstd", "identity"],
    ["zstd;q=1.0, gzip;q=0.5", "gzip;q=0.5"],
    ["*", "identity"],
    ["identity", "identity"],
    ["GZIP", "GZIP"],
  ])("reduces %s to %s", (asked, reduced) => {
    expect(reduceAcceptEncoding(asked, DECODABLE)).toBe(reduced);
  });
});
