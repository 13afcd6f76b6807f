import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { attribute, isTagKey, parseCustomer, parseSession, parseTags, parseTagsJson, TAGS_MAX } from "./attribution";

describe("parseTags", () => {
  it.each([
    ["a valid tag", { team: "a" }, { team: "a" }, []],
    ["an empty value", { team: "" }, { team: "" }, []],
    ["a value of 256 characters", { team: "x".repeat(256) }, { team: "x".repeat(256) }, []],
    ["a value of 257 characters", { team: "x".repeat(257), ok: "1" }, { ok: "1" }, ["team"]],
    ["a value with NUL", { team: "a\0" }, {}, ["team"]],
    ["a number", { team: 1 }, {}, ["team"]],
    ["null", { team: null }, {}, ["team"]],
    ["a nested object", { team: { a: "b" } }, {}, ["team"]],
    ["a reserved key", { _ns_x: "1" }, {}, ["_ns_x"]],
    ["a key with a space", { "a b": "1" }, {}, ["a b"]],
    ["an empty key", { "": "1" }, {}, [""]],
    ["a key of 64 characters", { ["k".repeat(64)]: "1" }, { ["k".repeat(64)]: "1" }, []],
    ["a key of 65 characters", { ["k".repeat(65)]: "1" }, {}, ["k".repeat(64)]],
    ["half a surrogate pair", { team: "a\ud800" }, { team: "a\ufffd" }, []],
    ["nothing", undefined, {}, []],
    ["an array", ["a"], {}, ["tags"]],
    ["a string", "team=a", {}, ["tags"]],
  ])("%s", (_name, value, tags, dropped) => {
    expect(parseTags(value)).toEqual({ tags, dropped });
  });

  it("keeps the first ten and names the rest", () => {
    const twelve = Object.fromEntries(Array.from({ length: 12 }, (_, i) => [`k${i}`, "v"]));
    const { tags, dropped } = parseTags(twelve);
    expect(Object.keys(tags).length).toBe(TAGS_MAX);
    expect(dropped).toEqual(["k10", "k11"]);
  });

  it("an invalid tag takes no room from a valid one", () => {
    const tags = Object.fromEntries(Array.from({ length: 10 }, (_, i) => [`k${i}`, "v"]));
    expect(parseTags({ "bad key": "v", ...tags }).tags).toEqual(tags);
  });

  it("`__proto__` in a header becomes neither a tag nor a prototype", () => {
    const { tags, dropped } = parseTagsJson('{"__proto__":"x","constructor":"y"}');
    expect(Object.entries(tags)).toEqual([["constructor", "y"]]);
    expect(dropped).toEqual(["__proto__"]);
  });

  it.each(["", "{", "null", "[]", "1", '"x"'])("header %j brings no tags and does not throw", (text) => {
    expect(parseTagsJson(text).tags).toEqual({});
  });

  it("whatever comes in, only valid tags come out, and every name is accounted for", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string({ maxLength: 70 }), fc.oneof(fc.string({ maxLength: 300 }), fc.anything())), (value) => {
        const { tags, dropped } = parseTags(value);
        for (const [key, each] of Object.entries(tags)) {
          expect(isTagKey(key)).toBe(true);
          expect(each.length).toBeLessThanOrEqual(256);
          expect(each).not.toContain("\0");
        }
        expect(Object.keys(tags).length + dropped.length).toBe(Object.keys(value).length);
      }),
    );
  });
});

describe("parseCustomer and parseSession", () => {
  it.each(["a", "acme", "a.b_c:d-e", "x".repeat(256)])("%j is a customer", (value) => expect(parseCustomer(value)).toBe(value));
  it.each(["", "a b", "ä", "x".repeat(257), "a\n", "a/b", undefined, 1])("%j is no customer", (value) => {
    expect(parseCustomer(value)).toBeUndefined();
  });

  it.each([
    ["  s1 ", { valid: true, sessionId: "s1" }],
    ["   ", { valid: true, sessionId: null }],
    [undefined, { valid: true, sessionId: null }],
    ["x".repeat(256), { valid: true, sessionId: "x".repeat(256) }],
    [` ${"x".repeat(256)} `, { valid: true, sessionId: "x".repeat(256) }],
    ["x".repeat(257), { valid: false }],
    ["a\0b", { valid: false }],
    [7, { valid: false }],
  ])("session %j", (value, expected) => expect(parseSession(value)).toEqual(expected));
});

describe("attribute", () => {
  it("default tags go under the call's own", () => {
    const restrictions = { defaultTags: { team: "default", env: "prod" } };
    expect(attribute({ tags: { team: "own" }, customerId: undefined, restrictions }).tags).toEqual({ team: "own", env: "prod" });
  });

  // A caller that could override a locked tag or customer would choose which budget pays.
  it("locked tags and customer win over whatever the call says", () => {
    const restrictions = { defaultTags: { team: "default" }, lockedTags: { team: "locked" }, lockedCustomer: "acme" };
    expect(attribute({ tags: { team: "own", customer: "evil" }, customerId: "evil", restrictions })).toEqual({
      tags: { team: "locked", customer: "evil" },
      customerId: "acme",
      dropped: [],
    });
  });

  it("locked tags do not count toward the ten; defaults without room are named", () => {
    const tags = Object.fromEntries(Array.from({ length: 10 }, (_, i) => [`k${i}`, "v"]));
    const attributed = attribute({ tags, customerId: undefined, restrictions: { defaultTags: { d: "1" }, lockedTags: { l: "1" } } });
    expect(attributed.tags).toEqual({ ...tags, l: "1" });
    expect(attributed.dropped).toEqual(["d"]);
  });

  it("the tag `customer` stands in for a customer, if it is one", () => {
    expect(attribute({ tags: { customer: "acme" }, customerId: undefined, restrictions: {} }).customerId).toBe("acme");
    expect(attribute({ tags: { customer: "not one" }, customerId: undefined, restrictions: {} }).customerId).toBeNull();
    expect(attribute({ tags: { customer: "acme" }, customerId: "globex", restrictions: {} })).toMatchObject({
      customerId: "globex",
      tags: { customer: "acme" },
    });
  });
});
