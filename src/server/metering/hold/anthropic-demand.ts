import { isObject } from "../json-scanner";
import { type Demand, addComputable, addTurns, addWindow, grouped, listOf, newDemand, optionalCount, refuse, takeOutFile } from "./demand";
import { type ModelLimits, limitsOfModel, pictureTokensMax, thinksByDefault } from "./model-limits";
import type { HoldFacts } from "./hold-input";

type Body = Record<string, unknown>;
type Request = { endpointName: string; body: Body; bodyBytes: number; facts: HoldFacts; limits: ModelLimits };

/** What Claude's own templates add is not documented to the token, other than for tools; rounded up. */
const TOKENS_PER_REQUEST = 64;
const TOKENS_PER_MESSAGE = 8;
const TOKENS_PER_BLOCK = 6;
const TOKENS_PER_TOOL = 32;
/** The system prompt that tools bring: 159 to 804 tokens by model (https://platform.claude.com/docs/en/about-claude/pricing#tool-use-pricing). */
const TOKENS_OF_TOOL_PROMPT = 1_200;
/** Tools of Anthropic's own that the caller runs: 245 (bash) to 1,234 (computer use with its prompt) tokens. */
const TOKENS_PER_OWN_TOOL = 3_000;

/**
 * Tools that Anthropic runs go round within one answer, ten times at most, before it pauses with `pause_turn`
 * (https://platform.claude.com/docs/en/agents-and-tools/tool-use/server-tools). The first turn is not counted as a round.
 */
const SERVER_TOOL_ROUNDS_MAX = 10;

export function anthropicDemand(request: Request): Demand {
  const { body, facts, limits, bodyBytes } = request;
  const demand = newDemand("text", bodyBytes);
  if (request.endpointName !== "messages") {
    refuse(demand, "unpriced_endpoint", `the cost of ${request.endpointName} has no upper bound that is known before the call.`);
    return demand;
  }
  const cache = { writes5m: false, writes1h: false };
  noteCache(cache, body);
  demand.addedTokens = TOKENS_PER_REQUEST;
  visitContent({ demand, request, cache }, body["system"]);
  for (const message of listOf(body["messages"])) {
    demand.addedTokens += TOKENS_PER_MESSAGE;
    if (isObject(message)) visitContent({ demand, request, cache }, message["content"]);
  }
  addOutput(demand, request);
  addThinking(demand, request);
  visitTools(demand, body, cache);
  if (isObject(body["container"]) && listOf(body["container"]["skills"]).length > 0) {
    addWindow(demand, "skills", "what a skill loads is not in the request");
  }
  if (compacts(body["context_management"])) {
    demand.outputTokensBeside += demand.turnsMax * limits.outputTokensMax;
    demand.turnsMax *= 2;
    demand.unseenOutputTokens = undefined;
    addTurns(demand, "compaction: before each turn a full window may be read to summarise the conversation");
  }
  visitFallbacks(demand, body["fallbacks"]);
  if (facts.background) refuse(demand, "unpriced_endpoint", "the call is billed after it has ended.");

  // A server-side loop may write what it reads between its turns to the cache.
  if (demand.turnsMax > 1) cache.writes5m = true;
  if (cache.writes1h) demand.inputUnits = ["input", "cached_input", "cache_write_5m", "cache_write_1h"];
  else if (cache.writes5m) demand.inputUnits = ["input", "cached_input", "cache_write_5m"];
  if (cache.writes1h || cache.writes5m) {
    addComputable(demand, "cache", `every input token may be written to the cache for ${cache.writes1h ? "an hour" : "five minutes"}`);
  }
  return demand;
}

function addOutput(demand: Demand, { body, facts, limits }: Request): void {
  const cap = optionalCount(demand, body["max_tokens"], "max_tokens");
  const thinking = isObject(body["thinking"]) ? body["thinking"] : {};
  const budget = thinking["type"] === "enabled" ? (optionalCount(demand, thinking["budget_tokens"], "thinking.budget_tokens") ?? 0) : 0;
  demand.choices = facts.choices;
  // The cap is on thinking and text together. A budget above it is only taken with interleaved thinking, where it comes on top.
  const told = cap === undefined ? limits.outputTokensMax : budget >= cap ? cap + budget : cap;
  demand.outputTokensPerChoice = Math.min(told, limits.contextWindow);
  addComputable(
    demand,
    "output",
    `${grouped(demand.outputTokensPerChoice)} tokens at most${cap === undefined ? ", this model's maximum" : ", the cap that was set"}`,
  );
}

/** Thinking is billed in full and shown as a summary or not at all. */
function addThinking(demand: Demand, { body, facts }: Request): void {
  const thinking = isObject(body["thinking"]) ? body["thinking"] : undefined;
  const type = thinking?.["type"];
  if (type === "disabled" || (type === undefined && !thinksByDefault(facts.model))) {
    demand.unseenOutputTokens = 0;
    return;
  }
  const budget = thinking?.["budget_tokens"];
  if (type === "enabled" && typeof budget === "number" && Number.isSafeInteger(budget) && budget >= 0) {
    demand.unseenOutputTokens = Math.min(budget, demand.outputTokensPerChoice);
    addComputable(demand, "thinking", `${grouped(demand.unseenOutputTokens)} of the output tokens, the budget that was set`);
    return;
  }
  demand.unseenOutputTokens = undefined;
  addComputable(demand, "thinking", "any part of the output, without being seen");
}

type Cache = { writes5m: boolean; writes1h: boolean };
type Visit = { demand: Demand; request: Request; cache: Cache };

function noteCache(cache: Cache, holder: Body): void {
  const control = holder["cache_control"];
  if (control === undefined || control === null) return;
  const ttl = isObject(control) ? control["ttl"] : undefined;
  // A lifetime that we do not know is taken for the dearer one.
  if (ttl === undefined || ttl === null || ttl === "5m") cache.writes5m = true;
  else cache.writes1h = true;
}

function visitContent(visit: Visit, content: unknown): void {
  if (isObject(content)) visitBlock(visit, content);
  else for (const block of listOf(content)) if (isObject(block)) visitBlock(visit, block);
}

/** Blocks whose whole content stands in them, encrypted or not: no encryption is shorter than a byte for each token. */
const TOLD_BLOCKS: ReadonlySet<unknown> = new Set([
  "text",
  "thinking",
  "redacted_thinking",
  "tool_use",
  "server_tool_use",
  "mcp_tool_use",
  "tool_result",
  "mcp_tool_result",
  "search_result",
  "web_search_tool_result",
  "web_search_result",
  "web_search_tool_result_error",
  "tool_reference",
  "content",
]);

function visitBlock(visit: Visit, block: Body): void {
  const { demand, request, cache } = visit;
  demand.addedTokens += TOKENS_PER_BLOCK;
  noteCache(cache, block);
  const type = block["type"];
  switch (type) {
    case "text":
      return;
    case "image": {
      const tokens = pictureTokensMax("anthropic", request.facts.model, undefined);
      demand.addedTokens += tokens;
      if (isObject(block["source"]) && block["source"]["type"] === "base64") takeOutFile(demand, block["source"], "data");
      addComputable(demand, "picture", `${grouped(tokens)} tokens, the most Claude reads of one at any size`);
      return;
    }
    case "document": {
      const source = isObject(block["source"]) ? block["source"] : {};
      if (source["type"] === "content") visitContent(visit, source["content"]);
      else if (source["type"] !== "text") addWindow(demand, "document", "what the model reads of a file is not known before the call");
      return;
    }
    default:
      if (!TOLD_BLOCKS.has(type)) addWindow(demand, "earlier results", "a block of a kind whose size is not known before the call");
      visitContent(visit, block["content"]);
  }
}

const OWN_CALLER_TOOL = /^(?:bash|text_editor|computer|memory)_\d+$/;
const SERVER_TOOL = /^(?:web_search|web_fetch|code_execution|tool_search_tool)_/;

function visitTools(demand: Demand, body: Body, cache: Cache): void {
  const tools = listOf(body["tools"]);
  const servers = listOf(body["mcp_servers"]);
  if (tools.length === 0 && servers.length === 0) return;
  demand.addedTokens += TOKENS_OF_TOOL_PROMPT;
  let rounds = servers.length > 0 ? SERVER_TOOL_ROUNDS_MAX : 0;
  let searches = 0;
  const hosted = new Set<string>(servers.length > 0 ? ["MCP servers"] : []);
  for (const tool of tools) {
    demand.addedTokens += TOKENS_PER_TOOL;
    if (!isObject(tool)) continue;
    noteCache(cache, tool);
    const type = tool["type"];
    if (type === undefined || type === null || type === "custom") continue;
    if (typeof type === "string" && OWN_CALLER_TOOL.test(type)) {
      demand.addedTokens += TOKENS_PER_OWN_TOOL;
      continue;
    }
    if (type === "mcp_toolset") continue;
    if (typeof type !== "string" || !SERVER_TOOL.test(type)) {
      const name = typeof type === "string" ? type.slice(0, 64) : "without a type";
      refuse(demand, "bad_request", `the tool ${name} is not known here, so that its cost has no upper bound.`);
      continue;
    }
    const uses = optionalCount(demand, tool["max_uses"], "tools.max_uses");
    hosted.add(type);
    rounds += uses ?? SERVER_TOOL_ROUNDS_MAX;
    if (type.startsWith("code_execution")) demand.others.push({ units: ["code_execution"], quantity: 1 });
    if (!type.startsWith("web_search")) continue;
    if (uses === undefined) {
      refuse(
        demand,
        "bad_request",
        "web_search may search any number of times; set max_uses so that the cost of the call has an upper bound.",
      );
    }
    searches += uses ?? 0;
  }
  if (hosted.size === 0) return;
  const turns = Math.min(rounds, SERVER_TOOL_ROUNDS_MAX);
  demand.turnsMax += turns;
  demand.unseenOutputTokens = undefined;
  if (servers.length > 0) addWindow(demand, "MCP servers", "their lists of tools are not in the request");
  addTurns(demand, `${[...hosted].join(", ")}: ${grouped(turns)} rounds at most, each of which may read a full window`);
  if (searches > 0) {
    demand.others.push({ units: ["web_search"], quantity: searches });
    addComputable(demand, "web_search", `${grouped(searches)} searches at most, at the fee for each`);
  }
}

const compacts = (management: unknown): boolean =>
  isObject(management) && listOf(management["edits"]).some((edit) => !isObject(edit) || !String(edit["type"]).startsWith("clear_"));

/** Models that answer when the first declines; each may be billed for the whole call. */
function visitFallbacks(demand: Demand, fallbacks: unknown): void {
  if (fallbacks === undefined || fallbacks === null) return;
  if (!Array.isArray(fallbacks)) demand.fallbackModels.push(undefined);
  for (const entry of listOf(fallbacks)) {
    const model = isObject(entry) ? entry["model"] : entry;
    const named = typeof model === "string" ? model : undefined;
    demand.fallbackModels.push(named);
    const cap = isObject(entry) ? optionalCount(demand, entry["max_tokens"], "fallbacks.max_tokens") : undefined;
    demand.outputTokensPerChoice = Math.max(
      demand.outputTokensPerChoice,
      Math.min(cap ?? 0, limitsOfModel("anthropic", named).contextWindow),
    );
  }
  if (demand.fallbackModels.length > 0) {
    demand.unseenOutputTokens = undefined;
    addComputable(demand, "fallbacks", `${grouped(demand.fallbackModels.length)} further models may each be billed for the whole call`);
  }
}
