import type { Logger } from "@/lib/logger";
import type { BusMessage, BusMessageOf, BusMessageType } from "./messages";

/**
 * What happened, told to whoever listens: in this process at once, in others through a link where there is one. A lost message means
 * a stale screen until the next, never wrong money, so nothing is kept and nothing waits.
 */
export interface Bus {
  /** Never throws and never waits. Publish after the commit of what it tells. */
  publish(message: BusMessage): void;
  /** Tells this process alone. */
  publishLocally(message: BusMessage): void;
  /** Answers the function that ends it. */
  subscribe<T extends BusMessageType>(type: T, handler: (message: BusMessageOf<T>) => void): () => void;
  /** While it is not ended, publishers everywhere know that somebody looks at this organisation. */
  watch(orgId: string): () => void;
  /** Whether anybody looks, on any process: what is costly to tell need not be told otherwise. */
  isWatched(orgId: string): boolean;
  /** Whether anybody looks at anything: one comparison for the hottest paths. */
  readonly hasWatchers: boolean;
  /** The organisations that are looked at from this process. */
  watchedHere(): readonly string[];
  /** Carries messages to other processes and back. Answers the function that ends it. */
  connect(link: BusLink): () => void;
}

/** The way to other processes. */
export type BusLink = {
  send(message: BusMessage): void;
  /** Says to the others what is looked at from here. */
  announce(orgIds: readonly string[]): void;
  isWatchedElsewhere(orgId: string): boolean;
  readonly hasWatchersElsewhere: boolean;
};

export function createBus({ log }: { log: Pick<Logger, "error"> }): Bus {
  const handlers = new Map<BusMessageType, Set<(message: never) => void>>();
  const watchers = new Map<string, number>();
  let link: BusLink | undefined;

  function publishLocally(message: BusMessage): void {
    const listening = handlers.get(message.type);
    if (listening === undefined) return;
    for (const handler of listening) {
      try {
        // `subscribe` put it beside its own type.
        (handler as (message: BusMessage) => void)(message);
      } catch (error) {
        log.error({ err: error, component: `bus ${message.type}` }, "a listener failed");
      }
    }
  }

  const announce = (): void => link?.announce([...watchers.keys()]);

  return {
    publishLocally,
    publish(message) {
      publishLocally(message);
      try {
        link?.send(message);
      } catch (error) {
        log.error({ err: error, component: `bus ${message.type}` }, "a message could not be sent to other processes");
      }
    },
    subscribe(type, handler) {
      let listening = handlers.get(type);
      if (listening === undefined) handlers.set(type, (listening = new Set()));
      listening.add(handler);
      return () => void listening.delete(handler);
    },
    watch(orgId) {
      const before = watchers.get(orgId) ?? 0;
      watchers.set(orgId, before + 1);
      if (before === 0) announce();
      let ended = false;
      return () => {
        if (ended) return;
        ended = true;
        const left = watchers.get(orgId)! - 1;
        if (left > 0) {
          watchers.set(orgId, left);
          return;
        }
        watchers.delete(orgId);
        announce();
      };
    },
    isWatched: (orgId) => watchers.has(orgId) || (link?.isWatchedElsewhere(orgId) ?? false),
    get hasWatchers() {
      return watchers.size > 0 || (link?.hasWatchersElsewhere ?? false);
    },
    watchedHere: () => [...watchers.keys()],
    connect(newLink) {
      link = newLink;
      announce();
      return () => {
        link = undefined;
      };
    },
  };
}
