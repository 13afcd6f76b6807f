// One builder at a time: two that write the same folders would leave a mixture of both.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { say } from "./project.mjs";

const lockFile = "dist/.build-lock";
const pollMs = 200;

/** Runs `work` while no other script of this project builds. The lock of a process that died is taken over. */
export async function withBuildLock(work) {
  mkdirSync("dist", { recursive: true });
  let waiting = false;
  while (!tryLock()) {
    const owner = Number(readFileSync(lockFile, { encoding: "utf8", flag: "a+" }));
    if (!isAlive(owner)) {
      rmSync(lockFile, { force: true });
      continue;
    }
    if (!waiting) say(`▸ Waiting for another build of this project (process ${owner}) …`);
    waiting = true;
    await sleep(pollMs);
  }
  const unlock = () => rmSync(lockFile, { force: true });
  process.on("exit", unlock);
  try {
    return await work();
  } finally {
    process.off("exit", unlock);
    unlock();
  }
}

function tryLock() {
  try {
    writeFileSync(lockFile, String(process.pid), { flag: "wx" });
    return true;
  } catch (error) {
    if (error.code === "EEXIST") return false;
    throw error;
  }
}

function isAlive(pid) {
  if (!Number.isInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}
