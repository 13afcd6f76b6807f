import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { JsonScanner, type JsonScannerOptions, compileJsonPaths } from "./json-scanner";

const PATHS = compileJsonPaths(["model", "usage", "stream_options", "stream_options.include_usage", "response.usage", "response.id"]);

function scan(text: string | Buffer, options: JsonScannerOptions = {}, cuts: readonly number[] = []): JsonScanner {
  const bytes = Buffer.from(text);
  const scanner = new JsonScanner(PATHS, { keepValues: true, ...options });
  let start = 0;
  for (const cut of [...cuts].sort((a, b) => a - b)) {
    scanner.push(bytes.subarray(start, cut));
    start = cut;
  }
  scanner.push(bytes.subarray(start));
  scanner.end();
  return scanner;
}

const everyByte = (text: string): number[] => Array.from({ length: Buffer.byteLength(text) - 1 }, (_, i) => i + 1);

describe("json scanner", () => {
  it("finds members at the top and one level down, wherever they stand, and nothing of the same name elsewhere", () => {
    const text = `{"a":{"usage":1,"model":"no"},"list":[{"usage":2},"\\"usage\\":3"],"model" : "gpt","response":{"output":[{"usage":4}],"usage":{"n":5},"id":"r"},"usage":null}`;
    const scanner = scan(text);
    expect(scanner.toObject()).toEqual({ model: "gpt", response: { usage: { n: 5 }, id: "r" }, usage: null });
    expect(scanner.complete).toBe(true);
    expect(scanner.range("")).toMatchObject({ start: 0, end: text.length });
  });

  it("tells where a member, its key and the member before it stand", () => {
    const text = `{ "x" : 1 , "model" : "gpt" }`;
    expect(scan(text).range("model")).toEqual({ keyStart: 12, start: 22, end: 27, previousEnd: 9 });
    expect(scan(`{"model":1}`).range("model")).toEqual({ keyStart: 1, start: 9, end: 10, previousEnd: undefined });
  });

  it("gives the same however the bytes are cut", () => {
    const member = fc.tuple(
      fc.constantFrom("model", "usage", "response", "stream_options", "mod\\u0065l", "x", 'q"\\', "long".repeat(20), "é😀"),
      fc.jsonValue({ maxDepth: 3 }),
    );
    fc.assert(
      fc.property(fc.array(member, { maxLength: 6 }), fc.array(fc.nat(400), { maxLength: 12 }), (members, cuts) => {
        const text = `{${members.map(([key, value]) => `${key.includes("\\u") ? `"${key}"` : JSON.stringify(key)}: ${JSON.stringify(value)}`).join(" ,")}}`;
        const length = Buffer.byteLength(text);
        const whole = scan(text);
        for (const other of [
          scan(text, {}, everyByte(text)),
          scan(
            text,
            {},
            cuts.map((cut) => cut % length),
          ),
        ]) {
          expect(other.toObject()).toEqual(whole.toObject());
          expect(other.range("model")).toEqual(whole.range("model"));
          expect(other.complete).toBe(true);
        }
      }),
    );
  });

  it("agrees with the full parser on every member asked for", () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.constantFrom("model", "usage", "other", "more"), fc.jsonValue()),
        fc.constantFrom(undefined, 1, "\t"),
        (document, indent) => {
          const { model, usage } = JSON.parse(JSON.stringify(document)) as Record<string, unknown>;
          const scanner = scan(JSON.stringify(document, null, indent));
          expect(scanner.complete).toBe(true);
          expect(scanner.value("model")).toEqual(model);
          expect(scanner.value("usage")).toEqual(usage);
        },
      ),
    );
  });

  it.each([
    ["a plain repetition", `{"model":"a","model":"b"}`, ["model"]],
    ["an escaped key", `{"mod\\u0065l":"a","model":"b"}`, ["model"]],
    ["another case", `{"Model":"a"}`, ["model"]],
    ["another case beside the right one", `{"model":"a","MODEL":"b"}`, ["model"]],
    ["a letter that folds to s", `{"u\u017fage":1}`, ["usage"]],
    ["a nested repetition", `{"stream_options":{"include_usage":true,"include_usage":false}}`, ["stream_options.include_usage"]],
    ["a repeated object", `{"stream_options":{},"stream_options":{"include_usage":true}}`, ["stream_options"]],
  ])("names keys that can be read in two ways: %s", (_name, text, expected) => {
    expect([...scan(text, { strictKeys: true }).ambiguous]).toEqual(expected);
    expect([...scan(text, { strictKeys: true }, everyByte(text)).ambiguous]).toEqual(expected);
  });

  it("does not mind repetitions of what nobody asked for", () => {
    expect(scan(`{"x":1,"x":2,"y":{"model":1,"model":2}}`, { strictKeys: true }).ambiguous.size).toBe(0);
  });

  it.each([
    "",
    " ",
    "{",
    `{"a"}`,
    `{"a":}`,
    `{"a":1,}`,
    `{,}`,
    `{"a":1]`,
    `[1}`,
    `{"a":[}`,
    `{"a":tru}`,
    `{"a":nul}`,
    `{"a":1}x`,
    `{"a":1}{}`,
    "nan",
    `{'a':1}`,
    `{"a`,
    `\u0000{}`,
    `{"a" 1}`,
  ])("does not take %j for a document", (text) => {
    for (const cuts of [[], everyByte(text)]) {
      const scanner = scan(text, {}, cuts);
      expect(scanner.complete).toBe(false);
      expect(scanner.problem).toBe("invalid");
    }
  });

  it("reads past a byte order mark, and refuses half of one", () => {
    expect(scan(Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), Buffer.from(`{"model":"a"}`)])).value("model")).toBe("a");
    expect(scan(Buffer.concat([Buffer.from([0xef, 0xbb]), Buffer.from(`{"model":"a"}`)])).problem).toBe("invalid");
  });

  // A recursive reader would take the process down here.
  it("stops at the depth cap, in front of and behind it, a million levels deep", () => {
    expect(scan(`{"x":${"[".repeat(99)}${"]".repeat(99)}}`).complete).toBe(true);
    expect(scan(`{"x":${"[".repeat(100)}${"]".repeat(100)}}`).problem).toBe("too-deep");
    expect(scan("[".repeat(1_000_000)).problem).toBe("too-deep");
    expect(scan(`{"response":`.repeat(1_000_000)).problem).toBe("too-deep");
  });

  it("keeps no value past the cap, and names it", () => {
    const text = `{"model":"${"x".repeat(200)}","usage":1}`;
    for (const cuts of [[], everyByte(text)]) {
      const scanner = scan(text, { valueBytesMax: 64 }, cuts);
      expect([...scanner.oversized]).toEqual(["model"]);
      expect(scanner.value("model")).toBeUndefined();
      expect(scanner.value("usage")).toBe(1);
    }
  });

  it("follows backslashes through strings of any length, across cuts", () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom("\\\\", '\\"', "a", "x".repeat(40), "é"), { maxLength: 30 }),
        fc.array(fc.nat(2000), { maxLength: 6 }),
        (parts, cuts) => {
          const text = `{"x":"${parts.join("")}","y":["${parts.join("")}"],"model":1}`;
          expect(
            scan(
              text,
              {},
              cuts.map((cut) => cut % text.length),
            ).value("model"),
          ).toBe(1);
        },
      ),
    );
  });

  it("never throws, whatever the bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.array(fc.nat(200), { maxLength: 4 }), (bytes, cuts) => {
        scan(
          Buffer.from(bytes),
          { strictKeys: true },
          cuts.map((cut) => Math.min(cut, bytes.length)),
        );
      }),
    );
    const alphabet = fc.constantFrom(...Array.from('{}[]",:\\ntrue01 model'));
    fc.assert(fc.property(fc.array(alphabet, { maxLength: 60 }), (parts) => void scan(parts.join(""), { strictKeys: true })));
  });
});
