import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { columnDecimals, exactUsd, formatUsd, parseUsd, plainUsd } from "./money";

// A call of a fraction of a cent shown as $0.00 tells people that calls are free.

describe("formatUsd", () => {
  it.each([
    [0, "$0.00"],
    [3420, "$0.00342"],
    [34.2, "$0.0000342"],
    [12_345.6, "$0.0123"],
    [500_000, "$0.50"],
    [12_345_600, "$12.35"],
    [1_234_567_800, "$1,234.57"],
    [0.001, "$0.000000001"],
    [5_000_000, "$5.00"],
    [-3420, "-$0.00342"],
  ])("prints %d microdollars as %s", (microdollars, text) => {
    expect(formatUsd(microdollars)).toBe(text);
  });

  it("never shows zero for what is not zero", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 9_000_000_000 }), fc.integer({ min: 0, max: 6 }), (nano, decimals) => {
        expect(formatUsd(nano / 1000)).toMatch(/[1-9]/);
        expect(formatUsd(nano / 1000, { decimals })).toMatch(/[1-9]/);
      }),
    );
  });

  it("says that an amount is below the precision of its column", () => {
    expect(formatUsd(34.2, { decimals: 4 })).toBe("<$0.0001");
    expect(formatUsd(0, { decimals: 4 })).toBe("$0.0000");
    expect(formatUsd(99, { decimals: 4 })).toBe("<$0.0001");
    expect(formatUsd(100, { decimals: 4 })).toBe("$0.0001");
  });

  it("is compact from ten thousand dollars on, and only when asked", () => {
    expect(formatUsd(9_999_000_000, { compact: true })).toBe("$9,999.00");
    expect(formatUsd(12_345_000_000, { compact: true })).toBe("$12.3K");
    expect(formatUsd(12_345_000_000)).toBe("$12,345.00");
  });

  it("prints what is not known as a dash, not as zero", () => {
    expect(formatUsd(undefined)).toBe("–");
    expect(formatUsd(null)).toBe("–");
    expect(formatUsd(Number.NaN)).toBe("–");
  });

  it("signs differences", () => {
    expect(formatUsd(1_000_000, { signed: true })).toBe("+$1.00");
    expect(formatUsd(-1_000_000, { signed: true })).toBe("-$1.00");
    expect(formatUsd(0, { signed: true })).toBe("$0.00");
  });
});

describe("parseUsd", () => {
  it("reads back every exact amount", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 52 }), (nano) => {
        expect(parseUsd(exactUsd(nano / 1000))).toBe(nano / 1000);
        expect(parseUsd(plainUsd(nano / 1000))).toBe(nano / 1000);
      }),
    );
  });

  it.each(["", "-1", "1e3", "abc", "1,23", "0.0000000001", "Infinity", ".", "$", "99999999"])("does not guess at %j", (text) => {
    expect(parseUsd(text)).toBeUndefined();
  });

  it.each([
    ["5", 5_000_000],
    ["$1,234.50", 1_234_500_000],
    [".5", 500_000],
    ["5.", 5_000_000],
    [" 0.000001 ", 1],
  ])("reads %j", (text, microdollars) => {
    expect(parseUsd(text)).toBe(microdollars);
  });
});

describe("columnDecimals", () => {
  it("fits the middle of the column", () => {
    expect(columnDecimals([])).toBe(2);
    expect(columnDecimals([0, 0, null])).toBe(2);
    expect(columnDecimals([3420, 3500, 9_000_000])).toBe(5);
    expect(columnDecimals([0.5, 0.6, 0.7])).toBe(6);
    expect(columnDecimals([12_000_000, 15_000_000])).toBe(2);
  });
});
