import Link from "next/link";
import { ThemeSwitch } from "@/ui/theme/theme-switch";
import { Logo } from "./logo";

export function SkipLink() {
  return (
    <a
      href="#content"
      className="fixed top-3 left-3 z-20 -translate-y-20 rounded-control bg-ink px-4 py-2 text-small font-medium text-ink-inverse focus:translate-y-0"
    >
      Skip to content
    </a>
  );
}

type SectionLink = { href: string; label: string };

export function SiteHeader({ sections }: { sections: readonly SectionLink[] }) {
  return (
    <header className="sticky top-0 z-10 border-b border-line bg-canvas print:static">
      <div className="mx-auto flex h-14 w-full max-w-6xl items-center justify-between gap-4 px-5 sm:px-8">
        <Link href="/" className="-ml-1 flex items-center gap-2 rounded-control px-1 py-1 font-semibold tracking-tight">
          <Logo className="size-6" />
          NullSpend
        </Link>
        <div className="flex items-center gap-6">
          {sections.length > 0 && (
            <nav aria-label="On this page" className="hidden gap-5 text-small text-ink-muted sm:flex print:hidden">
              {sections.map(({ href, label }) => (
                <a key={href} href={href} className="rounded-control py-1 transition-colors hover:text-ink">
                  {label}
                </a>
              ))}
            </nav>
          )}
          <ThemeSwitch />
        </div>
      </div>
    </header>
  );
}

export function SiteFooter() {
  return (
    <footer className="border-t border-line">
      <div className="mx-auto flex w-full max-w-6xl flex-wrap items-center justify-between gap-x-8 gap-y-3 px-5 py-8 text-small text-ink-muted sm:px-8">
        <p>This page loads nothing from anywhere but this instance.</p>
        <nav aria-label="For machines" className="flex flex-wrap gap-x-6 gap-y-2">
          <a href="/openapi.json" className="link rounded-control py-1 hover:text-ink">
            openapi.json
          </a>
          <a href="/llms.txt" className="link rounded-control py-1 hover:text-ink">
            llms.txt
          </a>
        </nav>
      </div>
    </footer>
  );
}
