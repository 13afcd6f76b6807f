import { asBuffer } from "./byte-buffer";
import { type JsonPaths, JsonScanner, isObject, parseJson } from "./json-scanner";
import { SseParser } from "./sse-parser";

export type AnswerForm = "sse" | "json" | "opaque";

export type AnswerHandler = {
  /** One event of a stream whose data is a JSON object, or what was asked for of a very long one. */
  onEvent(name: string, data: Record<string, unknown>): void;
  /** Data that is no JSON object, such as `[DONE]`. */
  onMarker(data: string): void;
};

/** The fields a server may start an event stream with. */
const SSE_START = /^(?::|data|event|id|retry)/;
/** Enough to tell the longest of those fields. */
const SNIFF_BYTES = 5;
/** Blank lines that a slow provider sends to keep a connection open come before either form. */
const SNIFF_BYTES_MAX = 4096;

/**
 * Reads an answer's body on the side, as a stream of events or as one document. The content type says which; where its first
 * bytes say otherwise, they are believed: a type that lies must not make a call free.
 */
export class AnswerReader {
  readonly #contentType: string;
  readonly #sse: SseParser;
  readonly #document: JsonScanner;
  #form: AnswerForm | undefined;
  /** The first bytes, until they tell what follows. */
  #start: Buffer = Buffer.alloc(0);
  #ended = false;

  constructor(input: {
    contentType: string | undefined;
    handler: AnswerHandler;
    eventPaths: JsonPaths;
    documentPaths: JsonPaths;
    eventBytesMax?: number;
  }) {
    const { handler, eventPaths } = input;
    this.#contentType = (input.contentType ?? "").split(";", 1)[0]!.trim().toLowerCase();
    this.#document = new JsonScanner(input.documentPaths, { keepValues: true });
    this.#sse = new SseParser(
      {
        onEvent(name, data) {
          const value = data.charCodeAt(0) === 0x5b ? undefined : parseJson(data);
          if (isObject(value)) handler.onEvent(name, value);
          else handler.onMarker(data);
        },
        onLongEvent(name) {
          const scanner = new JsonScanner(eventPaths, { keepValues: true });
          return {
            push: (piece) => scanner.push(piece),
            end() {
              scanner.end();
              if (scanner.complete && scanner.isObject) handler.onEvent(name, scanner.toObject());
            },
          };
        },
      },
      input.eventBytesMax === undefined ? {} : { eventBytesMax: input.eventBytesMax },
    );
  }

  /** Undefined while too few bytes came to tell. */
  get form(): AnswerForm | undefined {
    return this.#form;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Of a document: what was asked for and has been read so far. */
  get document(): JsonScanner {
    return this.#document;
  }

  push(chunk: Uint8Array): void {
    if (this.#ended) return;
    if (this.#form !== undefined) {
      this.#read(chunk);
      return;
    }
    this.#start = this.#start.length === 0 ? asBuffer(chunk) : Buffer.concat([this.#start, chunk]);
    this.#sniff(false);
  }

  end(): void {
    if (this.#ended) return;
    if (this.#form === undefined) this.#sniff(true);
    this.#ended = true;
    if (this.#form === "sse") this.#sse.end();
    else if (this.#form === "json") this.#document.end();
  }

  #sniff(isWhole: boolean): void {
    const text = this.#start
      .toString("latin1", 0, Math.min(this.#start.length, SNIFF_BYTES_MAX))
      .replace(/^\u00ef(?:\u00bb(?:\u00bf)?)?/, "")
      .trimStart();
    if (!isWhole && text.length < SNIFF_BYTES && this.#start.length < SNIFF_BYTES_MAX) return;
    this.#form = this.#formOf(text);
    const start = this.#start;
    this.#start = Buffer.alloc(0);
    this.#read(start);
  }

  #formOf(text: string): AnswerForm {
    if (text.startsWith("{") || text.startsWith("[")) return "json";
    if (this.#contentType === "text/event-stream") return "sse";
    const isTyped = this.#contentType !== "" && this.#contentType !== "application/json";
    if (!isTyped && SSE_START.test(text)) return "sse";
    return this.#contentType === "application/json" ? "json" : "opaque";
  }

  #read(chunk: Uint8Array): void {
    if (this.#form === "sse") this.#sse.push(chunk);
    else if (this.#form === "json") this.#document.push(chunk);
  }
}
