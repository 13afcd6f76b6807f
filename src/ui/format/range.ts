import { TZDate } from "@date-fns/tz";
import { startOfDay, startOfMonth, subDays } from "date-fns";

export const RANGE_NAMES = ["1h", "24h", "7d", "30d", "mtd"] as const;
export type RangeName = (typeof RANGE_NAMES)[number];
/** Relative ranges stay relative in a link, so that tomorrow it shows tomorrow. */
export type Range = { kind: "relative"; name: RangeName } | { kind: "absolute"; from: Date; to: Date };

export const RANGE_WORDS: Readonly<Record<RangeName, string>> = {
  "1h": "Last hour",
  "24h": "Last 24 hours",
  "7d": "Last 7 days",
  "30d": "Last 30 days",
  mtd: "Month to date",
};

const HOUR_MS = 3_600_000;
/** The longest range a page asks for. */
const RANGE_MS_MAX = 400 * 24 * HOUR_MS;

/** `7d`, `mtd` or `2026-11-01T00:00:00.000Z~2026-11-08T00:00:00.000Z`; null when it is neither. */
export function parseRange(text: string): Range | null {
  const name = RANGE_NAMES.find((each) => each === text);
  if (name !== undefined) return { kind: "relative", name };
  const [from, to, more] = text.split("~").map((part) => new Date(part));
  if (from === undefined || to === undefined || more !== undefined) return null;
  const lengthMs = to.getTime() - from.getTime();
  return lengthMs > 0 && lengthMs <= RANGE_MS_MAX ? { kind: "absolute", from, to } : null;
}

export function printRange(range: Range): string {
  return range.kind === "relative" ? range.name : `${range.from.toISOString()}~${range.to.toISOString()}`;
}

export type Interval = { from: Date; to: Date };

/**
 * The moments a range means. Days and months begin in `zone`; 7 and 30 days are whole days, today included, so that daily bars are
 * whole but for the last.
 */
export function resolveRange(range: Range, now: Date, zone: string): Interval {
  if (range.kind === "absolute") return { from: range.from, to: range.to };
  const local = new TZDate(now, zone);
  switch (range.name) {
    case "1h":
      return { from: new Date(now.getTime() - HOUR_MS), to: now };
    case "24h":
      return { from: new Date(now.getTime() - 24 * HOUR_MS), to: now };
    case "7d":
    case "30d":
      return { from: new Date(startOfDay(subDays(local, range.name === "7d" ? 6 : 29)).getTime()), to: now };
    case "mtd":
      return { from: new Date(startOfMonth(local).getTime()), to: now };
  }
}

/** The interval of the same length just before. */
export function previousInterval({ from, to }: Interval): Interval {
  return { from: new Date(from.getTime() - (to.getTime() - from.getTime())), to: from };
}

export type Bucket = "minute" | "hour" | "day";

/** At most a few hundred bars. */
export function bucketFor({ from, to }: Interval): Bucket {
  const hours = (to.getTime() - from.getTime()) / HOUR_MS;
  if (hours <= 3) return "minute";
  return hours <= 72 ? "hour" : "day";
}
