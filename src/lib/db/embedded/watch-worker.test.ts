import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { expect, test } from "vitest";
import { watchWorker } from "./watch-worker";

const ANSWERS = `require("node:worker_threads").parentPort.on("message", function () { this.postMessage({ type: "pong" }); });`;

test("a worker whose thread is held for ever is ended", async () => {
  const worker = new Worker("for (;;);", { eval: true });
  const stopWatching = watchWorker(worker, { everyMs: 10, unansweredMax: 3 });
  await once(worker, "exit");
  stopWatching();
});

test("a worker that answers is left alone for many times the number of pings that may go unanswered", async () => {
  const worker = new Worker(ANSWERS, { eval: true });
  await once(worker, "online");
  const stopWatching = watchWorker(worker, { everyMs: 20, unansweredMax: 5 });
  for (let pongs = 0; pongs < 20; pongs++) {
    expect(await once(worker, "message")).toEqual([{ type: "pong" }]);
  }
  stopWatching();
  await worker.terminate();
});
