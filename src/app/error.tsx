"use client";

import { MessagePage } from "@/ui/components/message-page";

/** The message of an error stays on the server; its digest finds it in the log. */
export default function ErrorPage({ error, reset }: { error: Error & { digest?: string }; reset: () => void }) {
  return (
    <MessagePage code="500" title="This page could not be shown">
      <p>Calls through the gateway are not affected by an error of a page.</p>
      {error.digest !== undefined && (
        <p className="mt-2">
          In the log it is <code className="font-mono text-ink">{error.digest}</code>.
        </p>
      )}
      <button
        type="button"
        onClick={reset}
        className="mt-6 inline-flex h-10 cursor-pointer items-center rounded-control border border-line-strong px-4 text-small font-medium text-ink transition-colors hover:bg-sunken"
      >
        Try again
      </button>
    </MessagePage>
  );
}
