"use client";

import { useId, useRef, useState, type KeyboardEvent, type ReactNode } from "react";

export type Tab = { id: string; label: string; panel: ReactNode };

/**
 * Tabs by the WAI-ARIA pattern: one stop for the Tab key, arrows move and show at once, Home and End jump.
 * All panels share one cell of a grid, so that the page below does not move when another is shown.
 */
export function Tabs({ label, tabs }: { label: string; tabs: readonly Tab[] }) {
  const [selected, setSelected] = useState(0);
  const buttons = useRef<(HTMLButtonElement | null)[]>([]);
  const base = useId();

  function onKeyDown(event: KeyboardEvent): void {
    const last = tabs.length - 1;
    const target = {
      ArrowRight: selected === last ? 0 : selected + 1,
      ArrowLeft: selected === 0 ? last : selected - 1,
      Home: 0,
      End: last,
    }[event.key];
    if (target === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    setSelected(target);
    buttons.current[target]?.focus();
  }

  return (
    <div className="flex flex-col gap-4">
      <div role="tablist" aria-label={label} onKeyDown={onKeyDown} className="flex flex-wrap gap-1.5 print:hidden">
        {tabs.map((tab, at) => (
          <button
            key={tab.id}
            ref={(element) => {
              buttons.current[at] = element;
            }}
            type="button"
            role="tab"
            id={`${base}-tab-${tab.id}`}
            aria-selected={at === selected}
            aria-controls={`${base}-panel-${tab.id}`}
            tabIndex={at === selected ? 0 : -1}
            onClick={() => setSelected(at)}
            className="h-8 cursor-pointer rounded-full border border-line px-3 text-small font-medium text-ink-muted transition-colors hover:border-line-strong hover:text-ink aria-selected:border-ink aria-selected:bg-ink aria-selected:text-ink-inverse"
          >
            {tab.label}
          </button>
        ))}
      </div>
      <div className="grid grid-cols-[minmax(0,1fr)]">
        {tabs.map((tab, at) => (
          <div
            key={tab.id}
            role="tabpanel"
            id={`${base}-panel-${tab.id}`}
            aria-labelledby={`${base}-tab-${tab.id}`}
            className={`col-start-1 row-start-1 flex flex-col ${at === selected ? "" : "invisible print:hidden"}`}
          >
            {tab.panel}
          </div>
        ))}
      </div>
    </div>
  );
}
