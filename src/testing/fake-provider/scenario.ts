import { z } from "zod";

const Count = z.number().int().min(0).max(100_000_000);
const Bytes = z.number().int().min(0);

/**
 * Tokens in disjoint units, as the product counts them too: `input` is neither cached nor written to a cache, `output` is visible,
 * `reasoning` is not. The fake puts them together the way each provider reports them.
 */
const QuantitiesInput = z.strictObject({
  input: Count.optional(),
  cached: Count.optional(),
  cacheWrite5m: Count.optional(),
  cacheWrite1h: Count.optional(),
  output: Count.optional(),
  reasoning: Count.optional(),
  webSearches: Count.optional(),
});

/** A place in an answer: before its status line, before the n-th event (JSON answers have one), or after the last. */
const Place = z.union([z.literal("headers"), Count, z.literal("end")]);

/**
 * What the fake does with one request. Everything has a default that is a well-behaved provider. A test passes it to
 * `fake.next(...)`, or, where the request goes through the gateway or a client library, in the `x-fake-scenario` header as JSON.
 */
export const ScenarioInput = z.strictObject({
  /** Makes ids in the answer repeatable, so that the same call made directly and through the gateway can be compared. */
  seed: z.string().optional(),

  // What is said.
  text: z.string().optional(),
  /** Text deltas in a stream; cut at token borders. */
  chunks: z.number().int().min(1).max(100_000).optional(),
  /** Visible reasoning (Anthropic thinking, OpenAI reasoning summary). */
  thinking: z.string().optional(),
  tools: z.array(z.strictObject({ name: z.string(), arguments: z.string() })).optional(),
  /** Model and tier the answer names, where they differ from what was asked. */
  model: z.string().optional(),
  serviceTier: z.string().optional(),
  /** Answers with what was received: request line, raw headers in order, SHA-256 of the body. */
  echo: z.boolean().optional(),

  // What is told of usage, and what is billed.
  tokens: QuantitiesInput.optional(),
  /** `twice`: told twice, the first time with half the output. `partial`: input only. */
  usage: z.enum(["full", "missing", "zero", "twice", "partial"]).optional(),
  /** Output tokens produced, and billed, beyond what was sent when the caller leaves. */
  runsAheadTokens: Count.optional(),
  /** How long the provider takes to notice that the caller left: it produces, and bills, at its pace (`gapMs`) until then. */
  goesOnMs: Count.optional(),
  /** The provider notices no abort: it produces, and bills, the whole answer. */
  keepsGenerating: z.boolean().optional(),

  // How the answer looks on the wire.
  status: z.number().int().min(100).max(599).optional(),
  statusMessage: z.string().optional(),
  /** Replaces the body; text. For bytes see `bodyBase64`. */
  body: z.string().optional(),
  bodyBase64: z.string().optional(),
  /** Further headers, name and value in turn; a name given here replaces the provider's own of that name. */
  headers: z.array(z.string()).optional(),
  /** Only the headers of `headers` and the framing; none of the provider's own. */
  bareHeaders: z.boolean().optional(),
  contentType: z.string().optional(),
  encoding: z.enum(["gzip", "br", "deflate", "zstd"]).optional(),
  framing: z.enum(["content-length", "chunked", "close"]).optional(),
  /** `byte`: one byte per packet. Numbers: cut at these offsets of the encoded body. `coalesce`: this many events per packet. */
  cut: z.union([z.literal("byte"), z.array(Bytes), z.strictObject({ coalesce: z.number().int().min(1) })]).optional(),
  newline: z.enum(["\n", "\r\n", "\r"]).optional(),
  /** An SSE comment before each of the first three events. */
  comments: z.boolean().optional(),
  /** Bytes sent after the answer has ended, on the same connection. */
  surplus: z.string().optional(),
  /** Interim answers before the real one, e.g. `HTTP/1.1 103 Early Hints\r\n\r\n`. */
  interim: z.string().optional(),

  // When it comes, and how it ends.
  /** Stops at a place until the test releases the gate of that name. */
  holds: z.array(z.strictObject({ at: Place, gate: z.string() })).optional(),
  headersDelayMs: Count.optional(),
  /** Pause before every event but the first. For load; tests use `holds`. */
  gapMs: Count.optional(),
  /** An error event in the stream, after this many events; the answer ends there. */
  inBandError: z.strictObject({ afterEvents: Count, type: z.string(), message: z.string() }).optional(),
  /** The stream ends without its terminal marker (`[DONE]`, `message_stop`, `response.completed`). */
  omitTerminal: z.boolean().optional(),
  /** `reset`: RST. `fin`: closes without ending the framing. `silence`: nothing more until the caller leaves. */
  fault: z
    .strictObject({
      kind: z.enum(["reset", "fin", "silence"]),
      at: z.union([z.literal("headers"), z.strictObject({ bytes: Bytes }), z.strictObject({ events: Count })]),
    })
    .optional(),
});
export type Scenario = z.infer<typeof ScenarioInput>;

/** Tokens in disjoint units; zeros where nothing was used. */
export type Quantities = {
  input: number;
  cached: number;
  cacheWrite5m: number;
  cacheWrite1h: number;
  output: number;
  reasoning: number;
  webSearches: number;
};

/** The header that carries a scenario. The gateway hands unknown headers on, so it also arrives through the product. */
export const SCENARIO_HEADER = "x-fake-scenario";

/** Reads the header; throws with the reason when a test has made a mistake in it. */
export function parseScenario(json: string): Scenario {
  return ScenarioInput.parse(JSON.parse(json));
}

/** As a header value: JSON with everything outside printable ASCII escaped. */
export function scenarioHeader(scenario: Scenario): Record<typeof SCENARIO_HEADER, string> {
  const json = JSON.stringify(ScenarioInput.parse(scenario));
  const ascii = json.replace(/[^\x20-\x7e]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
  return { [SCENARIO_HEADER]: ascii };
}
