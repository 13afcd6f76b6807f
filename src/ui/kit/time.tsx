"use client";

import { createContext, useContext, useSyncExternalStore, type ReactNode } from "react";
import { formatDuration, formatRelative, formatTime, viewerZone, type TimeStyle } from "@/ui/format/time";
import { useHydrated } from "@/ui/lib/browser";
import { cn } from "./cn";

const OrgZone = createContext("UTC");

/** @param zone the organisation's IANA zone: budgets and days are counted in it. */
export function OrgZoneProvider({ zone, children }: { zone: string; children: ReactNode }) {
  return <OrgZone value={zone}>{children}</OrgZone>;
}

/** The organisation's zone. */
export function useOrgZone(): string {
  return useContext(OrgZone);
}

/** The viewer's zone; the organisation's until the browser has told. */
export function useViewerZone(): string {
  const orgZone = useOrgZone();
  return useHydrated() ? viewerZone() : orgZone;
}

// One clock for all relative times of a page, so that they turn together.
const listeners = new Set<() => void>();
let nowMs = Date.now();
let timer: ReturnType<typeof setInterval> | undefined;

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  timer ??= setInterval(() => {
    nowMs = Date.now();
    for (const each of listeners) each();
  }, 1000);
  return () => {
    listeners.delete(listener);
    if (listeners.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  };
}

/** The time in steps of `everyMs` milliseconds, at least one second; asks React to draw only when the step changes. */
export function useNow(everyMs = 1000): Date {
  const step = Math.max(1000, everyMs);
  const ms = useSyncExternalStore(
    subscribe,
    () => Math.floor(Math.max(nowMs, 0) / step) * step,
    () => Math.floor(Date.now() / step) * step,
  );
  return new Date(ms);
}

type TimeProps = {
  value: string | Date;
  /** "relative" counts on by itself: "3 min. ago". */
  style?: TimeStyle | "relative";
  className?: string;
};

/** A moment in the viewer's zone; the title has the date, both zones and UTC. */
export function Time({ value, style = "datetime", className }: TimeProps) {
  const date = typeof value === "string" ? new Date(value) : value;
  const zone = useViewerZone();
  const orgZone = useOrgZone();
  const hydrated = useHydrated();
  if (Number.isNaN(date.getTime())) return <span className="text-ink-muted">–</span>;
  const title = [
    `${formatTime(date, "datetime-seconds", zone)} (${zone})`,
    ...(orgZone !== zone ? [`${formatTime(date, "datetime-seconds", orgZone)} (${orgZone}, organisation)`] : []),
    date.toISOString(),
  ].join("\n");
  return (
    // Zone and clock of the server are not the viewer's: the browser corrects them at once.
    <time
      dateTime={date.toISOString()}
      title={hydrated ? title : undefined}
      className={cn("tabular-nums", className)}
      suppressHydrationWarning
    >
      {style === "relative" ? <Relative date={date} zone={zone} /> : formatTime(date, style, zone)}
    </time>
  );
}

function Relative({ date, zone }: { date: Date; zone: string }) {
  // The text is what is watched, so that a hundred of them are drawn anew only when they read differently.
  return useSyncExternalStore(
    subscribe,
    () => (Math.abs(nowMs - date.getTime()) > 7 * 86_400_000 ? formatTime(date, "date", zone) : formatRelative(date, new Date(nowMs))),
    () => formatTime(date, "date", zone),
  );
}

/** How long something took or takes. */
export function Duration({ ms, className }: { ms: number | null | undefined; className?: string }) {
  return (
    <span className={cn("whitespace-nowrap tabular-nums", className)} title={typeof ms === "number" ? `${ms} ms` : undefined}>
      {formatDuration(ms)}
    </span>
  );
}

/** Counts down to a moment: "4 min 10 s", then `over`. */
export function Countdown({ to, over = "now" }: { to: string | Date; over?: string }) {
  const target = typeof to === "string" ? new Date(to) : to;
  const now = useNow();
  const hydrated = useHydrated();
  const leftMs = target.getTime() - now.getTime();
  return (
    <time dateTime={target.toISOString()} className="tabular-nums" suppressHydrationWarning>
      {!hydrated ? "…" : leftMs <= 0 ? over : formatDuration(Math.ceil(leftMs / 1000) * 1000)}
    </time>
  );
}
