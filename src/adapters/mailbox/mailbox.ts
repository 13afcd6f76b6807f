import ipaddr from "ipaddr.js";
import type { PrismaClient } from "@/generated/prisma/client";
import type { Env } from "@/lib/env";
import type { Logger } from "@/lib/logger";
import type { Exchange } from "@/server/gateway";
import { FRAME_POLICY, framedMail, listPage, mailPage, messagePage, PAGE_POLICY, type ShownMail } from "./render";

/**
 * The mailbox of an instance that sends no mail (CONTRACT §14), for whoever sits at the machine. It is answered by our own server, not
 * by Next, which does not know who is connected. What it shows lets people in, so to everybody else it does not exist.
 */
export type Mailbox = {
  matches(path: string): boolean;
  /** Never rejects. */
  handle(exchange: Exchange): Promise<void>;
};

const SELECT = { id: true, recipient: true, subject: true, html: true, text: true, state: true, lastError: true, createdAt: true } as const;

type Answer = { status: number; contentType: string; body: string; policy?: string };

const ROOT = "/dev/mailbox";
const MAIL = /^\/dev\/mailbox\/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(\/html)?$/;
const SHOWN_MAX = 100;
/** A proxy in front, on the same machine, would make everybody look local; each of these gives it away. */
const FORWARDING_HEADERS = [
  "forwarded",
  "x-forwarded-for",
  "x-forwarded-host",
  "x-forwarded-proto",
  "x-real-ip",
  "via",
  "cf-connecting-ip",
];
/** Another name that resolves to this machine is a page of somebody else's that reads what we answer (DNS rebinding). */
const LOCAL_HOST = /^(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?$/i;

export function createMailbox({
  prisma,
  env,
  log,
}: {
  prisma: PrismaClient;
  env: { database: Pick<Env["database"], "kind">; mail: Env["mail"] };
  log: Pick<Logger, "error">;
}): Mailbox {
  const isOn = env.database.kind === "embedded" || env.mail.devMailbox;
  const isSent = env.mail.delivery.via !== "mailbox";

  async function answerOf(exchange: Exchange): Promise<Answer> {
    if (!isOn || !isLocal(exchange)) return notFound();
    if (exchange.method !== "GET" && exchange.method !== "HEAD")
      return html(405, messagePage("Not like this", "The mailbox is only read."));
    const [path = "", query = ""] = exchange.target.split("?");
    if (path === ROOT) return html(200, listPage({ mails: await list(), isSent }));
    if (path === `${ROOT}.json`) return json(await list(new URLSearchParams(query).get("to") ?? undefined));
    const [, id, framed] = MAIL.exec(path) ?? [];
    const mail = id === undefined ? null : await prisma.mail.findUnique({ where: { id }, select: SELECT });
    if (!mail) return html(404, messagePage("There is no such mail", "It may have been deleted: mails are kept for 30 days."));
    if (framed !== undefined) return { status: 200, contentType: "text/html; charset=utf-8", body: framedMail(mail), policy: FRAME_POLICY };
    return html(200, mailPage({ mail, mails: await list(), isSent }));
  }

  function list(to?: string): Promise<ShownMail[]> {
    return prisma.mail.findMany({
      where: to === undefined ? {} : { recipient: to.toLowerCase() },
      orderBy: [{ createdAt: "desc" }, { id: "desc" }],
      take: SHOWN_MAX,
      select: SELECT,
    });
  }

  return {
    matches: (path) => path === ROOT || path === `${ROOT}.json` || path.startsWith(`${ROOT}/`),
    async handle(exchange) {
      try {
        send(exchange, await answerOf(exchange));
      } catch (error) {
        log.error({ err: error, component: "mailbox" }, "the mailbox failed");
        send(exchange, html(500, messagePage("Something went wrong", "The mailbox could not be read. The log says why.")));
      }
    },
  };
}

/** Somebody on this machine, with nothing in between. */
function isLocal(exchange: Exchange): boolean {
  const { remoteAddress } = exchange;
  if (remoteAddress === undefined || !ipaddr.isValid(remoteAddress)) return false;
  if (ipaddr.process(remoteAddress).range() !== "loopback") return false;
  if (FORWARDING_HEADERS.some((name) => exchange.header(name) !== undefined)) return false;
  return LOCAL_HOST.test(exchange.header("host") ?? "");
}

const html = (status: number, body: string): Answer => ({ status, contentType: "text/html; charset=utf-8", body, policy: PAGE_POLICY });

/** As for any other address that leads nowhere. */
const notFound = (): Answer => html(404, messagePage("There is nothing here", "This page does not exist."));

function json(mails: readonly ShownMail[]): Answer {
  const data = mails.map(({ createdAt, ...mail }) => ({ ...mail, createdAt: createdAt.toISOString() }));
  return { status: 200, contentType: "application/json; charset=utf-8", body: JSON.stringify({ data }) };
}

function send(exchange: Exchange, { status, contentType, body, policy }: Answer): void {
  if (exchange.aborted) return;
  const bytes = Buffer.from(body);
  const headers = ["content-type", contentType, "content-length", String(bytes.length), "cache-control", "private, no-store"];
  headers.push("x-content-type-options", "nosniff", "referrer-policy", "no-referrer", "cross-origin-resource-policy", "same-origin");
  if (policy !== undefined) headers.push("content-security-policy", policy);
  exchange.writeHead(status, headers);
  exchange.end(exchange.method === "HEAD" ? undefined : bytes);
}
