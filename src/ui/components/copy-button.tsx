"use client";

import { Check, Copy, TriangleAlert } from "lucide-react";
import { useEffect, useState } from "react";
import { copyText } from "@/ui/lib/copy-text";

const FEEDBACK_MS = 2500;

type Outcome = "idle" | "copied" | "failed";

const WORDS: Readonly<Record<Outcome, string>> = { idle: "Copy", copied: "Copied", failed: "Copy by hand" };

/** @param what completes the sentence "Copy …" for those who do not see where the button stands. */
export function CopyButton({ text, what }: { text: string; what: string }) {
  const [outcome, setOutcome] = useState<Outcome>("idle");

  useEffect(() => {
    if (outcome === "idle") return;
    const timer = setTimeout(() => setOutcome("idle"), FEEDBACK_MS);
    return () => clearTimeout(timer);
  }, [outcome]);

  async function copy(): Promise<void> {
    setOutcome((await copyText(text)) ? "copied" : "failed");
  }

  const Icon = { idle: Copy, copied: Check, failed: TriangleAlert }[outcome];
  return (
    <>
      <button
        type="button"
        onClick={() => void copy()}
        className="inline-flex h-8 shrink-0 cursor-pointer items-center gap-1.5 rounded-control px-2.5 text-small font-medium text-ink-muted transition-colors hover:bg-line hover:text-ink print:hidden"
      >
        <Icon aria-hidden className={`size-3.5 ${outcome === "copied" ? "text-positive" : ""}`} />
        <span aria-hidden>{WORDS[outcome]}</span>
        <span className="sr-only">Copy {what}</span>
      </button>
      <span role="status" className="sr-only">
        {outcome === "copied" && `Copied ${what}.`}
        {outcome === "failed" && `Could not copy ${what}. Select the text and copy it by hand.`}
      </span>
    </>
  );
}
