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
  await enqueueMails(tx, [mail]);
}

/** The same for many mails, in one statement. */
export async function enqueueMails<T extends MailTemplate>(tx: Prisma.TransactionClient, mails: readonly NewMail<T>[]): Promise<void> {
  if (mails.length === 0) return;
  await tx.mail.createMany({ data: mails.map(columnsOf), skipDuplicates: true });
  signalMailQueued();
}

function columnsOf<T extends MailTemplate>({ dedupeKey, to, template, props, orgId }: NewMail<T>) {
  if (!ONE_ADDRESS.test(to)) throw new Error(`${template}: the recipient is not one plain address`);
  return { dedupeKey, recipient: to, orgId: orgId ?? null, ...renderMail(template, props) };
}
