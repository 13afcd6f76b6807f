import { randomBytes } from "node:crypto";
import { Pool } from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { systemClock, type Clock } from "@/lib/clock";
import { createLogger } from "@/lib/logger";
import { bumpConfigVersion } from "@/server/config-version";
import { createTestDatabase, type TestDatabase } from "@/testing/database";
import { createApiKey, createMember, createOrganisation, type TestApiKey, type TestOrganisation } from "@/testing/factories";
import { createKeyAuthenticator, type PollingKeyAuthenticator } from "./authenticator";

// A key that works on after it was revoked, or after its owner left, spends money of people who believe they stopped it.

const log = createLogger({ level: "silent" });

/** Real time plus what a test adds, so that a second passes at once. */
function movableClock(): Clock & { advance(ms: number): void } {
  let ahead = 0;
  return {
    now: () => systemClock.now() + ahead,
    monotonic: () => systemClock.monotonic() + ahead,
    advance: (ms) => (ahead += ms),
  };
}

let database: TestDatabase;
let org: TestOrganisation;
let key: TestApiKey;
let clock: ReturnType<typeof movableClock>;
let processes: PollingKeyAuthenticator[];

beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

beforeEach(async () => {
  org = await createOrganisation({ prisma: database.prisma });
  key = await createApiKey({ prisma: database.prisma, org, scopes: ["proxy", "ingest", "self", "read", "manage"] });
  clock = movableClock();
  processes = [1, 2].map(() => createKeyAuthenticator({ connectionString: database.connectionString, clock, log }));
});
afterEach(() => Promise.all(processes.map((each) => each.stop())));

/** What a verb does: a change and the organisation's version in one transaction. */
async function change(update: (tx: Parameters<Parameters<typeof database.prisma.$transaction>[0]>[0]) => Promise<unknown>): Promise<void> {
  await database.prisma.$transaction(async (tx) => {
    await bumpConfigVersion(tx, org.orgId);
    await update(tx);
  });
}

const changes: Record<string, { apply: () => Promise<void>; after: unknown }> = {
  "a revoked key": {
    apply: () => change((tx) => tx.apiKey.update({ where: { id: key.keyId }, data: { revokedAt: new Date() } })),
    after: { outcome: "unknown" },
  },
  "a removed member": {
    apply: () => change((tx) => tx.membership.delete({ where: { orgId_userId: { orgId: org.orgId, userId: org.userId } } })),
    after: { outcome: "unknown" },
  },
  "a lowered role": {
    apply: () =>
      change((tx) => tx.membership.update({ where: { orgId_userId: { orgId: org.orgId, userId: org.userId } }, data: { role: "member" } })),
    after: { outcome: "known", identity: { role: "member", scopes: new Set(["proxy", "ingest", "self"]) } },
  },
  "a changed restriction": {
    apply: () => change((tx) => tx.apiKey.update({ where: { id: key.keyId }, data: { restrictions: { allowedModels: [] } } })),
    after: { outcome: "known", identity: { restrictions: { allowedModels: [] } } },
  },
  "an expiry set into the past": {
    apply: () => change((tx) => tx.apiKey.update({ where: { id: key.keyId }, data: { expiresAt: new Date(Date.now() - 1) } })),
    after: { outcome: "unknown" },
  },
  "a secret that a rotation ended": {
    apply: () => change((tx) => tx.apiKeySecret.update({ where: { hash: key.hash }, data: { expiresAt: new Date(Date.now() - 1) } })),
    after: { outcome: "unknown" },
  },
};

describe.each(Object.entries(changes))("%s", (_name, { apply, after }) => {
  test("is in force on every process after the next poll", async () => {
    for (const process of processes) expect(await process.authenticate(key.rawKey)).toMatchObject({ outcome: "known" });
    await apply();
    for (const process of processes) {
      await process.poll();
      expect(await process.authenticate(key.rawKey)).toMatchObject(after as object);
    }
  });

  test("is in force on every process after one second without any poll", async () => {
    for (const process of processes) await process.authenticate(key.rawKey);
    await apply();
    clock.advance(1000);
    for (const process of processes) expect(await process.authenticate(key.rawKey)).toMatchObject(after as object);
  });
});

test("a revocation is seen by two polling processes within one second of real time", async () => {
  for (const process of processes) {
    process.start();
    await process.authenticate(key.rawKey);
  }
  await changes["a revoked key"]!.apply();
  const revokedAt = performance.now();
  const seenAfterMs = await Promise.all(
    processes.map(async (process) => {
      while ((await process.authenticate(key.rawKey)).outcome === "known") await new Promise((resolve) => setTimeout(resolve, 5));
      return performance.now() - revokedAt;
    }),
  );
  for (const ms of seenAfterMs) expect(ms).toBeLessThan(1000);
});

test("a confirmed key is answered without waiting, with all that a call needs", async () => {
  const [process] = processes as [PollingKeyAuthenticator];
  await process.authenticate(key.rawKey);
  expect(process.authenticate(key.rawKey)).toEqual({
    outcome: "known",
    identity: {
      orgId: org.orgId,
      keyId: key.keyId,
      keyName: "test key",
      userId: org.userId,
      role: "owner",
      scopes: new Set(["proxy", "ingest", "self", "read", "manage"]),
      restrictions: { maxConcurrent: 2000, denialStatus: 429 },
      expiresAtMs: null,
      org: { configVersion: 1n, addStreamUsage: true, timezone: "UTC" },
    },
  });
});

test("polls keep answers synchronous for as long as nothing changes", async () => {
  const [process] = processes as [PollingKeyAuthenticator];
  await process.authenticate(key.rawKey);
  for (let second = 0; second < 5; second++) {
    clock.advance(900);
    await process.poll();
    expect(process.authenticate(key.rawKey)).toMatchObject({ outcome: "known" });
  }
});

test.each(["key", "secret"])("the end of a %s is kept to between polls, from memory", async (what) => {
  const [process] = processes as [PollingKeyAuthenticator];
  const { rawKey, keyId, hash } = await createApiKey({ prisma: database.prisma, org, expiresAt: new Date(Date.now() + 60_000) });
  const data = { expiresAt: new Date(Date.now() + 500) };
  if (what === "key") await database.prisma.apiKey.update({ where: { id: keyId }, data });
  else await database.prisma.apiKeySecret.update({ where: { hash }, data });
  expect(await process.authenticate(rawKey)).toMatchObject({ outcome: "known" });
  // Within the second that the answer is good for without a poll.
  await expect.poll(() => process.authenticate(rawKey), { timeout: 900, interval: 5 }).toEqual({ outcome: "unknown" });
  expect(process.authenticate(rawKey)).not.toBeInstanceOf(Promise);
});

test("the database's clock decides when a key ends, not ours", async () => {
  const [process] = processes as [PollingKeyAuthenticator];
  const { rawKey } = await createApiKey({ prisma: database.prisma, org, expiresAt: new Date(Date.now() + 1_800_000) });
  clock.advance(3_600_000);
  expect(await process.authenticate(rawKey)).toMatchObject({ outcome: "known" });
  expect(process.authenticate(rawKey)).toMatchObject({ outcome: "known" });
});

test.each([
  ["viewer", ["self"]],
  ["member", ["proxy", "ingest", "self"]],
  ["admin", ["proxy", "ingest", "self", "read", "manage"]],
] as const)("a key with every scope can do for a %s no more than %j", async (role, scopes) => {
  const userId = await createMember({ prisma: database.prisma, orgId: org.orgId, role });
  const { rawKey } = await createApiKey({
    prisma: database.prisma,
    org: { ...org, userId },
    scopes: ["proxy", "ingest", "self", "read", "manage"],
  });
  expect(await processes[0]!.authenticate(rawKey)).toMatchObject({ identity: { scopes: new Set(scopes) } });
});

test.each([
  ["another type", "[]"],
  ["a string in place of a list", `{"allowedModels":"gpt-4o"}`],
  ["a restriction of a newer version", `{"allowedHours":["9-17"]}`],
  ["a bad tag", `{"lockedTags":{"_ns_x":"1"}}`],
  ["a limit that is no number", `{"maxConcurrent":"many"}`],
])("restrictions that cannot be read (%s) are null, never unrestricted", async (_name, stored) => {
  await database.pool.query("UPDATE api_key SET restrictions = $1::jsonb WHERE id = $2", [stored, key.keyId]);
  expect(await processes[0]!.authenticate(key.rawKey)).toMatchObject({ identity: { restrictions: null } });
});

test("an unknown key is never remembered: it works the moment it exists", async () => {
  const [process] = processes as [PollingKeyAuthenticator];
  const other = await createApiKey({ prisma: database.prisma, org });
  await database.prisma.apiKey.update({ where: { id: other.keyId }, data: { revokedAt: new Date() } });
  expect(await process.authenticate(other.rawKey)).toEqual({ outcome: "unknown" });
  await database.prisma.apiKey.update({ where: { id: other.keyId }, data: { revokedAt: null } });
  expect(await process.authenticate(other.rawKey)).toMatchObject({ outcome: "known" });
});

test.each([
  "",
  "ns_live_sk_",
  `ns_live_sk_${"A".repeat(32)}`,
  `ns_live_sk_${"a".repeat(31)}`,
  `ns_live_sk_${"a".repeat(33)}`,
  `ns_live_sk_${"a".repeat(32)}\n`,
  `ns_test_sk_${"a".repeat(32)}`,
  "' OR '1'='1",
  "ns_live_sk_'; select pg_sleep(10); --_______",
])("%j cannot be a key and never reaches the database", (raw) => {
  const process = createKeyAuthenticator({ connectionString: "postgres://127.0.0.1:1/none", clock, log });
  expect(process.authenticate(raw)).toEqual({ outcome: "unknown" });
});

describe("with a database that does not answer", () => {
  test("an unheard-of key is unavailable, not unknown", async () => {
    const process = createKeyAuthenticator({ connectionString: "postgres://postgres@127.0.0.1:1/none", clock, log });
    expect(await process.authenticate(key.rawKey)).toEqual({ outcome: "unavailable" });
    await process.stop();
  });

  test("a held key is answered for one second after the last word of the database, then unavailable, and comes back", async () => {
    const pool = new Pool({ connectionString: database.connectionString, max: 2 });
    let broken = false;
    const query = pool.query.bind(pool);
    // The wire is cut below our own code: every statement fails as it does when the server is gone.
    Object.assign(pool, {
      query: (...args: Parameters<typeof query>) => (broken ? Promise.reject(new Error("connection refused")) : query(...args)),
    });
    const process = createKeyAuthenticator({ pool, clock, log });
    await process.authenticate(key.rawKey);

    broken = true;
    clock.advance(500);
    expect(await process.poll()).toBe(false);
    expect(process.authenticate(key.rawKey)).toMatchObject({ outcome: "known" });
    clock.advance(500);
    expect(await process.authenticate(key.rawKey)).toEqual({ outcome: "unavailable" });

    broken = false;
    expect(await process.authenticate(key.rawKey)).toMatchObject({ outcome: "known" });
    await pool.end();
  });

  test("a statement that hangs is given up after the timeout, and those who queued behind it do not wait for their own", async () => {
    const blocker = await database.pool.connect();
    await blocker.query("BEGIN");
    await blocker.query("LOCK TABLE api_key IN ACCESS EXCLUSIVE MODE");
    try {
      const process = createKeyAuthenticator({
        connectionString: database.connectionString,
        clock: systemClock,
        log,
        lookupTimeoutMs: 200,
      });
      const startedAt = performance.now();
      const first = process.authenticate(key.rawKey);
      await new Promise((resolve) => setTimeout(resolve, 50));
      const behind = process.authenticate(`ns_live_sk_${"0".repeat(32)}`);
      expect(await Promise.all([first, behind])).toEqual([{ outcome: "unavailable" }, { outcome: "unavailable" }]);
      expect(performance.now() - startedAt).toBeLessThan(390);
      await blocker.query("ROLLBACK");
      await process.stop();
    } finally {
      await blocker.query("ROLLBACK");
      blocker.release();
    }
  });
});

describe("statements", () => {
  /** A pool that counts, and can hold statements at a barrier. */
  function observedPool(): { pool: Pool; statements: string[]; hold: () => () => void } {
    const pool = new Pool({ connectionString: database.connectionString, max: 2 });
    const statements: string[] = [];
    let barrier: Promise<void> = Promise.resolve();
    const query = pool.query.bind(pool) as unknown as (text: string, values: unknown[]) => Promise<unknown>;
    Object.assign(pool, {
      query: async (text: string, values: unknown[]) => {
        statements.push(text);
        const answer = await query(text, values);
        await barrier;
        return answer;
      },
    });
    const hold = () => {
      let open = (): void => {};
      barrier = new Promise((resolve) => (open = resolve));
      return open;
    };
    return { pool, statements, hold };
  }

  test("a hundred calls with one new key share one statement", async () => {
    const { pool, statements } = observedPool();
    const process = createKeyAuthenticator({ pool, clock, log });
    const answers = await Promise.all(Array.from({ length: 100 }, async () => process.authenticate(key.rawKey)));
    expect(new Set(answers.map((answer) => answer.outcome))).toEqual(new Set(["known"]));
    expect(statements).toHaveLength(1);
    await pool.end();
  });

  test("a flood of guessed keys goes in few statements", async () => {
    const { pool, statements } = observedPool();
    const process = createKeyAuthenticator({ pool, clock, log });
    const guesses = Array.from({ length: 2000 }, () => `ns_live_sk_${randomBytes(16).toString("hex")}`);
    const answers = await Promise.all(guesses.map(async (guess) => process.authenticate(guess)));
    expect(answers.every((answer) => answer.outcome === "unknown")).toBe(true);
    expect(statements).toHaveLength(4);
    await pool.end();
  });

  test("a call that comes a second after a statement began does not share its old answer", async () => {
    const { pool, statements, hold } = observedPool();
    const process = createKeyAuthenticator({ pool, clock, log, lookupTimeoutMs: 5000 });
    const open = hold();
    const early = process.authenticate(key.rawKey);
    await expect.poll(() => statements.length).toBe(1);
    await changes["a revoked key"]!.apply();
    clock.advance(1000);
    const late = process.authenticate(key.rawKey);
    open();
    expect(await late).toEqual({ outcome: "unknown" });
    await early;
    await pool.end();
  });

  test("what was read before an invalidation is answered but not kept", async () => {
    const { pool, statements, hold } = observedPool();
    const process = createKeyAuthenticator({ pool, clock, log });
    const open = hold();
    const early = process.authenticate(key.rawKey);
    await expect.poll(() => statements.length).toBe(1);
    process.invalidate(org.orgId);
    open();
    await early;
    expect(process.authenticate(key.rawKey)).toBeInstanceOf(Promise);
    await pool.end();
  });

  test("memory is bounded, and keys in use stay", async () => {
    const { pool } = observedPool();
    const process = createKeyAuthenticator({ pool, clock, log, entriesMax: 3 });
    await process.authenticate(key.rawKey);
    for (let i = 0; i < 6; i++) {
      void process.authenticate(key.rawKey);
      await process.authenticate((await createApiKey({ prisma: database.prisma, org })).rawKey);
    }
    expect(process.authenticate(key.rawKey)).toMatchObject({ outcome: "known" });
    await pool.end();
  });
});
