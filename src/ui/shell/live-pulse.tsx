"use client";

import { Pause } from "lucide-react";
import { formatDuration } from "@/ui/format/time";
import { cn } from "@/ui/kit/cn";
import { useNow } from "@/ui/kit/time";

export type LiveState = "live" | "reconnecting" | "paused";

type LivePulseProps = {
  state: LiveState;
  /** When something last came, or the server last said that nothing had. */
  lastAt: Date | undefined;
};

/** Says how fresh the page is. Not announced: it changes every second, and can be read at any time. */
export function LivePulse({ state, lastAt }: LivePulseProps) {
  const now = useNow();
  const age = lastAt === undefined ? undefined : Math.max(0, Math.floor((now.getTime() - lastAt.getTime()) / 1000) * 1000);
  const ageText = age === undefined ? "" : age < 1000 ? " · now" : ` · ${formatDuration(age)} ago`;
  return (
    <span className="inline-flex items-center gap-1.5 text-micro whitespace-nowrap text-ink-muted tabular-nums">
      {state === "paused" ? (
        <Pause aria-hidden className="size-3" />
      ) : (
        <span aria-hidden className="relative flex size-2">
          {state === "live" && (
            <span className="absolute inset-0 animate-ping rounded-full bg-positive opacity-60 [animation-duration:2s]" />
          )}
          <span className={cn("relative size-2 rounded-full", state === "live" ? "bg-positive" : "bg-warning")} />
        </span>
      )}
      {{ live: "Live", reconnecting: "Reconnecting", paused: "Paused" }[state]}
      <span className="max-sm:hidden">{ageText}</span>
    </span>
  );
}
