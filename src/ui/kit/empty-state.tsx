import { FilterX, RefreshCw, TriangleAlert } from "lucide-react";
import type { ReactNode } from "react";
import { Button } from "./button";
import { CopyId } from "./copy-id";

type EmptyStateProps = {
  /** What will stand here: "No budgets yet". */
  title: ReactNode;
  /** What it is good for, and how it comes to be. */
  children?: ReactNode;
  icon?: ReactNode;
  actions?: ReactNode;
};

/** There never was anything: teaches. */
export function EmptyState({ title, children, icon, actions }: EmptyStateProps) {
  return (
    <div className="flex flex-col items-center rounded-card border border-dashed border-line-strong px-6 py-12 text-center">
      {icon !== undefined && (
        <span aria-hidden className="mb-3 text-ink-muted [&_svg]:size-6">
          {icon}
        </span>
      )}
      <h2 className="text-body font-semibold">{title}</h2>
      {children !== undefined && <div className="mt-1 max-w-[52ch] text-small text-ink-muted">{children}</div>}
      {actions !== undefined && <div className="mt-5 flex flex-wrap justify-center gap-2">{actions}</div>}
    </div>
  );
}

/** There is something, and the filters hide all of it. */
export function NothingMatches({ what = "Nothing", onClear }: { what?: string; onClear: () => void }) {
  return (
    <div className="flex flex-col items-center px-6 py-12 text-center">
      <FilterX aria-hidden className="mb-3 size-6 text-ink-muted" />
      <p className="text-body font-semibold">{what} matches these filters</p>
      <p className="mt-1 text-small text-ink-muted">What they hide is still there.</p>
      <Button className="mt-5" onClick={onClear}>
        Clear filters
      </Button>
    </div>
  );
}

type ErrorStateProps = {
  /** "The budgets could not be loaded". */
  title: ReactNode;
  /** Why, in plain words, and what to do. */
  children?: ReactNode;
  /** Finds the failure in the log. */
  referenceId?: string | undefined;
  onRetry?: () => void;
  retrying?: boolean;
};

/** It could not be loaded, which is not the same as nothing being there. */
export function ErrorState({ title, children, referenceId, onRetry, retrying = false }: ErrorStateProps) {
  return (
    <div role="alert" className="flex flex-col items-center rounded-card border border-line px-6 py-12 text-center">
      <TriangleAlert aria-hidden className="mb-3 size-6 text-danger" />
      <p className="text-body font-semibold">{title}</p>
      <div className="mt-1 max-w-[52ch] text-small text-ink-muted">
        {children ?? "Calls through the gateway are not affected by an error of this page."}
        {referenceId !== undefined && (
          <p className="mt-2 flex flex-wrap items-center justify-center gap-1.5">
            Reference <CopyId id={referenceId} what="the reference" />
          </p>
        )}
      </div>
      {onRetry !== undefined && (
        <Button className="mt-5" loading={retrying} onClick={onRetry} icon={<RefreshCw aria-hidden className="size-4" />}>
          Try again
        </Button>
      )}
    </div>
  );
}
