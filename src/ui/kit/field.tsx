"use client";

import { Field as BaseField } from "@base-ui/react/field";
import { CircleAlert } from "lucide-react";
import type { ReactNode } from "react";
import { cn } from "./cn";

type FieldProps = {
  label: ReactNode;
  /** One control of the kit: Input, Select, Combobox, Textarea, MoneyInput, NumberField. It is labelled and described by itself. */
  children: ReactNode;
  /** Says what belongs in the control, before anything goes wrong. */
  hint?: ReactNode;
  /** Says what is wrong and what to do. */
  error?: string | undefined;
  required?: boolean;
  disabled?: boolean;
  /** The label is read but not seen. */
  labelHidden?: boolean;
  className?: string;
};

/** A control with its label, a hint and an error, tied together for screen readers. */
export function Field({ label, children, hint, error, required = false, disabled = false, labelHidden = false, className }: FieldProps) {
  return (
    <BaseField.Root
      invalid={error !== undefined && error !== ""}
      disabled={disabled}
      className={cn("flex min-w-0 flex-col gap-1.5", className)}
    >
      <BaseField.Label className={cn("text-small font-medium text-ink", labelHidden && "sr-only")}>
        {label}
        {required && <span className="font-normal text-ink-muted"> (required)</span>}
      </BaseField.Label>
      {children}
      {hint !== undefined && <BaseField.Description className="text-small text-ink-muted">{hint}</BaseField.Description>}
      {error !== undefined && error !== "" && (
        <BaseField.Error match className="flex items-start gap-1.5 text-small text-danger">
          <CircleAlert aria-hidden className="mt-1 size-3.5 shrink-0" />
          {error}
        </BaseField.Error>
      )}
    </BaseField.Root>
  );
}

/** An error that belongs to a whole form. Announced when it appears. */
export function FormError({ children }: { children: ReactNode }) {
  return (
    <div role="alert" className={children === undefined || children === null || children === "" ? "hidden" : ""}>
      <p className="flex items-start gap-2 rounded-control bg-danger-soft px-3 py-2 text-small text-danger">
        <CircleAlert aria-hidden className="mt-0.5 size-4 shrink-0" />
        <span className="min-w-0 break-words">{children}</span>
      </p>
    </div>
  );
}
