import { createServer, request, type Server } from "node:http";
import { networkInterfaces } from "node:os";
import type { AddressInfo } from "node:net";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createLogger } from "@/lib/logger";
import { NodeExchange } from "@/server/gateway/node-adapter";
import { enqueueMail } from "@/server/notification";
import { createTestDatabase, type TestDatabase } from "@/testing/database";
import { createMailbox } from "./mailbox";

// Mails hold links that sign in, reset passwords and let people join: whoever reads the mailbox is everybody.

let database: TestDatabase;
let servers: Server[] = [];

beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());
beforeEach(async () => {
  await database.pool.query("TRUNCATE mail");
  await enqueueMail(database.prisma, {
    dedupeKey: "one",
    to: "ada@example.com",
    template: "sign-in-link",
    props: { url: "https://nullspend.example/signin/link?token=secret&email=ada", expiresInMinutes: 10 },
  });
});
afterEach(async () => {
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  servers = [];
});

type Setup = { kind?: "embedded" | "external"; devMailbox?: boolean; host?: string };

async function start({ kind = "embedded", devMailbox = false, host = "127.0.0.1" }: Setup = {}) {
  const mailbox = createMailbox({
    prisma: database.prisma,
    env: { database: { kind }, mail: { delivery: { via: "mailbox" }, devMailbox } },
    log: createLogger({ level: "silent" }),
  });
  const server = createServer((incoming, outgoing) => void mailbox.handle(new NodeExchange(incoming, outgoing)));
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  // Listening on TCP, so the address is an object.
  const { port } = server.address() as AddressInfo;
  return (path = "/dev/mailbox", headers: Record<string, string> = {}, method = "GET") =>
    new Promise<{ status: number; text: string; policy: string }>((resolve, reject) => {
      const outgoing = request(
        { host, port, path, method, headers: { host: `localhost:${port}`, connection: "close", ...headers } },
        (answer) => {
          let text = "";
          answer.on("data", (chunk: Buffer) => (text += chunk.toString()));
          answer.on("end", () =>
            resolve({ status: answer.statusCode ?? 0, text, policy: String(answer.headers["content-security-policy"]) }),
          );
        },
      );
      outgoing.on("error", reject);
      outgoing.end();
    });
}

const idOfMail = async () => (await database.prisma.mail.findFirstOrThrow()).id;

describe("who sees it", () => {
  test("somebody on this machine, on the embedded database", async () => {
    const get = await start();
    expect((await get()).text).toContain("Your NullSpend sign-in link");
  });

  test("on another database only where DEV_MAILBOX says so", async () => {
    expect((await (await start({ kind: "external" }))()).status).toBe(404);
    expect((await (await start({ kind: "external", devMailbox: true }))()).status).toBe(200);
  });

  test.each(["forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via"])(
    "nobody behind a proxy, which %s gives away",
    async (header) => {
      const get = await start();
      for (const value of ["127.0.0.1", ""]) {
        const { status, text } = await get("/dev/mailbox", { [header]: value });
        expect(status).toBe(404);
        expect(text).not.toContain("sign-in link");
      }
    },
  );

  // A page of somebody else's whose name was pointed at this machine has our answers as its own.
  test.each(["evil.example", "evil.example:3000", "localhost.evil.example", "127.0.0.1.nip.io", "nullspend.example"])(
    "nobody who calls this machine %j",
    async (host) => {
      const get = await start();
      expect((await get("/dev/mailbox.json", { host })).status).toBe(404);
    },
  );

  const outside = Object.values(networkInterfaces())
    .flat()
    .find((address) => address?.family === "IPv4" && !address.internal)?.address;
  test.skipIf(outside === undefined)("nobody who comes over the network", async () => {
    const get = await start({ host: outside! });
    for (const path of ["/dev/mailbox", "/dev/mailbox.json", `/dev/mailbox/${await idOfMail()}`, `/dev/mailbox/${await idOfMail()}/html`]) {
      expect((await get(path)).status).toBe(404);
    }
  });
});

describe("what it shows", () => {
  test("a mail, in a frame without scripts, with its links", async () => {
    const get = await start();
    const id = await idOfMail();
    const { text, policy } = await get(`/dev/mailbox/${id}`);
    expect(text).toContain(`src="/dev/mailbox/${id}/html" sandbox="allow-popups`);
    expect(text).not.toMatch(/sandbox="[^"]*(allow-scripts|allow-same-origin)/);
    expect(text).toContain('<a href="https://nullspend.example/signin/link?token=secret&#38;email=ada">');
    expect(policy).toContain("frame-ancestors 'none'");
    const framed = await get(`/dev/mailbox/${id}/html`);
    expect(framed.text).toContain('<base target="_top">');
    expect(framed.policy).toMatch(/default-src 'none'.*sandbox allow-popups/);
    expect(framed.policy).not.toContain("allow-scripts");
  });

  test("what names say stays text", async () => {
    const hostile = `<img src=x onerror=alert(1)>"'`;
    await enqueueMail(database.prisma, {
      dedupeKey: "hostile",
      to: "eve@example.com",
      template: "invitation",
      props: { url: "https://nullspend.example/invite/x", orgName: hostile, role: "member", invitedBy: hostile, expiresAt: new Date() },
    });
    const get = await start();
    const { id } = await database.prisma.mail.findFirstOrThrow({ where: { dedupeKey: "hostile" } });
    for (const path of ["/dev/mailbox", `/dev/mailbox/${id}`, `/dev/mailbox/${id}/html`])
      expect((await get(path)).text).not.toContain("<img");
  });

  test("as JSON, to one address or to all", async () => {
    const get = await start();
    const dataOf = async (path: string) => (JSON.parse((await get(path)).text) as { data: { recipient: string; text: string }[] }).data;
    expect((await dataOf("/dev/mailbox.json")).map(({ recipient }) => recipient)).toEqual(["ada@example.com"]);
    expect((await dataOf("/dev/mailbox.json?to=ADA@example.com"))[0]?.text).toContain("token=secret");
    expect(await dataOf("/dev/mailbox.json?to=bob@example.com")).toEqual([]);
  });

  test("nothing for what is no mail, and nothing by writing", async () => {
    const get = await start();
    for (const path of ["/dev/mailbox/x", "/dev/mailbox/00000000-0000-0000-0000-000000000000", "/dev/mailbox/%2e%2e"]) {
      expect((await get(path)).status).toBe(404);
    }
    expect((await get("/dev/mailbox", {}, "POST")).status).toBe(405);
    await database.pool.query("TRUNCATE mail");
    expect((await get()).text).toContain("No mail yet");
  });
});
