import { createParser } from "eventsource-parser";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SseParser } from "./sse-parser";

type Seen = { name: string; data: string };

function parse(bytes: Buffer, cuts: readonly number[] = [], eventBytesMax?: number): { events: Seen[]; long: Seen[] } {
  const events: Seen[] = [];
  const long: Seen[] = [];
  const parser = new SseParser(
    {
      onEvent: (name, data) => events.push({ name, data }),
      onLongEvent(name) {
        const pieces: Buffer[] = [];
        return { push: (piece) => pieces.push(Buffer.from(piece)), end: () => long.push({ name, data: Buffer.concat(pieces).toString() }) };
      },
    },
    eventBytesMax === undefined ? {} : { eventBytesMax },
  );
  let start = 0;
  for (const cut of [...cuts].sort((a, b) => a - b)) {
    parser.push(bytes.subarray(start, cut));
    start = cut;
  }
  parser.push(bytes.subarray(start));
  return { events, long };
}

const everyByte = (bytes: Buffer): number[] => Array.from({ length: Math.max(0, bytes.length - 1) }, (_, i) => i + 1);

function oracle(text: string): Seen[] {
  const events: Seen[] = [];
  const parser = createParser({ onEvent: ({ event, data }) => events.push({ name: event ?? "", data }) });
  parser.feed(text);
  // It waits with a CR at the very end, for the LF that may follow.
  if (text.endsWith("\r")) parser.feed(":\n");
  return events;
}

const lineEnd = fc.constantFrom("\n", "\r\n", "\r");
const line = fc.oneof(
  fc.constantFrom(
    "",
    "data",
    "data:",
    "data: ",
    "data:x",
    "data:  y",
    "event: a",
    "event:",
    "event",
    ": comment",
    ":",
    "id: 1",
    "retry: 10",
    "nothing",
    "database: 1",
    "dat",
    "eventual: 2",
  ),
  fc.string({ unit: "grapheme", maxLength: 30 }).map((text) => `data: ${text.replace(/[\r\n]/g, "")}`),
);
const stream = fc.array(fc.tuple(line, lineEnd), { maxLength: 20 }).map((lines) => lines.map((parts) => parts.join("")).join(""));

describe("sse parser", () => {
  it("finds the events that the reference parser finds, however the bytes are cut", () => {
    fc.assert(
      fc.property(stream, fc.array(fc.nat(300), { maxLength: 8 }), (text, cuts) => {
        const bytes = Buffer.from(text);
        const expected = oracle(text);
        expect(parse(bytes).events).toEqual(expected);
        expect(parse(bytes, everyByte(bytes)).events).toEqual(expected);
        expect(
          parse(
            bytes,
            cuts.map((cut) => Math.min(cut, bytes.length)),
          ).events,
        ).toEqual(expected);
      }),
      { numRuns: 500 },
    );
  });

  it("skips one byte order mark at the start, cut anywhere, and only there", () => {
    const bom = Buffer.from([0xef, 0xbb, 0xbf]);
    const bytes = Buffer.concat([bom, Buffer.from("data: a\n\n"), bom, Buffer.from("data: b\n\ndata: c\n\n")]);
    for (const cuts of [[], [1], [2], [3], everyByte(bytes)])
      expect(parse(bytes, cuts).events.map((event) => event.data)).toEqual(["a", "c"]);
    expect(parse(Buffer.from([0xef, 0xbb, 0x0a, 0x64])).events).toEqual([]);
  });

  it("hands out at the end an event whose blank line never came", () => {
    const seen: string[] = [];
    const parser = new SseParser({ onEvent: (_name, data) => seen.push(data) });
    parser.push(Buffer.from("data: a\n\ndata: b\ndata: c"));
    parser.end();
    expect(seen).toEqual(["a", "b\nc"]);
  });

  it("passes an event over the cap on in pieces, whole, and the next one as usual", () => {
    const bytes = Buffer.from(`event: big\ndata: {"x":"${"é".repeat(100)}",\r\ndata: "y":1}\r\n\r\nevent: small\ndata: 1\n\n`);
    for (const cuts of [[], everyByte(bytes), [60, 61, 100, 225]]) {
      const { events, long } = parse(bytes, cuts, 64);
      expect(long).toHaveLength(1);
      expect(long[0]!.name).toBe("big");
      expect(JSON.parse(long[0]!.data)).toEqual({ x: "é".repeat(100), y: 1 });
      expect(events).toEqual([{ name: "small", data: "1" }]);
    }
  });

  it("counts many short lines of one event against the cap", () => {
    const { events, long } = parse(Buffer.from(`${"data: 12345678\n".repeat(20)}\n`), [], 64);
    expect(events).toEqual([]);
    expect(long[0]!.data).toBe(Array(20).fill("12345678").join("\n"));
  });

  it("holds nothing of a long line that is no data", () => {
    const parser = new SseParser({ onEvent: () => {} });
    parser.push(Buffer.from(": "));
    const piece = Buffer.alloc(1024 * 1024, 0x20);
    const before = process.memoryUsage().arrayBuffers;
    for (let i = 0; i < 50; i += 1) parser.push(piece);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(4 * 1024 * 1024);
  });

  // Joining what is held at every piece would take minutes here.
  it("takes a megabyte byte by byte in linear time", () => {
    const bytes = Buffer.from(`data: ${"x".repeat(1_000_000)}\n\n`);
    const seen: number[] = [];
    const parser = new SseParser({ onEvent: (_name, data) => seen.push(data.length) }, { eventBytesMax: 2_000_000 });
    const start = performance.now();
    for (let i = 0; i < bytes.length; i += 1) parser.push(bytes.subarray(i, i + 1));
    expect(seen).toEqual([1_000_000]);
    expect(performance.now() - start).toBeLessThan(5_000);
  });

  it("never throws, whatever the bytes", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 300 }),
        (bytes) =>
          void parse(
            Buffer.from(bytes),
            [7, 8, 90].map((cut) => Math.min(cut, bytes.length)),
            16,
          ),
      ),
    );
  });
});
