import { ByteBuffer, asBuffer } from "./byte-buffer";

/** Names to look for, compiled once: `"usage"` is a member of the document, `"response.usage"` one of its member `response`. */
export type JsonPaths = {
  readonly path: string;
  readonly wanted: boolean;
  readonly children: ReadonlyMap<string, JsonPaths>;
  /** The same children by their name in folded case. */
  readonly folded: ReadonlyMap<string, JsonPaths>;
  /** Longest key, in bytes, that can still be one of the children, however it is escaped. */
  readonly keyBytesMax: number;
  /** Bit n is set when a child's name has n letters. */
  readonly nameLengths: number;
};

type MutablePaths = {
  path: string;
  wanted: boolean;
  children: Map<string, MutablePaths>;
  folded: Map<string, MutablePaths>;
  keyBytesMax: number;
  nameLengths: number;
};

const newPaths = (path: string): MutablePaths => ({
  path,
  wanted: false,
  children: new Map(),
  folded: new Map(),
  keyBytesMax: 0,
  nameLengths: 0,
});

/** Each UTF-16 unit of a key may be written as six bytes (`\u0061`). */
const ESCAPED_UNIT_BYTES = 6;

export function compileJsonPaths(paths: readonly string[]): JsonPaths {
  const root = newPaths("");
  for (const path of paths) {
    let node = root;
    for (const name of path.split(".")) {
      let child = node.children.get(name);
      if (!child) {
        child = newPaths(node.path === "" ? name : `${node.path}.${name}`);
        node.children.set(name, child);
        node.folded.set(foldCase(name), child);
        node.keyBytesMax = Math.max(node.keyBytesMax, name.length * ESCAPED_UNIT_BYTES);
        node.nameLengths |= 1 << name.length;
      }
      node = child;
    }
    node.wanted = true;
  }
  return root;
}

/** Upper case first: a parser that ignores case (Go's does) also takes `ſ` for `s`. */
const foldCase = (name: string): string => name.toUpperCase().toLowerCase();

/** Where a member stands, in bytes from the start of the document. */
export type JsonRange = {
  /** Its key's opening quote. */
  keyStart: number;
  start: number;
  end: number;
  /** End of the member before it in the same object; undefined for the first. */
  previousEnd: number | undefined;
};

export type JsonScannerOptions = {
  /** Keep the bytes of the values that were asked for (those without named children). Otherwise only their place. */
  keepValues?: boolean;
  /** A value longer than this is not kept, and named in `oversized`. */
  valueBytesMax?: number;
  /** Note keys that stand twice, or in another case, among those asked for. */
  strictKeys?: boolean;
  depthMax?: number;
};

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const COLON = 0x3a;
const COMMA = 0x2c;

const SPACE_CLASS = 1;
const NUMBER_CLASS = 2;
const STRUCTURE_CLASS = 4;
const CLASS_OF = new Uint8Array(256);
for (const byte of [0x20, 0x09, 0x0a, 0x0d]) CLASS_OF[byte] = SPACE_CLASS;
for (const byte of Buffer.from("0123456789+-.eE")) CLASS_OF[byte] = NUMBER_CLASS;
for (const byte of [QUOTE, OPEN_OBJECT, CLOSE_OBJECT, OPEN_ARRAY, CLOSE_ARRAY]) CLASS_OF[byte] = STRUCTURE_CLASS;

const LITERALS: ReadonlyMap<number, string> = new Map(["true", "false", "null"].map((word) => [word.charCodeAt(0), word]));

/** Below this distance a loop finds the end of a string sooner than a call into the runtime. */
const SHORT_STRING_BYTES = 32;

const IN_BOM = 0;
const BEFORE_VALUE = 1;
const KEY_OR_CLOSE = 2;
const BEFORE_KEY = 3;
const IN_KEY = 4;
const BEFORE_COLON = 5;
const AFTER_MEMBER = 6;
const IN_STRING = 7;
const IN_NUMBER = 8;
const IN_LITERAL = 9;
const IN_SKIPPED = 10;
const IN_SKIPPED_STRING = 11;
const AFTER_ROOT = 12;
const FAILED = 13;

type Frame = {
  paths: JsonPaths;
  member: JsonPaths | undefined;
  keyStart: number;
  start: number;
  previousEnd: number | undefined;
  seen: Set<JsonPaths> | undefined;
};

/**
 * Follows a JSON document that arrives in pieces cut anywhere, and notes where chosen members of its objects stand. It never
 * throws, never recurses, and allocates only for what was asked for.
 *
 * Objects on the way to a name that was asked for are read by the grammar. Inside every other value only strings and brackets
 * are followed, at about the speed of memory: for a document that is JSON this finds the same members as a full parser; one that
 * is broken inside such a value passes here and fails at whoever parses it.
 */
export class JsonScanner {
  readonly #root: JsonPaths;
  readonly #keepValues: boolean;
  readonly #valueBytesMax: number;
  readonly #strictKeys: boolean;
  readonly #depthMax: number;

  #state = IN_BOM;
  #problem: "invalid" | "too-deep" | undefined;
  #isObject = false;
  /** Bytes of the pieces before the current one. */
  #offset = 0;
  #bomSeen = 0;

  /** Objects that are read by the grammar, outermost first. */
  readonly #frames: Frame[] = [];
  #depth = 0;
  /** Which bracket opened each level. */
  readonly #kinds: Uint8Array;
  /** The depth outside the value that is being skipped. */
  #skipFloor = 0;

  #keyBytes = new ByteBuffer();
  /** The key is longer than any that was asked for. */
  #keyTooLong = false;
  #valueStart = 0;
  /** The last byte of the piece before was an unescaped backslash in a string. */
  #escaped = false;
  #literal = "";
  #literalAt = 0;

  /** The bytes of the value being read are wanted. */
  #keeping = false;
  #kept = new ByteBuffer();
  #values: Map<string, Buffer> | undefined;
  readonly #ranges = new Map<string, JsonRange>();
  #oversized: Set<string> | undefined;
  #ambiguous: Set<string> | undefined;

  constructor(paths: JsonPaths, options: JsonScannerOptions = {}) {
    this.#root = paths;
    this.#keepValues = options.keepValues ?? false;
    this.#valueBytesMax = options.valueBytesMax ?? 8 * 1024 * 1024;
    this.#strictKeys = options.strictKeys ?? false;
    this.#depthMax = options.depthMax ?? 100;
    this.#kinds = new Uint8Array(this.#depthMax + 1);
  }

  /** Undefined as long as what came so far can be the start of a document. */
  get problem(): "invalid" | "too-deep" | undefined {
    return this.#problem;
  }

  /** The document is whole: its last bracket was seen and nothing but space after it. */
  get complete(): boolean {
    return this.#state === AFTER_ROOT;
  }

  /** The document is an object. */
  get isObject(): boolean {
    return this.#isObject;
  }

  /** Paths that stand twice or in another case, so that two parsers may read two things. Only with `strictKeys`. */
  get ambiguous(): ReadonlySet<string> {
    return this.#ambiguous ?? NONE;
  }

  /** Paths that were there, and longer than the cap. */
  get oversized(): ReadonlySet<string> {
    return this.#oversized ?? NONE;
  }

  /** The last of that name that was read to its end. */
  range(path: string): JsonRange | undefined {
    return this.#ranges.get(path);
  }

  /** The value as a parser gives it; undefined when it is not there, was not kept, or is not JSON. */
  value(path: string): unknown {
    const bytes = this.#values?.get(path);
    return bytes && parseJson(bytes.toString("utf8"));
  }

  /** What was kept, at its place: the document without all that nobody asked for. */
  toObject(): Record<string, unknown> {
    const document: Record<string, unknown> = {};
    for (const path of this.#values?.keys() ?? []) {
      const names = path.split(".");
      let parent = document;
      for (const name of names.slice(0, -1)) {
        const next = parent[name];
        parent = isObject(next) ? next : (parent[name] = {});
      }
      parent[names.at(-1)!] = this.value(path);
    }
    return document;
  }

  push(piece: Uint8Array): void {
    if (this.#state === FAILED || piece.length === 0) return;
    const chunk = asBuffer(piece);
    const length = chunk.length;
    /** Where the wanted value, or the key, starts in this piece. */
    let from = 0;
    let i = 0;
    while (i < length) {
      switch (this.#state) {
        case IN_SKIPPED: {
          const after = this.#skip(chunk, i);
          if (after === -1) i = length;
          else {
            i = after;
            this.#endValue(chunk, from, i);
          }
          break;
        }
        case IN_SKIPPED_STRING: {
          const after = this.#afterQuote(chunk, i);
          if (after === -1) i = length;
          else {
            i = after;
            this.#state = IN_SKIPPED;
          }
          break;
        }
        case IN_STRING: {
          const after = this.#afterQuote(chunk, i);
          if (after === -1) i = length;
          else {
            i = after;
            this.#endValue(chunk, from, i);
          }
          break;
        }
        case IN_NUMBER: {
          while (i < length && CLASS_OF[chunk[i]!] === NUMBER_CLASS) i += 1;
          if (i < length) this.#endValue(chunk, from, i);
          break;
        }
        case IN_LITERAL: {
          if (chunk[i] !== this.#literal.charCodeAt(this.#literalAt)) {
            this.#fail("invalid");
            return;
          }
          i += 1;
          this.#literalAt += 1;
          if (this.#literalAt === this.#literal.length) this.#endValue(chunk, from, i);
          break;
        }
        case IN_KEY: {
          const after = this.#afterQuote(chunk, i);
          if (after === -1) {
            this.#holdKey(chunk, from, length);
            i = length;
          } else {
            i = after;
            this.#endKey(chunk, from, i - 1);
          }
          break;
        }
        default: {
          const byte = chunk[i]!;
          if (CLASS_OF[byte] === SPACE_CLASS && this.#state !== IN_BOM) {
            i += 1;
            break;
          }
          if (this.#state === IN_BOM) {
            i += this.#readBom(byte);
            break;
          }
          from = i;
          this.#readStructure(byte, this.#offset + i);
          if (this.#state === FAILED) return;
          i += 1;
          if (this.#state === IN_KEY) from = i;
        }
      }
    }
    if (this.#keeping) this.#keep(chunk, from, length);
    this.#offset += length;
  }

  /** No more bytes will come. */
  end(): void {
    if (this.#state === IN_NUMBER && this.#frames.length === 0) this.#state = AFTER_ROOT;
    if (this.#state !== AFTER_ROOT) this.#fail("invalid");
  }

  #fail(problem: "invalid" | "too-deep"): void {
    this.#problem ??= problem;
    this.#state = FAILED;
    this.#keeping = false;
  }

  /** RFC 8259 §8.1 lets a parser ignore a byte order mark, so both kinds of parser must find the same here. */
  #readBom(byte: number): number {
    if (byte === [0xef, 0xbb, 0xbf][this.#bomSeen]) {
      this.#bomSeen += 1;
      if (this.#bomSeen === 3) this.#state = BEFORE_VALUE;
      return 1;
    }
    this.#state = BEFORE_VALUE;
    if (this.#bomSeen > 0) this.#fail("invalid");
    return 0;
  }

  #readStructure(byte: number, at: number): void {
    switch (this.#state) {
      case BEFORE_VALUE:
        return this.#startValue(byte, at);
      case KEY_OR_CLOSE:
        return byte === CLOSE_OBJECT ? this.#closeFrame(at) : this.#startKey(byte, at);
      case BEFORE_KEY:
        return this.#startKey(byte, at);
      case BEFORE_COLON:
        if (byte !== COLON) return this.#fail("invalid");
        this.#state = BEFORE_VALUE;
        return;
      case AFTER_MEMBER:
        if (byte === COMMA) this.#state = BEFORE_KEY;
        else if (byte === CLOSE_OBJECT) this.#closeFrame(at);
        else this.#fail("invalid");
        return;
      default:
        return this.#fail("invalid");
    }
  }

  #startKey(byte: number, at: number): void {
    if (byte !== QUOTE) return this.#fail("invalid");
    this.#frames.at(-1)!.keyStart = at;
    this.#keyBytes.clear();
    this.#keyTooLong = false;
    this.#state = IN_KEY;
  }

  #startValue(byte: number, at: number): void {
    const frame = this.#frames.at(-1);
    const paths = frame ? frame.member : this.#root;
    this.#valueStart = at;
    if (byte === OPEN_OBJECT && paths && paths.children.size > 0) {
      if (!this.#open(OPEN_OBJECT)) return;
      if (!frame) this.#isObject = true;
      this.#frames.push({ paths, member: undefined, keyStart: 0, start: at, previousEnd: undefined, seen: undefined });
      this.#state = KEY_OR_CLOSE;
      return;
    }
    this.#keeping = this.#keepValues && paths !== undefined && paths.wanted;
    if (this.#keeping) this.#kept.clear();
    if (byte === QUOTE) this.#state = IN_STRING;
    else if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) {
      if (!frame && byte === OPEN_OBJECT) this.#isObject = true;
      this.#skipFloor = this.#depth;
      if (this.#open(byte)) this.#state = IN_SKIPPED;
    } else if (byte === 0x2d || (byte >= 0x30 && byte <= 0x39)) this.#state = IN_NUMBER;
    else {
      const literal = LITERALS.get(byte);
      if (literal === undefined) return this.#fail("invalid");
      this.#literal = literal;
      this.#literalAt = 1;
      this.#state = IN_LITERAL;
    }
  }

  #open(kind: number): boolean {
    if (this.#depth === this.#depthMax) {
      this.#fail("too-deep");
      return false;
    }
    this.#kinds[this.#depth] = kind;
    this.#depth += 1;
    return true;
  }

  /** Follows strings and brackets. Index after the end of the skipped value, or -1 when the piece ends first. */
  #skip(chunk: Buffer, start: number): number {
    const length = chunk.length;
    let i = start;
    while (i < length) {
      const byte = chunk[i]!;
      i += 1;
      if (CLASS_OF[byte] !== STRUCTURE_CLASS) continue;
      if (byte === QUOTE) {
        const after = i < length ? this.#afterQuote(chunk, i) : -1;
        if (after === -1) {
          this.#state = IN_SKIPPED_STRING;
          return -1;
        }
        i = after;
      } else if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) {
        if (!this.#open(byte)) return -1;
      } else {
        this.#depth -= 1;
        // In ASCII a closing bracket is two after its opening one.
        if (this.#kinds[this.#depth]! + 2 !== byte) {
          this.#fail("invalid");
          return -1;
        }
        if (this.#depth === this.#skipFloor) return i;
      }
    }
    return -1;
  }

  /** Index after the quote that ends the string, or -1 when the piece ends first. */
  #afterQuote(chunk: Buffer, start: number): number {
    const length = chunk.length;
    let i = start;
    if (this.#escaped) {
      this.#escaped = false;
      i += 1;
    }
    for (;;) {
      const near = Math.min(length, i + SHORT_STRING_BYTES);
      while (i < near) {
        const byte = chunk[i]!;
        if (byte === QUOTE) return i + 1;
        i += byte === BACKSLASH ? 2 : 1;
      }
      if (i >= length) {
        this.#escaped = i > length;
        return -1;
      }
      const quote = chunk.indexOf(QUOTE, i);
      const stop = quote === -1 ? length : quote;
      let slashes = 0;
      while (stop - slashes > i && chunk[stop - slashes - 1] === BACKSLASH) slashes += 1;
      const isEscaped = slashes % 2 === 1;
      if (quote === -1) {
        this.#escaped = isEscaped;
        return -1;
      }
      if (!isEscaped) return quote + 1;
      i = quote + 1;
    }
  }

  #holdKey(chunk: Buffer, start: number, end: number): void {
    if (this.#keyTooLong) return;
    if (this.#keyBytes.length + end - start > this.#frames.at(-1)!.paths.keyBytesMax) this.#keyTooLong = true;
    else this.#keyBytes.append(chunk, start, end);
  }

  #endKey(chunk: Buffer, start: number, end: number): void {
    const frame = this.#frames.at(-1)!;
    this.#state = BEFORE_COLON;
    frame.member = undefined;
    if (this.#keyTooLong || this.#keyBytes.length + end - start > frame.paths.keyBytesMax) return;
    if (this.#keyBytes.length === 0 && !canBeName(chunk, start, end, frame.paths.nameLengths)) return;
    let raw: string;
    if (this.#keyBytes.length === 0) raw = chunk.toString("utf8", start, end);
    else {
      this.#keyBytes.append(chunk, start, end);
      raw = this.#keyBytes.view().toString("utf8");
    }
    const key = raw.includes("\\") ? parseJson(`"${raw}"`) : raw;
    if (typeof key !== "string") return;
    const exact = frame.paths.children.get(key);
    frame.member = exact;
    if (!this.#strictKeys) return;
    const named = exact ?? frame.paths.folded.get(foldCase(key));
    if (!named) return;
    frame.seen ??= new Set();
    if (named !== exact || frame.seen.has(named)) (this.#ambiguous ??= new Set()).add(named.path);
    frame.seen.add(named);
  }

  /** @param from where the value, or its rest, starts in this piece. @param end just after it. */
  #endValue(chunk: Buffer, from: number, end: number): void {
    const frame = this.#frames.at(-1);
    if (this.#keeping) {
      this.#keep(chunk, from, end);
      if (this.#keeping) (this.#values ??= new Map()).set(frame!.member!.path, this.#kept.take());
      this.#keeping = false;
    }
    this.#noteMember(frame, this.#valueStart, this.#offset + end);
  }

  #closeFrame(at: number): void {
    const closed = this.#frames.pop()!;
    this.#depth -= 1;
    this.#noteMember(this.#frames.at(-1), closed.start, at + 1);
  }

  #noteMember(frame: Frame | undefined, start: number, end: number): void {
    if (!frame) {
      this.#ranges.set("", { keyStart: start, start, end, previousEnd: undefined });
      this.#state = AFTER_ROOT;
      return;
    }
    if (frame.member?.wanted) this.#ranges.set(frame.member.path, { keyStart: frame.keyStart, start, end, previousEnd: frame.previousEnd });
    frame.previousEnd = end;
    this.#state = AFTER_MEMBER;
  }

  #keep(chunk: Buffer, start: number, end: number): void {
    if (this.#kept.length + end - start <= this.#valueBytesMax) {
      this.#kept.append(chunk, start, end);
      return;
    }
    const path = this.#frames.at(-1)!.member!.path;
    (this.#oversized ??= new Set()).add(path);
    this.#values?.delete(path);
    this.#kept.clear();
    this.#keeping = false;
  }
}

const NONE: ReadonlySet<string> = new Set();

/** A key in plain ASCII has as many letters as bytes; one with escapes or other letters is looked at closely. */
function canBeName(chunk: Buffer, start: number, end: number, nameLengths: number): boolean {
  if (end - start < 32 && (nameLengths & (1 << (end - start))) !== 0) return true;
  for (let i = start; i < end; i += 1) if (chunk[i] === BACKSLASH || chunk[i]! >= 0x80) return true;
  return false;
}

/** JSON text as a value; undefined when it is not JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
