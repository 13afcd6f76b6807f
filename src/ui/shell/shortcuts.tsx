"use client";

import { useRouter } from "next/navigation";
import { useEffect, useRef } from "react";
import { Switch } from "@/ui/kit/choice";
import { Dialog } from "@/ui/kit/dialog";
import { isTyping } from "@/ui/kit/filter-bar";
import { Kbd } from "@/ui/kit/page";
import { usePreference } from "@/ui/kit/preference";
import { NAVIGATION } from "./navigation";
import { useOrgPath } from "./shell-context";

/** After G, the letter has to come within this time. */
const SECOND_KEY_MS = 1500;

/** Single letters can be in the way of speech input and of assistive technology: they can be turned off (WCAG 2.1.4). */
export function useLetterKeys(): readonly [boolean, (on: boolean) => void] {
  const [kept, setKept] = usePreference("letter-keys", "on");
  return [kept === "on", (on) => setKept(on ? "on" : "off")];
}

type ShortcutKeysProps = { onPalette: () => void; onHelp: () => void };

/** Listens for the keys of the whole dashboard. */
export function ShortcutKeys({ onPalette, onHelp }: ShortcutKeysProps) {
  const router = useRouter();
  const path = useOrgPath();
  const [letters] = useLetterKeys();
  const wentAt = useRef(0);

  useEffect(() => {
    function onKeyDown(event: KeyboardEvent): void {
      if (event.key.toLowerCase() === "k" && (event.metaKey || event.ctrlKey) && !event.altKey && !event.shiftKey) {
        event.preventDefault();
        onPalette();
        return;
      }
      if (
        !letters ||
        event.metaKey ||
        event.ctrlKey ||
        event.altKey ||
        isTyping(event.target) ||
        document.querySelector("[role=dialog], [role=alertdialog]")
      )
        return;
      if (event.key === "?") {
        event.preventDefault();
        onHelp();
        return;
      }
      const afterG = event.timeStamp - wentAt.current < SECOND_KEY_MS && wentAt.current > 0;
      wentAt.current = 0;
      if (afterG) {
        const item = NAVIGATION.flatMap((group) => group.items).find(({ key }) => key === event.key.toLowerCase());
        if (item === undefined) return;
        event.preventDefault();
        event.stopPropagation();
        router.push(path(item.path));
      } else if (event.key === "g") {
        wentAt.current = event.timeStamp;
      }
    }
    // Before the keys of the page, so that G and then A does not also press A.
    document.addEventListener("keydown", onKeyDown, true);
    return () => document.removeEventListener("keydown", onKeyDown, true);
  }, [letters, onHelp, onPalette, path, router]);

  return null;
}

type HelpProps = { open: boolean; onOpenChange: (open: boolean) => void };

const KEYS: readonly { keys: readonly string[]; what: string }[] = [
  { keys: ["⌘", "K"], what: "Go, do, find (Ctrl K elsewhere)" },
  { keys: ["?"], what: "This help" },
  { keys: ["/"], what: "To the filter" },
  { keys: ["J"], what: "Next row" },
  { keys: ["K"], what: "Row before" },
  { keys: ["Enter"], what: "Open the row" },
  { keys: ["Esc"], what: "Close what is open" },
];

export function ShortcutHelp({ open, onOpenChange }: HelpProps) {
  const [letters, setLetters] = useLetterKeys();
  return (
    <Dialog open={open} onOpenChange={onOpenChange} title="Keyboard" size="medium">
      <div className="grid gap-x-8 gap-y-5 sm:grid-cols-2">
        <KeyList title="Everywhere" entries={KEYS} />
        <KeyList
          title="Go to"
          entries={NAVIGATION.flatMap((group) => group.items).map(({ key, label }) => ({ keys: ["G", key.toUpperCase()], what: label }))}
        />
      </div>
      <Switch
        className="mt-5 border-t border-line pt-4"
        label="Single letters are shortcuts"
        hint="Turn off if they get in the way of speech input. ⌘K stays."
        checked={letters}
        onCheckedChange={setLetters}
      />
    </Dialog>
  );
}

function KeyList({ title, entries }: { title: string; entries: readonly { keys: readonly string[]; what: string }[] }) {
  return (
    <section>
      <h3 className="mb-1 text-small font-semibold">{title}</h3>
      <ul className="text-small">
        {entries.map(({ keys, what }) => (
          <li key={what} className="flex min-h-7 items-center justify-between gap-4">
            <span className="text-ink-muted">{what}</span>
            <span className="flex shrink-0 gap-1">
              {keys.map((key) => (
                <Kbd key={key}>{key}</Kbd>
              ))}
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}
