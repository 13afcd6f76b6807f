// A process that does nothing but send mail, for tests that kill it. Environment: DATABASE_URL, RESEND_URL, LEASE_MS.
import { systemClock } from "@/lib/clock";
import { createPrisma } from "@/lib/db";
import { createLogger } from "@/lib/logger";
import { createMailWorker, createSendMail } from "@/server/notification";

const { DATABASE_URL = "", RESEND_URL = "", LEASE_MS = "1000" } = process.env;

const worker = createMailWorker({
  prisma: createPrisma(DATABASE_URL),
  clock: systemClock,
  log: createLogger({ level: "silent" }),
  send: createSendMail({ via: "resend", apiKey: "re_test", from: "NullSpend <no-reply@example.com>", apiUrl: RESEND_URL }),
  keepsTexts: false,
  pollMs: 50,
  leaseMs: Number(LEASE_MS),
});
worker.start();
// The worker's timers keep nothing alive.
setInterval(() => {}, 1_000);
