"use client";

import { exactUsd, formatUsd, plainUsd, type FormatUsdOptions } from "@/ui/format/money";
import { cn } from "./cn";

type MoneyProps = FormatUsdOptions & {
  /** Null or undefined when not known, which is not zero. */
  microdollars: number | null | undefined;
  className?: string;
};

/** The one way to show money. Where digits are left out, the title has all of them, and so has what is copied. */
export function Money({ microdollars, className, ...options }: MoneyProps) {
  const text = formatUsd(microdollars, options);
  if (microdollars === null || microdollars === undefined || !Number.isFinite(microdollars)) {
    return (
      <span className={cn("text-ink-muted", className)} title="Not known">
        {text}
      </span>
    );
  }
  const exact = exactUsd(microdollars);
  return (
    <data
      value={plainUsd(microdollars)}
      title={exact === text ? undefined : exact}
      className={cn("whitespace-nowrap tabular-nums", className)}
      onCopy={(event) => {
        if (window.getSelection()?.toString().trim() !== text) return;
        event.clipboardData.setData("text/plain", plainUsd(microdollars));
        event.preventDefault();
      }}
    >
      {text}
    </data>
  );
}
