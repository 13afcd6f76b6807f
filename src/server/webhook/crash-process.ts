import { createPrisma } from "@/lib/db";
import { createEncryption } from "@/lib/encryption";
import { startWebhooks } from "./testing";

/** A process of webhooks.crash.test.ts: works until its failpoint kills it. */
const { connectionString, key } = JSON.parse(process.argv[2]!) as { connectionString: string; key: string };
startWebhooks({
  prisma: createPrisma(connectionString),
  encryption: createEncryption({ current: Buffer.from(key, "hex") }),
});
setTimeout(() => process.exit(1), 30_000);
