import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { uuidv7 } from "@/lib/ids";
import type { KeyRestrictions, Scope } from "@/server/api-key";
import { createTestDatabase, type TestDatabase } from "@/testing/database";
import { createApiKey, createOrganisation, type TestApiKey, type TestOrganisation } from "@/testing/factories";
import { startRestServer, type RestTestServer } from "@/testing/rest-server";

let database: TestDatabase;
let server: RestTestServer;
let org: TestOrganisation;
let admin: TestApiKey;
let agent: TestApiKey;

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
  admin = await keyWith(["read", "manage"]);
  agent = await keyWith(["proxy", "ingest", "self"]);
});

const keyWith = (scopes: Scope[], of = org, restrictions: Partial<KeyRestrictions> = {}) =>
  createApiKey({ prisma: database.prisma, org: of, scopes, restrictions });
const report = (events: unknown, key = agent, headers: Record<string, string> = {}) =>
  server.send("POST /v1/mcp/events", { key: key.rawKey, body: { events }, headers });
const ACTION = "0190b3c4-5d6e-7f80-9a1b-2c3d4e5f6071";
const SEARCH = { serverName: "github", toolName: "search" };
const stored = () => database.prisma.costEvent.findMany({ where: { orgId: org.orgId }, orderBy: { id: "asc" } });
const price = (costMicrodollars: number) =>
  server.send("POST /api/tool-costs", { key: admin.rawKey, body: { ...SEARCH, costMicrodollars } });

describe("a tool's call that is reported", () => {
  test("is an event of its own source, attributed as the key says", async () => {
    const bound = await keyWith(["ingest"], org, { lockedTags: { team: "a" }, lockedCustomer: "acme" });
    const answer = await report(
      [
        {
          ...SEARCH,
          durationMs: 12.5,
          costMicrodollars: 250.125,
          status: "error",
          actionId: ACTION,
          sessionId: "s",
          tags: { team: "b", env: "x" },
          customerId: "other",
        },
      ],
      bound,
    );
    expect(answer.status).toBe(200);
    expect(answer.json).toMatchObject({ accepted: 1, inserted: 1 });
    expect(await stored()).toMatchObject([
      {
        source: "mcp",
        eventType: "tool",
        provider: "mcp",
        model: "github/search",
        toolName: "search",
        toolServer: "github",
        status: "upstream_error",
        costNano: 250_125n,
        chargedNano: 250_125n,
        durationMs: 12.5,
        sessionId: "s",
        actionId: ACTION,
        customerId: "acme",
        tags: { team: "a", env: "x" },
        apiKeyId: bound.keyId,
        userId: org.userId,
      },
    ]);
  });

  test("costs what the tool costs where nothing is given, and what an admin said where something is", async () => {
    await report([SEARCH]);
    await server.send("POST /api/tool-costs/discover", {
      key: agent.rawKey,
      body: { serverName: "github", tools: [{ name: "search", suggestedCostMicrodollars: 7 }] },
    });
    await report([SEARCH, { ...SEARCH, costMicrodollars: 3 }]);
    await price(11);
    await report([
      { ...SEARCH, costMicrodollars: 0 },
      { ...SEARCH, status: "denied" },
    ]);
    expect((await stored()).map(({ costNano, costBasis }) => [costNano, costBasis])).toEqual([
      [null, "unpriced"],
      [7000n, "reported"],
      [3000n, "reported"],
      [11_000n, "reported"],
      [0n, "reported"],
    ]);
  });

  // A proxy that repeats a batch after a lost answer must not double the bill.
  test("is counted once, however often and in whatever way it is repeated", async () => {
    const events = [{ ...SEARCH, costMicrodollars: 1, idempotencyKey: "a" }];
    await Promise.all([report(events), report(events), report(events)]);
    const again = await report(events);
    expect(again.json).toMatchObject({ accepted: 1, inserted: 0 });
    await Promise.all([1, 2, 3].map(() => report([{ ...SEARCH, costMicrodollars: 2 }], agent, { "idempotency-key": "k" })));
    expect((await stored()).map(({ costNano }) => costNano)).toEqual([1000n, 2000n]);
  });
});

describe("a reservation that is named", () => {
  const hold = async (callId: string, draft: object) =>
    database.prisma.reservation.create({
      data: {
        callId,
        orgId: org.orgId,
        balanceIds: [],
        amounts: [],
        leaseUntil: new Date(Date.now() + 60_000),
        draft: JSON.stringify(draft),
      },
    });

  test("gives the event its id, and its estimate where nobody says what the call cost", async () => {
    const callId = uuidv7(Date.now());
    await hold(callId, { source: "mcp", api_key_id: agent.keyId, estimated_nano: "5000" });
    expect((await report([{ ...SEARCH, reservationId: `ns_rsv_${callId}` }])).json).toMatchObject({ ids: [`ns_evt_${callId}`] });
    expect(await stored()).toMatchObject([{ id: callId, costNano: 5000n, costBasis: "bounded", budgetStatus: "approved" }]);
  });

  // The id of a hold is in every answer's headers: naming it must not end somebody else's call at a cost of one's own choosing.
  test("is not settled by another key, nor where it holds for a model's call", async () => {
    const [foreign, proxied] = [uuidv7(Date.now()), uuidv7(Date.now())];
    await hold(foreign, { source: "mcp", api_key_id: admin.keyId, estimated_nano: "5000" });
    await hold(proxied, { source: "proxy", api_key_id: agent.keyId, estimated_nano: "5000" });
    await report([foreign, proxied].map((id) => ({ ...SEARCH, costMicrodollars: 1, reservationId: `ns_rsv_${id}` })));
    const events = await stored();
    expect(events).toHaveLength(2);
    for (const { id, budgetStatus } of events) {
      expect([foreign, proxied]).not.toContain(id);
      expect(budgetStatus).toBe("none");
    }
  });
});

test("only a key with ingest reports, and into its own organisation alone", async () => {
  expect((await report([SEARCH], admin)).status).toBe(403);
  const theirs = await createOrganisation({ prisma: database.prisma });
  await report([{ ...SEARCH, costMicrodollars: 1 }], await keyWith(["ingest"], theirs));
  expect(await stored()).toEqual([]);
});

test.each<[string, unknown]>([
  ["no events", []],
  ["fifty-one events", Array.from({ length: 51 }, () => SEARCH)],
  ["a negative cost", [{ ...SEARCH, costMicrodollars: -1 }]],
  ["a cost in words", [{ ...SEARCH, costMicrodollars: "1" }]],
  ["no tool", [{ serverName: "github" }]],
  ["a reservation that is none", [{ ...SEARCH, reservationId: "ns_rsv_1" }]],
  ["an unknown status", [{ ...SEARCH, status: "maybe" }]],
  ["a tag that breaks the rules", [{ ...SEARCH, tags: { "a b": "x" } }]],
  ["an unknown field", [{ ...SEARCH, cost: 1 }]],
])("%s are refused as a whole", async (_what, events) => {
  expect((await report(events)).status).toBe(400);
  expect(await stored()).toEqual([]);
});
