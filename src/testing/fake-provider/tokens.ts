import { decode, encode } from "gpt-tokenizer/encoding/o200k_base";

/** The fake counts for real. Anthropic's tokenizer is not public: its fake counts with the same one. */
export function countTokens(text: string): number {
  return encode(text).length;
}

/** A text of exactly this many tokens. */
export function textOfTokens(count: number): string {
  return count === 0 ? "" : `word${" word".repeat(count - 1)}`;
}

export type Piece = { text: string; tokens: number };

/** Cuts a text into at most `count` pieces at token borders that do not split a character; stops after `tokensMax` tokens. */
export function cutAtTokens(input: { text: string; count: number; tokensMax: number }): {
  pieces: Piece[];
  tokens: number;
  capped: boolean;
} {
  const all = encode(input.text);
  const kept = all.slice(0, input.tokensMax);
  const perPiece = Math.max(1, Math.ceil(kept.length / input.count));
  const pieces: Piece[] = [];
  let start = 0;
  for (let end = perPiece; start < kept.length; end += perPiece) {
    const text = decode(kept.slice(start, end));
    // A token may hold half a character: join it with the next ones.
    if (text.includes("\ufffd") && end < kept.length) continue;
    pieces.push({ text, tokens: Math.min(end, kept.length) - start });
    start = end;
  }
  return { pieces, tokens: kept.length, capped: kept.length < all.length };
}

/** Every string in a JSON value that a model would read, counted, plus a few tokens per message as chat formats have. */
export function countPromptTokens(value: unknown): number {
  if (typeof value === "string") return countTokens(value.length > 200_000 ? value.slice(0, 200_000) : value);
  if (Array.isArray(value)) return value.reduce<number>((total, item) => total + countPromptTokens(item), 0);
  if (typeof value !== "object" || value === null) return 0;
  let total = "role" in value ? 4 : 0;
  for (const [name, item] of Object.entries(value)) {
    // Names and markers are not text, and image data is not read as text.
    if (name === "type" || name === "role" || name === "id" || name === "image_url" || name === "data" || name === "cache_control")
      continue;
    total += countPromptTokens(item);
  }
  return total;
}
