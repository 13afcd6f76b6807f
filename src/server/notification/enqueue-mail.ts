import type { Prisma } from "@/generated/prisma/client";
import { signalMailQueued } from "./mail-signal";
import { renderMail, type MailTemplate, type MailTemplates } from "./templates";

export type NewMail<T extends MailTemplate> = {
  /** The same key is the same mail, however often it is asked for. */
  dedupeKey: string;
  /** One address, checked where it came in. */
  to: string;
  template: T;
  props: MailTemplates[T];
  orgId?: string;
};

/** One address and nothing that a mail server could read as the end of it. */
const ONE_ADDRESS = /^[^\s,;:<>"()[\]\\@\p{Cc}]+@[^\s,;:<>"()[\]\\@\p{Cc}]+$/u;

/**
 * Writes a mail in the transaction of what it tells; the worker sends it after the commit, within 200 ms where this process runs
 * one. Rolled back, it was never written.
 */
export async function enqueueMail<T extends MailTemplate>(tx: Prisma.TransactionClient, mail: NewMail<T>): Promise<void> {
  const { dedupeKey, to, template, props, orgId } = mail;
  if (!ONE_ADDRESS.test(to)) throw new Error(`${template}: the recipient is not one plain address`);
  await tx.mail.createMany({
    data: [{ dedupeKey, recipient: to, orgId: orgId ?? null, ...renderMail(template, props) }],
    skipDuplicates: true,
  });
  signalMailQueued();
}
