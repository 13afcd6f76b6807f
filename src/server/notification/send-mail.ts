import { createTransport } from "nodemailer";
import { Resend } from "resend";
import type { Env } from "@/lib/env";
import type { SendMail } from "./mail-worker";

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

function byResend({ apiKey, from, apiUrl }: Extract<Env["mail"]["delivery"], { via: "resend" }>): SendMail {
  const resend = new Resend(apiKey, apiUrl === undefined ? {} : { baseUrl: apiUrl });
  return async ({ id, recipient, subject, html, text }) => {
    // The key makes the second try of a mail that was taken, but not marked, the same mail.
    const { error } = await resend.emails.send({ from, to: recipient, subject, html, text }, { idempotencyKey: id });
    if (error) throw new Error(`Resend: ${error.name}: ${error.message}`);
  };
}

function bySmtp({ url, from }: Extract<Env["mail"]["delivery"], { via: "smtp" }>): SendMail {
  const transport = createTransport({ url }, { from });
  return async ({ id, recipient, subject, html, text }) => {
    await transport.sendMail({ to: { name: "", address: recipient }, subject, html, text, messageId: `<${id}@nullspend>` });
  };
}
