import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { storedEvents, type StoredEvent } from "@/testing/events";
import type { Scenario } from "@/testing/fake-provider";
import type { RawResponse } from "@/testing/raw-http";
import { violationsOf } from "@/server/ledger/integrity";
import { databaseByAnotherPath } from "./database-path";
import { eventually, startGatewayServer, type GatewayServer } from "./gateway-server";

// What would break in production: a response made in the background, or a batch of a hundred thousand, costs nothing in our books; or
// it costs as often as somebody asks how it is going.

let gateway: GatewayServer;
let other: GatewayServer;
beforeAll(async () => {
  gateway = await startGatewayServer();
  other = await startGatewayServer({ fake: gateway.fake, database: gateway.database });
});
afterAll(async () => {
  await other.close();
  await gateway.close();
});
beforeEach(() => gateway.fake.clear());

const usage = {
  input_tokens: 1_000,
  input_tokens_details: { cached_tokens: 0 },
  output_tokens: 100,
  output_tokens_details: { reasoning_tokens: 0 },
  total_tokens: 1_100,
};
const response = (id: string, more: object): string =>
  JSON.stringify({
    id,
    object: "response",
    model: "gpt-4.1-mini-2025-04-14",
    background: true,
    status: "completed",
    output: [],
    usage,
    service_tier: "default",
    ...more,
  });

/** Sends, and answers with what was recorded beyond the call's own event. */
async function brought(
  scenario: Scenario,
  sent: { target: string; method?: string; body?: string; headers?: string[]; by?: GatewayServer },
): Promise<StoredEvent[]> {
  const { by = gateway, target, method, body, headers = [] } = sent;
  const before = new Set((await storedEvents(gateway, 0)).map(({ id }) => id));
  gateway.fake.next(scenario);
  const answer: RawResponse = await by.send({ target, ...(method && { method }), ...(body && { body }), headers: by.headers(...headers) });
  expect(answer.body.equals(Buffer.concat(gateway.fake.log.at(-1)!.sent.body))).toBe(true);
  await eventually(
    () => by.runtime.gateway.unfinished.size,
    (size) => size === 0,
  );
  const own = answer.header("x-nullspend-request-id")!.replace("ns_evt_", "");
  return (await storedEvents(gateway, 0)).filter(({ id }) => !before.has(id) && id !== own);
}
const PRICE = { costBasis: "reported", costNano: 560_000n, inputTokens: 1_000, outputTokens: 100 };

it("a response made in the background is unpriced when it begins, and recorded once when it comes back, whoever asks how often", async () => {
  const began = await gateway.send({ target: "/v1/responses", body: '{"model":"gpt-4.1-mini","input":"hi","background":true}' });
  await eventually(
    () => storedEvents(gateway, 1),
    (events) => events.some(({ endpoint }) => endpoint === "responses"),
  );
  const own = (await storedEvents(gateway, 1)).find(({ id }) => began.header("x-nullspend-request-id")!.endsWith(id))!;
  expect(own).toMatchObject({ costBasis: "unpriced", costNano: null });

  const target = "/v1/responses/resp_a";
  expect(await brought({ body: response("resp_a", { status: "in_progress", usage: null }) }, { target })).toEqual([]);
  const [event, ...more] = await brought({ body: response("resp_a", {}) }, { target, headers: ["X-NullSpend-Customer", "acme"] });
  expect(more).toEqual([]);
  expect(event).toMatchObject({ ...PRICE, requestId: "resp_a", endpoint: "responses", model: "gpt-4.1-mini-2025-04-14", status: "ok" });
  expect(await brought({ body: response("resp_a", {}) }, { target })).toEqual([]);
  expect(await brought({ body: response("resp_a", {}) }, { target, by: other })).toEqual([]);
  expect(await brought({ body: response("resp_a", { status: "cancelled" }) }, { target: `${target}/cancel`, method: "POST" })).toEqual([]);
  expect(await brought({ body: response("resp_b", {}) }, { target: "/v1/responses/resp_b" })).toHaveLength(1);
});

it("one that streams brings its usage in the same answer, once", async () => {
  const events = [
    `event: response.created\ndata: {"type":"response.created","sequence_number":0,"response":${response("resp_s", { status: "in_progress", usage: null })}}\n\n`,
    `event: response.completed\ndata: {"type":"response.completed","sequence_number":1,"response":${response("resp_s", {})}}\n\n`,
  ];
  const scenario: Scenario = { body: events.join(""), contentType: "text/event-stream" };
  const body = '{"model":"gpt-4.1-mini","input":"hi","background":true,"stream":true}';
  expect(await brought(scenario, { target: "/v1/responses", body })).toMatchObject([{ ...PRICE, requestId: "resp_s" }]);
  expect(await brought(scenario, { target: "/v1/responses/resp_s?stream=true&starting_after=0" })).toEqual([]);
});

it("a response that was not made in the background is paid for where it was made", async () => {
  expect(await brought({ body: response("resp_c", { background: false }) }, { target: "/v1/responses/resp_c" })).toEqual([]);
  expect(await brought({ body: response("resp_d", { background: undefined }) }, { target: "/v1/responses/resp_d" })).toEqual([]);
  const spoofed = response("resp_e", { background: false, metadata: { note: '"background":true' }, tools: [{ background: true }] });
  expect(await brought({ body: spoofed }, { target: "/v1/responses/resp_e" })).toEqual([]);
});

it("an error, or an answer cut off, brings nothing", async () => {
  const target = "/v1/responses/resp_f";
  expect(await brought({ status: 404, body: response("resp_f", {}) }, { target })).toEqual([]);
  gateway.fake.next({ body: response("resp_f", {}), fault: { kind: "fin", at: { bytes: 100 } } });
  await gateway.send({ target }).catch(() => {});
  await eventually(
    () => gateway.runtime.gateway.unfinished.size,
    (size) => size === 0,
  );
  expect(await brought({ body: response("resp_f", {}) }, { target })).toHaveLength(1);
});

it("OpenAI's batch is recorded at the batch price when it is over", async () => {
  const batch = (status: string): string =>
    JSON.stringify({ id: "batch_1", object: "batch", model: "gpt-4.1-mini-2025-04-14", status, usage });
  expect(await brought({ body: batch("in_progress") }, { target: "/v1/batches/batch_1" })).toEqual([]);
  expect(await brought({ body: batch("completed") }, { target: "/v1/batches/batch_1" })).toMatchObject([
    { requestId: "batch_1", costNano: 280_000n, costBasis: "reported" },
  ]);
  expect(await brought({ body: batch("completed") }, { target: "/v1/batches/batch_1" })).toEqual([]);
});

it("Anthropic's results are recorded each, at the batch price, however they are cut, compressed and asked for", async () => {
  const lines = Array.from({ length: 50 }, (_, i) => {
    if (i % 10 === 9) return JSON.stringify({ custom_id: `${i}`, result: { type: i === 9 ? "errored" : "expired", error: {} } });
    const message = {
      id: `msg_${i}`,
      type: "message",
      role: "assistant",
      model: "claude-haiku-4-5-20251001",
      content: [{ type: "text", text: "ä\n" }],
      stop_reason: "end_turn",
      usage: { input_tokens: 10, output_tokens: 20, cache_creation_input_tokens: 0, cache_read_input_tokens: 0 },
    };
    return JSON.stringify({ custom_id: `${i}`, result: { type: "succeeded", message } });
  });
  const target = "/v1/messages/batches/msgbatch_1/results";
  const headers = ["anthropic-version", "2023-06-01"];
  const half = await brought(
    { body: `${lines.slice(0, 25).join("\n")}\n`, contentType: "application/x-jsonl", framing: "chunked", cut: [1, 100, 101, 999, 3_000] },
    { target, headers },
  );
  expect(half).toHaveLength(23);
  // $1 and $5 per million tokens, half of it in a batch.
  for (const event of half) expect(event).toMatchObject({ costNano: 55_000n, endpoint: "messages", model: "claude-haiku-4-5-20251001" });
  const whole = {
    bodyBase64: gzipSync(lines.join("\n")).toString("base64"),
    contentType: "application/x-jsonl",
    headers: ["Content-Encoding", "gzip"],
  };
  expect(await brought(whole, { target, headers })).toHaveLength(45 - 23);
  expect(await brought(whole, { target, headers, by: other })).toEqual([]);
});

// Nothing can be denied any more, but a budget that does not hear of it would admit the next call with money that is gone.
async function budgetOf(customer: string, ...processes: GatewayServer[]): Promise<{ read(): Promise<object> }> {
  const headers = { "x-nullspend-key": gateway.adminKey, "content-type": "application/json" };
  const body = JSON.stringify({ entityType: "customer", entityId: customer, maxBudgetMicrodollars: 1_000 });
  const made = await fetch(`${gateway.origin}/api/budgets`, { method: "POST", headers, body });
  const { data } = (await made.json()) as { data: { id: string } };
  const { id: orgId, configVersion } = await gateway.database.prisma.organisation.findFirstOrThrow({
    select: { id: true, configVersion: true },
  });
  for (const each of processes) {
    await eventually(
      async () => {
        await each.send({ target: "/v1/models" });
        return each.runtime.budgetBook.versionOf(orgId) ?? 0n;
      },
      (version) => version >= configVersion,
    );
    // What was asked only to see the budget has events of its own.
    await eventually(
      () => each.runtime.gateway.unfinished.size,
      (size) => size === 0,
    );
  }
  return {
    read: async () => ((await (await fetch(`${gateway.origin}/api/budgets/${data.id}`, { headers })).json()) as { data: object }).data,
  };
}

it("is charged to the budgets of whoever asked, once, past their limit if need be", async () => {
  const budget = await budgetOf("later", gateway, other);
  const asked = (id: string, by = gateway) =>
    brought({ body: response(id, {}) }, { target: `/v1/responses/${id}`, headers: ["X-NullSpend-Customer", "later"], by });
  expect(await asked("resp_g")).toHaveLength(1);
  expect(await budget.read()).toMatchObject({ spendMicrodollars: 560, reservedMicrodollars: 0, excessMicrodollars: 0 });
  expect([...(await asked("resp_g")), ...(await asked("resp_g", other))]).toEqual([]);
  expect(await budget.read()).toMatchObject({ spendMicrodollars: 560 });
  expect(await asked("resp_h")).toHaveLength(1);
  expect(await budget.read()).toMatchObject({ spendMicrodollars: 1_120, excessMicrodollars: 120, excessReasons: ["reported"] });
  const { id: orgId } = await gateway.database.prisma.organisation.findFirstOrThrow({ select: { id: true } });
  expect(await violationsOf(gateway.database.prisma, orgId)).toEqual([]);
});

it("waits for a database that is away, and is charged then", async () => {
  const path = await databaseByAnotherPath(gateway.database.connectionString);
  const cut = await startGatewayServer({ fake: gateway.fake, database: gateway.database, databaseUrl: path.url });
  try {
    const budget = await budgetOf("patient", cut);
    gateway.fake.next({ body: response("resp_p", {}), holds: [{ at: 0, gate: "database-away" }] });
    const answer = cut.send({ target: "/v1/responses/resp_p", headers: cut.headers("X-NullSpend-Customer", "patient") });
    await gateway.fake.gates.reached("database-away");
    path.chaos.refuse = true;
    path.resetAll();
    gateway.fake.gates.release("database-away");
    expect((await answer).status).toBe(200);
    await eventually(
      () => cut.logs().includes("usage told later waits for the database"),
      (isWaiting) => isWaiting,
    );
    expect(await budget.read()).toMatchObject({ spendMicrodollars: 0 });
    path.chaos.refuse = false;
    await eventually(
      () => cut.runtime.gateway.unfinished.size,
      (size) => size === 0,
    );
    expect(await budget.read()).toMatchObject({ spendMicrodollars: 560 });
  } finally {
    path.chaos.refuse = false;
    await cut.close();
    await path.close();
  }
});
