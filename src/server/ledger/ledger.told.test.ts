import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { type Clock, systemClock } from "@/lib/clock";
import { uuidv7 } from "@/lib/ids";
import { nanoUsd } from "@/lib/money";
import type { CostEventRecord } from "@/server/events/cost-event";
import { createTestDatabase, hasRealPostgres, NEEDS_REAL_POSTGRES, type TestDatabase } from "@/testing/database";
import { createOrganisation } from "@/testing/factories";
import type { LedgerBudget } from "./budget-line";
import { violationsOf } from "./integrity";
import { createLedger, type Ledger } from "./ledger";
import { createSettleDoor, type MeasuredSettleDoor } from "./settle";
import { costEvent, recordingLog } from "./testing";

// What would break in production: somebody is told twice or never that a budget is used up, or a period begins late, twice or not at
// all, and calls are counted in the wrong one.

const real = await hasRealPostgres();
const DAY_MS = 86_400_000;

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

/** As many processes. */
function newProcesses(count: number, clock: Clock = systemClock) {
  const log = recordingLog();
  const { connectionString } = database;
  const processes = Array.from({ length: count }, (): { ledger: Ledger; door: MeasuredSettleDoor } => ({
    ledger: createLedger({ connectionString, clock, log }),
    door: createSettleDoor({ connectionString, clock, log, limits: { batchIntervalMs: 0 } }),
  }));
  onTestFinished(async () => {
    await Promise.all(processes.flatMap(({ ledger, door }) => [ledger.stop(), door.stop()]));
  });
  return { processes, log };
}

type Fields = {
  entityType?: string;
  entityId?: string;
  maxNano?: bigint;
  policy?: string;
  resetInterval?: "none" | "daily";
  sessionLimitNano?: bigint;
  velocityLimitNano?: bigint;
  holds?: string;
  thresholds?: number[];
};

async function newBudget(orgId: string, fields: Fields = {}): Promise<LedgerBudget> {
  const { id } = await database.prisma.budget.create({
    data: { orgId, entityType: "org", entityId: "org", models: [], providers: [], maxNano: 100n, thresholds: [], ...fields },
  });
  await database.pool.query("select apply_budget_change($1, $2, null, $3)", [
    orgId,
    id,
    fields.resetInterval === "daily" ? new Date(Math.ceil(Date.now() / DAY_MS) * DAY_MS) : null,
  ]);
  const { sessionLimitNano, velocityLimitNano, resetInterval = "none" } = fields;
  return {
    id,
    period: { interval: resetInterval, timezone: "UTC", anchorDay: null },
    sessionLimitNano: sessionLimitNano === undefined ? null : nanoUsd(sessionLimitNano),
    velocity: velocityLimitNano === undefined ? null : { limitNano: nanoUsd(velocityLimitNano), windowSeconds: 60, cooldownSeconds: 60 },
  };
}

async function newOrg(): Promise<string> {
  return (await createOrganisation({ prisma: database.prisma })).orgId;
}

function ask(ledger: Ledger, orgId: string, budgets: readonly LedgerBudget[], bound: bigint, session: string | null = null) {
  const callId = uuidv7(Date.now());
  return ledger
    .reserve({
      callId,
      orgId,
      configVersion: 1n,
      sessionId: session,
      lines: budgets.map((budget) => ({ budget, bound: nanoUsd(bound) })),
      floor: null,
      draft: costEvent({ orgId, id: callId, sessionId: session }),
    })
    .then((result) => ({ ...result, callId }));
}

const charged = (orgId: string, id: string, nano: bigint): CostEventRecord =>
  costEvent({ orgId, id, requestId: id, costNano: nanoUsd(nano), chargedNano: nanoUsd(nano) });

async function toldTo(orgId: string): Promise<Record<string, number>> {
  const events = await database.prisma.outboxEvent.findMany({ where: { orgId }, select: { type: true } });
  const counts: Record<string, number> = {};
  for (const { type } of events) counts[type] = (counts[type] ?? 0) + 1;
  return counts;
}

describe("denials", () => {
  it.each([
    ["org", "org", "budget.exceeded", "budget_exceeded"],
    ["tag", "team=a", "tag_budget.exceeded", "tag_budget_exceeded"],
    ["customer", "acme", "customer_budget.exceeded", "customer_budget_exceeded"],
  ])(
    "of a budget of %s (%s): each is told as blocked, the first as %s, also through two processes at once",
    async (entityType, entityId, first, code) => {
      const orgId = await newOrg();
      const budget = await newBudget(orgId, { entityType, entityId });
      const { processes, log } = newProcesses(2);
      await ask(processes[0]!.ledger, orgId, [budget], 100n);
      const denied = await Promise.all(Array.from({ length: 60 }, (_, i) => ask(processes[i % 2]!.ledger, orgId, [budget], 5n)));
      await Promise.all(
        denied.map((answer, i) => {
          if (answer.outcome !== "denied") throw new Error(answer.outcome);
          const event = {
            ...charged(orgId, answer.callId, 0n),
            status: "denied" as const,
            denialCode: code,
            estimatedNano: nanoUsd(5_000n),
          };
          return processes[i % 2]!.door.settle({
            event,
            denial: { balanceId: answer.by.balanceId, details: { why: "for\u0000a\ud800test" } },
          });
        }),
      );
      expect(await toldTo(orgId)).toEqual({ "request.blocked": 60, [first]: 1 });
      const { payload } = await database.prisma.outboxEvent.findFirstOrThrow({ where: { orgId, type: first } });
      expect(payload).toMatchObject({
        budget_id: `ns_bgt_${budget.id}`,
        budget_entity_type: entityType,
        budget_entity_id: entityId,
        budget_limit_microdollars: 0.1,
        budget_spend_microdollars: 0,
        estimated_request_cost_microdollars: 5,
        ...(entityType === "tag" ? { tag_key: "team", tag_value: "a" } : {}),
      });
      expect(log.lines).toEqual([]);
    },
  );

  it("of a session are told as the session's, once for each session", async () => {
    const orgId = await newOrg();
    const budget = await newBudget(orgId, { maxNano: 1_000n, sessionLimitNano: 10n });
    const { processes } = newProcesses(1);
    const { ledger, door } = processes[0]!;
    for (const session of ["a", "b", "a"]) {
      const answer = await ask(ledger, orgId, [budget], 11n, session);
      if (answer.outcome !== "denied") throw new Error(answer.outcome);
      expect(answer.by.kind).toBe("session");
      const event = {
        ...charged(orgId, answer.callId, 0n),
        status: "denied" as const,
        denialCode: "session_limit_exceeded",
        sessionId: session,
      };
      await door.settle({ event, denial: { balanceId: answer.by.balanceId } });
    }
    expect(await toldTo(orgId)).toEqual({ "request.blocked": 3, "session.limit_exceeded": 2 });
  });

  it("that nobody blocked (a malformed request, a database that was away) are not told", async () => {
    const orgId = await newOrg();
    const { processes } = newProcesses(1);
    for (const denialCode of ["bad_request", "budget_unavailable", "not_found"]) {
      await processes[0]!.door.settle({ event: { ...charged(orgId, uuidv7(Date.now()), 0n), status: "denied", denialCode } });
    }
    await processes[0]!.door.settle({ event: { ...charged(orgId, uuidv7(Date.now()), 0n), status: "denied", denialCode: "frozen" } });
    expect(await toldTo(orgId)).toEqual({ "request.blocked": 1 });
  });
});

describe("periods", () => {
  /** Makes it look as if the running period had ended just now. */
  const endPeriod = (budgetId: string) =>
    database.pool.query(
      "update budget_balance set starts_at = starts_at - interval '1 day', ends_at = $2 where budget_id = $1 and session_id is null",
      [budgetId, new Date(Math.floor(Date.now() / DAY_MS) * DAY_MS)],
    );

  it("begin by themselves, told once, through any number of processes; calls in flight stay in theirs", async () => {
    const orgId = await newOrg();
    const budget = await newBudget(orgId, { resetInterval: "daily" });
    const { processes } = newProcesses(3);
    const inFlight = await ask(processes[0]!.ledger, orgId, [budget], 60n);
    expect(await processes[0]!.ledger.rollOverPeriods()).toBe(0);
    await endPeriod(budget.id);
    await Promise.all(processes.map(({ ledger }) => ledger.rollOverPeriods()));
    expect(await toldTo(orgId)).toEqual({ "budget.reset": 1 });
    // Every process finds the new period, also the one that still remembers the old one.
    for (const { ledger } of processes) expect((await ask(ledger, orgId, [budget], 33n)).outcome).toBe("held");
    await processes[1]!.door.settle({ event: charged(orgId, inFlight.callId, 50n), budgets: { held: true } });
    const balances = await database.prisma.budgetBalance.findMany({ where: { budgetId: budget.id }, orderBy: { startsAt: "asc" } });
    expect(balances.map(({ spentNano, reservedNano, openedBy }) => ({ spentNano, reservedNano, openedBy }))).toEqual([
      { spentNano: 50n, reservedNano: 0n, openedBy: "created" },
      { spentNano: 0n, reservedNano: 99n, openedBy: "rolled_over" },
    ]);
    expect(balances[0]!.endsAt).toEqual(balances[1]!.startsAt);
    expect(await violationsOf(database.prisma, orgId)).toEqual([]);
  });

  it("begin with the first call as well, told once", async () => {
    const orgId = await newOrg();
    const budget = await newBudget(orgId, { resetInterval: "daily" });
    const { processes } = newProcesses(3);
    await Promise.all(processes.map(({ ledger }) => ask(ledger, orgId, [budget], 1n)));
    await endPeriod(budget.id);
    const answers = await Promise.all(
      processes.flatMap(({ ledger }) => Array.from({ length: 20 }, () => ask(ledger, orgId, [budget], 1n))),
    );
    expect(answers.every(({ outcome }) => outcome === "held")).toBe(true);
    expect(await toldTo(orgId)).toEqual({ "budget.reset": 1 });
    expect(await database.prisma.budgetBalance.count({ where: { budgetId: budget.id } })).toBe(2);
  });

  it.each([
    ["ahead", 5 * 3_600_000],
    ["ahead by days", 3 * DAY_MS],
    ["behind", -5 * 3_600_000],
    ["behind by days", -3 * DAY_MS],
  ])("are the database's: a process whose clock is %s counts in the same one", async (_, offMs) => {
    const orgId = await newOrg();
    const budget = await newBudget(orgId, { resetInterval: "daily" });
    const { processes } = newProcesses(1, { ...systemClock, now: () => Date.now() + offMs });
    expect((await ask(processes[0]!.ledger, orgId, [budget], 1n)).outcome).toBe("held");
    const right = newProcesses(1);
    expect((await ask(right.processes[0]!.ledger, orgId, [budget], 1n)).outcome).toBe("held");
    const balances = await database.prisma.budgetBalance.findMany({ where: { budgetId: budget.id } });
    expect(balances.map(({ startsAt, endsAt, reservedNano }) => ({ startsAt, endsAt, reservedNano }))).toEqual([
      {
        startsAt: new Date(Math.floor(Date.now() / DAY_MS) * DAY_MS),
        endsAt: new Date(Math.floor(Date.now() / DAY_MS) * DAY_MS + DAY_MS),
        reservedNano: 2n,
      },
    ]);
  });

  it("an approved raise is for the running period: percentages above what is spent are told again", async () => {
    const orgId = await newOrg();
    const budget = await newBudget(orgId, { thresholds: [50, 90] });
    const { processes } = newProcesses(1);
    const { ledger, door } = processes[0]!;
    const spend = async (nano: bigint): Promise<void> => {
      const { callId } = await ask(ledger, orgId, [budget], nano);
      await door.settle({ event: charged(orgId, callId, nano), budgets: { held: true } });
    };
    await spend(95n);
    expect(await toldTo(orgId)).toEqual({ "budget.threshold.warning": 1, "budget.threshold.critical": 1 });
    await database.pool.query("select raise_budget($1, $2, 100)", [orgId, budget.id]);
    await spend(4n);
    expect(await toldTo(orgId)).toEqual({ "budget.threshold.warning": 1, "budget.threshold.critical": 1 });
    await spend(2n);
    expect(await toldTo(orgId)).toEqual({ "budget.threshold.warning": 2, "budget.threshold.critical": 1 });
    await spend(90n);
    expect(await toldTo(orgId)).toEqual({ "budget.threshold.warning": 2, "budget.threshold.critical": 2 });
  });
});

describe("why a balance stands above its limit", () => {
  it("says that it holds the expected, that it was reported, or that the provider charged more", async () => {
    const orgId = await newOrg();
    const { processes } = newProcesses(1);
    const { ledger, door } = processes[0]!;
    const reasons: Record<string, string[]> = {};
    for (const holds of ["bound", "expected"]) {
      const budget = await newBudget(orgId, { holds, entityType: "tag", entityId: `holds=${holds}` });
      const { callId } = await ask(ledger, orgId, [budget], 100n);
      await door.settle({ event: charged(orgId, callId, 130n), budgets: { held: true } });
      const id = uuidv7(Date.now());
      const balanceIds = await ledger.balancesOf([budget], null, 1n);
      await door.settle({ event: { ...charged(orgId, id, 5n), source: "api" }, budgets: { held: false, balanceIds } });
      const rows = await database.prisma.budgetExcess.findMany({ where: { balanceId: balanceIds[0]! }, orderBy: { id: "asc" } });
      reasons[holds] = rows.map(({ reason, amountNano }) => `${reason} ${amountNano}`);
    }
    expect(reasons).toEqual({ bound: ["provider 30", "reported 5"], expected: ["expected 30", "reported 5"] });
  });

  it("amounts that no column could add up do not refuse the events after them", async () => {
    const orgId = await newOrg();
    const budget = await newBudget(orgId, { maxNano: 9_000_000_000_000_000n });
    const { processes, log } = newProcesses(1);
    const { ledger, door } = processes[0]!;
    const balanceIds = await ledger.balancesOf([budget], null, 1n);
    for (let i = 0; i < 3; i += 1) {
      const event = { ...charged(orgId, uuidv7(Date.now()), 9_223_372_036_854_775_807n), source: "api" as const };
      await door.settle({ event, budgets: { held: false, balanceIds } });
    }
    expect(await database.prisma.costEvent.count({ where: { orgId } })).toBe(3);
    expect((await ask(ledger, orgId, [budget], 1n)).outcome).toBe("denied");
    expect(log.lines).toEqual([]);
  });
});

describe("velocity", () => {
  it("a breaker that trips again before anybody said that it had recovered tells both, each once", async () => {
    const orgId = await newOrg();
    const budget = await newBudget(orgId, { maxNano: 10_000n, velocityLimitNano: 10n });
    const { processes } = newProcesses(1);
    const { ledger } = processes[0]!;
    await ask(ledger, orgId, [budget], 10n);
    expect((await ask(ledger, orgId, [budget], 5n)).outcome).toBe("denied");
    await database.pool.query("update budget_velocity set cool_until = now() - interval '1 second' where budget_id = $1", [budget.id]);
    expect((await ask(ledger, orgId, [budget], 5n)).outcome).toBe("denied");
    expect(await toldTo(orgId)).toEqual({ "velocity.exceeded": 2, "velocity.recovered": 1 });
    await database.pool.query("update budget_velocity set cool_until = now() - interval '1 second' where budget_id = $1", [budget.id]);
    await Promise.all([ledger.recoverVelocity(), ledger.recoverVelocity()]);
    expect(await toldTo(orgId)).toEqual({ "velocity.exceeded": 2, "velocity.recovered": 2 });
  });

  it("no window of its length ever holds more than the limit, however calls arrive", async () => {
    const LIMIT = 100;
    const WINDOW_MS = 60_000;
    const arrivals = fc.array(
      fc.tuple(fc.oneof(fc.nat(3_000), fc.nat(62_000), fc.constantFrom(1, 999, 1_000, 1_016, 1_017, 58_983, 59_000)), fc.nat(100)),
      {
        minLength: 5,
        maxLength: 40,
      },
    );
    await fc.assert(
      fc.asyncProperty(arrivals, fc.nat(5_000), async (gaps, startMs) => {
        let atMs = 1_795_500_000_000 + startMs;
        const calls = gaps.map(([gapMs, amount]) => ({ atMs: (atMs += gapMs), amount }));
        const { rows } = await database.pool.query<{ admitted: boolean[] }>("select velocity_replay($1, $2, $3, $4) as admitted", [
          calls.map(({ atMs: at }) => at),
          calls.map(({ amount }) => amount),
          LIMIT,
          WINDOW_MS / 1_000,
        ]);
        const admitted = calls.filter((_, i) => rows[0]!.admitted[i]);
        for (const { atMs: endMs } of admitted) {
          const inWindow = admitted.filter(({ atMs: at }) => at <= endMs && at > endMs - WINDOW_MS);
          expect(inWindow.reduce((sum, { amount }) => sum + amount, 0)).toBeLessThanOrEqual(LIMIT);
        }
        // And money that is there is not refused: what is older than a window and a bucket no longer counts.
        calls.forEach(({ atMs: at, amount }, i) => {
          if (rows[0]!.admitted[i] || amount > LIMIT) return;
          const recent = calls.filter((each, j) => j < i && rows[0]!.admitted[j] && each.atMs > at - WINDOW_MS - WINDOW_MS / 59);
          expect(recent.reduce((sum, each) => sum + each.amount, 0) + amount).toBeGreaterThan(LIMIT);
        });
      }),
      { numRuns: 300 },
    );
  });
  beforeAll(async () => {
    await database.pool.query(`
      create function velocity_replay(at_ms bigint[], amounts bigint[], max_amount bigint, window_seconds integer) returns boolean[]
      language plpgsql as $$
      declare ring bigint[] := array_fill(0::bigint, array[60]); head bigint := 0; bucket bigint; admitted boolean[];
      begin
        for i in 1 .. cardinality(at_ms) loop
          bucket := velocity_bucket(at_ms[i], window_seconds);
          admitted[i] := amounts[i] <= max_amount - velocity_sum(ring, head, bucket);
          if admitted[i] then
            ring := velocity_turned(ring, head, bucket);
            head := bucket;
            ring[(bucket % 60) + 1] := ring[(bucket % 60) + 1] + amounts[i];
          end if;
        end loop;
        return admitted;
      end $$`);
  });
});

describe.skipIf(!real)(`budgets are edited while calls come and go (${NEEDS_REAL_POSTGRES})`, () => {
  it("nothing deadlocks, and every hold ends where it began", { timeout: 60_000 }, async () => {
    const orgId = await newOrg();
    const budgets = await Promise.all(
      [0, 1, 2].map((i) =>
        newBudget(orgId, { entityType: "tag", entityId: `n=${i}`, maxNano: 1_000_000n, thresholds: [50], velocityLimitNano: 10_000_000n }),
      ),
    );
    const { processes, log } = newProcesses(2);
    let running = true;
    const editor = (async () => {
      for (let i = 0; running; i += 1) {
        const budget = budgets[i % 3]!;
        if (i % 4 === 3) await database.pool.query("select reset_budget($1, $2, null)", [orgId, budget.id]);
        else if (i % 4 === 2) await database.pool.query("select raise_budget($1, $2, 10)", [orgId, budget.id]);
        else await database.pool.query("select apply_budget_change($1, $2, max_nano, null) from budget where id = $2", [orgId, budget.id]);
      }
    })();
    const outcomes: string[] = [];
    await Promise.all(
      Array.from({ length: 40 }, async (_, worker) => {
        const { ledger, door } = processes[worker % 2]!;
        for (let i = 0; i < 25; i += 1) {
          const answer = await ask(
            ledger,
            orgId,
            budgets.toSorted(() => Math.random() - 0.5),
            10n,
          );
          outcomes.push(answer.outcome);
          if (answer.outcome !== "held") continue;
          if (i % 5 === 0) await ledger.extendTo(answer.callId, nanoUsd(20n));
          await door.settle({ event: charged(orgId, answer.callId, 7n), budgets: { held: true } });
        }
      }),
    );
    running = false;
    await editor;
    expect(log.lines.filter(({ err }) => /deadlock/.test(String((err as Error | undefined)?.message)))).toEqual([]);
    expect(outcomes.filter((outcome) => outcome === "held").length).toBeGreaterThan(900);
    const { rows } = await database.pool.query(
      "select sum(reserved_nano)::int as reserved, sum(spent_nano)::int as spent from budget_balance where org_id = $1",
      [orgId],
    );
    const held = outcomes.filter((outcome) => outcome === "held").length;
    expect(rows).toEqual([{ reserved: 0, spent: held * 7 * 3 }]);
    expect(await violationsOf(database.prisma, orgId)).toEqual([]);
  });
});

describe("calls that no budget limits", () => {
  it("are written down only if they last, and forgotten when they are settled", async () => {
    const orgId = await newOrg();
    const { processes } = newProcesses(1);
    const { ledger, door } = processes[0]!;
    const short = uuidv7(Date.now());
    ledger.watch({ callId: short, orgId, draft: () => costEvent({ orgId, id: short }) });
    expect(ledger.unwatch(short)).toBe(false);
    const impatient = createLedger({
      connectionString: database.connectionString,
      clock: systemClock,
      log: recordingLog(),
      journalEveryMs: 5,
    });
    onTestFinished(() => impatient.stop());
    impatient.start();
    const long = uuidv7(Date.now());
    impatient.watch({ callId: long, orgId, draft: () => costEvent({ orgId, id: long }) });
    await expect.poll(() => database.prisma.reservation.count({ where: { orgId } })).toBe(1);
    expect(impatient.unwatch(long)).toBe(true);
    await door.settle({ event: charged(orgId, long, 5n), budgets: { held: true } });
    expect(await database.prisma.reservation.count({ where: { orgId } })).toBe(0);
    expect(await database.prisma.costEvent.count({ where: { orgId } })).toBe(1);
    expect(await violationsOf(database.prisma, orgId)).toEqual([]);
  });
});
