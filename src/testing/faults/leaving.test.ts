import { createServer, type AddressInfo } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { BudgetGate } from "@/server/gateway";
import { storedEvents, type StoredEvent } from "@/testing/events";
import { scenarioHeader, type Scenario } from "@/testing/fake-provider";
import { RawConnection, requestBytes } from "@/testing/raw-http";
import { costNano, type PricedModel } from "../clients/prices";
import { eventually, startGatewayServer, type GatewayServer } from "./gateway-server";

// What would break in production: money that is held for a caller who has left is money that nobody can spend until somebody looks
// for it, and a call that is recorded twice, or never, is a budget that lies. Here every call is held against a budget, and whoever
// leaves does so at the worst moment.

const BUDGET_NANO = 1_000_000_000_000n;
type Api = { name: string; model: PricedModel; target: string; headers: string[]; body: object };
const hi = [{ role: "user", content: "Tell me a story about an otter." }];
const CHAT: Api = {
  name: "chat completions",
  model: "gpt-4o-mini",
  target: "/v1/chat/completions",
  headers: [],
  body: { model: "gpt-4o-mini", stream: true, stream_options: { include_usage: true }, max_tokens: 100, messages: hi },
};
const RESPONSES: Api = {
  name: "responses",
  model: "gpt-4.1-mini",
  target: "/v1/responses",
  headers: [],
  body: { model: "gpt-4.1-mini", stream: true, max_output_tokens: 100, input: "Tell me a story about an otter." },
};
const MESSAGES: Api = {
  name: "messages",
  model: "claude-haiku-4-5",
  target: "/v1/messages",
  headers: ["anthropic-version", "2023-06-01"],
  body: { model: "claude-haiku-4-5-20251001", stream: true, max_tokens: 100, messages: hi },
};
const APIS = [CHAT, RESPONSES, MESSAGES];
const TEXT: Scenario = { text: "Once upon a time an otter lived beside a slow green river.", chunks: 5 };

let gateway: GatewayServer;
beforeAll(async () => {
  gateway = await startGatewayServer();
});
afterAll(() => gateway.close());
beforeEach(() => gateway.fake.clear());

/** Of the whole organisation, the same one each time. */
async function setBudget(): Promise<void> {
  const answer = await gateway.send({
    target: "/api/budgets",
    headers: ["X-NullSpend-Key", gateway.adminKey, "Content-Type", "application/json"],
    body: JSON.stringify({ entityType: "org", maxBudgetMicrodollars: Number(BUDGET_NANO / 1_000n) }),
  });
  expect([200, 201]).toContain(answer.status);
  // Other processes hear of it within a second, and so does the gateway of this one.
  await eventually(
    async () => (await gateway.send({ target: CHAT.target, body: JSON.stringify(CHAT.body) })).header("x-nullspend-budget-limit"),
    (limit) => limit !== undefined,
  );
  await idle();
  const charged = (await storedEvents(gateway, 0)).reduce((sum, { chargedNano }) => sum + chargedNano, 0n);
  chargedBefore = charged - (await balance()).spent;
  gateway.fake.clear();
}

type Balance = { reserved: bigint; spent: bigint; reservations: number };
async function balance(): Promise<Balance> {
  const { rows } = await gateway.database.pool.query<{ reserved: string; spent: string; reservations: number }>(
    `select coalesce(sum(reserved_nano), 0)::text as reserved, coalesce(sum(spent_nano), 0)::text as spent,
      (select count(*)::int from reservation) as reservations from budget_balance`,
  );
  const { reserved, spent, reservations } = rows[0]!;
  return { reserved: BigInt(reserved), spent: BigInt(spent), reservations };
}

const idle = (): Promise<number> =>
  eventually(
    () => gateway.runtime.gateway.unfinished.size,
    (size) => size === 0,
  );

/** The only event of each session, and the books that agree with all events there are: nothing held, and spent what was charged. */
async function settled(sessions: readonly string[]): Promise<StoredEvent[]> {
  await idle();
  const events = await storedEvents(gateway, 0);
  const { reserved, spent, reservations } = await balance();
  expect({ reserved, reservations }).toEqual({ reserved: 0n, reservations: 0 });
  expect(spent).toBe(events.reduce((sum, { chargedNano }) => sum + chargedNano, 0n) - chargedBefore);
  return sessions.map((session) => {
    const own = events.filter(({ sessionId }) => sessionId === session);
    expect(own, `events of ${session}`).toHaveLength(1);
    return own[0]!;
  });
}
/** Charged by calls before there was a budget. */
let chargedBefore = 0n;

function bytesOf(api: Api, session: string, scenario: Scenario): Buffer {
  const headers = gateway.headers("X-NullSpend-Session", session, ...api.headers, ...Object.entries(scenarioHeader(scenario)).flat());
  return requestBytes({ port: gateway.port, target: api.target, headers, body: JSON.stringify(api.body) });
}

/** Each other time with RST instead of FIN. */
function leave(connection: RawConnection, roughly: boolean): void {
  if (roughly) connection.reset();
  else connection.hangUp();
}

/** Stops every call right after it was admitted, until `letGo`. */
function pauseAfterAdmission(): { admitted: Promise<void>; letGo: () => void } {
  const { gateway: real } = gateway.runtime;
  const budgets = real.budgets;
  let arrive!: () => void;
  const admitted = new Promise<void>((resolve) => (arrive = resolve));
  let open!: () => void;
  const opened = new Promise<void>((resolve) => (open = resolve));
  const admit: BudgetGate["admit"] = async (call) => {
    const answer = await budgets.admit(call);
    arrive();
    await opened;
    return answer;
  };
  real.budgets = Object.create(budgets, { admit: { value: admit } }) as BudgetGate;
  return {
    admitted,
    letGo: () => {
      real.budgets = budgets;
      open();
    },
  };
}

describe.each([false, true])("F2: a caller leaves after it was admitted and before its provider is asked (budget: %s)", (hasBudget) => {
  beforeAll(async () => {
    if (hasBudget) await setBudget();
  });

  it.each([true, false])(
    `F2: nothing reaches the provider, and what was held is given back (budget: ${hasBudget}, RST: %s)`,
    async (roughly) => {
      const session = `f2 ${hasBudget} ${roughly}`;
      const connectionsBefore = gateway.fake.connections;
      const spentBefore = (await balance()).spent;
      const pause = pauseAfterAdmission();
      try {
        const connection = await RawConnection.connect({ port: gateway.port });
        await connection.send(bytesOf(CHAT, session, TEXT));
        await pause.admitted;
        const held = await balance();
        expect(held.reservations).toBe(hasBudget ? 1 : 0);
        expect(held.reserved > 0n).toBe(hasBudget);
        leave(connection, roughly);
        await eventually(
          () => gateway.connections(),
          (count) => count === 0,
        );
      } finally {
        pause.letGo();
      }
      await idle();
      expect(gateway.fake.log).toHaveLength(0);
      expect(gateway.fake.truncatedRequests).toBe(0);
      expect(gateway.fake.connections).toBe(connectionsBefore);
      expect(await balance()).toEqual({ reserved: 0n, spent: spentBefore, reservations: 0 });
      const [event] = (await storedEvents(gateway, 0)).filter(({ sessionId }) => sessionId === session);
      expect(event).toMatchObject({ status: "cancelled", costNano: 0n, chargedNano: 0n });
      expect(gateway.runtime.gateway.openCalls.size).toBe(0);
    },
  );
});

describe.each(APIS)("F4, F5: a caller leaves a held stream of $name", (api) => {
  let eventsSent: number;
  beforeAll(async () => {
    await setBudget();
    const connection = await RawConnection.connect({ port: gateway.port });
    await connection.send(bytesOf(api, `${api.name} whole`, TEXT));
    expect((await connection.response({ method: "POST" })).complete).toBe(true);
    connection.hangUp();
    eventsSent = gateway.fake.log.at(-1)!.sent.eventsSent;
    const [event] = await settled([`${api.name} whole`]);
    expect(event).toMatchObject({ status: "ok", costNano: costNano(api.model, gateway.fake.log.at(-1)!.billed) });
  });

  it("F4: at every event from the first to the last: one event each, all holds given back, and the budget charged what the events say", async () => {
    const places = ["headers", ...Array(eventsSent).keys(), "end"] as const;
    const session = (place: (typeof places)[number]): string => `f4 ${api.name} ${place}`;
    const exchanges = await Promise.all(
      places.map(async (place, index) => {
        const gate = session(place);
        const connection = await RawConnection.connect({ port: gateway.port });
        await connection.send(bytesOf(api, gate, { ...TEXT, holds: [{ at: place as number | "headers" | "end", gate }] }));
        await gateway.fake.gates.reached(gate);
        const exchange = gateway.fake.log.find(({ scenario }) => scenario.holds?.some((hold) => hold.gate === gate))!;
        leave(connection, index % 2 === 0);
        // Half of the providers go on, the others notice that nobody listens.
        if (index % 4 < 2) gateway.fake.gates.release(gate);
        return exchange;
      }),
    );
    await Promise.all(exchanges.map((exchange) => exchange.ended));
    const events = await settled(places.map(session));
    for (const [index, event] of events.entries()) {
      const { billed } = exchanges[index]!;
      expect(event.costNano, `left at ${places[index]}`).toBeGreaterThanOrEqual(costNano(api.model, billed));
      expect(event.chargedNano).toBe(event.costNano);
    }
  });

  it("F5: after the usage and before the end of the stream: one event at the full cost", async () => {
    const session = `f5 ${api.name}`;
    // Responses tell their usage in the very event that ends the stream: there only the end of the framing is missing.
    const at = api === RESPONSES ? "end" : eventsSent - 1;
    const connection = await RawConnection.connect({ port: gateway.port });
    await connection.send(bytesOf(api, session, { ...TEXT, tokens: { input: 40, output: 30 }, holds: [{ at, gate: session }] }));
    expect(await connection.until((received) => /"(completion|output)_tokens":30/.test(received.toString()))).toBe(true);
    expect(connection.received.toString()).not.toMatch(/\[DONE\]|message_stop|\r\n0\r\n\r\n/);
    await gateway.fake.gates.reached(session);
    connection.reset();
    await gateway.fake.log.at(-1)!.ended;
    const [event] = await settled([session]);
    expect(event).toMatchObject({ status: "cancelled", costBasis: "reported", inputTokens: 40, outputTokens: 30 });
    expect(event!.costNano).toBe(costNano(api.model, { input: 40, output: 30 }));
    expect(event!.chargedNano).toBe(event!.costNano);
  });
});

describe("F6: a caller leaves in the very moment its call is settled", () => {
  /** Runs with every settlement, in the same tick, before the door has it. */
  let onSettle: ((session: string | null) => void) | undefined;
  const settlements = new Map<string | null, number>();
  beforeAll(async () => {
    await setBudget();
    const { gateway: real } = gateway.runtime;
    const door = real.settleDoor;
    const settle: typeof door.settle = (settlement) => {
      const { sessionId } = settlement.event;
      settlements.set(sessionId, (settlements.get(sessionId) ?? 0) + 1);
      onSettle?.(sessionId);
      return door.settle(settlement);
    };
    real.settleDoor = Object.create(door, { settle: { value: settle } }) as typeof door;
  });

  it("F6: in the tick of the settlement itself", async () => {
    const connections = new Map<string | null, RawConnection>();
    onSettle = (session) => connections.get(session)?.reset();
    const sessions = Array.from({ length: 60 }, (_, i) => `f6 tick ${i}`);
    await Promise.all(
      sessions.map(async (session, i) => {
        const connection = await RawConnection.connect({ port: gateway.port });
        connections.set(session, connection);
        await connection.send(bytesOf(APIS[i % APIS.length]!, session, TEXT));
        await connection.until(() => false);
      }),
    );
    onSettle = undefined;
    const events = await settled(sessions);
    for (const event of events) expect(event).toMatchObject({ costBasis: "reported" });
    for (const session of sessions) expect(settlements.get(session), session).toBe(1);
  });

  it("F6: at each of thirty turns of the event loop around the last byte", async () => {
    const cases = Array.from({ length: 60 }, (_, i) => ({
      session: `f6 turn ${i}`,
      turns: i >> 1,
      roughly: i % 2 === 0,
      api: APIS[i % 3]!,
    }));
    for (const { session, turns, roughly, api } of cases) {
      const connection = await RawConnection.connect({ port: gateway.port });
      await connection.send(bytesOf(api, session, { ...TEXT, holds: [{ at: "end", gate: session }] }));
      await gateway.fake.gates.reached(session);
      gateway.fake.gates.release(session);
      for (let turn = 0; turn < turns; turn++) await nextTurn();
      leave(connection, roughly);
    }
    const events = await settled(cases.map(({ session }) => session));
    for (const event of events) {
      expect(["ok", "cancelled"]).toContain(event.status);
      expect(event.costBasis).toBe("reported");
    }
    for (const { session } of cases) expect(settlements.get(session), session).toBe(1);
  });
});

describe("H17: pictures and files by address", () => {
  let asked = 0;
  const bait = createServer((socket) => {
    asked += 1;
    socket.destroy();
  });
  let url: string;
  beforeAll(async () => {
    await setBudget();
    await new Promise<void>((resolve) => bait.listen(0, "127.0.0.1", resolve));
    // Listening on TCP, so the address is an object.
    url = `http://127.0.0.1:${(bait.address() as AddressInfo).port}/secret.png`;
  });
  afterAll(() => new Promise((resolve) => bait.close(resolve)));

  const call = async (target: string, body: object): Promise<{ status: number; id: string }> => {
    const headers = target === "/v1/messages" ? gateway.headers("anthropic-version", "2023-06-01") : gateway.headers();
    const answer = await gateway.send({ target, headers, body: JSON.stringify(body) });
    return { status: answer.status, id: answer.header("x-nullspend-request-id")! };
  };
  const estimateOf = async (id: string): Promise<bigint> => {
    await idle();
    const { rows } = await gateway.database.pool.query<{ nano: string }>(
      "select estimated_nano::text as nano from cost_event where id = $1",
      [id.replace("ns_evt_", "")],
    );
    return BigInt(rows[0]!.nano);
  };
  const chatWith = (part: object): object => ({ model: "gpt-4o-mini", max_tokens: 5, messages: [{ role: "user", content: [part] }] });
  const responseWith = (part: object): object => ({
    model: "gpt-4.1-mini",
    max_output_tokens: 16,
    input: [{ role: "user", content: [part] }],
  });
  const messageWith = (part: object): object => ({
    model: "claude-haiku-4-5",
    max_tokens: 5,
    messages: [{ role: "user", content: [part] }],
  });

  it.each<[string, string, (url: string) => object, (text: string) => object]>([
    [
      "a picture in chat completions",
      "/v1/chat/completions",
      (address) => chatWith({ type: "image_url", image_url: { url: address } }),
      (text) => chatWith({ type: "text", text }),
    ],
    [
      "a picture in responses",
      "/v1/responses",
      (address) => responseWith({ type: "input_image", image_url: address }),
      (text) => responseWith({ type: "input_text", text }),
    ],
    [
      "a file in responses",
      "/v1/responses",
      (address) => responseWith({ type: "input_file", file_url: address }),
      (text) => responseWith({ type: "input_text", text }),
    ],
    [
      "a picture in messages",
      "/v1/messages",
      (address) => messageWith({ type: "image", source: { type: "url", url: address } }),
      (text) => messageWith({ type: "text", text }),
    ],
    [
      "a document in messages",
      "/v1/messages",
      (address) => messageWith({ type: "document", source: { type: "url", url: address } }),
      (text) => messageWith({ type: "text", text }),
    ],
  ])("H17: %s is not fetched by us, and is held at the most it may cost", async (_name, target, withUrl, withText) => {
    const [picture, text] = [await call(target, withUrl(url)), await call(target, withText(url.padEnd(200, "x")))];
    expect([picture.status, text.status]).toEqual([200, 200]);
    const [most, least] = [await estimateOf(picture.id), await estimateOf(text.id)];
    // More than a longer text, by what the dearest picture takes: at least a thousand tokens of the cheapest of these models.
    expect(most - least).toBeGreaterThan(1_000n * 150n);
    expect(asked).toBe(0);
    expect(await balance()).toMatchObject({ reserved: 0n, reservations: 0 });
  });
});
