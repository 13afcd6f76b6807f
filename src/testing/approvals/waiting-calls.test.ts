import OpenAI from "openai";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { systemClock } from "@/lib/clock";
import { parsePublicId } from "@/lib/ids";
import { approveAction, rejectAction, setApprovalPolicies } from "@/server/approval";
import { createBudget, getBudget } from "@/server/budget";
import type { Ctx } from "@/server/context";
import { eventually, startGatewayServer, type GatewayServer } from "@/testing/faults/gateway-server";

// What would break in production: an agent that waits for a person is answered before the person has, runs on without an approval, or
// stays held after it; or one approval lets a hundred calls through.

let gateway: GatewayServer;
let owner: Ctx;
let keyId: string;
let budgetId: string | undefined;

beforeAll(async () => {
  gateway = await startGatewayServer();
  const { prisma } = gateway.runtime;
  const key = await prisma.apiKey.findFirstOrThrow({ where: { scopes: { has: "proxy" }, NOT: { scopes: { has: "manage" } } } });
  keyId = key.id;
  owner = { prisma, clock: systemClock, principal: { type: "user", orgId: key.orgId, userId: key.userId, role: "owner" }, ip: null };
});
afterAll(() => gateway.close());
beforeEach(() => gateway.fake.clear());
afterEach(async () => {
  const { prisma } = gateway.runtime;
  if (budgetId !== undefined)
    await prisma.budget.updateMany({ where: { id: parsePublicId("budget", budgetId)! }, data: { deletedAt: new Date() } });
  budgetId = undefined;
  await prisma.action.updateMany({ where: { status: "pending" }, data: { status: "cancelled" } });
  await setApprovalPolicies({ ctx: owner, input: { policies: [] } });
});

const client = (waitSeconds?: number, more: Record<string, string> = {}): OpenAI =>
  new OpenAI({
    apiKey: "sk-provider",
    baseURL: `${gateway.origin}/v1`,
    defaultHeaders: {
      "X-NullSpend-Key": gateway.apiKey,
      ...(waitSeconds !== undefined && { "X-NullSpend-Wait": String(waitSeconds) }),
      ...more,
    },
  });
const request = { model: "gpt-4o-mini", max_tokens: 500, messages: [{ role: "user" as const, content: "hi" }] };
const deps = () => gateway.runtime.approvals.deps;
const pending = () => gateway.runtime.prisma.action.findMany({ where: { status: "pending" } });
const onePending = async () => {
  const [action] = await eventually(pending, (actions) => actions.length > 0);
  return { ...action!, publicId: `ns_act_${action!.id}` };
};
const tinyBudget = async (maxBudgetMicrodollars = 1) => {
  const { budget } = await createBudget({
    ctx: owner,
    input: { entityType: "api_key", entityId: `ns_key_${keyId}`, maxBudgetMicrodollars },
  });
  budgetId = budget.id;
  return budget;
};
const refusedWith = (code: string, status = 429) => expect.objectContaining({ status, code });

it("a streamed call that a budget denies waits, goes on by itself within a second of the approval, and the limit shows the raise", async () => {
  const budget = await tinyBudget();
  gateway.fake.next({ tokens: { input: 9, output: 80 } });
  const streaming = client(60).chat.completions.create({ ...request, stream: true });
  const action = await onePending();
  expect(action).toMatchObject({ actionType: "budget_increase", apiKeyId: keyId });
  expect(gateway.fake.log).toHaveLength(0);
  const approvedAt = performance.now();
  await approveAction({ ctx: owner, actionId: action.publicId, input: { approvedAmountMicrodollars: 1_000 }, deps: deps() });
  const stream = await streaming;
  expect(performance.now() - approvedAt).toBeLessThan(1_000);
  let text = "";
  for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? "";
  expect(text.length).toBeGreaterThan(0);
  expect(gateway.fake.log).toHaveLength(1);
  expect(await getBudget({ ctx: owner, budgetId: budget.id })).toMatchObject({
    maxBudgetMicrodollars: 1,
    currentLimitMicrodollars: 1_001,
  });
});

it("rejected, too little or too late: the call gets its denial once, and nothing was sent", async () => {
  await tinyBudget();
  const rejected = client(60).chat.completions.create(request);
  await rejectAction({ ctx: owner, actionId: (await onePending()).publicId, input: {}, deps: deps() });
  await expect(rejected).rejects.toEqual(refusedWith("budget_exceeded"));

  const late = client(1).chat.completions.create(request);
  await expect(late).rejects.toEqual(refusedWith("budget_exceeded"));
  const tooLittle = client(2).chat.completions.create(request);
  await approveAction({ ctx: owner, actionId: (await onePending()).publicId, input: { approvedAmountMicrodollars: 0.001 }, deps: deps() });
  await expect(tooLittle).rejects.toEqual(refusedWith("budget_exceeded"));
  await expect(client().chat.completions.create(request)).rejects.toEqual(refusedWith("budget_exceeded"));
  expect(gateway.fake.log).toHaveLength(0);
});

it("of 110 calls that wait for one raise a hundred are held and go on, and the others are denied at once", async () => {
  await tinyBudget();
  const codes: string[] = [];
  const calls = Array.from({ length: 110 }, () =>
    client(30)
      .chat.completions.create(request)
      .then(
        () => "answered",
        (error: unknown) => (error as { code: string }).code,
      )
      .then((code) => {
        codes.push(code);
        return code;
      }),
  );
  // Those that were denied as well: one that only arrives after the approval has room, and is answered.
  await eventually(
    () => ({ waiting: gateway.runtime.approvals.watch.waiting, denied: codes.length }),
    ({ waiting, denied }) => waiting === 100 && denied === 10,
  );
  expect(await pending()).toHaveLength(1);
  await approveAction({
    ctx: owner,
    actionId: (await onePending()).publicId,
    input: { approvedAmountMicrodollars: 10_000_000 },
    deps: deps(),
  });
  const answers = await Promise.all(calls);
  expect(answers.filter((each) => each === "answered")).toHaveLength(100);
  expect(answers.filter((each) => each === "budget_exceeded")).toHaveLength(10);
});

it("a caller who leaves while it waits is not sent on when the approval comes", async () => {
  await tinyBudget();
  const gone = new AbortController();
  const call = client(60).chat.completions.create(request, { signal: gone.signal });
  const action = await onePending();
  gone.abort();
  await expect(call).rejects.toThrow();
  await eventually(
    () => gateway.runtime.approvals.watch.waiting,
    (waiting) => waiting === 0,
  );
  await approveAction({ ctx: owner, actionId: action.publicId, input: { approvedAmountMicrodollars: 1_000 }, deps: deps() });
  await eventually(
    () => gateway.runtime.gateway.unfinished.size,
    (size) => size === 0,
  );
  expect(gateway.fake.log).toHaveLength(0);
});

it("a call that a policy wants a person for is 429 once; with the approved action it is sent, once, and only as it was approved", async () => {
  await setApprovalPolicies({
    ctx: owner,
    input: { policies: [{ name: "mini", conditions: { actionTypes: ["llm_call"], models: ["gpt-4o-*"] }, fourEyes: false }] },
  });
  const wanted = () => client().chat.completions.create(request);
  await eventually(
    () =>
      wanted().then(
        () => "answered",
        (error: unknown) => (error as { code: string }).code,
      ),
    (code) => code === "approval_required",
  );
  gateway.fake.clear();
  await expect(wanted()).rejects.toMatchObject({ status: 429, code: "approval_required" });
  const action = await onePending();
  expect(await pending()).toHaveLength(1);
  expect(action).toMatchObject({ actionType: "llm_call" });
  expect(gateway.fake.log).toHaveLength(0);
  await client().chat.completions.create({ ...request, model: "gpt-4.1-mini" });
  expect(gateway.fake.log).toHaveLength(1);

  await approveAction({ ctx: owner, actionId: action.publicId, input: {}, deps: deps() });
  const named = client(undefined, { "X-NullSpend-Action-Id": action.publicId });
  await expect(named.chat.completions.create({ ...request, max_tokens: 501 })).rejects.toMatchObject({ code: "approval_required" });
  const both = await Promise.allSettled([named.chat.completions.create(request), named.chat.completions.create(request)]);
  expect(both.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
  expect(gateway.fake.log).toHaveLength(2);
  await eventually(
    () => gateway.runtime.prisma.action.findUniqueOrThrow({ where: { id: action.id } }),
    ({ status }) => status === "executed",
  );
});

it("a call that waits for its own approval is sent when it comes", async () => {
  await setApprovalPolicies({
    ctx: owner,
    input: { policies: [{ name: "all", conditions: { actionTypes: ["llm_call"] }, fourEyes: false }] },
  });
  await eventually(
    () =>
      client()
        .chat.completions.create({ ...request, max_tokens: 7 })
        .then(
          () => "answered",
          (error: unknown) => (error as { code: string }).code,
        ),
    (code) => code === "approval_required",
  );
  await gateway.runtime.prisma.action.updateMany({ where: { status: "pending" }, data: { status: "cancelled" } });
  const waiting = client(60).chat.completions.create(request);
  const action = await onePending();
  await approveAction({ ctx: owner, actionId: action.publicId, input: {}, deps: deps() });
  expect((await waiting).choices).toHaveLength(1);
});
