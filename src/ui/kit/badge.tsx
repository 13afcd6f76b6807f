import { cva, type VariantProps } from "class-variance-authority";
import {
  Ban,
  CircleAlert,
  CircleCheck,
  CircleDashed,
  CircleSlash,
  CircleX,
  Clock,
  LoaderCircle,
  Pause,
  Scissors,
  Snowflake,
  TriangleAlert,
  type LucideIcon,
} from "lucide-react";
import type { ReactNode } from "react";
import { cn } from "./cn";

const badgeStyle = cva("inline-flex h-6 shrink-0 items-center gap-1 rounded-full px-2 text-micro font-medium whitespace-nowrap", {
  variants: {
    tone: {
      neutral: "bg-line text-ink",
      quiet: "border border-line text-ink-muted",
      accent: "bg-accent-soft text-accent",
      positive: "bg-positive-soft text-positive",
      warning: "bg-warning-soft text-warning",
      danger: "bg-danger-soft text-danger",
    },
  },
  defaultVariants: { tone: "neutral" },
});

export type Tone = NonNullable<VariantProps<typeof badgeStyle>["tone"]>;

type BadgeProps = { tone?: Tone; icon?: LucideIcon; children: ReactNode; title?: string; className?: string };

/** A word or two about a thing. Green, amber and red are for states only, and never without a word. */
export function Badge({ tone = "neutral", icon: Icon, children, title, className }: BadgeProps) {
  return (
    <span title={title} className={cn(badgeStyle({ tone }), className)}>
      {Icon !== undefined && <Icon aria-hidden className="size-3.5" />}
      {children}
    </span>
  );
}

type State = { tone: Tone; icon: LucideIcon; word: string };

const STATES = {
  // Calls.
  ok: { tone: "positive", icon: CircleCheck, word: "OK" },
  denied: { tone: "danger", icon: Ban, word: "Denied" },
  upstream_error: { tone: "warning", icon: TriangleAlert, word: "Provider error" },
  cancelled: { tone: "quiet", icon: CircleSlash, word: "Cancelled" },
  interrupted: { tone: "warning", icon: Scissors, word: "Cut off" },
  in_flight: { tone: "accent", icon: LoaderCircle, word: "In flight" },
  // Requests for approval.
  pending: { tone: "warning", icon: Clock, word: "Waiting" },
  approved: { tone: "positive", icon: CircleCheck, word: "Approved" },
  rejected: { tone: "danger", icon: CircleX, word: "Denied" },
  expired: { tone: "quiet", icon: CircleDashed, word: "Expired" },
  executing: { tone: "accent", icon: LoaderCircle, word: "Running" },
  executed: { tone: "positive", icon: CircleCheck, word: "Done" },
  failed: { tone: "danger", icon: CircleAlert, word: "Failed" },
  // Budgets and limits.
  within: { tone: "positive", icon: CircleCheck, word: "Within limit" },
  near: { tone: "warning", icon: TriangleAlert, word: "Near limit" },
  exhausted: { tone: "danger", icon: Ban, word: "Used up" },
  over: { tone: "danger", icon: CircleAlert, word: "Over limit" },
  cooling: { tone: "danger", icon: Pause, word: "Paused" },
  frozen: { tone: "danger", icon: Snowflake, word: "Frozen" },
  // Keys, people, endpoints.
  active: { tone: "positive", icon: CircleCheck, word: "Active" },
  revoked: { tone: "danger", icon: Ban, word: "Revoked" },
  unused: { tone: "quiet", icon: CircleDashed, word: "Never used" },
  disabled: { tone: "quiet", icon: Pause, word: "Off" },
  invited: { tone: "warning", icon: Clock, word: "Invited" },
  delivered: { tone: "positive", icon: CircleCheck, word: "Delivered" },
  retrying: { tone: "warning", icon: Clock, word: "Will retry" },
} satisfies Record<string, State>;

export type StatusValue = keyof typeof STATES;

/** A state as icon and word, never as colour alone. `children` replaces the word. */
export function Status({ value, children, title }: { value: StatusValue; children?: ReactNode; title?: string }) {
  const { tone, icon, word } = STATES[value];
  return (
    <Badge tone={tone} icon={icon} {...(title === undefined ? {} : { title })}>
      {children ?? word}
    </Badge>
  );
}

/** The word of a state, for filters, CSV and sentences. */
export function statusWord(value: StatusValue): string {
  return STATES[value].word;
}
