import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { systemClock } from "@/lib/clock";
import { isServiceError } from "@/lib/errors";
import { createBudget, getBudget } from "@/server/budget";
import type { Ctx } from "@/server/context";
import { createTestDatabase, type TestDatabase } from "@/testing/database";
import { createApiKey, createMember, createOrganisation, type TestApiKey, type TestOrganisation } from "@/testing/factories";
import {
  type ApprovalDeps,
  approveAction,
  cancelAction,
  createActionWatch,
  createAction,
  createAskByMail,
  createApprovalBackground,
  createLink,
  decideByLink,
  getAction,
  openOrJoinIncrease,
  type PublicAction,
  rejectAction,
  reportActionResult,
  setApprovalPolicies,
  viewLink,
} from ".";
import { parsePublicId, publicId } from "@/lib/ids";
import type { Role } from "@/generated/prisma/enums";

let database: TestDatabase;
let org: TestOrganisation;
let key: TestApiKey;
let owner: Ctx;
let agent: Ctx;
let asked: { actionId: string; reason: string }[];
let deps: ApprovalDeps;
const secret = "a secret of this test";

beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());
beforeEach(async () => {
  org = await createOrganisation({ prisma: database.prisma });
  key = await createApiKey({ prisma: database.prisma, org });
  owner = person(org.userId, "owner");
  agent = ctxOf({
    type: "api_key",
    orgId: org.orgId,
    keyId: key.keyId,
    userId: org.userId,
    role: "owner",
    scopes: new Set(["proxy", "ingest", "self"]),
  });
  asked = [];
  deps = {
    publicUrl: "https://spend.example",
    ask: async (_tx, { row, reason }) => void asked.push({ actionId: row.id, reason }),
    onChange: () => {},
  };
});

const ctxOf = (principal: Ctx["principal"]): Ctx => ({ prisma: database.prisma, clock: systemClock, principal, ip: null });
const person = (userId: string, role: Role): Ctx => ctxOf({ type: "user", orgId: org.orgId, userId, role });
const member = async (role: Role, isApprover = false): Promise<Ctx> => {
  const userId = await createMember({ prisma: database.prisma, orgId: org.orgId, role });
  await database.prisma.membership.update({ where: { orgId_userId: { orgId: org.orgId, userId } }, data: { isApprover } });
  return person(userId, role);
};
const propose = (input: Partial<Parameters<typeof createAction>[0]["input"]> = {}, ctx = agent) =>
  createAction({ ctx, deps, input: { agentId: "mailer", actionType: "send_email", payload: { to: "a@example.com" }, ...input } });
const approve = (action: PublicAction, ctx = owner, input = {}) => approveAction({ ctx, actionId: action.id, input, deps });
const reject = (action: PublicAction, ctx = owner, input = {}) => rejectAction({ ctx, actionId: action.id, input, deps });
const report = (action: PublicAction, input: Parameters<typeof reportActionResult>[0]["input"]) =>
  reportActionResult({ ctx: agent, actionId: action.id, input, deps });
const codeOf = async (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => "done",
    (error: unknown) => {
      if (!isServiceError(error)) throw error;
      return error.code;
    },
  );
const outbox = async (...types: string[]) =>
  (await database.prisma.outboxEvent.findMany({ where: { orgId: org.orgId, type: { in: types } }, orderBy: { createdAt: "asc" } })).map(
    ({ type }) => type,
  );
const pastItsEnd = (action: PublicAction) =>
  database.prisma.action.update({ where: { id: bare(action) }, data: { expiresAt: new Date(Date.now() - 1_000) }, select: { id: true } });
const bare = (action: PublicAction): string => parsePublicId("action", action.id)!;
const makeBudget = async (maxBudgetMicrodollars = 1_000_000) =>
  (await createBudget({ ctx: owner, input: { entityType: "api_key", entityId: publicId("key", key.keyId), maxBudgetMicrodollars } }))
    .budget;

describe("from proposal to result", () => {
  test("an agent proposes, a person approves, one worker carries it out, and each step is told once", async () => {
    const action = await propose();
    expect(action).toMatchObject({ status: "pending", approvalsNeeded: 1, apiKeyId: publicId("key", key.keyId) });
    expect(asked).toEqual([{ actionId: bare(action), reason: "created" }]);
    expect(await approve(action, owner, { note: "go" })).toMatchObject({ status: "approved", note: "go", decidedVia: "dashboard" });
    const started = await Promise.all(Array.from({ length: 8 }, () => codeOf(report(action, { status: "executing" }))));
    expect(started.filter((each) => each === "done")).toHaveLength(1);
    expect(new Set(started)).toEqual(new Set(["done", "invalid_action_transition"]));
    expect(await report(action, { status: "executed", result: { id: 7 } })).toMatchObject({ status: "executed", result: { id: 7 } });
    expect(await codeOf(report(action, { status: "failed", errorMessage: "late" }))).toBe("invalid_action_transition");
    expect(await outbox("action.created", "action.approved", "action.rejected")).toEqual(["action.created", "action.approved"]);
  });

  test("an approved action that was never started cannot be said to be done, and a pending one not to be started", async () => {
    const action = await propose();
    expect(await codeOf(report(action, { status: "executing" }))).toBe("invalid_action_transition");
    await approve(action);
    expect(await codeOf(report(action, { status: "executed" }))).toBe("invalid_action_transition");
  });

  test("K5: of 50 approvals and rejections at once one stands, and the others are told which", async () => {
    const action = await propose();
    const admins = await Promise.all(Array.from({ length: 5 }, () => member("admin")));
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, i) => codeOf((i % 2 === 0 ? approve : reject)(action, admins[i % admins.length]!))),
    );
    expect(answers.filter((each) => each === "done")).toHaveLength(1);
    expect(new Set(answers)).toEqual(new Set(["done", "stale_action"]));
    expect(await outbox("action.approved", "action.rejected")).toHaveLength(1);
  });

  test("another key's action does not exist for a key: it cannot read, withdraw or report it", async () => {
    const action = await propose();
    const other = await createApiKey({ prisma: database.prisma, org });
    const stranger = ctxOf({ ...(agent.principal as Extract<Ctx["principal"], { type: "api_key" }>), keyId: other.keyId });
    expect(await codeOf(getAction({ ctx: stranger, actionId: action.id, publicUrl: "" }))).toBe("not_found");
    expect(await codeOf(cancelAction({ ctx: stranger, actionId: action.id, deps }))).toBe("not_found");
    await approve(action);
    expect(await codeOf(reportActionResult({ ctx: stranger, actionId: action.id, input: { status: "executing" }, deps }))).toBe(
      "not_found",
    );
  });

  test("who asked may withdraw it, and then nobody decides it", async () => {
    const action = await propose();
    expect(await cancelAction({ ctx: agent, actionId: action.id, deps })).toMatchObject({ status: "cancelled" });
    expect(await codeOf(approve(action))).toBe("stale_action");
  });

  test.each([
    ["a payload of more than 64 kB", { payload: { text: "x".repeat(64_000) } }],
    ["nesting deeper than twenty", { payload: JSON.parse(`${'{"a":'.repeat(21)}1${"}".repeat(21)}`) as Record<string, never> }],
    ["NUL", { payload: { text: "a\0b" } }],
    ["half a character", { payload: { text: "\ud800" } }],
    ["a type in capitals", { actionType: "Send" }],
    ["an end in no time", { expiresInSeconds: 0 }],
    ["an end in more than thirty days", { expiresInSeconds: 2_592_001 }],
  ])("%s is refused in words and nothing is written", async (_what, input) => {
    expect(await codeOf(propose(input))).toBe("bad_request");
    expect(await database.prisma.action.count({ where: { orgId: org.orgId } })).toBe(0);
  });
});

describe("who decides", () => {
  test("a key, a viewer and a member without the right do not; a member with it does", async () => {
    const action = await propose();
    expect(await codeOf(approve(action, agent))).toBe("forbidden");
    expect(await codeOf(approve(action, await member("viewer", true)))).toBe("forbidden");
    expect(await codeOf(approve(action, await member("member")))).toBe("forbidden");
    expect(await approve(action, await member("member", true))).toMatchObject({ status: "approved" });
  });

  test("K9: with four eyes the owner of the key that asked does not decide, and who lost the right meanwhile does not either", async () => {
    await setApprovalPolicies({ ctx: owner, input: { policies: [{ name: "mail", conditions: { actionTypes: ["send_email"] } }] } });
    const action = await propose();
    expect(action.fourEyes).toBe(true);
    expect(await codeOf(approve(action))).toBe("forbidden");
    const admin = await member("admin");
    const { userId } = admin.principal as { userId: string };
    await database.prisma.membership.update({ where: { orgId_userId: { orgId: org.orgId, userId } }, data: { role: "member" } });
    expect(await codeOf(approve(action, admin))).toBe("forbidden");
    expect(await approve(action, await member("admin"))).toMatchObject({ status: "approved" });
  });

  test("where two are needed one approval leaves it pending, nobody counts twice, and one rejection is enough", async () => {
    await setApprovalPolicies({ ctx: owner, input: { policies: [{ name: "two", approvalsNeeded: 2, fourEyes: false }] } });
    const action = await propose();
    expect(await approve(action)).toMatchObject({ status: "pending", approvals: 1 });
    expect(await codeOf(approve(action))).toBe("conflict");
    expect(await approve(action, await member("admin"))).toMatchObject({ status: "approved", approvals: 2 });
    const second = await propose();
    await approve(second);
    expect(await reject(second, await member("admin"), { reason: "no" })).toMatchObject({ status: "rejected", rejectReason: "no" });
  });

  test("the people a policy names decide, and admins only after it was escalated", async () => {
    const named = await member("member", true);
    const { userId } = named.principal as { userId: string };
    await setApprovalPolicies({
      ctx: owner,
      input: { policies: [{ name: "named", approverIds: [publicId("user", userId)], fourEyes: false, escalateAfterSeconds: 60 }] },
    });
    const action = await propose();
    expect(await codeOf(approve(action))).toBe("forbidden");
    await database.prisma.action.update({ where: { id: bare(action) }, data: { createdAt: new Date(Date.now() - 61_000) } });
    const background = createApprovalBackground({ prisma: database.prisma, clock: systemClock, deps });
    expect((await background.run()).escalated).toBe(1);
    expect((await background.run()).escalated).toBe(0);
    expect(asked.at(-1)).toEqual({ actionId: bare(action), reason: "escalated" });
    expect(await approve(action)).toMatchObject({ status: "approved" });
  });

  test("a policy that names a stranger, or fewer people than it needs, is refused", async () => {
    const other = await createOrganisation({ prisma: database.prisma });
    const set = (policy: object) => codeOf(setApprovalPolicies({ ctx: owner, input: { policies: [{ name: "p", ...policy }] } }));
    expect(await set({ approverIds: [publicId("user", other.userId)] })).toBe("bad_request");
    expect(await set({ approverIds: [publicId("user", org.userId)], approvalsNeeded: 2 })).toBe("bad_request");
    expect(await codeOf(setApprovalPolicies({ ctx: agent, input: { policies: [] } }))).toBe("forbidden");
  });
});

describe("time", () => {
  test("K6: what nobody decided expires by itself, once, on two processes, and is no rejection", async () => {
    const action = await propose();
    await pastItsEnd(action);
    expect(await codeOf(approve(action))).toBe("action_expired");
    const processes = [1, 2].map(() => createApprovalBackground({ prisma: database.prisma, clock: systemClock, deps }));
    const done = await Promise.all(processes.map((each) => each.run()));
    expect(done.map(({ expired }) => expired).reduce((a, b) => a + b)).toBe(1);
    expect(await getAction({ ctx: owner, actionId: action.id, publicUrl: "" })).toMatchObject({ status: "expired", rejectedAt: null });
    expect(await outbox("action.expired", "action.rejected")).toEqual(["action.expired"]);
    expect(await codeOf(approve(action))).toBe("action_expired");
  });

  test("who waits is told within half a second of a decision that another process made", async () => {
    const action = await propose();
    const watch = createActionWatch({ prisma: database.prisma, log: { warn: () => {} } });
    const about = { orgId: org.orgId, actionId: bare(action), from: "pending" as const };
    const waiting = watch.changed({ ...about, timeoutMs: 5_000 });
    expect(await watch.changed({ ...about, timeoutMs: 20 })).toBe("pending");
    await approve(action);
    const decidedAt = performance.now();
    expect(await waiting).toBe("approved");
    expect(performance.now() - decidedAt).toBeLessThan(500);
    expect(await watch.changed({ ...about, orgId: crypto.randomUUID(), timeoutMs: 400 })).toBe("pending");
    expect(watch.waiting).toBe(0);
    watch.stop();
  });
});

describe("a raise of a limit", () => {
  const ask = (budget: { id: string }, amount = 500_000) =>
    propose({
      actionType: "budget_increase",
      payload: { entityType: "api_key", entityId: publicId("key", key.keyId), budgetId: budget.id, requestedAmountMicrodollars: amount },
    });
  const limitOf = async (budget: { id: string }) => {
    const { maxBudgetMicrodollars, currentLimitMicrodollars } = await getBudget({ ctx: owner, budgetId: budget.id });
    return { max: maxBudgetMicrodollars, current: currentLimitMicrodollars };
  };

  test("for this period raises the period alone, also where no call has opened it", async () => {
    const budget = await makeBudget();
    expect(await approve(await ask(budget))).toMatchObject({ approvedAmountMicrodollars: 500_000, raiseMode: "period" });
    expect(await limitOf(budget)).toEqual({ max: 1_000_000, current: 1_500_000 });
    await approve(await ask(budget), owner, { approvedAmountMicrodollars: 250_000 });
    expect(await limitOf(budget)).toEqual({ max: 1_000_000, current: 1_750_000 });
    expect(await outbox("budget.increased")).toEqual(["budget.increased", "budget.increased"]);
  });

  test("for good raises the budget; until a date it ends by itself, once", async () => {
    const budget = await makeBudget();
    await approve(await ask(budget), owner, { until: "permanent", approvedAmountMicrodollars: 2_000_000 });
    expect(await limitOf(budget)).toEqual({ max: 3_000_000, current: 3_000_000 });
    const until = new Date(Date.now() + 60_000).toISOString();
    await approve(await ask(budget), owner, { until });
    expect(await limitOf(budget)).toEqual({ max: 3_500_000, current: 3_500_000 });
    await database.prisma.budgetRaise.updateMany({ where: { orgId: org.orgId, mode: "until" }, data: { until: new Date() } });
    const processes = [1, 2, 3].map(() => createApprovalBackground({ prisma: database.prisma, clock: systemClock, deps }));
    await Promise.all(processes.map((each) => each.run()));
    expect(await limitOf(budget)).toEqual({ max: 3_000_000, current: 3_000_000 });
  });

  test("twenty approvals of one raise at once add to the limit once", async () => {
    const budget = await makeBudget();
    const action = await ask(budget);
    const admins = await Promise.all(Array.from({ length: 4 }, () => member("admin")));
    await Promise.all(Array.from({ length: 20 }, (_, i) => codeOf(approve(action, admins[i % 4]!))));
    expect(await limitOf(budget)).toEqual({ max: 1_000_000, current: 1_500_000 });
  });

  test("of a budget that is not there, of another organisation, or not named among several is refused", async () => {
    const payload = { entityType: "org", requestedAmountMicrodollars: 1 };
    expect(await codeOf(propose({ actionType: "budget_increase", payload }))).toBe("not_found");
    const budget = await makeBudget();
    const other = await createOrganisation({ prisma: database.prisma });
    const stranger = ctxOf({ type: "user", orgId: other.orgId, userId: other.userId, role: "owner" });
    const foreign = { entityType: "api_key", entityId: publicId("key", key.keyId), budgetId: budget.id, requestedAmountMicrodollars: 1 };
    expect(await codeOf(propose({ actionType: "budget_increase", payload: foreign }, stranger))).toBe("not_found");
    await createBudget({
      ctx: owner,
      input: { entityType: "api_key", entityId: publicId("key", key.keyId), models: ["gpt-*"], maxBudgetMicrodollars: 1_000_000 },
    });
    const { budgetId: _one, ...unnamed } = foreign;
    expect(await codeOf(propose({ actionType: "budget_increase", payload: unnamed }))).toBe("bad_request");
    expect(await codeOf(propose({ actionType: "budget_increase", payload: { ...foreign, requestedAmountMicrodollars: -1 } }))).toBe(
      "bad_request",
    );
  });

  test("a hundred denied calls of one key and period on two processes open one request", async () => {
    const budget = await makeBudget(2_000_000);
    const call = {
      orgId: org.orgId,
      keyId: key.keyId,
      userId: org.userId,
      keyName: "agent",
      budget: { id: parsePublicId("budget", budget.id)!, entityType: "api_key", entityId: publicId("key", key.keyId) },
      balanceId: 1n,
      limitNano: 2_000_000_000n,
      estimateNano: 100_000_000n,
      provider: "openai",
      model: "gpt-5",
      sessionId: null,
      traceId: "0af7651916cd43dd8448eb211c80319c",
      tags: {},
    };
    const ctx = { prisma: database.prisma, clock: systemClock, ip: null };
    const opened = await Promise.all(Array.from({ length: 100 }, () => openOrJoinIncrease({ ctx, call, deps })));
    expect(new Set(opened.map(({ row }) => row.id)).size).toBe(1);
    expect(opened.filter(({ isNew }) => isNew)).toHaveLength(1);
    // A fifth of the limit is more than the estimate.
    expect(opened[0]!.row.requestedNano).toBe(400_000_000n);
    const next = await openOrJoinIncrease({ ctx, call: { ...call, balanceId: 2n, estimateNano: 900_000_000n }, deps });
    expect(next).toMatchObject({ isNew: true, row: { requestedNano: 900_000_000n } });
  });
});

describe("the mailed link", () => {
  const linkFor = async (action: PublicAction, userId = org.userId) => {
    const row = await database.prisma.action.findUniqueOrThrow({
      where: { id: bare(action) },
      include: { decisions: { select: { userId: true, decision: true } } },
    });
    return createLink(database.prisma, { row, userId, secret });
  };
  const base = () => ({ prisma: database.prisma, clock: systemClock, ip: null });
  const decide = (token: string, with_: { code?: string; signedInUserId?: string; amount?: number }) =>
    decideByLink({
      ctx: base(),
      deps,
      secret,
      token,
      code: with_.code,
      signedInUserId: with_.signedInUserId,
      vote: "approve",
      input: with_.amount === undefined ? {} : { approvedAmountMicrodollars: with_.amount },
    });
  const proposeSpend = (amountMicrodollars = 5_000_000) => propose({ actionType: "buy", payload: { amountMicrodollars } });

  test("K1: looking at it any number of times changes nothing, and the code decides afterwards, once", async () => {
    const action = await proposeSpend();
    const { token, code } = await linkFor(action);
    for (let look = 0; look < 20; look += 1) {
      expect(await viewLink({ ctx: base(), token, publicUrl: deps.publicUrl })).toMatchObject({
        needs: "code",
        action: { status: "pending" },
      });
    }
    expect(await decide(token, {})).toEqual({ outcome: "sign_in_needed", reason: "no_code" });
    expect(await decide(token, { code: `${code.slice(0, 3)} ${code.slice(3)}` })).toMatchObject({
      outcome: "decided",
      action: { status: "approved", decidedVia: "link" },
    });
    expect(await codeOf(decide(token, { code }))).toBe("done");
    expect(await decide(token, { code })).toEqual({ outcome: "sign_in_needed", reason: "used_up" });
  });

  test("five wrong codes use it up, also a hundred at once, and the approver's own session still decides", async () => {
    const action = await proposeSpend();
    const { token, code } = await linkFor(action);
    const wrong = String((Number(code) + 1) % 1_000_000).padStart(6, "0");
    const guesses = await Promise.all(Array.from({ length: 100 }, () => decide(token, { code: wrong })));
    expect(guesses.filter(({ outcome }) => outcome === "wrong_code")).toHaveLength(5);
    expect(await decide(token, { code })).toEqual({ outcome: "sign_in_needed", reason: "used_up" });
    const other = await member("admin");
    expect(await decide(token, { signedInUserId: (other.principal as { userId: string }).userId })).toMatchObject({
      outcome: "sign_in_needed",
    });
    expect(await decide(token, { signedInUserId: org.userId })).toMatchObject({ outcome: "decided", action: { decidedVia: "dashboard" } });
  });

  test("above the day's limit, or without an amount, a code is not enough; granting more than asked counts in full", async () => {
    const unpriced = await propose();
    const first = await linkFor(unpriced);
    expect(await decide(first.token, { code: first.code })).toEqual({ outcome: "sign_in_needed", reason: "no_amount" });
    const small = await proposeSpend(60_000_000);
    const link = await linkFor(small);
    expect(await decide(link.token, { code: link.code, amount: 100_000_001 })).toEqual({
      outcome: "sign_in_needed",
      reason: "above_limit",
    });
    expect(await decide(link.token, { code: link.code })).toMatchObject({ outcome: "decided" });
    const second = await proposeSpend(60_000_000);
    const next = await linkFor(second);
    expect(await decide(next.token, { code: next.code })).toEqual({ outcome: "sign_in_needed", reason: "above_limit" });
  });

  test("K8: a payload that was changed after the mail makes the link unknown", async () => {
    const action = await proposeSpend();
    const { token, code } = await linkFor(action);
    await database.prisma.action.update({ where: { id: bare(action) }, data: { payload: { amountMicrodollars: 1 } } });
    expect(await viewLink({ ctx: base(), token, publicUrl: "" })).toBeUndefined();
    expect(await decide(token, { code })).toEqual({ outcome: "unknown_link" });
  });

  test("K7, K9: an approver who left, and a token that is not ours, decide nothing", async () => {
    const action = await proposeSpend();
    const admin = await member("admin");
    const { userId } = admin.principal as { userId: string };
    const { token, code } = await linkFor(action, userId);
    await database.prisma.membership.delete({ where: { orgId_userId: { orgId: org.orgId, userId } } });
    expect(await codeOf(decide(token, { code }))).toBe("forbidden");
    expect(await decide("A".repeat(43), { code })).toEqual({ outcome: "unknown_link" });
    expect(await getAction({ ctx: owner, actionId: action.id, publicUrl: "" })).toMatchObject({ status: "pending" });
  });

  test("everybody who may decide gets one mail with a link of their own; the code stands in it where it is enough, and not in the link", async () => {
    const admin = await member("admin");
    await member("member");
    const asking = { ...deps, ask: createAskByMail({ publicUrl: "https://spend.example", secret, clock: systemClock }) };
    const input = {
      agentId: "buyer\r\nBcc: all@example.com",
      actionType: "buy",
      payload: { amountMicrodollars: 5_000_000, what: "<b>paper</b>" },
    };
    await createAction({ ctx: agent, deps: asking, input });
    const mails = await database.prisma.mail.findMany({ where: { orgId: org.orgId } });
    expect(mails).toHaveLength(2);
    const ids = [org.userId, (admin.principal as { userId: string }).userId];
    const users = await database.prisma.user.findMany({ where: { id: { in: ids } }, select: { email: true } });
    expect(new Set(mails.map(({ recipient }) => recipient))).toEqual(new Set(users.map(({ email }) => email)));
    for (const { subject, html, text } of mails) {
      expect(subject).not.toMatch(/[\r\n]/);
      expect(html).not.toContain("<b>paper</b>");
      const token = /approve\/([A-Za-z0-9_-]{43})/.exec(text)![1]!;
      const code = /^\d{6}$/m.exec(text)![0];
      expect(token).not.toContain(code);
      expect(await viewLink({ ctx: base(), token, publicUrl: "" })).toMatchObject({ needs: "code" });
    }
    await createAction({ ctx: agent, deps: asking, input: { ...input, payload: { amountMicrodollars: 500_000_000 } } });
    const large = await database.prisma.mail.findMany({ where: { orgId: org.orgId }, orderBy: { createdAt: "desc" }, take: 2 });
    for (const { text } of large) expect(text).not.toMatch(/^\d{6}$/m);
  });

  test("the database holds neither token nor code", async () => {
    const action = await proposeSpend();
    const { token, code } = await linkFor(action);
    const rows = JSON.stringify(await database.prisma.actionToken.findMany({ where: { actionId: bare(action) } }));
    expect(rows).not.toContain(token);
    expect(rows).not.toContain(`"${code}"`);
  });
});
