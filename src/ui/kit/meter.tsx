import { formatPercent } from "@/ui/format/count";
import { formatUsd } from "@/ui/format/money";
import { cn } from "./cn";

type MeterProps = {
  /** What is measured, for screen readers. */
  label: string;
  value: number;
  max: number;
  /** The value in words; a percentage unless given. */
  valueText?: string;
  tone?: "neutral" | "positive" | "warning" | "danger";
  className?: string;
};

const FILL = { neutral: "bg-ink", positive: "bg-positive", warning: "bg-warning", danger: "bg-danger" };

/** How much of something there is. */
export function Meter({ label, value, max, valueText, tone = "neutral", className }: MeterProps) {
  const share = max > 0 ? Math.min(1, Math.max(0, value / max)) : 0;
  return (
    <div
      role="meter"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={max}
      aria-valuenow={Math.min(Math.max(value, 0), max)}
      aria-valuetext={valueText ?? formatPercent(share)}
      className={cn("h-2 min-w-16 overflow-hidden rounded-full bg-line", className)}
    >
      <div className={cn("h-full rounded-full", FILL[tone])} style={{ width: `${share * 100}%` }} />
    </div>
  );
}

type BudgetBarProps = {
  /** Which budget, for screen readers. */
  label: string;
  /** Microdollars. */
  spent: number;
  /** Microdollars held for calls in flight; shown apart from what is spent. */
  reserved?: number;
  /** Microdollars. */
  limit: number;
  /** Marks on the bar, in percent of the limit. */
  thresholds?: readonly number[];
  /** Prints spent, held and remaining below the bar. */
  legend?: boolean;
  className?: string;
};

/** From this share of the limit on a budget counts as near to it. */
export const NEAR_LIMIT_SHARE = 0.8;

export type BudgetState = "within" | "near" | "exhausted" | "over";

/** Reserved money counts: it is promised to calls that run. */
export function budgetState({ spent, reserved = 0, limit }: { spent: number; reserved?: number; limit: number }): BudgetState {
  if (spent > limit) return "over";
  if (spent + reserved >= limit) return "exhausted";
  return spent + reserved >= limit * NEAR_LIMIT_SHARE ? "near" : "within";
}

/** Spent (filled), held (hatched), remaining (empty), with marks where somebody is told. */
export function BudgetBar({ label, spent, reserved = 0, limit, thresholds = [], legend = false, className }: BudgetBarProps) {
  // Past the limit the bar shows the whole spend, and the limit becomes a mark inside.
  const scale = Math.max(limit, spent + reserved, 1);
  const remaining = Math.max(0, limit - spent - reserved);
  const excess = Math.max(0, spent - limit);
  const state = budgetState({ spent, reserved, limit });
  const percentOf = (amount: number): string => `${(amount / scale) * 100}%`;
  const decimals = 2;
  const text = [
    `${formatUsd(spent)} of ${formatUsd(limit)} spent`,
    ...(reserved > 0 ? [`${formatUsd(reserved)} held for calls in flight`] : []),
    excess > 0 ? `${formatUsd(excess)} over the limit` : `${formatUsd(remaining)} left`,
  ].join(", ");
  const fill = {
    within: "bg-ink text-ink",
    near: "bg-warning text-warning",
    exhausted: "bg-danger text-danger",
    over: "bg-danger text-danger",
  }[state];
  return (
    <div className={cn("min-w-24", className)}>
      <div
        role="meter"
        aria-label={label}
        aria-valuemin={0}
        aria-valuemax={limit}
        aria-valuenow={Math.min(spent, limit)}
        aria-valuetext={text}
        title={text}
        className="relative h-2.5 overflow-hidden rounded-full bg-line"
      >
        <div className="absolute inset-0 flex">
          <div className={cn("h-full", fill)} style={{ width: percentOf(spent) }} />
          {reserved > 0 && <div className={cn("hatched h-full min-w-0.5", fill.split(" ")[1])} style={{ width: percentOf(reserved) }} />}
        </div>
        {[...thresholds.filter((percent) => percent < 100), ...(scale > limit ? [100] : [])].map((percent) => (
          <span
            key={percent}
            className={cn("absolute inset-y-0", limit * percent <= (spent + reserved) * 100 ? "w-0.5 bg-surface" : "w-px bg-line-strong")}
            style={{ left: percentOf((limit * percent) / 100) }}
          />
        ))}
      </div>
      {legend && (
        <p className="mt-1.5 flex flex-wrap justify-between gap-x-4 text-micro text-ink-muted tabular-nums" aria-hidden>
          <span>
            <span className="font-medium text-ink">{formatUsd(spent, { decimals })}</span> spent
            {reserved > 0 && ` + ${formatUsd(reserved, { decimals })} held`}
          </span>
          <span>{excess > 0 ? `${formatUsd(excess, { decimals })} over` : `${formatUsd(remaining, { decimals })} left`}</span>
        </p>
      )}
    </div>
  );
}
