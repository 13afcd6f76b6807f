import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemClock } from "@/lib/clock";
import { uuidv7 } from "@/lib/ids";
import { type NanoUsd, nanoUsd } from "@/lib/money";
import type { CostEventRecord } from "@/server/events/cost-event";
import { NEEDS_REAL_POSTGRES, type TestDatabase, createTestDatabase, hasRealPostgres } from "@/testing/database";
import { createOrganisation } from "@/testing/factories";
import { violationsOf } from "./integrity";
import type { LedgerBudget } from "./budget-line";
import { type Ledger, createLedger } from "./ledger";
import { createSettleDoor } from "./settle";
import type { SettleDoor } from "./settle-door";

// What would break in production: an agent spends past a hard limit, or is refused money that is there.

const log = { debug() {}, info() {}, warn() {}, error() {}, fatal() {}, child: () => log };
const usd = (dollars: number): NanoUsd => nanoUsd(BigInt(Math.round(dollars * 1e9)));

let database: TestDatabase;
let door: SettleDoor;
let ledger: Ledger;
const real = await hasRealPostgres();

beforeAll(async () => {
  database = await createTestDatabase();
  door = createSettleDoor({ connectionString: database.connectionString, clock: systemClock, log });
  ledger = createLedger({ connectionString: database.connectionString, clock: systemClock, log });
});

afterAll(async () => {
  await ledger.stop();
  await door.drain(5_000);
  await door.stop();
  await database.drop();
});

type Made = { orgId: string; budgets: LedgerBudget[] };
type BudgetOptions = { limit: NanoUsd; policy?: string; session?: NanoUsd; velocity?: NanoUsd; thresholds?: number[] };

async function made(...budgets: BudgetOptions[]): Promise<Made> {
  const { orgId } = await createOrganisation({ prisma: database.prisma });
  const rows: LedgerBudget[] = [];
  for (const [i, { limit, policy = "strict_block", session, velocity, thresholds = [] }] of budgets.entries()) {
    const row = await database.prisma.budget.create({
      data: {
        orgId,
        entityType: "tag",
        entityId: `n=${i}`,
        models: [],
        providers: [],
        maxNano: limit,
        policy,
        thresholds,
        sessionLimitNano: session ?? null,
        velocityLimitNano: velocity ?? null,
      },
    });
    await database.pool.query("select apply_budget_change($1, $2, null, null)", [orgId, row.id]);
    rows.push({
      id: row.id,
      period: { interval: "none", timezone: "UTC", anchorDay: null },
      sessionLimitNano: session ?? null,
      velocity: velocity ? { limitNano: velocity, windowSeconds: 60, cooldownSeconds: 60 } : null,
    });
  }
  return { orgId, budgets: rows };
}

function event(orgId: string, id: string, charged: NanoUsd, more: Partial<CostEventRecord> = {}): CostEventRecord {
  return {
    orgId,
    id,
    requestId: id,
    createdAtMs: Date.now(),
    status: "ok",
    denialCode: null,
    httpStatus: 200,
    source: "proxy",
    eventType: "llm",
    provider: "openai",
    model: "gpt-5",
    requestedModel: "gpt-5",
    serviceTier: null,
    endpoint: "responses",
    inputTokens: 1,
    outputTokens: 1,
    cachedInputTokens: 0,
    cacheWriteTokens: 0,
    reasoningTokens: 0,
    costNano: charged,
    chargedNano: charged,
    costBasis: "reported",
    costBreakdown: null,
    lines: null,
    priceVersion: null,
    estimatedNano: null,
    budgetStatus: "approved",
    stopReason: null,
    toolCalls: null,
    toolName: null,
    toolServer: null,
    durationMs: 1,
    upstreamDurationMs: 1,
    timeToFirstByteMs: 1,
    overheadMs: 0,
    sessionId: null,
    traceId: null,
    spanId: null,
    parentSpanId: null,
    actionId: null,
    customerId: null,
    tags: { team: "a" },
    apiKeyId: null,
    keyName: null,
    userId: null,
    ...more,
  };
}

type Asked = { bound: NanoUsd; floor?: NanoUsd; session?: string; version?: bigint; through?: Ledger };
function ask({ orgId, budgets }: Made, { bound, floor, session, version = 1n, through = ledger }: Asked) {
  const callId = uuidv7(Date.now());
  const result = through.reserve({
    callId,
    orgId,
    configVersion: version,
    sessionId: session ?? null,
    lines: budgets.map((budget) => ({ budget, bound })),
    floor: floor ?? null,
    draft: event(orgId, callId, nanoUsd(0n), { sessionId: session ?? null }),
  });
  return result.then((answer) => ({ callId, ...answer }));
}

const settle = (orgId: string, callId: string, charged: NanoUsd) =>
  door.settle({ event: event(orgId, callId, charged), budgets: { held: true } });

async function balancesOf({ budgets }: Made) {
  const { rows } = await database.pool.query(
    `select b.spent_nano::text as spent, b.reserved_nano::text as reserved, b.excess_nano::text as excess, b.session_id
       from budget_balance b where b.budget_id = any($1) order by array_position($1, b.budget_id), b.id`,
    [budgets.map(({ id }) => id)],
  );
  return rows as { spent: string; reserved: string; excess: string; session_id: string | null }[];
}

const outboxOf = async ({ orgId }: Made): Promise<string[]> =>
  (await database.prisma.outboxEvent.findMany({ where: { orgId }, orderBy: [{ createdAt: "asc" }, { id: "asc" }] })).map(
    ({ type }) => type,
  );

const expectIntact = async ({ orgId }: Made): Promise<void> => expect(await violationsOf(database.prisma, orgId)).toEqual([]);

describe("a hard budget", () => {
  it("admits what fits to the last nanodollar and refuses one more", async () => {
    const org = await made({ limit: nanoUsd(100n) });
    expect((await ask(org, { bound: nanoUsd(99n) })).outcome).toBe("held");
    expect((await ask(org, { bound: nanoUsd(2n) })).outcome).toBe("denied");
    expect((await ask(org, { bound: nanoUsd(1n) })).outcome).toBe("held");
    expect((await ask(org, { bound: nanoUsd(1n) })).outcome).toBe("denied");
    expect((await ask(org, { bound: nanoUsd(0n) })).outcome).toBe("held");
    await expectIntact(org);
  });

  it.each([1, 2, 5])("admits exactly 100 of 1,000 calls at once, with %i budgets a call in any order", async (count) => {
    const org = await made(...Array.from({ length: count }, () => ({ limit: nanoUsd(1_000n) })));
    const answers = await Promise.all(
      Array.from({ length: 1_000 }, () =>
        ask({ ...org, budgets: org.budgets.toSorted(() => Math.random() - 0.5) }, { bound: nanoUsd(10n) }),
      ),
    );
    expect(answers.filter(({ outcome }) => outcome === "held")).toHaveLength(100);
    expect(answers.filter(({ outcome }) => outcome === "denied")).toHaveLength(900);
    await expectIntact(org);
  });

  it.skipIf(!real)(`admits exactly 100 through four ledgers at once (${NEEDS_REAL_POSTGRES})`, { timeout: 60_000 }, async () => {
    const ledgers = Array.from({ length: 4 }, () => createLedger({ connectionString: database.connectionString, clock: systemClock, log }));
    try {
      for (let round = 0; round < 10; round += 1) {
        const org = await made(...Array.from({ length: [1, 2, 5][round % 3]! }, () => ({ limit: nanoUsd(1_000n) })));
        const answers = await Promise.all(
          Array.from({ length: 1_000 }, (_, i) =>
            ask({ ...org, budgets: org.budgets.toSorted(() => Math.random() - 0.5) }, { bound: nanoUsd(10n), through: ledgers[i % 4]! }),
          ),
        );
        const count = (wanted: string): number => answers.filter(({ outcome }) => outcome === wanted).length;
        expect({ held: count("held"), denied: count("denied") }).toEqual({ held: 100, denied: 900 });
        await expectIntact(org);
      }
    } finally {
      await Promise.all(ledgers.map((each) => each.stop()));
    }
  });

  it("holds nothing at all when one of five budgets is short by one nanodollar, and names that one", async () => {
    const org = await made(...[10n, 10n, 9n, 10n, 10n].map((limit) => ({ limit: nanoUsd(limit) })));
    const answer = await ask(org, { bound: nanoUsd(10n) });
    expect(answer).toMatchObject({ outcome: "denied", by: { budget: { id: org.budgets[2]!.id }, kind: "budget", limit: 9n } });
    expect((await balancesOf(org)).map(({ reserved }) => reserved)).toEqual(["0", "0", "0", "0", "0"]);
  });

  it("gives back what a call did not use, at once", async () => {
    const org = await made({ limit: usd(1) });
    const first = await ask(org, { bound: usd(1) });
    expect((await ask(org, { bound: usd(0.5) })).outcome).toBe("denied");
    await settle(org.orgId, first.callId, usd(0.25));
    expect(await balancesOf(org)).toMatchObject([{ spent: "250000000", reserved: "0", excess: "0" }]);
    expect((await ask(org, { bound: usd(0.75) })).outcome).toBe("held");
    await expectIntact(org);
  });

  it("charges in full what the provider took above its bound, says why, and admits nothing more", async () => {
    const org = await made({ limit: usd(1) });
    const call = await ask(org, { bound: usd(1) });
    await settle(org.orgId, call.callId, usd(1.5));
    expect(await balancesOf(org)).toMatchObject([{ spent: "1500000000", reserved: "0", excess: "500000000" }]);
    expect(await database.prisma.budgetExcess.findMany({ where: { orgId: org.orgId } })).toMatchObject([
      { reason: "provider", eventId: call.callId, amountNano: 500_000_000n },
    ]);
    expect((await ask(org, { bound: nanoUsd(1n) })).outcome).toBe("denied");
    await expectIntact(org);
  });

  it("stops a loop of $0.18 a call with a budget of $1.00 at $0.90", async () => {
    const org = await made({ limit: usd(1) });
    let calls = 0;
    for (;;) {
      const answer = await ask(org, { bound: usd(0.18) });
      if (answer.outcome !== "held") break;
      calls += 1;
      await settle(org.orgId, answer.callId, usd(0.18));
    }
    expect(calls).toBe(5);
    expect(await balancesOf(org)).toMatchObject([{ spent: "900000000" }]);
  });

  it("answers stale when the configuration has moved, and holds nothing", async () => {
    const org = await made({ limit: usd(1) });
    expect((await ask(org, { bound: usd(0.1), version: 2n })).outcome).toBe("stale");
    expect(await database.prisma.reservation.count({ where: { orgId: org.orgId } })).toBe(0);
  });

  it("takes a cost told after the fact, even past the limit", async () => {
    const org = await made({ limit: usd(1) });
    const id = uuidv7(Date.now());
    const balanceIds = await ledger.balancesOf(org.budgets, null, 1n);
    await door.settle({ event: event(org.orgId, id, usd(3), { source: "api" }), budgets: { held: false, balanceIds } });
    expect(await balancesOf(org)).toMatchObject([{ spent: "3000000000", excess: "2000000000" }]);
    expect(await database.prisma.budgetExcess.findMany({ where: { orgId: org.orgId } })).toMatchObject([{ reason: "reported" }]);
    await expectIntact(org);
  });
});

describe("a stream that may be cut", () => {
  it("starts on its floor where its bound does not fit, and grows until nothing is left", async () => {
    const org = await made({ limit: nanoUsd(100n) });
    const call = await ask(org, { bound: nanoUsd(500n), floor: nanoUsd(40n) });
    expect(call).toMatchObject({ outcome: "held", reduced: true });
    expect(await ledger.extendTo(call.callId, nanoUsd(90n))).toEqual({ outcome: "extended" });
    expect(await ledger.extendTo(call.callId, nanoUsd(90n))).toEqual({ outcome: "extended" });
    expect(await ledger.extendTo(call.callId, nanoUsd(101n))).toEqual({ outcome: "short", room: 10n });
    expect(await ledger.extendTo(call.callId, nanoUsd(100n))).toEqual({ outcome: "extended" });
    expect(await balancesOf(org)).toMatchObject([{ reserved: "100" }]);
    await settle(org.orgId, call.callId, nanoUsd(95n));
    expect(await balancesOf(org)).toMatchObject([{ spent: "95", reserved: "0" }]);
    expect(await ledger.extendTo(call.callId, nanoUsd(101n))).toEqual({ outcome: "lost" });
    await expectIntact(org);
  });
});

describe("a settlement", () => {
  it("made twice changes nothing the second time", async () => {
    const org = await made({ limit: usd(1) });
    const call = await ask(org, { bound: usd(0.5) });
    await settle(org.orgId, call.callId, usd(0.2));
    await settle(org.orgId, call.callId, usd(0.2));
    expect(await balancesOf(org)).toMatchObject([{ spent: "200000000", reserved: "0" }]);
    await expectIntact(org);
  });

  it("of a call whose lease ran out replaces the stand-in by the difference, once", async () => {
    const org = await made({ limit: usd(1) });
    const call = await ask(org, { bound: usd(0.5) });
    await database.pool.query("update reservation set lease_until = now() - interval '1 second' where call_id = $1", [call.callId]);
    expect((await ledger.sweep()).expired).toBe(1);
    expect(await balancesOf(org)).toMatchObject([{ spent: "500000000", reserved: "0" }]);
    const standIn = await database.prisma.costEvent.findFirstOrThrow({ where: { orgId: org.orgId, id: call.callId } });
    expect(standIn).toMatchObject({ status: "interrupted", costBasis: "bounded", chargedNano: 500_000_000n, provisional: true });
    await expectIntact(org);

    await settle(org.orgId, call.callId, usd(0.2));
    await settle(org.orgId, call.callId, usd(0.2));
    expect(await balancesOf(org)).toMatchObject([{ spent: "200000000", reserved: "0" }]);
    const real = await database.prisma.costEvent.findFirstOrThrow({ where: { orgId: org.orgId, id: call.callId } });
    expect(real).toMatchObject({ status: "ok", costBasis: "reported", chargedNano: 200_000_000n, provisional: false });
    const total = await database.prisma.costRollup.findFirstOrThrow({ where: { orgId: org.orgId, dimension: "total" } });
    expect(total).toMatchObject({ calls: 1n, costNano: 200_000_000n, failedCalls: 0n });
    await expectIntact(org);
  });

  it("is not disturbed by a sweep that comes after it", async () => {
    const org = await made({ limit: usd(1) });
    const call = await ask(org, { bound: usd(0.5) });
    await settle(org.orgId, call.callId, usd(0.2));
    expect((await ledger.sweep()).expired).toBe(0);
    expect(await balancesOf(org)).toMatchObject([{ spent: "200000000" }]);
  });

  it("after a reset goes to the period that held the call", async () => {
    const org = await made({ limit: usd(1) });
    const call = await ask(org, { bound: usd(0.5) });
    await database.pool.query("select reset_budget($1, $2, null)", [org.orgId, org.budgets[0]!.id]);
    const next = await ask(org, { bound: usd(1) });
    expect(next.outcome).toBe("held");
    await settle(org.orgId, call.callId, usd(0.4));
    expect(await balancesOf(org)).toMatchObject([{ spent: "400000000" }, { spent: "0", reserved: "1000000000" }]);
    expect(await outboxOf(org)).toEqual(["budget.reset"]);
    await expectIntact(org);
  });

  it("after the budget is deleted is taken all the same", async () => {
    const org = await made({ limit: usd(1) });
    const call = await ask(org, { bound: usd(0.5) });
    await database.prisma.budget.update({ where: { id: org.budgets[0]!.id }, data: { deletedAt: new Date() } });
    await settle(org.orgId, call.callId, usd(0.4));
    expect(await balancesOf(org)).toMatchObject([{ spent: "400000000", reserved: "0" }]);
  });

  it("tells each threshold once as spend crosses it, also under concurrency", async () => {
    const org = await made({ limit: usd(1), thresholds: [50, 80, 95] });
    const calls = await Promise.all(Array.from({ length: 10 }, () => ask(org, { bound: usd(0.1) })));
    await Promise.all(calls.map(({ callId }) => settle(org.orgId, callId, usd(0.1))));
    expect((await outboxOf(org)).toSorted()).toEqual(["budget.threshold.critical", "budget.threshold.warning", "budget.threshold.warning"]);
  });
});

describe("lowering a limit", () => {
  it("below what is spent and held is allowed, shows the difference, and admits nothing more", async () => {
    const org = await made({ limit: usd(1) });
    const call = await ask(org, { bound: usd(0.5) });
    await database.prisma.$transaction(async (tx) => {
      await tx.budget.update({ where: { id: org.budgets[0]!.id }, data: { maxNano: usd(0.2) } });
      await tx.$executeRawUnsafe("select apply_budget_change($1::uuid, $2::uuid, $3::bigint, null)", org.orgId, org.budgets[0]!.id, usd(1));
    });
    expect(await balancesOf(org)).toMatchObject([{ reserved: "500000000", excess: "300000000" }]);
    expect((await ask(org, { bound: nanoUsd(1n) })).outcome).toBe("denied");
    await settle(org.orgId, call.callId, usd(0.5));
    await expectIntact(org);
  });
});

describe("policies", () => {
  it("warn never denies", async () => {
    const org = await made({ limit: usd(1), policy: "warn" });
    const call = await ask(org, { bound: usd(5) });
    expect(call.outcome).toBe("held");
    await settle(org.orgId, call.callId, usd(5));
    expect((await ask(org, { bound: usd(5) })).outcome).toBe("held");
    await expectIntact(org);
  });

  it("soft_block lets a session that was running finish up to ten percent over, and nobody else", async () => {
    const org = await made({ limit: usd(1), policy: "soft_block" });
    const first = await ask(org, { bound: usd(1), session: "running" });
    await door.settle({ event: event(org.orgId, first.callId, usd(1), { sessionId: "running" }), budgets: { held: true } });
    expect((await ask(org, { bound: usd(0.05) })).outcome).toBe("denied");
    expect((await ask(org, { bound: usd(0.05), session: "new" })).outcome).toBe("denied");
    expect((await ask(org, { bound: usd(0.05), session: "running" })).outcome).toBe("held");
    expect((await ask(org, { bound: usd(0.06), session: "running" })).outcome).toBe("denied");
    await expectIntact(org);
  });

  it("a session limit is strict for each session, and named before the budget", async () => {
    const org = await made({ limit: usd(1), session: usd(0.3), policy: "warn" });
    expect((await ask(org, { bound: usd(0.3), session: "a" })).outcome).toBe("held");
    expect(await ask(org, { bound: usd(0.1), session: "a" })).toMatchObject({
      outcome: "denied",
      by: { kind: "session", limit: usd(0.3) },
    });
    expect((await ask(org, { bound: usd(0.3), session: "b" })).outcome).toBe("held");
    expect((await ask(org, { bound: usd(0.3) })).outcome).toBe("held");
    await expectIntact(org);
  });

  it("a velocity limit trips on a burst, not on one call that is too large, and recovers by itself, each told once", async () => {
    const org = await made({ limit: usd(100), velocity: usd(1) });
    expect(await ask(org, { bound: usd(2) })).toMatchObject({ outcome: "denied", by: { kind: "velocity", coolUntilMs: null } });
    expect((await ask(org, { bound: usd(0.6) })).outcome).toBe("held");
    expect(await ask(org, { bound: usd(0.6) })).toMatchObject({ outcome: "denied", by: { kind: "velocity" } });
    expect((await ask(org, { bound: usd(0.1) })).outcome).toBe("denied");
    await database.pool.query("update budget_velocity set cool_until = now() where budget_id = $1", [org.budgets[0]!.id]);
    const swept = await Promise.all([ledger.sweep(), ledger.sweep()]);
    expect(swept.reduce((sum, { recovered }) => sum + recovered, 0)).toBe(1);
    expect(await outboxOf(org)).toEqual(["velocity.exceeded", "velocity.recovered"]);
    expect((await ask(org, { bound: usd(0.3) })).outcome).toBe("held");
    expect((await ask(org, { bound: usd(0.2) })).outcome).toBe("denied");
  });

  it("a velocity window is corrected when the cost is known", async () => {
    const org = await made({ limit: usd(100), velocity: usd(1) });
    const call = await ask(org, { bound: usd(0.9) });
    await settle(org.orgId, call.callId, usd(0.1));
    expect((await ask(org, { bound: usd(0.8) })).outcome).toBe("held");
  });
});

describe.skipIf(!real)(`a database that does not answer (${NEEDS_REAL_POSTGRES})`, () => {
  it("locked rows deny within two seconds, and nothing stays held", { timeout: 20_000 }, async () => {
    const org = await made({ limit: usd(1) });
    await ask(org, { bound: usd(0.1) });
    const client = await database.pool.connect();
    try {
      await client.query("begin");
      await client.query("select from budget_balance where budget_id = $1 for update", [org.budgets[0]!.id]);
      const startedAt = performance.now();
      expect((await ask(org, { bound: usd(0.1) })).outcome).toBe("unavailable");
      expect(performance.now() - startedAt).toBeLessThan(2_000);
    } finally {
      await client.query("rollback");
      client.release();
    }
    await expect.poll(async () => balancesOf(org)).toMatchObject([{ reserved: "100000000" }]);
    await expectIntact(org);
  });
});
