import { newTraceId } from "@/lib/ids";

export type Trace = { traceId: string; parentSpanId: string | null };

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const TRACE_ID = /^[0-9a-f]{32}$/;
const ZERO_TRACE = "0".repeat(32);
const ZERO_SPAN = "0".repeat(16);

/**
 * W3C Trace Context Level 2 §3.2: version ff is invalid, version 00 has exactly four fields, later versions may append more.
 * Returns undefined where the spec says to behave as if there was none.
 */
export function parseTraceparent(value: string | undefined): Trace | undefined {
  const match = value === undefined ? null : TRACEPARENT.exec(value.trim());
  if (!match) return undefined;
  const [, version, traceId, spanId, , rest] = match;
  if (version === "ff" || (version === "00" && rest !== undefined)) return undefined;
  if (traceId === ZERO_TRACE || spanId === ZERO_SPAN) return undefined;
  return { traceId: traceId!, parentSpanId: spanId! };
}

/** The call's trace: the caller's `traceparent`, else its `X-NullSpend-Trace-Id`, else a new one. */
export function traceOf(header: (name: string) => string | undefined): Trace {
  const parent = parseTraceparent(header("traceparent"));
  if (parent) return parent;
  const named = header("x-nullspend-trace-id");
  if (named !== undefined && TRACE_ID.test(named) && named !== ZERO_TRACE) return { traceId: named, parentSpanId: null };
  return { traceId: newTraceId(), parentSpanId: null };
}
