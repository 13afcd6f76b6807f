"use client";

import { useCallback, useSyncExternalStore } from "react";

const CHANGED = "nullspend:preference";
const PREFIX = "nullspend:";
// What the browser refuses to keep (private windows, full storage) holds for this page.
const unkept = new Map<string, string>();

function read(key: string): string | null {
  try {
    return localStorage.getItem(PREFIX + key) ?? unkept.get(key) ?? null;
  } catch {
    return unkept.get(key) ?? null;
  }
}

function subscribe(listener: () => void): () => void {
  window.addEventListener(CHANGED, listener);
  window.addEventListener("storage", listener);
  return () => {
    window.removeEventListener(CHANGED, listener);
    window.removeEventListener("storage", listener);
  };
}

/** A choice of this browser about how things look; never anything secret, and nothing another device has to know. */
export function usePreference(key: string, initial: string): readonly [string, (value: string) => void] {
  const value = useSyncExternalStore(
    subscribe,
    () => read(key) ?? initial,
    () => initial,
  );
  const set = useCallback(
    (next: string) => {
      unkept.set(key, next);
      try {
        localStorage.setItem(PREFIX + key, next);
      } catch {
        // Kept above.
      }
      window.dispatchEvent(new Event(CHANGED));
    },
    [key],
  );
  return [value, set];
}
