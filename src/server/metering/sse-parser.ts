import { ByteBuffer, asBuffer } from "./byte-buffer";

/** Takes the data of one event that is too long to be held as a string. */
export interface LongEventSink {
  push(piece: Uint8Array): void;
  end(): void;
}

export type SseHandlers = {
  /** @param name the event's type, empty when the stream names none. */
  onEvent(name: string, data: string): void;
  /**
   * The data of an event has passed the cap: what came so far, and the rest, go to the sink as bytes.
   * Undefined: nobody wants them.
   */
  onLongEvent?(name: string): LongEventSink | undefined;
};

const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const DATA_FIELD = Buffer.from("data:");
const EVENT_FIELD = Buffer.from("event:");
const BOM = Buffer.from([0xef, 0xbb, 0xbf]);
const NEWLINE = Buffer.from([LF]);

/** Above this an event is no longer parsed whole; a large answer repeated in the last event must not cost a large string. */
export const SSE_EVENT_BYTES_MAX = 256 * 1024;
/** No event type is longer; a longer line is not one. */
const EVENT_LINE_BYTES_MAX = 1024;

/**
 * Splits a byte stream into server-sent events (WHATWG HTML §9.2.6) as it arrives, whatever the pieces are. Only `event` and
 * `data` are read; comments, `id`, `retry` and fields nobody knows pass unseen and are not held. Memory is bounded by the cap,
 * and a byte is looked at a constant number of times.
 */
export class SseParser {
  readonly #handlers: SseHandlers;
  readonly #eventBytesMax: number;

  #bomSeen = 0;
  #pastBom = false;
  /** The piece before ended in CR; a LF that follows belongs to it. */
  #afterCr = false;

  /** The line being read, when it started in an earlier piece. */
  #line = new ByteBuffer();
  /** The rest of the line is of no interest. */
  #ignoringLine = false;
  /** The rest of the line goes to the long event's sink. */
  #streamingLine = false;

  #name = "";
  #data = "";
  #dataLines = 0;
  #dataBytes = 0;
  #isLong = false;
  #sink: LongEventSink | undefined;

  constructor(handlers: SseHandlers, options: { eventBytesMax?: number } = {}) {
    this.#handlers = handlers;
    this.#eventBytesMax = options.eventBytesMax ?? SSE_EVENT_BYTES_MAX;
  }

  push(piece: Uint8Array): void {
    if (piece.length === 0) return;
    const chunk = asBuffer(piece);
    const length = chunk.length;
    let i = this.#pastBom ? 0 : this.#skipBom(chunk);
    if (this.#afterCr && i < length) {
      this.#afterCr = false;
      if (chunk[i] === LF) i += 1;
    }
    // Each is looked for once per stretch of the piece that has none.
    let nextLf = -2;
    let nextCr = -2;
    while (i < length) {
      if (nextLf !== -1 && nextLf < i) nextLf = chunk.indexOf(LF, i);
      if (nextCr !== -1 && nextCr < i) nextCr = chunk.indexOf(CR, i);
      const end = nextCr === -1 || (nextLf !== -1 && nextLf < nextCr) ? nextLf : nextCr;
      if (end === -1) {
        this.#holdLine(chunk, i, length);
        return;
      }
      this.#endLine(chunk, i, end);
      i = end + 1;
      if (end === nextCr) {
        if (i === length) this.#afterCr = true;
        else if (chunk[i] === LF) i += 1;
      }
    }
  }

  /**
   * No more bytes will come. Unlike a browser this also hands out an event whose blank line never came: a provider that leaves
   * it out at the very end has told its usage all the same.
   */
  end(): void {
    if (!this.#pastBom && this.#bomSeen > 0) this.#passBom();
    if (this.#line.length > 0 || this.#streamingLine) this.#endLine(NEWLINE, 0, 0);
    this.#dispatch();
  }

  #skipBom(chunk: Buffer): number {
    let i = 0;
    while (i < chunk.length && this.#bomSeen < BOM.length && chunk[i] === BOM[this.#bomSeen]) {
      this.#bomSeen += 1;
      i += 1;
    }
    if (this.#bomSeen === BOM.length) this.#pastBom = true;
    else if (i < chunk.length) this.#passBom();
    return i;
  }

  /** What looked like the start of a byte order mark was the start of a line. */
  #passBom(): void {
    this.#pastBom = true;
    if (this.#bomSeen > 0) this.#holdLine(BOM, 0, this.#bomSeen);
  }

  #holdLine(chunk: Buffer, start: number, end: number): void {
    if (this.#ignoringLine) return;
    if (this.#streamingLine) {
      this.#sink?.push(chunk.subarray(start, end));
      return;
    }
    this.#line.append(chunk, start, end);
    const held = this.#line.view();
    if (held.length < EVENT_FIELD.length) return;
    if (startsWith(held, 0, DATA_FIELD)) {
      if (this.#dataBytes + held.length > this.#eventBytesMax || this.#isLong) {
        this.#becomeLong();
        const from = valueStart(held, 0, held.length, DATA_FIELD);
        // The space after the colon may still be to come; JSON does not mind it.
        this.#addToSink(held, from, held.length);
        this.#streamingLine = true;
        this.#line.clear();
      }
    } else if (!startsWith(held, 0, EVENT_FIELD) || held.length > EVENT_LINE_BYTES_MAX) {
      this.#ignoringLine = true;
      this.#line.clear();
    }
  }

  /** A line is whole: what was held of it and `chunk[start..end)`. */
  #endLine(chunk: Buffer, start: number, end: number): void {
    if (this.#ignoringLine) {
      this.#ignoringLine = false;
      return;
    }
    if (this.#streamingLine) {
      if (end > start) this.#sink?.push(chunk.subarray(start, end));
      this.#streamingLine = false;
      return;
    }
    if (this.#line.length === 0) {
      this.#readLine(chunk, start, end);
      return;
    }
    this.#line.append(chunk, start, end);
    const held = this.#line.view();
    this.#readLine(held, 0, held.length);
    this.#line.clear();
  }

  #readLine(bytes: Buffer, start: number, end: number): void {
    if (start === end) {
      this.#dispatch();
      return;
    }
    if (isField(bytes, start, end, DATA_FIELD)) {
      this.#addData(bytes, valueStart(bytes, start, end, DATA_FIELD), end);
    } else if (isField(bytes, start, end, EVENT_FIELD) && end - start <= EVENT_LINE_BYTES_MAX) {
      this.#name = bytes.toString("utf8", valueStart(bytes, start, end, EVENT_FIELD), end);
    }
  }

  #addData(bytes: Buffer, start: number, end: number): void {
    if (!this.#isLong && this.#dataBytes + end - start > this.#eventBytesMax) this.#becomeLong();
    if (this.#isLong) {
      this.#addToSink(bytes, start, end);
      return;
    }
    const text = bytes.toString("utf8", start, end);
    this.#data = this.#dataLines === 0 ? text : `${this.#data}\n${text}`;
    this.#dataLines += 1;
    this.#dataBytes += end - start + 1;
  }

  #becomeLong(): void {
    if (this.#isLong) return;
    this.#isLong = true;
    this.#sink = this.#handlers.onLongEvent?.(this.#name);
    if (this.#dataLines > 0) this.#sink?.push(Buffer.from(this.#data));
    this.#data = "";
  }

  #addToSink(bytes: Buffer, start: number, end: number): void {
    if (this.#dataLines > 0) this.#sink?.push(NEWLINE);
    this.#dataLines += 1;
    if (end > start) this.#sink?.push(bytes.subarray(start, end));
  }

  #dispatch(): void {
    if (this.#isLong) this.#sink?.end();
    else if (this.#dataLines > 0) this.#handlers.onEvent(this.#name, this.#data);
    this.#name = "";
    this.#data = "";
    this.#dataLines = 0;
    this.#dataBytes = 0;
    this.#isLong = false;
    this.#sink = undefined;
  }
}

function startsWith(bytes: Buffer, start: number, prefix: Buffer): boolean {
  for (let i = 0; i < prefix.length; i += 1) if (bytes[start + i] !== prefix[i]) return false;
  return true;
}

/** The line is this field, with its colon or (then empty) without. */
function isField(bytes: Buffer, start: number, end: number, field: Buffer): boolean {
  const length = end - start;
  if (length < field.length - 1) return false;
  for (let i = 0; i < field.length - 1; i += 1) if (bytes[start + i] !== field[i]) return false;
  return length === field.length - 1 || bytes[start + field.length - 1] === field[field.length - 1];
}

/** Where the field's value starts: after the colon and one space. */
function valueStart(bytes: Buffer, start: number, end: number, field: Buffer): number {
  const afterColon = Math.min(end, start + field.length);
  return afterColon < end && bytes[afterColon] === SPACE ? afterColon + 1 : afterColon;
}
