import type { Quantities, Scenario } from "./scenario";
import { countTokens, cutAtTokens, textOfTokens, type Piece } from "./tokens";
import type { WireRequest } from "./wire-server";

/** One piece of an answer's body, in the order in which it is sent. */
export type AnswerEvent = {
  bytes: Buffer;
  /** Output tokens produced once this piece has been sent. */
  produced: { output: number; reasoning: number };
};

/** An answer ready to be sent: the body in events (one, when it does not stream). */
export type Answer = {
  status: number;
  statusMessage: string;
  /** End-to-end headers, name and value in turn; framing is added by the sender. */
  headers: string[];
  events: AnswerEvent[];
  streams: boolean;
  /** What the provider bills for the whole answer. */
  bill: Quantities;
};

export const NO_TOKENS: Quantities = {
  input: 0,
  cached: 0,
  cacheWrite5m: 0,
  cacheWrite1h: 0,
  output: 0,
  reasoning: 0,
  webSearches: 0,
};

export type Said = {
  text: string;
  pieces: Piece[];
  thinking: Piece[];
  bill: Quantities;
  /** The output was cut at the caller's cap. */
  capped: boolean;
};

const DEFAULT_TEXT = "Hello! This is the answer of a provider that costs nothing and always says the same thing.";

/** What the model says to a request, and what that costs. */
export function say(input: { scenario: Scenario; promptTokens: number; outputTokensMax: number | undefined }): Said {
  const { scenario } = input;
  const told = scenario.tokens ?? {};
  const text = scenario.text ?? (told.output === undefined || scenario.tools ? DEFAULT_TEXT : textOfTokens(told.output));
  const thinking = scenario.thinking ?? "";
  const reasoning = told.reasoning ?? countTokens(thinking);
  // Hidden and visible reasoning count against the caller's cap first, as with the providers.
  const room = Math.max(0, (input.outputTokensMax ?? Number.MAX_SAFE_INTEGER) - reasoning);
  const said = scenario.tools && scenario.text === undefined ? "" : text;
  const cut = cutAtTokens({ text: said, count: scenario.chunks ?? 8, tokensMax: room });
  const toolTokens = (scenario.tools ?? []).reduce((total, tool) => total + countTokens(tool.arguments) + countTokens(tool.name) + 4, 0);
  return {
    text: cut.pieces.map((piece) => piece.text).join(""),
    pieces: cut.pieces,
    thinking: thinking === "" ? [] : cutAtTokens({ text: thinking, count: 4, tokensMax: Number.MAX_SAFE_INTEGER }).pieces,
    capped: cut.capped,
    bill: {
      input: told.input ?? input.promptTokens,
      cached: told.cached ?? 0,
      cacheWrite5m: told.cacheWrite5m ?? 0,
      cacheWrite1h: told.cacheWrite1h ?? 0,
      output: cut.capped ? cut.tokens : (told.output ?? cut.tokens + toolTokens),
      reasoning,
      webSearches: told.webSearches ?? 0,
    },
  };
}

/** The request's JSON body, or undefined when it is not a JSON object. */
export function jsonBody(request: WireRequest): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(request.body.toString("utf8"));
    return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}

export const numberOr = (value: unknown): number | undefined => (typeof value === "number" && Number.isFinite(value) ? value : undefined);
export const stringOr = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined);
export const recordOr = (value: unknown): Record<string, unknown> | undefined =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : undefined;

/** An answer that is one JSON document. */
export function jsonAnswer(input: { status?: number; headers: string[]; body: unknown; bill?: Quantities }): Answer {
  const bill = input.bill ?? NO_TOKENS;
  return {
    status: input.status ?? 200,
    statusMessage: "",
    headers: ["Content-Type", "application/json", ...input.headers],
    events: [{ bytes: Buffer.from(JSON.stringify(input.body)), produced: { output: bill.output, reasoning: bill.reasoning } }],
    streams: false,
    bill,
  };
}
