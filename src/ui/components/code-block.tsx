import { CopyButton } from "./copy-button";
import { highlight, type Language, type TokenKind } from "@/ui/lib/highlight";

const INK: Readonly<Record<TokenKind, string>> = {
  plain: "",
  comment: "text-code-comment italic",
  string: "text-code-string",
  keyword: "text-code-keyword",
  name: "text-code-name",
};

type CodeBlockProps = {
  code: string;
  language: Language;
  /** Shown above the code. */
  title: string;
  /** Names the code for copying and for screen readers, e.g. "the curl snippet". */
  what: string;
  /** A short mark in the margin of a line; never part of what is copied. */
  markOf?: (line: string) => string | undefined;
};

export function CodeBlock({ code, language, title, what, markOf }: CodeBlockProps) {
  const lines = code.trimEnd().split("\n");
  return (
    <figure className="flex min-w-0 grow flex-col overflow-hidden rounded-card border border-line bg-sunken">
      <figcaption className="flex items-center justify-between gap-3 border-b border-line py-1.5 pr-1.5 pl-4">
        <span className="min-w-0 font-mono text-micro break-words text-ink-muted">{title}</span>
        <CopyButton text={code} what={what} />
      </figcaption>
      {/* Focusable, because it scrolls sideways on narrow screens. */}
      <pre
        tabIndex={0}
        role="region"
        aria-label={`Code: ${what}`}
        className="grow overflow-x-auto py-3 font-mono text-[0.8125rem] leading-6 focus-visible:-outline-offset-2"
      >
        <code className="block w-max min-w-full print:w-auto">
          {lines.map((line, at) => (
            // Lines of one snippet neither move nor change place.
            // oxlint-disable-next-line react/no-array-index-key
            <CodeLine key={at} line={line} language={language} mark={markOf?.(line)} roomForMark={markOf !== undefined} />
          ))}
        </code>
      </pre>
    </figure>
  );
}

type CodeLineProps = { line: string; language: Language; mark: string | undefined; roomForMark: boolean };

function CodeLine({ line, language, mark, roomForMark }: CodeLineProps) {
  return (
    <span className={`flex pr-4 ${roomForMark ? "pl-2" : "pl-4"} ${mark ? "bg-accent-soft" : ""}`}>
      {roomForMark && (
        <span aria-hidden className="w-7 shrink-0 select-none">
          {mark && <Mark>{mark}</Mark>}
        </span>
      )}
      <span className="whitespace-pre">
        {highlight(line, language).map((token, at) => (
          // oxlint-disable-next-line react/no-array-index-key
          <span key={at} className={INK[token.kind]}>
            {token.text}
          </span>
        ))}
        {"\n"}
      </span>
    </span>
  );
}

/** The number that ties a line of code to its explanation. */
export function Mark({ children }: { children: string }) {
  return (
    <span className="inline-flex size-[1.125rem] items-center justify-center rounded-full bg-ink font-mono text-[0.6875rem] leading-none font-semibold text-ink-inverse">
      {children}
    </span>
  );
}
