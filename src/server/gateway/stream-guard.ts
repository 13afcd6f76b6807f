import { type NanoUsd, nanoUsd } from "@/lib/money";
import type { Ledger } from "@/server/ledger";
import { type BoundedHold, MeteredOutput, costWithOutput } from "@/server/metering";

/** Output tokens that a hold is grown by at a time: enough that a stream asks seldom, little enough that others are not kept waiting. */
const STEP_TOKENS = 1_024;
/** Others may take the room that an answer told of. */
const ATTEMPTS_MAX = 4;
/** While the database does not answer, a stream goes on in what it holds and asks again after this. */
const ASK_AGAIN_MS = 250;

export type GuardedHold = BoundedHold & { cut: NonNullable<BoundedHold["cut"]> };

/**
 * Watches a stream that began on less than its bound: its hold grows with what passes, ahead of what the provider may have made
 * already, and when no budget can give more the stream is to be cut.
 */
export class StreamGuard {
  readonly #callId: string;
  readonly #hold: GuardedHold;
  readonly #ledger: Pick<Ledger, "extendTo">;
  readonly #output: MeteredOutput;
  #held: NanoUsd;
  #asking = false;
  /** A step more was not to be had. */
  #nothingSpare = false;
  #tightening: Promise<void> | undefined;
  #hasEnded = false;
  readonly #onCut: () => void;
  readonly #onRoom: () => void;

  constructor(input: {
    callId: string;
    hold: GuardedHold;
    model: string | undefined;
    choices: number;
    ledger: Pick<Ledger, "extendTo">;
    /** No budget has more: the stream has to end here. */
    onCut: () => void;
    /** A stream that was held back may go on. */
    onRoom: () => void;
  }) {
    this.#callId = input.callId;
    this.#hold = input.hold;
    this.#ledger = input.ledger;
    this.#held = input.hold.cut.floor;
    this.#output = new MeteredOutput({ model: input.model, choices: input.choices });
    this.#onCut = input.onCut;
    this.#onRoom = input.onRoom;
  }

  /** The most that the provider can have billed by now, and until it has been stopped; never more than is held. */
  get costUpperBound(): NanoUsd {
    const needed = this.#needed();
    return needed < this.#held ? needed : this.#held;
  }

  /** Visible output that was just read. */
  add(piece: string, nowMs: number): void {
    this.#output.add(piece, nowMs);
    if (this.#output.canTighten) void this.#tighten();
  }

  /** The stream's own end was seen: there is nothing left to be cut. */
  end(): void {
    this.#hasEnded = true;
    this.#output.end();
  }

  /** After each piece. False: hold the stream back until `onRoom`; `onCut` may come instead. */
  check(): boolean {
    if (this.#hasEnded) return true;
    const needed = this.#needed();
    const isShort = needed > this.#held;
    // Where there was nothing to spare, it is only asked again when the stream cannot go on without.
    const isLow = !this.#nothingSpare && needed + this.#step() / 2n > this.#held;
    if ((isShort || isLow) && !this.#asking) void this.#ask();
    return !isShort;
  }

  async #ask(): Promise<void> {
    this.#asking = true;
    const heldBefore = this.#held;
    const isAnswered = await this.#grow();
    if (!isAnswered && !this.#hasEnded && this.#short() === 0n) {
      // Not knowing is no reason to end a stream whose money is held.
      setTimeout(() => this.#askAgain(), ASK_AGAIN_MS).unref();
      return;
    }
    this.#asking = false;
    if (this.#hasEnded || this.#short() === 0n) this.#onRoom();
    else if (this.#held === heldBefore) this.#onCut();
    else void this.#ask();
  }

  #askAgain(): void {
    this.#asking = false;
    if (!this.#hasEnded) void this.#ask();
  }

  /** False: nobody answered. A full step first; where that is not there, all that is, if it is enough for now: money that is there is not refused. */
  async #grow(): Promise<boolean> {
    if (this.#nothingSpare) {
      await this.#tighten();
      if (this.#short() === 0n) return true;
    }
    let extra = this.#short() + this.#step();
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt += 1) {
      const total = nanoUsd(this.#held + extra);
      const answer = await this.#ledger.extendTo(this.#callId, total);
      if (answer.outcome === "extended") {
        this.#held = total;
        return true;
      }
      if (answer.outcome === "unavailable") return false;
      this.#nothingSpare = true;
      if (answer.outcome !== "short") return true;
      // Bytes are quick and wide: before a stream is cut, its text is counted.
      if (this.#short() > answer.room) await this.#tighten();
      if (answer.room === 0n || this.#short() > answer.room) return true;
      extra = answer.room;
    }
    return true;
  }

  /** All that was read so far. Where it cannot be counted, its bytes stand. */
  async #tighten(): Promise<void> {
    while (this.#tightening) await this.#tightening;
    this.#tightening = this.#output
      .tighten()
      .catch(() => {})
      .finally(() => (this.#tightening = undefined));
    await this.#tightening;
  }

  #short(): bigint {
    const needed = this.#needed();
    return needed > this.#held ? needed - this.#held : 0n;
  }

  #needed(): NanoUsd {
    const tokens = Math.min(this.#hold.outputTokensBound, this.#output.tokensUpperBound + this.#hold.cut.unseenOutputTokens);
    return costWithOutput(this.#hold, tokens);
  }

  #step(): bigint {
    return costWithOutput(this.#hold, STEP_TOKENS) - costWithOutput(this.#hold, 0);
  }
}
