import fc from "fast-check";
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { systemClock } from "@/lib/clock";
import { uuidv7 } from "@/lib/ids";
import { nanoUsd } from "@/lib/money";
import { createTestDatabase, type TestDatabase } from "@/testing/database";
import type { LedgerBudget } from "./budget-line";
import { BUDGETS, step, type Step } from "./histories";
import { violationsOf } from "./integrity";
import { createLedger, type Ledger } from "./ledger";
import { LedgerModel } from "./model";
import { createSettleDoor } from "./settle";
import type { SettleDoor } from "./settle-door";
import { costEvent, recordingLog } from "./testing";

// What would break in production: the database decides otherwise than the model says, in an order that nobody thought of.

/** `LEDGER_HISTORIES_POSTGRES=1000` for the long form. */
const HISTORIES = Number(process.env.LEDGER_HISTORIES_POSTGRES ?? 60);
const POLICIES = ["strict_block", "soft_block", "warn"] as const;

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

/** The real ledger beside the model: every step is done to both. */
class Pair {
  readonly log = recordingLog();
  readonly orgId = randomUUID();
  readonly model = new LedgerModel(BUDGETS.map((budget) => ({ ...budget, thresholds: [...budget.thresholds] })));
  readonly budgetIds: string[] = [];
  readonly calls: string[] = [];
  readonly released = new Set<string>();
  readonly door: SettleDoor;
  ledger: Ledger;
  configVersion = 1n;

  constructor() {
    this.ledger = this.#newLedger();
    this.door = createSettleDoor({
      connectionString: database.connectionString,
      clock: systemClock,
      log: this.log,
      limits: { batchIntervalMs: 0 },
    });
  }

  #newLedger(): Ledger {
    return createLedger({ connectionString: database.connectionString, clock: systemClock, log: this.log });
  }

  async open(): Promise<void> {
    const { pool } = database;
    await pool.query("insert into organisation (id, name, slug, updated_at) values ($1, 'model', $2, now())", [this.orgId, this.orgId]);
    for (const [i, { kind, max, thresholds, sessionLimit }] of BUDGETS.entries()) {
      const { rows } = await pool.query<{ id: string }>(
        `insert into budget (org_id, entity_type, entity_id, models, providers, max_nano, policy, thresholds, session_limit_nano)
         values ($1, 'tag', $2, '{}', '{}', $3, $4, $5, $6) returning id`,
        [this.orgId, `n=${i}`, max, POLICIES[kind], [...thresholds], sessionLimit],
      );
      this.budgetIds.push(rows[0]!.id);
    }
  }

  async close(): Promise<void> {
    await this.ledger.stop();
    await this.door.stop();
  }

  #budget(place: number): LedgerBudget {
    const { sessionLimit } = this.model.budgets[place]!;
    return {
      id: this.budgetIds[place]!,
      period: { interval: "none", timezone: "UTC", anchorDay: null },
      sessionLimitNano: sessionLimit === null ? null : nanoUsd(sessionLimit),
      velocity: null,
    };
  }

  #newCall(): string {
    const call = uuidv7(Date.now());
    this.calls.push(call);
    return call;
  }

  #event(call: string, { session, charged, isTool }: { session: string | null; charged: bigint; isTool: boolean }) {
    return costEvent({
      orgId: this.orgId,
      id: call,
      requestId: call,
      sessionId: session,
      source: isTool ? "mcp" : "proxy",
      costNano: nanoUsd(charged),
      chargedNano: nanoUsd(charged),
    });
  }

  async do(each: Step): Promise<void> {
    const callOf = (place: number): string | undefined => this.calls[place % Math.max(1, this.calls.length)];
    const living = (budgets: readonly number[]): number[] => budgets.filter((budget) => !this.model.budgets[budget]!.deleted);
    const { pool } = database;
    switch (each.do) {
      case "reserve":
        return this.#reserve({ ...each, budgets: living(each.budgets), bounds: [each.bound] });
      case "burst":
        return this.#reserve({ ...each, budgets: living(each.budgets), floor: null, isTool: false });
      case "extend": {
        const call = callOf(each.call);
        if (call === undefined) return;
        const { outcome } = await this.ledger.extendTo(call, nanoUsd(each.total));
        return expect(outcome).toBe(this.model.extendTo(call, each.total));
      }
      case "settle": {
        const call = callOf(each.call);
        const known = call === undefined ? undefined : this.model.calls.get(call);
        if (call === undefined || known === undefined || this.released.has(call)) return;
        this.model.settle(call, each.charged);
        await this.door.settle({ event: this.#event(call, { ...known, charged: each.charged }), budgets: { held: true } });
        return;
      }
      case "report": {
        const budgets = living(each.budgets);
        const call = this.#newCall();
        // Found anew: what the ledger remembers is not told that a period was ended behind its back.
        const fresh = this.#newLedger();
        const balanceIds = await fresh.balancesOf(
          budgets.map((place) => this.#budget(place)),
          each.session,
          this.configVersion,
        );
        await fresh.stop();
        this.model.report(call, budgets, each.session, each.charged);
        await this.door.settle({
          event: { ...this.#event(call, { ...each, isTool: false }), source: "api" },
          budgets: { held: false, balanceIds },
        });
        return;
      }
      case "expire": {
        const call = callOf(each.call);
        if (call === undefined) return;
        this.model.expire(call);
        await pool.query("update reservation set lease_until = now() - interval '1 second' where call_id = $1 and state = 'held'", [call]);
        await this.ledger.expireStale();
        return;
      }
      case "release": {
        const call = callOf(each.call);
        if (call === undefined || this.model.calls.get(call)?.state !== "held") return;
        this.released.add(call);
        this.model.release(call);
        await pool.query("select release_calls($1, $2)", [[call], [this.orgId]]);
        return;
      }
      case "raise":
        this.model.raise(each.budget, each.by);
        await pool.query("select raise_budget($1, $2, $3)", [this.orgId, this.budgetIds[each.budget], each.by]);
        return;
      case "editMax":
        return this.#edit(each.budget, "max_nano", each.max, { max: each.max });
      case "editKind":
        return this.#edit(each.budget, "policy", POLICIES[each.kind], { kind: each.kind });
      case "editThresholds":
        return this.#edit(each.budget, "thresholds", each.thresholds, { thresholds: each.thresholds });
      case "editSession":
        return this.#edit(each.budget, "session_limit_nano", each.limit, { sessionLimit: each.limit });
      case "reset":
        if (living([each.budget]).length === 0) return;
        this.model.reset(each.budget);
        await sleep(2);
        await pool.query("select reset_budget($1, $2, null)", [this.orgId, this.budgetIds[each.budget]]);
        return this.#bump();
      case "endPeriod": {
        if (living([each.budget]).length === 0 || this.model.budgets[each.budget]!.current === null) return;
        this.model.endPeriod(each.budget);
        await sleep(2);
        const id = this.budgetIds[each.budget];
        await pool.query(
          "update budget_balance set ends_at = date_trunc('milliseconds', clock_timestamp()) where id = current_balance($1, $2)",
          [this.orgId, id],
        );
        await pool.query(
          "select open_balances(array[$1::uuid], array[null::text], array[to_timestamp(0)], array[null::timestamptz], array[null::bigint])",
          [id],
        );
        return;
      }
      case "delete":
        this.model.delete(each.budget);
        await pool.query("update budget set deleted_at = now() where id = $1", [this.budgetIds[each.budget]]);
        return this.#bump();
      case "crash":
        await this.ledger.stop();
        this.ledger = this.#newLedger();
    }
  }

  async #bump(): Promise<void> {
    this.configVersion += 1n;
    await database.pool.query("update organisation set config_version = $2 where id = $1", [this.orgId, this.configVersion]);
  }

  async #edit(place: number, column: string, value: unknown, change: Parameters<LedgerModel["edit"]>[1]): Promise<void> {
    const before = this.model.budgets[place]!.max;
    this.model.edit(place, change);
    const client = await database.pool.connect();
    try {
      await client.query("begin");
      await client.query(`update budget set ${column} = $2 where id = $1`, [this.budgetIds[place], value]);
      await client.query("select apply_budget_change($1, $2, $3, null)", [this.orgId, this.budgetIds[place], before]);
      await client.query("commit");
    } finally {
      client.release();
    }
    await this.#bump();
  }

  async #reserve(ask: {
    budgets: number[];
    session: string | null;
    bounds: readonly bigint[];
    floor: bigint | null;
    isTool: boolean;
  }): Promise<void> {
    const { budgets, session, bounds, floor, isTool } = ask;
    if (budgets.length === 0) return;
    const answers = await Promise.all(
      bounds.map(async (bound) => {
        const call = this.#newCall();
        const answer = await this.ledger.reserve({
          callId: call,
          orgId: this.orgId,
          configVersion: this.configVersion,
          sessionId: session,
          lines: budgets.map((place) => ({ budget: this.#budget(place), bound: nanoUsd(bound) })),
          floor: floor === null ? null : nanoUsd(floor),
          draft: this.#event(call, { session, charged: 0n, isTool }),
        });
        return { call, bound, answer };
      }),
    );
    for (const { call, bound, answer } of answers) {
      const decision = this.model.reserve({ call, budgets, session, bound, floor, isTool });
      if (decision.outcome === "held") {
        expect(answer).toMatchObject(decision);
        continue;
      }
      const by = this.model.balances[decision.balance]!;
      expect(answer).toMatchObject({
        outcome: "denied",
        room: decision.room,
        by: {
          budget: { id: this.budgetIds[by.budget] },
          kind: by.session === null ? "budget" : "session",
          limit: by.limit,
          spent: by.spent,
          reserved: by.reserved,
        },
      });
    }
  }

  async compare(): Promise<void> {
    const { rows } = await database.pool.query<Record<string, unknown>>(
      `select b.budget_id, b.session_id, b.kind, b.limit_nano, b.spent_nano, b.reserved_nano, b.excess_nano, b.thresholds
       from budget_balance b where b.org_id = $1 order by b.budget_id, b.session_id nulls first, b.id`,
      [this.orgId],
    );
    const stored = rows.map((row) => ({
      budget: this.budgetIds.indexOf(row.budget_id as string),
      session: row.session_id as string | null,
      kind: row.kind,
      limit: BigInt(row.limit_nano as string),
      spent: BigInt(row.spent_nano as string),
      reserved: BigInt(row.reserved_nano as string),
      excess: BigInt(row.excess_nano as string),
      armed: row.thresholds,
    }));
    type Scope = { budget: number; session: string | null };
    const byScope = (a: Scope, b: Scope): number => a.budget - b.budget || (a.session ?? "").localeCompare(b.session ?? "");
    expect(stored.toSorted(byScope)).toEqual(this.model.balances.toSorted(byScope));
    expect(await violationsOf(database.prisma, this.orgId)).toEqual([]);
    const told = await database.prisma.outboxEvent.findMany({ where: { orgId: this.orgId }, select: { type: true } });
    expect(told.map(({ type }) => type).toSorted()).toEqual(this.model.told.toSorted());
    const unexplained = await database.pool.query(
      `select id from budget_balance b where org_id = $1 and kind in (0, 3) and excess_nano > 0
         and not exists (select from budget_excess x where x.balance_id = b.id)`,
      [this.orgId],
    );
    expect(unexplained.rows).toEqual([]);
    expect(this.log.lines.filter(({ level }) => level !== "info")).toEqual([]);
  }
}

it(`the database does what the model does, in ${HISTORIES} histories`, { timeout: 1_800_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 30 }), async (steps) => {
      const pair = new Pair();
      try {
        await pair.open();
        for (const each of steps) await pair.do(each);
        await pair.compare();
      } finally {
        await pair.close();
      }
    }),
    { numRuns: HISTORIES, endOnFailure: process.env.LEDGER_SHRINK === undefined },
  );
});
