import { createHash } from "node:crypto";
import { parseJson, isObject } from "@/server/metering/json-scanner";
import type { Endpoint, Metered, Provider, ResponseMeter } from "./providers";

/**
 * Spend that finishes after the call that began it (CONTRACT §1): a response made in the background, a batch. Its usage comes in
 * the answer to a later question, perhaps many times over and through several processes, and is recorded once: as an event of its
 * own, whose id follows from the provider's id of what was used, so that the second one changes nothing.
 */
export type LaterUsage = {
  /** The provider's id: `resp_…`, `batch_…`, `msg_…`. */
  providerId: string;
  /** What it would have been, had it been called directly: decides how it is priced. */
  endpoint: Endpoint;
  metered: Metered;
};

/** Reads an answer that may bring such usage, on the side. */
export interface LaterUsageReader {
  push(chunk: Uint8Array): void;
  end(): void;
}

const RESPONSES: Endpoint = { class: "priced", name: "responses", body: "json" };
const MESSAGES: Endpoint = { class: "priced", name: "messages", body: "json" };
const BATCH: Endpoint = { class: "priced", name: "batches", body: "json" };

/** Until then the figures grow. */
const BATCH_OVER: ReadonlySet<string> = new Set(["completed", "failed", "cancelled", "expired"]);

/** A result of a batch is a message; longer ones are passed unread. */
const LINE_BYTES_MAX = 16 * 1024 * 1024;
/** What a provider takes into one batch at most. */
const RESULTS_MAX = 100_000;

/** @param onUsage called for each whole usage, while the answer passes or at its end. */
export function laterUsageReader(
  input: { provider: Provider; endpoint: Endpoint; contentType: string | undefined },
  onUsage: (usage: LaterUsage) => void,
): LaterUsageReader | undefined {
  const { provider, endpoint, contentType } = input;
  switch (`${provider.name} ${endpoint.name}`) {
    case "openai responses":
    case "openai responses/{id}":
    case "openai responses/{id}/cancel":
      return new ResponseReader(provider.meter({ endpoint: RESPONSES, contentType, facts: undefined }), onUsage);
    case "openai batches/{id}":
    case "openai batches/{id}/cancel":
      return new BatchReader(provider.meter({ endpoint: BATCH, contentType, facts: undefined }), onUsage);
    case "anthropic messages/batches/{id}/results":
      return new ResultsReader(provider, onUsage);
    default:
      return undefined;
  }
}

/**
 * The same for the same thing in the same organisation, on every process. Formed like a UUIDv8 (RFC 9562 §5.8), and above every id
 * that is made from a clock: whoever asks for what happened since some time, narrowed by ids, finds it.
 */
export function laterEventId(input: { orgId: string; provider: string; providerId: string }): string {
  const hex = createHash("sha256")
    .update(JSON.stringify([input.orgId, input.provider, input.providerId]))
    .digest("hex");
  const variant = ((parseInt(hex[16]!, 16) & 0x3) | 0x8).toString(16);
  return `f${hex.slice(1, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

/** A response that says itself that it was made in the background: any other was paid for where it was made. */
class ResponseReader implements LaterUsageReader {
  readonly #meter: ResponseMeter;
  readonly #onUsage: (usage: LaterUsage) => void;

  constructor(meter: ResponseMeter, onUsage: (usage: LaterUsage) => void) {
    this.#meter = meter;
    this.#onUsage = onUsage;
  }

  push(chunk: Uint8Array): void {
    this.#meter.push(chunk);
  }

  end(): void {
    this.#meter.end();
    const metered = this.#meter.result();
    if (metered.background === true && isWhole(metered)) this.#onUsage({ providerId: metered.responseId, endpoint: RESPONSES, metered });
  }
}

/** OpenAI tells the usage of a whole batch in the batch itself, once it is over. */
class BatchReader implements LaterUsageReader {
  readonly #meter: ResponseMeter;
  readonly #onUsage: (usage: LaterUsage) => void;

  constructor(meter: ResponseMeter, onUsage: (usage: LaterUsage) => void) {
    this.#meter = meter;
    this.#onUsage = onUsage;
  }

  push(chunk: Uint8Array): void {
    this.#meter.push(chunk);
  }

  end(): void {
    this.#meter.end();
    const metered = this.#meter.result();
    if (!isWhole(metered) || !BATCH_OVER.has(metered.stopReason ?? "")) return;
    this.#onUsage({ providerId: metered.responseId, endpoint: BATCH, metered: atBatchPrice(metered) });
  }
}

/** Anthropic's results: a line of JSON for each request of the batch, with the message it was answered with. */
class ResultsReader implements LaterUsageReader {
  readonly #provider: Provider;
  readonly #onUsage: (usage: LaterUsage) => void;
  #line: Uint8Array[] = [];
  #lineBytes = 0;
  #results = 0;

  constructor(provider: Provider, onUsage: (usage: LaterUsage) => void) {
    this.#provider = provider;
    this.#onUsage = onUsage;
  }

  push(chunk: Uint8Array): void {
    let start = 0;
    for (let end = chunk.indexOf(0x0a); end !== -1; end = chunk.indexOf(0x0a, start)) {
      this.#keep(chunk.subarray(start, end));
      this.#readLine();
      start = end + 1;
    }
    this.#keep(chunk.subarray(start));
  }

  end(): void {
    this.#readLine();
  }

  #keep(part: Uint8Array): void {
    this.#lineBytes += part.length;
    if (part.length > 0 && this.#lineBytes <= LINE_BYTES_MAX) this.#line.push(part);
  }

  #readLine(): void {
    const parts = this.#line;
    const isKept = this.#lineBytes > 0 && this.#lineBytes <= LINE_BYTES_MAX;
    this.#line = [];
    this.#lineBytes = 0;
    if (!isKept || this.#results >= RESULTS_MAX) return;
    const value = parseJson(Buffer.concat(parts).toString("utf8"));
    const result = isObject(value) ? value["result"] : undefined;
    const message = isObject(result) && result["type"] === "succeeded" ? result["message"] : undefined;
    if (!isObject(message)) return;
    this.#results += 1;
    const meter = this.#provider.meter({ endpoint: MESSAGES, contentType: "application/json", facts: undefined });
    meter.push(Buffer.from(JSON.stringify(message)));
    meter.end();
    const metered = meter.result();
    if (isWhole(metered)) this.#onUsage({ providerId: metered.responseId, endpoint: MESSAGES, metered: atBatchPrice(metered) });
  }
}

type WholeUsage = Metered & { responseId: string; usage: NonNullable<Metered["usage"]> };

/** What is still at work tells no usage. */
function isWhole(metered: Metered): metered is WholeUsage {
  return metered.responseId !== undefined && metered.usage !== undefined && metered.usageComplete;
}

/** Batches have a price list of their own, and do not say so in what they bring. */
function atBatchPrice(metered: WholeUsage): Metered {
  return { ...metered, usage: { ...metered.usage, serviceTier: "batch" }, serviceTier: "batch" };
}
