import type { OtherModelUsage, UsageQuantities } from "@/server/metering/usage";
import { UsageFields } from "@/server/metering/usage-fields";
import { isObject } from "@/server/metering/json-scanner";

export type AnthropicUsage = {
  /** Input is told first; output is absent until the first `message_delta`. */
  quantities: UsageQuantities;
  hasInput: boolean;
  hasOutput: boolean;
  unreadable: string[];
  unknownUnits: string[];
  /** Advisors: other models, at their own prices. */
  otherModels: OtherModelUsage[];
  /** A credit for the change of models was applied, of an amount that is not told: the bill is lower than these figures make it. */
  isUpperBound: boolean;
};

/** Fetching a page and searching for tools cost nothing beyond their tokens; turns are repeated in the totals, but for two kinds. */
const INFORMATIONAL: ReadonlySet<string> = new Set([
  "server_tool_use.web_fetch_requests",
  "server_tool_use.tool_search_requests",
  "iterations",
  "fallback_credit",
]);

/**
 * Turns that the totals leave out: compaction is work of the same model, an advisor is another model at its own price. Where a
 * fallback model served, the turn of the model that refused is left out too; it costs nothing when it put out nothing
 * (https://platform.claude.com/docs/en/build-with-claude/refusals-and-fallback).
 */
const COMPACTION = "compaction";
const ADVISOR = "advisor_message";
const FALLBACK = "fallback_message";
const TURNS_MAX = 1000;

/**
 * Anthropic's usage in disjoint units: `input_tokens` excludes the cache, thinking is part of the output
 * (https://platform.claude.com/docs/en/api/messages).
 *
 * @param usage the last value told of each field; in a stream they are cumulative.
 * @param isOutputFinal false while only `message_start` was seen, whose output count is a placeholder.
 */
export function readAnthropicUsage(usage: Record<string, unknown>, isOutputFinal: boolean): AnthropicUsage {
  const fields = new UsageFields(usage);
  const turn = readTurn(fields);
  const thinking = fields.count("output_tokens_details", "thinking_tokens") ?? 0;
  const webSearches = fields.count("server_tool_use", "web_search_requests") ?? 0;
  const codeExecutions = fields.count("server_tool_use", "code_execution_requests") ?? 0;
  const added = readAddedTurns(usage["iterations"]);
  const output = isOutputFinal ? turn.output : undefined;

  const quantities: UsageQuantities = {};
  if (turn.input !== undefined) quantities.input = turn.input + added.input;
  if (output !== undefined) {
    const reasoning = Math.min(thinking, output);
    quantities.output = output - reasoning + added.output;
    if (reasoning > 0) quantities.reasoning = reasoning;
  }
  const used = {
    cached_input: turn.cached + added.cached,
    cache_write_5m: turn.written5m + added.written5m,
    cache_write_1h: turn.written1h + added.written1h,
    web_search: webSearches,
    code_execution: codeExecutions,
  } satisfies UsageQuantities;
  for (const [unit, quantity] of Object.entries(used)) if (quantity > 0) quantities[unit as keyof typeof used] = quantity;
  return {
    quantities,
    hasInput: turn.input !== undefined,
    hasOutput: output !== undefined,
    unreadable: [...fields.unreadable, ...added.unreadable],
    unknownUnits: [...fields.unknownUnits(INFORMATIONAL), ...added.unknownUnits],
    otherModels: added.otherModels,
    isUpperBound: fields.text("fallback_credit", "type") === "redeemed",
  };
}

type Turn = { input: number | undefined; output: number | undefined; cached: number; written5m: number; written1h: number };

function readTurn(fields: UsageFields): Turn {
  const total = fields.count("cache_creation_input_tokens");
  const told5m = fields.count("cache_creation", "ephemeral_5m_input_tokens");
  const told1h = fields.count("cache_creation", "ephemeral_1h_input_tokens");
  const known5m = told5m ?? 0;
  const known1h = told1h ?? 0;
  const rest = Math.max(0, (total ?? 0) - known5m - known1h);
  // What the split does not name goes where it is missing, or where the rest of this call's writes went.
  const isRestOneHour = (told5m !== undefined && told1h === undefined) || (known5m === 0 && known1h > 0 && told5m !== undefined);
  return {
    input: fields.count("input_tokens"),
    output: fields.count("output_tokens"),
    cached: fields.count("cache_read_input_tokens") ?? 0,
    written5m: known5m + (isRestOneHour ? 0 : rest),
    written1h: known1h + (isRestOneHour ? rest : 0),
  };
}

type AddedTurns = {
  input: number;
  output: number;
  cached: number;
  written5m: number;
  written1h: number;
  otherModels: OtherModelUsage[];
  unreadable: string[];
  unknownUnits: string[];
};

function readAddedTurns(iterations: unknown): AddedTurns {
  const added: AddedTurns = {
    input: 0,
    output: 0,
    cached: 0,
    written5m: 0,
    written1h: 0,
    otherModels: [],
    unreadable: [],
    unknownUnits: [],
  };
  if (!Array.isArray(iterations)) return added;
  const turns = iterations.slice(0, TURNS_MAX).filter(isObject);
  const servedBy = turns.find((turn) => turn["type"] === FALLBACK)?.["model"];
  for (const iteration of turns) {
    const { type, model } = iteration;
    const isRefusedTurn = servedBy !== undefined && type === "message" && typeof model === "string" && model !== servedBy;
    if (type !== COMPACTION && type !== ADVISOR && !isRefusedTurn) continue;
    const fields = new UsageFields(iteration);
    const turn = readTurn(fields);
    added.unreadable.push(...fields.unreadable.map((path) => `iterations.${path}`));
    if (type === COMPACTION) {
      added.input += turn.input ?? 0;
      added.output += turn.output ?? 0;
      added.cached += turn.cached;
      added.written5m += turn.written5m;
      added.written1h += turn.written1h;
    } else if (type === ADVISOR && typeof model === "string" && model !== "") {
      added.otherModels.push({ model, quantities: quantitiesOf(turn) });
    } else if (type === ADVISOR || (turn.output ?? 0) > 0) {
      const unit = type === ADVISOR ? ADVISOR : "refused_message";
      if (!added.unknownUnits.includes(unit)) added.unknownUnits.push(unit);
    }
  }
  return added;
}

function quantitiesOf({ input, output, cached, written5m, written1h }: Turn): UsageQuantities {
  const all = { input, output, cached_input: cached, cache_write_5m: written5m, cache_write_1h: written1h } satisfies UsageQuantities;
  return Object.fromEntries(Object.entries(all).filter(([, quantity]) => quantity !== undefined && quantity > 0));
}
