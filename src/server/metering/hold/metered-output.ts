import { tokensAtMost, utf8Bytes } from "./token-bound";

/** How far a provider may be beyond what was read. */
export type Ahead = {
  /** How long it takes until the provider stops after we decide to: what it makes in that time is billed too. */
  aheadMs: number;
  /** Bounds on the tokens that the provider has made and we have not read yet. */
  aheadTokensMin: number;
  aheadTokensMax: number;
};
const AHEAD: Ahead = { aheadMs: 1_500, aheadTokensMin: 128, aheadTokensMax: 1_024 };

/** The most that a provider at this speed has made beyond what was read, and makes until it has noticed that it is to stop. */
export function tokensAheadAtMost(tokensPerMs: number, { aheadMs, aheadTokensMin, aheadTokensMax }: Ahead = AHEAD): number {
  return Math.max(aheadTokensMin, Math.min(Math.ceil(tokensPerMs * aheadMs), aheadTokensMax));
}

export type MeteredOutputOptions = Partial<Ahead> & {
  /** As the caller names it; decides how its text is counted. */
  model: string | undefined;
  /** Answers that are produced side by side. */
  choices?: number;
};

/** End of text and the like, which are output tokens and no text. */
const TOKENS_PER_CHOICE = 8;
/** What surrounds a tool call or a block, beyond its visible text. */
const TOKENS_PER_ITEM = 16;
/** A model may write a word in more tokens than its vocabulary needs. */
const UNUSUAL_TOKENS = 1.15;
const TOKENS_PER_BATCH = 4;
/** Less is not worth a tokenizer; more is not kept, and stays at its bytes. */
const TIGHTENED_BYTES_MIN = 2 * 1024;
const KEPT_BYTES_MAX = 256 * 1024;
/** Speed is taken over spans of this length at least, or one full buffer would look like a fast model. */
const SPAN_MS = 250;

/**
 * The most output tokens a stream can have cost so far, told by the visible text that passes: by its bytes at once, and more
 * closely when {@link tighten} is called, plus a margin for what the provider has made ahead of us. Text of tool calls and refusals is
 * visible text; thinking is not, and is to be held for apart.
 */
export class MeteredOutput {
  readonly #options: Required<MeteredOutputOptions>;
  #structureTokens: number;
  /** Text counted by a tokenizer, and what it came to. */
  #countedBytes = 0;
  #countedTokens = 0;
  /** Text that only its bytes bound. */
  #uncountedBytes = 0;
  #kept: string[] = [];
  #keptBytes = 0;
  #isTightening = false;
  #spanStartMs: number | undefined;
  #spanBytes = 0;
  #bytesPerMsMax = 0;
  #hasEnded = false;

  constructor(options: MeteredOutputOptions) {
    this.#options = { choices: 1, ...AHEAD, ...options };
    this.#structureTokens = TOKENS_PER_CHOICE * this.#options.choices;
  }

  /** A piece of visible output, cut anywhere between characters. */
  add(piece: string, nowMs: number): void {
    const bytes = utf8Bytes(piece);
    if (bytes === 0) return;
    this.#uncountedBytes += bytes;
    if (this.#keptBytes + bytes <= KEPT_BYTES_MAX) {
      this.#kept.push(piece);
      this.#keptBytes += bytes;
    }
    this.#measureSpeed(bytes, nowMs);
  }

  /** A tool call, message or block began. */
  addItem(): void {
    this.#structureTokens += TOKENS_PER_ITEM;
  }

  /** The stream's own end was seen: nothing is made ahead any more. */
  end(): void {
    this.#hasEnded = true;
  }

  /** Of what was read. */
  get tokensReadUpperBound(): number {
    return this.#structureTokens + this.#countedTokens + this.#uncountedBytes;
  }

  /** Of what the provider may have made by now and until it has been stopped. */
  get tokensUpperBound(): number {
    return this.tokensReadUpperBound + (this.#hasEnded ? 0 : this.#tokensAhead());
  }

  /** True once there is enough text that counting it will lower the bound. */
  get canTighten(): boolean {
    return !this.#isTightening && this.#keptBytes >= TIGHTENED_BYTES_MIN;
  }

  /** Counts the text kept so far and lets go of it. Pieces may be added meanwhile. */
  async tighten(): Promise<void> {
    if (this.#isTightening || this.#kept.length === 0) return;
    this.#isTightening = true;
    const text = this.#kept.join("");
    const bytes = this.#keptBytes;
    this.#kept = [];
    this.#keptBytes = 0;
    try {
      const tokens = await tokensAtMost(text, this.#options.model);
      this.#countedTokens += Math.min(bytes, Math.ceil(tokens * UNUSUAL_TOKENS) + TOKENS_PER_BATCH);
      this.#countedBytes += bytes;
      this.#uncountedBytes -= bytes;
    } finally {
      // Where counting failed, the bytes stay as they are.
      this.#isTightening = false;
    }
  }

  #tokensAhead(): number {
    const tokensPerByte = this.#countedBytes > 0 ? this.#countedTokens / this.#countedBytes : 1;
    return tokensAheadAtMost(this.#bytesPerMsMax * tokensPerByte, this.#options);
  }

  #measureSpeed(bytes: number, nowMs: number): void {
    this.#spanStartMs ??= nowMs;
    this.#spanBytes += bytes;
    const elapsed = nowMs - this.#spanStartMs;
    if (elapsed < SPAN_MS) return;
    this.#bytesPerMsMax = Math.max(this.#bytesPerMsMax, this.#spanBytes / elapsed);
    this.#spanStartMs = nowMs;
    this.#spanBytes = 0;
  }
}
