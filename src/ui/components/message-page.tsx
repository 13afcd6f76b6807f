import type { ReactNode } from "react";
import { SiteFooter, SiteHeader, SkipLink } from "./site-frame";

/** A page with one thing to say. */
export function MessagePage({ code, title, children }: { code: string; title: string; children: ReactNode }) {
  return (
    <div className="flex min-h-dvh flex-col">
      <SkipLink />
      <SiteHeader sections={[]} />
      <main
        id="content"
        tabIndex={-1}
        className="mx-auto flex w-full max-w-6xl grow flex-col justify-center px-5 py-16 outline-none sm:px-8"
      >
        <p className="font-mono text-small text-ink-muted">{code}</p>
        <h1 className="mt-2 text-heading font-semibold">{title}</h1>
        <div className="mt-3 max-w-[60ch] text-ink-muted">{children}</div>
      </main>
      <SiteFooter />
    </div>
  );
}
