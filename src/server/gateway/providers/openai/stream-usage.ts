import { ByteBuffer, asBuffer } from "@/server/metering/byte-buffer";
import { JsonScanner, compileJsonPaths } from "@/server/metering/json-scanner";

/**
 * The one thing we change (CONTRACT §4): a streaming chat completion whose caller did not set `stream_options.include_usage` to
 * true gets it upstream, and what that adds to the answer is taken out again, so that the caller sees the bytes it would have seen.
 * A caller that wrote `false` meant "do not send me that chunk", which stays true.
 */

const REQUEST_PATHS = compileJsonPaths(["stream_options", "stream_options.include_usage"]);
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const COMMA = 0x2c;

/**
 * The request with the option set, every other byte as it was. Undefined when it is set already, or the body is none that can be
 * read in one way: it then goes upstream as it is.
 */
export function addStreamUsage(body: Uint8Array): Buffer | undefined {
  const bytes = asBuffer(body);
  const scanner = new JsonScanner(REQUEST_PATHS, { strictKeys: true });
  scanner.push(bytes);
  scanner.end();
  const root = scanner.range("");
  if (!root || !scanner.complete || !scanner.isObject || scanner.ambiguous.size > 0) return undefined;

  const option = scanner.range("stream_options.include_usage");
  if (option) return textOf(bytes, option) === "true" ? undefined : splice(bytes, option.start, option.end, "true");
  const options = scanner.range("stream_options");
  if (!options) return insertMember(bytes, root.start, '"stream_options":{"include_usage":true}');
  if (bytes[options.start] === OPEN_OBJECT) return insertMember(bytes, options.start, '"include_usage":true');
  return textOf(bytes, options) === "null" ? splice(bytes, options.start, options.end, '{"include_usage":true}') : undefined;
}

const textOf = (bytes: Buffer, range: { start: number; end: number }): string =>
  bytes.toString("latin1", range.start, Math.min(range.end, range.start + 8));

const splice = (bytes: Buffer, start: number, end: number, text: string): Buffer =>
  Buffer.concat([bytes.subarray(0, start), Buffer.from(text), bytes.subarray(end)]);

/** As the first member of the object that opens at `brace`. */
function insertMember(bytes: Buffer, brace: number, member: string): Buffer {
  const isEmpty = bytes[afterSpace(bytes, brace + 1, bytes.length)] === CLOSE_OBJECT;
  return splice(bytes, brace + 1, brace + 1, isEmpty ? member : `${member},`);
}

function afterSpace(bytes: Buffer, start: number, end: number): number {
  let i = start;
  while (i < end && (bytes[i] === 0x20 || bytes[i] === 0x09 || bytes[i] === 0x0a || bytes[i] === 0x0d)) i += 1;
  return i;
}

const CHUNK_PATHS = compileJsonPaths(["choices", "usage"]);
const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const DATA = Buffer.from("data:");
const USAGE_KEY = Buffer.from('"usage"');
const NULL = Buffer.from("null");
const NOTHING = Buffer.alloc(0);

/** An event longer than this is handed on unread: a chunk of a chat stream is a few hundred bytes. */
const HELD_BYTES_MAX = 1024 * 1024;

/**
 * Takes out of a stream what `include_usage` added: the chunk with the usage and no choices, blank line included, and the member
 * `"usage":null` of every other chunk. Every other byte passes as it is. An event is held back until it is whole, however the
 * bytes were cut, so that the output does not depend on the cuts.
 */
export class StreamUsageRemover {
  readonly #held = new ByteBuffer();
  /** The current line has no byte yet: a line end now closes the event. */
  #lineIsEmpty = true;
  /** The last byte was a CR; a LF that follows is part of the same line end. */
  #afterCr = false;
  /** The event that closed last was dropped, and so is the second half of its line end. */
  #dropped = false;
  /** The current event is too long to be held, and passes. */
  #flowing = false;

  /** @returns the bytes to hand on now, possibly none. */
  push(chunk: Uint8Array): Buffer {
    const bytes = asBuffer(chunk);
    const length = bytes.length;
    const out: Buffer[] = [];
    let eventStart = 0;
    let nextLf = -2;
    let nextCr = -2;
    let i = 0;
    while (i < length) {
      const byte = bytes[i]!;
      if (byte === LF && this.#afterCr) {
        this.#afterCr = false;
        i += 1;
        const belongsToClosed = i - 1 === eventStart && this.#held.length === 0 && !this.#flowing;
        if (!belongsToClosed) continue;
        if (!this.#dropped) out.push(bytes.subarray(eventStart, i));
        eventStart = i;
      } else if (byte === LF || byte === CR) {
        this.#afterCr = byte === CR;
        i += 1;
        if (this.#lineIsEmpty) {
          this.#close(bytes, eventStart, i, out);
          eventStart = i;
        }
        this.#lineIsEmpty = true;
      } else {
        this.#afterCr = false;
        this.#lineIsEmpty = false;
        if (nextLf !== -1 && nextLf < i) nextLf = bytes.indexOf(LF, i);
        if (nextCr !== -1 && nextCr < i) nextCr = bytes.indexOf(CR, i);
        const lineEnd = nextCr === -1 || (nextLf !== -1 && nextLf < nextCr) ? nextLf : nextCr;
        i = lineEnd === -1 ? length : lineEnd;
      }
    }
    if (eventStart < length) this.#hold(bytes, eventStart, out);
    return out.length === 1 ? out[0]! : out.length === 0 ? NOTHING : Buffer.concat(out);
  }

  /** No more bytes will come: hands on what is held of an event that never ended. */
  end(): Buffer {
    return this.#held.take();
  }

  #hold(bytes: Buffer, start: number, out: Buffer[]): void {
    if (this.#flowing) {
      out.push(bytes.subarray(start));
      return;
    }
    this.#held.append(bytes, start);
    if (this.#held.length <= HELD_BYTES_MAX) return;
    out.push(this.#held.take());
    this.#flowing = true;
  }

  #close(bytes: Buffer, start: number, end: number, out: Buffer[]): void {
    if (this.#flowing) {
      this.#flowing = false;
      this.#dropped = false;
      out.push(bytes.subarray(start, end));
      return;
    }
    if (this.#held.length === 0) {
      this.#dropped = editEvent(bytes.subarray(start, end), out);
      return;
    }
    this.#held.append(bytes, start, end);
    this.#dropped = editEvent(this.#held.take(), out);
  }
}

/** @returns true when the event is dropped, its blank line included. */
function editEvent(event: Buffer, out: Buffer[]): boolean {
  const line = event.includes(USAGE_KEY) ? dataLine(event) : undefined;
  const data = line && event.subarray(line.valueStart, line.end);
  const removed = data && nullUsage(data);
  if (line && removed) {
    out.push(event.subarray(0, line.valueStart + removed.start), event.subarray(line.valueStart + removed.end));
    return false;
  }
  if (line && data && isUsageChunk(data)) {
    // Comments and fields on lines of their own were not added by the option.
    if (line.start > 0) out.push(event.subarray(0, line.start));
    return true;
  }
  out.push(event);
  return false;
}

/** The event's only data line, which is its last line; undefined for any other form, which no chat stream has. */
function dataLine(event: Buffer): { start: number; valueStart: number; end: number } | undefined {
  let end = event.length;
  while (end > 0 && isLineEnd(event[end - 1])) end -= 1;
  for (let start = event.indexOf(DATA); start !== -1; start = event.indexOf(DATA, start + 1)) {
    if (start > 0 && !isLineEnd(event[start - 1])) continue;
    const lf = event.indexOf(LF, start);
    const cr = event.indexOf(CR, start);
    if (end !== (cr === -1 || (lf !== -1 && lf < cr) ? lf : cr)) return undefined;
    const afterColon = start + DATA.length;
    return { start, valueStart: event[afterColon] === SPACE ? afterColon + 1 : afterColon, end };
  }
  return undefined;
}

const isLineEnd = (byte: number | undefined): boolean => byte === LF || byte === CR;

/**
 * The member `"usage":null` of the chunk itself with the one comma it brought, the one before it, or for a first member the one
 * after. A quote inside a string is escaped, so `"usage"` after a brace or a comma is a key; it is one of the chunk's own when
 * what follows closes exactly one object, with the last byte.
 */
function nullUsage(data: Buffer): { start: number; end: number } | undefined {
  for (let key = data.indexOf(USAGE_KEY); key !== -1; key = data.indexOf(USAGE_KEY, key + 1)) {
    const before = beforeSpace(data, key);
    const isFirst = data[before - 1] === OPEN_OBJECT;
    if (!isFirst && data[before - 1] !== COMMA) continue;
    const colon = afterSpace(data, key + USAGE_KEY.length, data.length);
    const value = afterSpace(data, colon + 1, data.length);
    const end = value + NULL.length;
    if (data[colon] !== COLON || !isAt(data, value, NULL) || !closesWithLastByte(data, end)) continue;
    if (!isFirst) return { start: beforeSpace(data, before - 1), end };
    const next = afterSpace(data, end, data.length);
    return { start: key, end: data[next] === COMMA ? afterSpace(data, next + 1, data.length) : end };
  }
  return undefined;
}

function beforeSpace(data: Buffer, end: number): number {
  let i = end;
  while (i > 0 && (data[i - 1] === 0x20 || data[i - 1] === 0x09)) i -= 1;
  return i;
}

function isAt(data: Buffer, at: number, expected: Buffer): boolean {
  for (let i = 0; i < expected.length; i += 1) if (data[at + i] !== expected[i]) return false;
  return true;
}

/** From inside an object: its closing brace is the last byte but for space. */
function closesWithLastByte(data: Buffer, start: number): boolean {
  let depth = 1;
  for (let i = start; i < data.length; i += 1) {
    const byte = data[i];
    if (byte === QUOTE) {
      i += 1;
      while (i < data.length && data[i] !== QUOTE) i += data[i] === BACKSLASH ? 2 : 1;
    } else if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) depth += 1;
    else if (byte === CLOSE_OBJECT || byte === CLOSE_ARRAY) {
      depth -= 1;
      if (depth === 0) return afterSpace(data, i + 1, data.length) === data.length;
    }
  }
  return false;
}

/** The extra chunk: usage, and no choices. */
function isUsageChunk(data: Buffer): boolean {
  const scanner = new JsonScanner(CHUNK_PATHS);
  scanner.push(data);
  scanner.end();
  const usage = scanner.range("usage");
  const choices = scanner.range("choices");
  if (!scanner.complete || !usage || !choices || data[usage.start] !== OPEN_OBJECT) return false;
  return /^\[\s*\]$/.test(data.toString("latin1", choices.start, Math.min(choices.end, choices.start + 64)));
}
