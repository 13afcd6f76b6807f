import { expect, test } from "vitest";
import { createVersionedOrgCache } from "./versioned-org-cache";

// What would break in production: a limit or a policy that was just made is not known to a call, because what is in memory is taken for
// newer than it is, or because the database did not say and that was taken for "there is none".

type Held = { configVersion: bigint; text: string };

function cacheOf(read: (orgId: string) => Promise<Held>, options: { orgsMax?: number } = {}) {
  return createVersionedOrgCache<Held>({ what: "things", read, timeoutMs: 50, orgsMax: options.orgsMax ?? 10 });
}
const held = (configVersion: bigint): Held => ({ configVersion, text: `of ${configVersion}` });

test("a hundred calls that find the configuration changed read it once, and know it then without asking", async () => {
  let reads = 0;
  const cache = cacheOf(async () => {
    reads += 1;
    return held(2n);
  });
  await Promise.all(Array.from({ length: 100 }, async () => cache.ensureLoaded("a", 2n)));
  expect(reads).toBe(1);
  expect(cache.ensureLoaded("a", 1n)).toBeUndefined();
  expect(cache.find("a")).toEqual(held(2n));
});

test("what the database tells of an older version than was announced is refused, and what is held stays", async () => {
  const versions = [1n, 1n, 2n];
  const cache = cacheOf(async () => held(versions.shift()!));
  await cache.ensureLoaded("a", 1n);
  await expect(cache.ensureLoaded("a", 2n)).rejects.toThrow("things of a are older than version 2");
  expect(cache.find("a")).toEqual(held(1n));
  await cache.ensureLoaded("a", 2n);
  expect(cache.find("a")).toEqual(held(2n));
});

test("a database that does not answer is told in time, and asked again by the next", async () => {
  let answers = false;
  const cache = cacheOf(() => (answers ? Promise.resolve(held(1n)) : new Promise(() => {})));
  await expect(cache.ensureLoaded("a", 1n)).rejects.toThrow("no answer within 50 ms");
  expect(cache.find("a")).toBeUndefined();
  answers = true;
  await cache.ensureLoaded("a", 1n);
  expect(cache.find("a")).toEqual(held(1n));
});

test("of more organisations than there is room for, the longest held leaves", async () => {
  const cache = cacheOf(async () => held(1n), { orgsMax: 2 });
  for (const orgId of ["a", "b", "c"]) await cache.ensureLoaded(orgId, 1n);
  expect(["a", "b", "c"].map((orgId) => cache.find(orgId) !== undefined)).toEqual([false, true, true]);
});
