"use client";

import { ArrowRight, X } from "lucide-react";
import NextLink from "next/link";
import { Meter } from "@/ui/kit/meter";
import { usePreference } from "@/ui/kit/preference";
import { useOrgPath, useShell } from "./shell-context";

const STEPS = [
  { id: "key", label: "Make a key" },
  { id: "request", label: "Send a request" },
  { id: "budget", label: "Set a budget" },
  { id: "teammate", label: "Invite a colleague" },
] as const;

/** What is left of the first steps; gone when all are done, or when somebody puts it away. */
export function GetStartedCard() {
  const { org, started } = useShell();
  const path = useOrgPath();
  const [kept, setKept] = usePreference(`get-started:${org.id}`, "shown");
  const done = STEPS.filter(({ id }) => started[id]).length;
  const next = STEPS.find(({ id }) => !started[id]);
  if (next === undefined || kept !== "shown") return null;
  return (
    <section aria-label="First steps" className="relative rounded-card border border-line bg-surface p-3 text-small">
      <button
        type="button"
        aria-label="Put the first steps away"
        onClick={() => setKept("hidden")}
        className="absolute top-1.5 right-1.5 flex size-6 cursor-pointer items-center justify-center rounded-control text-ink-muted hover:bg-line hover:text-ink"
      >
        <X aria-hidden className="size-3.5" />
      </button>
      <p className="pr-6 font-medium">Get started</p>
      <Meter className="mt-2" label="First steps" value={done} max={STEPS.length} valueText={`${done} of ${STEPS.length} done`} />
      <NextLink href={path("get-started")} className="mt-1.5 flex min-h-6 items-center gap-1 rounded-control text-ink-muted hover:text-ink">
        Next: {next.label.toLowerCase()}
        <ArrowRight aria-hidden className="size-3.5" />
      </NextLink>
    </section>
  );
}
