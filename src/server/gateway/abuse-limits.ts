import ipaddr from "ipaddr.js";
import type { Clock } from "@/lib/clock";

/**
 * Limits against abuse, not for money (CONTRACT §6, `rate_limited`): each process counts for itself, in memory that is bounded,
 * and forgets with a restart. Only what fails is slowed: a right key passes from an address that guesses, too.
 */
export interface AbuseLimits {
  /**
   * Counts a failed authentication. Seconds until the next one may hear that its key is wrong; undefined: this one may.
   * @param address null where it is not known; those share one count.
   */
  failedAuthentication(address: string | null): number | undefined;
  /** Counts a call. Seconds until this key may call again; undefined: it may now. */
  call(keyId: string): number | undefined;
}

const WINDOW_MS = 60_000;
/** Counted in so many parts, each of which leaves the window as one. */
const PARTS = 60;
const PART_MS = WINDOW_MS / PARTS;
/** Some 300 bytes each. */
const ADDRESSES_MAX = 20_000;
const KEYS_MAX = 20_000;

export function createAbuseLimits(input: { clock: Clock; authFailuresPerMinuteMax: number; callsPerKeyPerMinuteMax: number }): AbuseLimits {
  const { clock } = input;
  const failures = new SlidingWindows({ countMax: input.authFailuresPerMinuteMax, namesMax: ADDRESSES_MAX });
  const calls = new SlidingWindows({ countMax: input.callsPerKeyPerMinuteMax, namesMax: KEYS_MAX });
  return {
    failedAuthentication: (address) => failures.take(address === null ? "" : networkOf(address), clock.monotonic()),
    call: (keyId) => calls.take(keyId, clock.monotonic()),
  };
}

/** Whoever has one address of an IPv6 network has all 2^64 of it. */
function networkOf(address: string): string {
  if (!ipaddr.IPv6.isValid(address)) return address;
  return ipaddr.IPv6.parse(address).parts.slice(0, 4).join(":");
}

type Window = { counts: Uint32Array; total: number; /** Number of the newest part, since the clock began. */ newest: number };

/** At most `countMax` per minute and name, over a minute that slides by the second. What is refused is not counted. */
export class SlidingWindows {
  readonly #countMax: number;
  readonly #namesMax: number;
  /** In the order of their last use; the one unused for longest is forgotten when there are too many. */
  readonly #windows = new Map<string, Window>();
  #last: { name: string; window: Window } | undefined;

  constructor(options: { countMax: number; namesMax: number }) {
    this.#countMax = options.countMax;
    this.#namesMax = options.namesMax;
  }

  get size(): number {
    return this.#windows.size;
  }

  /** Undefined: counted. Otherwise the whole seconds until the name has room again. */
  take(name: string, nowMs: number): number | undefined {
    const part = Math.floor(nowMs / PART_MS);
    const window = this.#windowOf(name, part);
    slide(window, part);
    if (window.total >= this.#countMax) return secondsUntilRoom(window, { nowMs, countMax: this.#countMax });
    window.counts[part % PARTS]! += 1;
    window.total += 1;
    return undefined;
  }

  #windowOf(name: string, part: number): Window {
    // One busy key makes most calls; its place in the order is the last already.
    if (this.#last?.name === name) return this.#last.window;
    let window = this.#windows.get(name);
    if (window) this.#windows.delete(name);
    else window = { counts: new Uint32Array(PARTS), total: 0, newest: part };
    this.#windows.set(name, window);
    if (this.#windows.size > this.#namesMax) {
      const [oldest] = this.#windows.keys();
      this.#windows.delete(oldest!);
    }
    this.#last = { name, window };
    return window;
  }
}

function slide(window: Window, part: number): void {
  const passed = Math.min(PARTS, part - window.newest);
  for (let i = 1; i <= passed; i += 1) {
    const slot = (window.newest + i) % PARTS;
    window.total -= window.counts[slot]!;
    window.counts[slot] = 0;
  }
  window.newest = Math.max(window.newest, part);
}

function secondsUntilRoom(window: Window, { nowMs, countMax }: { nowMs: number; countMax: number }): number {
  let left = window.total;
  for (let oldest = window.newest - PARTS + 1; oldest <= window.newest; oldest += 1) {
    left -= window.counts[((oldest % PARTS) + PARTS) % PARTS]!;
    if (left < countMax) return Math.max(1, Math.ceil(((oldest + PARTS) * PART_MS - nowMs) / 1_000));
  }
  return PARTS;
}
