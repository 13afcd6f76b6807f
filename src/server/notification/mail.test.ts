import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { systemClock } from "@/lib/clock";
import type { Env } from "@/lib/env";
import { createLogger } from "@/lib/logger";
import { bundle } from "@/testing/bundle";
import { createTestDatabase, hasRealPostgres, NEEDS_REAL_POSTGRES, type TestDatabase } from "@/testing/database";
import { type FakeResend, startFakeResend } from "@/testing/fake-resend";
import { type FakeSmtp, startFakeSmtp } from "@/testing/fake-smtp";
import { deleteOldMail } from "./cleanup";
import { enqueueMail } from "./enqueue-mail";
import { createMailWorker, type MailWorker, type MailWorkerOptions } from "./mail-worker";
import { createSendMail } from "./send-mail";

// A mail that is lost locks somebody out; one that comes twice is a second link that lets in; one that others can read, too (K15).

let database: TestDatabase;
let resend: FakeResend;
let smtp: FakeSmtp;
let workers: MailWorker[] = [];
let letter = 0;
const isReal = await hasRealPostgres();
const log = createLogger({ level: "silent" });
const FROM = "NullSpend <no-reply@example.com>";

beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());
beforeEach(async () => {
  await database.pool.query("TRUNCATE mail");
  [resend, smtp] = await Promise.all([startFakeResend(), startFakeSmtp()]);
});
afterEach(async () => {
  await Promise.all(workers.map((worker) => worker.stop()));
  workers = [];
  await Promise.all([resend.close(), smtp.close()]);
});

const viaResend = (): Env["mail"]["delivery"] => ({ via: "resend", apiKey: "re_test", from: FROM, apiUrl: resend.url });
const viaSmtp = (): Env["mail"]["delivery"] => ({ via: "smtp", url: smtp.url, from: FROM });

function startWorker(delivery: Env["mail"]["delivery"], options: Partial<MailWorkerOptions> = {}): MailWorker {
  const send = createSendMail(delivery);
  const worker = createMailWorker({ prisma: database.prisma, clock: systemClock, log, send, keepsTexts: false, ...options });
  workers.push(worker);
  worker.start();
  return worker;
}

const SECRET = "https://nullspend.example/reset-password?token=secret-link";
async function write(to = "ada@example.com", dedupeKey = `test:${(letter += 1)}`): Promise<void> {
  await enqueueMail(database.prisma, { dedupeKey, to, template: "reset-password", props: { url: SECRET, expiresInMinutes: 30 } });
}
const rows = () => database.prisma.mail.findMany({ orderBy: { createdAt: "asc" } });
const state = async () => (await rows()).map((mail) => mail.state);
/** Makes waiting mails due, as time would. */
const passTime = () => database.pool.query("UPDATE mail SET next_attempt_at = clock_timestamp()");

describe("sending", () => {
  test("a mail is handed over when its transaction ends, not before, and without waiting for the next look (200 ms where nothing else runs)", async () => {
    startWorker(viaResend(), { pollMs: 60_000 });
    let committedAt = 0;
    await database.prisma.$transaction(async (tx) => {
      await enqueueMail(tx, { dedupeKey: "one", to: "ada@example.com", template: "password-changed", props: { url: SECRET } });
      await new Promise((resolve) => setTimeout(resolve, 120));
      expect(resend.requests).toHaveLength(0);
    });
    committedAt = performance.now();
    await expect.poll(() => resend.delivered.length, { interval: 5 }).toBe(1);
    expect(performance.now() - committedAt).toBeLessThan(1_500);
    expect(resend.delivered[0]).toMatchObject({ from: FROM, to: "ada@example.com", subject: "Your NullSpend password was changed" });
  });

  test("rolled back, it is never sent", async () => {
    startWorker(viaResend(), { pollMs: 30 });
    const change = database.prisma.$transaction(async (tx) => {
      await enqueueMail(tx, { dedupeKey: "one", to: "ada@example.com", template: "password-changed", props: { url: SECRET } });
      throw new Error("the change failed");
    });
    await expect(change).rejects.toThrow("the change failed");
    await new Promise((resolve) => setTimeout(resolve, 250));
    expect(resend.requests).toHaveLength(0);
  });

  test("once it is sent, the database holds none of its links", async () => {
    startWorker(viaResend());
    await write();
    await expect.poll(state).toEqual(["sent"]);
    expect(JSON.stringify(await rows())).not.toContain("secret-link");
    expect(resend.delivered[0]?.text).toContain(SECRET);
  });

  test("the mailbox keeps what it shows", async () => {
    startWorker({ via: "mailbox" }, { keepsTexts: true });
    await write();
    await expect.poll(state).toEqual(["sent"]);
    expect((await rows())[0]!.html).toContain("secret-link");
  });

  test.skipIf(!isReal)(
    `four workers and a hundred mails: each is asked for once (${isReal ? "real Postgres" : NEEDS_REAL_POSTGRES})`,
    async () => {
      for (let i = 0; i < 100; i += 1) await write(`p${i}@example.com`);
      for (let i = 0; i < 4; i += 1) startWorker(viaResend(), { pollMs: 20 });
      await expect.poll(async () => new Set(await state()), { timeout: 15_000 }).toEqual(new Set(["sent"]));
      expect(resend.requests).toHaveLength(100);
      expect(new Set(resend.delivered.map(({ to }) => to)).size).toBe(100);
    },
  );

  test("the same key written twice is one mail", async () => {
    startWorker(viaResend());
    await Promise.all(Array.from({ length: 5 }, () => write("ada@example.com", "same")));
    await expect.poll(state).toEqual(["sent"]);
    expect(resend.delivered).toHaveLength(1);
  });
});

describe("when it goes wrong (K15)", () => {
  const busy = { status: 503, body: { statusCode: 503, name: "application_error", message: "try later" } };

  test.each([
    ["is down", () => busy],
    ["breaks the connection", () => "reset" as const],
    ["answers nonsense", () => ({ status: 500, body: "<html>" })],
    ["does not know our key", () => ({ status: 401, body: { statusCode: 401, name: "invalid_api_key", message: "no" } })],
  ])("a provider that %s gets it later, once", async (_name, answer) => {
    resend.next.push(answer(), answer());
    const worker = startWorker(viaResend());
    await write();
    for (let tries = 1; tries <= 2; tries += 1) {
      await expect.poll(() => resend.requests.length).toBe(tries);
      await expect.poll(async () => (await rows())[0]!.lastError).not.toBeNull();
      expect(await state()).toEqual(["queued"]);
      expect((await rows())[0]!.nextAttemptAt.getTime()).toBeGreaterThan(Date.now() + 2_000);
      await passTime();
      worker.wake();
    }
    await expect.poll(state).toEqual(["sent"]);
    expect(resend.delivered).toHaveLength(1);
    expect(new Set(resend.requests.map(({ headers }) => headers["idempotency-key"])).size).toBe(1);
  });

  test("asked to wait, it waits that long", async () => {
    resend.next.push({
      status: 429,
      body: { statusCode: 429, name: "rate_limit_exceeded", message: "slow" },
      headers: { "retry-after": "90" },
    });
    startWorker(viaResend());
    await write();
    await expect.poll(async () => (await rows())[0]!.lastError).toContain("rate_limit_exceeded");
    const waits = (await rows())[0]!.nextAttemptAt.getTime() - Date.now();
    expect(waits).toBeGreaterThan(80_000);
    expect(waits).toBeLessThan(91_000);
  });

  test("an address that is refused for good fails at once, says why, and stops no other", async () => {
    resend.next.push({ status: 422, body: { statusCode: 422, name: "validation_error", message: "Invalid `to` field." } });
    startWorker(viaResend());
    await write("nobody@example.com");
    await expect.poll(state).toEqual(["failed"]);
    expect((await rows())[0]).toMatchObject({ lastError: "Resend: validation_error: Invalid `to` field.", html: "", text: "" });
    await write();
    await expect.poll(state).toEqual(["failed", "sent"]);
  });

  test("it is given up after twenty attempts, within the day for which the provider knows it again", async () => {
    await write();
    await database.pool.query("UPDATE mail SET attempts = 19");
    resend.next.push(busy);
    startWorker(viaResend());
    await expect.poll(state).toEqual(["failed"]);
    const waitsMs = Array.from({ length: 19 }, (_, i) => Math.min(5_000 * 4 ** i, 3_600_000));
    expect(waitsMs.reduce((sum, ms) => sum + ms, 0)).toBeLessThan(20 * 3_600_000);
  });

  test.skipIf(!isReal)(
    `killed between sending and marking (kill -9): one logical mail (${isReal ? "real Postgres" : NEEDS_REAL_POSTGRES})`,
    async () => {
      const entry = fileURLToPath(await bundle("src/testing/mail-process.ts"));
      const run = (failpoint?: string): ChildProcess =>
        spawn(process.execPath, [entry], {
          env: {
            ...process.env,
            NODE_ENV: "test",
            DATABASE_URL: database.connectionString,
            RESEND_URL: resend.url,
            LEASE_MS: "300",
            ...(failpoint !== undefined && { NULLSPEND_FAILPOINT: failpoint }),
          },
          stdio: "ignore",
        });
      await write();
      const first = run("mail.sent");
      const [, signal] = (await once(first, "exit")) as [number | null, NodeJS.Signals | null];
      expect([signal, await state(), resend.delivered.length]).toEqual(["SIGKILL", ["queued"], 1]);
      const second = run();
      try {
        await expect.poll(state, { timeout: 10_000 }).toEqual(["sent"]);
      } finally {
        second.kill("SIGKILL");
        await once(second, "exit");
      }
      expect([resend.requests.length, resend.delivered.length]).toEqual([2, 1]);
    },
  );
});

describe("SMTP", () => {
  test("a mail has one recipient, its subject, both texts and a Message-ID of its own", async () => {
    startWorker(viaSmtp());
    await write();
    await expect.poll(state).toEqual(["sent"]);
    const [message] = smtp.messages;
    expect(message?.to).toEqual(["RCPT TO:<ada@example.com>"]);
    const [mail] = await rows();
    for (const part of [`Message-ID: <${mail!.id}@example.com>`, "Subject: Choose a new NullSpend password", "text/plain", "text/html"]) {
      expect(message?.data).toContain(part);
    }
  });

  test("an address that does not exist fails at once; a server that is busy is asked again", async () => {
    smtp.refuse.push({ command: "RCPT", reply: "550 no such user" });
    const worker = startWorker(viaSmtp());
    await write("nobody@example.com");
    await expect.poll(state).toEqual(["failed"]);
    expect((await rows())[0]!.lastError).toContain("550 no such user");
    for (const refusal of [
      { command: "RCPT", reply: "450 try later" },
      { command: "GREETING", reply: "554 not now" },
    ] as const) {
      await database.pool.query("TRUNCATE mail");
      smtp.refuse.push(refusal);
      await write();
      await expect.poll(async () => (await rows())[0]!.lastError).not.toBeNull();
      expect(await state()).toEqual(["queued"]);
      await passTime();
      worker.wake();
      await expect.poll(state).toEqual(["sent"]);
    }
  });
});

describe("what others have written stays text", () => {
  const HOSTILE = "Acme\r\nBcc: everybody@example.com\r\n\r\n<script>alert(1)</script>\u202egnp";
  const invitation = {
    url: "https://nullspend.example/invite/token",
    orgName: HOSTILE,
    role: "member",
    invitedBy: HOSTILE,
    expiresAt: new Date("2026-12-01T00:00:00Z"),
  };

  test("no name begins a header or a tag", async () => {
    startWorker(viaSmtp());
    await enqueueMail(database.prisma, { dedupeKey: "hostile", to: "ada@example.com", template: "invitation", props: invitation });
    const [mail] = await rows();
    expect(mail!.subject).toBe("Join Acme Bcc: everybody@example.com <script>alert(1)</script>gnp on NullSpend");
    expect(mail!.html).not.toContain("<script>");
    await expect.poll(state).toEqual(["sent"]);
    const [message] = smtp.messages;
    expect(message!.to).toEqual(["RCPT TO:<ada@example.com>"]);
    const head = message!.data.slice(0, message!.data.indexOf("\r\n\r\n"));
    expect(head.split("\r\n").filter((line) => /^bcc:/i.test(line))).toEqual([]);
  });

  test.each([
    "a@example.com\r\nBcc: b@example.com",
    "a@example.com,b@example.com",
    "A <a@example.com>",
    "a@example.com b@example.com",
    "",
    "\u0000@b.example",
  ])("%j is no recipient", async (to) => {
    await expect(write(to)).rejects.toThrow("one plain address");
    expect(await rows()).toEqual([]);
  });
});

test("what is older than 30 days goes, what is still to be sent stays", async () => {
  for (let i = 0; i < 4; i += 1) await write();
  await database.pool.query("UPDATE mail SET state = 'sent', created_at = now() - interval '31 days' WHERE dedupe_key <> $1", [
    `test:${letter}`,
  ]);
  await database.pool.query("UPDATE mail SET created_at = now() - interval '31 days'");
  expect(await deleteOldMail(database.prisma, 2)).toBe(2);
  expect(await deleteOldMail(database.prisma, 2)).toBe(1);
  expect(await state()).toEqual(["queued"]);
});
