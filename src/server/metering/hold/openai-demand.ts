import { isObject } from "../json-scanner";
import { type Demand, addComputable, addTurns, addWindow, grouped, listOf, newDemand, optionalCount, refuse, takeOutFile } from "./demand";
import {
  EDITED_PICTURE_TOKENS,
  type ModelLimits,
  PARTIAL_PICTURE_TOKENS,
  bareModelName,
  generatedPictureTokensMax,
  pictureTokensMax,
  searchesAlways,
} from "./model-limits";
import { utf8Bytes } from "./token-bound";
import type { HoldFacts } from "./hold-input";

type Body = Record<string, unknown>;
type Request = { endpointName: string; provider: string; body: Body; bodyBytes: number; facts: HoldFacts; limits: ModelLimits };

/**
 * What the templates add (https://cookbook.openai.com/examples/how_to_count_tokens_with_tiktoken_to_call_chat_completions_api: three tokens a
 * message, one a name, three for the answer; functions seven to twelve each and three a property, which are fewer than the bytes
 * of the JSON they are made from). Rounded up, because later models are not documented to the token.
 */
const TOKENS_PER_REQUEST = 96;
const TOKENS_PER_MESSAGE = 8;
const TOKENS_PER_PART = 4;
const TOKENS_PER_TOOL = 24;
/** Tools of OpenAI's own that the caller runs bring a description of their own. */
const TOKENS_PER_OWN_TOOL = 3_000;

/** Sound is 10 tokens a second; no format that is taken carries speech in less than 500 bytes a second (4 kbit/s). */
const AUDIO_BYTES_PER_SECOND_MIN = 500;
const AUDIO_TOKENS_PER_SECOND = 10;

const CACHED_OR_NOT = ["input", "cached_input", "cache_write_5m"] as const;

/** The default where a caller of the legacy endpoint names none (https://developers.openai.com/api/reference/resources/completions). */
const LEGACY_OUTPUT_TOKENS = 16;

export function openaiDemand(request: Request): Demand {
  switch (request.endpointName) {
    case "chat/completions":
      return chatDemand(request);
    case "responses":
    case "responses/compact":
      return responsesDemand(request);
    case "completions":
      return completionsDemand(request);
    case "embeddings":
      return embeddingsDemand(request);
    case "images/generations":
    case "images/edits":
      return imagesDemand(request);
    case "audio/speech":
      return speechDemand(request);
    case "audio/transcriptions":
    case "audio/translations":
      return transcriptionDemand(request);
    default: {
      const demand = newDemand("text", request.bodyBytes);
      refuse(demand, "unpriced_endpoint", `the cost of ${request.endpointName} has no upper bound that is known before the call.`);
      return demand;
    }
  }
}

function chatDemand(request: Request): Demand {
  const { body, facts, limits } = request;
  const demand = newDemand("text", request.bodyBytes);
  demand.inputUnits = CACHED_OR_NOT;
  demand.addedTokens = TOKENS_PER_REQUEST;
  const messages = listOf(body["messages"]);
  for (const message of messages) {
    demand.addedTokens += TOKENS_PER_MESSAGE;
    if (!isObject(message)) continue;
    visitContent(demand, request, message["content"]);
    demand.addedTokens += TOKENS_PER_PART * listOf(message["tool_calls"]).length;
    if (isObject(message["audio"])) addWindow(demand, "earlier sound", "sound of an earlier answer is named by its id");
  }
  for (const tool of [...listOf(body["tools"]), ...listOf(body["functions"])]) {
    const type = isObject(tool) ? tool["type"] : undefined;
    if (type !== undefined && type !== "function" && type !== "custom") refuseTool(demand, type);
    demand.addedTokens += TOKENS_PER_TOOL;
  }
  addOutput(demand, limits, facts, capOf(demand, body, ["max_tokens", "max_completion_tokens"]));
  demand.unseenOutputTokens = facts.thinksUnseen ? undefined : 0;

  if (isObject(body["web_search_options"]) || searchesAlways(facts.model)) {
    addFee(demand, "web_search", 1);
    demand.turnsMax = 2;
    addTurns(demand, "web search: one more turn, which may read a full window of what was found");
    demand.unseenOutputTokens = undefined;
  }
  if (listOf(body["modalities"]).includes("audio")) {
    demand.outputUnits = ["output", "reasoning", "audio_output"];
    // Of spoken output only the transcript is text that could be counted.
    demand.unseenOutputTokens = undefined;
  }
  const predicted = isObject(body["prediction"]) ? textBytesOf(body["prediction"]["content"]) : 0;
  if (predicted > 0) {
    demand.outputTokensBeside += predicted * facts.choices;
    addComputable(demand, "prediction", `up to ${grouped(predicted)} predicted tokens are billed as output when they are not used`);
    if (demand.unseenOutputTokens !== undefined) demand.unseenOutputTokens += predicted * facts.choices;
  }
  return demand;
}

function responsesDemand(request: Request): Demand {
  const { body, facts, limits } = request;
  const demand = newDemand("text", request.bodyBytes);
  demand.inputUnits = CACHED_OR_NOT;
  demand.addedTokens = TOKENS_PER_REQUEST;
  for (const item of listOf(body["input"])) visitItem(demand, request, item);

  if (body["previous_response_id"] !== undefined && body["previous_response_id"] !== null) {
    addWindow(demand, "previous_response_id", "the earlier turns are not in the request");
  }
  if (body["conversation"] !== undefined && body["conversation"] !== null) {
    addWindow(demand, "conversation", "the conversation is not in the request");
  }
  const hasStoredPrompt = isObject(body["prompt"]);
  if (hasStoredPrompt) addWindow(demand, "stored prompt", "the prompt's text is not in the request");

  // The cap is on all output of the answer, whatever tools are called in between.
  addOutput(demand, limits, facts, capOf(demand, body, ["max_output_tokens"]));
  demand.unseenOutputTokens = facts.thinksUnseen ? undefined : 0;
  if (facts.background) refuse(demand, "unpriced_endpoint", "a response with background: true is billed after this call has ended.");

  visitTools(demand, body, hasStoredPrompt);
  if (request.endpointName === "responses/compact" || listOf(body["context_management"]).length > 0) {
    demand.turnsMax += 1;
    demand.outputTokensBeside += limits.outputTokensMax;
    demand.unseenOutputTokens = undefined;
    addTurns(demand, "compaction: one more turn that may read a full window and write a summary");
  }
  return demand;
}

/** Tools that the caller runs: the answer ends with the call. */
const CALLER_TOOLS: ReadonlySet<unknown> = new Set(["function", "custom", "namespace"]);
const OWN_CALLER_TOOLS: ReadonlySet<unknown> = new Set(["computer_use_preview", "computer", "local_shell", "apply_patch"]);

/**
 * Tools that OpenAI runs go round within one answer: each call may bring anything, so that each turn reads a full window.
 * `max_tool_calls` is what bounds them (https://developers.openai.com/api/reference/resources/responses/methods/create); without it nothing does.
 */
function visitTools(demand: Demand, body: Body, hasStoredPrompt: boolean): void {
  const tools = body["tools"];
  const callsMax = optionalCount(demand, body["max_tool_calls"], "max_tool_calls");
  const hosted = new Set<string>();
  // A stored prompt has tools of its own unless the request names others.
  if (hasStoredPrompt && !Array.isArray(tools)) for (const name of ["web_search", "file_search", "code_interpreter"]) hosted.add(name);
  for (const tool of listOf(tools)) {
    demand.addedTokens += TOKENS_PER_TOOL;
    const type = isObject(tool) ? tool["type"] : undefined;
    if (CALLER_TOOLS.has(type)) continue;
    if (OWN_CALLER_TOOLS.has(type) || (type === "shell" && !runsHosted(tool))) {
      demand.addedTokens += TOKENS_PER_OWN_TOOL;
      continue;
    }
    if (type === "mcp") {
      visitMcp(demand, tool);
      continue;
    }
    const name = typeof type === "string" ? HOSTED_TOOLS.find((entry) => entry.type.test(type))?.name : undefined;
    if (name === undefined) refuseTool(demand, type);
    else hosted.add(name);
  }
  if (hosted.size === 0) return;

  demand.unseenOutputTokens = undefined;
  if (callsMax === undefined) {
    refuse(
      demand,
      "bad_request",
      `${[...hosted].join(", ")} may be called any number of times; set max_tool_calls so that the cost of the call has an upper bound.`,
    );
    return;
  }
  demand.turnsMax += callsMax;
  addTurns(demand, `${[...hosted].join(", ")}: ${grouped(callsMax)} calls at most, each followed by a turn that may read a full window`);
  if (hosted.has("web_search")) addFee(demand, "web_search", callsMax);
  if (hosted.has("file_search")) addFee(demand, "file_search", callsMax);
  if (hosted.has("code_interpreter")) addFee(demand, "code_execution", callsMax);
  if (hosted.has("image_generation")) {
    const tokens =
      callsMax * (generatedPictureTokensMax({ model: undefined, quality: "high", size: undefined }) + 3 * PARTIAL_PICTURE_TOKENS);
    demand.others.push({ units: ["image_output"], quantity: tokens });
    addComputable(demand, "image_generation", `${grouped(callsMax)} pictures at most, ${grouped(tokens)} tokens of another model`);
  }
}

const HOSTED_TOOLS = [
  { type: /^web_search/, name: "web_search" },
  { type: /^file_search$/, name: "file_search" },
  { type: /^(?:code_interpreter|shell)$/, name: "code_interpreter" },
  { type: /^image_generation$/, name: "image_generation" },
  { type: /^tool_search$/, name: "tool_search" },
] as const;

const runsHosted = (tool: unknown): boolean => isObject(tool) && isObject(tool["environment"]) && tool["environment"]["type"] !== "local";

/** Calls to a remote server are not counted by `max_tool_calls`; asking for approval is what ends the answer at each of them. */
function visitMcp(demand: Demand, tool: unknown): void {
  const approval = isObject(tool) ? tool["require_approval"] : undefined;
  if (approval !== undefined && approval !== null && approval !== "always") {
    refuse(
      demand,
      "bad_request",
      "tools of an MCP server that run without approval may be called any number of times; set require_approval to always.",
    );
  }
  demand.unseenOutputTokens = undefined;
  addWindow(demand, "MCP server", "its list of tools is not in the request");
}

function refuseTool(demand: Demand, type: unknown): void {
  const name = typeof type === "string" ? type.slice(0, 64) : "without a type";
  refuse(demand, "bad_request", `the tool ${name} is not known here, so that its cost has no upper bound.`);
}

function addFee(demand: Demand, unit: "web_search" | "file_search" | "code_execution", calls: number): void {
  demand.others.push({ units: [unit], quantity: calls });
  addComputable(demand, unit, `${grouped(calls)} calls at most, at the fee for each`);
}

/** Items of the conversation whose whole content stands in them. */
const TOLD_ITEMS: ReadonlySet<unknown> = new Set([
  undefined,
  "message",
  "function_call",
  "function_call_output",
  "custom_tool_call",
  "custom_tool_call_output",
  "reasoning",
  "computer_call",
  "computer_call_output",
  "local_shell_call",
  "local_shell_call_output",
  "shell_call",
  "shell_call_output",
  "apply_patch_call",
  "apply_patch_call_output",
  "file_search_call",
  "mcp_list_tools",
  "mcp_call",
  "mcp_approval_request",
  "mcp_approval_response",
]);

function visitItem(demand: Demand, request: Request, item: unknown): void {
  demand.addedTokens += TOKENS_PER_MESSAGE;
  if (!isObject(item)) return;
  const type = item["type"];
  if (type === "image_generation_call") {
    demand.addedTokens += pictureTokensMax("openai", request.facts.model, undefined);
    takeOutFile(demand, item, "result");
    return;
  }
  if (!TOLD_ITEMS.has(type)) addWindow(demand, "earlier items", "an item of the conversation is named by its id or compacted");
  visitContent(demand, request, item["content"]);
  visitContent(demand, request, item["output"]);
}

function visitContent(demand: Demand, request: Request, content: unknown): void {
  if (isObject(content)) visitPart(demand, request, content);
  else for (const part of listOf(content)) if (isObject(part)) visitPart(demand, request, part);
}

const TEXT_PARTS: ReadonlySet<unknown> = new Set([
  "text",
  "refusal",
  "input_text",
  "output_text",
  "summary_text",
  "reasoning_text",
  "thinking",
]);

function visitPart(demand: Demand, request: Request, part: Body): void {
  demand.addedTokens += TOKENS_PER_PART;
  const type = part["type"];
  if (TEXT_PARTS.has(type)) return;
  switch (type) {
    case "image_url":
    case "input_image":
    case "computer_screenshot": {
      const isNested = isObject(part["image_url"]);
      const holder = isNested ? (part["image_url"] as Body) : part;
      const tokens = pictureTokensMax("openai", request.facts.model, holder["detail"] ?? part["detail"]);
      demand.addedTokens += tokens;
      takeOutFile(demand, holder, isNested ? "url" : "image_url");
      addComputable(demand, "picture", `${grouped(tokens)} tokens, the most this model reads of one at any size`);
      return;
    }
    case "input_audio": {
      const holder = isObject(part["input_audio"]) ? part["input_audio"] : part;
      const data = holder["data"];
      const bytes = typeof data === "string" ? Math.ceil((data.length * 3) / 4) : 0;
      const tokens = Math.ceil(bytes / AUDIO_BYTES_PER_SECOND_MIN) * AUDIO_TOKENS_PER_SECOND;
      demand.others.push({ units: ["audio_input", "cached_audio_input"], quantity: Math.min(tokens, request.limits.contextWindow) });
      takeOutFile(demand, holder, "data");
      addComputable(demand, "sound", `${grouped(bytes)} bytes: ${grouped(tokens)} tokens at most`);
      return;
    }
    default:
      addWindow(demand, "file", "what the model reads of a file is not known before the call");
  }
}

function completionsDemand({ body, bodyBytes, facts, limits, provider }: Request): Demand {
  const demand = newDemand("text", bodyBytes);
  demand.addedTokens = TOKENS_PER_REQUEST;
  const cap = capOf(demand, body, ["max_tokens"]) ?? (provider === "openai" ? LEGACY_OUTPUT_TOKENS : undefined);
  addOutput(demand, limits, facts, cap);
  // Of several answers only the best is shown.
  const bestOf = optionalCount(demand, body["best_of"], "best_of") ?? 1;
  demand.unseenOutputTokens = bestOf > 1 ? undefined : 0;
  if (body["echo"] === true) {
    demand.outputTokensBeside = bodyBytes * facts.choices;
    addComputable(demand, "echo", `the prompt may be repeated ${grouped(facts.choices)} times`);
  }
  return demand;
}

function embeddingsDemand({ bodyBytes }: Request): Demand {
  const demand = newDemand("embeddings", bodyBytes);
  demand.inputFitsWindow = false;
  demand.addedTokens = TOKENS_PER_REQUEST;
  return demand;
}

/** The most pictures an edit takes, and their mask (https://developers.openai.com/api/reference/resources/images/methods/edit). */
const EDITED_PICTURES_MAX = 17;
const PROMPT_BYTES_MAX = 128_000;

function imagesDemand({ endpointName, body, bodyBytes, facts }: Request): Demand {
  const demand = newDemand("images", bodyBytes);
  demand.inputFitsWindow = false;
  demand.inputUnits = ["input", "cached_input"];
  demand.addedTokens = TOKENS_PER_REQUEST;
  const previews = Math.min(optionalCount(demand, body["partial_images"], "partial_images") ?? 3, 3);
  const tokens =
    generatedPictureTokensMax({ model: facts.model, quality: body["quality"], size: body["size"] }) + previews * PARTIAL_PICTURE_TOKENS;
  demand.others.push({ units: ["image_output", "output"], quantity: tokens * facts.choices });
  addComputable(demand, "pictures", `${grouped(facts.choices)} of up to ${grouped(tokens)} tokens each`);
  if (endpointName === "images/edits") {
    // The form is not taken apart here: the files in it are no text, and its prompt has a length limit.
    demand.textBytes = Math.min(bodyBytes, PROMPT_BYTES_MAX);
    const pictures = EDITED_PICTURES_MAX * EDITED_PICTURE_TOKENS;
    demand.others.push({ units: ["image_input", "cached_image_input", "input"], quantity: pictures });
    addComputable(demand, "edited pictures", `${EDITED_PICTURES_MAX} of up to ${grouped(EDITED_PICTURE_TOKENS)} tokens each`);
  }
  return demand;
}

/** Slow speech with pauses: two characters a second, 20 tokens a second. */
const SPEECH_TOKENS_PER_CHARACTER = 10;

function speechDemand({ body, bodyBytes, facts }: Request): Demand {
  const demand = newDemand("speech", bodyBytes);
  demand.addedTokens = TOKENS_PER_REQUEST;
  const characters = facts.inputCharacters ?? bodyBytes;
  const speed = typeof body["speed"] === "number" && body["speed"] > 0 ? Math.min(1, body["speed"]) : 1;
  const tokens = Math.ceil((Math.max(characters, 10) * SPEECH_TOKENS_PER_CHARACTER) / Math.max(speed, 0.25));
  demand.others.push({ units: ["input_characters"], quantity: characters }, { units: ["audio_output", "output"], quantity: tokens });
  addComputable(demand, "speech", `${grouped(characters)} characters, or ${grouped(tokens)} tokens of sound at most`);
  return demand;
}

/** Longest sound that these models take, in seconds (https://developers.openai.com/api/docs/models/gpt-4o-transcribe). */
const TRANSCRIBED_SECONDS_MAX = 1_500;

function transcriptionDemand({ bodyBytes, facts, limits }: Request): Demand {
  const demand = newDemand("transcription", Math.min(bodyBytes, 16_384));
  const isCapped = facts.model !== undefined && /^gpt-4o(?:-mini)?-transcribe(?:-\d{4}-\d{2}-\d{2})?$/.test(bareModelName(facts.model));
  const seconds = Math.min(Math.ceil(bodyBytes / AUDIO_BYTES_PER_SECOND_MIN), isCapped ? TRANSCRIBED_SECONDS_MAX : Number.MAX_SAFE_INTEGER);
  const tokens = seconds * AUDIO_TOKENS_PER_SECOND;
  demand.inputFitsWindow = false;
  demand.others.push({ units: ["input_seconds"], quantity: seconds }, { units: ["audio_input", "input"], quantity: tokens });
  demand.outputTokensPerChoice = isCapped ? limits.outputTokensMax : tokens;
  addComputable(demand, "sound", `${grouped(bodyBytes)} bytes: ${grouped(seconds)} seconds at most`);
  return demand;
}

/** The larger of the caps that this endpoint knows: which of two is obeyed is not told. Others are ignored, as the provider does. */
function capOf(demand: Demand, body: Body, names: readonly string[]): number | undefined {
  let cap: number | undefined;
  for (const name of names) {
    const told = optionalCount(demand, body[name], name);
    if (told !== undefined && (cap === undefined || told > cap)) cap = told;
  }
  return cap;
}

function addOutput(demand: Demand, limits: ModelLimits, facts: HoldFacts, cap: number | undefined): void {
  demand.choices = facts.choices;
  demand.outputTokensPerChoice = Math.min(cap ?? limits.outputTokensMax, limits.contextWindow);
  const why =
    cap === undefined
      ? `no cap was set, and ${limits.known ? "this model writes" : "no model writes"} more in one answer`
      : "the cap that was set";
  const times = facts.choices > 1 ? `${grouped(facts.choices)} answers of ` : "";
  addComputable(demand, "output", `${times}${grouped(demand.outputTokensPerChoice)} tokens at most: ${why}`);
}

/** Bytes of text in a string or in the parts of a message. */
function textBytesOf(content: unknown): number {
  if (typeof content === "string") return utf8Bytes(content);
  return listOf(content).reduce<number>(
    (total, part) => total + (isObject(part) && typeof part["text"] === "string" ? utf8Bytes(part["text"]) + TOKENS_PER_PART : 0),
    0,
  );
}
