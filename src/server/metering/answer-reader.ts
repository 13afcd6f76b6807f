import { ByteBuffer, asBuffer } from "./byte-buffer";
import { type JsonPaths, JsonScanner, isObject, parseJson } from "./json-scanner";
import { SseParser } from "./sse-parser";

export type AnswerForm = "sse" | "json" | "opaque";

export type AnswerHandler = {
  /** One event of a stream whose data is a JSON object, or what was asked for of a very long one. */
  onEvent(name: string, data: Record<string, unknown>): void;
  /** Data that is no JSON object, such as `[DONE]`. */
  onMarker(data: string): void;
};

/** A document that came to its end. */
export type WholeDocument = {
  /** All of it, or of a long one what was asked for. */
  value: Record<string, unknown>;
  /** What was asked for, and too long to be kept. */
  oversized: ReadonlySet<string>;
};

/** The fields a server may start an event stream with. */
const SSE_START = /^(?::|data|event|id|retry)/;
/** Enough to tell the longest of those fields. */
const SNIFF_BYTES = 5;
/** Blank lines that a slow provider sends to keep a connection open come before either form. */
const SPACE_BYTES_MAX = 4096;
/** A shorter document is parsed whole, which is quicker than looking for its parts. */
const PARSED_BYTES_MAX = 64 * 1024;

const BOM = [0xef, 0xbb, 0xbf];
const NOTHING: ReadonlySet<string> = new Set();

/**
 * Reads an answer's body on the side, as a stream of events or as one document. The content type says which; where its first
 * bytes say otherwise, they are believed: a type that lies must not make a call free.
 */
export class AnswerReader {
  readonly #contentType: string;
  readonly #handler: AnswerHandler;
  readonly #eventPaths: JsonPaths;
  readonly #documentPaths: JsonPaths;
  readonly #eventBytesMax: number | undefined;

  #form: AnswerForm | undefined;
  #sse: SseParser | undefined;
  /** The first bytes, until they tell what follows; then those of a document that may be short. */
  readonly #held = new ByteBuffer();
  #scanner: JsonScanner | undefined;
  #document: WholeDocument | undefined;
  #ended = false;

  constructor(input: {
    contentType: string | undefined;
    handler: AnswerHandler;
    eventPaths: JsonPaths;
    documentPaths: JsonPaths;
    eventBytesMax?: number;
  }) {
    const type = input.contentType ?? "";
    const semicolon = type.indexOf(";");
    this.#contentType = (semicolon === -1 ? type : type.slice(0, semicolon)).trim().toLowerCase();
    this.#handler = input.handler;
    this.#eventPaths = input.eventPaths;
    this.#documentPaths = input.documentPaths;
    this.#eventBytesMax = input.eventBytesMax;
  }

  /** Undefined while too few bytes came to tell. */
  get form(): AnswerForm | undefined {
    return this.#form;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** The answer as one JSON object, once it has ended and is whole. */
  get document(): WholeDocument | undefined {
    return this.#document;
  }

  push(chunk: Uint8Array): void {
    if (this.#ended || chunk.length === 0) return;
    if (this.#form !== undefined) {
      this.#read(chunk);
      return;
    }
    if (this.#held.length === 0 && this.#sniff(asBuffer(chunk), false)) {
      this.#read(chunk);
      return;
    }
    this.#held.append(chunk);
    if (this.#sniff(this.#held.view(), false)) this.#read(this.#held.take());
  }

  end(): void {
    if (this.#ended) return;
    if (this.#form === undefined) {
      this.#sniff(this.#held.view(), true);
      this.#read(this.#held.take());
    }
    this.#ended = true;
    if (this.#form === "sse") this.#sse?.end();
    else if (this.#form === "json") this.#endDocument();
  }

  /** True when the form is known. */
  #sniff(start: Buffer, isWhole: boolean): boolean {
    let i = 0;
    while (i < BOM.length && start[i] === BOM[i]) i += 1;
    while (i < start.length && (start[i] === 0x20 || start[i] === 0x0a || start[i] === 0x0d || start[i] === 0x09)) i += 1;
    const first = start[i];
    if (first === 0x7b || first === 0x5b) this.#form = "json";
    else if (isWhole || start.length - i >= SNIFF_BYTES || i >= SPACE_BYTES_MAX) {
      this.#form = this.#formOf(start.toString("latin1", i, i + SNIFF_BYTES));
    }
    return this.#form !== undefined;
  }

  #formOf(start: string): AnswerForm {
    if (this.#contentType === "text/event-stream") return "sse";
    if (this.#contentType !== "" && this.#contentType !== "application/json") return "opaque";
    if (SSE_START.test(start)) return "sse";
    return this.#contentType === "" ? "opaque" : "json";
  }

  #read(chunk: Uint8Array): void {
    if (this.#form === "sse") {
      this.#sse ??= this.#newSse();
      this.#sse.push(chunk);
    } else if (this.#form === "json") this.#readDocument(chunk);
  }

  #readDocument(chunk: Uint8Array): void {
    if (!this.#scanner && this.#held.length + chunk.length <= PARSED_BYTES_MAX) {
      this.#held.append(chunk);
      return;
    }
    if (!this.#scanner) {
      this.#scanner = new JsonScanner(this.#documentPaths, { keepValues: true });
      this.#scanner.push(this.#held.take());
    }
    this.#scanner.push(chunk);
  }

  #endDocument(): void {
    if (this.#scanner) {
      this.#scanner.end();
      if (this.#scanner.complete && this.#scanner.isObject) {
        this.#document = { value: this.#scanner.toObject(), oversized: this.#scanner.oversized };
      }
      return;
    }
    const bytes = this.#held.take();
    const value = parseJson(bytes.toString("utf8", bytes[0] === BOM[0] ? BOM.length : 0));
    if (isObject(value)) this.#document = { value, oversized: NOTHING };
  }

  #newSse(): SseParser {
    const handler = this.#handler;
    return new SseParser(
      {
        onEvent(name, data) {
          const value = data.charCodeAt(0) === 0x5b ? undefined : parseJson(data);
          if (isObject(value)) handler.onEvent(name, value);
          else handler.onMarker(data);
        },
        onLongEvent: (name) => {
          const scanner = new JsonScanner(this.#eventPaths, { keepValues: true });
          return {
            push: (piece) => scanner.push(piece),
            end() {
              scanner.end();
              if (scanner.complete && scanner.isObject) handler.onEvent(name, scanner.toObject());
            },
          };
        },
      },
      this.#eventBytesMax === undefined ? {} : { eventBytesMax: this.#eventBytesMax },
    );
  }
}
