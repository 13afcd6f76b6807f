import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createEncryption } from "@/lib/encryption";
import { bundle } from "@/testing/bundle";
import { createTestDatabase, hasRealPostgres, NEEDS_REAL_POSTGRES, type TestDatabase } from "@/testing/database";
import { createOrganisation } from "@/testing/factories";
import { createWebhook } from "./index";
import { adminCtx, movableClock, startReceiver, startWebhooks } from "./testing";

// What would break in production: a deploy or a crash loses what a customer should have been told, or tells it under another id.

const key = randomBytes(32);
const encryption = createEncryption({ current: key });
const real = await hasRealPostgres();
let database: TestDatabase;
let program: string;
beforeAll(async () => {
  database = await createTestDatabase();
  program = fileURLToPath(await bundle("src/server/webhook/crash-process.ts"));
});
afterAll(() => database.drop());

const killedAt = (failpoint: string) =>
  new Promise<NodeJS.Signals | null>((resolve, reject) => {
    const task = JSON.stringify({ connectionString: database.connectionString, key: key.toString("hex") });
    const child = spawn(process.execPath, [program, task], {
      env: { ...process.env, NODE_ENV: "test", NULLSPEND_FAILPOINT: failpoint },
      stdio: ["ignore", "ignore", "inherit"],
    });
    child.once("error", reject);
    child.once("close", (_, signal) => resolve(signal));
  });

test.skipIf(!real).each(["webhook-before-fan-out-commit", "webhook-before-send:3", "webhook-before-mark:3"])(
  `B9: killed at %s, every event arrives, under its own id (${NEEDS_REAL_POSTGRES})`,
  async (failpoint) => {
    const org = await createOrganisation({ prisma: database.prisma });
    const receiver = await startReceiver();
    const clock = movableClock();
    const idle = { encryption, policy: { allowPrivate: true, isProduction: false, ownOrigin: "http://localhost" }, wake: () => {} };
    await createWebhook({ ctx: adminCtx(database.prisma, org), deps: idle, input: { url: receiver.url } });
    await database.prisma.outboxEvent.createMany({
      data: Array.from({ length: 20 }, (_, n) => ({ orgId: org.orgId, type: "budget.exceeded", payload: { n } })),
    });
    const events = await database.prisma.outboxEvent.findMany({ where: { orgId: org.orgId }, select: { id: true } });
    expect(await killedAt(failpoint)).toBe("SIGKILL");
    const before = receiver.received.length;

    // The leases of the dead one run out.
    clock.forward(61_000);
    const webhooks = startWebhooks({ prisma: database.prisma, encryption, clock });
    await expect
      .poll(() => database.prisma.webhookDelivery.count({ where: { orgId: org.orgId, state: "delivered" } }), { timeout: 10_000 })
      .toBe(20);
    await webhooks.stop();
    await receiver.close();
    expect(new Set(receiver.received.map(({ id }) => id))).toEqual(new Set(events.map(({ id }) => `evt_${id}`)));
    // Only what was being sent at that moment can arrive twice.
    expect(receiver.received.length).toBeLessThanOrEqual(20 + before);
    expect(await database.prisma.outboxEvent.count({ where: { orgId: org.orgId, sentAt: null } })).toBe(0);
  },
);
