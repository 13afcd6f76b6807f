"use client";

import { Tabs as BaseTabs } from "@base-ui/react/tabs";
import type { ReactNode } from "react";

export type TabItem<Value extends string> = { value: Value; label: ReactNode; /** A number after the label. */ count?: number | undefined };

type TabsProps<Value extends string> = {
  label: string;
  value: Value;
  onValueChange: (value: Value) => void;
  tabs: readonly TabItem<Value>[];
  /** The panel of the chosen tab. */
  children: ReactNode;
};

/** Views of one thing. The chosen one belongs into the URL (`useQueryState`). */
export function Tabs<Value extends string>({ label, value, onValueChange, tabs, children }: TabsProps<Value>) {
  return (
    <BaseTabs.Root value={value} onValueChange={(next) => onValueChange(next as Value)} className="flex min-w-0 flex-col gap-5">
      <BaseTabs.List aria-label={label} className="relative flex gap-5 overflow-x-auto border-b border-line print:hidden">
        {tabs.map((tab) => (
          <BaseTabs.Tab
            key={tab.value}
            value={tab.value}
            className="flex h-10 shrink-0 cursor-pointer items-center gap-1.5 border-b-2 border-transparent text-small font-medium text-ink-muted transition-colors hover:text-ink focus-visible:-outline-offset-2 data-active:border-ink data-active:text-ink"
          >
            {tab.label}
            {tab.count !== undefined && (
              <span className="rounded-full bg-line px-1.5 text-micro text-ink-muted tabular-nums">{tab.count}</span>
            )}
          </BaseTabs.Tab>
        ))}
      </BaseTabs.List>
      <BaseTabs.Panel value={value} className="min-w-0">
        {children}
      </BaseTabs.Panel>
    </BaseTabs.Root>
  );
}
