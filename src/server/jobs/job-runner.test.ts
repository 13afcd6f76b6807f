import { expect, test } from "vitest";
import { recordingLog } from "@/server/ledger/testing";
import { type Job, createJobRunner } from "./job-runner";

const HOUR_MS = 3_600_000;
const NOON = Date.parse("2026-11-24T12:00:00Z");

/** A day that passes when the test says so. */
function testDay(jobs: Job[], random = () => 0.5) {
  let now = NOON;
  const waiting = new Map<number, { at: number; run: () => void }>();
  let nextId = 0;
  const log = recordingLog();
  const outcomes: string[] = [];
  const runner = createJobRunner({
    jobs,
    log,
    clock: { now: () => now, monotonic: () => now },
    random,
    onRun: (job, outcome) => outcomes.push(`${job} ${outcome}`),
    timers: {
      set(run, ms) {
        waiting.set(++nextId, { at: now + ms, run });
        return nextId;
      },
      clear: (id) => void waiting.delete(id as number),
    },
  });
  return {
    runner,
    log,
    outcomes,
    waiting: () => [...waiting.values()].map(({ at }) => new Date(at).toISOString()),
    /** Moves to the next job that is due. */
    async next(): Promise<void> {
      const [id, due] = [...waiting].toSorted(([, a], [, b]) => a.at - b.at)[0]!;
      waiting.delete(id);
      now = due.at;
      due.run();
      await new Promise(setImmediate);
    },
  };
}

test("a job runs once a night, within the hour it names", async () => {
  let runs = 0;
  const day = testDay([{ name: "job", hourOfDay: 2, run: async () => void (runs += 1) }]);
  day.runner.start();
  day.runner.start();
  expect(day.waiting()).toEqual(["2026-11-25T02:30:00.000Z"]);
  await day.next();
  expect(day.waiting()).toEqual(["2026-11-26T02:30:00.000Z"]);
  await day.next();
  expect([runs, day.outcomes]).toEqual([2, ["job done", "job done"]]);
});

test("a job that failed is tried again after an hour, and keeps its night", async () => {
  let failures = 2;
  const job: Job = {
    name: "job",
    hourOfDay: 2,
    run: async () => {
      if (failures-- > 0) throw new Error("no network");
    },
  };
  const day = testDay([job], () => 0);
  day.runner.start();
  await day.next();
  expect(day.waiting()).toEqual(["2026-11-25T03:00:00.000Z"]);
  await day.next();
  await day.next();
  expect(day.outcomes).toEqual(["job failed", "job failed", "job done"]);
  expect(day.waiting()).toEqual(["2026-11-26T02:00:00.000Z"]);
  expect(day.log.lines.filter(({ level }) => level === "error")).toHaveLength(2);
});

test("after stop nothing begins, and what runs is waited for", async () => {
  let finish = (): void => {};
  const running = new Promise<void>((resolve) => (finish = resolve));
  const day = testDay([
    { name: "long", hourOfDay: 13, run: () => running },
    { name: "later", hourOfDay: 20, run: () => Promise.reject(new Error("must not run")) },
  ]);
  day.runner.start();
  await day.next();
  let isStopped = false;
  const stopped = day.runner.stop().then(() => (isStopped = true));
  await new Promise(setImmediate);
  expect([isStopped, day.waiting()]).toEqual([false, []]);
  finish();
  await stopped;
  expect(day.waiting()).toEqual([]);
});

test("an hour that has begun is over for today", () => {
  const day = testDay([{ name: "job", hourOfDay: 12, run: async () => {} }], () => 0.999);
  day.runner.start();
  expect(Date.parse(day.waiting()[0]!) - NOON).toBeGreaterThan(24 * HOUR_MS);
});
