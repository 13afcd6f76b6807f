import { type NanoUsd, nanoUsd } from "@/lib/money";

/** A settled call, in what is known of it before its answer (bytes) and after (money). */
export type SettledCall = {
  keyId: string;
  model: string;
  inputBytes: number;
  /** Cost of input, cached input and cache writes. */
  inputNano: NanoUsd;
  /** Cost of everything else. */
  outputNano: NanoUsd;
};

export interface HoldLearner {
  observe(call: SettledCall): void;
  /**
   * The size that a call of this key and model probably has, with room; the bound until enough has been seen, and never more than
   * the bound. An estimate: only for budgets with `holds: expected`.
   */
  expect(call: { keyId: string; model: string; inputBytes: number; bound: NanoUsd }): NanoUsd;
}

/** As TCP estimates round trips (RFC 6298): what is new weighs an eighth, its deviation a quarter, and four deviations are added. */
const WEIGHT_OF_MEAN = 1 / 8;
const WEIGHT_OF_DEVIATION = 1 / 4;
const DEVIATIONS = 4;

type Estimate = { mean: number; deviation: number };
type Learned = { calls: number; inputPerByte: Estimate; output: Estimate };

/** In memory of one process, for at most `entriesMax` pairs of key and model; those not used for longest are forgotten. */
export function createHoldLearner(options: { entriesMax?: number; callsMin?: number } = {}): HoldLearner {
  const { entriesMax = 10_000, callsMin = 5 } = options;
  const learned = new Map<string, Learned>();
  const keyOf = (call: { keyId: string; model: string }): string => `${call.keyId}\0${call.model}`;

  return {
    observe(call) {
      const key = keyOf(call);
      const perByte = Number(call.inputNano) / Math.max(1, call.inputBytes);
      const output = Number(call.outputNano);
      const known = learned.get(key);
      learned.delete(key);
      learned.set(
        key,
        known === undefined
          ? { calls: 1, inputPerByte: first(perByte), output: first(output) }
          : { calls: known.calls + 1, inputPerByte: next(known.inputPerByte, perByte), output: next(known.output, output) },
      );
      if (learned.size > entriesMax) learned.delete(learned.keys().next().value!);
    },

    expect({ bound, inputBytes, ...call }) {
      const known = learned.get(keyOf(call));
      if (known === undefined || known.calls < callsMin) return bound;
      const nano = Math.ceil(inputBytes * withRoom(known.inputPerByte) + withRoom(known.output));
      if (!Number.isSafeInteger(nano)) return bound;
      const expected = nanoUsd(BigInt(nano));
      return expected < bound ? expected : bound;
    },
  };
}

const first = (value: number): Estimate => ({ mean: value, deviation: value / 2 });

function next({ mean, deviation }: Estimate, value: number): Estimate {
  return {
    mean: mean + WEIGHT_OF_MEAN * (value - mean),
    deviation: deviation + WEIGHT_OF_DEVIATION * (Math.abs(value - mean) - deviation),
  };
}

const withRoom = ({ mean, deviation }: Estimate): number => mean + DEVIATIONS * deviation;
