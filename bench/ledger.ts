/**
 * How many calls a second the ledger can hold money for and settle, the making of the requests included. On one machine with the
 * database. "bare" settles holds without events, as a prototype would: what it costs beside that is the events and their sums.
 *
 *   npx esbuild bench/ledger.ts --bundle --platform=node --format=esm --packages=external --outfile=dist/bench/ledger.mjs
 *   node dist/bench/ledger.mjs [seconds per run]
 */
import { fork } from "node:child_process";
import { loadavg } from "node:os";
import { randomUUID } from "node:crypto";
import { Client } from "pg";
import { systemClock } from "@/lib/clock";
import { uuidv7 } from "@/lib/ids";
import { nanoUsd } from "@/lib/money";
import type { LedgerBudget } from "@/server/ledger";
import { createLedger, createSettleDoor } from "@/server/ledger";
import { createHolds } from "@/server/ledger/holds";
import { createLedgerConnection } from "@/server/ledger/ledger-connection";
import { costEvent, recordingLog } from "@/server/ledger/testing";
import { createEmbeddedDatabase, createTestDatabase, hasRealPostgres, migrationsDir } from "@/testing/database";
import { migrate } from "@/lib/db/migrate";

type Task = {
  connectionString: string;
  orgId: string;
  budgetIds: string[];
  perCall: number;
  concurrency: number;
  seconds: number;
  settle: "bare" | "events";
};
type Figures = { pairs: number; seconds: number; refused: number; cpuMicros: number };

/** What `settle_calls` does with holds, and nothing else. */
const SETTLE_BARE = `
  create or replace function bench_settle_bare(hold_ids uuid[], charge bigint) returns void language plpgsql
  set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
  declare calls uuid[]; balances bigint[]; amounts bigint[]; held boolean[];
  begin
    select array_agg(call_id), array_agg(balance_ids[n]), array_agg(amount), array_agg(state = 'held')
    into calls, balances, amounts, held
    from (select * from reservation where call_id = any (hold_ids) order by call_id for update) as taken,
      unnest(taken.amounts) with ordinality as line (amount, n);
    delete from reservation where call_id = any (hold_ids);
    perform change_balances(balances, array_fill(charge::numeric, array[cardinality(balances)]), calls, balances, amounts, held, '{}', null, null);
  end $$`;

async function work(task: Task): Promise<Figures> {
  const log = recordingLog();
  const { connectionString, orgId, perCall } = task;
  const ledger = createLedger({ connectionString, clock: systemClock, log });
  const door = createSettleDoor({ connectionString, clock: systemClock, log });
  const bare = createBareSettler(connectionString);
  const budgets = task.budgetIds.map((id): LedgerBudget => ({
    id,
    period: { interval: "none", timezone: "UTC", anchorDay: null },
    sessionLimitNano: null,
    velocity: null,
  }));
  const bound = nanoUsd(1_000n);
  let pairs = 0;
  let refused = 0;
  let stopAtMs = Infinity;
  const oneAfterAnother = async (): Promise<void> => {
    while (performance.now() < stopAtMs) {
      const callId = uuidv7(Date.now());
      const first = Math.floor(Math.random() * budgets.length);
      const lines = Array.from({ length: perCall }, (_, i) => ({ budget: budgets[(first + i * 7) % budgets.length]!, bound }));
      const draft = costEvent({ orgId, id: callId, requestId: callId, costNano: nanoUsd(700n), chargedNano: nanoUsd(700n) });
      const answer = await ledger.reserve({ callId, orgId, configVersion: 1n, sessionId: null, lines, floor: null, draft });
      if (answer.outcome !== "held") {
        refused += 1;
        continue;
      }
      if (task.settle === "bare") await bare.settle(callId);
      else await door.settle({ event: draft, budgets: { held: true } });
      pairs += 1;
    }
  };
  const tasks = Array.from({ length: task.concurrency }, oneAfterAnother);
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  const pairsBefore = pairs;
  const cpuBefore = process.cpuUsage();
  const startMs = performance.now();
  stopAtMs = startMs + task.seconds * 1_000;
  await Promise.all(tasks);
  const seconds = (performance.now() - startMs) / 1_000;
  const { user, system } = process.cpuUsage(cpuBefore);
  await Promise.all([ledger.stop(), door.stop(), bare.stop()]);
  return { pairs: pairs - pairsBefore, seconds, refused, cpuMicros: user + system };
}

function createBareSettler(connectionString: string) {
  const connection = createLedgerConnection({
    connectionString,
    applicationName: "bench-settle",
    connectTimeoutMs: 5_000,
    statementTimeoutMs: 5_000,
    lockTimeoutMs: 5_000,
  });
  let waiting: { callId: string; resolve: () => void }[] = [];
  let running = false;
  async function run(): Promise<void> {
    running = true;
    await Promise.resolve();
    while (waiting.length > 0) {
      const batch = waiting.slice(0, 500);
      waiting = waiting.slice(500);
      await connection.query("select bench_settle_bare($1, $2)", [batch.map(({ callId }) => callId), 700]);
      for (const { resolve } of batch) resolve();
    }
    running = false;
  }
  return {
    settle: (callId: string) =>
      new Promise<void>((resolve) => {
        waiting.push({ callId, resolve });
        if (!running) void run();
      }),
    stop: async () => connection.close(),
  };
}

async function prepare(client: Client, budgets: number): Promise<{ orgId: string; budgetIds: string[] }> {
  const orgId = randomUUID();
  await client.query("insert into organisation (id, name, slug, updated_at) values ($1, 'bench', $2, now())", [orgId, orgId]);
  const { rows } = await client.query<{ id: string }>(
    `insert into budget (org_id, entity_type, entity_id, models, providers, max_nano, thresholds)
     select $1, 'tag', 'n=' || n, '{}', '{}', 9000000000000000, '{}' from generate_series(1, $2) n returning id`,
    [orgId, budgets],
  );
  return { orgId, budgetIds: rows.map(({ id }) => id) };
}

async function runIn(processes: number, task: Task): Promise<Figures> {
  if (processes === 1) return work(task);
  const all = await Promise.all(
    Array.from(
      { length: processes },
      () =>
        new Promise<Figures>((resolve, reject) => {
          const child = fork(process.argv[1]!, ["child"], { stdio: ["ignore", "inherit", "inherit", "ipc"] });
          child.once("message", (figures) => resolve(figures as Figures));
          child.once("error", reject);
          child.send(task);
        }),
    ),
  );
  return {
    pairs: all.reduce((sum, { pairs }) => sum + pairs, 0),
    seconds: Math.max(...all.map(({ seconds }) => seconds)),
    refused: all.reduce((sum, { refused }) => sum + refused, 0),
    cpuMicros: all.reduce((sum, { cpuMicros }) => sum + cpuMicros, 0),
  };
}

/** One call after another at a rate that leaves the ledger idle: what a lone call waits for. */
async function latency(connectionString: string, client: Client): Promise<void> {
  const { orgId, budgetIds } = await prepare(client, 1);
  const ledger = createLedger({ connectionString, clock: systemClock, log: recordingLog() });
  const budget: LedgerBudget = {
    id: budgetIds[0]!,
    period: { interval: "none", timezone: "UTC", anchorDay: null },
    sessionLimitNano: null,
    velocity: null,
  };
  const times: number[] = [];
  for (let i = 0; i < 1_000; i += 1) {
    const callId = uuidv7(Date.now());
    const startMs = performance.now();
    await ledger.reserve({
      callId,
      orgId,
      configVersion: 1n,
      sessionId: null,
      lines: [{ budget, bound: nanoUsd(1n) }],
      floor: null,
      draft: costEvent({ orgId, id: callId }),
    });
    if (i >= 100) times.push(performance.now() - startMs);
  }
  await ledger.stop();
  times.sort((a, b) => a - b);
  console.log(`a lone reserve: median ${times[450]!.toFixed(2)} ms, 99 % ${times[890]!.toFixed(2)} ms`);
}

/** A thousand streams whose holds are renewed as often as the database takes it. */
async function renewals(connectionString: string, client: Client): Promise<void> {
  const { orgId, budgetIds } = await prepare(client, 10);
  const ledger = createLedger({ connectionString, clock: systemClock, log: recordingLog() });
  const callIds = Array.from({ length: 1_000 }, () => uuidv7(Date.now()));
  await Promise.all(
    callIds.map((callId, i) =>
      ledger.reserve({
        callId,
        orgId,
        configVersion: 1n,
        sessionId: null,
        lines: [
          {
            budget: {
              id: budgetIds[i % 10]!,
              period: { interval: "none", timezone: "UTC", anchorDay: null },
              sessionLimitNano: null,
              velocity: null,
            },
            bound: nanoUsd(1n),
          },
        ],
        floor: null,
        draft: costEvent({ orgId, id: callId }),
      }),
    ),
  );
  const connection = createLedgerConnection({
    connectionString,
    applicationName: "bench-renew",
    connectTimeoutMs: 5_000,
    statementTimeoutMs: 5_000,
    lockTimeoutMs: 5_000,
  });
  const holds = createHolds({ connection, clock: systemClock, log: recordingLog(), leaseMs: 120_000, extendTimeoutMs: 2_000 });
  for (const callId of callIds) holds.keep(callId);
  const startMs = performance.now();
  for (let i = 0; i < 10; i += 1) await holds.renew();
  console.log(`renewals: ${Math.round(10_000 / ((performance.now() - startMs) / 1_000))} a second; 1,000 open streams need 33`);
  const extendStartMs = performance.now();
  for (let total = 2n; total < 12n; total += 1n) await Promise.all(callIds.map((callId) => holds.extendTo(callId, nanoUsd(total))));
  console.log(`extensions: ${Math.round(10_000 / ((performance.now() - extendStartMs) / 1_000))} a second`);
  holds.stop();
  connection.close();
  await ledger.stop();
}

/** What the batches are for: each call a statement of its own, on eight connections. */
async function oneByOne(connectionString: string, client: Client, seconds: number): Promise<number> {
  const { orgId, budgetIds } = await prepare(client, 1);
  await client.query("select * from open_balances($1, $2, $3, $4, $5)", [[budgetIds[0]], [null], [new Date(0)], [null], [1]]);
  const { rows } = await client.query<{ id: string }>("select id from budget_balance where budget_id = $1", [budgetIds[0]]);
  const clients = await Promise.all(
    Array.from({ length: 8 }, async () => {
      const each = new Client({ connectionString });
      await each.connect();
      return each;
    }),
  );
  const stopAtMs = performance.now() + seconds * 1_000;
  let pairs = 0;
  await Promise.all(
    clients.map(async (each) => {
      while (performance.now() < stopAtMs) {
        const callId = uuidv7(Date.now());
        await each.query({
          name: "reserve",
          text: "select held from reserve_calls($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)",
          values: [
            [orgId],
            [1],
            [rows[0]!.id],
            [],
            [callId],
            [1],
            [null],
            [null],
            [120],
            [`{${rows[0]!.id}}`],
            ["{}"],
            ["{1000}"],
            [null],
            ["{}"],
            [1],
            [1],
            [1000],
          ],
        });
        await each.query({ name: "settle", text: "select bench_settle_bare($1, $2)", values: [[callId], 700] });
        pairs += 1;
      }
      await each.end();
    }),
  );
  return Math.round(pairs / seconds);
}

async function measure(name: string, connectionString: string, seconds: number, processCounts: readonly number[]): Promise<void> {
  const client = new Client({ connectionString });
  await client.connect();
  await client.query(SETTLE_BARE);
  console.log(`${name}, load average ${loadavg()[0]!.toFixed(1)}`);
  const loads = [
    { what: "one hot budget", budgets: 1, perCall: 1 },
    { what: "1,000 budgets", budgets: 1_000, perCall: 1 },
    { what: "five of 1,000 budgets a call", budgets: 1_000, perCall: 5 },
  ];
  for (const settle of ["bare", "events"] as const) {
    for (const processes of processCounts) {
      for (const { what, budgets, perCall } of loads) {
        const org = await prepare(client, budgets);
        const concurrency = Math.round(2_000 / processes);
        const figures = await runIn(processes, { connectionString, ...org, perCall, concurrency, seconds, settle });
        const rate = Math.round(figures.pairs / figures.seconds).toLocaleString("en-US");
        const cpu = (figures.cpuMicros / figures.pairs).toFixed(1);
        const refused = figures.refused === 0 ? "" : `, ${figures.refused} NOT decided`;
        console.log(
          `  ${settle}, ${processes} process${processes === 1 ? "" : "es"}, ${what}: ${rate} pairs/s, ${cpu} µs of Node's CPU a pair${refused}`,
        );
      }
    }
  }
  console.log(
    `  one statement a call, eight connections, one hot budget: ${(await oneByOne(connectionString, client, seconds)).toLocaleString("en-US")} pairs/s`,
  );
  await latency(connectionString, client);
  await renewals(connectionString, client);
  await client.end();
}

if (process.argv[2] === "child") {
  process.once("message", (task) => {
    void work(task as Task).then((figures) => {
      process.send!(figures);
      process.disconnect();
    });
  });
} else {
  const seconds = Number(process.argv[2] ?? 4);
  if (await hasRealPostgres()) {
    const database = await createTestDatabase();
    await measure("Postgres", database.connectionString, seconds, [1, 4]);
    await database.drop();
  }
  const embedded = await createEmbeddedDatabase();
  await migrate({ connectionString: embedded.connectionString, migrationsDir });
  await measure("embedded", embedded.connectionString, seconds, [1]);
  await embedded.drop();
}
