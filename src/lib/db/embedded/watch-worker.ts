import type { Worker } from "node:worker_threads";
import type { FromWorker, ToWorker } from "./worker-messages";

const PING_EVERY_MS = 5_000;
/** Two minutes without an answer: a statement that holds the thread for so long is taken for one that never ends. */
const UNANSWERED_MAX = 24;

/**
 * Ends a worker that does not answer any more.
 * Counts pings, not time: after a laptop slept, hours have passed and nothing is wrong.
 * @returns what ends the watching.
 */
export function watchWorker(worker: Worker, { everyMs = PING_EVERY_MS, unansweredMax = UNANSWERED_MAX } = {}): () => void {
  let unanswered = 0;
  worker.on("message", (message: FromWorker) => {
    if (message.type === "pong") unanswered = 0;
  });
  const timer = setInterval(() => {
    if (unanswered >= unansweredMax) {
      clearInterval(timer);
      void worker.terminate();
      return;
    }
    unanswered += 1;
    worker.postMessage("ping" satisfies ToWorker);
  }, everyMs);
  timer.unref();
  return () => clearInterval(timer);
}
