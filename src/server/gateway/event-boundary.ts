const LF = 0x0a;
const CR = 0x0d;

/**
 * Hands on whole server-sent events only, so that an event of our own can follow at any time. What is held back is the beginning of
 * one event; past a cap it flows on as it is, since nothing that large is an event of text.
 */
export class EventBoundary {
  #held: Buffer[] = [];
  #heldBytes = 0;
  /** Line ends seen in a row at the end of what came so far; two make a boundary. CRLF counts once. */
  #lineEnds = 0;
  #lastByte = 0;

  readonly #bytesMax: number;

  constructor(bytesMax = 1024 * 1024) {
    this.#bytesMax = bytesMax;
  }

  push(chunk: Buffer): Buffer {
    let boundary = 0;
    for (let i = 0; i < chunk.length; i += 1) {
      const byte = chunk[i]!;
      if (byte === LF || byte === CR) {
        if (!(byte === LF && this.#lastByte === CR)) this.#lineEnds += 1;
        if (this.#lineEnds >= 2) boundary = i + 1;
      } else {
        this.#lineEnds = 0;
      }
      this.#lastByte = byte;
    }
    if (boundary === 0) {
      this.#held.push(chunk);
      this.#heldBytes += chunk.length;
      return this.#heldBytes > this.#bytesMax ? this.end() : EMPTY;
    }
    const whole = this.#held.length === 0 ? chunk.subarray(0, boundary) : Buffer.concat([...this.#held, chunk.subarray(0, boundary)]);
    const rest = chunk.subarray(boundary);
    this.#held = rest.length > 0 ? [rest] : [];
    this.#heldBytes = rest.length;
    return whole;
  }

  /** What is held back. */
  end(): Buffer {
    const held = Buffer.concat(this.#held, this.#heldBytes);
    this.#held = [];
    this.#heldBytes = 0;
    return held;
  }
}

const EMPTY = Buffer.alloc(0);
