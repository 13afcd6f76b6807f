import { setTimeout as sleep } from "node:timers/promises";
import { Pool } from "undici";
import type { Logger } from "@/lib/logger";
import type { CostEventRecord } from "@/server/events";
import { spanOfCall } from "./span-of-call";

export type TraceStats = { exported: number; dropped: number };

export type TraceExporter = {
  /** Takes one call's event. Never waits and never throws: beyond the bound of the queue the span is dropped, and counted. */
  record(event: CostEventRecord): void;
  /** Sends what is left, for a few seconds at most; what the receiver did not take by then is dropped. */
  stop(): Promise<void>;
  readonly stats: Readonly<TraceStats>;
};

export type TraceExporterOptions = {
  /** The whole address, `…/v1/traces`. */
  url: string;
  headers: Readonly<Record<string, string>>;
  serviceName: string;
  log: Pick<Logger, "warn">;
  limits?: Partial<TraceLimits>;
};

export type TraceLimits = {
  /** Calls waiting in memory, about 2 kB each. */
  queueMax: number;
  /** Spans in one request. */
  batchMax: number;
  /** A span waits no longer than this before it is sent, while the receiver keeps up. */
  intervalMs: number;
  timeoutMs: number;
  attemptsMax: number;
  retryDelayMs: number;
  stopMs: number;
};

const LIMITS: TraceLimits = {
  queueMax: 8_192,
  batchMax: 256,
  intervalMs: 1_000,
  timeoutMs: 10_000,
  attemptsMax: 3,
  retryDelayMs: 1_000,
  stopMs: 3_000,
};
const LOG_FAILURES_EVERY_MS = 60_000;
/** Those the protocol says to send again (https://opentelemetry.io/docs/specs/otlp/#retryable-response-codes). */
const RETRYABLE: ReadonlySet<number> = new Set([429, 502, 503, 504]);

/**
 * Sends spans to an OpenTelemetry receiver as OTLP/HTTP JSON. Best effort: one request at a time, a receiver that is away costs spans
 * and never a call. The ledger, not the trace, says what was spent.
 */
export function createTraceExporter(options: TraceExporterOptions): TraceExporter {
  const { log, headers } = options;
  const limits = { ...LIMITS, ...options.limits };
  const url = new URL(options.url);
  const pool = new Pool(url.origin, { connections: 1, connect: { timeout: limits.timeoutMs } });
  const stopping = new AbortController();
  const stats: TraceStats = { exported: 0, dropped: 0 };
  const resource = { attributes: [{ key: "service.name", value: { stringValue: options.serviceName } }] };
  let queue: CostEventRecord[] = [];
  let timer: NodeJS.Timeout | undefined;
  let sending: Promise<void> | undefined;
  let lastLogAt = -Infinity;

  function send(): Promise<void> {
    clearTimeout(timer);
    timer = undefined;
    sending ??= sendAll().finally(() => {
      sending = undefined;
      if (queue.length > 0 && !stopping.signal.aborted) timer = setTimeout(() => void send(), limits.intervalMs).unref();
    });
    return sending;
  }

  async function sendAll(): Promise<void> {
    do {
      const batch = queue.slice(0, limits.batchMax);
      queue = queue.slice(limits.batchMax);
      await sendBatch(batch).catch((error: unknown) => drop(batch.length, error));
      // What is less than a batch waits for more, unless the process stops.
    } while (queue.length >= limits.batchMax || (stopping.signal.aborted && queue.length > 0));
  }

  async function sendBatch(batch: readonly CostEventRecord[]): Promise<void> {
    const spans = batch.flatMap((event) => spanOfCall(event) ?? []);
    const body = JSON.stringify({ resourceSpans: [{ resource, scopeSpans: [{ scope: { name: "nullspend.gateway" }, spans }] }] });
    for (let attempt = 1; ; attempt += 1) {
      const failure = await post(body, spans.length).catch((error: unknown) => ({ error, isFinal: false }));
      if (!failure) return;
      if (failure.isFinal || attempt >= limits.attemptsMax || stopping.signal.aborted) {
        drop(spans.length, failure.error);
        return;
      }
      await sleep(limits.retryDelayMs * attempt, undefined, { signal: stopping.signal, ref: false }).catch(() => {});
    }
  }

  async function post(body: string, count: number): Promise<{ error: unknown; isFinal: boolean } | undefined> {
    const answer = await pool.request({
      method: "POST",
      path: url.pathname + url.search,
      headers: { ...headers, "content-type": "application/json" },
      body,
      headersTimeout: limits.timeoutMs,
      bodyTimeout: limits.timeoutMs,
    });
    const text = await answer.body.text();
    if (answer.statusCode >= 300) {
      return { error: new Error(`the trace receiver answered ${answer.statusCode}`), isFinal: !RETRYABLE.has(answer.statusCode) };
    }
    const rejected = Math.min(count, rejectedSpans(text));
    stats.dropped += rejected;
    stats.exported += count - rejected;
    return undefined;
  }

  function drop(count: number, error: unknown): void {
    stats.dropped += count;
    if (performance.now() - lastLogAt < LOG_FAILURES_EVERY_MS) return;
    lastLogAt = performance.now();
    log.warn({ component: "telemetry", err: error, count }, "spans could not be sent and are dropped");
  }

  return {
    record(event) {
      if (stopping.signal.aborted || queue.length >= limits.queueMax) {
        stats.dropped += 1;
        return;
      }
      queue.push(event);
      if (sending) return;
      if (queue.length >= limits.batchMax) void send();
      else timer ??= setTimeout(() => void send(), limits.intervalMs).unref();
    },
    async stop() {
      if (stopping.signal.aborted) return;
      stopping.abort();
      // Without its connections every request fails at once, so that all that is left is counted as dropped.
      const deadline = setTimeout(() => void pool.destroy(), limits.stopMs);
      await sending;
      if (queue.length > 0) await send();
      clearTimeout(deadline);
      await pool.destroy();
    },
    stats,
  };
}

/** A receiver may take a request and still refuse some of its spans (`partialSuccess`). */
function rejectedSpans(text: string): number {
  if (!text.includes("rejectedSpans")) return 0;
  try {
    const answer = JSON.parse(text) as { partialSuccess?: { rejectedSpans?: unknown } };
    const rejected = Number(answer.partialSuccess?.rejectedSpans ?? 0);
    return Number.isSafeInteger(rejected) && rejected > 0 ? rejected : 0;
  } catch {
    return 0;
  }
}
