/**
 * When budget periods begin and end. Pure: every edge is computed from the calendar of the budget's time zone and never from the
 * previous period, so that nothing drifts (a month anchored on the 31st is on the 31st again after February).
 */

export type ResetInterval = "none" | "daily" | "weekly" | "monthly" | "yearly";

export type PeriodRule = {
  interval: ResetInterval;
  /** IANA name. */
  timezone: string;
  /** Month: 1–31, clamped to the month's last day. Week: 1 (Monday) – 7. Null: 1. Other intervals ignore it. */
  anchorDay: number | null;
};

/** Unix milliseconds; `startsAtMs ≤ t < endsAtMs`. */
export type PeriodEdges = { startsAtMs: number; endsAtMs: number };

type LocalDate = { year: number; /** 1–12. */ month: number; day: number };

const DAY_MS = 86_400_000;

/** The period that contains an instant. Not defined for `none`, which has one period without an end. */
export function periodEdgesAt(rule: PeriodRule & { interval: Exclude<ResetInterval, "none"> }, atMs: number): PeriodEdges {
  const today = localDateAt(rule.timezone, atMs);
  const start = periodStart(rule, today);
  return {
    startsAtMs: startOfLocalDay(rule.timezone, start),
    endsAtMs: startOfLocalDay(rule.timezone, nextPeriodStart(rule, start)),
  };
}

/** First local day of the period that a local day falls in. */
function periodStart(rule: PeriodRule, date: LocalDate): LocalDate {
  switch (rule.interval) {
    case "weekly":
      return addDays(date, -((isoWeekday(date) - (rule.anchorDay ?? 1) + 7) % 7));
    case "monthly": {
      const thisMonth = anchored(date.year, date.month, rule.anchorDay);
      return date.day >= thisMonth.day ? thisMonth : anchored(date.year, date.month - 1, rule.anchorDay);
    }
    case "yearly":
      return { year: date.year, month: 1, day: 1 };
    default:
      return date;
  }
}

function nextPeriodStart(rule: PeriodRule, start: LocalDate): LocalDate {
  switch (rule.interval) {
    case "weekly":
      return addDays(start, 7);
    case "monthly":
      return anchored(start.year, start.month + 1, rule.anchorDay);
    case "yearly":
      return { year: start.year + 1, month: 1, day: 1 };
    default:
      return addDays(start, 1);
  }
}

/** The anchor's day in a month (which may be 0 or 13), clamped to the month's end. */
function anchored(year: number, month: number, anchorDay: number | null): LocalDate {
  const first = new Date(Date.UTC(year, month - 1, 1));
  const lastDay = new Date(Date.UTC(first.getUTCFullYear(), first.getUTCMonth() + 1, 0)).getUTCDate();
  return { year: first.getUTCFullYear(), month: first.getUTCMonth() + 1, day: Math.min(anchorDay ?? 1, lastDay) };
}

function addDays(date: LocalDate, days: number): LocalDate {
  const moved = new Date(Date.UTC(date.year, date.month - 1, date.day + days));
  return { year: moved.getUTCFullYear(), month: moved.getUTCMonth() + 1, day: moved.getUTCDate() };
}

function isoWeekday(date: LocalDate): number {
  return new Date(Date.UTC(date.year, date.month - 1, date.day)).getUTCDay() || 7;
}

const formatters = new Map<string, Intl.DateTimeFormat>();

function formatterOf(timezone: string): Intl.DateTimeFormat {
  let formatter = formatters.get(timezone);
  if (!formatter) {
    formatter = new Intl.DateTimeFormat("en-US", {
      timeZone: timezone,
      calendar: "iso8601",
      numberingSystem: "latn",
      hourCycle: "h23",
      year: "numeric",
      month: "2-digit",
      day: "2-digit",
      hour: "2-digit",
      minute: "2-digit",
      second: "2-digit",
    });
    formatters.set(timezone, formatter);
  }
  return formatter;
}

/** What a clock on the wall shows, as if it were UTC. */
function wallClockMs(timezone: string, atMs: number): number {
  const parts: Record<string, number> = {};
  for (const { type, value } of formatterOf(timezone).formatToParts(atMs)) parts[type] = Number(value);
  return Date.UTC(parts.year!, parts.month! - 1, parts.day, parts.hour, parts.minute, parts.second);
}

function localDateAt(timezone: string, atMs: number): LocalDate {
  const wall = new Date(wallClockMs(timezone, atMs));
  return { year: wall.getUTCFullYear(), month: wall.getUTCMonth() + 1, day: wall.getUTCDate() };
}

const offsetMs = (timezone: string, atMs: number): number => wallClockMs(timezone, atMs) - Math.floor(atMs / 1000) * 1000;

/**
 * First instant of a local day. Where clocks jump over midnight the day begins at the jump; where they show midnight twice it
 * begins the first time. Zones change their offset by up to a day, so the offsets a day before and after are the candidates.
 */
function startOfLocalDay(timezone: string, date: LocalDate): number {
  const wall = Date.UTC(date.year, date.month - 1, date.day);
  const before = wall - offsetMs(timezone, wall - DAY_MS);
  const after = wall - offsetMs(timezone, wall + DAY_MS);
  const earlier = Math.min(before, after);
  const later = Math.max(before, after);
  if (wallClockMs(timezone, earlier) === wall) return earlier;
  if (wallClockMs(timezone, later) === wall) return later;
  return firstInstantOnOrAfter(timezone, wall, earlier - DAY_MS, later + DAY_MS);
}

/** No clock shows this midnight: the jump that skips it is found by halving. */
function firstInstantOnOrAfter(timezone: string, wall: number, fromMs: number, toMs: number): number {
  let low = fromMs;
  let high = toMs;
  while (high - low > 1000) {
    const middle = Math.floor((low + high) / 2000) * 1000;
    if (wallClockMs(timezone, middle) >= wall) high = middle;
    else low = middle;
  }
  return high;
}
