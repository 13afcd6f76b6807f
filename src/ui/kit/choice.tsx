"use client";

import { Checkbox as BaseCheckbox } from "@base-ui/react/checkbox";
import { Field } from "@base-ui/react/field";
import { Radio } from "@base-ui/react/radio";
import { RadioGroup as BaseRadioGroup } from "@base-ui/react/radio-group";
import { Switch as BaseSwitch } from "@base-ui/react/switch";
import { Check, Minus } from "lucide-react";
import { useId, type ReactNode } from "react";
import { cn } from "./cn";

const boxStyle =
  "flex size-5 shrink-0 cursor-pointer items-center justify-center border border-line-strong bg-surface text-ink-inverse transition-colors data-checked:border-ink data-checked:bg-ink data-disabled:cursor-not-allowed data-disabled:opacity-50 data-indeterminate:border-ink data-indeterminate:bg-ink data-invalid:border-danger";

type ChoiceProps = {
  label: ReactNode;
  /** What choosing it means. */
  hint?: ReactNode;
  labelHidden?: boolean;
  disabled?: boolean;
  className?: string;
};

type CheckboxProps = ChoiceProps & {
  checked: boolean;
  onCheckedChange: (checked: boolean) => void;
  /** Some of what it stands for is chosen. */
  indeterminate?: boolean;
  name?: string;
};

export function Checkbox({ label, hint, labelHidden = false, disabled = false, className, onCheckedChange, ...rest }: CheckboxProps) {
  return (
    <Field.Root disabled={disabled} className={className}>
      <Field.Label className="flex min-h-6 w-fit cursor-pointer items-start gap-2.5 text-small">
        <BaseCheckbox.Root {...rest} onCheckedChange={(checked) => onCheckedChange(checked)} className={cn(boxStyle, "rounded-[0.25rem]")}>
          <BaseCheckbox.Indicator
            className="flex data-unchecked:hidden"
            render={(props, state) => (
              <span {...props}>
                {state.indeterminate ? <Minus aria-hidden className="size-3.5" /> : <Check aria-hidden className="size-3.5" />}
              </span>
            )}
          />
        </BaseCheckbox.Root>
        <span className={labelHidden ? "sr-only" : ""}>{label}</span>
      </Field.Label>
      {hint !== undefined && <Field.Description className="ml-7.5 text-small text-ink-muted">{hint}</Field.Description>}
    </Field.Root>
  );
}

type SwitchProps = ChoiceProps & { checked: boolean; onCheckedChange: (checked: boolean) => void; name?: string };

/** On or off at once; for what waits for a save button use a Checkbox. */
export function Switch({ label, hint, labelHidden = false, disabled = false, className, onCheckedChange, ...rest }: SwitchProps) {
  return (
    <Field.Root disabled={disabled} className={className}>
      <Field.Label className="flex min-h-6 w-fit cursor-pointer items-center gap-2.5 text-small">
        <BaseSwitch.Root
          {...rest}
          onCheckedChange={(checked) => onCheckedChange(checked)}
          className="flex h-6 w-10 shrink-0 cursor-pointer rounded-full border border-line-strong bg-sunken p-0.75 transition-colors data-checked:border-ink data-checked:bg-ink data-disabled:cursor-not-allowed data-disabled:opacity-50"
        >
          <BaseSwitch.Thumb className="size-4 rounded-full bg-line-strong transition-[translate,background-color] data-checked:translate-x-4 data-checked:bg-ink-inverse" />
        </BaseSwitch.Root>
        <span className={labelHidden ? "sr-only" : ""}>{label}</span>
      </Field.Label>
      {hint !== undefined && <Field.Description className="ml-12.5 text-small text-ink-muted">{hint}</Field.Description>}
    </Field.Root>
  );
}

export type RadioOption<Value extends string> = { value: Value; label: ReactNode; hint?: ReactNode; disabled?: boolean };

type RadioGroupProps<Value extends string> = {
  label: ReactNode;
  value: Value | null;
  onValueChange: (value: Value) => void;
  options: readonly RadioOption<Value>[];
  /** Boxes to press, side by side where there is room, instead of a plain list. */
  cards?: boolean;
  labelHidden?: boolean;
  name?: string;
  error?: string | undefined;
  className?: string;
};

export function RadioGroup<Value extends string>(props: RadioGroupProps<Value>) {
  const { label, value, onValueChange, options, cards = false, labelHidden = false, name, error, className } = props;
  const id = useId();
  return (
    <div className={cn("flex flex-col gap-2", className)}>
      <span id={id} className={cn("text-small font-medium", labelHidden && "sr-only")}>
        {label}
      </span>
      <BaseRadioGroup
        aria-labelledby={id}
        {...(error === undefined ? {} : { "aria-describedby": `${id}-error` })}
        {...(name === undefined ? {} : { name })}
        value={value}
        // The group hands back one of the values it was given.
        onValueChange={(next) => onValueChange(next as Value)}
        className={cards ? "grid gap-2 sm:grid-cols-[repeat(auto-fit,minmax(12rem,1fr))]" : "flex flex-col gap-2"}
      >
        {options.map((option) => (
          <label
            key={option.value}
            className={cn(
              "flex min-h-6 cursor-pointer items-start gap-2.5 text-small",
              cards && "rounded-control border border-line p-3 hover:border-line-strong has-data-checked:border-ink",
              option.disabled === true && "cursor-not-allowed text-ink-muted",
            )}
          >
            <Radio.Root value={option.value} disabled={option.disabled ?? false} className={cn(boxStyle, "rounded-full")}>
              <Radio.Indicator className="size-2 rounded-full bg-ink-inverse data-unchecked:hidden" />
            </Radio.Root>
            <span className="min-w-0">
              <span className={cards ? "font-medium" : ""}>{option.label}</span>
              {option.hint !== undefined && <span className="block text-ink-muted">{option.hint}</span>}
            </span>
          </label>
        ))}
      </BaseRadioGroup>
      {error !== undefined && (
        <p id={`${id}-error`} className="text-small text-danger">
          {error}
        </p>
      )}
    </div>
  );
}
