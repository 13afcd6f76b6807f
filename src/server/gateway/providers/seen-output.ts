import type { ToolCall } from "@/server/events/cost-event";

/** Text held for counting, in characters; about 500,000 tokens, more than any model writes in one answer. */
const TEXT_CHARACTERS_MAX = 2 * 1024 * 1024;
/** Pieces are joined when there are this many, or a long stream would hold one small string per token. */
const PIECES_MAX = 1024;

/** Output text as it is delivered. Only joined when somebody asks. */
export class VisibleText {
  #pieces: string[] = [];
  #characters = 0;
  #dropped = 0;
  /** Hears each piece as it comes. */
  listener: ((piece: string) => void) | undefined;

  get dropped(): number {
    return this.#dropped;
  }

  /** Anything but text is no output that could be counted. */
  add(piece: unknown): void {
    if (typeof piece !== "string" || piece === "") return;
    this.listener?.(piece);
    const room = TEXT_CHARACTERS_MAX - this.#characters;
    if (piece.length > room) this.#dropped += piece.length - room;
    if (room <= 0) return;
    const taken = piece.length > room ? piece.slice(0, room) : piece;
    this.#pieces.push(taken);
    this.#characters += taken.length;
    if (this.#pieces.length === PIECES_MAX) this.#pieces = [this.#pieces.join("")];
  }

  toString(): string {
    return this.#pieces.join("");
  }
}

const TOOL_CALLS_MAX = 256;
const NAME_CHARACTERS_MAX = 256;

/** Tools the model called, each once, in the order in which they began. */
export class SeenToolCalls {
  readonly #byKey = new Map<string, ToolCall>();

  /** @param key tells the calls of one answer apart, as its pieces arrive. */
  add(key: string, name: unknown, id: unknown): void {
    const known = this.#byKey.get(key);
    if (known) {
      if (known.name === "" && typeof name === "string") known.name = name.slice(0, NAME_CHARACTERS_MAX);
      if (known.id === null && typeof id === "string") known.id = id.slice(0, NAME_CHARACTERS_MAX);
      return;
    }
    if (this.#byKey.size === TOOL_CALLS_MAX || (typeof name !== "string" && typeof id !== "string")) return;
    this.#byKey.set(key, {
      name: typeof name === "string" ? name.slice(0, NAME_CHARACTERS_MAX) : "",
      id: typeof id === "string" ? id.slice(0, NAME_CHARACTERS_MAX) : null,
    });
  }

  list(): ToolCall[] {
    return [...this.#byKey.values()].filter((call) => call.name !== "").map((call) => ({ ...call }));
  }
}

/** An error's code or type as a word fit for logs and rows; messages may repeat what the caller sent, so they are not taken. */
export function errorWord(...candidates: unknown[]): string {
  for (const candidate of candidates) {
    const text = typeof candidate === "number" ? String(candidate) : candidate;
    if (typeof text === "string" && /^[\w.:-]{1,64}$/.test(text)) return text;
  }
  return "error";
}

/** A name that an answer gives of itself, if it is one. */
export function nameOf(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" && value.length <= 256 ? value : undefined;
}

/** An index as part of a key; where an answer gives none, its position. */
export const indexText = (value: unknown, position: number): string => String(typeof value === "number" ? value : position);
