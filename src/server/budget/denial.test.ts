import fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import { nanoUsd } from "@/lib/money";
import { buildDenial, buildFrozenDenial, type DenialInput, type StoppedBy } from "./denial";

const ID = "0190b3c4-5d6e-7f80-9a1b-2c3d4e5f6071";
const dollars = (amount: number) => nanoUsd(BigInt(Math.round(amount * 1e9)));

const usedUp: StoppedBy = {
  kind: "budget",
  limitNano: dollars(10),
  spentNano: dollars(10),
  reservedNano: dollars(0),
  resetsAtMs: Date.parse("2026-11-30T23:00:00Z"),
};

function denial(changes: Partial<DenialInput> = {}, budget: Partial<DenialInput["budget"]> = {}) {
  return buildDenial({
    budget: {
      id: ID,
      entityType: "api_key",
      entityId: ID,
      entityName: "agent",
      models: [],
      providers: [],
      period: { interval: "monthly", timezone: "Europe/Berlin", anchorDay: null },
      ...budget,
    },
    stoppedBy: usedUp,
    estimateNano: dollars(0.18),
    affordableOutputTokens: 0,
    decisionId: ID,
    denialStatus: 429,
    publicUrl: "https://spend.example.com",
    upgradeUrl: null,
    customerId: null,
    ...changes,
  });
}

const header = ({ headers }: { headers: readonly string[] }, name: string): string | undefined => {
  const at = headers.findIndex((each, index) => index % 2 === 0 && each.toLowerCase() === name);
  return at === -1 ? undefined : headers[at + 1];
};

describe("a budget that is used up", () => {
  it("says what stopped the call, how much, until when and where to ask, in one sentence", () => {
    expect(denial().message).toBe(
      'the monthly budget of the key "agent" is used up ($10.00 of $10.00 spent; this call may cost $0.18); ' +
        "it resets on 1 December 2026 at 00:00 (Europe/Berlin); ask for more at " +
        `https://spend.example.com/app/requests/new?budget=ns_bgt_${ID}&decision=ns_dec_${ID}`,
    );
  });

  it("has exactly the fields of the contract", () => {
    const { code, status, details } = denial();
    expect({ code, status }).toEqual({ code: "budget_exceeded", status: 429 });
    expect(details).toEqual({
      entity_type: "api_key",
      entity_id: `ns_key_${ID}`,
      budget_id: `ns_bgt_${ID}`,
      budget_limit_microdollars: 10_000_000,
      budget_spend_microdollars: 10_000_000,
      budget_reserved_microdollars: 0,
      estimated_cost_microdollars: 180_000,
      affordable_output_tokens: 0,
      resets_at: "2026-11-30T23:00:00.000Z",
      decision_id: `ns_dec_${ID}`,
      request_url: `https://spend.example.com/app/requests/new?budget=ns_bgt_${ID}&decision=ns_dec_${ID}`,
    });
  });

  // A client that retries this burns a second call in a loop; LangChain retries any 429 that has Retry-After.
  it("tells clients not to retry, and never when", () => {
    expect(header(denial(), "x-should-retry")).toBe("false");
    expect(header(denial(), "retry-after")).toBeUndefined();
    expect(header(denial(), "x-nullspend-denied")).toBe("1");
  });

  it("answers 402 where the key asks for it", () => {
    expect(denial({ denialStatus: 402 }).status).toBe(402);
  });

  it("tells what is held and what would still fit", () => {
    const stoppedBy = { ...usedUp, spentNano: dollars(9.5), reservedNano: dollars(0.4), resetsAtMs: null };
    const { message, details } = denial(
      { stoppedBy, affordableOutputTokens: 1200 },
      { period: { interval: "none", timezone: "UTC", anchorDay: null } },
    );
    expect(message).toContain(
      'the budget of the key "agent" has no room for this call ($9.50 of $10.00 spent, $0.40 held for calls in flight; ' +
        "this call may cost $0.18, 1200 output tokens would fit); it does not reset by itself;",
    );
    expect(details).toMatchObject({ resets_at: null, affordable_output_tokens: 1200, budget_reserved_microdollars: 400_000 });
  });
});

test("a customer's budget has its own code and names the customer", () => {
  const { code, details, message } = denial({}, { entityType: "customer", entityId: "acme", entityName: null });
  expect(code).toBe("customer_budget_exceeded");
  expect(details).toMatchObject({ customer_id: "acme", entity_id: "acme", entity_type: "customer" });
  expect(message).toContain('of the customer "acme"');
});

test("a tag's budget has its own code, and the value may contain an equals sign", () => {
  const { code, details } = denial({}, { entityType: "tag", entityId: "team=a=b", entityName: null });
  expect(code).toBe("tag_budget_exceeded");
  expect(details).toMatchObject({ tag_key: "team", tag_value: "a=b" });
});

test("a session's limit names the session, and is no reason to wait", () => {
  const stoppedBy: StoppedBy = {
    kind: "session",
    sessionId: "s-1",
    limitNano: dollars(1),
    spentNano: dollars(0.9),
    reservedNano: dollars(0.05),
  };
  const answer = denial({ stoppedBy, denialStatus: 402 });
  expect(answer).toMatchObject({
    code: "session_limit_exceeded",
    status: 402,
    details: { session_id: "s-1", session_spend_microdollars: 900_000, session_limit_microdollars: 1_000_000 },
  });
  expect(header(answer, "x-should-retry")).toBe("false");
  expect(answer.message).toContain('the session "s-1" has reached its limit');
});

describe("a velocity limit", () => {
  const tripped = (cooldownSeconds: number | null): StoppedBy => ({
    kind: "velocity",
    limitNano: dollars(1),
    currentNano: dollars(0.95),
    windowSeconds: 60,
    cooldownSeconds,
  });

  it.each([
    [1, "1"],
    [59.2, "60"],
    [60, "60"],
  ])("of %s s is worth waiting for: the client is told when, and nothing else", (seconds, retryAfter) => {
    const answer = denial({ stoppedBy: tripped(seconds) });
    expect(header(answer, "retry-after")).toBe(retryAfter);
    expect(header(answer, "x-should-retry")).toBeUndefined();
  });

  it.each([60.1, 61, 3600, null])("of %s s is not", (seconds) => {
    const answer = denial({ stoppedBy: tripped(seconds) });
    expect(header(answer, "retry-after")).toBeUndefined();
    expect(header(answer, "x-should-retry")).toBe("false");
  });

  it("stays 429 where the key asks for 402, and says its figures in both spellings", () => {
    const answer = denial({ stoppedBy: tripped(30), denialStatus: 402 });
    expect(answer.status).toBe(429);
    expect(answer.details).toMatchObject({
      limit_microdollars: 1_000_000,
      limitMicrodollars: 1_000_000,
      window_seconds: 60,
      windowSeconds: 60,
      current_microdollars: 950_000,
      currentMicrodollars: 950_000,
      cooldown_seconds: 30,
    });
  });

  it("says so where a call is larger than the whole window", () => {
    expect(denial({ stoppedBy: tripped(null), estimateNano: dollars(2) }).message).toContain("a call this large never fits into it");
  });
});

test("a freeze says why and that only a person lifts it", () => {
  const answer = buildFrozenDenial({ entityType: "api_key", entityId: ID, reason: "leaked." }, { upgradeUrl: null, customerId: null });
  expect(answer).toMatchObject({
    code: "frozen",
    status: 423,
    message: "calls of this key are frozen (leaked) until an admin lifts the freeze.",
    details: { entity_type: "api_key", entity_id: `ns_key_${ID}`, reason: "leaked." },
  });
  expect(header(answer, "x-should-retry")).toBe("false");
});

test("the upgrade link has the customer's id in it, encoded", () => {
  const upgradeUrl = "https://shop.example/upgrade?c={customer_id}";
  expect(denial({ upgradeUrl, customerId: "a:b" }).upgradeUrl).toBe("https://shop.example/upgrade?c=a%3Ab");
  expect(denial({ upgradeUrl, customerId: null }).upgradeUrl).toBe("https://shop.example/upgrade?c=");
  expect(denial().upgradeUrl).toBeNull();
});

// Names and sessions are chosen by callers and end up in somebody's terminal.
test("whatever an entity is called, the message is one line", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 300 }), fc.string({ unit: "binary", maxLength: 300 }), (name, sessionId) => {
      const stoppedBy: StoppedBy = { kind: "session", sessionId, limitNano: dollars(1), spentNano: dollars(1), reservedNano: dollars(0) };
      for (const { message } of [denial({}, { entityName: name }), denial({ stoppedBy })]) {
        expect(message).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}]/u);
        expect(message.length).toBeLessThan(700);
      }
    }),
  );
});
