import type { Clock } from "@/lib/clock";
import type { Logger } from "@/lib/logger";

export type Job = {
  name: string;
  /** UTC. It begins within the hour that follows, at a moment of its own in each process. */
  hourOfDay: number;
  /** May run in several processes at once; what it does must come out the same. */
  run(): Promise<void>;
};
export type JobOutcome = "done" | "failed";

export interface JobRunner {
  start(): void;
  /** Nothing begins any more. Waits for what runs. */
  stop(): Promise<void>;
}

/** Timers as a dependency, so that a test can move them. */
export type Timers = { set(run: () => void, ms: number): unknown; clear(timer: unknown): void };

const systemTimers: Timers = {
  set: (run, ms) => setTimeout(run, ms).unref(),
  clear: (timer) => clearTimeout(timer as NodeJS.Timeout),
};

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** After a failure, so that a night without network does not cost a day. */
const RETRY_MS = HOUR_MS;

/** Runs each job once a day, and an hour after a failure. Times live in memory: a job must not matter so much that a missed day hurts. */
export function createJobRunner({
  jobs,
  clock,
  log,
  onRun = () => {},
  timers = systemTimers,
  random = Math.random,
}: {
  jobs: readonly Job[];
  clock: Clock;
  log: Pick<Logger, "info" | "error">;
  onRun?: (job: string, outcome: JobOutcome) => void;
  timers?: Timers;
  random?: () => number;
}): JobRunner {
  const waiting = new Map<string, unknown>();
  const running = new Map<string, Promise<void>>();
  let started = false;
  let stopped = false;

  function runLater(job: Job, ms: number): void {
    if (stopped) return;
    waiting.set(
      job.name,
      timers.set(() => {
        const run = runNow(job).finally(() => running.delete(job.name));
        running.set(job.name, run);
      }, ms),
    );
  }

  async function runNow(job: Job): Promise<void> {
    const startedAt = clock.monotonic();
    try {
      await job.run();
      log.info({ component: job.name, durationMs: Math.round(clock.monotonic() - startedAt) }, "a daily job is done");
      onRun(job.name, "done");
      runLater(job, untilNextRun(job));
    } catch (error) {
      log.error({ component: job.name, err: error, retryInMs: RETRY_MS }, "a daily job failed");
      onRun(job.name, "failed");
      runLater(job, RETRY_MS);
    }
  }

  /** Always more than an hour ahead, so that a job that ends within its own hour does not begin again in it. */
  function untilNextRun({ hourOfDay }: Job): number {
    const now = clock.now();
    const today = now - (now % DAY_MS) + hourOfDay * HOUR_MS;
    const begin = [today, today + DAY_MS, today + 2 * DAY_MS].find((ms) => ms - now > 0)!;
    return begin - now + random() * HOUR_MS;
  }

  return {
    start() {
      if (started) return;
      started = true;
      for (const job of jobs) runLater(job, untilNextRun(job));
    },
    async stop() {
      stopped = true;
      for (const timer of waiting.values()) timers.clear(timer);
      await Promise.all(running.values());
    },
  };
}
