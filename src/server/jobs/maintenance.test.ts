import { randomUUID } from "node:crypto";
import { findProvider } from "@pydantic/genai-prices";
import { afterAll, beforeAll, expect, test } from "vitest";
import { recordingLog } from "@/server/ledger/testing";
import { createTestDatabase, type TestDatabase } from "@/testing/database";
import { createMaintenanceJobs } from "./maintenance";

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

function jobs(options: { refreshPrices: boolean; loaded?: string[] }) {
  const asked: string[] = [];
  const log = recordingLog();
  const list = createMaintenanceJobs({
    prisma: database.prisma,
    listPrices: { load: async () => void options.loaded?.push("loaded") },
    refreshPrices: options.refreshPrices,
    upstreamNames: ["groq", "my-own-proxy"],
    log,
    fetch: async (url) => {
      asked.push(url);
      return JSON.stringify(["openai", "anthropic", "groq"].map((providerId) => findProvider({ providerId })));
    },
  });
  return { list, asked, log };
}

test("nothing is read from the internet unless it is wanted", () => {
  expect(jobs({ refreshPrices: false }).list.map(({ name }) => name)).toEqual(["idempotency-cleanup", "mail-cleanup", "daily-sums"]);
  expect(jobs({ refreshPrices: true }).list.map(({ name }) => name)).toEqual([
    "price-refresh",
    "idempotency-cleanup",
    "mail-cleanup",
    "daily-sums",
  ]);
});

test("after a refresh this process knows the new prices at once", async () => {
  const loaded: string[] = [];
  const { list, asked } = jobs({ refreshPrices: true, loaded });
  await list.find(({ name }) => name === "price-refresh")!.run();
  expect(asked).toHaveLength(1);
  expect(loaded).toEqual(["loaded"]);
});

test("expired idempotency records go, more than one statement takes; the others stay", async () => {
  const record = (expiresAt: Date) => ({ principal: "p", route: "r", key: randomUUID(), requestHash: "h", expiresAt });
  const past = new Date(Date.now() - 1000);
  await database.prisma.idempotencyRecord.createMany({ data: Array.from({ length: 2_500 }, () => record(past)) });
  await database.prisma.idempotencyRecord.create({ data: record(new Date(Date.now() + 3_600_000)) });
  await jobs({ refreshPrices: false }).list[0]!.run();
  expect(await database.prisma.idempotencyRecord.count()).toBe(1);
});
