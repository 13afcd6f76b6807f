"use client";

import { Autocomplete } from "@base-ui/react/autocomplete";
import { Search, X } from "lucide-react";
import { parseAsArrayOf, parseAsString, useQueryStates } from "nuqs";
import { useEffect, useMemo, useRef, useState } from "react";
import { Button } from "./button";
import { cn } from "./cn";
import { controlStyle } from "./input";
import { popupStyle } from "./popup";

export type FilterDefinition = {
  /** Name in the URL and in what is typed: `model:gpt-5`. */
  id: string;
  label: string;
  /** Values to choose from; without them any text is one. */
  options?: readonly { value: string; label?: string }[];
  /** Only values from `options`. */
  closed?: boolean;
  /** A new value replaces the old one. */
  single?: boolean;
  /** Shown where there are no options: ">0.10". */
  example?: string;
  /** Undefined when the text is no value for this filter. */
  parse?: (text: string) => string | undefined;
};

export type Filters<Id extends string = string> = Readonly<Record<Id, readonly string[]>>;

export type FilterState<Id extends string = string> = {
  filters: Filters<Id>;
  count: number;
  add: (id: Id, value: string) => void;
  remove: (id: Id, value: string) => void;
  set: (id: Id, values: readonly string[]) => void;
  clear: () => void;
};

/** Filters that live in the URL, so that a link shows what one sees. `ids` has to keep its identity (a constant of the module). */
export function useFilters<const Id extends string>(ids: readonly Id[]): FilterState<Id> {
  const parsers = useMemo(() => Object.fromEntries(ids.map((id) => [id, parseAsArrayOf(parseAsString).withDefault([])])), [ids]);
  const [values, setValues] = useQueryStates(parsers, { history: "push" });
  return useMemo(() => {
    const filters = Object.fromEntries(ids.map((id) => [id, values[id] ?? []])) as unknown as Filters<Id>;
    const write = (id: Id, next: readonly string[]): void => void setValues({ [id]: next.length === 0 ? null : [...next] });
    return {
      filters,
      count: ids.reduce((sum, id) => sum + filters[id].length, 0),
      add: (id, value) => {
        if (!filters[id].includes(value)) write(id, [...filters[id], value]);
      },
      remove: (id, value) =>
        write(
          id,
          filters[id].filter((each) => each !== value),
        ),
      set: write,
      clear: () => void setValues(null),
    };
  }, [ids, values, setValues]);
}

type FilterBarProps<Id extends string> = {
  /** What is filtered: "calls". */
  what: string;
  definitions: readonly (FilterDefinition & { id: Id })[];
  state: FilterState<Id>;
  className?: string;
};

type Suggestion<Id extends string> = { key: string; text: string; hint?: string; filter: Id; value?: string };

/** Splits `model:gpt-5` at the first colon. */
function split(text: string): { name: string; rest: string } | undefined {
  const at = text.indexOf(":");
  return at === -1 ? undefined : { name: text.slice(0, at).trim().toLowerCase(), rest: text.slice(at + 1).trim() };
}

/** Chips of what is filtered, and a field that takes `model:gpt-5 status:denied` or offers what there is. `/` goes to it. */
export function FilterBar<Id extends string>({ what, definitions, state, className }: FilterBarProps<Id>) {
  const [text, setText] = useState("");
  const [problem, setProblem] = useState<string>();
  const input = useRef<HTMLInputElement>(null);

  useEffect(() => {
    function onKeyDown(event: KeyboardEvent): void {
      if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
      event.preventDefault();
      input.current?.focus();
    }
    document.addEventListener("keydown", onKeyDown);
    return () => document.removeEventListener("keydown", onKeyDown);
  }, []);

  const typed = split(text);
  const named = typed === undefined ? undefined : definitions.find((each) => each.id.toLowerCase() === typed.name);
  const suggestions: Suggestion<Id>[] =
    named === undefined
      ? definitions
          .filter((each) => `${each.id} ${each.label}`.toLowerCase().includes(text.trim().toLowerCase()))
          .map((each) => ({ key: each.id, text: `${each.id}:`, hint: each.label, filter: each.id }))
      : (named.options ?? [])
          .filter((option) => `${option.value} ${option.label ?? ""}`.toLowerCase().includes(typed?.rest.toLowerCase() ?? ""))
          .slice(0, 50)
          .map((option) => ({
            key: `${named.id}:${option.value}`,
            text: `${named.id}:${option.value}`,
            ...(option.label === undefined || option.label === option.value ? {} : { hint: option.label }),
            filter: named.id,
            value: option.value,
          }));

  function put(definition: FilterDefinition & { id: Id }, raw: string): boolean {
    const chosen = definition.options?.find((option) => option.value === raw || option.label?.toLowerCase() === raw.toLowerCase());
    const value = chosen?.value ?? (definition.closed === true ? undefined : definition.parse === undefined ? raw : definition.parse(raw));
    if (value === undefined || value === "") {
      setProblem(
        `“${raw}” is no value for ${definition.label.toLowerCase()}${definition.example === undefined ? "" : `; try ${definition.example}`}.`,
      );
      return false;
    }
    if (definition.single === true) state.set(definition.id, [value]);
    else state.add(definition.id, value);
    return true;
  }

  /** Takes all `name:value` of what was typed; a value in quotes may hold blanks. */
  function take(): void {
    const parts = [...text.matchAll(/([\w.-]+):(?:"([^"]*)"|(\S+))/g)];
    if (parts.length === 0) {
      if (text.trim() !== "") setProblem(`Write it as name:value, for example ${definitions[0]?.id ?? "name"}:value.`);
      return;
    }
    for (const [, name, quoted, plain] of parts) {
      const definition = definitions.find((each) => each.id.toLowerCase() === name?.toLowerCase());
      if (definition === undefined) {
        setProblem(`There is no filter “${name}”. There are: ${definitions.map((each) => each.id).join(", ")}.`);
        return;
      }
      if (!put(definition, quoted ?? plain ?? "")) return;
    }
    setText("");
  }

  function choose(suggestion: Suggestion<Id>): void {
    const definition = definitions.find((each) => each.id === suggestion.filter);
    if (definition === undefined) return;
    if (suggestion.value === undefined) setText(`${suggestion.filter}:`);
    else if (put(definition, suggestion.value)) setText("");
    input.current?.focus();
  }

  const chips = definitions.flatMap((definition) => state.filters[definition.id].map((value) => ({ definition, value })));
  return (
    <div className={cn("flex min-w-0 flex-col gap-2 print:hidden", className)} role="search" aria-label={`Filter ${what}`}>
      <Autocomplete.Root<Suggestion<Id>>
        items={suggestions}
        filter={null}
        value={text}
        itemToStringValue={(suggestion) => suggestion.text}
        openOnInputClick
        onValueChange={(next, details) => {
          setProblem(undefined);
          // A suggestion that was pressed is taken in `choose`.
          if (details.reason !== "item-press") setText(next);
        }}
      >
        <span className="relative flex min-w-0">
          <Search aria-hidden className="pointer-events-none absolute inset-y-0 left-3 my-auto size-4 text-ink-muted" />
          <Autocomplete.Input
            ref={input}
            aria-label={`Filter ${what}`}
            placeholder={`Filter ${what}, e.g. ${definitions[0]?.id ?? "name"}:`}
            autoComplete="off"
            spellCheck={false}
            className={cn(controlStyle, "pr-9 pl-9")}
            onKeyDown={(event) => {
              // Without a highlighted suggestion what was typed counts as it stands.
              if (event.key === "Enter" && event.currentTarget.getAttribute("aria-activedescendant") === null) {
                event.preventDefault();
                take();
              }
              const last = chips.at(-1);
              if (event.key === "Backspace" && text === "" && last !== undefined) state.remove(last.definition.id, last.value);
            }}
          />
          <kbd
            aria-hidden
            className="pointer-events-none absolute inset-y-0 right-2.5 my-auto flex h-5 items-center rounded-[0.25rem] border border-line px-1.5 font-mono text-micro text-ink-muted max-sm:hidden"
          >
            /
          </kbd>
        </span>
        <Autocomplete.Portal>
          <Autocomplete.Positioner className="z-50 outline-none" sideOffset={4} align="start">
            <Autocomplete.Popup className={cn(popupStyle, "w-(--anchor-width) max-w-(--available-width) p-1")}>
              <Autocomplete.Empty className="px-3 py-2 text-small text-ink-muted empty:hidden">
                {named?.example === undefined ? "Press Enter to filter by what you typed." : `For example ${named.id}:${named.example}`}
              </Autocomplete.Empty>
              <Autocomplete.List className="max-h-[min(22rem,var(--available-height))] overflow-y-auto overscroll-contain outline-none">
                {(suggestion: Suggestion<Id>) => (
                  <Autocomplete.Item
                    key={suggestion.key}
                    value={suggestion}
                    onClick={() => choose(suggestion)}
                    className="flex min-h-8 cursor-default flex-wrap items-center gap-x-3 rounded-[0.25rem] px-2.5 py-1 text-small outline-none select-none data-highlighted:bg-line"
                  >
                    <span className="font-mono text-micro break-all">{suggestion.text}</span>
                    {suggestion.hint !== undefined && <span className="text-ink-muted">{suggestion.hint}</span>}
                  </Autocomplete.Item>
                )}
              </Autocomplete.List>
            </Autocomplete.Popup>
          </Autocomplete.Positioner>
        </Autocomplete.Portal>
      </Autocomplete.Root>
      <p role="alert" className={problem === undefined ? "hidden" : "text-small text-danger"}>
        {problem}
      </p>
      {chips.length > 0 && (
        <ul aria-label="Active filters" className="flex flex-wrap items-center gap-1.5">
          {chips.map(({ definition, value }) => {
            const label = definition.options?.find((option) => option.value === value)?.label ?? value;
            return (
              <li
                key={`${definition.id}:${value}`}
                className="inline-flex min-h-7 max-w-full items-center gap-1 rounded-full border border-line bg-surface pl-2.5 text-small"
              >
                <span className="min-w-0 truncate">
                  <span className="text-ink-muted">{definition.label}</span> {label}
                </span>
                <button
                  type="button"
                  aria-label={`Remove the filter ${definition.label} ${label}`}
                  onClick={() => state.remove(definition.id, value)}
                  className="flex size-7 shrink-0 cursor-pointer items-center justify-center rounded-full text-ink-muted hover:bg-line hover:text-ink"
                >
                  <X aria-hidden className="size-3.5" />
                </button>
              </li>
            );
          })}
          <li>
            <Button size="small" variant="ghost" onClick={state.clear}>
              Clear all
            </Button>
          </li>
        </ul>
      )}
    </div>
  );
}

/** Single keys are text where one can type. */
export function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  return (
    target.isContentEditable ||
    target.closest("input, textarea, select, [role=textbox], [role=combobox], [role=menu], [role=listbox]") !== null
  );
}
