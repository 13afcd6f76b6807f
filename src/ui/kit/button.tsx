"use client";

import { Button as BaseButton } from "@base-ui/react/button";
import { cva, type VariantProps } from "class-variance-authority";
import { LoaderCircle } from "lucide-react";
import NextLink from "next/link";
import type { ComponentProps, ReactNode } from "react";
import { cn } from "./cn";

/** The look of a button, for what has to look like one without being one. */
export const buttonStyle = cva(
  "relative inline-flex shrink-0 cursor-pointer items-center justify-center gap-2 rounded-control border text-small font-medium whitespace-nowrap transition-colors select-none data-disabled:cursor-not-allowed data-disabled:opacity-50 print:hidden",
  {
    variants: {
      variant: {
        primary: "border-ink bg-ink text-ink-inverse hover:not-data-disabled:bg-ink/85",
        secondary: "border-line-strong bg-surface text-ink hover:not-data-disabled:bg-sunken",
        ghost: "border-transparent text-ink-muted hover:not-data-disabled:bg-line hover:not-data-disabled:text-ink",
        danger: "border-danger bg-danger text-ink-inverse hover:not-data-disabled:bg-danger/85",
        "danger-quiet": "border-line-strong bg-surface text-danger hover:not-data-disabled:bg-danger-soft",
      },
      size: {
        small: "h-8 px-2.5",
        medium: "h-9 px-3.5",
        // For the thumb.
        large: "h-12 px-5 text-body",
      },
    },
    defaultVariants: { variant: "secondary", size: "medium" },
  },
);

type ButtonStyle = VariantProps<typeof buttonStyle>;

export type ButtonProps = Omit<ComponentProps<"button">, "ref"> &
  ButtonStyle & {
    ref?: React.Ref<HTMLButtonElement>;
    /** Work is under way: the button keeps its size and its focus, and does nothing. */
    loading?: boolean;
    icon?: ReactNode;
  };

/** A plain button; `type` is "button" unless said otherwise. */
export function Button({
  variant,
  size,
  loading = false,
  disabled = false,
  icon,
  className,
  children,
  type = "button",
  ...rest
}: ButtonProps) {
  return (
    <BaseButton
      {...rest}
      type={type}
      disabled={disabled || loading}
      focusableWhenDisabled={loading}
      aria-busy={loading || undefined}
      className={cn(buttonStyle({ variant, size }), loading && "data-disabled:opacity-100", className)}
    >
      {loading && (
        <span className="absolute inset-0 flex items-center justify-center">
          <LoaderCircle aria-hidden className="size-4 animate-spin" />
          <span className="sr-only">, working</span>
        </span>
      )}
      <span className={cn("inline-flex items-center gap-2", loading && "opacity-0")}>
        {icon}
        {children}
      </span>
    </BaseButton>
  );
}

type IconButtonProps = Omit<ButtonProps, "children" | "icon"> & {
  /** What it does, for those who do not see the icon; also its tooltip. */
  label: string;
  children: ReactNode;
};

/** A square button that holds an icon only. */
export function IconButton({ label, size = "medium", variant = "ghost", className, children, ...rest }: IconButtonProps) {
  const square = { small: "size-8", medium: "size-9", large: "size-12" }[size ?? "medium"];
  return (
    <Button {...rest} aria-label={label} title={label} size={size} variant={variant} className={cn("px-0", square, className)}>
      {children}
    </Button>
  );
}

type ButtonLinkProps = ComponentProps<typeof NextLink> & ButtonStyle & { icon?: ReactNode };

/** Goes somewhere and looks like a button. */
export function ButtonLink({ variant, size, icon, className, children, ...rest }: ButtonLinkProps) {
  return (
    <NextLink {...rest} className={cn(buttonStyle({ variant, size }), className)}>
      {icon}
      {children}
    </NextLink>
  );
}
