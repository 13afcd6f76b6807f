"use client";

import { Check, Copy, TriangleAlert } from "lucide-react";
import { useEffect, useState } from "react";
import { copyText } from "@/ui/lib/copy-text";
import { cn } from "./cn";

const FEEDBACK_MS = 2000;

type CopyIdProps = {
  id: string;
  /** Completes "Copy …". */
  what?: string;
  /** Shows the two ends only: for columns. What is copied is always whole. */
  short?: boolean;
  className?: string;
};

/** An id in type of one width, with a button that copies it. */
export function CopyId({ id, what = "the id", short = false, className }: CopyIdProps) {
  const [outcome, setOutcome] = useState<"idle" | "copied" | "failed">("idle");

  useEffect(() => {
    if (outcome === "idle") return;
    const timer = setTimeout(() => setOutcome("idle"), FEEDBACK_MS);
    return () => clearTimeout(timer);
  }, [outcome]);

  const Icon = { idle: Copy, copied: Check, failed: TriangleAlert }[outcome];
  return (
    <span className={cn("inline-flex max-w-full items-center gap-1 align-bottom", className)}>
      <code className={cn("min-w-0 font-mono text-micro", short ? "whitespace-nowrap" : "break-all")} title={short ? id : undefined}>
        {short ? shortId(id) : id}
      </code>
      <button
        type="button"
        onClick={(event) => {
          // In a row that opens on click.
          event.stopPropagation();
          void copyText(id).then((worked) => setOutcome(worked ? "copied" : "failed"));
        }}
        className="inline-flex size-6 shrink-0 cursor-pointer items-center justify-center rounded-control text-ink-muted hover:bg-line hover:text-ink print:hidden"
      >
        <Icon aria-hidden className={cn("size-3.5", outcome === "copied" && "text-positive")} />
        <span className="sr-only">Copy {what}</span>
      </button>
      <span role="status" className="sr-only">
        {outcome === "copied" && `Copied ${what}.`}
        {outcome === "failed" && `Could not copy ${what}. Select it and copy it by hand.`}
      </span>
    </span>
  );
}

/** `ns_evt_0198c…4f2a`: the prefix says what it is, the ends tell two apart. */
export function shortId(id: string): string {
  if (id.length <= 20) return id;
  const prefix = /^[a-z]+(?:_[a-z]+)*_/.exec(id)?.[0] ?? "";
  return `${id.slice(0, prefix.length + 5)}…${id.slice(-4)}`;
}
