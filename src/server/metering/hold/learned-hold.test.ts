import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { nanoUsd } from "@/lib/money";
import { createHoldLearner } from "./learned-hold";

const BOUND = nanoUsd(1_000_000_000n);
const call = (keyId: string, inputBytes: number, inputNano: bigint, outputNano: bigint) => ({
  keyId,
  model: "gpt-5",
  inputBytes,
  inputNano: nanoUsd(inputNano),
  outputNano: nanoUsd(outputNano),
});

describe("createHoldLearner", () => {
  it("answers the bound until it has seen enough of a key's calls to a model", () => {
    const learner = createHoldLearner({ callsMin: 3 });
    const expected = () => learner.expect({ keyId: "a", model: "gpt-5", inputBytes: 1000, bound: BOUND });
    expect(expected()).toBe(BOUND);
    learner.observe(call("a", 1000, 500n, 9_000n));
    learner.observe(call("a", 1000, 500n, 9_000n));
    expect(expected()).toBe(BOUND);
    learner.observe(call("a", 1000, 500n, 9_000n));
    expect(expected()).toBeLessThan(BOUND / 1000n);
    expect(expected()).toBeGreaterThanOrEqual(9_500n);
    expect(learner.expect({ keyId: "b", model: "gpt-5", inputBytes: 1000, bound: BOUND })).toBe(BOUND);
    expect(learner.expect({ keyId: "a", model: "gpt-4o", inputBytes: 1000, bound: BOUND })).toBe(BOUND);
  });

  it("expects more of a longer prompt", () => {
    const learner = createHoldLearner({ callsMin: 1 });
    for (let i = 0; i < 50; i++) learner.observe(call("a", 1000, 1_000n, 10n));
    const short = learner.expect({ keyId: "a", model: "gpt-5", inputBytes: 1_000, bound: BOUND });
    const long = learner.expect({ keyId: "a", model: "gpt-5", inputBytes: 100_000, bound: BOUND });
    expect(long).toBeGreaterThan(50n * short);
  });

  it("covers nearly all calls of a steady stream and is never more than the bound, or negative", () => {
    const learner = createHoldLearner();
    let covered = 0;
    let random = 7;
    for (let i = 0; i < 5_000; i++) {
      random = (random * 48_271) % 2_147_483_647;
      const output = BigInt(1_000 + (random % 9_000));
      const expected = learner.expect({ keyId: "a", model: "gpt-5", inputBytes: 4_000, bound: BOUND });
      if (expected >= output + 2_000n) covered += 1;
      learner.observe(call("a", 4_000, 2_000n, output));
    }
    console.log(`covered ${((covered / 5_000) * 100).toFixed(1)} % of calls`);
    expect(covered).toBeGreaterThan(4_850);
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(), fc.bigInt({ min: 0n, max: 1n << 62n }), fc.bigInt({ min: 0n, max: 1n << 62n })), { minLength: 1 }),
        fc.nat(),
        fc.bigInt({ min: 0n, max: 1n << 62n }),
        (calls, inputBytes, bound) => {
          const any = createHoldLearner({ callsMin: 1 });
          for (const [bytes, input, output] of calls) any.observe(call("a", bytes, input, output));
          const expected = any.expect({ keyId: "a", model: "gpt-5", inputBytes, bound: nanoUsd(bound) });
          expect(expected >= 0n && expected <= bound).toBe(true);
        },
      ),
    );
  });

  it("forgets what was not used for longest, so that callers cannot fill the memory", () => {
    const learner = createHoldLearner({ callsMin: 1, entriesMax: 2 });
    for (const key of ["a", "b", "a", "c"]) learner.observe(call(key, 1, 1n, 1n));
    const knows = (keyId: string): boolean => learner.expect({ keyId, model: "gpt-5", inputBytes: 1, bound: BOUND }) < BOUND;
    expect(["a", "b", "c"].filter(knows)).toEqual(["a", "c"]);
  });
});
