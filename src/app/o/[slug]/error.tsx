"use client";

import { ErrorState } from "@/ui/kit/empty-state";

/** The shell stays; only the page failed. Its digest finds the error in the log. */
export default function PageError({ error, reset }: { error: Error & { digest?: string }; reset: () => void }) {
  return <ErrorState title="This page could not be shown" referenceId={error.digest} onRetry={reset} />;
}
