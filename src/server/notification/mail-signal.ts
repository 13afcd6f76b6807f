type Listener = () => void;

/** On `globalThis`: Next's bundle has its own copy of this module, and mail written there must wake the worker here. */
const KEY = Symbol.for("nullspend.mail-queued");
type Slot = { [KEY]?: Set<Listener> };

const listeners = (): Set<Listener> => ((globalThis as Slot)[KEY] ??= new Set());

/** A mail was written by this process; its transaction may still be open. */
export function signalMailQueued(): void {
  for (const listener of listeners()) listener();
}

/** Answers the function that ends it. */
export function onMailQueued(listener: Listener): () => void {
  listeners().add(listener);
  return () => void listeners().delete(listener);
}
