import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type ResetInterval, periodEdgesAt } from "./period-edges";

type Repeating = Exclude<ResetInterval, "none">;
const edges = (interval: Repeating, timezone: string, at: string, anchorDay: number | null = null): [string, string] => {
  const { startsAtMs, endsAtMs } = periodEdgesAt({ interval, timezone, anchorDay }, Date.parse(at));
  return [new Date(startsAtMs).toISOString(), new Date(endsAtMs).toISOString()];
};

describe("period edges", () => {
  it.each<[string, Repeating, string, string, number | null, string, string]>([
    ["a day in UTC", "daily", "UTC", "2026-11-24T10:00:00Z", null, "2026-11-24T00:00:00.000Z", "2026-11-25T00:00:00.000Z"],
    ["its first instant", "daily", "UTC", "2026-11-24T00:00:00Z", null, "2026-11-24T00:00:00.000Z", "2026-11-25T00:00:00.000Z"],
    ["the instant before", "daily", "UTC", "2026-11-23T23:59:59.999Z", null, "2026-11-23T00:00:00.000Z", "2026-11-24T00:00:00.000Z"],
    ["a day of 23 hours", "daily", "Europe/Berlin", "2026-03-29T12:00:00Z", null, "2026-03-28T23:00:00.000Z", "2026-03-29T22:00:00.000Z"],
    ["a day of 25 hours", "daily", "Europe/Berlin", "2026-10-25T12:00:00Z", null, "2026-10-24T22:00:00.000Z", "2026-10-25T23:00:00.000Z"],
    [
      "a day without midnight",
      "daily",
      "America/Santiago",
      "2026-09-06T12:00:00Z",
      null,
      "2026-09-06T04:00:00.000Z",
      "2026-09-07T03:00:00.000Z",
    ],
    [
      "a day with two midnights",
      "daily",
      "America/Havana",
      "2026-11-01T12:00:00Z",
      null,
      "2026-11-01T04:00:00.000Z",
      "2026-11-02T05:00:00.000Z",
    ],
    ["half-hour offsets", "daily", "Asia/Kolkata", "2026-11-24T18:29:59Z", null, "2026-11-23T18:30:00.000Z", "2026-11-24T18:30:00.000Z"],
    ["a week from Monday", "weekly", "UTC", "2026-11-24T10:00:00Z", null, "2026-11-23T00:00:00.000Z", "2026-11-30T00:00:00.000Z"],
    ["a week from Sunday", "weekly", "UTC", "2026-11-24T10:00:00Z", 7, "2026-11-22T00:00:00.000Z", "2026-11-29T00:00:00.000Z"],
    ["a month", "monthly", "UTC", "2026-11-24T10:00:00Z", null, "2026-11-01T00:00:00.000Z", "2026-12-01T00:00:00.000Z"],
    ["a month before its anchor", "monthly", "UTC", "2026-11-14T10:00:00Z", 15, "2026-10-15T00:00:00.000Z", "2026-11-15T00:00:00.000Z"],
    ["an anchor clamped in February", "monthly", "UTC", "2026-03-01T00:00:00Z", 31, "2026-02-28T00:00:00.000Z", "2026-03-31T00:00:00.000Z"],
    ["a leap February", "monthly", "UTC", "2028-02-29T00:00:00Z", 30, "2028-02-29T00:00:00.000Z", "2028-03-30T00:00:00.000Z"],
    ["January before its anchor", "monthly", "UTC", "2026-01-05T00:00:00Z", 10, "2025-12-10T00:00:00.000Z", "2026-01-10T00:00:00.000Z"],
    ["a year", "yearly", "America/New_York", "2026-01-01T04:59:59Z", null, "2025-01-01T05:00:00.000Z", "2026-01-01T05:00:00.000Z"],
  ])("of %s", (_what, interval, timezone, at, anchorDay, start, end) => {
    expect(edges(interval, timezone, at, anchorDay)).toEqual([start, end]);
  });

  const zones = fc.constantFrom(
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Sao_Paulo",
    "America/Havana",
    "America/Santiago",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Pacific/Kiritimati",
    "Africa/Cairo",
    "Asia/Beirut",
    "Asia/Tehran",
  );
  const instants = fc.integer({ min: Date.UTC(2024, 0, 1), max: Date.UTC(2034, 0, 1) });
  const intervals = fc.constantFrom<Repeating>("daily", "weekly", "monthly", "yearly");

  it("contain their instant, follow one another without a gap, and are the same seen from any instant inside", () => {
    fc.assert(
      fc.property(
        zones,
        instants,
        intervals,
        fc.integer({ min: 1, max: 31 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (timezone, atMs, interval, day, where) => {
          const rule = { interval, timezone, anchorDay: interval === "weekly" ? ((day - 1) % 7) + 1 : day };
          const period = periodEdgesAt(rule, atMs);
          expect(period.startsAtMs).toBeLessThanOrEqual(atMs);
          expect(period.endsAtMs).toBeGreaterThan(atMs);
          const inside = period.startsAtMs + Math.floor(where * (period.endsAtMs - period.startsAtMs - 1));
          expect(periodEdgesAt(rule, inside)).toEqual(period);
          expect(periodEdgesAt(rule, period.endsAtMs).startsAtMs).toBe(period.endsAtMs);
          expect(periodEdgesAt(rule, period.startsAtMs - 1).endsAtMs).toBe(period.startsAtMs);
        },
      ),
      { numRuns: 2000 },
    );
  });

  it("begin when the local calendar turns to the day", () => {
    const dayIn = (timezone: string, atMs: number): string =>
      new Intl.DateTimeFormat("sv-SE", { timeZone: timezone, year: "numeric", month: "2-digit", day: "2-digit" }).format(atMs);
    fc.assert(
      fc.property(zones, instants, (timezone, atMs) => {
        const { startsAtMs, endsAtMs } = periodEdgesAt({ interval: "daily", timezone, anchorDay: null }, atMs);
        expect(dayIn(timezone, startsAtMs)).toBe(dayIn(timezone, atMs));
        expect(dayIn(timezone, startsAtMs - 1) < dayIn(timezone, startsAtMs)).toBe(true);
        expect(dayIn(timezone, endsAtMs) > dayIn(timezone, endsAtMs - 1)).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });
});
