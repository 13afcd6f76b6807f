import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { publicId, uuidv7 } from "@/lib/ids";
import { nanoUsd } from "@/lib/money";
import { createTestDatabase, type TestDatabase } from "@/testing/database";
import { createOrganisation } from "@/testing/factories";
import { createDenialReview, isNeedless } from "./denial-review";
import type { DecisionSnapshot } from "./decision-snapshot";

type Budget = DecisionSnapshot["budgets"][number];
const FLYING = publicId("event", uuidv7(Date.now()));

const budgetWith = (changes: Partial<Budget>): Budget => ({
  id: "ns_bgt_1",
  name: "the budget of this organisation",
  entityType: "org",
  entityId: "org",
  policy: "strict_block",
  holds: "bound",
  limitMicrodollars: 1_000,
  spendMicrodollars: 200,
  reservedMicrodollars: 700,
  remainingMicrodollars: 100,
  resetsAt: null,
  session: null,
  velocity: null,
  denied: true,
  reservations: [{ eventId: FLYING, amountMicrodollars: 700, model: "gpt-5", since: "2026-11-24T00:00:00.000Z" }],
  ...changes,
});
const denialBy = (budgets: Budget[], code = "budget_exceeded", amountMicrodollars: number | null = 500): DecisionSnapshot => ({
  code,
  message: "",
  apiKeyId: null,
  provider: "openai",
  model: "gpt-5",
  customerId: null,
  sessionId: null,
  estimate: { amountMicrodollars, lines: [] },
  budgets,
  wouldHavePassed: { amountMicrodollars: 0, outputTokens: null },
});
/** In microdollars. */
const charged = (amount: number) => new Map([[FLYING, nanoUsd(BigInt(Math.round(amount * 1_000)))]]);

describe("a denial was needless", () => {
  test("to the nanodollar: where the call in flight left just enough", () => {
    expect(isNeedless(denialBy([budgetWith({})]), charged(300))).toBe(true);
    expect(isNeedless(denialBy([budgetWith({})]), charged(300.001))).toBe(false);
  });

  test("not while the call in flight still runs, nor where it cost more than it held", () => {
    expect(isNeedless(denialBy([budgetWith({})]), new Map())).toBe(false);
    expect(isNeedless(denialBy([budgetWith({})]), charged(900))).toBe(false);
  });

  test("only where every budget would have had room, those that warn aside", () => {
    const full = budgetWith({ spendMicrodollars: 600, reservedMicrodollars: 0, reservations: [] });
    expect(isNeedless(denialBy([budgetWith({}), full]), charged(0))).toBe(false);
    expect(isNeedless(denialBy([budgetWith({}), { ...full, policy: "warn" }]), charged(0))).toBe(true);
  });

  test("not where its session or the speed of spending would have stopped it anyway", () => {
    const session = { limitMicrodollars: 499, spendMicrodollars: 0, reservedMicrodollars: 0 };
    const velocity = { limitMicrodollars: 1_000, currentMicrodollars: 501, windowSeconds: 60, coolUntil: null };
    expect(isNeedless(denialBy([budgetWith({ session })]), charged(0))).toBe(false);
    expect(isNeedless(denialBy([budgetWith({ velocity })]), charged(0))).toBe(false);
    expect(isNeedless(denialBy([budgetWith({})], "budget_exceeded", null), charged(0))).toBe(false);
  });
});

describe("the count", () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createTestDatabase();
  });
  afterAll(() => database.drop());

  test("waits for the calls in flight, and leaves out what no bound decided", async () => {
    const { orgId } = await createOrganisation({ prisma: database.prisma });
    let nowMs = Date.now();
    const clock = { now: () => nowMs, monotonic: () => nowMs };
    const review = createDenialReview({ prisma: database.prisma, clock, log: { warn: () => {} }, delayMs: 1_000 });
    const empty = budgetWith({ spendMicrodollars: 900, reservedMicrodollars: 0, reservations: [] });
    const held = { orgId, snapshot: denialBy([budgetWith({})]) };
    review.add([held, { orgId, snapshot: denialBy([empty]) }, { orgId, snapshot: denialBy([budgetWith({})], "velocity_exceeded") }]);
    await review.review();
    expect(review.stats).toEqual({ needless: 0, needed: 1 });

    await database.pool.query(
      `INSERT INTO cost_event (org_id, id, request_id, created_at, provider, model, event_type, source, status, cost_basis, budget_status, cost_nano, charged_nano)
       VALUES ($1, $2, 'r', now(), 'openai', 'gpt-5', 'llm', 'proxy', 'ok', 'provider', 'approved', 100000, 100000)`,
      [orgId, FLYING.slice("ns_evt_".length)],
    );
    nowMs += 1_000;
    await review.review();
    await review.review();
    expect(review.stats).toEqual({ needless: 1, needed: 1 });
  });
});
