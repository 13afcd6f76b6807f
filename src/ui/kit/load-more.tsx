"use client";

import { plural } from "@/ui/format/count";
import { Button } from "./button";

type LoadMoreProps = {
  /** How many are shown. */
  shown: number;
  /** One of them: "call". */
  what: string;
  hasMore: boolean;
  loading: boolean;
  onLoadMore: () => void;
};

/** The end of a list that is read page by page. */
export function LoadMore({ shown, what, hasMore, loading, onLoadMore }: LoadMoreProps) {
  return (
    <div className="flex flex-wrap items-center justify-between gap-3 py-3 text-small text-ink-muted">
      <span role="status">{hasMore ? `The first ${plural(shown, what)}` : `All ${plural(shown, what)}`}</span>
      {hasMore && (
        <Button size="small" loading={loading} onClick={onLoadMore}>
          Load more
        </Button>
      )}
    </div>
  );
}
