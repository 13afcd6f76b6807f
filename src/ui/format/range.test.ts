import { describe, expect, it } from "vitest";
import { bucketFor, parseRange, previousInterval, printRange, resolveRange } from "./range";

// A month that begins in the wrong zone shows a sum that does not match the budget beside it.

const now = new Date("2026-11-24T14:30:00Z");

describe("ranges", () => {
  it("read back what they print", () => {
    for (const text of ["1h", "24h", "7d", "30d", "mtd", "2026-11-01T00:00:00.000Z~2026-11-08T00:00:00.000Z"]) {
      expect(printRange(parseRange(text)!)).toBe(text);
    }
  });

  it.each(["", "2d", "x~y", "2026-11-08~2026-11-01", "2026-11-01~2026-11-01", "2020-01-01~2026-01-01", "2026-11-01~2026-11-02~2026-11-03"])(
    "refuse %j",
    (text) => {
      expect(parseRange(text)).toBeNull();
    },
  );

  it("begin months and days in the zone that is asked for", () => {
    const mtd = parseRange("mtd")!;
    expect(resolveRange(mtd, now, "UTC").from.toISOString()).toBe("2026-11-01T00:00:00.000Z");
    expect(resolveRange(mtd, now, "America/New_York").from.toISOString()).toBe("2026-11-01T04:00:00.000Z");
    expect(resolveRange(mtd, new Date("2026-11-30T23:30:00Z"), "Asia/Tokyo").from.toISOString()).toBe("2026-11-30T15:00:00.000Z");
    expect(resolveRange(parseRange("7d")!, now, "UTC").from.toISOString()).toBe("2026-11-18T00:00:00.000Z");
    // Clocks went back on the 25th of October: the day began at +2.
    expect(resolveRange(parseRange("30d")!, new Date("2026-11-20T12:00:00Z"), "Europe/Berlin").from.toISOString()).toBe(
      "2026-10-21T22:00:00.000Z",
    );
  });

  it("are compared with the same length just before", () => {
    const day = resolveRange(parseRange("24h")!, now, "UTC");
    expect(previousInterval(day)).toEqual({ from: new Date("2026-11-22T14:30:00Z"), to: day.from });
  });

  it("are cut into a drawable number of buckets", () => {
    expect(bucketFor(resolveRange(parseRange("1h")!, now, "UTC"))).toBe("minute");
    expect(bucketFor(resolveRange(parseRange("24h")!, now, "UTC"))).toBe("hour");
    expect(bucketFor(resolveRange(parseRange("30d")!, now, "UTC"))).toBe("day");
  });
});
