export type TimeStyle = "datetime" | "datetime-seconds" | "date" | "time" | "time-seconds" | "day";

const STYLES: Readonly<Record<TimeStyle, Intl.DateTimeFormatOptions>> = {
  datetime: { year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23" },
  "datetime-seconds": {
    year: "numeric",
    month: "short",
    day: "numeric",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    hourCycle: "h23",
  },
  date: { year: "numeric", month: "short", day: "numeric" },
  day: { month: "short", day: "numeric" },
  time: { hour: "2-digit", minute: "2-digit", hourCycle: "h23" },
  "time-seconds": { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" },
};

const formatters = new Map<string, Intl.DateTimeFormat>();

/** @param zone IANA name; without it the zone of whoever runs this. */
export function formatTime(value: Date, style: TimeStyle, zone?: string): string {
  const key = `${style} ${zone ?? ""}`;
  let made = formatters.get(key);
  if (made === undefined) {
    made = new Intl.DateTimeFormat("en-US", { ...STYLES[style], ...(zone === undefined ? {} : { timeZone: zone }) });
    formatters.set(key, made);
  }
  return made.format(value);
}

const relative = new Intl.RelativeTimeFormat("en-US", { numeric: "auto", style: "short" });
const UNITS: readonly (readonly [Intl.RelativeTimeFormatUnit, number])[] = [
  ["day", 86_400_000],
  ["hour", 3_600_000],
  ["minute", 60_000],
  ["second", 1000],
];

/** `3 min. ago`, `in 2 hr.`, `yesterday`; `now` within the second. */
export function formatRelative(value: Date, now: Date): string {
  const differenceMs = value.getTime() - now.getTime();
  for (const [unit, lengthMs] of UNITS) {
    if (Math.abs(differenceMs) >= lengthMs) return relative.format(Math.trunc(differenceMs / lengthMs), unit);
  }
  return "now";
}

/** `840 ms`, `3.2 s`, `4 min 10 s`, `2 h 5 min`, `3 d 4 h`; a dash for what is not known. */
export function formatDuration(durationMs: number | null | undefined): string {
  if (durationMs === null || durationMs === undefined || !Number.isFinite(durationMs)) return "–";
  if (durationMs < 1000) return `${durationMs < 10 && durationMs % 1 !== 0 ? durationMs.toFixed(1) : Math.round(durationMs)} ms`;
  if (durationMs < 60_000) return `${(Math.floor(durationMs / 100) / 10).toFixed(1).replace(/\.0$/, "")} s`;
  const seconds = Math.floor(durationMs / 1000);
  if (seconds < 3600) return pair(seconds, 60, "min", "s");
  if (seconds < 86_400) return pair(Math.floor(seconds / 60), 60, "h", "min");
  return pair(Math.floor(seconds / 3600), 24, "d", "h");
}

function pair(total: number, per: number, large: string, small: string): string {
  const rest = total % per;
  return `${Math.floor(total / per)} ${large}${rest === 0 ? "" : ` ${rest} ${small}`}`;
}

/** The zone of the browser, or of the server when asked there. */
export function viewerZone(): string {
  return Intl.DateTimeFormat().resolvedOptions().timeZone;
}
