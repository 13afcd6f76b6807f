import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from "prom-client";
import type { CostEventRecord } from "@/server/events";

export type GatewayMetrics = {
  registry: Registry;
  /** Counts one finished call. Labels are closed sets: nothing a caller sends becomes a label. */
  observeCall(event: CostEventRecord): void;
};

const MS_BUCKETS = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 1000];
const TTFB_BUCKETS = [5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 120_000, 600_000];

/** @param backlog settlements that are not durable yet, read at scrape time. */
export function createGatewayMetrics(input: { backlog: () => number; openCalls: () => number }): GatewayMetrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, prefix: "nullspend_" });
  const calls = new Counter({
    name: "nullspend_calls_total",
    help: "Calls that passed authentication, by outcome.",
    labelNames: ["endpoint", "status"] as const,
    registers: [registry],
  });
  const overhead = new Histogram({
    name: "nullspend_overhead_milliseconds",
    help: "Our own time before the first byte.",
    buckets: MS_BUCKETS,
    registers: [registry],
  });
  const firstByte = new Histogram({
    name: "nullspend_time_to_first_byte_milliseconds",
    help: "From forwarding a call to the first byte of the provider's answer.",
    buckets: TTFB_BUCKETS,
    registers: [registry],
  });
  const costBasis = new Counter({
    name: "nullspend_cost_basis_total",
    help: "Forwarded calls by how their cost is known: counted, bounded and unpriced are the ones to look at.",
    labelNames: ["basis"] as const,
    registers: [registry],
  });
  new Gauge({
    name: "nullspend_settlement_backlog",
    help: "Settlements in memory that are not durable yet.",
    registers: [registry],
    collect() {
      this.set(input.backlog());
    },
  });
  new Gauge({
    name: "nullspend_open_calls",
    help: "Calls being forwarded now.",
    registers: [registry],
    collect() {
      this.set(input.openCalls());
    },
  });
  return {
    registry,
    observeCall(event) {
      calls.inc({ endpoint: event.endpoint ?? "unknown", status: event.status });
      if (event.overheadMs !== null) overhead.observe(event.overheadMs);
      if (event.timeToFirstByteMs === null) return;
      firstByte.observe(event.timeToFirstByteMs);
      costBasis.inc({ basis: event.costBasis });
    },
  };
}
