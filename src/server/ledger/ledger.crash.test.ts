import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemClock } from "@/lib/clock";
import { bundle } from "@/testing/bundle";
import { createTestDatabase, hasRealPostgres, NEEDS_REAL_POSTGRES, type TestDatabase } from "@/testing/database";
import { createOrganisation } from "@/testing/factories";
import type { LedgerBudget } from "./budget-line";
import type { CrashTask } from "./crash-process";
import { violationsOf } from "./integrity";
import { createLedger } from "./ledger";
import { recordingLog } from "./testing";

// What would break in production: a process that is killed leaves money held for ever, or calls that were sent and never charged.

const real = await hasRealPostgres();

let database: TestDatabase;
let program: string;
beforeAll(async () => {
  database = await createTestDatabase();
  program = fileURLToPath(await bundle("src/server/ledger/crash-process.ts"));
});
afterAll(() => database.drop());

async function newTask(): Promise<CrashTask> {
  const { orgId } = await createOrganisation({ prisma: database.prisma });
  const budgets: LedgerBudget[] = [];
  for (const i of [0, 1]) {
    const { id } = await database.prisma.budget.create({
      data: { orgId, entityType: "tag", entityId: `n=${i}`, models: [], providers: [], maxNano: 10n ** 12n, thresholds: [] },
    });
    budgets.push({ id, period: { interval: "none", timezone: "UTC", anchorDay: null }, sessionLimitNano: null, velocity: null });
  }
  return { connectionString: database.connectionString, orgId, budgets, work: "calls" };
}

/** Runs until it dies by its failpoint, or is killed after `killAfterMs`. @returns the calls that were sent. */
function run(task: CrashTask, { failpoint, killAfterMs }: { failpoint?: string; killAfterMs?: number }) {
  return new Promise<{ sent: string[]; signal: string | null; code: number | null }>((resolve, reject) => {
    const child = spawn(process.execPath, [program, JSON.stringify(task)], {
      env: { ...process.env, NODE_ENV: "test", ...(failpoint === undefined ? {} : { NULLSPEND_FAILPOINT: failpoint }) },
      stdio: ["ignore", "pipe", "inherit"],
    });
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      output += text;
      if (killAfterMs !== undefined) setTimeout(() => child.kill("SIGKILL"), killAfterMs);
    });
    child.once("error", reject);
    child.once("close", (code, signal) => resolve({ sent: output.split("\n").filter((line) => line !== ""), signal, code }));
  });
}

const makeOverdue = (orgId: string) =>
  database.pool.query("update reservation set lease_until = now() - interval '1 second' where org_id = $1 and state = 'held'", [orgId]);

/** What a killed process had sent is still carried out; no lease of it begins after that. */
async function untilItsBackendsAreGone(): Promise<void> {
  await expect
    .poll(
      async () => {
        const { rows } = await database.pool.query<{ count: string }>(
          "select count(*) from pg_stat_activity where datname = current_database() and application_name like 'nullspend-%'",
        );
        return Number(rows[0]!.count);
      },
      { timeout: 20_000, interval: 10 },
    )
    .toBe(0);
}

/** Two processes sweep at once. */
async function sweepAll(orgId: string): Promise<number> {
  await untilItsBackendsAreGone();
  await makeOverdue(orgId);
  const ledgers = [0, 1].map(() => createLedger({ connectionString: database.connectionString, clock: systemClock, log: recordingLog() }));
  const expired = await Promise.all(ledgers.map((ledger) => ledger.expireStale()));
  await Promise.all(ledgers.map((ledger) => ledger.stop()));
  return expired.reduce((sum, each) => sum + each, 0);
}

async function expectAccounted(orgId: string, sent: readonly string[]): Promise<void> {
  expect(await database.prisma.reservation.count({ where: { orgId, state: "held" } })).toBe(0);
  const events = await database.prisma.costEvent.findMany({ where: { orgId }, select: { id: true, chargedNano: true, provisional: true } });
  const ids = new Set(events.map(({ id }) => id));
  expect(ids.size).toBe(events.length);
  expect(sent.filter((id) => !ids.has(id))).toEqual([]);
  const charged = events.reduce((sum, { chargedNano }) => sum + chargedNano, 0n);
  const balances = await database.prisma.budgetBalance.findMany({ where: { orgId } });
  for (const { spentNano, reservedNano } of balances) expect({ spentNano, reservedNano }).toEqual({ spentNano: charged, reservedNano: 0n });
  const { _sum } = await database.prisma.costRollup.aggregate({ where: { orgId, dimension: "total" }, _sum: { calls: true } });
  expect(Number(_sum.calls ?? 0n)).toBe(events.length);
  expect(await violationsOf(database.prisma, orgId)).toEqual([]);
}

describe.skipIf(!real)(`a process is killed (${NEEDS_REAL_POSTGRES})`, () => {
  it.each(["before-reserve", "after-reserve", "after-extend", "before-settle", "after-settle"])(
    "%s: after lease and sweep nothing is held, and every call that was sent has exactly one event",
    { timeout: 120_000 },
    async (name) => {
      for (const times of [1, 2, 7, 30]) {
        const task = await newTask();
        const { sent, signal } = await run(task, { failpoint: `${name}:${times}` });
        expect(signal).toBe("SIGKILL");
        await sweepAll(task.orgId);
        await expectAccounted(task.orgId, sent);
      }
    },
  );

  it("calls that no budget limits and that last are recorded all the same", { timeout: 60_000 }, async () => {
    const task: CrashTask = { ...(await newTask()), work: "unlimited" };
    // The second of two batches.
    const { sent } = await run(task, { failpoint: "after-journal:2" });
    expect(sent).toHaveLength(700);
    await sweepAll(task.orgId);
    const events = await database.prisma.costEvent.findMany({
      where: { orgId: task.orgId },
      select: { id: true, status: true, costBasis: true, costNano: true, provisional: true },
    });
    expect(events.map(({ id }) => id).toSorted()).toEqual(sent.toSorted());
    expect(events[0]).toMatchObject({ status: "interrupted", costBasis: "unpriced", costNano: null, provisional: true });
    expect(await violationsOf(database.prisma, task.orgId)).toEqual([]);
  });

  it("at any moment: the same", { timeout: 120_000 }, async () => {
    for (let round = 0; round < 8; round += 1) {
      const task = await newTask();
      const { sent } = await run(task, { killAfterMs: round * 7 });
      await sweepAll(task.orgId);
      await expectAccounted(task.orgId, sent);
    }
  });

  it.each(["before-expire:1", "after-expire:1", "after-expire:2"])(
    "while it sweeps, %s, with another sweeping beside it: each hold expires once",
    { timeout: 120_000 },
    async (failpoint) => {
      const task = await newTask();
      const { sent } = await run(task, { failpoint: "before-settle:1" });
      await database.pool.query(
        `insert into reservation (call_id, org_id, balance_ids, amounts, lease_until, draft)
         select gen_random_uuid(), org_id, balance_ids, amounts, lease_until, draft from reservation, generate_series(1, 20)
         where org_id = $1`,
        [task.orgId],
      );
      await database.pool.query(
        `update reservation set draft = (draft::jsonb || jsonb_build_object('id', call_id, 'request_id', call_id))::text where org_id = $1`,
        [task.orgId],
      );
      await database.pool.query(
        `update budget_balance b set reserved_nano =
           (select sum(line.amount) from reservation r, unnest(r.balance_ids, r.amounts) line (id, amount) where r.state = 'held' and line.id = b.id)
         where org_id = $1`,
        [task.orgId],
      );
      await makeOverdue(task.orgId);
      const overdue = await database.prisma.reservation.count({ where: { orgId: task.orgId, state: "held" } });
      expect(overdue).toBeGreaterThan(100);
      const [killed] = await Promise.all([run({ ...task, work: "sweep" }, { failpoint }), run({ ...task, work: "sweep" }, {})]);
      expect(killed!.signal === "SIGKILL" || killed!.code === 0).toBe(true);
      await sweepAll(task.orgId);
      await expectAccounted(task.orgId, sent);
      expect(await database.prisma.costEvent.count({ where: { orgId: task.orgId, provisional: true } })).toBe(overdue);
    },
  );
});
