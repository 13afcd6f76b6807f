"use client";

import { Combobox as BaseCombobox } from "@base-ui/react/combobox";
import { Select as BaseSelect } from "@base-ui/react/select";
import { Check, ChevronDown, ChevronsUpDown, X } from "lucide-react";
import type { ReactNode } from "react";
import { cn } from "./cn";
import { controlStyle } from "./input";
import { popupStyle } from "./popup";

export type Option<Value extends string = string> = {
  value: Value;
  label: string;
  /** A second line. */
  hint?: ReactNode;
  disabled?: boolean;
};

const itemStyle =
  "grid min-h-8 cursor-default grid-cols-[1rem_minmax(0,1fr)] items-start gap-2 rounded-[0.25rem] py-1.5 pr-3 pl-2 text-small outline-none select-none data-disabled:text-ink-muted data-disabled:opacity-60 data-highlighted:bg-line any-pointer-coarse:min-h-10 any-pointer-coarse:py-2.5";

type SelectProps<Value extends string> = {
  value: Value | null;
  onValueChange: (value: Value) => void;
  options: readonly Option<Value>[];
  placeholder?: string;
  /** Needed where no Field gives a label. */
  "aria-label"?: string;
  name?: string;
  id?: string;
  required?: boolean;
  disabled?: boolean;
  size?: "small" | "medium";
  className?: string;
};

/** One of a few. From about ten on use Combobox, which can be searched. */
export function Select<Value extends string>(props: SelectProps<Value>) {
  const { value, onValueChange, options, placeholder = "Choose", size = "medium", className, "aria-label": ariaLabel, id, ...rest } = props;
  return (
    <BaseSelect.Root<Value>
      {...rest}
      items={options.map((option) => ({ value: option.value, label: option.label }))}
      value={value}
      onValueChange={(next) => {
        if (next !== null) onValueChange(next);
      }}
    >
      <BaseSelect.Trigger
        {...(id === undefined ? {} : { id })}
        aria-label={ariaLabel}
        className={cn(
          controlStyle,
          "flex cursor-pointer items-center justify-between gap-2 text-left select-none hover:not-data-disabled:bg-sunken",
          size === "small" && "h-8 px-2.5",
          className,
        )}
      >
        <BaseSelect.Value placeholder={placeholder} className="truncate data-placeholder:text-ink-muted" />
        <BaseSelect.Icon className="shrink-0 text-ink-muted">
          <ChevronsUpDown aria-hidden className="size-3.5" />
        </BaseSelect.Icon>
      </BaseSelect.Trigger>
      <BaseSelect.Portal>
        <BaseSelect.Positioner className="z-50 outline-none select-none" sideOffset={4} alignItemWithTrigger={false}>
          <BaseSelect.Popup className={cn(popupStyle, "max-w-(--available-width) min-w-(--anchor-width) p-1")}>
            <BaseSelect.List className="max-h-[min(22rem,var(--available-height))] scroll-py-1 overflow-y-auto overscroll-contain">
              {options.map((option) => (
                <BaseSelect.Item key={option.value} value={option.value} disabled={option.disabled ?? false} className={itemStyle}>
                  <BaseSelect.ItemIndicator className="col-start-1 mt-1">
                    <Check aria-hidden className="size-4" />
                  </BaseSelect.ItemIndicator>
                  <span className="col-start-2 min-w-0">
                    <BaseSelect.ItemText>{option.label}</BaseSelect.ItemText>
                    {option.hint !== undefined && <span className="block text-micro text-ink-muted">{option.hint}</span>}
                  </span>
                </BaseSelect.Item>
              ))}
            </BaseSelect.List>
          </BaseSelect.Popup>
        </BaseSelect.Positioner>
      </BaseSelect.Portal>
    </BaseSelect.Root>
  );
}

type ComboboxProps<Value extends string> = {
  value: Value | null;
  onValueChange: (value: Value | null) => void;
  options: readonly Option<Value>[];
  placeholder?: string;
  "aria-label"?: string;
  name?: string;
  required?: boolean;
  disabled?: boolean;
  /** Shows a button that empties the field. */
  clearable?: boolean;
  /** With these the list comes from a search elsewhere: what is typed is reported, and `options` is shown unfiltered. */
  onSearch?: (text: string) => void;
  searching?: boolean;
  emptyText?: string;
  className?: string;
};

/** One of many: type to narrow down. */
export function Combobox<Value extends string>(props: ComboboxProps<Value>) {
  const {
    value,
    onValueChange,
    options,
    placeholder = "Type to search",
    clearable = false,
    onSearch,
    searching = false,
    className,
  } = props;
  const selected = value === null ? null : (options.find((option) => option.value === value) ?? { value, label: value });
  return (
    <BaseCombobox.Root<Option<Value>>
      items={options}
      value={selected}
      onValueChange={(next) => onValueChange(next?.value ?? null)}
      isItemEqualToValue={(one, other) => one.value === other.value}
      {...(props.name === undefined ? {} : { name: props.name })}
      {...(props.required === undefined ? {} : { required: props.required })}
      {...(props.disabled === undefined ? {} : { disabled: props.disabled })}
      {...(onSearch === undefined ? {} : { filter: null, onInputValueChange: (text: string) => onSearch(text) })}
    >
      <BaseCombobox.InputGroup className={cn("relative flex min-w-0", className)}>
        <BaseCombobox.Input
          placeholder={placeholder}
          aria-label={props["aria-label"]}
          autoComplete="off"
          className={cn(controlStyle, clearable ? "pr-16" : "pr-9")}
        />
        <span className="absolute inset-y-0 right-1 flex items-center text-ink-muted">
          {clearable && (
            <BaseCombobox.Clear
              aria-label="Clear"
              className="flex size-7 cursor-pointer items-center justify-center rounded-control hover:text-ink"
            >
              <X aria-hidden className="size-3.5" />
            </BaseCombobox.Clear>
          )}
          <BaseCombobox.Trigger
            aria-label="Show the choices"
            className="flex size-7 cursor-pointer items-center justify-center rounded-control hover:text-ink"
          >
            <ChevronDown aria-hidden className="size-4" />
          </BaseCombobox.Trigger>
        </span>
      </BaseCombobox.InputGroup>
      <BaseCombobox.Portal>
        <BaseCombobox.Positioner className="z-50 outline-none" sideOffset={4}>
          <BaseCombobox.Popup className={cn(popupStyle, "w-(--anchor-width) max-w-(--available-width) min-w-48 p-1")}>
            <BaseCombobox.Empty className="px-3 py-2 text-small text-ink-muted empty:hidden">
              {searching ? "Searching…" : (props.emptyText ?? "Nothing matches.")}
            </BaseCombobox.Empty>
            <BaseCombobox.List className="max-h-[min(22rem,var(--available-height))] scroll-py-1 overflow-y-auto overscroll-contain outline-none">
              {(option: Option<Value>) => (
                <BaseCombobox.Item key={option.value} value={option} disabled={option.disabled ?? false} className={itemStyle}>
                  <BaseCombobox.ItemIndicator className="col-start-1 mt-1">
                    <Check aria-hidden className="size-4" />
                  </BaseCombobox.ItemIndicator>
                  <span className="col-start-2 min-w-0 break-words">
                    {option.label}
                    {option.hint !== undefined && <span className="block text-micro text-ink-muted">{option.hint}</span>}
                  </span>
                </BaseCombobox.Item>
              )}
            </BaseCombobox.List>
          </BaseCombobox.Popup>
        </BaseCombobox.Positioner>
      </BaseCombobox.Portal>
    </BaseCombobox.Root>
  );
}
