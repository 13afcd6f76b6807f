"use client";

import { Field } from "@base-ui/react/field";
import { Input as BaseInput } from "@base-ui/react/input";
import { NumberField as BaseNumberField } from "@base-ui/react/number-field";
import { Minus, Plus } from "lucide-react";
import { useState, type ComponentProps, type ReactNode } from "react";
import { parseUsd, plainUsd } from "@/ui/format/money";
import { cn } from "./cn";

/** Edge, ground and text of everything one types or picks in. On touch screens 16 px, or Safari zooms in. */
export const controlStyle =
  "h-9 w-full min-w-0 rounded-control border border-line-strong bg-surface px-3 text-small text-ink transition-colors placeholder:text-ink-muted any-pointer-coarse:text-body data-disabled:cursor-not-allowed data-disabled:bg-sunken data-disabled:text-ink-muted data-invalid:border-danger [&:is(input,textarea):read-only]:bg-sunken";

type InputProps = Omit<ComponentProps<typeof BaseInput>, "className" | "render"> & {
  className?: string;
  /** Stands inside the control, before the text. */
  before?: ReactNode;
};

/** One line of text. */
export function Input({ className, before, ...rest }: InputProps) {
  const input = <BaseInput {...rest} className={cn(controlStyle, before !== undefined && "pl-8", className)} />;
  if (before === undefined) return input;
  return (
    <span className="relative flex min-w-0">
      <span
        className="pointer-events-none absolute inset-y-0 left-3 flex items-center text-small text-ink-muted [&_svg]:size-4"
        aria-hidden
      >
        {before}
      </span>
      {input}
    </span>
  );
}

type TextareaProps = Omit<ComponentProps<"textarea">, "className"> & { className?: string };

/** Several lines of text; grows with them where the browser can. */
export function Textarea({ className, rows = 3, ref, ...rest }: TextareaProps) {
  return (
    <Field.Control
      render={<textarea {...rest} ref={ref} rows={rows} />}
      className={cn(controlStyle, "field-sizing-content h-auto min-h-18 py-2", className)}
    />
  );
}

type MoneyInputProps = Omit<InputProps, "value" | "defaultValue" | "onValueChange" | "onChange" | "before" | "type"> & {
  /** Microdollars; null when empty. */
  value: number | null;
  /** Null when empty; undefined when what stands there is no amount, which the form then has to refuse. */
  onValueChange: (microdollars: number | null | undefined) => void;
};

/** Dollars in, exact microdollars out. Free text rather than steps: nobody steps to a limit. */
export function MoneyInput({ value, onValueChange, className, ...rest }: MoneyInputProps) {
  const [text, setText] = useState(value === null ? "" : plainUsd(value));
  const [seen, setSeen] = useState(value);
  // A value from outside replaces the text; one's own, which this text already means, does not move the cursor.
  if (value !== seen) {
    setSeen(value);
    const meant = text.trim() === "" ? null : parseUsd(text);
    if (value !== meant && value !== undefined) setText(value === null ? "" : plainUsd(value));
  }
  return (
    <Input
      {...rest}
      type="text"
      inputMode="decimal"
      autoComplete="off"
      before="$"
      value={text}
      onValueChange={(next: string) => {
        setText(next);
        onValueChange(next.trim() === "" ? null : parseUsd(next));
      }}
      className={cn("tabular-nums", className)}
    />
  );
}

type NumberFieldProps = {
  value: number | null;
  onValueChange: (value: number | null) => void;
  min?: number;
  max?: number;
  step?: number;
  /** Printed after the field, e.g. "seconds". */
  unit?: string;
  id?: string;
  name?: string;
  required?: boolean;
  "aria-label"?: string;
  className?: string;
};

/** A number with steps: arrows, buttons, held to its bounds. */
export function NumberField({
  value,
  onValueChange,
  min,
  max,
  step = 1,
  unit,
  className,
  "aria-label": ariaLabel,
  ...rest
}: NumberFieldProps) {
  const stepStyle =
    "flex w-9 shrink-0 cursor-pointer items-center justify-center text-ink-muted hover:not-data-disabled:bg-sunken hover:not-data-disabled:text-ink data-disabled:cursor-not-allowed data-disabled:opacity-50";
  return (
    <BaseNumberField.Root
      {...rest}
      value={value}
      onValueChange={(next: number | null) => onValueChange(next)}
      {...(min === undefined ? {} : { min })}
      {...(max === undefined ? {} : { max })}
      step={step}
      className={cn("flex min-w-0 items-center gap-2", className)}
    >
      <BaseNumberField.Group className="flex h-9 min-w-0 overflow-clip rounded-control border border-line-strong bg-surface focus-within:outline-2 focus-within:outline-offset-2 focus-within:outline-accent data-invalid:border-danger">
        <BaseNumberField.Decrement className={stepStyle} aria-label="Less">
          <Minus aria-hidden className="size-3.5" />
        </BaseNumberField.Decrement>
        <BaseNumberField.Input
          aria-label={ariaLabel}
          className="w-[9ch] min-w-0 border-x border-line bg-transparent px-2 text-center text-small tabular-nums outline-none any-pointer-coarse:text-body"
        />
        <BaseNumberField.Increment className={stepStyle} aria-label="More">
          <Plus aria-hidden className="size-3.5" />
        </BaseNumberField.Increment>
      </BaseNumberField.Group>
      {unit !== undefined && <span className="text-small text-ink-muted">{unit}</span>}
    </BaseNumberField.Root>
  );
}
