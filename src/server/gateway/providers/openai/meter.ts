import { AnswerReader, type WholeDocument } from "@/server/metering/answer-reader";
import { compileJsonPaths, isObject } from "@/server/metering/json-scanner";
import type { OtherModelUsage, UsageQuantities } from "@/server/metering/usage";
import type { BilledItem, Endpoint, Metered, RequestFacts, ResponseMeter } from "../provider";
import { definedOnly } from "../request-fields";
import { SeenToolCalls, VisibleText, errorWord, indexText, nameOf } from "../seen-output";
import { type OpenaiUsageKind, type ReadUsage, readOpenaiUsage } from "./usage";

type JsonObject = Record<string, unknown>;

const ANSWER_NAMES = [
  "id",
  "model",
  "service_tier",
  "usage",
  "error",
  "status",
  "incomplete_details",
  "background",
  "output",
  "tool_usage",
  "tools",
];
const DOCUMENT_PATHS = compileJsonPaths([...ANSWER_NAMES, "choices", "duration", "text"]);
const EVENT_PATHS = compileJsonPaths([
  "type",
  "id",
  "model",
  "service_tier",
  "usage",
  "error",
  "code",
  "choices",
  "delta",
  "item",
  "sequence_number",
  ...ANSWER_NAMES.map((name) => `response.${name}`),
]);

const USAGE_KIND_OF_ENDPOINT: ReadonlyMap<string, OpenaiUsageKind> = new Map([
  ["embeddings", "embeddings"],
  ["images/generations", "images"],
  ["images/edits", "images"],
  ["audio/transcriptions", "transcription"],
  ["audio/translations", "transcription"],
  ["audio/speech", "speech"],
]);

/** Deltas whose text the model wrote; audio and partial images are not text. */
const TEXT_DELTAS = new Set([
  "response.output_text.delta",
  "response.refusal.delta",
  "response.reasoning_text.delta",
  "response.reasoning_summary_text.delta",
  "response.function_call_arguments.delta",
  "response.custom_tool_call_input.delta",
  "response.mcp_call_arguments.delta",
  "response.code_interpreter_call_code.delta",
  "response.audio.transcript.delta",
  "transcript.text.delta",
]);

/** Of responses, and of batches, which look alike here. */
const FINAL_STATUSES: ReadonlySet<string> = new Set(["completed", "incomplete", "failed", "cancelled", "expired"]);
const FINAL_RESPONSES = new Set(["response.completed", "response.incomplete", "response.failed"]);
/** The last events of streams that are no Responses: pictures, transcripts, speech. */
const FINAL_OTHERS = /^(?:image_generation\.completed|image_edit\.completed|transcript\.text\.done|speech\.audio\.done)$/;

/** Items that are billed by the call. Opening a page and searching in it cost nothing beyond their tokens. */
const FREE_WEB_ACTIONS: ReadonlySet<unknown> = new Set(["open_page", "find_in_page", "find"]);

/** Containers are billed by the memory they have. */
const CONTAINER_OF_MEMORY: Readonly<Record<string, BilledItem>> = {
  "1g": "container_1g",
  "4g": "container_4g",
  "16g": "container_16g",
  "64g": "container_64g",
};

/** Chat models that search the web before they answer: once (the older ones), or as often as they like and without telling. */
const SEARCHES_ONCE = /^gpt-4o(?:-mini)?-search-preview(?:$|-)/;
const SEARCHES_UNTOLD = /-search-api(?:$|-)/;

/** Reads answers of every OpenAI endpoint, as a document or as a stream. */
export class OpenaiMeter implements ResponseMeter {
  readonly #endpoint: Endpoint;
  readonly #facts: RequestFacts | undefined;
  readonly #reader: AnswerReader;
  readonly #text = new VisibleText();
  readonly #toolCalls = new SeenToolCalls();
  readonly #billedItems = new Map<string, "web_search" | "file_search">();
  readonly #containers = new Set<string>();
  #madeImages = false;
  #unreadOutput = false;
  #unreadTools = false;

  #usage: JsonObject | undefined;
  #toolUsage: JsonObject | undefined;
  /** The tools of the request as the answer repeats them; undefined where it does not. */
  #tools: readonly JsonObject[] | undefined;
  #model: string | undefined;
  #serviceTier: string | undefined;
  #responseId: string | undefined;
  #stopReason: string | undefined;
  #background: boolean | undefined;
  #error: string | undefined;
  #nextSequenceNumber: number | undefined;
  #terminal = false;
  /** The usage told is the last word: it came with the end of the output, not in its middle. */
  #isUsageFinal = false;
  #documentRead = false;

  constructor(input: { endpoint: Endpoint; contentType: string | undefined; facts: RequestFacts | undefined; eventBytesMax?: number }) {
    this.#endpoint = input.endpoint;
    this.#facts = input.facts;
    this.#reader = new AnswerReader({
      contentType: input.contentType,
      eventPaths: EVENT_PATHS,
      documentPaths: DOCUMENT_PATHS,
      handler: {
        onEvent: (name, data) => this.#readEvent(name, data),
        onMarker: (data) => {
          if (data.startsWith("[DONE]")) this.#terminal = true;
        },
      },
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
    const { terminal } = this;
    const told = this.#usage === undefined ? this.#usageOfRequest(terminal) : readOpenaiUsage(this.#usage, this.#usageKind());
    const isTold = told?.ok === true && (this.#isUsageFinal || terminal);
    const billedItems = this.#countBilledItems();
    return definedOnly<Metered>({
      usage: told?.ok ? this.#report(told, billedItems) : undefined,
      usageComplete: isTold,
      unreadable: told && !told.ok && told.unreadable.length > 0 ? told.unreadable : undefined,
      model: this.#model,
      serviceTier: this.#serviceTier,
      terminal,
      visibleText: isTold ? "" : this.#text.toString(),
      visibleCharactersDropped: !isTold && this.#text.dropped > 0 ? this.#text.dropped : undefined,
      billedItems,
      responseId: this.#responseId,
      stopReason: this.#stopReason,
      toolCalls: this.#toolCalls.list(),
      inBandError: this.#error,
      background: this.#background,
      nextSequenceNumber: this.#nextSequenceNumber,
    });
  }

  #usageKind(): OpenaiUsageKind {
    return USAGE_KIND_OF_ENDPOINT.get(this.#endpoint.name) ?? "text";
  }

  #report(told: Extract<ReadUsage, { ok: true }>, billedItems: Metered["billedItems"]): NonNullable<Metered["usage"]> {
    const unknownUnits = [...told.unknownUnits, ...this.#unknownItems()];
    // The tool's own tokens are billed at another model's price and are no part of this usage.
    const pictures = this.#madeImages ? this.#imageToolUsage() : undefined;
    if (this.#madeImages && pictures === undefined) unknownUnits.push("image_generation_call");
    return definedOnly({
      quantities: { ...told.quantities, ...billedItems },
      model: this.#model,
      serviceTier: this.#serviceTier,
      otherModels: pictures && [pictures],
      reportedCostUsd: told.reportedCostUsd,
      unknownUnits: unknownUnits.length > 0 ? unknownUnits : undefined,
    });
  }

  /** What is billed by the item, and of which the answer does not show how much it was. */
  #unknownItems(): string[] {
    const unknown: string[] = [];
    if (this.#unreadOutput) unknown.push("output");
    // Which of two searches it was, and how large a container, stands there.
    if (this.#unreadTools && (this.#billedItems.size > 0 || this.#containers.size > 0)) unknown.push("tools");
    if (this.#containers.size > 0 && this.#containerUnit() === undefined) unknown.push("container");
    if (this.#endpoint.name === "chat/completions" && SEARCHES_UNTOLD.test(this.#model ?? this.#facts?.model ?? "")) {
      unknown.push("web_search_calls");
    }
    return unknown;
  }

  /** Undefined when the answer does not tell which model made the pictures, or what that took. */
  #imageToolUsage(): OtherModelUsage | undefined {
    const model = nameOf(this.#tools?.find((tool) => tool["type"] === "image_generation")?.["model"]);
    const usage = this.#toolUsage?.["image_gen"];
    if (model === undefined || !isObject(usage)) return undefined;
    const read = readOpenaiUsage(usage, "images");
    if (!read.ok || read.unknownUnits.length > 0 || read.quantities.image_output === undefined) return undefined;
    return { model, quantities: read.quantities };
  }

  /** Undefined when the container is one that an earlier call made, whose memory this answer does not tell. */
  #containerUnit(): BilledItem | undefined {
    for (const tool of this.#tools ?? []) {
      const container =
        tool["type"] === "code_interpreter" ? tool["container"] : tool["type"] === "shell" ? tool["environment"] : undefined;
      if (container === undefined) continue;
      if (!isObject(container) || container["type"] === "container_reference") return undefined;
      const memory = container["memory_limit"] ?? "1g";
      return typeof memory === "string" && Object.hasOwn(CONTAINER_OF_MEMORY, memory) ? CONTAINER_OF_MEMORY[memory] : undefined;
    }
    return "container_1g";
  }

  /** The older tool has its own fee; where both were offered, the dearer of the two is taken. */
  #searchUnit(): "web_search" | "web_search_preview" {
    const isOlder = (tool: JsonObject): boolean => typeof tool["type"] === "string" && tool["type"].startsWith("web_search_preview");
    return this.#tools?.some(isOlder) === true ? "web_search_preview" : "web_search";
  }

  /** Where the answer is the goods itself and tells no usage, the request says what is paid for: characters spoken, pictures made. */
  #usageOfRequest(terminal: boolean): ReadUsage | undefined {
    if (!terminal || this.#error !== undefined) return undefined;
    const quantities: UsageQuantities = {};
    if (this.#endpoint.name === "audio/speech" && this.#facts?.model?.startsWith("tts-1") && this.#facts.inputCharacters !== undefined) {
      quantities.input_characters = this.#facts.inputCharacters;
    } else if (this.#usageKind() === "images" && this.#reader.form === "json" && this.#facts?.model?.startsWith("dall-e")) {
      quantities.images = this.#facts.choices;
    } else return undefined;
    return { ok: true, quantities, unknownUnits: [] };
  }

  #countBilledItems(): Metered["billedItems"] {
    const counts: NonNullable<Metered["billedItems"]> = {};
    const searchUnit = this.#searchUnit();
    for (const item of this.#billedItems.values()) {
      const unit = item === "web_search" ? searchUnit : item;
      counts[unit] = (counts[unit] ?? 0) + 1;
    }
    const toldSearches = isObject(this.#toolUsage?.["web_search"]) ? this.#toolUsage["web_search"]["num_requests"] : undefined;
    if (typeof toldSearches === "number" && Number.isSafeInteger(toldSearches) && toldSearches > 0) counts[searchUnit] = toldSearches;
    const containerUnit = this.#containers.size > 0 ? this.#containerUnit() : undefined;
    if (containerUnit !== undefined) counts[containerUnit] = this.#containers.size;
    const isChat = this.#endpoint.name === "chat/completions" && this.#model !== undefined;
    if (isChat && SEARCHES_ONCE.test(this.#model ?? "")) counts.web_search_preview = 1;
    return Object.keys(counts).length > 0 ? counts : undefined;
  }

  #readDocument({ value: answer, oversized }: WholeDocument): void {
    this.#documentRead = true;
    this.#terminal = true;
    if (oversized.has("output")) this.#unreadOutput = true;
    if (oversized.has("tools")) this.#unreadTools = true;
    if (Array.isArray(answer["output"]) || typeof answer["status"] === "string") {
      this.#readResponse(answer);
      return;
    }
    this.#readHead(answer);
    this.#readChoices(answer["choices"], "message");
    // Transcripts: the text itself, and in the verbose form the time that was heard.
    this.#text.add(answer["text"]);
    if (this.#usage === undefined && this.#usageKind() === "transcription" && typeof answer["duration"] === "number") {
      this.#usage = { type: "duration", seconds: answer["duration"] };
    }
  }

  #readEvent(name: string, event: JsonObject): void {
    const type = typeof event["type"] === "string" ? event["type"] : name;
    if (typeof event["sequence_number"] === "number" && Number.isSafeInteger(event["sequence_number"])) {
      this.#nextSequenceNumber = event["sequence_number"] + 1;
    }
    if (TEXT_DELTAS.has(type)) {
      this.#text.add(event["delta"]);
      return;
    }
    if (isObject(event["response"])) {
      this.#readResponse(event["response"]);
      if (FINAL_RESPONSES.has(type)) this.#terminal = true;
      if (type === "response.failed") this.#error ??= "error";
      return;
    }
    if (type === "response.output_item.added" || type === "response.output_item.done") {
      if (isObject(event["item"])) this.#readItem(event["item"]);
      return;
    }
    if (type === "error") {
      const error = isObject(event["error"]) ? event["error"] : event;
      this.#error = errorWord(error["code"], error["type"] === "error" ? undefined : error["type"]);
      return;
    }
    this.#readHead(event);
    this.#readChoices(event["choices"], "delta");
    const isAnswering = Array.isArray(event["choices"]) && event["choices"].length > 0;
    if (isObject(event["usage"])) this.#isUsageFinal = !isAnswering || this.#stopReason !== undefined;
    if (FINAL_OTHERS.test(type)) this.#terminal = true;
  }

  /** What an answer says of itself, in a document and in every chunk of a stream. */
  #readHead(answer: JsonObject): void {
    this.#responseId = nameOf(answer["id"]) ?? this.#responseId;
    this.#model = nameOf(answer["model"]) ?? this.#model;
    this.#serviceTier = nameOf(answer["service_tier"]) ?? this.#serviceTier;
    if (isObject(answer["usage"])) this.#usage = answer["usage"];
    const error = answer["error"];
    if (isObject(error)) this.#error = errorWord(error["code"], error["type"]);
    else if (typeof error === "string") this.#error = errorWord(error);
  }

  #readChoices(choices: unknown, part: "delta" | "message"): void {
    if (!Array.isArray(choices)) return;
    for (const [choicePosition, choice] of choices.entries()) {
      if (!isObject(choice)) continue;
      this.#stopReason ??= nameOf(choice["finish_reason"]);
      this.#text.add(choice["text"]);
      const message = choice[part];
      if (!isObject(message)) continue;
      this.#text.add(message["content"]);
      this.#text.add(message["refusal"]);
      this.#text.add(message["reasoning_content"] ?? message["reasoning"]);
      if (isObject(message["audio"])) this.#text.add(message["audio"]["transcript"]);
      const index = indexText(choice["index"], choicePosition);
      if (isObject(message["function_call"])) this.#readCall(`${index}.function`, null, message["function_call"]);
      if (!Array.isArray(message["tool_calls"])) continue;
      for (const [position, call] of message["tool_calls"].entries()) {
        if (!isObject(call)) continue;
        const called = isObject(call["function"]) ? call["function"] : isObject(call["custom"]) ? call["custom"] : {};
        this.#readCall(`${index}.${indexText(call["index"], position)}`, call["id"], called);
      }
    }
  }

  #readCall(key: string, id: unknown, called: JsonObject): void {
    this.#toolCalls.add(key, called["name"], id);
    this.#text.add(called["arguments"] ?? called["input"]);
  }

  /** A Responses object: the whole document, or what an event of its stream carries. */
  #readResponse(response: JsonObject): void {
    this.#readHead(response);
    const { status, incomplete_details: incomplete } = response;
    if (status === "failed") this.#error ??= "failed";
    if (typeof response["background"] === "boolean") this.#background = response["background"];
    if (typeof status === "string" && FINAL_STATUSES.has(status)) {
      this.#stopReason = (isObject(incomplete) ? nameOf(incomplete["reason"]) : undefined) ?? status;
    }
    if (isObject(response["tool_usage"])) this.#toolUsage = response["tool_usage"];
    if (Array.isArray(response["tools"])) this.#tools = response["tools"].filter(isObject);
    if (!Array.isArray(response["output"])) return;
    for (const item of response["output"]) {
      if (!isObject(item)) continue;
      this.#readItem(item);
      if (this.#reader.form === "json") this.#readItemText(item);
    }
  }

  #readItem(item: JsonObject): void {
    const id = nameOf(item["id"]) ?? nameOf(item["call_id"]) ?? "";
    switch (item["type"]) {
      case "function_call":
      case "custom_tool_call":
      case "mcp_call":
        this.#toolCalls.add(id, item["name"], item["call_id"] ?? item["id"]);
        return;
      case "web_search_call":
        // Seen first when it begins; what it did is told when it is done.
        if (isObject(item["action"]) && FREE_WEB_ACTIONS.has(item["action"]["type"])) this.#billedItems.delete(id);
        else this.#billedItems.set(id, "web_search");
        return;
      case "file_search_call":
        this.#billedItems.set(id, "file_search");
        return;
      case "code_interpreter_call":
      case "shell_call": {
        // Billed by the container, which several calls share. A shell of the caller's own has none.
        const container =
          nameOf(item["container_id"]) ?? (isObject(item["environment"]) ? nameOf(item["environment"]["container_id"]) : undefined);
        if (container !== undefined) this.#containers.add(container);
        return;
      }
      case "image_generation_call":
        this.#madeImages = true;
        return;
      default:
    }
  }

  #readItemText(item: JsonObject): void {
    for (const parts of [item["content"], item["summary"]]) {
      if (!Array.isArray(parts)) continue;
      for (const part of parts) {
        if (!isObject(part)) continue;
        this.#text.add(part["text"]);
        this.#text.add(part["refusal"]);
        this.#text.add(part["transcript"]);
      }
    }
    this.#text.add(item["arguments"]);
    this.#text.add(item["input"]);
    this.#text.add(item["code"]);
  }
}
