import { CopyButton } from "./copy-button";

/** A secret to be copied. @param what completes the sentence "Copy …". */
export function SecretText({ text, what, testId }: { text: string; what: string; testId: string }) {
  return (
    <div className="flex items-center gap-2 rounded-control border border-line bg-sunken px-3 py-2">
      <code className="min-w-0 flex-1 font-mono text-small break-all" data-testid={testId}>
        {text}
      </code>
      <CopyButton text={text} what={what} />
    </div>
  );
}
