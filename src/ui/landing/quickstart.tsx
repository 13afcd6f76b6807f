"use client";

import { CodeBlock, Mark } from "@/ui/components/code-block";
import { Tabs } from "@/ui/components/tabs";
import { useOrigin } from "@/ui/lib/browser";
import { changeOfLine, clientSnippets, costEventsCommand } from "./snippets";

const MARKS = { "base-url": "1", header: "2" } as const;

export function ClientSetup({ originFromRequest }: { originFromRequest: string }) {
  const origin = useOrigin(originFromRequest);
  const markOf = (line: string) => {
    const change = changeOfLine(line, origin);
    return change && MARKS[change];
  };
  return (
    <Tabs
      label="Client"
      tabs={clientSnippets(origin).map((snippet) => ({
        id: snippet.id,
        label: snippet.label,
        panel: (
          <>
            <CodeBlock
              code={snippet.code}
              language={snippet.language}
              title={snippet.setup}
              what={`the ${snippet.label} snippet`}
              markOf={markOf}
            />
            <p className="mt-3 text-small text-ink-muted">{snippet.note}</p>
          </>
        ),
      }))}
    />
  );
}

/** Explains the two numbers beside the lines that change. */
export function TwoChanges() {
  return (
    <ol className="flex flex-col gap-3 text-small">
      <li className="flex gap-3">
        <span aria-hidden className="pt-0.5">
          <Mark>{MARKS["base-url"]}</Mark>
        </span>
        <span>
          <strong className="font-medium">Base URL.</strong> <span className="text-ink-muted">The call goes through this instance.</span>
        </span>
      </li>
      <li className="flex gap-3">
        <span aria-hidden className="pt-0.5">
          <Mark>{MARKS.header}</Mark>
        </span>
        <span>
          <strong className="font-medium">One header.</strong>{" "}
          <span className="text-ink-muted">It says whose spend this is. Your provider key stays as it is.</span>
        </span>
      </li>
    </ol>
  );
}

export function CostLookup({ originFromRequest }: { originFromRequest: string }) {
  const origin = useOrigin(originFromRequest);
  return <CodeBlock code={costEventsCommand(origin)} language="shell" title="the latest call of your key" what="the cost lookup" />;
}
