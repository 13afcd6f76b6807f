import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { byteByByte, cutAt, fixture, fixtureNames, meterAnswer, meterFixture, pathOf } from "@/testing/meter-answer";

const ALL = (["openai", "anthropic"] as const).flatMap((provider) => fixtureNames(provider).map((name) => ({ provider, name })));
const provider = fc.constantFrom("openai", "anthropic" as const);
const contentType = fc.constantFrom("text/event-stream", "application/json", "audio/mpeg", undefined);

// A network cuts anywhere: inside a code point, between CR and LF, inside the figure that is paid for.
describe("answers in pieces", () => {
  it.each(ALL)("$provider $name is read the same when it is cut at any byte", ({ provider, name }) => {
    const whole = meterFixture(provider, name);
    const { length } = fixture(provider, name);
    for (let at = 0; at <= length; at += 1) {
      const cut = meterFixture(provider, name, cutAt(at));
      // toEqual on every cut would take most of the test's time.
      if (JSON.stringify(cut) !== JSON.stringify(whole)) expect(cut, `cut at ${at}`).toEqual(whole);
    }
    expect(meterFixture(provider, name, byteByByte)).toEqual(whole);
  });

  it("never throws on random bytes", () => {
    fc.assert(
      fc.property(provider, contentType, fc.uint8Array({ maxLength: 300 }), (provider, contentType, bytes) => {
        meterAnswer({
          provider,
          path: provider === "openai" ? "/v1/responses" : "/v1/messages",
          contentType,
          pieces: [bytes.subarray(0, 40), bytes.subarray(40)],
        });
      }),
      { numRuns: 500 },
    );
  });

  it("never throws on a recorded answer with bytes changed, lost and repeated", () => {
    const edits = fc.array(fc.tuple(fc.nat(), fc.constantFrom("set", "drop", "repeat"), fc.nat(255)), { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(fc.constantFrom(...ALL), edits, ({ provider, name }, changes) => {
        let bytes = Buffer.from(fixture(provider, name));
        for (const [position, kind, value] of changes) {
          const at = position % bytes.length;
          if (kind === "set") bytes[at] = value;
          else if (kind === "drop") bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + (value % 20))]);
          else bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(Math.max(0, at - value)), bytes.subarray(at)]);
        }
        meterAnswer({
          provider,
          path: pathOf(provider, name),
          contentType: name.endsWith(".sse") ? "text/event-stream" : "application/json",
          pieces: [bytes],
        });
      }),
      { numRuns: 1000 },
    );
  });

  it("never throws on events of the right names with anything inside", () => {
    const names = [
      "type",
      "delta",
      "usage",
      "choices",
      "message",
      "content_block",
      "response",
      "item",
      "error",
      "output",
      "index",
      "tool_calls",
      "id",
      "toString",
      "__proto__",
    ];
    const value = fc.letrec((tie) => ({
      any: fc.oneof(
        { depthSize: "small" },
        fc.constantFrom(
          null,
          true,
          -1,
          0.5,
          7,
          "",
          "error",
          "response.completed",
          "message_delta",
          "content_block_start",
          "web_search_call",
        ),
        fc.array(tie("any"), { maxLength: 3 }),
        fc.dictionary(fc.constantFrom(...names), tie("any"), { maxKeys: 6 }),
      ),
    })).any;
    fc.assert(
      fc.property(provider, fc.array(value, { maxLength: 4 }), (provider, events) => {
        const bytes = Buffer.from(events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join(""));
        const path = provider === "openai" ? "/v1/responses" : "/v1/messages";
        const { visibleText } = meterAnswer({ provider, path, contentType: "text/event-stream", pieces: [bytes] });
        expect(typeof visibleText).toBe("string");
      }),
      { numRuns: 1000 },
    );
    expect(({} as Record<string, unknown>)["usage"]).toBeUndefined();
  });
});
