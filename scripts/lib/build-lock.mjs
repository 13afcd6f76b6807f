// One builder at a time: two that write the same folders would leave a mixture of both.
import { linkSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { say } from "./project.mjs";

const lockFile = "dist/.build-lock";
const pollMs = 200;
/** Longer than any build: after a restart of the machine or container, the process number in an old lock may be somebody else's. */
const lockAgeMsMax = 15 * 60_000;

/** Runs `work` while no other script of this project builds. The lock of a process that died is taken over. */
export async function withBuildLock(work) {
  mkdirSync("dist", { recursive: true });
  let waiting = false;
  while (!tryLock()) {
    const owner = readOwner();
    if (owner && !owner.isAlive) rmSync(lockFile, { force: true });
    if (!owner?.isAlive) continue;
    if (!waiting) say(`▸ Waiting for another build of this project (process ${owner.pid}, ${lockFile}) …`);
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

/** Linked into place, so that a lock never exists without its owner's number in it. */
function tryLock() {
  const own = `${lockFile}-${process.pid}`;
  writeFileSync(own, String(process.pid));
  try {
    linkSync(own, lockFile);
    return true;
  } catch (error) {
    if (error.code === "EEXIST") return false;
    throw error;
  } finally {
    rmSync(own, { force: true });
  }
}

/** Undefined where the lock was given back in the meantime. */
function readOwner() {
  const stat = statSync(lockFile, { throwIfNoEntry: false });
  if (!stat) return undefined;
  try {
    const pid = Number(readFileSync(lockFile, "utf8"));
    return { pid, isAlive: Date.now() - stat.mtimeMs < lockAgeMsMax && exists(pid) };
  } catch (error) {
    if (error.code === "ENOENT") return undefined;
    throw error;
  }
}

function exists(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}
