import type { UsageQuantities, UsageReport } from "@/server/metering/usage";
import type { ToolCall } from "@/server/events/cost-event";

export type ProviderName = "openai" | "anthropic";

/** What CONTRACT §1 says of a path: priced, free (passed, logged), later (usage comes back in another call), or anything else. */
export type EndpointClass = "priced" | "free" | "deferred" | "other";

export type Endpoint = {
  class: EndpointClass;
  /** Short stable name for events and metrics, e.g. `chat/completions`, `responses`, `messages`. */
  name: string;
  /** How the request body is to be read; `none` for bodies that pass unread. */
  body: "json" | "multipart" | "none";
};

/** What the gateway needs from a request body. Read without altering a byte. */
export type RequestFacts = {
  model?: string;
  stream: boolean;
  serviceTier?: string;
  /** Caller's own cap on output tokens, where the API has one. */
  outputTokensMax?: number;
  /** How many answers were asked for (`n`), 1 when not said. */
  choices: number;
  /** OpenAI chat only: the caller set `stream_options.include_usage` to true itself. */
  asksStreamUsage: boolean;
  /** The model may think where we cannot see it (reasoning models without visible thinking). */
  thinksUnseen: boolean;
  /** OpenAI `background: true`: the cost arrives in a later call. */
  background: boolean;
  /** Claude Code and others name their session in the body; used when no header does. */
  sessionId?: string;
  /** How hard the model is asked to think, in the provider's word (`low`, `high`, `none`, …). */
  reasoningEffort?: string;
  /** Anthropic: tokens the model may think at most. */
  thinkingBudget?: number;
  /** Anthropic's fast mode or data region, where asked for. */
  speed?: string;
  inferenceGeo?: string;
  /** Speech: characters (code points) to be spoken. */
  inputCharacters?: number;
};

export type ReadRequestResult =
  | { ok: true; facts: RequestFacts }
  | { ok: false; code: "bad_request" | "ambiguous_body"; message: string; issues: { path: string; message: string }[] };

/** Units of which an answer shows each use as an item of its output. */
export type BilledItem =
  | "web_search"
  | "web_search_preview"
  | "file_search"
  | "code_execution"
  | "container_1g"
  | "container_4g"
  | "container_16g"
  | "container_64g";

/** What a meter knows of an answer, at the end or whenever it is asked. */
export type Metered = {
  /** Usage as the provider told it; undefined when it told none (or only a part: see `usageComplete`). */
  usage?: UsageReport;
  /** True once the usage is the final one (Anthropic tells input first and output cumulatively). */
  usageComplete: boolean;
  /** Figures of the usage that cannot be counts (negative, fractional, text). Any makes `usage` undefined. */
  unreadable?: string[];
  /** Model and tier that served, also where no usage was told. */
  model?: string;
  serviceTier?: string;
  /**
   * The protocol's own end was seen: `[DONE]`, `message_stop`, `response.completed`, or a whole JSON document. A body with no
   * end of its own (audio, plain text) ends where HTTP says it does, that is when `end` is called.
   */
  terminal: boolean;
  /** Output text seen so far, for counting when the provider tells no usage; empty once it has. */
  visibleText: string;
  /** Characters of output text past what is held in `visibleText`. */
  visibleCharactersDropped?: number;
  /** Items in the output that are billed by the call, seen so far; once usage is told they are in it. */
  billedItems?: Pick<UsageQuantities, BilledItem>;
  /**
   * Anthropic announces thinking by a block of its own, even where none of its text is shown: true once one came, false when output
   * came without. Undefined: the answer does not tell, or not yet.
   */
  thought?: boolean;
  /** The provider's id of this request, where the body names it (errors of Anthropic). */
  requestId?: string;
  /** The id of the answer itself: `chatcmpl-…`, `resp_…`, `msg_…`. */
  responseId?: string;
  stopReason?: string;
  toolCalls: ToolCall[];
  /** Code or type of an error the provider put inside a 200 answer. Never its message, which may repeat what the caller sent. */
  inBandError?: string;
  /** OpenAI Responses: made in the background, so that its usage may be told many times, and only after the call that began it. */
  background?: boolean;
  /** OpenAI Responses: the `sequence_number` that the stream's next event would have. */
  nextSequenceNumber?: number;
};

/** Reads an answer on the side. Never throws, never holds up bytes; what it cannot read it leaves unknown. */
export interface ResponseMeter {
  /** A piece of the (decoded) body, cut anywhere. */
  push(chunk: Uint8Array): void;
  /** Tells each piece of visible output as it is read: for streams that have to be counted while they pass. */
  watchText(listener: (piece: string) => void): void;
  /** No more bytes will come. */
  end(): void;
  /** The stream's own end was seen. */
  readonly terminal: boolean;
  /** May be asked at any time; cheap only at the end. */
  result(): Metered;
}

export type DenialShape = {
  status: number;
  code: string;
  message: string;
  details: Readonly<Record<string, unknown>> | null;
  upgradeUrl?: string;
  requestId: string;
};

/** Everything that differs between providers. Pure: no I/O, no clock. */
export interface Provider {
  readonly name: ProviderName;
  /** @param path without query, e.g. `/v1/chat/completions`. */
  classify(method: string, path: string): Endpoint;
  /** @param contentType of the request: names the boundary of a multipart body, which cannot be guessed from its bytes. */
  readRequest(endpoint: Endpoint, body: Uint8Array, contentType?: string): ReadRequestResult;
  /** @param contentType of the answer; decides between JSON and SSE, with a sniff of the first bytes where it lies. */
  meter(input: { endpoint: Endpoint; contentType: string | undefined; facts: RequestFacts | undefined }): ResponseMeter;
  /** Error body in the provider's own shape (CONTRACT §6), as JSON text. */
  errorBody(denial: DenialShape): string;
  /** A stream that we end: the provider's in-band error event, ready to be written after a whole event. */
  inBandError(input: { endpoint: Endpoint; denial: DenialShape; sequenceNumber?: number }): string;
}
