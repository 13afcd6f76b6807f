"use client";

import NextLink from "next/link";
import { usePathname } from "next/navigation";
import { cn } from "@/ui/kit/cn";
import { navigationFor, type NavigationItem } from "./navigation";
import { useOrgPath, useShell } from "./shell-context";

/** Whether a page, or one below it, is open. Traces belong to sessions, explained denials to activity. */
export function useIsCurrent(): (path: string) => boolean {
  const pathname = usePathname();
  const orgPath = useOrgPath();
  return (path) => {
    const within = (page: string): boolean => pathname === orgPath(page) || pathname.startsWith(`${orgPath(page)}/`);
    return within(path) || (path === "sessions" && within("traces")) || (path === "activity" && within("decisions"));
  };
}

/** The pages of the organisation; in the sidebar, and in the drawer on phones. */
export function NavigationList({ onNavigate }: { onNavigate?: () => void }) {
  const { org } = useShell();
  return (
    <nav aria-label="Main" className="flex flex-col gap-4">
      {navigationFor(org.role).map((group) => (
        <div key={group.label ?? "main"}>
          {group.label !== undefined && <p className="px-2 pb-1 text-micro text-ink-muted">{group.label}</p>}
          <ul className="flex flex-col gap-px">
            {group.items.map((item) => (
              <Entry key={item.path} item={item} onNavigate={onNavigate} />
            ))}
          </ul>
        </div>
      ))}
    </nav>
  );
}

function Entry({ item: { path, label, icon: Icon }, onNavigate }: { item: NavigationItem; onNavigate: (() => void) | undefined }) {
  const { approvalsWaiting } = useShell();
  const orgPath = useOrgPath();
  const current = useIsCurrent()(path);
  const waiting = path === "approvals" ? approvalsWaiting : 0;
  return (
    <li>
      <NextLink
        href={orgPath(path)}
        aria-current={current ? "page" : undefined}
        {...(onNavigate === undefined ? {} : { onClick: onNavigate })}
        className={cn(
          "flex min-h-8 items-center gap-2.5 rounded-control px-2 text-small text-ink-muted hover:bg-line hover:text-ink any-pointer-coarse:min-h-10",
          current && "bg-line font-medium text-ink",
        )}
      >
        <Icon aria-hidden className="size-4 shrink-0" />
        {label}
        {waiting > 0 && (
          <span className="ml-auto rounded-full bg-warning-soft px-1.5 text-micro font-medium text-warning tabular-nums">
            {waiting}
            <span className="sr-only"> waiting</span>
          </span>
        )}
      </NextLink>
    </li>
  );
}

const BOTTOM = ["overview", "activity", "budgets", "approvals"];

/** Phones: the four pages one looks at on the way, at the thumb. */
export function BottomNavigation() {
  const { org, approvalsWaiting } = useShell();
  const orgPath = useOrgPath();
  const isCurrent = useIsCurrent();
  const items = navigationFor(org.role)
    .flatMap((group) => group.items)
    .filter(({ path }) => BOTTOM.includes(path));
  return (
    <nav
      aria-label="Quick"
      className="fixed inset-x-0 bottom-0 z-20 border-t border-line bg-surface pb-[env(safe-area-inset-bottom)] lg:hidden print:hidden"
    >
      <ul className="grid grid-cols-4">
        {items.map(({ path, label, icon: Icon }) => (
          <li key={path}>
            <NextLink
              href={orgPath(path)}
              aria-current={isCurrent(path) ? "page" : undefined}
              className="relative flex h-14 flex-col items-center justify-center gap-0.5 text-micro text-ink-muted focus-visible:-outline-offset-2 aria-[current=page]:font-medium aria-[current=page]:text-ink"
            >
              <Icon aria-hidden className="size-5" />
              {label}
              {path === "approvals" && approvalsWaiting > 0 && (
                <span className="absolute top-1.5 left-1/2 ml-2 rounded-full bg-warning-soft px-1.5 text-warning tabular-nums">
                  {approvalsWaiting}
                  <span className="sr-only"> waiting</span>
                </span>
              )}
            </NextLink>
          </li>
        ))}
      </ul>
    </nav>
  );
}
