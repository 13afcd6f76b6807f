import { AnswerReader, type WholeDocument } from "@/server/metering/answer-reader";
import { compileJsonPaths, isObject } from "@/server/metering/json-scanner";
import type { Endpoint, Metered, RequestFacts, ResponseMeter } from "../provider";
import { definedOnly } from "../request-fields";
import { SeenToolCalls, VisibleText, errorWord, indexText, nameOf } from "../seen-output";
import { readAnthropicUsage } from "./usage";

type JsonObject = Record<string, unknown>;

const DOCUMENT_PATHS = compileJsonPaths(["type", "id", "model", "stop_reason", "usage", "content", "error", "request_id"]);
const EVENT_PATHS = compileJsonPaths([
  "type",
  "index",
  "message.id",
  "message.model",
  "message.usage",
  "content_block.type",
  "content_block.id",
  "content_block.name",
  "content_block.text",
  "delta",
  "usage",
  "error",
  "request_id",
]);

/** `code_execution`, `bash_code_execution`, `text_editor_code_execution`. */
const CODE_EXECUTION = /(?:^|_)code_execution$/;

/** Reads answers of the Messages API, as a document or as a stream. */
export class AnthropicMeter implements ResponseMeter {
  readonly #reader: AnswerReader;
  readonly #text = new VisibleText();
  readonly #toolCalls = new SeenToolCalls();

  /** The last value told of each field: a stream's counts are cumulative, and a later null takes nothing back. */
  #usage: JsonObject | undefined;
  #isOutputTold = false;
  #isOutputFinal = false;
  #thought: boolean | undefined;
  #webSearchesSeen = 0;
  #codeExecutionsSeen = 0;
  #model: string | undefined;
  #responseId: string | undefined;
  #requestId: string | undefined;
  #stopReason: string | undefined;
  #error: string | undefined;
  #terminal = false;
  #documentRead = false;

  constructor(input: { endpoint: Endpoint; contentType: string | undefined; facts: RequestFacts | undefined; eventBytesMax?: number }) {
    this.#reader = new AnswerReader({
      contentType: input.contentType,
      eventPaths: EVENT_PATHS,
      documentPaths: DOCUMENT_PATHS,
      handler: { onEvent: (name, data) => this.#readEvent(name, data), onMarker: () => {} },
      ...(input.eventBytesMax === undefined ? {} : { eventBytesMax: input.eventBytesMax }),
    });
  }

  push(chunk: Uint8Array): void {
    this.#reader.push(chunk);
  }

  end(): void {
    this.#reader.end();
  }

  watchText(listener: (piece: string) => void): void {
    this.#text.listener = listener;
  }

  get terminal(): boolean {
    return this.#reader.form === "opaque" ? this.#reader.ended : this.#terminal;
  }

  result(): Metered {
    if (this.#reader.document && !this.#documentRead) this.#readDocument(this.#reader.document);
    const read = this.#usage && readAnthropicUsage(this.#usage, this.#isOutputTold);
    const isReadable = read !== undefined && read.unreadable.length === 0 && read.hasInput;
    const usageComplete = isReadable && read.hasOutput && this.#isOutputFinal;
    const serviceTier = nameOf(this.#usage?.["service_tier"]);
    const billedItems = this.#countBilledItems();
    // Runs of code are told by no figure, only by the blocks that they are.
    const codeExecution = billedItems?.code_execution;
    return definedOnly<Metered>({
      usage: isReadable
        ? definedOnly({
            quantities: usageComplete
              ? { ...(codeExecution !== undefined && { code_execution: codeExecution }), ...read.quantities }
              : { ...billedItems, ...read.quantities },
            model: this.#model,
            serviceTier,
            speed: nameOf(this.#usage?.["speed"]),
            inferenceGeo: nameOf(this.#usage?.["inference_geo"]),
            otherModels: read.otherModels.length > 0 ? read.otherModels : undefined,
            isUpperBound: read.isUpperBound ? true : undefined,
            unknownUnits: read.unknownUnits.length > 0 ? read.unknownUnits : undefined,
          })
        : undefined,
      usageComplete,
      unreadable: read && read.unreadable.length > 0 ? read.unreadable : undefined,
      model: this.#model,
      serviceTier,
      terminal: this.terminal,
      visibleText: usageComplete ? "" : this.#text.toString(),
      visibleCharactersDropped: !usageComplete && this.#text.dropped > 0 ? this.#text.dropped : undefined,
      billedItems,
      thought: this.#thought,
      requestId: this.#requestId,
      responseId: this.#responseId,
      stopReason: this.#stopReason,
      toolCalls: this.#toolCalls.list(),
      inBandError: this.#error,
    });
  }

  #countBilledItems(): Metered["billedItems"] {
    if (this.#webSearchesSeen === 0 && this.#codeExecutionsSeen === 0) return undefined;
    return {
      ...(this.#webSearchesSeen > 0 && { web_search: this.#webSearchesSeen }),
      ...(this.#codeExecutionsSeen > 0 && { code_execution: this.#codeExecutionsSeen }),
    };
  }

  #readDocument({ value: answer }: WholeDocument): void {
    this.#documentRead = true;
    this.#terminal = true;
    if (answer["type"] === "error" || isObject(answer["error"])) {
      this.#readError(answer);
      return;
    }
    this.#readMessage(answer);
    this.#stopReason = nameOf(answer["stop_reason"]);
    this.#isOutputTold = true;
    this.#isOutputFinal = true;
    if (!Array.isArray(answer["content"])) return;
    for (const [index, block] of answer["content"].entries()) if (isObject(block)) this.#readBlock(String(index), block);
  }

  #readEvent(name: string, event: JsonObject): void {
    switch (typeof event["type"] === "string" ? event["type"] : name) {
      case "content_block_delta":
        if (isObject(event["delta"])) this.#readDelta(event["delta"]);
        return;
      case "content_block_start":
        if (isObject(event["content_block"])) this.#readBlock(indexText(event["index"], 0), event["content_block"]);
        return;
      case "message_start":
        if (isObject(event["message"])) this.#readMessage(event["message"]);
        return;
      case "message_delta": {
        const delta = isObject(event["delta"]) ? event["delta"] : {};
        this.#stopReason = nameOf(delta["stop_reason"]) ?? this.#stopReason;
        if (isObject(event["usage"])) {
          this.#mergeUsage(event["usage"]);
          this.#isOutputTold = true;
        }
        if (this.#isOutputTold && this.#stopReason !== undefined) this.#isOutputFinal = true;
        return;
      }
      case "message_stop":
        this.#terminal = true;
        if (this.#isOutputTold) this.#isOutputFinal = true;
        return;
      case "error":
        this.#readError(event);
        return;
      default:
    }
  }

  #readMessage(message: JsonObject): void {
    this.#model = nameOf(message["model"]);
    this.#responseId = nameOf(message["id"]);
    if (isObject(message["usage"])) this.#mergeUsage(message["usage"]);
  }

  #mergeUsage(usage: JsonObject): void {
    const told = Object.entries(usage).filter(([, value]) => value !== null);
    this.#usage = { ...this.#usage, ...Object.fromEntries(told) };
  }

  /** A block of a message, or the start of one in a stream, when its text is still empty. */
  #readBlock(index: string, block: JsonObject): void {
    this.#thought ??= false;
    switch (block["type"]) {
      case "thinking":
      case "redacted_thinking":
        this.#thought = true;
        break;
      case "tool_use":
      case "mcp_tool_use":
        this.#toolCalls.add(index, block["name"], block["id"]);
        break;
      case "server_tool_use":
        if (block["name"] === "web_search") this.#webSearchesSeen += 1;
        else if (typeof block["name"] === "string" && CODE_EXECUTION.test(block["name"])) this.#codeExecutionsSeen += 1;
        break;
      default:
    }
    this.#text.add(block["text"]);
    this.#text.add(block["thinking"]);
    const isWhole = this.#reader.form === "json";
    if (isWhole && isObject(block["input"])) this.#text.add(JSON.stringify(block["input"]));
  }

  #readDelta(delta: JsonObject): void {
    // Signatures and citations are not written by the model, so they are no output that is billed.
    this.#text.add(delta["text"]);
    this.#text.add(delta["thinking"]);
    this.#text.add(delta["partial_json"]);
    // A summary written by compaction.
    this.#text.add(delta["content"]);
  }

  #readError(answer: JsonObject): void {
    const error = isObject(answer["error"]) ? answer["error"] : {};
    this.#error = errorWord(error["type"]);
    this.#requestId = nameOf(answer["request_id"]) ?? this.#requestId;
  }
}
