import { countTokens } from "../count-tokens";

/**
 * Text is counted with a vocabulary up to here (about 140 ms of work, in slices that let other work run); above, its bytes bound
 * it.
 */
const COUNTED_BYTES_MAX = 1024 * 1024;

/** `countTokens` cuts texts into slices, and long runs of one kind of character into pieces; each cut can lose a token. */
const SLICE_LENGTH = 8_192;
const RUN_LENGTH_MAX = 128;
const LONG_RUN = new RegExp(
  `[\\p{L}\\p{M}]{${RUN_LENGTH_MAX + 1}}|[^\\s\\p{L}\\p{N}]{${RUN_LENGTH_MAX + 1}}|\\s{${RUN_LENGTH_MAX + 1}}`,
  "u",
);

/**
 * Against a vocabulary that cannot be had, such as Claude's: digits may stand alone, and runs of blanks or of one sign may not be
 * merged as far as o200k merges them. Added to what `countTokens` gives for such models.
 */
const EXTRA_PER_DIGIT = 0.5;
const EXTRA_PER_BLANK_IN_A_RUN = 0.3;
const EXTRA_PER_SIGN_IN_A_RUN = 0.7;

/**
 * The most tokens a text can be, tighter than its bytes: exact for models whose vocabulary is known, with a figure that errs
 * high for all others. Never more than the bytes, which is what bounds every byte-level vocabulary.
 * @param model as the caller names it.
 */
export async function tokensAtMost(text: string, model: string | undefined): Promise<number> {
  if (text === "") return 0;
  const bytes = utf8Bytes(text);
  if (bytes > COUNTED_BYTES_MAX) return bytes;
  // Short texts cannot gain enough to be worth the vocabulary.
  if (bytes <= 2) return bytes;
  const counted = await countTokens(text, model);
  const extra = isScaled(model) ? extraOfRuns(text) : 0;
  const cutsMax = Math.ceil(text.length / (LONG_RUN.test(text) ? RUN_LENGTH_MAX : SLICE_LENGTH)) - 1;
  return Math.min(bytes, counted + extra + cutsMax);
}

/** UTF-8 length; what no encoding has (half a pair) counts as the replacement character that is sent for it. */
export const utf8Bytes = (text: string): number => Buffer.byteLength(text, "utf8");

/** OpenAI's own names; `countTokens` decides by the same families which of them it knows the vocabulary of. */
const isScaled = (model: string | undefined): boolean => model === undefined || !/^(?:ft:)?(?:gpt-|chatgpt-|o[134])/i.test(model);

function extraOfRuns(text: string): number {
  let extra = 0;
  let previous = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code >= 0x30 && code <= 0x39) extra += EXTRA_PER_DIGIT;
    else if (code <= 0x20) extra += previous <= 0x20 && previous > 0 ? EXTRA_PER_BLANK_IN_A_RUN : 0;
    else if (code === previous && code < 0x80) extra += EXTRA_PER_SIGN_IN_A_RUN;
    previous = code;
  }
  return Math.ceil(extra);
}
