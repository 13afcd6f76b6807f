import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it, onTestFinished } from "vitest";
import { systemClock } from "@/lib/clock";
import { uuidv7 } from "@/lib/ids";
import { nanoUsd } from "@/lib/money";
import { startChaosProxy, type ChaosProxy } from "@/testing/chaos-proxy";
import { createTestDatabase, hasRealPostgres, type TestDatabase } from "@/testing/database";
import { createOrganisation } from "@/testing/factories";
import type { LedgerBudget } from "./budget-line";
import { violationsOf } from "./integrity";
import { createLedger, type Ledger, type LedgerOptions } from "./ledger";
import type { ReserveResult } from "./reserve";
import { createSettleDoor } from "./settle";
import { costEvent, recordingLog } from "./testing";

// What would break in production: a call hangs while the database is away, is sent without its money being held, or is refused and
// leaves money held that nobody knows of, which an agent is then refused.

const onRealPostgres = it.skipIf(!(await hasRealPostgres()));
/** A call is answered within this, whatever the database does. */
const ANSWERED_WITHIN_MS = 2_000;

let database: TestDatabase;
let proxy: ChaosProxy;
beforeAll(async () => {
  database = await createTestDatabase();
  const { hostname, port } = new URL(database.connectionString);
  proxy = await startChaosProxy({ host: hostname, port: Number(port || 5432) });
});
afterAll(async () => {
  await proxy.close();
  await database.drop();
});

function newLedger(options: Partial<LedgerOptions> = {}): { ledger: Ledger; log: ReturnType<typeof recordingLog> } {
  const url = new URL(database.connectionString);
  url.hostname = "127.0.0.1";
  url.port = String(proxy.port);
  const log = recordingLog();
  const ledger = createLedger({ connectionString: url.href, clock: systemClock, log, ...options });
  onTestFinished(async () => {
    Object.assign(proxy.chaos, { refuse: false, blackHole: false, latencyMs: 0, sliceBytes: 0, answerBytesMax: Infinity });
    await ledger.stop();
  });
  return { ledger, log };
}

async function newBudgets(count: number, limit = 1_000_000n): Promise<{ orgId: string; budgets: LedgerBudget[] }> {
  const { orgId } = await createOrganisation({ prisma: database.prisma });
  const budgets: LedgerBudget[] = [];
  for (let i = 0; i < count; i += 1) {
    const { id } = await database.prisma.budget.create({
      data: { orgId, entityType: "tag", entityId: `n=${i}`, models: [], providers: [], maxNano: limit, thresholds: [] },
    });
    budgets.push({ id, period: { interval: "none", timezone: "UTC", anchorDay: null }, sessionLimitNano: null, velocity: null });
  }
  return { orgId, budgets };
}

type Timed = ReserveResult & { callId: string; tookMs: number };
async function ask(ledger: Ledger, { orgId, budgets }: { orgId: string; budgets: LedgerBudget[] }, bound = 10n): Promise<Timed> {
  const callId = uuidv7(Date.now());
  const startMs = performance.now();
  const result = await ledger.reserve({
    callId,
    orgId,
    configVersion: 1n,
    sessionId: null,
    lines: budgets.map((budget) => ({ budget, bound: nanoUsd(bound) })),
    floor: null,
    draft: costEvent({ orgId, id: callId }),
  });
  return { ...result, callId, tookMs: performance.now() - startMs };
}

const heldIn = async (orgId: string): Promise<string[]> => {
  const { rows } = await database.pool.query<{ call_id: string }>("select call_id from reservation where org_id = $1 and state = 'held'", [
    orgId,
  ]);
  return rows.map(({ call_id }) => call_id).toSorted();
};

/** Resolves when `condition` holds; the bound is a failure, not a pace. */
async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let waitedMs = 0; waitedMs < 20_000; waitedMs += 5) {
    if (await condition()) return;
    await sleep(5);
  }
  throw new Error("waited in vain");
}

onRealPostgres("the hold is made and its answer is lost: the call is refused in time, and the hold is given back", async () => {
  const org = await newBudgets(2);
  const { ledger } = newLedger();
  expect(await ask(ledger, org)).toMatchObject({ outcome: "held" });
  proxy.chaos.answerBytesMax = 0;
  const answers = await Promise.all(Array.from({ length: 50 }, () => ask(ledger, org)));
  for (const { outcome, tookMs } of answers)
    expect({ outcome, inTime: tookMs < ANSWERED_WITHIN_MS }).toEqual({ outcome: "unavailable", inTime: true });
  proxy.chaos.answerBytesMax = Infinity;
  await until(() => ledger.stats.releasing === 0);
  expect(await heldIn(org.orgId)).toHaveLength(1);
  expect(await violationsOf(database.prisma, org.orgId)).toEqual([]);
  expect((await ask(ledger, org)).outcome).toBe("held");
});

onRealPostgres("a hold that is still being made when its call is refused is given back behind it", async () => {
  const { orgId } = await newBudgets(1);
  const callId = uuidv7(Date.now());
  const maker = await database.pool.connect();
  await maker.query("begin");
  await maker.query(
    "insert into reservation (call_id, org_id, balance_ids, amounts, lease_until, draft) values ($1, $2, '{}', '{}', now() + interval '1 minute', '{}')",
    [callId, orgId],
  );
  const released = database.pool.query("select release_calls($1, $2)", [[callId], [orgId]]);
  await until(async () => {
    const { rows } = await database.pool.query(
      "select 1 from pg_stat_activity where wait_event_type = 'Lock' and query like '%release_calls%'",
    );
    return rows.length > 0;
  });
  await maker.query("commit");
  maker.release();
  expect((await released).rows).toEqual([{ release_calls: 1 }]);
  expect(await heldIn(orgId)).toEqual([]);
});

onRealPostgres("a hold that would be made after its call was refused is not made", async () => {
  const org = await newBudgets(1);
  const { ledger } = newLedger();
  const callId = uuidv7(Date.now());
  await database.pool.query("select release_calls($1, $2)", [[callId], [org.orgId]]);
  const late = await ledger.reserve({
    callId,
    orgId: org.orgId,
    configVersion: 1n,
    sessionId: null,
    lines: [{ budget: org.budgets[0]!, bound: nanoUsd(5n) }],
    floor: null,
    draft: costEvent({ orgId: org.orgId, id: callId }),
  });
  expect(late.outcome).toBe("unavailable");
  expect(await heldIn(org.orgId)).toEqual([]);
});

onRealPostgres("one call that the database refuses does not take the calls beside it with it", async () => {
  const org = await newBudgets(1);
  const { ledger } = newLedger();
  await ask(ledger, org, 1n);
  const callId = uuidv7(Date.now());
  const twice = (): Promise<ReserveResult> =>
    ledger.reserve({
      callId,
      orgId: org.orgId,
      configVersion: 1n,
      sessionId: null,
      lines: [{ budget: org.budgets[0]!, bound: nanoUsd(1n) }],
      floor: null,
      draft: costEvent({ orgId: org.orgId, id: callId }),
    });
  const [first, second, ...others] = await Promise.all([twice(), twice(), ...Array.from({ length: 30 }, () => ask(ledger, org, 1n))]);
  expect([first!.outcome, second!.outcome].toSorted()).toEqual(["held", "unavailable"]);
  expect(others.filter(({ outcome }) => outcome === "held")).toHaveLength(30);
  expect(await violationsOf(database.prisma, org.orgId)).toEqual([]);
});

onRealPostgres.each([
  ["nobody listens", { refuse: true }],
  ["a black hole swallows everything", { blackHole: true }],
])("%s: calls are refused in time, nothing is held, and all goes on when it ends", async (_, chaos) => {
  const org = await newBudgets(1);
  const { ledger } = newLedger();
  const before = await ask(ledger, org);
  Object.assign(proxy.chaos, chaos);
  if ("refuse" in chaos) proxy.resetAll();
  const during: Timed[] = [];
  for (let wave = 0; wave < 3; wave += 1) {
    during.push(...(await Promise.all(Array.from({ length: 200 }, () => ask(ledger, org)))));
  }
  expect(Math.max(...during.map(({ tookMs }) => tookMs))).toBeLessThan(ANSWERED_WITHIN_MS);
  expect(new Set(during.map(({ outcome }) => outcome))).toEqual(new Set(["unavailable"]));
  Object.assign(proxy.chaos, { refuse: false, blackHole: false });
  await until(async () => (await ask(ledger, org)).outcome === "held");
  await until(() => ledger.stats.releasing === 0);
  expect(await heldIn(org.orgId)).toContain(before.callId);
  expect(await heldIn(org.orgId)).toHaveLength(2);
  expect(await violationsOf(database.prisma, org.orgId)).toEqual([]);
});

onRealPostgres("calls wait while a slow database answers, and those that waited too long are refused in time", async () => {
  const org = await newBudgets(1);
  const { ledger } = newLedger();
  await ask(ledger, org);
  proxy.chaos.latencyMs = 200;
  const answers = await Promise.all(Array.from({ length: 100 }, () => ask(ledger, org)));
  proxy.chaos.latencyMs = 0;
  expect(answers.every(({ outcome }) => outcome === "held")).toBe(true);
  expect(Math.max(...answers.map(({ tookMs }) => tookMs))).toBeLessThan(ANSWERED_WITHIN_MS);
});

onRealPostgres("a row that somebody keeps locked denies the calls that need it, and soon none of the others waits with them", async () => {
  const locked = await newBudgets(1);
  const free = await newBudgets(1);
  const { ledger } = newLedger();
  await Promise.all([ask(ledger, locked), ask(ledger, free)]);
  const other = await database.pool.connect();
  await other.query("begin");
  await other.query("select from budget_balance where budget_id = $1 for update", [locked.budgets[0]!.id]);
  try {
    const wave = async (): Promise<{ stopped: Timed[]; passed: Timed[] }> => {
      const [stopped, passed] = await Promise.all([
        Promise.all(Array.from({ length: 20 }, () => ask(ledger, locked))),
        Promise.all(Array.from({ length: 20 }, () => ask(ledger, free))),
      ]);
      return { stopped, passed };
    };
    const first = await wave();
    expect(first.stopped.every(({ outcome, tookMs }) => outcome === "unavailable" && tookMs < ANSWERED_WITHIN_MS)).toBe(true);
    expect(first.passed.every(({ outcome }) => outcome === "held")).toBe(true);
    const second = await wave();
    expect(second.stopped.every(({ outcome }) => outcome === "unavailable")).toBe(true);
    expect(second.passed.every(({ outcome }) => outcome === "held")).toBe(true);
    expect(Math.max(...second.passed.map(({ tookMs }) => tookMs))).toBeLessThan(400);
  } finally {
    await other.query("rollback");
    other.release();
  }
  expect((await ask(ledger, locked)).outcome).toBe("held");
  for (const { orgId } of [locked, free]) expect(await violationsOf(database.prisma, orgId)).toEqual([]);
});

onRealPostgres(
  "backends are killed again and again while calls are reserved and settled: nothing stays held, nothing is charged twice",
  async () => {
    const org = await newBudgets(3, 1_000_000_000n);
    const { ledger } = newLedger();
    const door = createSettleDoor({
      connectionString: database.connectionString,
      clock: systemClock,
      log: recordingLog(),
      limits: { batchIntervalMs: 0 },
    });
    onTestFinished(() => door.stop());
    let running = true;
    let kills = 0;
    const killer = (async () => {
      while (running && kills < 40) {
        const { rowCount } = await database.pool.query(
          `select pg_terminate_backend(pid) from pg_stat_activity
         where application_name in ('nullspend-reserve', 'nullspend-ledger', 'nullspend-ledger-background')
           and datname = current_database() and state = 'active'`,
        );
        kills += rowCount ?? 0;
        await sleep(10);
      }
    })();
    const settled: string[] = [];
    await Promise.all(
      Array.from({ length: 40 }, async () => {
        for (let i = 0; i < 40; i += 1) {
          const answer = await ask(ledger, org);
          if (answer.outcome !== "held") continue;
          await door.settle({
            event: costEvent({ orgId: org.orgId, id: answer.callId, chargedNano: nanoUsd(7n) }),
            budgets: { held: true },
          });
          settled.push(answer.callId);
        }
      }),
    );
    running = false;
    await killer;
    await until(() => ledger.stats.releasing === 0);
    expect(kills).toBeGreaterThan(3);
    expect(await heldIn(org.orgId)).toEqual([]);
    const events = await database.prisma.costEvent.findMany({ where: { orgId: org.orgId }, select: { id: true } });
    expect(events.map(({ id }) => id).toSorted()).toEqual(settled.toSorted());
    const balances = await database.prisma.budgetBalance.findMany({ where: { orgId: org.orgId } });
    expect(balances.map(({ spentNano }) => spentNano)).toEqual(Array.from({ length: 3 }, () => BigInt(settled.length) * 7n));
    expect(await violationsOf(database.prisma, org.orgId)).toEqual([]);
  },
);

onRealPostgres("the ledger that stops gives back what it does not know of first", async () => {
  const org = await newBudgets(1);
  const { ledger } = newLedger();
  await ask(ledger, org);
  proxy.chaos.answerBytesMax = 0;
  const answers = await Promise.all(Array.from({ length: 5 }, () => ask(ledger, org)));
  proxy.chaos.answerBytesMax = Infinity;
  await ledger.stop();
  expect(answers.every(({ outcome }) => outcome === "unavailable")).toBe(true);
  expect(await heldIn(org.orgId)).toHaveLength(1);
});
