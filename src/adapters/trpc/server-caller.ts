// Lets server components call the router that the custom server made. It holds no state: Next's bundle has its own copy of this
// module, and importing the router there would bundle every verb a second time.
import type { AppCaller } from "./root-router";

export type { AppCaller };

/** Everything a page can ask, as whoever the cookie says. */
export type ServerCaller = (request: {
  cookieHeader: string | undefined;
  orgId?: string | undefined;
  ip?: string | null;
}) => Promise<AppCaller>;

const KEY = Symbol.for("nullspend.trpc-caller");
type Slot = { [KEY]?: ServerCaller };

export function setServerCaller(caller: ServerCaller): void {
  (globalThis as Slot)[KEY] = caller;
}

/** Throws where nothing was started: during `next build`, for example. */
export function getServerCaller(): ServerCaller {
  const caller = (globalThis as Slot)[KEY];
  if (!caller) throw new Error("The server is not started: this code must not run while the pages are being built.");
  return caller;
}
