import { Readable } from "node:stream";
import { describe, expect, it } from "vitest";
import { attributionOf } from "./attribution-of-call";
import type { Exchange } from "./exchange";

function exchangeWith(headers: Record<string, string>): Exchange {
  const lower = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
  return {
    method: "POST",
    target: "/v1/chat/completions",
    rawHeaders: Object.entries(headers).flat(),
    header: (name) => lower[name],
    remoteAddress: undefined,
    body: Readable.from([]),
    aborted: false,
    onAbort() {},
    writeHead() {},
    write: () => true,
    onDrain() {},
    end() {},
    destroy() {},
  };
}

const restrictions = { maxConcurrent: 1, denialStatus: 429 as const };
function attribution(headers: Record<string, string>, more: object = {}) {
  const result = attributionOf({ exchange: exchangeWith(headers), restrictions: { ...restrictions, ...more } });
  if (!result.ok) throw new Error(result.message);
  return result.attribution;
}

describe("attribution", () => {
  it("drops tags that break the rules and names them, and lets the call go on", () => {
    const { tags, warnings } = attribution({ "X-NullSpend-Tags": '{"team":"a","bad key":"x","n":1,"_ns_x":"y"}' });
    expect(tags).toEqual({ team: "a" });
    expect(warnings).toEqual(["dropped_tag: bad?key", "dropped_tag: n", "dropped_tag: _ns_x"]);
  });

  it("keeps ten tags", () => {
    const many = Object.fromEntries(Array.from({ length: 12 }, (_, i) => [`t${i}`, "v"]));
    const { tags, warnings } = attribution({ "X-NullSpend-Tags": JSON.stringify(many) });
    expect(Object.keys(tags)).toHaveLength(10);
    expect(warnings).toEqual(["dropped_tag: t10", "dropped_tag: t11"]);
  });

  it("reads tags in UTF-8 as clients send them", () => {
    const sent = Buffer.from('{"team":"Straße 東"}', "utf8").toString("latin1");
    expect(attribution({ "X-NullSpend-Tags": sent }).tags).toEqual({ team: "Straße 東" });
  });

  it("lets locked tags and a locked customer win over what the call says", () => {
    const locked = { lockedTags: { team: "locked" }, lockedCustomer: "acme" };
    const result = attribution({ "X-NullSpend-Tags": '{"team":"dodge"}', "X-NullSpend-Customer": "other" }, locked);
    expect(result.tags).toEqual({ team: "locked" });
    expect(result.customerId).toBe("acme");
  });

  it("falls back to the tag customer, and says when the header is not valid", () => {
    expect(attribution({ "X-NullSpend-Tags": '{"customer":"acme"}' }).customerId).toBe("acme");
    const invalid = attribution({ "X-NullSpend-Customer": "no blanks allowed" });
    expect(invalid).toMatchObject({ customerId: null, warnings: ["invalid_customer"] });
  });

  it("does not make the customer a tag", () => {
    expect(attribution({ "X-NullSpend-Customer": "acme" })).toMatchObject({ customerId: "acme", tags: {} });
  });

  it("refuses a session of more than 256 characters and takes one of 256, trimmed", () => {
    expect(attributionOf({ exchange: exchangeWith({ "X-NullSpend-Session": "s".repeat(257) }), restrictions })).toMatchObject({
      ok: false,
    });
    expect(attribution({ "X-NullSpend-Session": ` ${"s".repeat(256)} ` }).sessionId).toBe("s".repeat(256));
  });

  it("reads the session of Claude Code and of Helicone when it is not named to us", () => {
    expect(attribution({ "x-claude-code-session-id": "cc" })).toMatchObject({ sessionId: "cc", sessionEcho: null });
    expect(attribution({ "Helicone-Session-Id": "h" }).sessionId).toBe("h");
    expect(attribution({ "X-NullSpend-Session": "own", "x-claude-code-session-id": "cc" })).toMatchObject({
      sessionId: "own",
      sessionEcho: "own",
    });
  });

  it("takes a Helicone user's properties and user id", () => {
    const result = attribution({ "Helicone-Property-App": "chat", "Helicone-User-Id": "u1", "X-NullSpend-Tags": '{"app":"own"}' });
    expect(result).toMatchObject({ tags: { app: "own" }, customerId: "u1" });
    expect(attribution({ "helicone-property-TEAM": "x" }).tags).toEqual({ team: "x" });
    expect(attribution({ "helicone-property-__proto__": "x" }).tags).toEqual({});
  });

  it("ignores an action id that is none", () => {
    const uuid = "0190d6c0-5f4e-7000-8000-000000000000";
    expect(attribution({ "X-NullSpend-Action-Id": `ns_act_${uuid}` }).actionId).toBe(uuid);
    expect(attribution({ "X-NullSpend-Action-Id": "ns_act_1" }).actionId).toBeNull();
  });
});
