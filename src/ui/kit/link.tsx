import { ExternalLink } from "lucide-react";
import NextLink from "next/link";
import type { ComponentProps } from "react";
import { cn } from "./cn";

type LinkProps = ComponentProps<typeof NextLink> & {
  /** Leads away from this instance: opens beside it and says so. */
  external?: boolean;
};

/** A link in text. */
export function Link({ external = false, className, children, ...rest }: LinkProps) {
  return (
    <NextLink
      {...rest}
      {...(external ? { target: "_blank", rel: "noopener noreferrer" } : {})}
      className={cn("link rounded-control text-ink", className)}
    >
      {children}
      {external && (
        <>
          <ExternalLink aria-hidden className="ml-1 inline size-3.5 align-[-0.125em]" />
          <span className="sr-only"> (opens in a new tab)</span>
        </>
      )}
    </NextLink>
  );
}
