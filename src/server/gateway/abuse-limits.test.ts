import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SlidingWindows, createAbuseLimits } from "./abuse-limits";

// What would break in production: keys are guessed at the speed of the line, or a busy customer is locked out by a guesser.

type Limits = {
  at: (ms: number) => void;
  failed: (address: string | null) => number | undefined;
  call: (key: string) => number | undefined;
};

function limits(max: number): Limits {
  let now = 0;
  const clock = { now: () => now, monotonic: () => now };
  const made = createAbuseLimits({ clock, authFailuresPerMinuteMax: max, callsPerKeyPerMinuteMax: max });
  return { at: (ms) => void (now = ms), failed: (address) => made.failedAuthentication(address), call: (key) => made.call(key) };
}

describe("limits against abuse", () => {
  it("as many as the limit pass in a minute, the next is told when to come again, and may then", () => {
    const { at, failed } = limits(3);
    at(500);
    expect([failed("1.2.3.4"), failed("1.2.3.4")]).toEqual([undefined, undefined]);
    at(30_000);
    expect(failed("1.2.3.4")).toBeUndefined();
    const wait = failed("1.2.3.4")!;
    expect(wait).toBe(30);
    at(30_000 + wait * 1_000 - 1_000);
    expect(failed("1.2.3.4")).toBe(1);
    at(30_000 + wait * 1_000);
    expect([failed("1.2.3.4"), failed("1.2.3.4"), failed("1.2.3.4")]).toEqual([undefined, undefined, 30]);
  });

  it("addresses and keys are counted apart; the addresses of one IPv6 network, and unknown ones, together", () => {
    const { failed, call } = limits(1);
    expect([failed("1.1.1.1"), failed("1.1.1.2"), call("1.1.1.1")]).toEqual([undefined, undefined, undefined]);
    expect([failed("2001:db8:1:2::1"), failed("2001:db8:1:2:ffff::9"), failed("2001:db8:1:3::1")]).toEqual([undefined, 60, undefined]);
    expect([failed(null), failed(null)]).toEqual([undefined, 60]);
  });

  it("never lets more than the limit through in any minute, and lets it through again after one", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 9_000 }), { maxLength: 200 }), fc.integer({ min: 1, max: 20 }), (gaps, countMax) => {
        const windows = new SlidingWindows({ countMax, namesMax: 2 });
        const passed: number[] = [];
        let now = 0;
        for (const gap of gaps) {
          now += gap;
          const wait = windows.take("a", now);
          if (wait === undefined) passed.push(now);
          else expect(passed.filter((at) => at > now - 60_000).length).toBe(countMax);
        }
        for (const at of passed) expect(passed.filter((other) => other > at - 59_000 && other <= at).length).toBeLessThanOrEqual(countMax);
      }),
    );
  });

  it("remembers no more names than it may", () => {
    const windows = new SlidingWindows({ countMax: 1, namesMax: 100 });
    for (let i = 0; i < 10_000; i++) windows.take(`name ${i}`, i);
    expect(windows.size).toBe(100);
  });
});
