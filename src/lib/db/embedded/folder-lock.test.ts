import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { lockByFile, lockFolder } from "./folder-lock";

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "nullspend-lock-"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

describe.each([
  ["this system's lock", lockFolder],
  ["the lock file of other systems", lockByFile],
])("%s", (name, lock) => {
  test("is held by one at a time and free after it is let go", async () => {
    const dataDir = join(root, name);
    const unlock = await lock(dataDir);
    await expect(lock(dataDir)).rejects.toThrow("another NullSpend process");
    await unlock();
    await (
      await lock(dataDir)
    )();
  });

  test("of sixteen that come at once, one gets it", async () => {
    const results = await Promise.allSettled(Array.from({ length: 16 }, () => lock(join(root, `${name} at once`))));
    expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  });
});

test("another path to the same folder is the same lock", async () => {
  await symlink(root, `${root}-link`);
  const unlock = await lockFolder(join(root, "same"));
  await expect(lockFolder(join(`${root}-link`, "same"))).rejects.toThrow("another NullSpend process");
  await unlock();
  await rm(`${root}-link`);
});

describe("a lock file left behind", () => {
  const deadPid = (): number => spawnSync(process.execPath, ["-e", ""]).pid;

  test("by a process that is gone is taken over", async () => {
    const dataDir = join(root, "dead");
    await writeFile(`${dataDir}.lock`, JSON.stringify({ pid: deadPid(), host: hostname() }));
    const unlock = await lockByFile(dataDir);
    await unlock();
    expect(existsSync(`${dataDir}.lock`)).toBe(false);
  });

  test("by another machine is not: its processes cannot be seen from here", async () => {
    const dataDir = join(root, "elsewhere");
    await writeFile(`${dataDir}.lock`, JSON.stringify({ pid: deadPid(), host: "elsewhere" }));
    await expect(lockByFile(dataDir)).rejects.toThrow("on elsewhere");
  });

  test("before a word was written into it is taken over", async () => {
    const dataDir = join(root, "empty");
    await writeFile(`${dataDir}.lock`, "");
    await (
      await lockByFile(dataDir)
    )();
  });
});
