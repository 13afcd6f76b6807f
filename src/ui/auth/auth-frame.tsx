import type { ReactNode } from "react";
import { SkipLink } from "@/ui/components/site-frame";
import { Logo } from "@/ui/components/logo";
import { TrpcProvider } from "@/ui/trpc/provider";

/** One column with one thing to do. */
export function AuthFrame({
  title,
  description,
  children,
  footer,
}: {
  title: string;
  description?: ReactNode;
  children: ReactNode;
  footer?: ReactNode;
}) {
  return (
    <TrpcProvider>
      <SkipLink />
      <main id="content" tabIndex={-1} className="mx-auto flex min-h-dvh w-full max-w-md flex-col justify-center px-5 py-10 outline-none">
        <a href="/" aria-label="NullSpend" className="mb-8 inline-flex w-fit">
          <Logo />
        </a>
        <h1 className="text-heading font-semibold">{title}</h1>
        {description !== undefined && <div className="mt-1 text-small text-ink-muted">{description}</div>}
        <div className="mt-6">{children}</div>
        {footer !== undefined && <div className="mt-6 text-small text-ink-muted">{footer}</div>}
      </main>
    </TrpcProvider>
  );
}
