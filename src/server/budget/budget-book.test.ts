import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Prisma } from "@/generated/prisma/client";
import { uuidv7 } from "@/lib/ids";
import { bumpConfigVersion } from "@/server/config-version";
import { createTestDatabase, type TestDatabase } from "@/testing/database";
import { createApiKey, createOrganisation, type TestOrganisation } from "@/testing/factories";
import { createBudgetBook, type BudgetBook } from "./budget-book";
import type { BudgetedCall } from "./matching";

let database: TestDatabase;
let org: TestOrganisation;

beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());
beforeEach(async () => {
  org = await createOrganisation({ prisma: database.prisma, timezone: "Europe/Berlin" });
});

const call = (changes: Partial<BudgetedCall> = {}): BudgetedCall => ({
  userId: org.userId,
  apiKeyId: null,
  customerId: null,
  tags: {},
  provider: "openai",
  model: "gpt-5",
  ...changes,
});

type NewBudget = Partial<Prisma.BudgetUncheckedCreateInput> & { entityType: string };

/** As the verbs do it: the row and the version in one transaction. @returns the new version and the budget's id. */
async function change(work: (tx: Prisma.TransactionClient) => Promise<unknown>): Promise<bigint> {
  return database.prisma.$transaction(async (tx) => {
    const version = await bumpConfigVersion(tx, org.orgId);
    await work(tx);
    return version;
  });
}
const add = (budget: NewBudget) =>
  change((tx) => tx.budget.create({ data: { orgId: org.orgId, entityId: "org", maxNano: 1_000_000_000n, ...budget } }));
const entities = (book: BudgetBook, of: BudgetedCall): string[] =>
  book
    .applicable(org.orgId, of)
    .map(({ entityType, entityId }) => `${entityType}:${entityId}`)
    .toSorted();

describe("two processes", () => {
  // A process that does not see a new budget lets its calls pass; one that sees it late does so for as long as it takes.
  test("each follow the version: neither holds on to what the other has changed", async () => {
    const [one, two] = [createBudgetBook({ prisma: database.prisma }), createBudgetBook({ prisma: database.prisma })];
    await Promise.all([one.ensureLoaded(org.orgId, 1n), two.ensureLoaded(org.orgId, 1n)]);
    expect(one.hasLimits(org.orgId)).toBe(false);

    const made = await add({ entityType: "org" });
    await one.ensureLoaded(org.orgId, made);
    expect([one.hasLimits(org.orgId), two.hasLimits(org.orgId)]).toEqual([true, false]);
    await two.ensureLoaded(org.orgId, made);
    expect(two.hasLimits(org.orgId)).toBe(true);

    const deleted = await change((tx) => tx.budget.updateMany({ where: { orgId: org.orgId }, data: { deletedAt: new Date() } }));
    await Promise.all([one.ensureLoaded(org.orgId, deleted), two.ensureLoaded(org.orgId, deleted)]);
    expect([one.hasLimits(org.orgId), two.hasLimits(org.orgId)]).toEqual([false, false]);
  });

  test("a load that began before a change does not take the place of one that began after it", async () => {
    const book = createBudgetBook({ prisma: database.prisma });
    const early = book.ensureLoaded(org.orgId, 1n);
    const made = await add({ entityType: "org" });
    await Promise.all([early, book.ensureLoaded(org.orgId, made)]);
    expect(book.versionOf(org.orgId)).toBeGreaterThanOrEqual(made);
    expect(book.hasLimits(org.orgId)).toBe(true);
  });
});

describe("what is not known is never no limit", () => {
  test("a version that the database does not have yet rejects, and what was held stays", async () => {
    const book = createBudgetBook({ prisma: database.prisma });
    const made = await add({ entityType: "org" });
    await book.ensureLoaded(org.orgId, made);
    await expect(book.ensureLoaded(org.orgId, made + 1n)).rejects.toThrow("older");
    expect(book.hasLimits(org.orgId)).toBe(true);
    expect(book.ensureLoaded(org.orgId, made)).toBeUndefined();
  });

  test("asking before loading throws", () => {
    const book = createBudgetBook({ prisma: database.prisma });
    expect(() => book.applicable(org.orgId, call())).toThrow("not loaded");
    expect(() => book.hasLimits(org.orgId)).toThrow("not loaded");
    expect(() => book.frozen(org.orgId, { apiKeyId: null, customerId: null })).toThrow("not loaded");
  });

  test("an organisation that is gone rejects", async () => {
    const book = createBudgetBook({ prisma: database.prisma });
    await expect(book.ensureLoaded(uuidv7(Date.now()), 1n)).rejects.toThrow("gone");
  });

  test("a database that does not answer rejects in time, and the next call asks again", async () => {
    const book = createBudgetBook({ prisma: database.prisma, loadTimeoutMs: 50 });
    const blocker = await database.pool.connect();
    await blocker.query("BEGIN");
    await blocker.query("LOCK TABLE budget IN ACCESS EXCLUSIVE MODE");
    try {
      await expect(book.ensureLoaded(org.orgId, 1n)).rejects.toThrow("within 50 ms");
    } finally {
      await blocker.query("ROLLBACK");
      blocker.release();
    }
    const patient = createBudgetBook({ prisma: database.prisma });
    await patient.ensureLoaded(org.orgId, 1n);
    expect(patient.hasLimits(org.orgId)).toBe(false);
  });

  test("an organisation that had to leave memory is read again", async () => {
    const book = createBudgetBook({ prisma: database.prisma, orgsMax: 1 });
    const other = await createOrganisation({ prisma: database.prisma });
    const made = await add({ entityType: "org" });
    await book.ensureLoaded(org.orgId, made);
    await book.ensureLoaded(other.orgId, 1n);
    expect(() => book.hasLimits(org.orgId)).toThrow("not loaded");
    await book.ensureLoaded(org.orgId, made);
    expect(book.hasLimits(org.orgId)).toBe(true);
  });
});

// Every type in one enum and one switch: a new one that is not matched was the way customer budgets were not enforced for weeks.
test("a call counts against exactly the budgets that name it, in the order of their ids", async () => {
  const key = await createApiKey({ prisma: database.prisma, org, name: "agent" });
  const book = createBudgetBook({ prisma: database.prisma });
  await add({ entityType: "org" });
  await add({ entityType: "user", entityId: org.userId });
  await add({ entityType: "user", entityId: uuidv7(1) });
  await add({ entityType: "api_key", entityId: key.keyId });
  await add({ entityType: "api_key", entityId: uuidv7(1) });
  await add({ entityType: "tag", entityId: "team=a" });
  await add({ entityType: "tag", entityId: "team=b" });
  await add({ entityType: "tag", entityId: "formula=x=y" });
  await add({ entityType: "customer", entityId: "acme" });
  await add({ entityType: "org", models: ["claude-*"], resetInterval: "daily" });
  await add({ entityType: "org", models: ["gpt-*"], providers: ["openai"], resetInterval: "weekly" });
  const version = await add({ entityType: "org", providers: ["anthropic"], resetInterval: "yearly" });
  await book.ensureLoaded(org.orgId, version);

  const of = call({ apiKeyId: key.keyId, customerId: "acme", tags: { team: "a", formula: "x=y", org: "org" } });
  expect(entities(book, of)).toEqual([
    `api_key:${key.keyId}`,
    "customer:acme",
    "org:org",
    "org:org",
    "tag:formula=x=y",
    "tag:team=a",
    `user:${org.userId}`,
  ]);
  const ids = book.applicable(org.orgId, of).map(({ id }) => id);
  expect(ids).toEqual(ids.toSorted());
  expect(book.applicable(org.orgId, of).find(({ entityType }) => entityType === "api_key")).toMatchObject({
    entityName: "agent",
    maxNano: 1_000_000_000n,
    period: { interval: "none", timezone: "Europe/Berlin", anchorDay: null },
    policy: "strict_block",
  });
  // A call that names no model could be served by any.
  expect(book.applicable(org.orgId, call({ model: null }))).toHaveLength(4);
  expect(book.limitsOf(org.orgId)).toEqual({ any: true, strictTag: true, strictCustomer: true });
});

test("users and tenants do not share budgets", async () => {
  const book = createBudgetBook({ prisma: database.prisma });
  const other = await createOrganisation({ prisma: database.prisma });
  const version = await add({ entityType: "user", entityId: org.userId });
  await Promise.all([book.ensureLoaded(org.orgId, version), book.ensureLoaded(other.orgId, 1n)]);
  expect(book.applicable(org.orgId, call({ userId: other.userId }))).toEqual([]);
  expect(book.applicable(other.orgId, call())).toEqual([]);
});

test("amounts are exact beyond what a double holds", async () => {
  const book = createBudgetBook({ prisma: database.prisma });
  const maxNano = 9_007_199_254_740_993n;
  const version = await add({ entityType: "org", maxNano, velocityLimitNano: maxNano, sessionLimitNano: maxNano, timezone: "Asia/Tokyo" });
  await book.ensureLoaded(org.orgId, version);
  expect(book.applicable(org.orgId, call())[0]).toMatchObject({
    maxNano,
    velocity: { limitNano: maxNano, windowSeconds: 60, cooldownSeconds: 60 },
    sessionLimitNano: maxNano,
    period: { timezone: "Asia/Tokyo" },
  });
});
