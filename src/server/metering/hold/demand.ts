import type { UsageUnit } from "../usage";
import type { DearestPriceKind } from "@/server/pricing/dearest-price";

/** How a feature of a request is bounded (DESIGN §4). */
export type HoldFeature = {
  feature: string;
  how: "computable" | "context window";
  /** The bound in words, with its figure. */
  detail: string;
};

export type HoldRefusalCode = "unpriced_endpoint" | "unpriced_model" | "bad_request";

/** What a hard budget cannot admit: no figure bounds it, or it is billed in another call. */
export type HoldRefusal = { code: HoldRefusalCode; message: string };

/** So much of one thing, billed as whichever of the units is dearest. */
export type Amount = { units: readonly UsageUnit[]; quantity: number };

/** What a request can make the provider do, before prices. */
export type Demand = {
  kind: DearestPriceKind;
  /** Bytes of the body that may be text the model reads; a token is at least one of them. */
  textBytes: number;
  /** Members that hold a file and no text, by the object they stand in, so that a tokenizer leaves them out. */
  files: Map<object, string>;
  /** Tokens that the provider's own templates add, and pictures. */
  addedTokens: number;
  /** Something stands in the request whose size is not in it: the whole window is taken for the first turn. */
  fillsWindow: boolean;
  /** The model is run so many times at most, and each turn after the first may read a full window. */
  turnsMax: number;
  /** What input tokens may be billed as. */
  inputUnits: readonly UsageUnit[];
  outputUnits: readonly UsageUnit[];
  /** False where the window does not bound the input (many texts to embed). */
  inputFitsWindow: boolean;
  /** Output tokens of each of the `choices`, thinking included. */
  outputTokensPerChoice: number;
  choices: number;
  /** Output beside the cap: predicted text that was not used, a summary of a conversation that is compacted. */
  outputTokensBeside: number;
  /** Output that is billed and that we cannot see, within a bound; undefined: any part of the output may be unseen. */
  unseenOutputTokens: number | undefined;
  /** Amounts in units of their own. */
  others: Amount[];
  /** Bills by time or characters and bills by tokens are alternatives: the model's price says which. */
  isBilledEitherWay: boolean;
  /** Models that may answer, and be billed, after the first. `undefined` stands for one that the provider chooses. */
  fallbackModels: (string | undefined)[];
  features: HoldFeature[];
  /** The first reason why a hard budget cannot admit the call. */
  refusal: HoldRefusal | undefined;
};

export const newDemand = (kind: DearestPriceKind, bodyBytes: number): Demand => ({
  kind,
  textBytes: bodyBytes,
  files: new Map(),
  addedTokens: 0,
  fillsWindow: false,
  turnsMax: 1,
  inputUnits: ["input"],
  outputUnits: ["output", "reasoning"],
  inputFitsWindow: true,
  outputTokensPerChoice: 0,
  choices: 1,
  outputTokensBeside: 0,
  unseenOutputTokens: undefined,
  others: [],
  isBilledEitherWay: kind === "speech" || kind === "transcription",
  fallbackModels: [],
  features: [],
  refusal: undefined,
});

export function addComputable(demand: Demand, feature: string, detail: string): void {
  demand.features.push({ feature, how: "computable", detail });
}

export function addWindow(demand: Demand, feature: string, detail: string): void {
  demand.fillsWindow = true;
  // A hundred files are one reason.
  if (demand.features.some((known) => known.feature === feature && known.how === "context window")) return;
  demand.features.push({ feature, how: "context window", detail });
}

/** Further turns within one answer; `turnsMax` has their number. */
export function addTurns(demand: Demand, detail: string): void {
  demand.features.push({ feature: "further turns", how: "context window", detail });
}

export function refuse(demand: Demand, code: HoldRefusalCode, message: string): void {
  demand.refusal ??= { code, message };
}

/** The member is a file: its characters are no text that the model reads. */
export function takeOutFile(demand: Demand, holder: Record<string, unknown>, key: string): void {
  const data = holder[key];
  if (typeof data !== "string" || demand.files.has(holder)) return;
  // Base64 is ASCII, and escapes only make it longer in the body, so that never more is taken out than stands there.
  demand.textBytes -= data.length;
  demand.files.set(holder, key);
}

/** A whole number of zero or more, or nothing. Anything else must not become "no limit". */
export function optionalCount(demand: Demand, value: unknown, path: string): number | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
  refuse(demand, "bad_request", `${path} must be a whole number of 0 or more.`);
  return undefined;
}

export const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

/** 1234567 → "1,234,567". */
export function grouped(value: number): string {
  const digits = String(value);
  let text = digits.slice(0, digits.length % 3);
  for (let i = digits.length % 3; i < digits.length; i += 3) text += (text === "" ? "" : ",") + digits.slice(i, i + 3);
  return text;
}
