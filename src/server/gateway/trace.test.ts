import { describe, expect, it } from "vitest";
import { parseTraceparent, traceOf } from "./trace";

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const SPAN = "b7ad6b7169203331";

// Cases of the W3C Trace Context test suite for `traceparent`.
describe("traceparent", () => {
  it.each([
    ["version 00", `00-${TRACE}-${SPAN}-01`],
    ["unknown flags", `00-${TRACE}-${SPAN}-ff`],
    ["a higher version", `cc-${TRACE}-${SPAN}-01`],
    ["a higher version with more fields", `cc-${TRACE}-${SPAN}-01-what-the-future-will-be-like`],
    ["surrounding blanks", ` 00-${TRACE}-${SPAN}-01\t`],
  ])("accepts %s", (_what, value) => {
    expect(parseTraceparent(value)).toEqual({ traceId: TRACE, parentSpanId: SPAN });
  });

  it.each([
    ["version ff", `ff-${TRACE}-${SPAN}-01`],
    ["version 00 with more fields", `00-${TRACE}-${SPAN}-01-x`],
    ["a higher version glued to more", `cc-${TRACE}-${SPAN}-01.what`],
    ["an all-zero trace id", `00-${"0".repeat(32)}-${SPAN}-01`],
    ["an all-zero span id", `00-${TRACE}-${"0".repeat(16)}-01`],
    ["upper case", `00-${TRACE.toUpperCase()}-${SPAN}-01`],
    ["a short trace id", `00-${TRACE.slice(1)}-${SPAN}-01`],
    ["a long span id", `00-${TRACE}-${SPAN}0-01`],
    ["one-digit flags", `00-${TRACE}-${SPAN}-1`],
    ["illegal characters", `00-${TRACE.slice(1)}.-${SPAN}-01`],
    ["nothing", ""],
  ])("ignores %s", (_what, value) => {
    expect(parseTraceparent(value)).toBeUndefined();
  });
});

describe("the trace of a call", () => {
  const of = (headers: Record<string, string>) => traceOf((name) => headers[name]);

  it("is the caller's traceparent before its own header", () => {
    expect(of({ traceparent: `00-${TRACE}-${SPAN}-01`, "x-nullspend-trace-id": "a".repeat(32) }).traceId).toBe(TRACE);
  });

  it("falls back to X-NullSpend-Trace-Id when traceparent is not valid", () => {
    expect(of({ traceparent: "nonsense", "x-nullspend-trace-id": "a".repeat(32) })).toEqual({
      traceId: "a".repeat(32),
      parentSpanId: null,
    });
  });

  it("is new when neither is valid", () => {
    const first = of({ "x-nullspend-trace-id": "0".repeat(32) }).traceId;
    expect(first).toMatch(/^[0-9a-f]{32}$/);
    expect(of({}).traceId).not.toBe(first);
  });
});
