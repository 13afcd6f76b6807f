import { type NanoUsd, nanoUsd } from "@/lib/money";
import type { Ledger } from "@/server/ledger";
import { type BoundedHold, MeteredOutput, costWithOutput } from "@/server/metering";

/** Output tokens that a hold is grown by at a time: enough that a stream asks seldom, little enough that others are not kept waiting. */
const STEP_TOKENS = 1_024;

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
  #exhausted = false;
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
    if (this.#output.canTighten) void this.#output.tighten().catch(() => {});
  }

  /** The stream's own end was seen. */
  end(): void {
    this.#output.end();
  }

  /** After each piece. False: hold the stream back until `onRoom`; `onCut` may come instead. */
  check(): boolean {
    const needed = this.#needed();
    if (needed + this.#step() / 2n > this.#held && !this.#asking && !this.#exhausted) void this.#ask(needed);
    if (needed <= this.#held) return true;
    if (this.#exhausted) this.#onCut();
    return false;
  }

  async #ask(needed: NanoUsd): Promise<void> {
    this.#asking = true;
    const short = needed > this.#held ? needed - this.#held : 0n;
    // A full step first; where that is not there, all that is, if it is enough for now: money that is there is not refused.
    for (let extra = short + this.#step(); ;) {
      const total = nanoUsd(this.#held + extra);
      const answer = await this.#ledger.extendTo(this.#callId, total);
      if (answer.outcome === "extended") {
        this.#held = total;
        break;
      }
      const room = answer.outcome === "short" && answer.room < extra ? answer.room : 0n;
      if (room === 0n || room < short) {
        this.#exhausted = true;
        break;
      }
      extra = room;
    }
    this.#asking = false;
    const now = this.#needed();
    if (now <= this.#held) this.#onRoom();
    else if (this.#exhausted) this.#onCut();
    else void this.#ask(now);
  }

  #needed(): NanoUsd {
    const tokens = Math.min(this.#hold.outputTokensBound, this.#output.tokensUpperBound + this.#hold.cut.unseenOutputTokens);
    return costWithOutput(this.#hold, tokens);
  }

  #step(): bigint {
    return costWithOutput(this.#hold, STEP_TOKENS) - costWithOutput(this.#hold, 0);
  }
}
