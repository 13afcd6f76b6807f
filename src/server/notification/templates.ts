import { escapeHtml } from "@/lib/escape-html";

/** What every mail needs; the rest is its template's. */
export type RenderedMail = { subject: string; text: string; html: string };

/** Mails by name, with what each is told. Links are absolute. */
export type MailTemplates = {
  "verify-email": { url: string; expiresInMinutes: number };
  "reset-password": { url: string; expiresInMinutes: number };
  "sign-in-link": { url: string; expiresInMinutes: number };
  "password-changed": { url: string };
  invitation: { url: string; orgName: string; role: string; invitedBy: string | null; expiresAt: Date };
  "approval-request": {
    orgName: string;
    /** One line: who wants what. */
    title: string;
    reason: "created" | "reminder" | "escalated";
    facts: readonly (readonly [label: string, value: string])[];
    url: string;
    /** Six digits; null where only signing in decides. */
    code: string | null;
    expiresAt: Date;
  };
  "budget-alert": { orgName: string; title: string; facts: readonly (readonly [label: string, value: string])[]; url: string };
  "endpoint-disabled": { orgName: string; endpointUrl: string; why: string; url: string };
};
export type MailTemplate = keyof MailTemplates;

type Part =
  | { kind: "text"; text: string }
  | { kind: "button"; label: string; url: string }
  | { kind: "facts"; facts: readonly (readonly [string, string])[] }
  | { kind: "code"; code: string };

type Letter = { subject: string; heading: string; parts: readonly Part[] };

const say = (text: string): Part => ({ kind: "text", text });
const button = (label: string, url: string): Part => ({ kind: "button", label, url });
const utc = (time: Date): string => `${time.toISOString().slice(0, 16).replace("T", " ")} UTC`;

const letters: { readonly [T in MailTemplate]: (props: MailTemplates[T]) => Letter } = {
  "verify-email": ({ url, expiresInMinutes }) => ({
    subject: "Confirm your address for NullSpend",
    heading: "Confirm your address",
    parts: [
      say("Open this link to confirm that this address is yours."),
      button("Confirm address", url),
      say(`The link works once, for ${expiresInMinutes} minutes. If you did not sign up, do nothing.`),
    ],
  }),
  "reset-password": ({ url, expiresInMinutes }) => ({
    subject: "Choose a new NullSpend password",
    heading: "Choose a new password",
    parts: [
      say("Somebody, hopefully you, asked for a new password for this address."),
      button("Choose a password", url),
      say(`The link works once, for ${expiresInMinutes} minutes. If it was not you, your password stays as it is.`),
    ],
  }),
  "sign-in-link": ({ url, expiresInMinutes }) => ({
    subject: "Your NullSpend sign-in link",
    heading: "Sign in",
    parts: [
      button("Sign in to NullSpend", url),
      say(`The link works once, for ${expiresInMinutes} minutes. If you did not ask for it, do nothing.`),
    ],
  }),
  "password-changed": ({ url }) => ({
    subject: "Your NullSpend password was changed",
    heading: "Your password was changed",
    parts: [say("All other sessions were signed out. If it was not you, choose a new password now."), button("Choose a new password", url)],
  }),
  invitation: ({ url, orgName, role, invitedBy, expiresAt }) => ({
    subject: `Join ${orgName} on NullSpend`,
    heading: `Join ${orgName}`,
    parts: [
      say(`${invitedBy ?? "Somebody"} invites you to ${orgName} on NullSpend as ${role}.`),
      button("See the invitation", url),
      say(`It is for this address alone and ends on ${utc(expiresAt)}.`),
    ],
  }),
  "approval-request": ({ orgName, title, reason, facts, url, code, expiresAt }) => ({
    subject: `${{ created: "Approve?", reminder: "Still waiting:", escalated: "Escalated:" }[reason]} ${title}`,
    heading: title,
    parts: [
      say(`An agent of ${orgName} waits for a decision.`),
      { kind: "facts", facts },
      button("Look and decide", url),
      ...(code === null
        ? [say("Deciding this one needs your NullSpend sign-in.")]
        : [say("When you are not signed in, type this code on that page:"), { kind: "code", code } satisfies Part]),
      say(`If nobody decides by ${utc(expiresAt)}, it expires and nothing is done. Opening the link decides nothing.`),
    ],
  }),
  "budget-alert": ({ orgName, title, facts, url }) => ({
    subject: `${orgName}: ${title}`,
    heading: title,
    parts: [{ kind: "facts", facts }, button("See the budget", url)],
  }),
  "endpoint-disabled": ({ orgName, endpointUrl, why, url }) => ({
    subject: `${orgName}: a webhook endpoint was switched off`,
    heading: "A webhook endpoint was switched off",
    parts: [say(`${endpointUrl} ${why}. What was not delivered is kept and can be sent again.`), button("See the deliveries", url)],
  }),
};

export function renderMail<T extends MailTemplate>(template: T, props: MailTemplates[T]): RenderedMail {
  const { subject, heading, parts } = letters[template](props);
  return {
    // Names of people and organisations stand in it: a line break would begin another header.
    // And one that turns the direction of writing would make it say something else.
    subject: subject
      .replace(/[\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, "")
      .replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, " ")
      .slice(0, SUBJECT_LENGTH_MAX)
      // Half of a character that was cut in two.
      .replace(/[\ud800-\udbff]$/, ""),
    text: storable(`${[heading, ...parts.map(asText)].join("\n\n")}\n\nNullSpend\n`),
    html: storable(page(heading, parts.map(asHtml).join("\n"))),
  };
}

const SUBJECT_LENGTH_MAX = 200;

/** Postgres knows no NUL. */
const storable = (text: string): string => text.replaceAll("\0", "\ufffd");

function asText(part: Part): string {
  switch (part.kind) {
    case "text":
      return part.text;
    case "button":
      return `${part.label}: ${part.url}`;
    case "facts":
      return part.facts.map(([label, value]) => `${label}: ${value}`).join("\n");
    case "code":
      return part.code;
  }
}

function asHtml(part: Part): string {
  switch (part.kind) {
    case "text":
      return `<p style="margin:0 0 16px">${escapeHtml(part.text)}</p>`;
    case "button":
      return (
        `<p style="margin:0 0 16px"><a href="${escapeHtml(part.url)}" style="display:inline-block;padding:12px 20px;border-radius:6px;` +
        `background:#3538cd;color:#ffffff;text-decoration:none;font-weight:600">${escapeHtml(part.label)}</a></p>`
      );
    case "facts":
      return `<table role="presentation" style="margin:0 0 16px;border-collapse:collapse">${part.facts
        .map(
          ([label, value]) =>
            `<tr><td style="padding:4px 16px 4px 0;opacity:0.75;vertical-align:top">${escapeHtml(label)}</td>` +
            `<td style="padding:4px 0">${escapeHtml(value)}</td></tr>`,
        )
        .join("")}</table>`;
    case "code":
      return `<p style="margin:0 0 16px;font:600 28px/1.2 ui-monospace,monospace;letter-spacing:6px">${escapeHtml(part.code)}</p>`;
  }
}

const page = (heading: string, body: string): string => `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>${escapeHtml(heading)}</title></head>
<body style="margin:0;padding:24px;font:16px/1.6 system-ui,-apple-system,sans-serif">
<div style="max-width:560px;margin:0 auto">
<h1 style="margin:0 0 16px;font-size:22px;line-height:1.3">${escapeHtml(heading)}</h1>
${body}
<p style="margin:24px 0 0;font-size:13px;opacity:0.75">NullSpend</p>
</div></body></html>`;
