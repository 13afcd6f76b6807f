import { createTransport } from "nodemailer";
import { Resend } from "resend";
import type { Env } from "@/lib/env";
import { MailRefusal } from "./mail-refusal";
import type { SendMail } from "./mail-worker";

/** Longer than a provider takes, shorter than a worker's claim on a mail. */
const SEND_MS_MAX = 20_000;

/** By Resend or SMTP; without either a mail has arrived once it is written, and is read at `/dev/mailbox`. */
export function createSendMail(delivery: Env["mail"]["delivery"]): SendMail {
  switch (delivery.via) {
    case "resend":
      return byResend(delivery);
    case "smtp":
      return bySmtp(delivery);
    case "mailbox":
      return async () => {};
  }
}

/**
 * Resend's words for a mail that is wrong in itself (https://resend.com/docs/api-reference/errors). What is wrong with the account (its
 * key, its domain, its quota) is tried again: somebody will put it right.
 */
const FINAL_STATUS: ReadonlySet<number> = new Set([400, 422]);

function byResend({ apiKey, from, apiUrl }: Extract<Env["mail"]["delivery"], { via: "resend" }>): SendMail {
  const resend = new Resend(apiKey, apiUrl === undefined ? {} : { baseUrl: apiUrl });
  return async ({ id, recipient, subject, html, text }) => {
    // The key makes the second try of a mail that was taken, but not marked, the same mail: Resend remembers it for 24 hours.
    const options = { idempotencyKey: id, signal: AbortSignal.timeout(SEND_MS_MAX) };
    const { error, headers } = await resend.emails.send({ from, to: recipient, subject, html, text }, options);
    if (!error) return;
    const isFinal = FINAL_STATUS.has(error.statusCode ?? 0) || error.name === "invalid_idempotent_request";
    throw new MailRefusal(`Resend: ${error.name}: ${error.message}`, { isFinal, retryAfterMs: readSeconds(headers?.["retry-after"]) });
  };
}

const readSeconds = (header: string | undefined): number | undefined =>
  header !== undefined && /^\d{1,5}$/.test(header) ? Number(header) * 1_000 : undefined;

function bySmtp({ url, from }: Extract<Env["mail"]["delivery"], { via: "smtp" }>): SendMail {
  const timeouts = { connectionTimeout: SEND_MS_MAX / 2, greetingTimeout: SEND_MS_MAX / 2, socketTimeout: SEND_MS_MAX };
  const transport = createTransport({ url, ...timeouts, disableFileAccess: true, disableUrlAccess: true }, { from });
  const host = from.slice(from.lastIndexOf("@") + 1).replace(/>.*$/, "");
  return async ({ id, recipient, subject, html, text }) => {
    try {
      // SMTP knows no idempotency: a mail that was taken, but not marked, arrives twice, with one Message-ID to tell it by.
      await transport.sendMail({ to: { name: "", address: recipient }, subject, html, text, messageId: `<${id}@${host}>` });
    } catch (error) {
      throw new MailRefusal(`SMTP: ${error instanceof Error ? error.message : String(error)}`, { isFinal: isAddressRefused(error) });
    }
  };
}

/** 5xx to the envelope or the message is about this mail (RFC 5321 §4.2.1); 5xx to signing in is about us. */
function isAddressRefused(error: unknown): boolean {
  if (!(error instanceof Error) || !("responseCode" in error) || !("command" in error)) return false;
  return Number(error.responseCode) >= 500 && /^(RCPT TO|DATA)/.test(String(error.command));
}
