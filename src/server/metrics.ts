import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from "prom-client";
import type { DenialReviewStats } from "@/server/budget";
import type { CostEventRecord } from "@/server/events";
import type { JobOutcome } from "@/server/jobs";
import type { SettleStats } from "@/server/ledger";
import type { TraceStats } from "@/server/telemetry";

export type GatewayMetrics = {
  registry: Registry;
  /** Counts one finished call. Labels are closed sets: nothing a caller sends becomes a label. */
  observeCall(event: CostEventRecord): void;
  observeJob(job: string, outcome: JobOutcome): void;
};

const MS_BUCKETS = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 1000];
const TTFB_BUCKETS = [5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 120_000, 600_000];

export type MetricSources = {
  /** Settlements that are not durable yet. */
  backlog: () => number;
  openCalls: () => number;
  /** What the settle door has done since the process began. */
  settleStats: () => Readonly<SettleStats>;
  /** Denials of budgets that were looked at again. */
  denialReviewStats: () => Readonly<DenialReviewStats>;
  /** Undefined where no spans are made. */
  traceStats?: () => Readonly<TraceStats>;
};

/** @param input is read when somebody asks, not before. */
export function createGatewayMetrics(input: MetricSources): GatewayMetrics {
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
  const usageMissing = new Counter({
    name: "nullspend_usage_missing_total",
    help: "Answered calls whose provider did not tell the last word of their usage: counted here, or taken at a bound.",
    labelNames: ["endpoint"] as const,
    registers: [registry],
  });
  const unpriced = new Counter({
    name: "nullspend_unpriced_calls_total",
    help: "Answered calls for which there is no price.",
    labelNames: ["endpoint"] as const,
    registers: [registry],
  });
  const jobs = new Counter({
    name: "nullspend_job_runs_total",
    help: "Daily jobs of this process.",
    labelNames: ["job", "outcome"] as const,
    registers: [registry],
  });
  new Counter({
    name: "nullspend_settlements_total",
    help: "Events by what became of them. reduced: stored without details, should be 0. refused: only in the log, must be 0.",
    labelNames: ["outcome"] as const,
    registers: [registry],
    collect() {
      const stats = input.settleStats();
      this.reset();
      for (const outcome of ["recorded", "deduplicated", "reduced", "refused"] as const) this.inc({ outcome }, stats[outcome]);
    },
  });
  new Counter({
    name: "nullspend_settlement_batches_total",
    help: "Statements that stored events.",
    registers: [registry],
    collect() {
      this.reset();
      this.inc(input.settleStats().batches);
    },
  });
  new Counter({
    name: "nullspend_settlement_retries_total",
    help: "Statements that failed and were made again.",
    registers: [registry],
    collect() {
      this.reset();
      this.inc(input.settleStats().retries);
    },
  });
  new Counter({
    name: "nullspend_denials_judged_total",
    help: "Budget denials, looked at when the calls in flight had ended. needless: with what those cost in place of their holds, it fitted.",
    labelNames: ["outcome"] as const,
    registers: [registry],
    collect() {
      const stats = input.denialReviewStats();
      this.reset();
      for (const outcome of ["needless", "needed"] as const) this.inc({ outcome }, stats[outcome]);
    },
  });
  const { traceStats } = input;
  if (traceStats) {
    new Counter({
      name: "nullspend_spans_total",
      help: "Spans of calls: exported to the OpenTelemetry receiver, or dropped.",
      labelNames: ["outcome"] as const,
      registers: [registry],
      collect() {
        const stats = traceStats();
        this.reset();
        for (const outcome of ["exported", "dropped"] as const) this.inc({ outcome }, stats[outcome]);
      },
    });
  }
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
  // Finding a counter by its labels takes longer than counting.
  const callsOf = new Map<string, Counter.Internal>();
  const basisOf = new Map<string, Counter.Internal>();
  const counterOf = (endpoint: string, status: string): Counter.Internal => {
    const name = `${endpoint} ${status}`;
    let counter = callsOf.get(name);
    if (counter === undefined) callsOf.set(name, (counter = calls.labels({ endpoint, status })));
    return counter;
  };
  const basisCounterOf = (basis: string): Counter.Internal => {
    let counter = basisOf.get(basis);
    if (counter === undefined) basisOf.set(basis, (counter = costBasis.labels({ basis })));
    return counter;
  };
  return {
    registry,
    observeCall(event) {
      counterOf(event.endpoint ?? "unknown", event.status).inc();
      if (event.overheadMs !== null) overhead.observe(event.overheadMs);
      if (event.timeToFirstByteMs === null) return;
      firstByte.observe(event.timeToFirstByteMs);
      basisCounterOf(event.costBasis).inc();
      const endpoint = event.endpoint ?? "unknown";
      if (event.costBasis === "counted" || event.costBasis === "bounded") usageMissing.inc({ endpoint });
      if (event.costBasis === "unpriced") unpriced.inc({ endpoint });
    },
    observeJob(job, outcome) {
      jobs.inc({ job, outcome });
    },
  };
}
