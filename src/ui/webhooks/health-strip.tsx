"use client";

import { useQuery } from "@tanstack/react-query";
import { cn } from "@/ui/kit/cn";
import { useTRPC } from "@/ui/trpc";

/** The last day of an endpoint, an hour a bar, and the same in words. */
export function HealthStrip({ id }: { id: string }) {
  const health = useQuery(useTRPC().webhooks.health.queryOptions({ id }, { refetchInterval: 30_000 })).data;
  if (health === undefined) return <span className="text-small text-ink-muted">…</span>;
  const succeeded = health.hours.reduce((sum, hour) => sum + hour.succeeded, 0);
  const failed = health.hours.reduce((sum, hour) => sum + hour.failed, 0);
  const words = [
    succeeded + failed === 0 ? "nothing sent in 24 hours" : `${succeeded} arrived, ${failed} failed in 24 hours`,
    ...(health.p95DurationMs === null ? [] : [`p95 ${health.p95DurationMs} ms`]),
    ...(health.pending === 0 ? [] : [`${health.pending} waiting`]),
  ].join(" · ");
  return (
    <span className="flex flex-col gap-1">
      <span aria-hidden className="flex h-4 items-end gap-px">
        {health.hours.map((hour) => (
          <span
            key={hour.startsAt}
            className={cn(
              "w-1.5 rounded-[1px]",
              hour.failed > 0 ? "h-4 bg-danger" : hour.succeeded > 0 ? "h-4 bg-positive" : "h-1.5 bg-line-strong",
            )}
          />
        ))}
      </span>
      <span className="text-micro text-ink-muted">{words}</span>
    </span>
  );
}
