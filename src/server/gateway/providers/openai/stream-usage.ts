import { ByteBuffer, asBuffer } from "@/server/metering/byte-buffer";
import { type JsonRange, JsonScanner, compileJsonPaths } from "@/server/metering/json-scanner";

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
const DATA = Buffer.from("data:");
const USAGE_KEY = Buffer.from('"usage"');
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
  if (!line) {
    out.push(event);
    return false;
  }
  const data = event.subarray(line.valueStart, line.end);
  const scanner = new JsonScanner(CHUNK_PATHS);
  scanner.push(data);
  scanner.end();
  const usage = scanner.complete ? scanner.range("usage") : undefined;
  if (!usage) {
    out.push(event);
    return false;
  }
  if (data[usage.start] === OPEN_OBJECT && isEmptyArray(data, scanner.range("choices"))) {
    // Comments and fields on lines of their own were not added by the option.
    if (line.start > 0) out.push(event.subarray(0, line.start));
    return true;
  }
  if (textOf(data, usage) !== "null") {
    out.push(event);
    return false;
  }
  const removed = memberWithComma(data, usage);
  out.push(event.subarray(0, line.valueStart + removed.start), event.subarray(line.valueStart + removed.end));
  return false;
}

/** The event's only data line, which is its last line; undefined for any other form, which no chat stream has. */
function dataLine(event: Buffer): { start: number; valueStart: number; end: number } | undefined {
  let end = event.length;
  while (end > 0 && (event[end - 1] === LF || event[end - 1] === CR)) end -= 1;
  const start = Math.max(event.lastIndexOf(LF, end - 1), event.lastIndexOf(CR, end - 1)) + 1;
  if (!isDataLine(event, start)) return undefined;
  for (let at = event.indexOf(DATA); at < start; at = event.indexOf(DATA, at + 1)) {
    if (at === 0 || event[at - 1] === LF || event[at - 1] === CR) return undefined;
  }
  const afterColon = start + DATA.length;
  return { start, valueStart: event[afterColon] === SPACE ? afterColon + 1 : afterColon, end };
}

function isDataLine(event: Buffer, start: number): boolean {
  for (let i = 0; i < DATA.length; i += 1) if (event[start + i] !== DATA[i]) return false;
  return true;
}

function isEmptyArray(data: Buffer, range: JsonRange | undefined): boolean {
  return range !== undefined && /^\[\s*\]$/.test(data.toString("latin1", range.start, Math.min(range.end, range.start + 64)));
}

/** The member and the one comma it brought: the one before it, or for the first member the one after. */
function memberWithComma(data: Buffer, member: JsonRange): { start: number; end: number } {
  if (member.previousEnd !== undefined) return { start: member.previousEnd, end: member.end };
  const next = afterSpace(data, member.end, data.length);
  return { start: member.keyStart, end: data[next] === COMMA ? afterSpace(data, next + 1, data.length) : member.end };
}
