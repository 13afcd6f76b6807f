import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { EventBoundary } from "./event-boundary";

const ends = (text: string): boolean => /(?:\r\n|\r|\n){2}$/.test(text);

describe("event boundaries", () => {
  it.each(["\n", "\r\n", "\r"])("hand on whole events only, however the bytes are cut (line end %j)", (eol) => {
    const event = fc
      .string({ unit: fc.constantFrom("a", "é", " ", ":"), minLength: 1, maxLength: 12 })
      .map((text) => `data: x${text}${eol}${eol}`);
    fc.assert(
      fc.property(
        fc.array(event, { maxLength: 6 }),
        fc.string({ maxLength: 5 }),
        fc.infiniteStream(fc.integer({ min: 1, max: 7 })),
        (events, tail, sizes) => {
          const bytes = Buffer.from(events.join("") + tail.replace(/[\r\n]/g, ""));
          const boundary = new EventBoundary();
          let out = "";
          for (let at = 0; at < bytes.length;) {
            const size = sizes.next().value ?? 1;
            out += boundary.push(bytes.subarray(at, at + size)).toString("latin1");
            at += size;
            expect(out === "" || ends(out)).toBe(true);
          }
          expect(out + boundary.end().toString("latin1")).toBe(bytes.toString("latin1"));
        },
      ),
    );
  });

  it("let pass what is too large to be an event", () => {
    const boundary = new EventBoundary(10);
    expect(boundary.push(Buffer.from("data: 12"))).toHaveLength(0);
    expect(boundary.push(Buffer.from("3456"))).toHaveLength(12);
    expect(boundary.end()).toHaveLength(0);
  });
});
