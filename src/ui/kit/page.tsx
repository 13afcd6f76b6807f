import { ChevronRight } from "lucide-react";
import NextLink from "next/link";
import type { ReactNode } from "react";
import { cn } from "./cn";

type PageHeaderProps = {
  title: ReactNode;
  description?: ReactNode;
  /** Buttons; the main one last. */
  actions?: ReactNode;
  /** The way here, without this page. */
  breadcrumbs?: readonly { label: string; href: string }[];
  /** Beside the title: a state, an id. */
  meta?: ReactNode;
};

/** The page's one h1, with what can be done on the page. */
export function PageHeader({ title, description, actions, breadcrumbs, meta }: PageHeaderProps) {
  return (
    <header className="mb-6 flex flex-wrap items-start justify-between gap-x-6 gap-y-3">
      <div className="min-w-0">
        {breadcrumbs !== undefined && (
          <nav aria-label="Breadcrumbs" className="mb-1">
            <ol className="flex flex-wrap items-center gap-1 text-small text-ink-muted">
              {breadcrumbs.map(({ label, href }) => (
                <li key={href} className="flex items-center gap-1">
                  <NextLink href={href} className="inline-flex min-h-6 items-center rounded-control hover:text-ink hover:underline">
                    {label}
                  </NextLink>
                  <ChevronRight aria-hidden className="size-3.5" />
                </li>
              ))}
            </ol>
          </nav>
        )}
        <div className="flex flex-wrap items-center gap-x-3 gap-y-1">
          <h1 className="text-heading font-semibold break-words">{title}</h1>
          {meta}
        </div>
        {description !== undefined && <div className="mt-1 max-w-[70ch] text-small text-ink-muted">{description}</div>}
      </div>
      {actions !== undefined && <div className="flex flex-wrap gap-2">{actions}</div>}
    </header>
  );
}

type SectionProps = {
  title: ReactNode;
  description?: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
  id?: string;
  className?: string;
};

/** A part of a page under its h2. */
export function Section({ title, description, actions, children, id, className }: SectionProps) {
  return (
    <section id={id} className={cn("min-w-0", className)}>
      <header className="mb-3 flex flex-wrap items-start justify-between gap-x-4 gap-y-2">
        <div className="min-w-0">
          <h2 className="text-body font-semibold">{title}</h2>
          {description !== undefined && <div className="mt-0.5 max-w-[70ch] text-small text-ink-muted">{description}</div>}
        </div>
        {actions !== undefined && <div className="flex flex-wrap gap-2">{actions}</div>}
      </header>
      {children}
    </section>
  );
}

type CardProps = {
  title?: ReactNode;
  description?: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
  footer?: ReactNode;
  /** No space around the content: for tables and lists that reach the edges. */
  flush?: boolean;
  /** Marks what cannot be undone. */
  tone?: "neutral" | "danger";
  className?: string;
};

/** Holds what belongs together. */
export function Card({ title, description, actions, children, footer, flush = false, tone = "neutral", className }: CardProps) {
  return (
    <section className={cn("min-w-0 rounded-card border bg-surface", tone === "danger" ? "border-danger" : "border-line", className)}>
      {(title !== undefined || actions !== undefined) && (
        <header
          className={cn("flex flex-wrap items-start justify-between gap-x-4 gap-y-2 px-4 py-3 sm:px-5", flush && "border-b border-line")}
        >
          <div className="min-w-0">
            {title !== undefined && <h2 className="text-small font-semibold">{title}</h2>}
            {description !== undefined && <div className="mt-0.5 max-w-[70ch] text-small text-ink-muted">{description}</div>}
          </div>
          {actions !== undefined && <div className="flex flex-wrap items-center gap-2">{actions}</div>}
        </header>
      )}
      <div className={cn("min-w-0", !flush && "px-4 pb-4 sm:px-5 sm:pb-5", !flush && title === undefined && "pt-4 sm:pt-5")}>
        {children}
      </div>
      {footer !== undefined && <footer className="border-t border-line px-4 py-3 sm:px-5">{footer}</footer>}
    </section>
  );
}

type StatTileProps = {
  label: ReactNode;
  /** The number, e.g. Money. */
  value: ReactNode;
  /** Against what: "+12% on the 7 days before". */
  note?: ReactNode;
  /** A sparkline or a meter. */
  children?: ReactNode;
  /** Where it is told in full. */
  href?: string;
  className?: string;
};

/** One number with its name. */
export function StatTile({ label, value, note, children, href, className }: StatTileProps) {
  return (
    <div
      className={cn(
        "relative flex min-w-0 flex-col rounded-card border border-line bg-surface px-4 py-3.5",
        href !== undefined && "hover:border-line-strong",
        className,
      )}
    >
      <div className="text-small text-ink-muted">
        {href === undefined ? (
          label
        ) : (
          <NextLink href={href} className="after:absolute after:inset-0 after:rounded-card">
            {label}
          </NextLink>
        )}
      </div>
      <div className="mt-1 text-heading font-semibold tabular-nums">{value}</div>
      {note !== undefined && <div className="mt-0.5 text-micro text-ink-muted tabular-nums">{note}</div>}
      {children !== undefined && <div className="mt-3">{children}</div>}
    </div>
  );
}

/** Tiles side by side, as many as fit. */
export function StatTiles({ children }: { children: ReactNode }) {
  return <div className="grid grid-cols-[repeat(auto-fit,minmax(min(100%,11rem),1fr))] gap-3">{children}</div>;
}

export type KeyValueItem = { key: ReactNode; value: ReactNode; /** Leaves the row out. */ hidden?: boolean };

/** Names and values below each other. */
export function KeyValueList({ items, className }: { items: readonly KeyValueItem[]; className?: string }) {
  return (
    <dl className={cn("divide-y divide-line text-small", className)}>
      {items
        .filter((item) => item.hidden !== true)
        .map((item, at) => (
          // Rows of one list keep their places.
          // oxlint-disable-next-line react/no-array-index-key
          <div key={at} className="flex flex-wrap items-baseline justify-between gap-x-6 gap-y-0.5 py-2">
            <dt className="text-ink-muted">{item.key}</dt>
            <dd className="min-w-0 text-right break-words tabular-nums">{item.value}</dd>
          </div>
        ))}
    </dl>
  );
}

/** A key of the keyboard. */
export function Kbd({ children }: { children: ReactNode }) {
  return (
    <kbd className="inline-flex h-5 min-w-5 items-center justify-center rounded-[0.25rem] border border-line bg-sunken px-1 font-mono text-[0.6875rem] leading-none text-ink-muted">
      {children}
    </kbd>
  );
}

type NoticeProps = { tone?: "info" | "warning" | "danger" | "positive"; title?: ReactNode; children: ReactNode; actions?: ReactNode };

const NOTICE = {
  info: "border-line bg-sunken",
  positive: "border-positive bg-positive-soft",
  warning: "border-warning bg-warning-soft",
  danger: "border-danger bg-danger-soft",
};

/** Something the reader of this page has to know. */
export function Notice({ tone = "info", title, children, actions }: NoticeProps) {
  return (
    <div
      className={cn("flex flex-wrap items-center justify-between gap-x-6 gap-y-2 rounded-card border px-4 py-3 text-small", NOTICE[tone])}
    >
      <div className="min-w-0">
        {title !== undefined && <p className="font-medium">{title}</p>}
        <div>{children}</div>
      </div>
      {actions !== undefined && <div className="flex flex-wrap gap-2">{actions}</div>}
    </div>
  );
}
