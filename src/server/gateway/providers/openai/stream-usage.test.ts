import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { fixture } from "@/testing/meter-answer";
import { StreamUsageRemover, addStreamUsage } from "./stream-usage";

describe("adding include_usage to a request", () => {
  it.each([
    ["absent", `{"model":"m","stream":true}`, `{"stream_options":{"include_usage":true},"model":"m","stream":true}`],
    ["absent, with space", `{\n  "stream" : true\n}`, `{"stream_options":{"include_usage":true},\n  "stream" : true\n}`],
    ["null", `{"stream":true,"stream_options": null }`, `{"stream":true,"stream_options": {"include_usage":true} }`],
    ["empty", `{"stream_options":{ },"stream":true}`, `{"stream_options":{"include_usage":true },"stream":true}`],
    [
      "with other options",
      `{"stream_options":{"include_obfuscation":false},"stream":true}`,
      `{"stream_options":{"include_usage":true,"include_obfuscation":false},"stream":true}`,
    ],
    ["false", `{"stream_options":{"include_usage":false},"stream":true}`, `{"stream_options":{"include_usage":true},"stream":true}`],
    ["null inside", `{"stream_options":{"include_usage": null}}`, `{"stream_options":{"include_usage": true}}`],
    ["an empty body", `{}`, `{"stream_options":{"include_usage":true}}`],
  ])("where the option is %s", (_name, body, expected) => {
    expect(addStreamUsage(Buffer.from(body))?.toString()).toBe(expected);
  });

  it.each([
    ["set already", `{"stream_options":{"include_usage":true}}`],
    ["no object", `{"stream_options":[1]}`],
    ["there twice", `{"stream_options":null,"stream_options":{"include_usage":false}}`],
    ["in a body that is no JSON", `{"stream":true`],
    ["in a body that is no object", `[1]`],
  ])("leaves the body alone where the option is %s", (_name, body) => {
    expect(addStreamUsage(Buffer.from(body))).toBeUndefined();
  });

  it("changes nothing but the option, whatever the body", () => {
    const options = fc.oneof(
      fc.constant(undefined),
      fc.constant(null),
      fc.record({ include_usage: fc.option(fc.constant(false)), include_obfuscation: fc.boolean() }, { requiredKeys: [] }),
    );
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), options, fc.constantFrom(undefined, 1, 2), (rest, streamOptions, indent) => {
        const body = { ...rest, ...(streamOptions === undefined ? {} : { stream_options: streamOptions }) };
        const changed = addStreamUsage(Buffer.from(JSON.stringify(body, null, indent)))!;
        const { stream_options: _, ...others } = JSON.parse(JSON.stringify(body)) as Record<string, unknown>;
        const parsed = JSON.parse(changed.toString()) as Record<string, unknown>;
        expect(parsed).toEqual({ ...others, stream_options: { ...streamOptions, include_usage: true } });
      }),
    );
  });
});

type Style = { nl: string; colon: string; comma: string; space: string };

/** A chunk as a provider writes it: `usage` at `position` among its members when the option is set, nowhere when it is not. */
function chunkText(
  members: readonly (readonly [string, unknown])[],
  usage: { position: number; text: string } | undefined,
  style: Style,
): string {
  const parts = members.map(([name, value]) => `${JSON.stringify(name)}${style.colon}${JSON.stringify(value)}`);
  if (usage) parts.splice(Math.min(usage.position, parts.length), 0, `"usage"${style.colon}${usage.text}`);
  return `data:${style.space}{${parts.join(style.comma)}}${style.nl}${style.nl}`;
}

const USAGE = `{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11,"usage":null}`;
/** Text that looks like what is to be removed. */
const trickyText = fc.oneof(
  fc.string({ unit: "grapheme" }),
  fc.constantFrom(`,"usage":null`, `"usage":null`, `data: [DONE]\n\n`, `\\","usage":null,"x":"`, `{"choices":[],"usage":{}}`),
);
const members = fc.tuple(trickyText, fc.option(trickyText), fc.boolean()).map(([content, id, nested]): [string, unknown][] => [
  ["id", id],
  ["object", "chat.completion.chunk"],
  ["choices", [{ index: 0, delta: { content, ...(nested ? { usage: null } : {}) }, finish_reason: null }]],
  ["x_extra", { usage: null, list: [{ usage: null }] }],
]);
const style = fc.record({
  nl: fc.constantFrom("\n", "\r\n", "\r"),
  colon: fc.constantFrom(":", ": "),
  comma: fc.constantFrom(",", ", "),
  space: fc.constantFrom("", " "),
});
const comment = fc.constantFrom("", ": keep-alive\n\n", ":\n", "event: x\n");

function removed(pieces: Iterable<Uint8Array>): string {
  const remover = new StreamUsageRemover();
  const out = [...pieces].map((piece) => Buffer.from(remover.push(piece)));
  return Buffer.concat([...out, remover.end()]).toString("latin1");
}

const latin1 = (text: string): string => Buffer.from(text).toString("latin1");

describe("removing from a stream what include_usage added", () => {
  // The promise of the trust page: the caller sees the bytes it would have seen.
  it("gives the bytes that come without the option, cut at every byte", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(members, fc.nat(5), comment), { maxLength: 5 }), style, fc.nat(5), (chunks, style, last) => {
        const write = (withUsage: boolean): string => {
          const texts = chunks.map(
            ([chunk, position, before]) => before + chunkText(chunk, withUsage ? { position, text: "null" } : undefined, style),
          );
          const final = withUsage
            ? chunkText(
                [
                  ["id", "c"],
                  ["choices", []],
                ],
                { position: last, text: USAGE },
                style,
              )
            : "";
          return `${texts.join("")}${final}data: [DONE]${style.nl}${style.nl}`;
        };
        const sent = Buffer.from(write(true));
        const expected = latin1(write(false));
        expect(removed([sent])).toBe(expected);
        for (let at = 0; at <= sent.length; at += 1) {
          const actual = removed([sent.subarray(0, at), sent.subarray(at)]);
          if (actual !== expected) expect(actual, `cut at ${at}`).toBe(expected);
        }
        expect(removed(Array.from(sent, (byte) => Uint8Array.of(byte)))).toBe(expected);
      }),
      { numRuns: 60 },
    );
  });

  it.each([
    ["first", `{"usage":null,"a":1}`, `{"a":1}`],
    ["first, with space", `{ "usage" : null , "a":1}`, `{ "a":1}`],
    ["last", `{"a":1,"usage":null}`, `{"a":1}`],
    ["last, with space", `{"a":1 , "usage": null }`, `{"a":1 }`],
    ["alone", `{"usage":null}`, `{}`],
    ["between", `{"a":1,"usage":null,"b":2}`, `{"a":1,"b":2}`],
  ])("takes the member out where it stands %s", (_name, chunk, expected) => {
    expect(removed([Buffer.from(`data: ${chunk}\n\n`)])).toBe(`data: ${expected}\n\n`);
  });

  it.each([
    ["usage beside choices", `data: {"choices":[{"index":0}],"usage":{"prompt_tokens":1}}\n\n`],
    ["no chunk", `data: "usage"\n\n`],
    ["broken JSON", `data: {"usage":null,\n\n`],
    ["two data lines", `data: {"usage":null,\ndata: "a":1}\n\n`],
    ["an event without its end", `data: {"usage":null}`],
    ["a comment about it", `: "usage":null\n\n`],
    ["blank lines", `\n\n\r\n\r\r`],
    ["an error", `data: {"error":{"message":"x","usage":null}}\n\n`],
    ["usage of another type", `data: {"choices":[],"usage":false}\n\n`],
  ])("passes %s as it is", (_name, text) => {
    expect(removed([Buffer.from(text)])).toBe(text);
    expect(removed(Array.from(Buffer.from(text), (byte) => Uint8Array.of(byte)))).toBe(text);
  });

  it("keeps a comment that stands before the dropped chunk", () => {
    expect(removed([Buffer.from(`: ping\ndata: {"choices":[],"usage":{"prompt_tokens":1}}\n\ndata: [DONE]\n\n`)])).toBe(
      `: ping\ndata: [DONE]\n\n`,
    );
  });

  it("lets an event past the cap flow, whole and in order, and reads on after it", () => {
    const big = `data: {"a":"${"x".repeat(3_000_000)}","usage":null}\n\n`;
    const bytes = Buffer.from(`${big}data: {"usage":null}\n\n`);
    const pieces = Array.from({ length: Math.ceil(bytes.length / 100_000) }, (_, i) => bytes.subarray(i * 100_000, (i + 1) * 100_000));
    expect(removed(pieces)).toBe(`${big}data: {}\n\n`);
  });

  it("holds nothing back of a stream without usage but its unfinished event", () => {
    const remover = new StreamUsageRemover();
    const stream = fixture("openai", "chat-refusal.sse");
    const half = stream.indexOf("\n\n") + 12;
    expect(remover.push(stream.subarray(0, half)).length).toBe(half - 10);
    expect(remover.push(stream.subarray(half)).length).toBe(stream.length - half + 10);
    expect(remover.end().length).toBe(0);
  });

  it("never throws and loses nothing of bytes that are no stream", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(200), (bytes, at) => {
        expect(removed([bytes.subarray(0, at), bytes.subarray(at)])).toBe(Buffer.from(bytes).toString("latin1"));
      }),
    );
  });
});
