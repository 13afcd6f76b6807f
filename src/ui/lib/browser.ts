"use client";

import { useSyncExternalStore } from "react";

const never = () => () => {};

/** False on the server and in the first render, true from then on: for what only the browser knows. */
export function useHydrated(): boolean {
  return useSyncExternalStore(
    never,
    () => true,
    () => false,
  );
}

/** The origin in the address bar; `fromRequest` is the server's reading of it, for the first paint. */
export function useOrigin(fromRequest: string): string {
  return useSyncExternalStore(
    never,
    () => window.location.origin,
    () => fromRequest,
  );
}
