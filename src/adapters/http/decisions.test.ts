import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { uuidv7 } from "@/lib/ids";
import { nanoUsd } from "@/lib/money";
import { createBudgetBook, createDecisionLog, decisionSnapshot, type HeldBudget, type SnapshotInput } from "@/server/budget";
import { createTestDatabase, type TestDatabase } from "@/testing/database";
import { createApiKey, createOrganisation, type TestApiKey, type TestOrganisation } from "@/testing/factories";
import { startRestServer, type RestTestServer } from "@/testing/rest-server";

let database: TestDatabase;
let server: RestTestServer;
let org: TestOrganisation;
let agent: TestApiKey;
let budget: HeldBudget;
let balanceId: bigint;

beforeAll(async () => {
  database = await createTestDatabase();
  server = await startRestServer(database);
});
afterAll(async () => {
  await server.close();
  await database.drop();
});
beforeEach(async () => {
  org = await createOrganisation({ prisma: database.prisma });
  agent = await createApiKey({ prisma: database.prisma, org, name: "agent" });
  await database.prisma.budget.create({
    data: {
      orgId: org.orgId,
      entityType: "api_key",
      entityId: agent.keyId,
      models: [],
      providers: [],
      maxNano: 10_000_000_000n,
      velocityLimitNano: 8_000_000_000n,
    },
  });
  const book = createBudgetBook({ prisma: database.prisma });
  await book.ensureLoaded(org.orgId, 1n);
  [budget] = book.applicable(org.orgId, {
    userId: null,
    apiKeyId: agent.keyId,
    customerId: null,
    tags: {},
    provider: "openai",
    model: "x",
  }) as [HeldBudget];
  ({ id: balanceId } = await database.prisma.budgetBalance.create({
    data: {
      orgId: org.orgId,
      budgetId: budget.id,
      startsAt: new Date(0),
      kind: 0,
      limitNano: 10_000_000_000n,
      spentNano: 9_000_000_000n,
      reservedNano: 900_000_000n,
      openedBy: "created",
    },
    select: { id: true },
  }));
});

const snapshotInput = (changes: Partial<SnapshotInput> = {}): SnapshotInput => ({
  code: "budget_exceeded",
  message: "it is used up",
  apiKeyId: agent.keyId,
  provider: "openai",
  model: "gpt-5",
  customerId: null,
  sessionId: null,
  estimateNano: nanoUsd(180_000_000n),
  estimateLines: ["1,000 input tokens at most", "max_tokens 500"],
  affordableOutputTokens: 77,
  budgets: [
    {
      budget,
      limitNano: nanoUsd(10_000_000_000n),
      spentNano: nanoUsd(9_000_000_000n),
      reservedNano: nanoUsd(900_000_000n),
      resetsAtMs: null,
      velocity: { currentNano: nanoUsd(1_000_000_000n), coolUntilMs: null },
    },
  ],
  deniedBudgetId: budget.id,
  ...changes,
});

async function hold(amount: bigint, model: string): Promise<string> {
  const callId = uuidv7(Date.now());
  await database.prisma.reservation.create({
    data: {
      callId,
      orgId: org.orgId,
      balanceIds: [balanceId],
      amounts: [amount],
      leaseUntil: new Date(Date.now() + 60_000),
      draft: JSON.stringify({ model }),
    },
  });
  return callId;
}

async function deny(changes: Partial<SnapshotInput> = {}): Promise<string> {
  const log = createDecisionLog({ prisma: database.prisma, log: { warn: () => {} } });
  const eventId = uuidv7(Date.now());
  log.record({
    orgId: org.orgId,
    eventId,
    snapshot: decisionSnapshot(snapshotInput(changes)),
    balanceIds: new Map([[budget.id, balanceId]]),
  });
  await log.drain();
  return eventId;
}

const get = (eventId: string, key: TestApiKey = agent) => server.send(`GET /api/decisions/ns_dec_${eventId}`, { key: key.rawKey });

test("a denial is explained to the cent: what was spent, held and by which calls, and what would have passed", async () => {
  const small = await hold(100_000_000n, "gpt-5-mini");
  const large = await hold(800_000_000n, "gpt-5");
  const eventId = await deny();
  const answer = await get(eventId);
  expect(answer.json).toMatchObject({
    data: {
      id: `ns_dec_${eventId}`,
      eventId: `ns_evt_${eventId}`,
      code: "budget_exceeded",
      estimate: { amountMicrodollars: 180_000, lines: ["1,000 input tokens at most", "max_tokens 500"] },
      budgets: [
        {
          id: `ns_bgt_${budget.id}`,
          name: 'the budget of the key "agent"',
          entityId: `ns_key_${agent.keyId}`,
          limitMicrodollars: 10_000_000,
          spendMicrodollars: 9_000_000,
          reservedMicrodollars: 900_000,
          remainingMicrodollars: 100_000,
          denied: true,
          velocity: { limitMicrodollars: 8_000_000, currentMicrodollars: 1_000_000, windowSeconds: 60, coolUntil: null },
          reservations: [
            { eventId: `ns_evt_${large}`, amountMicrodollars: 800_000, model: "gpt-5" },
            { eventId: `ns_evt_${small}`, amountMicrodollars: 100_000, model: "gpt-5-mini" },
          ],
        },
      ],
      wouldHavePassed: { amountMicrodollars: 100_000, outputTokens: 77 },
    },
  });
});

test("of many calls in flight the twenty largest are shown", async () => {
  for (let n = 1; n <= 25; n++) await hold(BigInt(n) * 1000n, `m${n}`);
  const { json } = await get(await deny());
  const { reservations } = (json as { data: { budgets: { reservations: { model: string }[] }[] } }).data.budgets[0]!;
  expect(reservations.map(({ model }) => model)).toEqual(Array.from({ length: 20 }, (_, n) => `m${25 - n}`));
});

test("a key is told about its own calls, one with read about all, and another organisation about none", async () => {
  const eventId = await deny();
  const colleague = await createApiKey({ prisma: database.prisma, org });
  const reader = await createApiKey({ prisma: database.prisma, org, scopes: ["read"] });
  const stranger = await createApiKey({
    prisma: database.prisma,
    org: await createOrganisation({ prisma: database.prisma }),
    scopes: ["read"],
  });
  const statuses = await Promise.all([agent, colleague, reader, stranger].map(async (key) => (await get(eventId, key)).status));
  expect(statuses).toEqual([200, 404, 200, 404]);
  expect((await server.send("GET /api/decisions/ns_dec_x", { key: agent.rawKey })).status).toBe(404);
});

// A runaway loop is denied thousands of times; explaining must neither slow it down nor fill memory.
test("a thousand denials at once are all written; past the queue's end the oldest are dropped and counted", async () => {
  const log = createDecisionLog({ prisma: database.prisma, log: { warn: () => {} }, waitingMax: 1000 });
  const snapshot = decisionSnapshot(snapshotInput());
  for (let n = 0; n < 1500; n++)
    log.record({ orgId: org.orgId, eventId: uuidv7(Date.now()), snapshot, balanceIds: new Map([[budget.id, balanceId]]) });
  await log.drain();
  const written = await database.prisma.budgetDecision.count({ where: { orgId: org.orgId } });
  expect(log.dropped).toBeGreaterThan(0);
  expect(written + log.dropped).toBe(1500);
});
