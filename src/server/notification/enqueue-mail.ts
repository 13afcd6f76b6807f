import type { Prisma } from "@/generated/prisma/client";
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

/** Writes a mail in the transaction of what it tells; the worker sends it after the commit. */
export async function enqueueMail<T extends MailTemplate>(tx: Prisma.TransactionClient, mail: NewMail<T>): Promise<void> {
  const { dedupeKey, to, template, props, orgId } = mail;
  await tx.mail.createMany({
    data: [{ dedupeKey, recipient: to, orgId: orgId ?? null, ...renderMail(template, props) }],
    skipDuplicates: true,
  });
}
