"use client";

import { useEffect, useState } from "react";
import { useOrigin } from "@/ui/lib/browser";
import { readInstanceState, type InstanceState, type Probe } from "./instance-state";

const POLL_MS = 5000;
const TIMEOUT_MS = 4000;

type Words = { title: string; explanation: string; tone: "positive" | "warning" | "danger" | "quiet" };

const WORDS: Readonly<Record<InstanceState, Words>> = {
  checking: { title: "Checking", explanation: "Asking this instance how it is.", tone: "quiet" },
  ready: { title: "Ready", explanation: "The database answers and calls are taken.", tone: "positive" },
  starting: { title: "Starting", explanation: "The process is up and not yet taking calls.", tone: "warning" },
  "database-unreachable": {
    title: "Database not reachable",
    explanation: "Calls are refused with 503 and nothing is forwarded until it is back.",
    tone: "danger",
  },
  overloaded: {
    title: "Not taking calls",
    explanation: "More costs wait to be written than memory can hold; new calls are refused with 503 until they are.",
    tone: "danger",
  },
  "shutting-down": { title: "Shutting down", explanation: "Open streams are finished; new calls are refused.", tone: "warning" },
  "not-answering": { title: "Not answering", explanation: "This page is open, but the instance behind it did not answer.", tone: "danger" },
};

const TONES: Readonly<Record<Words["tone"], string>> = {
  positive: "bg-positive-soft text-positive",
  warning: "bg-warning-soft text-warning",
  danger: "bg-danger-soft text-danger",
  quiet: "bg-sunken text-ink-muted",
};

async function probe(path: string, signal: AbortSignal): Promise<Probe> {
  try {
    const response = await fetch(path, { cache: "no-store", signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]) });
    const body: unknown = await response.json().catch(() => undefined);
    return { httpStatus: response.status, body };
  } catch {
    return undefined;
  }
}

type Check = { state: InstanceState; at: Date | undefined };

/** Asks every few seconds while the page can be seen, and at once when it is seen again. */
function useInstanceState(): Check {
  const [check, setCheck] = useState<Check>({ state: "checking", at: undefined });

  useEffect(() => {
    const left = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    let asking = false;

    async function ask(): Promise<void> {
      clearTimeout(timer);
      if (asking || document.hidden) return;
      asking = true;
      const [health, ready] = await Promise.all([probe("/api/health", left.signal), probe("/api/ready", left.signal)]);
      asking = false;
      if (left.signal.aborted) return;
      setCheck({ state: readInstanceState({ health, ready }), at: new Date() });
      timer = setTimeout(() => void ask(), POLL_MS);
    }

    const onVisibilityChange = () => void ask();
    document.addEventListener("visibilitychange", onVisibilityChange);
    void ask();
    return () => {
      document.removeEventListener("visibilitychange", onVisibilityChange);
      clearTimeout(timer);
      left.abort();
    };
  }, []);

  return check;
}

export function InstanceStatus({ originFromRequest }: { originFromRequest: string }) {
  const { state, at } = useInstanceState();
  const origin = useOrigin(originFromRequest);
  const { title, explanation, tone } = WORDS[state];
  return (
    <section aria-labelledby="instance" className="rounded-card border border-line bg-surface shadow-card print:shadow-none">
      <div className="flex min-h-12 items-center justify-between gap-3 border-b border-line px-5 py-2.5">
        <h2 id="instance" className="text-small font-medium">
          This instance
        </h2>
        {/* Only a change of state is announced, not every check. */}
        <p role="status" data-state={state} className={`rounded-full px-2.5 py-0.5 text-small font-medium ${TONES[tone]}`}>
          {title}
        </p>
      </div>
      <div className="border-b border-line px-5 py-3 text-small">
        <p className="text-pretty">{explanation}</p>
        <p className="text-ink-muted tabular-nums">
          {at === undefined ? (
            "Not checked yet"
          ) : (
            <>
              Checked at <time dateTime={at.toISOString()}>{at.toLocaleTimeString(undefined, { timeStyle: "medium" })}</time>
            </>
          )}
        </p>
      </div>
      <dl className="text-small">
        <Row term="OpenAI base URL">
          <code className="font-mono break-all">{origin}/v1</code>
        </Row>
        <Row term="Anthropic base URL">
          <code className="font-mono break-all">{origin}</code>
        </Row>
      </dl>
    </section>
  );
}

function Row({ term, children }: { term: string; children: React.ReactNode }) {
  return (
    <div className="grid gap-x-4 gap-y-0.5 border-b border-line px-5 py-3 last:border-b-0 sm:grid-cols-[9.5rem_minmax(0,1fr)]">
      <dt className="text-ink-muted">{term}</dt>
      <dd>{children}</dd>
    </div>
  );
}
