import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { createServer, type AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, expect, describe, it } from "vitest";
import { startChaosProxy } from "@/testing/chaos-proxy";
import { hasRealPostgres, NEEDS_REAL_POSTGRES } from "@/testing/database";
import { startProduct, type Product } from "@/testing/server";
import { createSpender, priceByCall, send, settledBalance, USD, violations } from "./spender";

// What would break in production: budgets that depend on a cache are refused, or passed, when the cache goes away.

const MODEL = "agent-one-cent";
const CALLS = 300;

const hasRedis = spawnSync("redis-server", ["--version"]).status === 0;
const skips = !hasRedis || !(await hasRealPostgres());
if (skips) console.log(`Redis is not tried: ${hasRedis ? NEEDS_REAL_POSTGRES : "redis-server is not installed"}`);

const servers: ChildProcess[] = [];
const products: Product[] = [];
afterEach(async () => {
  for (const product of products.splice(0).toReversed()) await product.stop();
  for (const server of servers.splice(0)) server.kill("SIGKILL");
});

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      // Listening on TCP, so the address is an object.
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });

async function startRedis(port: number): Promise<ChildProcess> {
  const server = spawn("redis-server", ["--port", String(port), "--save", "", "--appendonly", "no", "--bind", "127.0.0.1"], {
    stdio: "ignore",
  });
  servers.push(server);
  await expect.poll(() => redis(port, "ping"), { timeout: 10_000 }).toContain("PONG");
  return server;
}

const redis = (port: number, ...command: string[]): string => spawnSync("redis-cli", ["-p", String(port), ...command]).stdout.toString();

/** Two processes, three hundred calls, room for a hundred; `disturb` happens in the middle. */
async function expectExactlyAHundred(redisPort: number, disturb: () => unknown): Promise<void> {
  const env = { REDIS_URL: `redis://127.0.0.1:${redisPort}` };
  const first = await startProduct({ env });
  products.push(first);
  const second = await startProduct({ env, fake: first.fake, database: first.database });
  products.push(second);
  await priceByCall(first, MODEL, "0.01");
  const spender = await createSpender(first, { limitMicrodollars: 1_000_000 });
  const statuses: number[] = [];
  for (let batch = 0; batch < CALLS / 30; batch += 1) {
    if (batch === 2) await disturb();
    const answers = await Promise.all(
      Array.from({ length: 30 }, (_, i) =>
        send(products[i % 2]!, spender, { body: { model: MODEL, messages: [{ role: "user", content: "hi" }] } }),
      ),
    );
    statuses.push(...answers.map(({ status }) => status));
  }
  expect({
    admitted: statuses.filter((status) => status === 200).length,
    denied: statuses.filter((status) => status === 429).length,
  }).toEqual({
    admitted: 100,
    denied: CALLS - 100,
  });
  expect(first.fake.log).toHaveLength(100);
  expect(await settledBalance(first, spender)).toMatchObject({ spentNano: USD, reservedNano: 0n });
  expect(await violations(first, spender)).toEqual([]);
}

describe.skipIf(skips)("budgets do not depend on Redis", () => {
  it("D1: absent: nobody listens at REDIS_URL", async () => {
    await expectExactlyAHundred(await freePort(), () => {});
  });

  it("D2: killed while calls run", async () => {
    const port = await freePort();
    const server = await startRedis(port);
    await expectExactlyAHundred(port, () => server.kill("SIGKILL"));
  });

  it("D3: black-holed while calls run", async () => {
    const port = await freePort();
    await startRedis(port);
    const path = await startChaosProxy({ host: "127.0.0.1", port });
    try {
      await expectExactlyAHundred(path.port, () => (path.chaos.blackHole = true));
    } finally {
      for (const product of products.splice(0).toReversed()) await product.stop();
      await path.close();
    }
  });

  it("D4: flushed while calls run", async () => {
    const port = await freePort();
    await startRedis(port);
    await expectExactlyAHundred(port, async () => {
      redis(port, "flushall");
      await sleep(50);
      redis(port, "flushall");
    });
  });
});
