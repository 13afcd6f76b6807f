import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { storedEvents, type StoredEvent } from "@/testing/events";
import { scenarioHeader, startFakeProvider, type FakeExchange, type FakeProvider, type Scenario } from "@/testing/fake-provider";
import { headerList, RawConnection, rawRequest, requestBytes, type RawRequest } from "@/testing/raw-http";
import { ADAPTERS, startProduct, type Product } from "@/testing/server";
import { costNano, type PricedModel } from "./clients/prices";

// What would break in production: callers leave all the time (a closed tab, Ctrl+C in Claude Code), and a call that is not recorded
// then is money nobody sees until the provider's invoice.

type Api = { name: string; model: PricedModel; target: string; headers: string[]; body: object; tokensAreExact: boolean };
const hi = [{ role: "user", content: "Tell me a story about an otter." }];
const OUTPUT_MAX = 400;
const apis: Api[] = [
  {
    name: "chat completions",
    model: "gpt-4o-mini",
    target: "/v1/chat/completions",
    headers: ["Authorization", "Bearer sk-test"],
    body: { model: "gpt-4o-mini", stream: true, max_tokens: OUTPUT_MAX, messages: hi },
    tokensAreExact: true,
  },
  {
    name: "responses",
    model: "gpt-4.1-mini",
    target: "/v1/responses",
    headers: ["Authorization", "Bearer sk-test"],
    body: { model: "gpt-4.1-mini", stream: true, max_output_tokens: OUTPUT_MAX, input: "Tell me a story about an otter." },
    tokensAreExact: true,
  },
  {
    name: "messages",
    model: "claude-haiku-4-5",
    target: "/v1/messages",
    headers: ["x-api-key", "sk-ant-test", "anthropic-version", "2023-06-01"],
    body: { model: "claude-haiku-4-5-20251001", stream: true, max_tokens: OUTPUT_MAX, messages: hi },
    // Anthropic's tokenizer is not public: what was delivered is counted with a factor that errs high.
    tokensAreExact: false,
  },
];
const TEXT: Scenario = {
  text: "Once upon a time an otter lived beside a slow green river, and every morning it counted its seven smooth stones before breakfast.",
  chunks: 6,
};

describe.each(ADAPTERS)("a caller who leaves, through the %s adapter", (adapter) => {
  let product: Product;
  let fake: FakeProvider;
  beforeAll(async () => {
    fake = await startFakeProvider();
    product = await startProduct({ adapter, fake });
  });
  afterAll(async () => {
    await product.stop();
    await fake.close();
  });

  let expectedEvents = 0;
  /** The only event of a session. Waits for all events so far, so that a second one for the same call would be seen. */
  const onlyEvents = async (sessions: string[]): Promise<StoredEvent[]> => {
    const events = await storedEvents(product, expectedEvents);
    expect(events).toHaveLength(expectedEvents);
    return sessions.map((session) => {
      const own = events.filter(({ sessionId }) => sessionId === session);
      expect(own, `events of ${session}`).toHaveLength(1);
      return own[0]!;
    });
  };

  const callOf = (api: Api, session: string, scenario: Scenario, body: object = api.body): RawRequest => ({
    port: product.port,
    target: api.target,
    headers: [
      ...headerList(`X-NullSpend-Key: ${product.apiKey}`, `X-NullSpend-Session: ${session}`, "Content-Type: application/json"),
      ...api.headers,
      ...Object.entries(scenarioHeader(scenario)).flat(),
    ],
    body: JSON.stringify(body),
  });

  /** Calls, waits until the provider stands at the gate, and leaves: every other time with RST instead of FIN. */
  async function leaveAt(call: RawRequest, gate: string, roughly: boolean): Promise<FakeExchange> {
    const connection = await RawConnection.connect({ port: product.port });
    void connection.send(requestBytes(call));
    await fake.gates.reached(gate);
    if (roughly) connection.reset();
    else connection.hangUp();
    expectedEvents++;
    return fake.log.find(({ scenario }) => scenario.holds?.some((hold) => hold.gate === gate))!;
  }

  describe.each(apis)("$name", (api) => {
    let events: number;
    beforeAll(async () => {
      const whole = await rawRequest(callOf(api, `${api.name} whole`, TEXT));
      expect(whole.complete).toBe(true);
      events = fake.log.at(-1)!.sent.eventsSent;
      expectedEvents++;
      const [event] = await onlyEvents([`${api.name} whole`]);
      expect(event).toMatchObject({ status: "ok", costBasis: "reported", costNano: costNano(api.model, fake.log.at(-1)!.billed) });
    });

    it("at any event, and the provider stops with it: one event, for no less than was produced", async () => {
      const places = [...Array(events).keys()];
      const session = (place: number): string => `${adapter} ${api.name} stopped ${place}`;
      const exchanges = await Promise.all(
        places.map((place) => {
          const scenario = { ...TEXT, holds: [{ at: place, gate: session(place) }] };
          return leaveAt(callOf(api, session(place), scenario), session(place), place % 2 === 0);
        }),
      );
      await Promise.all(exchanges.map((exchange) => exchange.ended));
      const recorded = await onlyEvents(places.map(session));
      for (const [place, event] of recorded.entries()) {
        const { billed, outcome } = exchanges[place]!;
        const least = costNano(api.model, billed);
        expect(outcome, `provider at event ${place}`).toBe("aborted");
        expect(event, `event ${place}`).toMatchObject({ status: expect.stringMatching(/^(cancelled|interrupted)$/) as string });
        expect(event.costNano, `event ${place}`).toBeGreaterThanOrEqual(least);
        // Never the whole cap where the rest is known: what was seen, the input's bound, and a margin where tokens are estimated.
        const bodyBytes = Buffer.byteLength(JSON.stringify(api.body));
        const output = api.tokensAreExact ? billed.output : billed.output * 2 + 16;
        if (place > 0) expect(event.costNano, `event ${place}`).toBeLessThanOrEqual(costNano(api.model, { input: bodyBytes, output }));
        if (place > 0 && api.tokensAreExact && event.costBasis !== "reported")
          expect(event.outputTokens, `event ${place}`).toBe(billed.output);
      }
    });

    it("at any event, and the provider goes on: one event, for exactly what it bills", async () => {
      const places = ["headers", ...Array(events).keys(), "end"] as const;
      const session = (place: (typeof places)[number]): string => `${adapter} ${api.name} goes on ${place}`;
      const exchanges = await Promise.all(
        places.map(async (place, index) => {
          const scenario: Scenario = { ...TEXT, holds: [{ at: place as number | "headers" | "end", gate: session(place) }] };
          const exchange = await leaveAt(callOf(api, session(place), scenario), session(place), index % 2 === 1);
          fake.gates.release(session(place));
          return exchange;
        }),
      );
      await Promise.all(exchanges.map((exchange) => exchange.ended));
      const recorded = await onlyEvents(places.map(session));
      for (const [index, event] of recorded.entries()) {
        expect(event, `left at ${places[index]}`).toMatchObject({
          costBasis: "reported",
          costNano: costNano(api.model, exchanges[index]!.billed),
        });
      }
    });

    it("before the answer of a call that does not stream: one event, for exactly what it bills", async () => {
      const session = `${adapter} ${api.name} whole answer`;
      const scenario: Scenario = { ...TEXT, holds: [{ at: "headers", gate: session }] };
      const exchange = await leaveAt(callOf(api, session, scenario, { ...api.body, stream: false }), session, true);
      fake.gates.release(session);
      await exchange.ended;
      const [event] = await onlyEvents([session]);
      expect(event).toMatchObject({ costBasis: "reported", costNano: costNano(api.model, exchange.billed) });
    });
  });

  it("while still sending: nothing reaches the provider, and nothing is charged", async () => {
    const before = fake.log.length + fake.truncatedRequests;
    const call = requestBytes(callOf(apis[0]!, `${adapter} sending`, {}));
    const connection = await RawConnection.connect({ port: product.port });
    await connection.send(call.subarray(0, call.length - 10));
    connection.reset();
    // The next call is answered after the first was given up.
    await rawRequest(callOf(apis[0]!, `${adapter} after sending`, {}));
    expect(fake.log.length + fake.truncatedRequests).toBe(before + 1);
    expectedEvents += 2;
    const [left, next] = await onlyEvents([`${adapter} sending`, `${adapter} after sending`]);
    expect(left).toMatchObject({ status: "cancelled", costNano: 0n });
    expect(next).toMatchObject({ status: "ok", costBasis: "reported" });
  });

  it("two hundred times at once, half way: as many events, and the next caller is served", async () => {
    const sessions = Array.from({ length: 200 }, (_, i) => `${adapter} storm ${i}`);
    const exchanges = await Promise.all(
      sessions.map((session, i) =>
        leaveAt(callOf(apis[0]!, session, { ...TEXT, holds: [{ at: 3, gate: session }] }), session, i % 2 === 0),
      ),
    );
    await Promise.all(exchanges.map((exchange) => exchange.ended));
    await onlyEvents(sessions);
    expect((await rawRequest(callOf(apis[0]!, `${adapter} after the storm`, TEXT))).status).toBe(200);
    expectedEvents++;
    await onlyEvents([`${adapter} after the storm`]);
  });
});
