import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createLogger } from "@/lib/logger";
import { createTestDatabase, type TestDatabase } from "@/testing/database";
import { deleteExpiredIdempotencyRecords, withIdempotency, type IdempotentAttempt } from "./with-idempotency";

// A client that times out repeats its request. Two effects of one POST are two budgets, two keys, two costs.

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

const log = createLogger({ level: "silent" });

/** Attempts that share one key, unless a field says otherwise. */
function attemptsOfOneKey(): (fields: Pick<IdempotentAttempt, "run"> & Partial<IdempotentAttempt>) => ReturnType<typeof withIdempotency> {
  const key = randomUUID();
  return (fields) =>
    withIdempotency({
      prisma: database.prisma,
      log,
      principal: "org:key:1",
      route: "POST /api/keys",
      key,
      bodyHash: "a",
      waits: { attempts: 40, ms: 5 },
      ...fields,
    });
}

const answer = (body: Record<string, string> = { made: "once" }) => ({ status: 201, body });

function barrier(): { opened: Promise<void>; open: () => void } {
  let open = (): void => {};
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open };
}

test("of many attempts at once one has the effect and all get its answer", async () => {
  const attempt = attemptsOfOneKey();
  const { opened, open } = barrier();
  let effects = 0;
  const attempts = Array.from({ length: 8 }, () =>
    attempt({
      run: async () => {
        effects += 1;
        await opened;
        return answer();
      },
    }),
  );
  await expect.poll(() => effects).toBe(1);
  open();
  const answers = await Promise.all(attempts);
  expect(effects).toBe(1);
  expect(answers.filter(({ replayed }) => !replayed)).toHaveLength(1);
  for (const { status, body } of answers) expect({ status, body }).toEqual(answer());
});

test("a second attempt that has waited long enough is told that the first still runs", async () => {
  const attempt = attemptsOfOneKey();
  const { opened, open } = barrier();
  const started = barrier();
  const first = attempt({
    run: async () => {
      started.open();
      await opened;
      return answer();
    },
  });
  await started.opened;
  await expect(attempt({ run: async () => answer(), waits: { attempts: 2, ms: 1 } })).rejects.toMatchObject({ code: "conflict" });
  open();
  expect((await first).replayed).toBe(false);
});

test("another body under the same key is a conflict, also while the first attempt runs", async () => {
  const attempt = attemptsOfOneKey();
  const inside = async () => {
    await expect(attempt({ bodyHash: "b", run: async () => answer() })).rejects.toMatchObject({ code: "idempotency_conflict" });
    return answer();
  };
  await attempt({ run: inside });
  await expect(attempt({ bodyHash: "b", run: async () => answer() })).rejects.toMatchObject({ code: "idempotency_conflict" });
});

test("another caller, and another route, have keys of their own", async () => {
  const attempt = attemptsOfOneKey();
  await attempt({ run: async () => answer({ of: "first" }) });
  expect(await attempt({ principal: "org:key:2", run: async () => answer({ of: "second" }) })).toMatchObject({ replayed: false });
  expect(await attempt({ route: "POST /api/other", run: async () => answer({ of: "third" }) })).toMatchObject({ replayed: false });
});

test("a failed attempt leaves the key free, for whoever waits and for whoever comes later", async () => {
  const attempt = attemptsOfOneKey();
  const { opened, open } = barrier();
  const started = barrier();
  const first = attempt({
    run: async () => {
      started.open();
      await opened;
      throw new Error("the database went away");
    },
  });
  await started.opened;
  const second = attempt({ run: async () => answer({ of: "second" }) });
  open();
  await expect(first).rejects.toThrow("the database went away");
  expect(await second).toMatchObject({ replayed: false, body: { of: "second" } });
});

test("what is kept for replays has no secrets", async () => {
  const attempt = attemptsOfOneKey();
  const run = async () => answer({ id: "1", rawKey: "secret" });
  const withoutSecrets: IdempotentAttempt["withoutSecrets"] = ({ id }) => ({ id });
  expect((await attempt({ run, withoutSecrets })).body).toEqual({ id: "1", rawKey: "secret" });
  expect(await attempt({ run, withoutSecrets })).toMatchObject({ replayed: true, body: { id: "1" } });
});

test("an attempt that died frees its key after a minute, and its late answer does not replace the new one", async () => {
  const attempt = attemptsOfOneKey();
  const { opened, open } = barrier();
  const started = barrier();
  const dead = attempt({
    run: async () => {
      started.open();
      await opened;
      return answer({ of: "dead" });
    },
  });
  await started.opened;
  await database.pool.query("UPDATE idempotency_record SET created_at = created_at - interval '61 seconds' WHERE status IS NULL");
  expect(await attempt({ run: async () => answer({ of: "second" }) })).toMatchObject({ replayed: false });
  open();
  await dead;
  expect(await attempt({ run: async () => answer({ of: "third" }) })).toMatchObject({ replayed: true, body: { of: "second" } });
});

test("after 24 hours the key is new, and what is expired is removed in small steps", async () => {
  const attempt = attemptsOfOneKey();
  await attempt({ run: async () => answer({ of: "first" }) });
  await database.pool.query("UPDATE idempotency_record SET expires_at = now() - interval '1 second'");
  expect(await attempt({ run: async () => answer({ of: "next day" }) })).toMatchObject({ replayed: false });
  await database.pool.query("UPDATE idempotency_record SET expires_at = now() - interval '1 second'");
  const total = await database.prisma.idempotencyRecord.count();
  expect(await deleteExpiredIdempotencyRecords(database.prisma, 2)).toBe(2);
  expect(await deleteExpiredIdempotencyRecords(database.prisma, 1000)).toBe(total - 2);
});
