type CountPlain = (text: string) => number;

/** OpenAI models that are known to use `o200k_base`; fine-tunes of them too. Embeddings and GPT-4 and older do not. */
const O200K_MODELS = /^(ft:)?(gpt-4o|chatgpt-4o|gpt-4\.1|gpt-5|gpt-oss|o1|o3|o4)(?![0-9])/;

/**
 * Merging a run of one kind of character takes time that grows with its square: 100,000 letters in a row took from 5 to 49 seconds.
 * Longer runs are counted in pieces, which adds at most a token for each cut.
 */
const RUN_LENGTH_MAX = 128;
const LONG_RUN = new RegExp(
  `[\\p{L}\\p{M}]{${RUN_LENGTH_MAX + 1},}|[^\\s\\p{L}\\p{N}]{${RUN_LENGTH_MAX + 1},}|\\s{${RUN_LENGTH_MAX + 1},}`,
  "gu",
);
/** How much is counted before other work gets its turn: about 10 ms at worst. */
const SLICE_LENGTH = 16_384;
/** What is longer is estimated from here on: no model reads or writes as much. */
const COUNTED_LENGTH_MAX = 8_000_000;

/**
 * Other vocabularies against `o200k_base`: Claude's makes about 1.15 times as many tokens of English and code, those since Opus 4.7
 * up to 1.35 times that (https://platform.claude.com/docs/en/about-claude/models/overview), and scripts other than Latin fare worse.
 */
const OTHER_VOCABULARY = 1.6;
const OTHER_VOCABULARY_PER_FOREIGN_CHARACTER = 0.5;

/**
 * Counts the tokens of a text, for calls whose provider did not tell: exactly for models of the `o200k_base` family, and with a
 * figure that errs on the high side for all others and where the model is not known. Special tokens count as the plain text they
 * are written as.
 *
 * The first call loads the vocabulary (130 ms, 70 MB), so keep this off the path of calls that tell their usage. Takes time in
 * proportion to the text, whatever is in it, and lets other work run in between.
 * @param model as the answer names it.
 */
export async function countTokens(text: string, model?: string): Promise<number> {
  if (text === "") return 0;
  const countPlain = await loadO200k();
  let tokens = 0;
  let position = 0;
  while (position < text.length && position < COUNTED_LENGTH_MAX) {
    if (position > 0) await nextTurn();
    const end = sliceEnd(text, position);
    tokens += countSlice(countPlain, text.slice(position, end));
    position = end;
  }
  if (position < text.length) return tokens + (await estimateOfBytes(new TextEncoder().encode(text.slice(position)))).tokens;
  if (model !== undefined && O200K_MODELS.test(model.toLowerCase())) return tokens;
  const scaled = Math.ceil(tokens * OTHER_VOCABULARY + foreignCharacters(text) * OTHER_VOCABULARY_PER_FOREIGN_CHARACTER);
  // A token is at least one byte in every vocabulary.
  return Math.min(scaled, utf8Length(text));
}

let o200k: Promise<CountPlain> | undefined;
function loadO200k(): Promise<CountPlain> {
  o200k ??= import("gpt-tokenizer/encoding/o200k_base").then(
    ({ countTokens: count }) =>
      (text: string) =>
        count(text, { disallowedSpecial: new Set() }),
    (error: unknown) => {
      // The next call tries again.
      o200k = undefined;
      throw error;
    },
  );
  return o200k;
}

/** Cuts before a single space between words, where no token ever crosses; in a text without one, anywhere. */
function sliceEnd(text: string, start: number): number {
  const limit = start + SLICE_LENGTH;
  if (limit >= text.length) return text.length;
  for (let end = limit; end > limit - 1024; end--) {
    if (text[end] === " " && !isBlank(text.charCodeAt(end - 1)) && !isBlank(text.charCodeAt(end + 1))) return end;
  }
  return beforeSurrogatePair(text, limit);
}

function countSlice(countPlain: CountPlain, slice: string): number {
  let tokens = 0;
  let position = 0;
  for (const { 0: run, index } of slice.matchAll(LONG_RUN)) {
    tokens += countPlain(slice.slice(position, index));
    position = index;
    const runEnd = index + run.length;
    while (position < runEnd) {
      const end = Math.min(beforeSurrogatePair(slice, position + RUN_LENGTH_MAX), runEnd);
      tokens += countPlain(slice.slice(position, end));
      position = end;
    }
  }
  return tokens + countPlain(slice.slice(position));
}

/** One earlier where the cut would part the halves of a character. */
function beforeSurrogatePair(text: string, end: number): number {
  const code = text.charCodeAt(end);
  return code >= 0xdc00 && code <= 0xdfff ? end - 1 : end;
}

const isBlank = (code: number): boolean => Number.isNaN(code) || code <= 0x20 || code === 0xa0 || code >= 0x1680;

function foreignCharacters(text: string): number {
  let count = 0;
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0x7f) count++;
  return count;
}

function utf8Length(text: string): number {
  let length = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    // Half of a pair that takes four bytes counts two; a half on its own becomes a replacement character of three.
    length += code <= 0x7f ? 1 : code <= 0x7ff ? 2 : code >= 0xd800 && code <= 0xdfff && isPaired(text, i) ? 2 : 3;
  }
  return length;
}

function isPaired(text: string, index: number): boolean {
  const isHigh = text.charCodeAt(index) <= 0xdbff;
  const other = text.charCodeAt(isHigh ? index + 1 : index - 1);
  return isHigh ? other >= 0xdc00 && other <= 0xdfff : other >= 0xd800 && other <= 0xdbff;
}

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

// Sixteenths of a token for each byte of UTF-8. Words of Latin letters get about 2.1 tokens each with their space, where o200k makes
// 1.2 of English and Claude's largest vocabulary 1.9; a Chinese character 1.9, a Cyrillic letter 1.25.
const SIXTEENTHS_PER_LETTER = 6.5;
const SIXTEENTHS_PER_SPACE = 4;
const SIXTEENTHS_PER_OTHER_ASCII = 16;
const SIXTEENTHS_PER_FOREIGN_BYTE = 10;
/** Letters and digits without a break are no words but keys, hashes or data: up to 0.7 tokens each, and more for some. */
const WORD_LENGTH_MAX = 24;
const SIXTEENTHS_PER_DATA_BYTE = 13;
/** From here on, a run of base64 is a file that travels inside the request. */
const FILE_LENGTH_MIN = 2048;
/** The dearest a picture gets at any size, with room (https://platform.claude.com/docs/en/build-with-claude/vision). */
const TOKENS_PER_PICTURE_MAX = 5000;
/** Documents are read as text and as a picture of each page; a page takes some tens of kilobytes and up to 3,000 + 1,600 tokens. */
const DOCUMENT_BYTES_PER_TOKEN_MIN = 8;
/** How far before its data a file says what it is. */
const FILE_KIND_WITHIN = 256;

/** Bodies up to here that carry no files are counted with a vocabulary, larger ones by their bytes. */
const COUNTED_BODY_BYTES_MAX = 256 * 1024;
/** Some milliseconds of work. */
const BYTES_PER_TURN = 1024 * 1024;

/**
 * Tokens of what a caller sent, for calls whose provider does not tell: errs on the high side, because the syntax of the body counts
 * as if the model read it. Base64 files inside are taken for what their media type says: a picture is not the text of its bytes.
 * Takes time in proportion to the body (about 7 ms per megabyte) and lets other work run in between.
 * @param model as the answer names it, else the requested one.
 */
export async function estimateInputTokens(body: Uint8Array | string, model?: string): Promise<number> {
  const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body;
  const { tokens, hasFiles } = await estimateOfBytes(bytes);
  if (hasFiles || bytes.length > COUNTED_BODY_BYTES_MAX) return tokens;
  return countTokens(new TextDecoder().decode(bytes), model);
}

/** One pass, without a vocabulary and without parsing. */
async function estimateOfBytes(bytes: Uint8Array): Promise<{ tokens: number; hasFiles: boolean }> {
  let sixteenths = 0;
  let tokensOfFiles = 0;
  let position = 0;
  let turnEnd = BYTES_PER_TURN;
  while (position < bytes.length) {
    if (position >= turnEnd) {
      await nextTurn();
      turnEnd = position + BYTES_PER_TURN;
    }
    const byte = bytes[position]!;
    if (!isBase64(byte)) {
      sixteenths += byte === SPACE ? SIXTEENTHS_PER_SPACE : byte > 0x7f ? SIXTEENTHS_PER_FOREIGN_BYTE : SIXTEENTHS_PER_OTHER_ASCII;
      position++;
      continue;
    }
    const start = position;
    let runSixteenths = 0;
    while (position < bytes.length && isBase64(bytes[position]!)) {
      runSixteenths += isLetter(bytes[position]!) ? SIXTEENTHS_PER_LETTER : SIXTEENTHS_PER_OTHER_ASCII;
      position++;
    }
    const length = position - start;
    if (length >= FILE_LENGTH_MIN) tokensOfFiles += tokensOfFile(bytes, start, length);
    else sixteenths += length > WORD_LENGTH_MAX ? Math.max(runSixteenths, length * SIXTEENTHS_PER_DATA_BYTE) : runSixteenths;
  }
  // A token is at least one byte.
  return { tokens: Math.min(Math.ceil(sixteenths / 16) + tokensOfFiles, bytes.length), hasFiles: tokensOfFiles > 0 };
}

function tokensOfFile(bytes: Uint8Array, start: number, length: number): number {
  const before = new TextDecoder("latin1").decode(bytes.subarray(Math.max(0, start - FILE_KIND_WITHIN), start));
  const asText = Math.ceil((length * SIXTEENTHS_PER_DATA_BYTE) / 16);
  const kind = Math.max(before.lastIndexOf("image/"), before.lastIndexOf("application/pdf"));
  if (kind < 0) return asText;
  if (before.startsWith("image/", kind)) return Math.min(asText, TOKENS_PER_PICTURE_MAX);
  return Math.min(asText, Math.max(TOKENS_PER_PICTURE_MAX, Math.ceil(length / DOCUMENT_BYTES_PER_TOKEN_MIN)));
}

const SPACE = 0x20;
const isLetter = (byte: number): boolean => (byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x7a;
const isBase64 = (byte: number): boolean =>
  isLetter(byte) || (byte >= 0x30 && byte <= 0x39) || byte === 0x2b || byte === 0x2f || byte === 0x3d || byte === 0x2d || byte === 0x5f;
