import { type NanoUsd, type PicoUsd, ZERO_NANO, nanoToUsdString, nanoUsd, picoUsd } from "@/lib/money";
import type { DearestPriceKind } from "@/server/pricing/dearest-price";
import type { ModelPrice, PriceQuery, Rate } from "@/server/pricing/price-book";
import { isObject } from "../json-scanner";
import type { UsageQuantities, UsageUnit } from "../usage";
import { anthropicDemand } from "./anthropic-demand";
import { type Amount, type Demand, type HoldFeature, type HoldRefusalCode, grouped } from "./demand";
import { ANYTHING_UNSAID, type HoldInput } from "./hold-input";
import { type ModelLimits, limitsOfModel } from "./model-limits";
import { openaiDemand } from "./openai-demand";
import { type PricedDemand, ceilToNano, priceDemand } from "./price-demand";
import { tokensAtMost } from "./token-bound";

/** The most a call can cost, provided that the provider keeps to its own documentation. */
export type BoundedHold = {
  outcome: "bounded";
  bound: NanoUsd;
  /** What the bound was made from: upper bounds in the units they are dearest in. */
  quantities: UsageQuantities;
  /** All answers together, thinking included. */
  outputTokensBound: number;
  /** Dearest rate of one more output token. */
  perOutputTokenPico: PicoUsd;
  /** The bound without its output tokens: input, tools, fees. */
  withoutOutputPico: PicoUsd;
  /** How a stream can start on less than the bound; null where that cannot be kept to. */
  cut: HoldCut | null;
  /** The price of the estimate; the settlement is priced by what served. */
  priceVersion: string;
  /** What the estimate is made of, for people. */
  explain(): string[];
};

/** A stream all of whose output we see, apart from `unseenOutputTokens`: its hold may start at `floor` and grow. */
export type HoldCut = {
  floor: NanoUsd;
  /** Output tokens that `floor` pays for, the unseen ones among them. */
  floorOutputTokens: number;
  /** Output that may be billed although we never see it (thinking within a budget): counted as produced from the start. */
  unseenOutputTokens: number;
};

/** No hard budget can admit the call, whatever it has left. */
export type RefusedHold = { outcome: "refused"; code: HoldRefusalCode; message: string };

/** The budget's `unpricedPolicy` decides (CONTRACT §11). */
export type UnpricedHold = {
  outcome: "unpriced";
  /** Undefined: the call names no model. */
  model: string | undefined;
  /** Empty: the model has no price at all. */
  missingUnits: UsageUnit[];
  /** The hold at the provider's dearest current price; null: the provider has no price that could stand in. */
  ceiling: BoundedHold | null;
  message: string;
};

export type Hold = BoundedHold | RefusedHold | UnpricedHold;

/** A reduced hold pays for at least so many output tokens of each answer. */
const CUT_OUTPUT_TOKENS_MIN = 256;
/** What a BIGINT of nanodollars holds, with room for sums. */
const BOUND_MAX = 4_000_000_000_000_000_000n;

/**
 * How much to hold for a call before it is sent (DESIGN §4, "How much to hold"). Text is bounded by its bytes, because no token is
 * shorter than one: quick, provable, and about four times too much for English. Where that does not fit a budget, ask
 * {@link tightenHold} before denying.
 */
export function computeHold(input: HoldInput): Hold {
  const request = readRequest(input);
  return "outcome" in request ? request : holdOf({ input, request, textTokens: request.demand.textBytes });
}

/**
 * The same with the text counted by a tokenizer, so that money which is there is not refused. Never above {@link computeHold};
 * takes some milliseconds for a large prompt, and 130 once to load the vocabulary.
 */
export async function tightenHold(input: HoldInput): Promise<Hold> {
  const request = readRequest(input);
  if ("outcome" in request) return request;
  const counted = await countedText(request, input.facts.model);
  return holdOf({ input, request, textTokens: Math.min(request.demand.textBytes, counted) });
}

/** What the call costs when it has produced so many output tokens in all (the unseen ones counted as produced). */
export function costWithOutput(hold: Pick<BoundedHold, "withoutOutputPico" | "perOutputTokenPico">, outputTokens: number): NanoUsd {
  return ceilToNano(hold.withoutOutputPico + BigInt(outputTokens) * hold.perOutputTokenPico);
}

/** How many output tokens, unseen ones included, an amount pays for; 0 where it does not even pay for the input. */
export function outputTokensAffordable(
  hold: Pick<BoundedHold, "withoutOutputPico" | "perOutputTokenPico" | "outputTokensBound">,
  available: NanoUsd,
): number {
  const pico = available * 1000n - hold.withoutOutputPico;
  if (pico < 0n) return 0;
  if (hold.perOutputTokenPico === 0n) return hold.outputTokensBound;
  const tokens = pico / hold.perOutputTokenPico;
  return tokens < BigInt(hold.outputTokensBound) ? Number(tokens) : hold.outputTokensBound;
}

/** `isWhole` is false for forms, which are not taken apart here. */
type ReadRequest = { demand: Demand; body: Record<string, unknown>; isWhole: boolean };

const NOTHING: BoundedHold = {
  outcome: "bounded",
  bound: ZERO_NANO,
  quantities: {},
  outputTokensBound: 0,
  perOutputTokenPico: picoUsd(0n),
  withoutOutputPico: picoUsd(0n),
  cut: null,
  priceVersion: "free",
  explain: () => ["the call costs nothing"],
};

const refused = (code: HoldRefusalCode, message: string): RefusedHold => ({ outcome: "refused", code, message });

function readRequest({ dialect, provider, method, endpoint, body: bytes, facts }: HoldInput): ReadRequest | RefusedHold | BoundedHold {
  const isRead = method === "GET" || method === "HEAD" || method === "DELETE";
  if (endpoint.class === "free" || (isRead && endpoint.class !== "priced")) return NOTHING;
  if (endpoint.class === "deferred") {
    return refused(
      "unpriced_endpoint",
      `what ${endpoint.name} creates is billed after this call has ended, so that no budget can hold it.`,
    );
  }
  if (endpoint.class === "other") return refused("unpriced_endpoint", "the cost of this endpoint is not known.");

  if (!isCount(facts.choices) || !isCount(facts.inputCharacters ?? 0))
    return refused("bad_request", "a count of the request is no whole number.");
  const bodyBytes = bytes?.length ?? 0;
  const isWhole = endpoint.body === "json";
  const body = isWhole ? parseObject(bytes) : {};
  if (body === undefined) return refused("bad_request", "the request body is not a JSON object.");
  const limits = limitsOfModel(dialect, facts.model);
  const request = { endpointName: endpoint.name, provider, body, bodyBytes, facts, limits };
  const demand = dialect === "openai" ? openaiDemand(request) : anthropicDemand(request);
  return demand.refusal ? refused(demand.refusal.code, demand.refusal.message) : { demand, body, isWhole };
}

const isCount = (value: number): boolean => Number.isSafeInteger(value) && value >= 0;

function parseObject(bytes: Uint8Array | undefined): Record<string, unknown> | undefined {
  if (bytes === undefined) return undefined;
  try {
    const parsed: unknown = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8"));
    return isObject(parsed) ? parsed : undefined;
  } catch {
    return undefined;
  }
}

type HoldParts = { input: HoldInput; request: ReadRequest; textTokens: number };

function holdOf(parts: HoldParts): Hold {
  const { input, request } = parts;
  const { demand } = request;
  const model = input.facts.model;
  const attempts: PricedDemand[] = [];
  const versions = new Set<string>();
  let missingUnits: UsageUnit[] = [];
  let isUnpriced = false;
  let isCeilingKnown = true;

  for (const [index, attempted] of [model, ...demand.fallbackModels].entries()) {
    // A model that the provider chooses costs at most what its dearest does.
    const isChosenByProvider = index > 0 && attempted === undefined;
    const own = isChosenByProvider ? undefined : dearestVariant(parts, attempted);
    if (own?.ok) {
      attempts.push(own.priced);
      versions.add(own.version);
      continue;
    }
    if (!isChosenByProvider) {
      isUnpriced = true;
      missingUnits = own?.missingUnits ?? [];
    }
    const ceiling = ceilingOf(parts, attempted, own);
    if (!ceiling) {
      isCeilingKnown = false;
      break;
    }
    attempts.push(ceiling.priced);
    versions.add(ceiling.version);
  }

  const bounded = isCeilingKnown ? boundedHold(parts, attempts, [...versions].join(" ")) : null;
  if (bounded?.outcome === "refused") return bounded;
  if (!isUnpriced && bounded) return bounded;
  const what = missingUnits.length > 0 ? `${missingUnits.join(", ")} of ${model}` : (model ?? "a call that names no model");
  return { outcome: "unpriced", model, missingUnits, ceiling: bounded, message: `there is no price for ${what}.` };
}

type VariantResult = { ok: true; priced: PricedDemand; version: string } | { ok: false; missingUnits: UsageUnit[]; price: ModelPrice };

/** The dearest of the tiers and regions that the request may be served in; undefined when the model has no price. */
function dearestVariant(parts: HoldParts, model: string | undefined): VariantResult | undefined {
  if (model === undefined) return undefined;
  const { input } = parts;
  let dearest: Extract<VariantResult, { ok: true }> | undefined;
  let previous: ModelPrice | undefined;
  for (const variant of variantsOf(input)) {
    const price = input.findPrice({
      ...variant,
      provider: input.provider,
      model,
      requestedModel: model,
      atMs: input.atMs,
      orgId: input.orgId,
    });
    // Not every model is served in every tier; one of them has to have a price.
    if (price === undefined || price === previous) continue;
    previous = price;
    const result = priceAt(parts, model, price);
    if (!result.ok) return { ok: false, missingUnits: result.missingUnits, price };
    if (dearest === undefined || result.priced.totalPico > dearest.priced.totalPico) {
      dearest = { ok: true, priced: result.priced, version: price.version };
    }
  }
  return dearest;
}

type Variant = Pick<PriceQuery, "serviceTier" | "speed" | "inferenceGeo">;

/** Tier and region in the words in which an answer would name them. */
function variantsOf({ dialect, facts, unsaid = ANYTHING_UNSAID }: HoldInput): Variant[] {
  if (dialect === "openai") {
    const tier = facts.serviceTier;
    return (tier === undefined || tier === "auto" ? unsaid.serviceTiers : [tier]).map((serviceTier) => ({ serviceTier }));
  }
  // `auto` and `standard_only` are how capacity is used; Anthropic has one price for both.
  const geos = facts.inferenceGeo === undefined ? unsaid.inferenceGeos : [facts.inferenceGeo];
  return geos.map((inferenceGeo) => ({ ...(facts.speed !== undefined && { speed: facts.speed }), inferenceGeo }));
}

/** Fees that no list has, at their dearest published size, in picodollars for each: they only ever stand in for a missing price. */
const CODE_EXECUTION_CEILING_PICO = {
  // The largest container, 64 GB, for a session of 20 minutes (https://developers.openai.com/api/docs/pricing#built-in-tools).
  openai: 1_920_000_000_000n,
  // An hour of one container (https://platform.claude.com/docs/en/about-claude/pricing#tool-use-pricing).
  anthropic: 50_000_000_000n,
} as const satisfies Record<HoldInput["dialect"], bigint>;

/**
 * Fast modes cost up to six times a model's list price ($30 and $150 a million for Claude Opus 4.6,
 * https://platform.claude.com/docs/en/build-with-claude/fast-mode), and a region can come on top. That is more than the dearest list price,
 * by less than this.
 */
const FAST_OVER_DEAREST = 4n;

/** What stands in for a missing price: the provider's dearest, for all units or for those that the model's own price lacks. */
function ceilingOf(
  parts: HoldParts,
  model: string | undefined,
  own: Extract<VariantResult, { ok: false }> | undefined,
): { priced: PricedDemand; version: string } | undefined {
  const { input, request } = parts;
  const find = (kind: DearestPriceKind): ModelPrice | undefined =>
    input.findDearestPrice({ provider: input.provider, kind, atMs: input.atMs });
  const dearest = find(request.demand.kind);
  if (dearest === undefined) return undefined;
  const isFast = input.dialect === "anthropic" && input.facts.speed !== undefined && input.facts.speed !== "standard";
  const standIns: Rate[] = [
    { unit: "code_execution", pico: picoUsd(CODE_EXECUTION_CEILING_PICO[input.dialect]), fromInputTokens: 0 },
    ...(isFast ? dearest.rates.map((rate) => ({ ...rate, pico: picoUsd(rate.pico * FAST_OVER_DEAREST) })) : dearest.rates),
    // Pictures made in the course of a text answer are another kind of work.
    ...(find("images")?.rates.filter((rate) => rate.unit === "image_output") ?? []),
  ];
  const price: ModelPrice = own
    ? { ...own.price, rates: [...own.price.rates, ...standIns.filter((rate) => own.missingUnits.includes(rate.unit))] }
    : { ...dearest, rates: standIns };
  const result = priceAt(parts, model, price);
  return result.ok ? { priced: result.priced, version: own ? `${own.price.version} ${dearest.version}` : dearest.version } : undefined;
}

function priceAt(parts: HoldParts, model: string | undefined, price: ModelPrice): ReturnType<typeof priceDemand> {
  const { input, request, textTokens } = parts;
  const { demand } = request;
  const limits = limitsOfModel(input.dialect, model);
  const text: Amount = { units: demand.inputUnits, quantity: inputTokensOf(demand, limits, textTokens) };
  const output: Amount = { units: demand.outputUnits, quantity: outputTokensOf(demand) };
  return priceDemand({ amounts: [text, ...demand.others], output, price, isBilledEitherWay: demand.isBilledEitherWay });
}

function inputTokensOf(demand: Demand, limits: ModelLimits, textTokens: number): number {
  const told = textTokens + demand.addedTokens;
  const first = demand.fillsWindow ? limits.contextWindow : demand.inputFitsWindow ? Math.min(told, limits.contextWindow) : told;
  return first + (demand.turnsMax - 1) * limits.contextWindow;
}

const outputTokensOf = (demand: Demand): number => demand.outputTokensPerChoice * demand.choices + demand.outputTokensBeside;

function boundedHold(parts: HoldParts, attempts: readonly PricedDemand[], priceVersion: string): BoundedHold | RefusedHold {
  const { request, textTokens } = parts;
  const { demand } = request;
  const [first] = attempts;
  if (!first) throw new Error("a hold without a model to price it for");
  let withoutOutput = 0n;
  let perOutputToken = 0n;
  const quantities: UsageQuantities = {};
  for (const attempt of attempts) {
    withoutOutput += attempt.withoutOutputPico;
    perOutputToken += attempt.perOutputTokenPico;
    for (const [unit, quantity] of Object.entries(attempt.quantities)) {
      quantities[unit as UsageUnit] = (quantities[unit as UsageUnit] ?? 0) + quantity;
    }
  }
  const outputTokensBound = first.outputTokens;
  const isCountable = Object.values(quantities).every((quantity) => Number.isSafeInteger(quantity));
  const bound = isCountable ? ceilToNano(withoutOutput + BigInt(outputTokensBound) * perOutputToken) : nanoUsd(BOUND_MAX + 1n);
  if (bound > BOUND_MAX) return refused("bad_request", "the call asks for more than can be paid for.");
  const hold = {
    outcome: "bounded" as const,
    bound,
    quantities,
    outputTokensBound,
    perOutputTokenPico: picoUsd(perOutputToken),
    withoutOutputPico: picoUsd(withoutOutput),
    priceVersion,
  };
  return {
    ...hold,
    cut: cutOf(parts, hold),
    explain: () => explanation({ features: demand.features, textTokens, demand, hold }),
  };
}

/** Endpoints whose streams are text that can be counted while it passes, and ended with an event of their own. */
const CUTTABLE: ReadonlySet<string> = new Set(["chat/completions", "responses", "completions", "messages"]);

function cutOf({ input, request }: HoldParts, hold: Omit<BoundedHold, "cut" | "explain">): HoldCut | null {
  const { demand } = request;
  const unseen = demand.unseenOutputTokens;
  if (!input.facts.stream || unseen === undefined || !CUTTABLE.has(input.endpoint.name)) return null;
  if (demand.turnsMax > 1 || demand.fallbackModels.length > 0) return null;
  const visibleMin = Math.min(CUT_OUTPUT_TOKENS_MIN, demand.outputTokensPerChoice) * demand.choices;
  const floorOutputTokens = unseen + visibleMin;
  if (floorOutputTokens >= hold.outputTokensBound) return null;
  return { floor: costWithOutput(hold, floorOutputTokens), floorOutputTokens, unseenOutputTokens: unseen };
}

/** Each feature with its figure, then what it comes to. */
function explanation(input: {
  features: readonly HoldFeature[];
  textTokens: number;
  demand: Demand;
  hold: Omit<BoundedHold, "cut" | "explain">;
}): string[] {
  const { features, textTokens, demand, hold } = input;
  const counted = textTokens < demand.textBytes ? "counted with a tokenizer, rounded up" : "a token has at least one byte";
  const lines = [`text: ${grouped(demand.textBytes)} bytes are ${grouped(textTokens)} tokens at most (${counted})`];
  if (demand.addedTokens > 0)
    lines.push(`added by the provider's templates, tools and pictures: ${grouped(demand.addedTokens)} tokens at most`);
  const times = new Map<string, number>();
  for (const { feature, how, detail } of features) {
    const line = `${feature} (${how}): ${detail}`;
    times.set(line, (times.get(line) ?? 0) + 1);
  }
  for (const [line, count] of times) lines.push(count > 1 ? `${line}, ${grouped(count)} times` : line);
  const billed = Object.entries(hold.quantities).map(([unit, quantity]) => `${grouped(quantity)} ${unit.replaceAll("_", " ")}`);
  lines.push(`billed as ${billed.join(", ") || "nothing"} at the dearest rates of ${hold.priceVersion}: $${nanoToUsdString(hold.bound)}`);
  return lines;
}

/** Structure that the model may read between two values, and numbers by their digits. */
const TOKENS_PER_VALUE = 3;

/** Every text of the request on its own, names of members included. */
async function countedText({ demand, body, isWhole }: ReadRequest, model: string | undefined): Promise<number> {
  if (!isWhole || demand.fillsWindow || demand.textBytes > COUNTED_TEXT_BYTES_MAX) return demand.textBytes;
  const keys = new Map<string, number>();
  let tokens = 0;
  const pending: unknown[] = [body];
  while (pending.length > 0) {
    const value = pending.pop();
    tokens += TOKENS_PER_VALUE;
    if (typeof value === "string") tokens += await tokensAtMost(value, model);
    else if (typeof value === "number") tokens += String(value).length;
    else if (Array.isArray(value)) for (const member of value) pending.push(member);
    else if (isObject(value)) {
      const file = demand.files.get(value);
      for (const [key, member] of Object.entries(value)) {
        // Citations split documents into sentences and name each; how much that adds is not documented.
        if (key === "citations") return demand.textBytes;
        let tokensOfKey = keys.get(key);
        if (tokensOfKey === undefined) keys.set(key, (tokensOfKey = await tokensAtMost(key, model)));
        tokens += tokensOfKey;
        if (key !== file) pending.push(member);
      }
    }
    // What is above the bytes already cannot tighten anything.
    if (tokens >= demand.textBytes) return demand.textBytes;
  }
  return tokens;
}

/** Larger prompts are not worth the time: a call that large is denied or admitted by its bytes. */
const COUNTED_TEXT_BYTES_MAX = 1024 * 1024;
