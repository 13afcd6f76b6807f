// The one module that main.ts and Next's bundle both evaluate for its value. It holds no state: that is on globalThis, since each
// of them has its own copy of every module.
import type { Runtime } from "@/server/runtime";

const KEY = Symbol.for("nullspend.runtime");
type Slot = { [KEY]?: Runtime };

export function setRuntime(runtime: Runtime): void {
  (globalThis as Slot)[KEY] = runtime;
}

export function findRuntime(): Runtime | undefined {
  return (globalThis as Slot)[KEY];
}

/** Throws where nothing was started: during `next build`, for example. */
export function getRuntime(): Runtime {
  const runtime = findRuntime();
  if (!runtime) throw new Error("The runtime is not started: this code must not run while the pages are being built.");
  return runtime;
}
